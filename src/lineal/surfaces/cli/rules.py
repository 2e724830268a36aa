"""Rules: which there are, what they give and would give, their fixtures, and their switches."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from lineal.surfaces.cli import failing, reading
from lineal.surfaces.cli import tables_rules as tables
from lineal.surfaces.cli.places import (
    Asked,
    actor_option,
    format_option,
    needing_the_server,
    placed,
    settings,
    timed,
)
from lineal.surfaces.cli.showing import caveats, line, note, write, write_json

_rule = click.argument("rule", metavar="NAME|FILE")
_reason = click.option("--reason", default="", help="Why: it stays, with the time and who decided.")


@click.group()
def rules() -> None:
    """Look at rules: what they conclude, why, and what they would; try, enable, disable them."""


@rules.command("list")
@placed()
def list_rules(asked: Asked) -> None:
    """List the rules in the order in which they conclude, and how each stands."""
    with asked.answers() as answers:
        answer = answers.rules()
    if asked.form == "json":
        write_json(answer)
    else:
        write(tables.rules(answer))


@rules.command()
@click.argument("name")
@click.option(
    "--limit", type=click.IntRange(0, 500), default=20, show_default=True, help="At most so many."
)
@timed()
def show(asked: Asked, name: str, limit: int) -> None:
    """Show the rule NAME: its pattern, what it means, when it is wrong, and what stands by it."""
    with asked.answers() as answers:
        found = answers.rule(name)
        edges = answers.rule_edges(name, limit=limit, **asked.times)
    if asked.form == "json":
        write_json({**found, "edges": edges})
        return
    write(tables.rule(found, edges))
    caveats(edges)


@rules.command()
@click.argument("rule", metavar="[NAME|FILE]", required=False)
@click.option(
    "--fixture",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The fixture; the file beside the rule, of its name with .txt, where not said.",
)
@format_option()
@click.pass_context
def test(context: click.Context, rule: str | None, fixture: Path | None, form: str) -> None:
    """
    Try the fixture of a rule, or of all of them, each case in an empty database of its own.

    Ends with 1 if something follows that was not expected, or does not that was.
    """
    with needing_the_server():
        from lineal.app.ruling import rule_in, rules_of, try_rule
        from lineal.shapes import Shapes
        from lineal.surfaces import formats_rules
    if fixture is not None and rule is None:
        raise click.UsageError("Say which rule the fixture is of.")
    config = settings()
    shapes = Shapes.load(*config.shapes) if config.shapes else Shapes.builtin()
    if rule is not None and _is_file(rule):
        chosen = [rule_in(Path(rule), shapes)]
    else:
        known = {one.name: one for one in rules_of(config.rules, shapes)}
        if rule is not None and rule not in known:
            raise _unknown(rule, known)
        chosen = list(known.values()) if rule is None else [known[rule]]
    found = [formats_rules.tried(one.name, try_rule(one, shapes, fixture)) for one in chosen]
    if form == "json":
        write_json({"value": found})
    else:
        write(tables.tried(found))
    if not tables.all_hold(found):
        context.exit(failing.FOUND)


rules.add_command(reading.explain)


@rules.command("dry-run")
@_rule
@placed()
def dry_run(asked: Asked, rule: str) -> None:
    """
    Show what a rule would give over all that is known now; nothing is written.

    A FILE need not be in use. It is compared with what stands by a rule of its name.
    """
    with asked.answers() as answers:
        if _is_file(rule):
            done = answers.dry_run(text=_text(Path(rule)), file=Path(rule).name)
        else:
            done = answers.dry_run(rule)
    if asked.form == "json":
        write_json(done)
    else:
        write(tables.dry_run(done))
    if not done["complete"]:
        note(f"cut: {done['looked_at']} of {done['of']} things were looked at in the time allowed")


@rules.command()
@click.argument("name")
@_reason
@actor_option
@placed()
def enable(asked: Asked, name: str, reason: str, actor: str) -> None:
    """Let the rule NAME conclude again."""
    _switch(asked, name, enabled=True, actor=actor, reason=reason)


@rules.command()
@click.argument("name")
@_reason
@actor_option
@placed()
def disable(asked: Asked, name: str, reason: str, actor: str) -> None:
    """Withdraw all that the rule NAME concluded; it concludes nothing until it is enabled."""
    _switch(asked, name, enabled=False, actor=actor, reason=reason)


def _switch(asked: Asked, name: str, *, enabled: bool, actor: str, reason: str) -> None:
    with asked.hands() as hands:
        done = hands.switch_rule(name, enabled=enabled, actor=actor, reason=reason)
        pending = hands.rules()["pending"]
    if asked.form == "json":
        write_json(done)
        return
    now = "enabled" if enabled else "disabled"
    write([line(f"{name} is {now}." if done["changed"] else f"{name} was {now} already.")])
    tables.say_what_waits(pending)


def _is_file(rule: str) -> bool:
    """Tell a file from a name: a name has neither dots nor slashes in it."""
    return not rule.replace("_", "").isalnum()


def _text(path: Path) -> str:
    from lineal.errors import RuleError

    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(f"The file cannot be read: {error}.", file=str(path)) from error


def _unknown(name: str, known: Iterable[str]) -> Exception:
    from lineal.errors import NotFound

    return NotFound(f"There is no rule {name!r}.", fix=f"Rules are {', '.join(sorted(known))}.")

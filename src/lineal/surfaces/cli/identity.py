"""Names of one thing: who says so, what a merge or a split would do, doing it, and what may be one.

A merge or a split is shown first, and written only if that is confirmed.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import RenderableType

from lineal.surfaces.cli.failing import FOUND
from lineal.surfaces.cli.naming import uri_of
from lineal.surfaces.cli.places import Asked, db_option, format_option, opened, timed
from lineal.surfaces.cli.showing import caveats, line, note, show, table, write, write_json

if TYPE_CHECKING:
    from lineal.app import Lineal
    from lineal.client.answers import Answer, EdgeName, Names, Preview, Suggestion
    from lineal.model import Uri
    from lineal.surfaces.cli.local import Local

Parts = Iterator[RenderableType]

_across = click.option(
    "--across-environments", is_flag=True, help="Merge also what is of two environments."
)


@click.group()
def identity() -> None:
    """Show under which names things are known, merge and split them."""


# ── Asking ───────────────────────────────────────────────────────────────────────────────────────


@identity.command("show")
@click.argument("thing", metavar="THING")
@timed()
def show_names(asked: Asked, thing: str) -> None:
    """Show all names of THING, and who says that they are one."""
    with asked.answers() as answers:
        answer = answers.names(uri_of(answers, thing, asked.times), **asked.times)
    show(answer, asked.form, names)


@identity.command()
@click.argument("one", metavar="ONE")
@click.argument("other", metavar="[OTHER]", required=False)
@click.option("--split", is_flag=True, help="Look at a split, not at a merge.")
@_across
@timed()
def preview(
    asked: Asked, one: str, other: str | None, split: bool, across_environments: bool
) -> None:
    """Show what would be so if ONE and OTHER were one thing, or were not."""
    if other is None and not split:
        raise click.UsageError("A merge needs two names: give OTHER as well.")
    with asked.answers() as answers:
        first = uri_of(answers, one, asked.times)
        second = None if other is None else uri_of(answers, other, asked.times)
        if split:
            answer = answers.preview_split(first, second, **asked.times)
        else:
            answer = answers.preview_merge(
                first, str(second), across_environments=across_environments, **asked.times
            )
    show(answer, asked.form, changes)


@identity.command()
@click.argument("thing", metavar="[THING]", required=False)
@click.option(
    "--limit", type=click.IntRange(0, 500), default=50, show_default=True, help="At most so many."
)
@timed()
def suggest(asked: Asked, thing: str | None, limit: int) -> None:
    """Show which things may be one, or what may be THING; nothing is merged."""
    with asked.answers() as answers:
        uri = None if thing is None else uri_of(answers, thing, asked.times)
        answer = answers.suggestions(uri, limit=limit, **asked.times)
    show(answer, asked.form, suggestions)


# ── Deciding ─────────────────────────────────────────────────────────────────────────────────────


def _deciding(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command what a decision of a person takes."""
    for option in (
        click.option("--reason", default="", help="Why, for those who come after."),
        click.option(
            "--actor",
            default=getpass.getuser,
            help="Who decides; the user of the system unless said.",
        ),
        click.option("--yes", is_flag=True, help="Write it without asking."),
        format_option(),
        db_option,
    ):
        command = option(command)
    return command


@identity.command()
@click.argument("one", metavar="ONE")
@click.argument("other", metavar="OTHER")
@_across
@_deciding
@click.pass_context
def merge(
    context: click.Context,
    one: str,
    other: str,
    across_environments: bool,
    reason: str,
    actor: str,
    yes: bool,
    form: str,
    db: Path | None,
) -> None:
    """
    Make ONE and OTHER names of one thing, after showing what that would do.

    Ends with 1 if it is refused or not confirmed. A split takes it back.
    """
    with opened(db, writable=True) as lineal:
        local = _local(lineal)
        first, second = uri_of(local, one, {}), uri_of(local, other, {})
        told = local.preview_merge(first, second, across_environments=across_environments)

        def write_it() -> int:
            return lineal.merge(
                first, second, reason=reason, actor=actor, across_environments=across_environments
            )

        done = _decided(told, write_it, form=form, yes=yes)
    if not done:
        context.exit(FOUND)


@identity.command()
@click.argument("one", metavar="ONE")
@click.argument("other", metavar="[OTHER]", required=False)
@_deciding
@click.pass_context
def split(
    context: click.Context,
    one: str,
    other: str | None,
    reason: str,
    actor: str,
    yes: bool,
    form: str,
    db: Path | None,
) -> None:
    """
    Part ONE from OTHER, or from every name that it is joined to.

    What a source claims is vetoed, so that it may say it again. Ends with 1 if it is refused or
    not confirmed. A merge takes it back.
    """
    with opened(db, writable=True) as lineal:
        local = _local(lineal)
        first = uri_of(local, one, {})
        second: Uri | None = None if other is None else uri_of(local, other, {})
        told = local.preview_split(first, second)

        def write_it() -> int:
            return lineal.split(first, second, reason=reason, actor=actor)

        done = _decided(told, write_it, form=form, yes=yes)
    if not done:
        context.exit(FOUND)


def _local(lineal: Lineal) -> Local:
    from lineal.surfaces.cli.local import Local

    return Local(lineal)


def _decided(told: Answer[Preview], write_it: Callable[[], int], *, form: str, yes: bool) -> bool:
    """Show what would be so, and write it if it is confirmed; tell whether it was written."""
    if form == "table":
        write(changes(told["value"]))
        caveats(told)
    t = None
    if not told["value"]["refusals"]:
        asking = sys.stdin.isatty() and form == "table"
        if yes or (asking and click.confirm("Write this?", err=True)):
            t = write_it()
        elif not asking:
            note("Nothing is written. Say --yes to write it.")
    if form == "json":
        write_json({**told, "t": t})
    elif t is not None:
        write([line(f"Written in transaction {t}.")])
    return t is not None


# ── Showing ──────────────────────────────────────────────────────────────────────────────────────


def names(value: Names) -> Parts:
    """Show all names of a thing, and who says that they are one."""
    yield table(
        ("name", "state", "uri"),
        [(one["name"], one["state"], one["uri"]) for one in value["names"]],
    )
    if not value["evidence"]:
        yield line("Nobody says that it has another name.")
        return
    rows = [
        (
            one["start"]["uri"],
            one["kind"] if one["joins"] or one["kind"] != "same_as" else "same_as, vetoed",
            one["end"]["uri"],
            one["claim"]["attributes"].get("evidence") or ", ".join(one["why"]),
            one["claim"]["source"],
            one["claim"]["document"],
            one["at"],
            one["actor"],
        )
        for one in value["evidence"]
    ]
    yield table(("one", "is", "other", "evidence", "source", "document", "recorded", "by"), rows)


def changes(value: Preview) -> Parts:
    """Show what would be so after a merge or a split."""
    for title, groups in (("now", value["before"]), ("then", value["after"])):
        rows = [
            (one["thing"]["uri"], ", ".join(name["uri"] for name in one["names"][1:]))
            for one in groups
        ]
        yield table(("thing", "also"), rows, title=title)
    if value["parts"]:
        yield table(("part", "and part"), value["parts"], title="parts that follow")
    if value["disagreements"]:
        words = [
            (one["attribute"], word["uri"], word["value"])
            for one in value["disagreements"]
            for word in one["values"]
        ]
        yield table(("attribute", "uri", "value"), words, title="they say differently")
    yield from _edges("edges between the two", value["inner"])
    yield from _edges("would be concluded", value["appear"])
    yield from _edges("would be concluded no more", value["vanish"])
    for one in value["decisions"]:
        word = one["kind"] or "nothing is said any more"
        yield line(f"written: {one['one']}, {one['other']}: {word}")
    for text in value["warnings"]:
        yield line(f"warning: {text}")
    for text in value["refusals"]:
        yield line(f"refused: {text}")


def _edges(title: str, edges: list[EdgeName]) -> Parts:
    if edges:
        rows = [(one["start"], one["kind"], one["end"]) for one in edges]
        yield table(("start", "kind", "end"), rows, title=title)


def suggestions(value: list[Suggestion]) -> Parts:
    """Show which things may be one."""
    if not value:
        yield line("Nothing looks like one thing under two names.")
        return
    rows = [
        (f"{one['score']:.2f}", one["one"]["uri"], one["other"]["uri"], ", ".join(one["reasons"]))
        for one in value
    ]
    yield table(("score", "one", "other", "because"), rows)

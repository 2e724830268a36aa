"""Looking after an installation: how its sources stand, sweeping and releasing them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from lineal.surfaces.cli import failing, tables, tables_work
from lineal.surfaces.cli.importing import bar
from lineal.surfaces.cli.places import (
    Asked,
    actor_option,
    db_option,
    format_option,
    needing_the_server,
    opened_with,
    placed,
    settings,
)
from lineal.surfaces.cli.showing import line, write, write_json

_files = click.option(
    "--source",
    "files",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="FILE",
    help="A declared source, or a folder of them; LINEAL_SOURCES where not said.",
)


@click.command()
@_files
@placed()
@click.pass_context
def status(context: click.Context, asked: Asked, files: tuple[Path, ...]) -> None:
    """
    Show how each source stands: what waits, what fails, when it was last heard.

    Ends with 1 if a promise is broken: something is unaccounted for, not worked on, or too old.
    Whether what waits is worked on only a server can say; a file says of declared sources alone
    whether they are too old.
    """
    with asked.standing(files) as answers:
        answer = answers.health()
    if asked.form == "json":
        write_json(answer)
    else:
        write(tables_work.health(answer))
        if asked.url is None:
            write([line("Asked of a file: only a server can say whether what waits is worked on.")])
    if answer.get("broken"):
        context.exit(failing.FOUND)


# ── Sources ──────────────────────────────────────────────────────────────────────────────────────


@click.group()
def source() -> None:
    """Join sources: write, test and list them; sweep them, and let go what is held back."""


@source.command("status")
@click.argument("name")
@_files
@placed()
def source_status(asked: Asked, name: str, files: tuple[Path, ...]) -> None:
    """Show how the source NAME stands: its breaker, its sweeps, its notices, what does not fit."""
    with asked.standing(files) as answers:
        found = tables_work.named(answers.health().get("value"), name)
        findings = answers.findings(name).get("value")
    if asked.form == "json":
        write_json({**found, "findings": findings})
    else:
        write(tables_work.source(found, findings))


@source.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why it is no fault: kept, with the time and who.")
@actor_option
@_files
@placed()
def release(asked: Asked, name: str, reason: str, actor: str, files: tuple[Path, ...]) -> None:
    """
    Let the removals go that are held back of the source NAME.

    So much was gone at once that it looked like a fault. Each is asked for once more, and removed
    only if the source still says that it is gone.
    """
    with asked.hands(files) as hands:
        done = hands.release(name, reason=reason, actor=actor)
    if asked.form == "json":
        write_json(done)
    else:
        write(
            [line(f"{done['count']} removals of {name} are let go; each is asked for once more.")]
        )


@source.command("list")
@_files
@format_option()
def list_sources(files: tuple[Path, ...], form: str) -> None:
    """List the declared sources, and what each describes."""
    with needing_the_server():
        from lineal.app.configured import python_sources, source_files
        from lineal.shapes import Shapes
        from lineal.sources.compiling import load
    config = settings()
    shapes = Shapes.load(*config.shapes)
    plans = [
        load(path, variables=config.variables, shapes=shapes)
        for path in source_files(files or config.sources)
    ]
    described = {plan.name: plan.described for plan in plans}
    described |= {name: one.platforms for name, one in python_sources(config).items()}
    found = {name: sorted({kind for kind, _ in pairs}) for name, pairs in described.items()}
    if form == "json":
        write_json({"value": [{"source": name, "types": kinds} for name, kinds in found.items()]})
    else:
        write(tables.sources(found))


@source.command()
@click.argument("name")
@_files
@db_option
def rebuild(name: str, files: tuple[Path, ...], db: Path | str | None) -> None:
    """
    Word all that the source NAME has said anew, without asking it.

    For when its file, or a rule of naming, is another one now: what was kept of its documents is
    read again as the file says today. What nothing was kept of stays as it is.
    """
    config = settings(db)
    chosen = replace(config, sources=files or config.sources)
    with opened_with(chosen, writable=True) as lineal, bar() as progress:
        rebuilt, tally = lineal.rebuild(name, progress=progress)
    write(tables_work.rebuilt(rebuilt, tally))


@source.command()
@click.argument("name")
@_files
@db_option
@click.option(
    "--timeout",
    type=click.FloatRange(0),
    default=600.0,
    show_default=True,
    help="How many seconds to work on what was found.",
)
@click.pass_context
def sweep(
    context: click.Context,
    name: str,
    files: tuple[Path, ...],
    db: Path | str | None,
    timeout: float,
) -> None:
    """
    List all that the source NAME has, and fetch what differs.

    Ends with 1 if so much is absent that nothing is removed, or if the time runs out.
    """
    config = settings(db)
    chosen = replace(config, sources=files or config.sources)
    with opened_with(chosen, writable=True) as lineal, bar() as progress:
        swept = lineal.sweep(name, progress=progress)
        drained = lineal.drain(timeout=timeout, progress=progress)
    write(tables.swept(swept, drained))
    if swept.held or not drained.complete:
        context.exit(failing.FOUND)

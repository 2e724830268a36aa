"""Looking after an installation: how its sources stand, and sweeping them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from lineal.surfaces.cli import failing, tables
from lineal.surfaces.cli.places import (
    Asked,
    db_option,
    format_option,
    needing_the_server,
    opened_with,
    placed,
    settings,
)
from lineal.surfaces.cli.showing import write, write_json

_files = click.option(
    "--source",
    "files",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="FILE",
    help="A declared source, or a folder of them; LINEAL_SOURCES where not said.",
)


@click.command()
@placed()
def status(asked: Asked) -> None:
    """Show how each source stands: what waits, what fails, when it was last heard."""
    with asked.answers() as answers:
        answer = answers.health()
    if asked.form == "json":
        write_json(answer)
    else:
        write(tables.health(answer.get("value")))


# ── Sources ──────────────────────────────────────────────────────────────────────────────────────


@click.group()
def source() -> None:
    """Join sources: write, test and list them; sweep them."""


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
    with opened_with(replace(config, sources=files or config.sources), writable=True) as lineal:
        swept = lineal.sweep(name)
        drained = lineal.drain(timeout=timeout)
    write(tables.swept(swept, drained))
    if swept.held or not drained.complete:
        context.exit(failing.FOUND)

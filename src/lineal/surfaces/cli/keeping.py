"""Looking after an installation: how its sources stand, sweeping them, checking its database."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from lineal.surfaces.cli import failing, tables
from lineal.surfaces.cli.places import db_option, format_option, opened, opened_with, settings

_sources = click.option(
    "--source", "files", multiple=True, type=click.Path(exists=True, path_type=Path),
    metavar="FILE", help="A declared source, or a folder of them; LINEAL_SOURCES where not said.",
)  # fmt: skip


@click.group()
def source() -> None:
    """List the declared sources, and sweep them."""


@source.command("list")
@_sources
@format_option
def list_sources(files: tuple[Path, ...], form: str) -> None:
    """List the declared sources, and what each describes."""
    from lineal.app import source_files


@source.command()
@click.argument("name")
@_sources
@db_option
@click.option("--timeout", type=click.FloatRange(0), default=600.0, show_default=True,
              help="How many seconds to work on what the sweep found.")  # fmt: skip
@click.pass_context
def sweep(
    context: click.Context, name: str, files: tuple[Path, ...], db: Path | None, timeout: float
) -> None:
    """
    List all that the source NAME has, and fetch what differs.

    Ends with 1 if so much is absent that nothing is removed, or if the time runs out.
    """
    config = settings(db)
    with opened_with(replace(config, sources=files or config.sources), writable=True) as lineal:
        swept = lineal.sweep(name)
        drained = lineal.drain(timeout=timeout)
    tables.swept(swept, drained)
    if swept.held or not drained.complete:
        context.exit(failing.FOUND)


@click.group()
def db() -> None:
    """Look at the database itself."""

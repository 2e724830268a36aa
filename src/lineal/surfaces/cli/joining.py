"""Joining a tool: a file to begin with, the schema that an editor checks it by."""

from __future__ import annotations

from pathlib import Path

import click

from lineal.errors import FileRefused
from lineal.surfaces.cli.keeping import source
from lineal.surfaces.cli.places import needing_the_server
from lineal.surfaces.cli.showing import note


@source.command()
@click.argument("name")
@click.option(
    "--from",
    "form",
    type=click.Choice(["http", "files"]),
    default="http",
    show_default=True,
    help="Whether the tool is asked over HTTP, or writes files.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to write it; NAME.yaml where not said.",
)
def new(name: str, form: str, out: Path | None) -> None:
    """
    Write a commented file to begin the source NAME with.

    It is valid as it is; what it says is an example. A file that exists is not overwritten.
    """
    with needing_the_server():
        from lineal.sources.starting import starter
    text, place = starter(name, form), out or Path(f"{name}.yaml")
    try:
        with place.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise FileRefused(
            "The file exists already.", file=str(place), fix="Name another one by --out."
        ) from error
    except OSError as error:
        raise FileRefused(f"It cannot be written: {error}.", file=str(place)) from error
    note(f"Wrote {place}. Change it, then: lineal source test {place}")


@source.command()
@click.option("--doors", is_flag=True, help="Of a file of doors instead.")
def schema(doors: bool) -> None:
    """Print the JSON Schema of source files, by which an editor completes and checks them."""
    with needing_the_server():
        from lineal.sources.reference import schema_text
        from lineal.sources.spec import json_schema
        from lineal.surfaces.events import declared
    click.echo(schema_text(declared.json_schema() if doors else json_schema()), nl=False)

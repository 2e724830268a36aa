"""Joining a tool: a file to begin with, the schema an editor checks it by, and whether it holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click
from rich.console import RenderableType

from lineal.errors import FileRefused
from lineal.surfaces.cli.failing import FOUND
from lineal.surfaces.cli.importing import events_in
from lineal.surfaces.cli.places import needing_the_server, settings
from lineal.surfaces.cli.showing import line, note, table, write, write_json

if TYPE_CHECKING:
    from lineal.app.conformance import Plan, Report
    from lineal.config import Config


@click.command()
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


@click.command()
@click.option("--doors", is_flag=True, help="Of a file of doors instead.")
def schema(doors: bool) -> None:
    """Print the JSON Schema of source files, by which an editor completes and checks them."""
    with needing_the_server():
        from lineal.sources.reference import schema_text
        from lineal.sources.spec import json_schema
        from lineal.surfaces.events import declared
    click.echo(schema_text(declared.json_schema() if doors else json_schema()), nl=False)


@click.command()
@click.argument("target", metavar="FILE|NAME")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder to read, of a source of files.",
)
@click.option(
    "--events",
    type=click.File("rb"),
    metavar="FILE",
    help="Events as the tool sends them: JSON, a list, or one on each line.",
)
@click.option("--documents", type=click.IntRange(2, 1000), default=20, show_default=True,
              help="How many of each sort to look at.")  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="Repeats a run.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def test(
    context: click.Context,
    target: str,
    root: Path | None,
    events: BinaryIO | None,
    documents: int,
    seed: int,
    as_json: bool,
) -> None:
    """
    See whether a source keeps what Lineal relies on.

    The source is asked, and only asked; what it says is then told again in databases that are
    thrown away: replayed, reordered, dropped, duplicated, delayed, deleted and garbled. Ends with
    1 if something is broken.
    """
    with needing_the_server():
        from lineal.app.conformance import Plan
        from lineal.surfaces.cli import logs
    # The faults of a run are its own: its report tells of them.
    logs.begin("critical")
    told = list(events_in(events.read(), events.name)) if events is not None else []
    report = _examined(target, root, settings(), Plan(seed, documents, told))
    if as_json:
        write_json(_plain(report))
    else:
        write(_shown(report))
    if not report.ok:
        context.exit(FOUND)


def _examined(target: str, root: Path | None, config: Config, plan: Plan) -> Report:
    from lineal.app.configured import secret_in
    from lineal.app.conformance import Recorder, examine, examine_files
    from lineal.app.conformance.finding import find
    from lineal.shapes import Shapes
    from lineal.sources.files import FileSource
    from lineal.sources.plan import SourcePlan

    shapes = Shapes.load(*config.shapes)
    found = find(target, config, shapes)
    if not isinstance(found, SourcePlan):
        try:
            return examine(found, shapes=shapes, plan=plan)
        finally:
            found.close()
    if found.files:
        if root is None:
            raise click.UsageError(f"{found.name} reads files: name their folder by --root.")
        return examine_files(FileSource(found), root, shapes=shapes, plan=plan)
    recorder = Recorder(found, secret=lambda reference: secret_in(config.variables, reference))
    try:
        return examine(recorder.source, shapes=shapes, plan=plan, recorder=recorder)
    finally:
        recorder.close()


def _plain(report: Report) -> dict[str, object]:
    return {
        "source": report.source,
        "ok": report.ok,
        "seed": report.seed,
        "listed": report.listed,
        "examined": report.examined,
        "checks": [
            {"check": one.name, "verdict": one.verdict, "words": one.words, "fix": one.fix}
            for one in report.checks
        ],
    }


def _shown(report: Report) -> Iterator[RenderableType]:
    rows = [(one.verdict, one.name, f"{one.words} {one.fix}".strip()) for one in report.checks]
    title = f"{report.source}: {report.examined} of {report.listed} documents, seed {report.seed}"
    yield table(("", "it", "what was seen"), rows, title=title)
    broken = sum(one.verdict == "broken" for one in report.checks)
    noted = sum(one.verdict == "noted" for one in report.checks)
    if broken:
        yield line(f"{broken} of {len(rows)} promises are broken.")
    else:
        yield line(f"No promise is broken{f'; {noted} are worth a look' if noted else ''}.")

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
    from lineal.model import Record
    from lineal.shapes import Shapes
    from lineal.sources import Refused


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

    The name openlineage stands for its events (--events or --root), dbt for the artifacts below
    --root: what they say is told again in the same ways.
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
    from lineal.app.configured import declared, secret_in
    from lineal.app.conformance import Recorder, examine, examine_files
    from lineal.app.conformance.finding import find
    from lineal.shapes import Shapes
    from lineal.sources.files import FileSource
    from lineal.sources.plan import SourcePlan

    shapes = Shapes.load(*config.shapes)
    if target in ("openlineage", "dbt") and not Path(target).exists():
        return _told(target, root, config, shapes, plan)
    found = find(target, config, shapes)
    if not isinstance(found, SourcePlan):
        try:
            return examine(found, shapes=shapes, plan=plan)
        finally:
            found.close()

    def secret(reference: str) -> str:
        return secret_in(config.variables, reference)

    if found.reviewers is not None:
        (source,) = declared([found], secret).values()
        return examine(source, shapes=shapes, plan=plan)
    if found.files:
        if root is None:
            raise click.UsageError(f"{found.name} reads files: name their folder by --root.")
        return examine_files(FileSource(found), root, shapes=shapes, plan=plan)
    recorder = Recorder(found, secret=secret)
    try:
        return examine(recorder.source, shapes=shapes, plan=plan, recorder=recorder)
    finally:
        recorder.close()


def _told(target: str, root: Path | None, config: Config, shapes: Shapes, plan: Plan) -> Report:
    """Examine what cannot be asked: the events of OpenLineage, or the artifacts of dbt."""
    from lineal.app.configured import OPENLINEAGE, platforms_of
    from lineal.app.conformance import examine_log, examine_snapshot
    from lineal.sources import dbt
    from lineal.sources.openlineage import OpenLineage
    from lineal.sources.openlineage.files import read_paths
    from lineal.store import clock_now

    platforms = platforms_of(config)
    if target == "openlineage":
        found = list(read_paths([root] if root is not None else []))
        entries = [*plan.events, *(item[2] for item in found if isinstance(item, tuple))]
        unread = [item for item in found if not isinstance(item, tuple)]
        source = OpenLineage(OPENLINEAGE, platforms=platforms)
        return examine_log(source, entries, shapes=shapes, plan=plan, unread=unread)
    if root is None:
        raise click.UsageError("dbt writes files: name their folder by --root.")
    at = clock_now()

    def read() -> Iterator[Record | Refused]:
        for snapshot in dbt.read([root], platforms=platforms, observed_at=at):
            yield from snapshot.records
            yield from snapshot.refused

    return examine_snapshot(read, shapes=shapes, plan=plan)


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

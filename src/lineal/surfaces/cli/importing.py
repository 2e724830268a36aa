"""Bringing in what lies in files: ``import`` into a database, ``send`` to a server."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

import click

from lineal.config import Config
from lineal.errors import ConfigError, FileRefused
from lineal.model import Json
from lineal.surfaces.cli import failing, tables
from lineal.surfaces.cli.places import client, db_option, opened, server_of
from lineal.surfaces.cli.showing import note, write

if TYPE_CHECKING:
    from lineal.app import Imported

Progress: TypeAlias = Callable[[int, "int | None", str], None]

paths_argument = click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="PATH...",
    type=click.Path(exists=True, path_type=Path),
)


@click.group("import")
def bring() -> None:
    """
    Read files into the database.

    Ends with 1 if anything was refused or put aside; the rest is in then.
    """


@bring.command()
@paths_argument
@db_option
def openlineage(paths: tuple[Path, ...], db: Path | str | None) -> None:
    """Read OpenLineage events from files and folders."""
    with opened(db, writable=True) as lineal, bar() as progress:
        came = lineal.import_openlineage(paths, progress=progress)
    _tell(came)


_removing = click.option(
    "--remove-absent",
    "removing",
    is_flag=True,
    help="Remove what is not there any more, however much it is.",
)


def _policies(_: click.Context, __: click.Parameter, words: tuple[str, ...]) -> dict[str, str]:
    from lineal.ingest.examining import policies

    return policies(words)


_unfit = click.option(
    "--unfit",
    multiple=True,
    metavar="[SORT=]POLICY",
    callback=_policies,
    help="What becomes of a document of which something does not fit: store (and flag), quarantine "
    "or reject; of one sort only, as in values=reject (also attributes, edges, fields).",
)


@bring.command()
@paths_argument
@_removing
@_unfit
@click.option("--namespace", help="The data platform that dbt wrote to, where its files lack it.")
@click.option("--repository", metavar="URL",
              help="The repository of the project, or the page of its folder there.")  # fmt: skip
@db_option
def dbt(
    paths: tuple[Path, ...],
    removing: bool,
    unfit: dict[str, str],
    namespace: str | None,
    repository: str | None,
    db: Path | str | None,
) -> None:
    """Read dbt's artifacts (manifest, catalog, run results) from files and folders."""
    with opened(db, writable=True) as lineal, bar() as progress:
        came = lineal.import_dbt(
            paths,
            namespace=namespace,
            repository=repository,
            unfit=unfit,
            removing=removing,
            progress=progress,
        )
    _tell(came)


@bring.command()
@paths_argument
@_unfit
@db_option
def datahub(paths: tuple[Path, ...], unfit: dict[str, str], db: Path | None) -> None:
    """Read DataHub's metadata change proposals from files and folders."""
    with opened(db, writable=True) as lineal, bar() as progress:
        came = lineal.import_datahub(paths, unfit=unfit, progress=progress)
    _tell(came)


@bring.command()
@click.argument("spec", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("root", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_removing
@_unfit
@db_option
def files(
    spec: Path, root: Path, removing: bool, unfit: dict[str, str], db: Path | str | None
) -> None:
    """Read the files below the folder ROOT as the declared source SPEC says."""
    with opened(db, writable=True) as lineal, bar() as progress:
        came = lineal.import_files(
            spec, root, unfit=unfit, removing=removing, progress=progress
        )  # fmt: skip
    _tell(came)


def _tell(came: Imported) -> None:
    write(tables.imported(came))
    if came.held:
        note(
            f"{came.held} documents are not there any more, too many at once to be removed unasked:"
            " nothing was removed. Say --remove-absent if they are really gone."
        )
    aside, rejected = came.documents.get("put aside", 0), came.documents.get("rejected", 0)
    if aside:
        note(f"{aside} documents do not fit and were put aside; `lineal dead list` shows them.")
    if rejected:
        note(f"{rejected} documents do not fit and were rejected; `lineal source status` says why.")
    if came.refused or came.held or aside or rejected:
        click.get_current_context().exit(failing.FOUND)


@contextlib.contextmanager
def bar() -> Iterator[Progress | None]:
    """Show a bar on a terminal, and nothing anywhere else."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Task, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.text import Text

    class Rate(TextColumn):
        """How many a second."""

        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.0f}/s")

    words = TextColumn("{task.description}", markup=False)
    columns = (words, BarColumn(), MofNCompleteColumn(), Rate(""), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("reading", total=None)

        def moved(done: int, total: int | None, what: str) -> None:
            shown.update(task, completed=done, total=total, description=what)

        yield moved


# ── Sending ──────────────────────────────────────────────────────────────────────────────────────


@click.command()
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--source", help="The source that the events are from; the server finds out if not.")
@click.option("--server", metavar="URL", help="The server; LINEAL_URL where not said.")
def send(file: BinaryIO, source: str | None, server: str | None) -> None:
    """
    Send the events in FILE (or standard input) to a server.

    FILE holds one event as JSON, a list of them, or one on each line. OpenLineage events are of
    the source openlineage.
    """
    events = list(events_in(file.read(), getattr(file, "name", "-")))
    config = Config.from_environment()
    url = server_of(config, db=None, server=server)
    if url is None:
        raise ConfigError("No server is named.", fix="Give --server URL, or set LINEAL_URL.")
    with client(url, config) as remote, _telling_of(len(events)):
        if source == "openlineage":
            sent = remote.send_openlineage(events)
        else:
            sent = remote.send(events, source=source)
    write(tables.sent(sent))
    if sent["refused"]:
        click.get_current_context().exit(failing.FOUND)


@contextlib.contextmanager
def _telling_of(many: int) -> Iterator[None]:
    """Say how many of the events that the block sends are kept, where it breaks off."""
    from lineal.client import ClientError

    try:
        yield
    except ClientError as error:
        if error.acknowledged:
            note(
                f"{error.acknowledged:,} of {many:,} events are kept, the others may not be. "
                "Send all again once it is mended: what comes twice does no harm."
            )
        raise


def events_in(data: bytes, name: str) -> Iterator[Mapping[str, Json]]:
    r"""
    Yield the events in a text: one JSON object, a list of them, or one on each line.

    >>> list(events_in(b'{"a": 1}\n{"a": 2}\n', "-"))
    [{'a': 1}, {'a': 2}]

    Raises:
        FileRefused: the text is none of these.
    """
    try:
        whole = json.loads(data)
    except ValueError:
        whole = None
    if whole is not None:
        items = enumerate(whole if isinstance(whole, list) else [whole], 1)
        yield from (_event(item, name, place) for place, item in items)
        return
    for number, line in enumerate(data.splitlines(), 1):
        if line.strip():
            yield _event(_decoded(line, name, number), name, number)


def _decoded(line: bytes, name: str, number: int) -> Json:
    try:
        decoded: Json = json.loads(line)
    except ValueError as error:
        raise FileRefused(
            f"This is not JSON: {error}.",
            file=name,
            line=number,
            fix="Write one event, a list of events, or one event on each line; nothing was sent.",
        ) from error
    return decoded


def _event(item: Json, name: str, place: int) -> Mapping[str, Json]:
    if not isinstance(item, dict):
        raise FileRefused(
            f"Item {place} is no event but {type(item).__name__}.",
            file=name,
            fix="An event is a JSON object; nothing was sent.",
        )
    return item

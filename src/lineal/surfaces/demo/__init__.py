"""The demonstration: an invented estate tells its events, Lineal listens, fetches and answers.

Everything happens over HTTP on the loopback address, as it would with real tools.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

import click
import structlog
import uvicorn
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.errors import StoreError
from lineal.surfaces import server
from lineal.surfaces.demo.told import told
from lineal.surfaces.listening import listening
from lineal.testing.estate.server import Estate

#: Where the demonstration keeps its graph if nothing else is said. Made anew each time.
DATABASE = Path("lineal-demo.db")
#: How long the events may take to be worked through, in seconds.
PATIENCE = 300.0


def run(serve: bool, port: int, scale: float, seed: int, db: Path | str | None) -> int:
    """
    Play the estate, fill a graph from it, print five answers, and serve the portal if asked to.

    Returns 0, or 1 if the events could not be worked through. Without *db* the database of the
    last demonstration is replaced.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))
    with listening("127.0.0.1", port if serve else 0) as door:
        path = _fresh(DATABASE) if db is None else db
        host, real_port = door.getsockname()[:2]
        address = f"http://{host}:{real_port}"
        with (
            Estate(seed=seed, scale=scale) as estate,
            _opened(path, estate) as lineal,
            _answering(lineal, door),
        ):
            complete = _tell(estate, lineal, address)
            _print(lineal, f"--server {address}" if serve else f"--db {path}")
            if serve and complete:
                _stay(address)
    return 0 if complete else 1


def _fresh(path: Path) -> Path:
    """Remove the graph of the last demonstration."""
    for suffix in ("", "-wal", "-shm", ".index"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return path


@contextlib.contextmanager
def _opened(path: Path | str, estate: Estate) -> Iterator[Lineal]:
    with as_file(files("lineal.testing.estate") / "sources") as folder:
        config = Config(db=path, sources=(folder,), variables={"ESTATE_URL": estate.url})
        with Lineal.open(config) as lineal:
            yield lineal


@contextlib.contextmanager
def _answering(lineal: Lineal, door: object) -> Iterator[None]:
    """Answer over HTTP in a thread of its own."""
    running = uvicorn.Server(server.answering(server.create(lineal), log_level="error"))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [door]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        running.should_exit = True
        thread.join(timeout=10)


def _tell(estate: Estate, lineal: Lineal, address: str) -> bool:
    """Let the estate send its events, and wait until all that follows from them is known."""
    click.echo(f"Seven tools answer at {estate.url}; Lineal listens at {address}.", err=True)
    estate.announce()
    began = time.monotonic()
    sent = estate.send(f"{address}/api/v1/events", batch=100)
    lineal.start()
    click.echo(f"{sent} thin events sent and kept.", err=True)
    complete = _wait(lineal)
    seconds = time.monotonic() - began
    if complete:
        click.echo(f"Everything fetched and joined in {seconds:.1f} s.", err=True)
    else:
        click.echo(f"Not done after {seconds:.0f} s; see `lineal status`.", err=True)
    return complete


def _wait(lineal: Lineal) -> bool:
    """Wait until nothing is due, with a bar on a terminal."""
    until = time.monotonic() + PATIENCE
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task("fetching", total=None)
        while time.monotonic() < until:
            health = lineal.health()
            waiting = sum(one.waiting + one.dirty for one in health)
            known = sum(one.documents for one in health)
            bar.update(task, completed=known, total=known + waiting)
            if waiting == 0:
                return True
            time.sleep(0.2)
    return False


def _print(lineal: Lineal, where: str) -> None:
    counts = lineal.ask.counts(LOCAL).value
    shapes = lineal.shapes.types
    listed = ", ".join(
        f"{count} {shapes[name].plural.replace('-', ' ') if count != 1 else name}"
        for name, count in sorted(counts.items(), key=lambda item: -item[1])
    )
    click.echo(f"\nThe graph knows {sum(counts.values())} things: {listed}.\n")
    try:
        for question in told(lineal.ask):
            click.echo(
                f"{question.title}\n  {question.answer}\n  > lineal {question.command} {where}\n"
            )
    except StoreError as error:
        click.echo(f"The questions could not be asked: {error}", err=True)


def _stay(address: str) -> None:
    click.echo(f"The portal: {address}    (stop with Ctrl+C)")
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()

"""Running a server: over a database, or over the invented estate of the demonstration."""

from __future__ import annotations

import contextlib
import signal
import socket
from dataclasses import replace
from pathlib import Path

import click

from lineal.config import Config
from lineal.surfaces.cli.places import db_option, needing_the_server, opened_with, settings
from lineal.surfaces.listening import listening

_port = click.IntRange(0, 65_535)
_file = click.Path(exists=True, path_type=Path)
#: How long (seconds) requests, and then doors, may take to finish at the end: with what the
#: installation itself takes (`lineal.app.ENDING`) a server has ended after ten.
FINISHING = 2


@click.command()
@db_option
@click.option("--host", help="The address to answer on; LINEAL_HOST or 127.0.0.1 where not said.")
@click.option("--port", type=_port, help="The port, 0 for a free one; LINEAL_PORT or 8585.")
@click.option(
    "--source", "sources", multiple=True, type=_file, metavar="FILE",
    help="A declared source, or a folder of them; may be repeated.",
)  # fmt: skip
@click.option(
    "--shapes", multiple=True, type=_file, metavar="FILE",
    help="Further types and kinds; may be repeated.",
)  # fmt: skip
@click.option(
    "--door", "doors", multiple=True, type=_file, metavar="FILE",
    help="A file of doors, buses to listen to; may be repeated.",
)  # fmt: skip
def serve(
    db: Path | str | None,
    host: str | None,
    port: int | None,
    sources: tuple[Path, ...],
    shapes: tuple[Path, ...],
    doors: tuple[Path, ...],
) -> None:
    """Answer questions over HTTP, and keep up with the sources, until stopped."""
    config = settings(db)
    config = replace(
        config,
        host=host or config.host,
        port=config.port if port is None else port,
        sources=sources or config.sources,
        shapes=shapes or config.shapes,
        doors=doors or config.doors,
    )
    with listening(config.host, config.port) as door:
        _serve(config, door)


def _serve(config: Config, door: socket.socket) -> None:
    with needing_the_server():
        import uvicorn

        from lineal.surfaces import server
        from lineal.surfaces.events.opening import doors_of
    with opened_with(config, writable=True, log_from="info") as lineal:
        buses = doors_of(lineal)
        app = server.create(lineal, buses)
        _announce(config, door)
        running = uvicorn.Server(server.answering(app, log_level="warning", finishing=FINISHING))
        signal.signal(signal.SIGTERM, _interrupt)
        lineal.start()
        buses.start()
        try:
            with contextlib.suppress(KeyboardInterrupt):
                running.run(sockets=[door])
        finally:
            buses.stop(patience=FINISHING)


def _interrupt(*_: object) -> None:
    """End as Ctrl+C does, so that the database is closed and not dropped."""
    raise KeyboardInterrupt


def _announce(config: Config, door: socket.socket) -> None:
    host, port = door.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    click.echo(
        f"Lineal answers at http://{shown}:{port} from {config.db}. Stop it with Ctrl+C.", err=True
    )


@click.command()
@click.option("--serve/--no-serve", "serving", default=True, help="Answer over HTTP afterwards.")
@click.option("--port", type=_port, default=None, help="The port, 0 for a free one.")
@click.option("--scale", type=click.FloatRange(0.01), default=1.0, show_default=True,
              help="How large the estate is.")  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="Which estate it is.")
@db_option
@click.pass_context
def demo(
    context: click.Context,
    serving: bool,
    port: int | None,
    scale: float,
    seed: int,
    db: Path | str | None,
) -> None:
    """Fill a graph from an invented estate, and show it."""
    with needing_the_server():
        from lineal.surfaces import demo as show
    chosen = settings().port if port is None else port
    context.exit(show.run(serving, chosen, scale, seed, db))

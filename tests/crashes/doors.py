"""The smallest process that has doors and hydration: what `lineal serve` is without its pages.

The store, the write path, the background work and the endpoints are those of `lineal serve`, which
takes half a second longer to begin: too long for a kill at every point in every change.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from lineal.app import Lineal
from lineal.config import Config, database
from lineal.model import Json
from lineal.surfaces import rest_events, rest_work
from lineal.surfaces.errors_http import problem_response, translated
from lineal.surfaces.listening import listening


def careless(db: str, source: str) -> None:
    """Take events as `serve` does, but keep them only a moment after they were acknowledged."""
    serve(db, source, _later)


def _later(lineal: Lineal) -> None:
    receive = lineal.receive

    def acknowledge(source: str | None, events: Sequence[Mapping[str, Json]]) -> int:
        threading.Timer(0.1, receive, (source, events)).start()
        return len(events)

    lineal.receive = acknowledge  # type: ignore[method-assign]  # what is wrong on purpose


def serve(db: str, source: str, spoil: Callable[[Lineal], None] = lambda _: None) -> None:
    """Take events on a free port until stopped; *spoil* may make something wrong on purpose."""
    config = Config.from_environment()
    config = Config(
        db=database(db), sources=(Path(source),), index=config.index, variables=config.variables
    )
    with listening("127.0.0.1", 0) as door, Lineal.open(config) as lineal:
        spoil(lineal)
        app = FastAPI()
        for module in (rest_events, rest_work):
            app.include_router(module.router(lineal))
        app.add_exception_handler(
            Exception, lambda request, error: problem_response(translated(error), request)
        )
        running = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        print(f"It answers at http://127.0.0.1:{door.getsockname()[1]} .", file=sys.stderr)
        lineal.start()
        with contextlib.suppress(KeyboardInterrupt):
            running.run(sockets=[door])

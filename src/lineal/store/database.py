"""Where the facts are kept: an SQLite file, or a PostgreSQL database under a URL."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import sqlalchemy as sa

from lineal.store.sqlite import SqliteDatabase

#: A file, or the URL of a PostgreSQL database.
Place: TypeAlias = "Path | str"


class Database(Protocol):
    """Connections to one database: who may write, and its errors in our words."""

    writable: bool

    @property
    def name(self) -> str:
        """What to call the database in a message; never holds a password."""

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """Open a write transaction; it commits when the block ends well, else it is undone."""

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """Open one snapshot: everything read in the block is of one moment."""

    def glance(self, text: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        """Return the rows of one query, which is a snapshot by itself."""

    def hurried(self) -> AbstractContextManager[None]:
        """Let commits of this block be durable only at its end."""

    def tidy(self) -> None:
        """Do a bounded piece of what commits put off."""

    def compact(self) -> None:
        """Write the database anew without its gaps; nothing else is written meanwhile."""

    def close(self) -> None:
        """Close every connection."""


def connected(place: Place, *, writable: bool) -> Database:
    """
    Open the database at a place.

    Raises:
        StoreError: it cannot be used; the message says why.
        ConfigError: it is not there, or the driver is not installed.
    """
    if isinstance(place, Path):
        return SqliteDatabase(place, writable=writable)
    # The driver of PostgreSQL is an extra: needed only here.
    from lineal.store.postgres import PostgresDatabase  # noqa: PLC0415

    return PostgresDatabase(place, writable=writable)

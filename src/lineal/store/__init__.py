"""Facts on disk: what was said, by whom, when it was so and when we knew it.

`Store.commit` is the only way to write facts; `Store.read` the only way to read them, and it
takes a `Viewer`. `Store.working` is for what is still to do (inbox, marks), which are no facts.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import sqlalchemy as sa

from lineal.errors import ConfigError
from lineal.model import NOW, Instant, Moment, Viewer
from lineal.shapes import Shapes
from lineal.store import digest, migrations, schema, text, work
from lineal.store.basis import Basis, basis_of
from lineal.store.between import Between
from lineal.store.conclusions import Change, Conclusion, Derivation, Rules
from lineal.store.database import Database
from lineal.store.facts import together
from lineal.store.reading import Derived, Reader
from lineal.store.text import Describe, SearchRow, Wanted
from lineal.store.writing import Batch, Committed, Fence, Transaction

__all__ = [
    "Basis",
    "Batch",
    "Between",
    "Change",
    "Committed",
    "Conclusion",
    "Derivation",
    "Derived",
    "Describe",
    "Fence",
    "Reader",
    "Rules",
    "SearchRow",
    "Store",
    "Wanted",
    "clock_now",
    "text",
    "together",
    "work",
]


def clock_now() -> Instant:
    """Return the wall clock, in microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


class Store:
    """
    The facts of one installation, in one SQLite file.

    Raises:
        Busy, ReadOnly, Damaged, NewerSchema: the file cannot be used; the message says why.
    """

    def __init__(
        self,
        path: Path,
        *,
        shapes: Shapes,
        writable: bool = True,
        rules: Sequence[Rules] = (),
        describe: Describe | None = None,
        now: Callable[[], Instant] = clock_now,
    ) -> None:
        self._database = Database(path, writable=writable)
        self._shapes, self._rules, self._describe = shapes, tuple(rules), describe
        self.now = now
        try:
            self._prepare()
        except BaseException:
            self._database.close()
            raise

    def _prepare(self) -> None:
        """Bring the schema up to date, or check that it is."""
        if self._database.writable:
            with self._database.writing() as connection:
                migrations.upgrade(connection)
            return
        with self._database.reading() as connection:
            if migrations.current(connection) != migrations.newest():
                raise ConfigError(
                    f"{self._database.path} is not a Lineal database of this version.",
                    fix="Open it once with `lineal serve`, which brings it up to date.",
                )

    @property
    def path(self) -> Path:
        """The database file."""
        return self._database.path

    @property
    def shapes(self) -> Shapes:
        """The types and kinds that this store was opened with."""
        return self._shapes

    def commit(self, batch: Batch) -> Committed:
        """
        Write what is new in *batch*, what follows from it, its search rows and its cause.

        All of it or nothing. Saying the same again writes no fact. Returns the transaction and
        counts; a batch whose token was committed before is not written again.
        """
        with self._database.writing() as connection:
            known = _committed(connection, batch.token)
            if known is not None:
                return Committed(known, {"same": len(batch.words)})
            return Transaction(
                connection,
                self._shapes,
                now=self.now(),
                rules=self._rules,
                describe=self._describe,
            ).apply(batch)

    @contextlib.contextmanager
    def read(self, viewer: Viewer, moment: Moment = NOW) -> Iterator[Reader]:
        """Open a reader at one basis and one moment; everything in the block is of one snapshot."""
        with self._database.reading() as connection:
            yield Reader(connection, viewer, basis_of(connection, moment, self.now()))

    @contextlib.contextmanager
    def between(self, viewer: Viewer, before: Moment, after: Moment = NOW) -> Iterator[Between]:
        """Open readers at two moments and at what lies between; all of it is of one snapshot."""
        with self._database.reading() as connection:
            now = self.now()
            yield Between(
                connection,
                lambda basis: Reader(connection, viewer, basis),
                basis_of(connection, before, now),
                basis_of(connection, after, now),
            )

    @contextlib.contextmanager
    def working(self) -> Iterator[sa.Connection]:
        """Open a transaction for the functions of `lineal.store.work`, which write no facts."""
        with self._database.writing() as connection:
            yield connection

    @contextlib.contextmanager
    def looking(self) -> Iterator[sa.Connection]:
        """Open a snapshot for the functions of `lineal.store.work` that only look."""
        with self._database.reading() as connection:
            yield connection

    def register(self, platforms: Mapping[tuple[str, str], str]) -> None:
        """Say which source is registered to describe which type on which platform."""
        rows = [
            {"type": kind, "platform": platform, "source": source}
            for (kind, platform), source in sorted(platforms.items())
        ]
        with self._database.writing() as connection:
            connection.execute(sa.delete(schema.registered))
            if rows:
                connection.execute(sa.insert(schema.registered), rows)

    def digest(self) -> str:
        """Return the digest of all that is so now, whatever way it came to be known."""
        with self._database.reading() as connection:
            return digest.graph(connection)

    def tidy(self) -> None:
        """Do a bounded piece of the upkeep that commits put off."""
        with self._database.writing() as connection:
            text.tidy(connection)

    def compact(self) -> None:
        """Write the database anew without its gaps. No fact and no answer changes by it."""
        self._database.compact()

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def _committed(connection: sa.Connection, token: str | None) -> int | None:
    if token is None:
        return None
    return connection.scalar(sa.select(schema.tx.c.t).where(schema.tx.c.token == token))

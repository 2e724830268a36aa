"""Facts on disk: what was said, by whom, when it was so and when we knew it.

`Store.commit` is the only way to write facts; `Store.read` the only way to read them, and it
takes a `Viewer`. `Store.working` is for what is still to do (inbox, marks), which are no facts.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import sqlalchemy as sa

from lineal.errors import ConfigError
from lineal.model import NOW, Instant, Moment, Viewer
from lineal.shapes import Shapes
from lineal.store import copies, digest, exporting, importing, lines, migrations, schema, text, work
from lineal.store.basis import Basis, basis_of
from lineal.store.conclusions import Change, Conclusion, Derivation, Rules
from lineal.store.database import Database
from lineal.store.exporting import Progress
from lineal.store.facts import together
from lineal.store.names import Names
from lineal.store.reading import Derived, Reader
from lineal.store.terms import Terms
from lineal.store.text import Describe, SearchRow, Wanted
from lineal.store.trouble import ROOM, Trouble, probe_file
from lineal.store.writing import Batch, Committed, Fence, Grammar, Surroundings, Transaction

__all__ = [
    "Basis",
    "Batch",
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
        self._trouble = Trouble(self._probe, self._check)
        self._shapes = shapes
        self._around = Surroundings(Grammar(shapes), Terms(), Names(), tuple(rules), describe)
        self.now = now
        try:
            self._prepare()
        except BaseException:
            self._database.close()
            raise

    def _prepare(self) -> None:
        """See that the file is sound, and bring the schema up to date; or check that it is."""
        if self._database.writable:
            self._check()
            with self._writing() as connection:
                migrations.upgrade(connection)
            return
        with self._reading() as connection:
            if migrations.current(connection) != migrations.newest():
                raise ConfigError(
                    f"{self._database.path} is not a Lineal database of this version.",
                    fix="Bring it up to date by `lineal db upgrade`, or by a server that opens it.",
                )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._trouble.noticed(writes=True), self._database.writing() as connection:
            yield connection

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._trouble.noticed(writes=False), self._database.reading() as connection:
            yield connection

    def _check(self) -> None:
        with self._database.reading() as connection:
            copies.look_over(self.path, connection)

    def _probe(self) -> None:
        """Take some room for a moment, in the database and beside it, and commit nothing new."""
        probe_file(self.path)
        much = {"source": "", "received_at": 0, "body": " " * ROOM}
        with self._database.writing() as connection:
            room = connection.begin_nested()
            connection.execute(sa.insert(schema.inbox).values(much))
            room.rollback()
            connection.execute(sa.update(schema.clock).values(t=schema.clock.c.t))

    def raise_if_troubled(self) -> None:
        """
        Raise what is wrong with the database now: a write or read failed, and still would.

        Raises:
            StorageFull, ReadOnly, Damaged: as `commit` and `read` do.
        """
        self._trouble.raise_if_any()

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
        try:
            with self._writing() as connection:
                known = _committed(connection, batch.token)
                if known is not None:
                    return Committed(known, {"same": len(batch.words)})
                transaction = Transaction(connection, self._around, now=self.now())
                committed = transaction.apply(batch)
        except BaseException:
            self._around.terms.forget()
            raise
        transaction.learned()
        return committed

    @contextlib.contextmanager
    def read(self, viewer: Viewer, moment: Moment = NOW) -> Iterator[Reader]:
        """Open a reader at one basis and one moment; everything in the block is of one snapshot."""
        with self._reading() as connection:
            basis = basis_of(connection, moment, self.now())
            yield Reader(connection, viewer, basis, self._around.terms)

    @contextlib.contextmanager
    def working(self) -> Iterator[sa.Connection]:
        """Open a transaction for the functions of `lineal.store.work`, which write no facts."""
        with self._writing() as connection:
            yield connection

    @contextlib.contextmanager
    def looking(self) -> Iterator[sa.Connection]:
        """Open a snapshot for the functions of `lineal.store.work` that only look."""
        with self._reading() as connection:
            yield connection

    def register(self, platforms: Mapping[tuple[str, str], str]) -> None:
        """Say which source is registered to describe which type on which platform."""
        rows = [
            {"type": kind, "platform": platform, "source": source}
            for (kind, platform), source in sorted(platforms.items())
        ]
        with self._writing() as connection:
            connection.execute(sa.delete(schema.registered))
            if rows:
                connection.execute(sa.insert(schema.registered), rows)

    def digest(self) -> str:
        """Return the digest of all that is so now, whatever way it came to be known."""
        with self._reading() as connection:
            return digest.graph(connection, self._around.terms)

    def export(self, out: IO[bytes], *, progress: Progress | None = None) -> int:
        """
        Write all that is held, and all that ever was, as lines that every store reads.

        Returns the last transaction. Raises `Damaged` where something is not as it was written.
        """
        with self._reading() as connection, exporting.sorting_on_disk(connection):
            return exporting.export(connection, lines.Writer(out), progress)

    def fill(self, file: IO[bytes], name: str, *, progress: Progress | None = None) -> int:
        """
        Fill this database, which must be empty, from an export; all of it or nothing.

        Returns the last transaction. Raises `ConfigError` where the database is in use, and
        `FileRefused` where the file is no export, was cut, or is not as it was written.
        """
        source = lines.Lines(file, name)
        with self._writing() as connection:
            describe = self._around.describe
            return importing.fill(connection, source, describe=describe, progress=progress)

    def tidy(self) -> None:
        """Do a bounded piece of the upkeep that commits put off."""
        with self._writing() as connection:
            text.tidy(connection)

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def _committed(connection: sa.Connection, token: str | None) -> int | None:
    if token is None:
        return None
    return connection.scalar(sa.select(schema.tx.c.t).where(schema.tx.c.token == token))

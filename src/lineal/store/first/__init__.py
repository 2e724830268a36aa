"""The first load of an SQLite database: very many records into a file that knows nothing yet.

There is nothing to compare with, so nothing is looked up: this process words the records as rows,
a second one (`hand`) writes them into a new file without a journal, and makes the indexes, the
other copy of the edges and the rest at the end, in order. The file takes the place of the empty
one when all of it is sound and on disk; before that, nobody sees anything of it.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, TypeAlias

from lineal import errors
from lineal.errors import Busy, StoreError
from lineal.model import Instant, Record
from lineal.store import copies, text
from lineal.store.batches import Surroundings
from lineal.store.database import Database
from lineal.store.driver import Driver
from lineal.store.first.following import conclude_all, describe_rest
from lineal.store.first.frames import LENGTH, Begin, Told
from lineal.store.first.telling import Telling
from lineal.store.names import Names
from lineal.store.sqlite import SqliteDatabase
from lineal.store.terms import Terms

#: How many records are one transaction.
LOADED = 5_000
#: How many names are held in memory; and how many records that came a second time.
MOST_NAMES, MOST_LEFT = 8_000_000, 100_000
#: How many frames may wait for the second process.
_WAITING = 3

#: Told how many records are in.
Progressed: TypeAlias = "Callable[[int], None] | None"
#: The tables that are empty where nothing was ever stated.
_BLANK = ("tx", "entity", "uri", "document", "term", "facet_value", "forgotten")


def is_blank(database: Database) -> bool:
    """Return whether this is a file of which nothing is known yet, so that it can be replaced."""
    if not isinstance(database, SqliteDatabase):
        return False
    with database.reading() as connection:
        driver = Driver(connection)
        return not any(driver.row(f"SELECT 1 FROM {name} LIMIT 1") for name in _BLANK)


class FirstLoad:
    """
    One first load.

    After `into`, *left* are records that could not be taken, because their document was told
    before: they are to be committed in the ordinary way, before whatever comes after; *begun* is
    how many rows of facts there are.
    """

    def __init__(
        self, around: Surroundings, *, now: Callable[[], Instant], actor: str, cause: str
    ) -> None:
        self._around, self._now, self._actor, self._cause = around, now, actor, cause
        self._telling = Telling(around.grammar.parts, around.describe)
        self.left: list[Record] = []
        self.begun = 0

    def into(
        self, database: SqliteDatabase, records: Iterator[Record], progress: Progressed
    ) -> int:
        """
        Take records until there are no more, or too many to remember; return how many.

        None is taken where somebody is reading *database*, which must be blank.

        Raises:
            StoreError: the file could not be written; the message says why.
        """
        with contextlib.ExitStack() as stack:
            try:
                path = stack.enter_context(copies.replaced(database))
            except Busy:
                return 0
            count = self._tell(path, records, progress)
            self.begun = self._telling.begun + self._follow(path)
        return count

    def _tell(self, path: Path, records: Iterator[Record], progress: Progressed) -> int:
        count = 0
        with _Hand(Begin(str(path), self._actor, self._cause)) as hand:
            while not self._is_full() and (some := list(islice(records, LOADED))):
                told, left = self._telling.tell(some, self._now())
                self.left += left
                hand.give(told)
                count += len(some)
                if progress is not None:
                    progress(count)
        return count

    def _is_full(self) -> bool:
        return len(self._telling.keys) > MOST_NAMES or len(self.left) > MOST_LEFT

    def _follow(self, path: Path) -> int:
        """Add what follows from what was told, which is all there now; return how many rows."""
        around = replace(
            self._around, terms=Terms(), names=Names(self._telling.keys), facets=text.Facets()
        )
        with contextlib.closing(SqliteDatabase(path)) as database, database.hurried(alone=True):
            describe_rest(database, around, self._telling.rest)
            return conclude_all(
                database, around, now=self._now, actor=self._actor, cause=self._cause
            )


class _Hand:
    """The second process, seen from the first."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._frames: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._broken = threading.Event()

    def __enter__(self) -> _Hand:
        # What can be imported here can be imported there; what is sorted there lies where there
        # must be room for the database anyway.
        path = os.pathsep.join(part for part in sys.path if part)
        ours = {"PYTHONPATH": path, "SQLITE_TMPDIR": str(Path(self._begin.path).parent)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lineal.store.first.hand"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **ours},
        )
        self._sender = threading.Thread(target=self._send, name="first-load", daemon=True)
        self._sender.start()
        self._put(self._begin)
        return self

    def give(self, told: Told) -> None:
        """Hand over a batch; waits where too many are on their way."""
        if self._broken.is_set():
            self._raise()
        self._put(told)

    def _put(self, frame: Begin | Told) -> None:
        self._frames.put(marshal.dumps(tuple(frame), 2))

    def _send(self) -> None:
        """Write frames to the other process; what it refuses is thrown away."""
        pipe = self._process.stdin
        assert pipe is not None
        while (frame := self._frames.get()) is not None:
            self._write(pipe, frame)
        # The empty frame: all is told.
        self._write(pipe, b"")
        with contextlib.suppress(OSError):
            pipe.close()

    def _write(self, pipe: IO[bytes], frame: bytes) -> None:
        if not self._broken.is_set():
            try:
                pipe.write(LENGTH.pack(len(frame)))
                pipe.write(frame)
            except OSError:
                self._broken.set()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._broken.set()
            self._process.kill()
        self._frames.put(None)
        self._sender.join()
        try:
            if kind is None:
                self._raise()
        finally:
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()

    def _raise(self) -> None:
        """Raise what the other process says went wrong, if anything did."""
        assert self._process.stdout is not None
        said = self._process.stdout.read()
        name, message, fix = (
            marshal.loads(said)  # noqa: S302 (of our own child)
            if said
            else ("StoreError", "The process that writes the first load has gone.", "Try again.")
        )
        if name:
            raise getattr(errors, name, StoreError)(message, fix=fix)


__all__ = ["LOADED", "FirstLoad", "Progressed", "is_blank"]

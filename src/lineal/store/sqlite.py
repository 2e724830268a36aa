"""An SQLite file: how its connections are set, who may write, and its errors in our words.

Exactly one connection writes and checkpoints, in one process at a time; a second process is
refused by name. Readers are opened read-only and never checkpoint.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import QueuePool, StaticPool

from lineal.errors import (
    Busy,
    ConfigError,
    Damaged,
    OutOfTime,
    ReadOnly,
    StorageFull,
    StoreError,
    Unstorable,
)
from lineal.points import reached
from lineal.store.opened import OpenedFile
from lineal.store.owner import own

_PATIENCE = "PRAGMA busy_timeout=5000"
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    _PATIENCE,
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
    "PRAGMA cache_size=-65536",
    "PRAGMA temp_store=MEMORY",
)
_READ_PRAGMAS = (*_PRAGMAS[3:], "PRAGMA query_only=ON")
#: How much of a file the writer reads where it is mapped into memory, in bytes: as much as SQLite
#: maps at most, 2 GB as it is built. What a single change needs lies on pages that nobody has
#: looked at for long, and to copy each of them out of the file costs more than to look at it.
_MAPPED = 1 << 31
#: The writer checkpoints between commits (`tidy`); this many pages are the backstop.
_WRITE_PRAGMAS = (
    *_PRAGMAS,
    "PRAGMA wal_autocheckpoint=20000",
    "PRAGMA cache_size=-524288",
    f"PRAGMA mmap_size={_MAPPED}",
)
#: From how many pages on (200 MB) a log is to begin anew, and for how many milliseconds those are
#: waited for who read what is in it.
LONG_LOG, _READERS_WAITED_FOR = 50_000, 250
#: How many pages of the full-text index one piece of upkeep merges.
_MERGE = 300


class SqliteDatabase:
    """
    An SQLite file: one writer and many readers.

    *path* is created where it is missing, unless *writable* is False.

    Raises:
        Busy: another process writes to it.
        ReadOnly: the file or its folder may not be written.
        Damaged: the file is not an SQLite database.
    """

    def __init__(self, path: Path, *, writable: bool = True) -> None:
        self.path = path
        self.writable = writable
        self._write_lock = threading.RLock()
        #: Whether upkeep merges full text too.
        self._merges = True
        #: How long the log was when it was last tried to let it begin anew.
        self._tried_at = 0
        self._owner: IO[str] | None = None
        #: The file that is written; None where none is.
        self._file: OpenedFile | None = None
        self._glancing = threading.local()
        self._glances: list[sqlite3.Connection] = []
        if writable:
            self._owner = own(path)
        elif not path.exists():
            raise ConfigError(
                f"There is no database at {path}.",
                fix="Make one with `lineal serve` or `lineal import`, or name another by --db.",
            )
        self._reader = sa.create_engine(
            "sqlite://",
            creator=self._open_reader,
            poolclass=QueuePool,
            pool_size=8,
            max_overflow=8,
            # Who was asked last has read most of what is asked for next.
            pool_use_lifo=True,
            pool_reset_on_return="rollback",
        )
        event.listen(self._reader, "begin", lambda connection: _exec(connection, "BEGIN"))
        self._writer: sa.Connection | None = None
        if writable:
            try:
                self._writer = self._connected_writer()
            except BaseException:
                self.close()
                raise

    @property
    def name(self) -> str:
        """What to call the database in a message."""
        return str(self.path)

    # ── Opening ──────────────────────────────────────────────────────────────────────────────

    def _connected_writer(self) -> sa.Connection:
        # It is taken once: to take it for every commit costs more than some of its statements.
        with translated(self.path):
            # A transaction is committed or undone by whoever opened it: nothing is left to reset.
            engine = sa.create_engine(
                "sqlite://",
                creator=self._open_writer,
                poolclass=StaticPool,
                pool_reset_on_return=None,
            )
            connection = engine.connect()
            # To SQLAlchemy all is one transaction without an end, which does nothing in the file;
            # `writing` says where one begins there, in a third of the time.
            connection.begin()
            self._file = OpenedFile(self.path)
            return connection

    def _open_writer(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        return _configured(connection, _WRITE_PRAGMAS)

    def _open_reader(self) -> sqlite3.Connection:
        # Some would read another file than those who were there before.
        self.see_file()
        address = f"{self.path.resolve().as_uri()}?mode=ro"
        try:
            return _configured(
                _read_only(address), ("SELECT 1 FROM sqlite_master LIMIT 1", *_READ_PRAGMAS)
            )
        except sqlite3.OperationalError:
            # A read-only disk cannot hold the shared memory of WAL; the file itself is at rest,
            # unless the last commits still lie in the log beside it.
            log = self.path.with_name(f"{self.path.name}-wal")
            if log.exists() and log.stat().st_size:
                raise
            return _configured(_read_only(f"{address}&immutable=1"), _READ_PRAGMAS)

    def close(self) -> None:
        """Close readers first, then the writer, then give up ownership."""
        self._reader.dispose()
        for connection in self._glances:
            connection.close()
        if self._writer is not None:
            self._writer.close()
            self._writer.engine.dispose()
        if self._owner is not None:
            self._owner.close()
            self._owner = None

    def see_file(self) -> None:
        """See that the file that is written is the one at its path; raises `Damaged`."""
        file = self._file
        if file is not None:
            file.see()

    # ── Using ────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Open a write transaction; it commits when the block ends well, else it is undone."""
        if self._writer is None:
            raise ReadOnly(
                f"{self.path} was opened for reading only.",
                fix="Write through the server that owns it.",
            )
        with self._write_lock, translated(self.path):
            self.see_file()
            raw = _raw(self._writer)
            raw.execute("BEGIN IMMEDIATE")
            try:
                reached("transaction-begun")
                yield self._writer
                reached("transaction-written")
                raw.commit()
            except BaseException:
                raw.rollback()
                raise
            reached("transaction-committed")

    def glance(self, text: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        """Return the rows of one query, which is a snapshot by itself."""
        try:
            connection: sqlite3.Connection = self._glancing.connection
        except AttributeError:
            with translated(self.path):
                connection = self._glancing.connection = self._open_reader()
            self._glances.append(connection)
        try:
            return connection.execute(text, values).fetchall()
        except sqlite3.Error:
            with translated(self.path):
                raise

    @contextlib.contextmanager
    def hurried(self, *, alone: bool = False) -> Iterator[None]:
        """
        Let commits of this block be durable, and full text merged, only at its end.

        *alone*: nobody else knows the file, and it is thrown away where the block fails; so it
        keeps no journal meanwhile. Its text was merged by whoever wrote it.
        """
        if alone:
            self._set("PRAGMA journal_mode=OFF")
        self._set(f"PRAGMA synchronous={'OFF' if alone else 'NORMAL'}")
        self._merges = False
        try:
            yield
        finally:
            self._merges = True
            self._set("PRAGMA synchronous=FULL")
        if alone:
            self._set("PRAGMA journal_mode=WAL")
        else:
            # This commit makes all before it durable too.
            self._optimize()
        self.tidy()
        if alone:
            with self.path.open("rb") as file:
                os.fsync(file)

    @contextlib.contextmanager
    def resting(self) -> Iterator[None]:
        """
        Let nobody write in the block, and have all that was written in the file itself.

        Raises:
            Busy: somebody reads who began before the last commit.
        """
        with self._write_lock:
            ((busy, _, _),) = self._set("PRAGMA wal_checkpoint(TRUNCATE)")
            if busy:
                raise Busy(f"{self.path} is being read.", fix="Try again.")
            yield

    def copy_to(self, path: Path) -> None:
        """Write what is in the file to a new one."""
        with self._write_lock, translated(self.path):
            assert self._writer is not None
            _raw(self._writer).execute("VACUUM INTO ?", (str(path),))

    def take_over(self, path: Path) -> None:
        """
        Put another file in the place of this one, which rests; whoever reads goes on with the old.

        Raises:
            StoreError, OSError: it could not be done; the old file is there, and in use, as it was.
        """
        with self._write_lock, translated(self.path):
            assert self._writer is not None
            # Until the other one is there and open, whoever begins to read takes what is there.
            self._file = None
            self._writer.close()
            self._writer.engine.dispose()
            self._reader.dispose()
            self._glancing = threading.local()
            # They are empty, and must not be taken for those of the new file.
            for ending in ("-wal", "-shm"):
                self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
            reached("file-ready")
            try:
                path.replace(self.path)
                reached("file-replaced")
            finally:
                self._writer = self._connected_writer()

    def _set(self, pragma: str) -> list[tuple[Any, ...]]:
        if self._writer is None:
            raise ReadOnly(f"{self.path} was opened for reading only.")
        with self._write_lock, translated(self.path):
            return _raw(self._writer).execute(pragma).fetchall()  # type: ignore[no-any-return]

    def compact(self) -> None:
        """
        Write the file anew without its gaps; nothing else is written meanwhile.

        What was deleted is in no page of it afterwards, and in no part of the search index.
        """
        self._optimize()
        # Outside of any transaction, where alone this is allowed.
        self._set("VACUUM")
        ((pages,),), ((size,),) = self._set("PRAGMA page_count"), self._set("PRAGMA page_size")
        assert self._file is not None
        self._file.may_shrink_to(pages * size)
        self._set("PRAGMA wal_checkpoint(TRUNCATE)")

    def _optimize(self) -> None:
        """Merge all full text into one."""
        with self.writing() as connection:
            connection.exec_driver_sql("INSERT INTO search (search) VALUES ('optimize')")

    def tidy(self) -> None:
        """
        Do a bounded piece of what commits put off: merge full text, move the log into the file.

        On the writer's own connection, between two commits: there must be no second one.
        """
        if self._merges:
            with self.writing() as connection:
                connection.exec_driver_sql(
                    f"INSERT INTO search (search, rank) VALUES ('merge', {_MERGE})"
                )
                reached("text-merged")
        with self._write_lock:
            self.see_file()
            ((_, length, _),) = self._set("PRAGMA wal_checkpoint(PASSIVE)")
        reached("log-moved")
        self._bound_log(length)

    def _bound_log(self, length: int) -> None:
        """
        Let the log begin anew where it has become long, and *length* pages are in it.

        By itself it does so when nobody reads, which where many always do is never: it would grow
        without end. Nobody commits meanwhile, so that whoever begins to read now reads the file
        itself, and only those are waited for who read already. Where one of them takes long, it is
        tried again when as much has come.
        """
        if length < self._tried_at:
            self._tried_at = 0
        if length - self._tried_at < LONG_LOG:
            return
        self._tried_at = length
        with self._write_lock:
            self._set(f"PRAGMA busy_timeout={_READERS_WAITED_FOR}")
            try:
                self._set("PRAGMA wal_checkpoint(RESTART)")
            finally:
                self._set(_PATIENCE)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open one snapshot: everything read in the block is of one moment."""
        with translated(self.path), self._reader.connect() as connection, connection.begin():
            yield connection


def _read_only(address: str) -> sqlite3.Connection:
    return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)


def _configured(connection: sqlite3.Connection, statements: Sequence[str]) -> sqlite3.Connection:
    """Run the settings of a connection; one that cannot be set up is closed."""
    try:
        for statement in statements:
            connection.execute(statement).fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _exec(connection: sa.Connection, statement: str) -> None:
    _raw(connection).execute(statement)


def _raw(connection: sa.Connection) -> Any:
    """Return the driver's own connection."""
    return connection.connection.driver_connection


#: What SQLite says, and what it means. The first text found decides.
_MEANINGS: tuple[tuple[str, type[StoreError], str], ...] = (
    ("database or disk is full", StorageFull, "Free some room; nothing written so far is lost."),
    ("readonly database", ReadOnly, "Make the file, its folder and its disk writable."),
    ("read-only", ReadOnly, "Make the file, its folder and its disk writable."),
    ("unable to open", ReadOnly, "Check that the folder exists and may be written."),
    ("not a database", Damaged, "Name a Lineal database by --db, or restore a backup."),
    ("could not decode", Damaged, "Restore a backup; do not write to this file."),
    ("unsupported file format", Damaged, "Restore a backup; do not write to this file."),
    ("too big", Unstorable, "It is larger than the database takes: shorten it, or leave it out."),
    ("malformed", Damaged, "Restore a backup; do not write to this file."),
    ("disk i/o error", Damaged, "Check the disk, then restore a backup."),
    ("interrupted", OutOfTime, "Ask for less, or give it more time."),
    ("database is locked", Busy, "Another program holds it; stop that one or try again."),
)


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn the database's errors into ours."""
    try:
        yield
    except (sa.exc.DBAPIError, sqlite3.Error) as error:
        text = str(getattr(error, "orig", error) or error)
        for found, meaning, fix in _MEANINGS:
            if found in text.lower():
                raise meaning(f"{path}: {text}.", fix=fix) from error
        raise StoreError(f"{path}: {text}.", fix="Please report this.") from error
    except UnicodeDecodeError as error:
        raise Damaged(
            f"{path} holds what is no text: {error}.",
            fix="Restore a backup; do not write to this file.",
        ) from error
    except OSError as error:
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise ReadOnly(f"{path} may not be written: {error.strerror}.") from error
        if error.errno == errno.ENOSPC:
            raise StorageFull(f"No room left at {path}.") from error
        raise

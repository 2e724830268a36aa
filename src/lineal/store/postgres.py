"""A PostgreSQL database: its connections, its time limits, and its errors in our words.

Several processes may write at once. A commit takes the clock row's lock as its first statement,
so that the order of numbers is the order of commits; a reader asks one snapshot.
"""

from __future__ import annotations

import contextlib
import select
import threading
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from lineal.errors import (
    Busy,
    ConfigError,
    Damaged,
    OutOfTime,
    ReadOnly,
    StorageFull,
    StoreError,
    Undone,
    Unreachable,
    Unstorable,
)
from lineal.points import reached
from lineal.store.driver import Driver

try:
    import psycopg
except ImportError as error:
    raise ConfigError(
        "PostgreSQL needs a driver that is not installed.",
        fix="Run pip install 'lineal[postgres]'.",
    ) from error

#: The oldest version that is tried with every release.
OLDEST = 15
#: What Lineal sets for each of its connections, whatever the server's own settings are.
_SETTINGS = {
    "synchronous_commit": "on",
    "lock_timeout": "30s",
    "statement_timeout": "10min",
    "idle_in_transaction_session_timeout": "5min",
}


class PostgresDatabase:
    """
    A PostgreSQL database: many writers and many readers.

    Raises:
        Unreachable: no server answers there.
        ConfigError: the database does not exist, the server is too old, or the URL is none.
        ReadOnly: whoever asks may not write there.
    """

    def __init__(self, url: str, *, writable: bool = True) -> None:
        self.writable = writable
        self._url = _parsed(url)
        self.name = self._url.set(drivername="postgresql").render_as_string(hide_password=True)
        settings = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
        options = {"options": settings, "application_name": "lineal", "connect_timeout": 10}
        engine = sa.create_engine(
            self._url, connect_args=options, pool_size=8, max_overflow=8, pool_pre_ping=False
        )
        sa.event.listen(engine, "checkout", _unless_broken)
        self._writer = engine.execution_options(isolation_level="READ COMMITTED")
        self._reader = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._engine = engine
        # What one process remembers of the database is written by one thread at a time.
        self._write_lock = threading.RLock()
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def _check(self) -> None:
        """Look who answers."""
        with self.reading() as connection:
            version = int(connection.scalar(sa.text("SHOW server_version_num")) or 0)
        refuse_older(self.name, version)

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Open a write transaction; it commits when the block ends well, else it is undone."""
        if not self.writable:
            raise ReadOnly(f"{self.name} was opened for reading only.")
        with self._write_lock, translated(self.name):
            with self._writer.begin() as connection:
                reached("transaction-begun")
                yield connection
                reached("transaction-written")
            reached("transaction-committed")

    def glance(self, text: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        """Return the rows of one query, which is a snapshot by itself."""
        with self.reading() as connection:
            return Driver(connection).rows(text, *values)

    @contextlib.contextmanager
    def hurried(self) -> Iterator[None]:
        """The server makes every commit durable; a large one costs no more than a small one."""
        yield

    def compact(self) -> None:
        """Let the server give room back; nothing else is written meanwhile."""
        with self._write_lock, translated(self.name):
            engine = self._engine.execution_options(isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                connection.execute(sa.text("VACUUM"))

    def tidy(self) -> None:
        """The server looks after itself."""

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open one snapshot: everything read in the block is of one moment."""
        with translated(self.name), self._reader.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _unless_broken(raw: psycopg.Connection, _record: object, _proxy: object) -> None:
    """
    Refuse a pooled connection that has something to say, so that another is taken.

    The server speaks unasked to say that it goes, and its going is an end to be read: so a look at
    the socket finds what broke while nobody used it, without a question to the server.
    """
    poll = select.poll()
    poll.register(raw.pgconn.socket, select.POLLIN)
    if poll.poll(0):
        raise sa.exc.DisconnectionError("It broke while nobody used it.")


def refuse_older(name: str, version: int) -> None:
    """Raise `ConfigError` for a server of a version, as its ``server_version_num``, too old."""
    if version < OLDEST * 10_000:
        raise ConfigError(
            f"{name} is PostgreSQL {version // 10_000}.",
            fix=f"Use PostgreSQL {OLDEST} or newer.",
        )


def _parsed(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise ConfigError(
            "The database is neither a file nor a URL.",
            fix="Write postgresql://user@host:5432/database.",
        ) from error
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigError(
            f"{parsed.drivername} is no database of Lineal.",
            fix="Name a file, or write postgresql://user@host:5432/database.",
        )
    # Written as a parameter it would be shown, as the rest of a URL is.
    password = parsed.query.get("password")
    if isinstance(password, str):
        parsed = parsed.difference_update_query(["password"]).set(password=password)
    return parsed.set(drivername="postgresql+psycopg")


#: What PostgreSQL's codes mean; the longest beginning that fits decides.
_MEANINGS: dict[str, tuple[type[StoreError] | type[ConfigError], str]] = {
    "08": (Unreachable, "Start the server, or check the address; nothing acknowledged is lost."),
    "22": (Unstorable, "Leave it out, or say it otherwise."),
    "25006": (ReadOnly, "Connect to the primary, or give the user the right to write."),
    "28": (ConfigError, "Check user and password in LINEAL_DB."),
    "3D000": (ConfigError, "Create the database first: createdb NAME."),
    "40": (Undone, "Another transaction was in the way; try again."),
    "42501": (ReadOnly, "Give the user the right to create and write tables."),
    "53100": (StorageFull, "Free some room on the server; nothing written so far is lost."),
    "53": (StoreError, "The server lacks memory or room to work; its log says of what."),
    "53300": (Busy, "The server has too many connections; close some or allow more."),
    "54": (Unstorable, "It is larger than the database takes: shorten it, or leave it out."),
    "55P03": (Busy, "Another writer held the clock for too long; try again."),
    "57014": (OutOfTime, "It took too long and was stopped; ask for less, or try again."),
    "57P": (Unreachable, "The server is stopping or starting; try again."),
    "58": (StoreError, "The server's disk or system fails; its log says how."),
    "XX001": (Damaged, "Restore a backup; do not write to this database."),
    "XX002": (Damaged, "Rebuild the index (REINDEX), or restore a backup."),
}


@contextlib.contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn the database's errors into ours."""
    try:
        yield
    except (sa.exc.DBAPIError, psycopg.Error) as error:
        found = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        code = getattr(found, "sqlstate", None) or ""
        text = _plain(str(found))
        for length in (5, 3, 2):
            if code[:length] in _MEANINGS and len(code) >= length:
                meaning, fix = _MEANINGS[code[:length]]
                raise meaning(f"{name}: {text}.", fix=fix) from error
        if isinstance(found, psycopg.OperationalError) and not code:
            raise _connection_error(name, text) from error
        if isinstance(found, psycopg.DataError):
            # The driver itself refuses some values, before the server sees them.
            raise Unstorable(f"{name}: {text}.", fix=_MEANINGS["22"][1]) from error
        raise StoreError(f"{name}: {text}.", fix="Please report this.") from error


def _plain(text: str) -> str:
    """Return what the server said in one line, without what is said of every connection."""
    line = " ".join(text.rpartition("FATAL:")[2].split())
    return (
        line.partition(" Is the server running")[0].removeprefix("connection failed: ").rstrip(".")
    )


def _connection_error(name: str, text: str) -> Exception:
    """An error before there was a session has no code, only a text."""
    lowered = text.lower()
    if "does not exist" in lowered:
        return ConfigError(
            f"{name}: {text}.", fix="Create it (createdb, createuser), or correct LINEAL_DB."
        )
    if "password" in lowered or "authentication" in lowered or "no pg_hba" in lowered:
        return ConfigError(f"{name}: {text}.", fix="Check user and password in LINEAL_DB.")
    if "too many" in lowered:
        return Busy(f"{name}: {text}.", fix="Close some connections, or allow more.")
    return Unreachable(
        f"{name}: {text}.",
        fix="Start the server, or check the address; nothing acknowledged is lost.",
    )

"""Copies of an SQLite database: made while it is written to, checked, and put back in its place.

A copy is one snapshot. The reader that holds it stops no writer, and no writer makes it begin
anew, as it would without. Nothing is put under its name before it was checked.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import sqlalchemy as sa

from lineal.errors import ConfigError, Damaged
from lineal.store import migrations
from lineal.store.owner import own
from lineal.store.sqlite import SqliteDatabase, translated

#: Told how much is done, of how much, of what.
Progress: TypeAlias = "Callable[[int, int | None, str], None]"

#: How many pages are copied at a time.
STEP = 1_000
#: How many faults of a file are told.
TOLD = 10
#: Up to which size a file is read whole before it is served: 800 MB take a second.
READ_WHOLE = 1 << 30
_ALL_RESTS_ON = ("sqlite_schema", "alembic_version", "clock", "registered")


@dataclass(frozen=True, slots=True)
class Standing:
    """What a database file holds: its schema, its last transaction, and that one's seal."""

    schema: str | None
    t: int
    #: Of the last transaction; None in schemas that had none.
    hash: str | None


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy that was made and found sound."""

    path: Path
    standing: Standing
    size: int


@dataclass(frozen=True, slots=True)
class Restored:
    """A backup in its place, and where that which was there before lies now."""

    standing: Standing
    aside: Path | None


def backup(
    source: Path, target: Path, *, force: bool = False, progress: Progress | None = None
) -> Copied:
    """
    Copy a database, which may be in use, to *target*, and check the copy.

    Raises:
        ConfigError: there is no *source*, or *target* exists and *force* is not given.
        Damaged: the source is not sound; no copy is left behind.
    """
    _exists(source)
    if target.exists() and (not force or target.samefile(source)):
        raise ConfigError(
            f"{target} exists already.", fix="Name another file, or overwrite it by --force."
        )
    with part_of(target) as part:
        standing = _copy(source, part, progress)
        os.replace(part, target)
    settle(target)
    return Copied(target, standing, target.stat().st_size)


def restore(database: Path, copy: Path, *, progress: Progress | None = None) -> Restored:
    """
    Put a backup in the place of a database; what was there is kept beside it.

    Raises:
        Busy: another process writes the database.
        Damaged, NewerSchema: the backup cannot be used; nothing was touched.
    """
    _exists(copy)
    if database.exists() and database.samefile(copy):
        raise ConfigError(f"{copy} is the database itself.", fix="Name a backup of it.")
    owner = own(database)
    try:
        check(copy, thorough=False)
        with part_of(database) as part:
            standing = _copy(copy, part, progress)
            aside = _set_aside(database) if database.exists() else None
            os.replace(part, database)
        settle(database)
    finally:
        owner.close()
    return Restored(standing, aside)


def check(path: Path, *, thorough: bool = True) -> Standing:
    """
    Read a whole database file, and see that it is sound.

    *thorough* compares indexes with their tables too.

    Raises:
        Damaged: it is not sound; the message says where.
        NewerSchema: a newer Lineal wrote it.
    """
    _exists(path)
    with _snapshot(path) as held, translated(path):
        _sound(path, held, f"integrity_check({TOLD})" if thorough else f"quick_check({TOLD})")
        standing = _standing(path, held)
        _in_step(path, held)
        return standing


def upgrade(
    path: Path, *, keep: bool = True, progress: Progress | None = None
) -> tuple[Standing, Standing, Path | None]:
    """
    Bring a database to the newest schema; return how it stood, how it stands, and the backup.

    *keep* makes a backup first, beside the database.

    Raises:
        Busy: another process writes it.
        NewerSchema: a newer Lineal wrote it.
    """
    _exists(path)
    with contextlib.closing(SqliteDatabase(path)) as database:
        with database.reading() as connection:
            migrations.current(connection)
        before, kept = _look(path), None
        if migrations.opens(before.schema):
            return before, before, None
        if keep:
            kept = _free(path.with_name(f"{path.name}.schema-{before.schema}"))
            backup(path, kept, progress=progress)
        if progress is not None:
            progress(0, None, f"schema {before.schema} to {migrations.newest()}")
        with database.writing() as connection:
            migrations.upgrade(connection)
        return before, _look(path), kept


def compact(path: Path) -> tuple[int, int]:
    """
    Write a database anew without its gaps; return how many bytes it took, and takes.

    Raises:
        Busy: another process writes it.
        NewerSchema: a newer Lineal wrote it.
    """
    _exists(path)
    before = path.stat().st_size
    with contextlib.closing(SqliteDatabase(path)) as database:
        with database.reading() as connection:
            migrations.current(connection)
        database.compact()
    return before, path.stat().st_size


@contextlib.contextmanager
def replaced(database: SqliteDatabase) -> Iterator[Path]:
    """
    Yield a copy of a database that takes its place, once the block has ended well.

    Meanwhile nobody writes to the database itself, and whoever reads it sees nothing of the copy.

    Raises:
        Busy: somebody reads what was before the last commit.
    """
    with database.resting(), part_of(database.path) as part:
        database.copy_to(part)
        yield part
        database.take_over(part)
        settle(database.path)


# ── Copying ──────────────────────────────────────────────────────────────────────────────────────


def _exists(path: Path) -> None:
    if not path.is_file():
        raise ConfigError(f"There is no database at {path}.", fix="Name another file.")


@contextlib.contextmanager
def part_of(target: Path) -> Iterator[Path]:
    """Yield a name beside *target* to write to; what lies there at the end is removed."""
    part = target.with_name(f"{target.name}.part-{os.getpid()}")
    part.unlink(missing_ok=True)
    try:
        with translated(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield part
    finally:
        for ending in ("", "-journal", "-wal", "-shm", ".lock"):
            part.with_name(part.name + ending).unlink(missing_ok=True)


def _copy(source: Path, target: Path, progress: Progress | None) -> Standing:
    """Copy one snapshot page by page, make it a single file, and hold it against its source."""

    def moved(_status: int, remaining: int, total: int) -> None:
        if progress is not None:
            progress(total - remaining, total, "pages")

    with _snapshot(source) as held, contextlib.closing(sqlite3.connect(target)) as copy:
        expected = _standing(source, held)
        held.backup(copy, pages=STEP, progress=moved)
        copy.execute("PRAGMA journal_mode=DELETE").fetchall()
    found = check(target, thorough=False)
    if found != expected:
        raise Damaged(
            f"The copy {target} stands at {found.t}, its source at {expected.t}.",
            fix="Check the disk, and make another copy.",
        )
    return found


@contextlib.contextmanager
def _snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """Hold one snapshot of a database; a writer goes on beside it."""
    with (
        contextlib.closing(SqliteDatabase(path, writable=False)) as database,
        database.reading() as connection,
    ):
        migrations.current(connection)
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        yield raw


def _look(path: Path) -> Standing:
    with _snapshot(path) as held:
        return _standing(path, held)


def settle(path: Path) -> None:
    """See to it that the new name of a file outlives a loss of power."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _set_aside(database: Path) -> Path:
    """Give what lies at *database* a second name, with its write-ahead log in it if that can be."""
    aside = _free(database.with_name(f"{database.name}.before-restore"))
    # The last connection that closes writes the log back, and takes it away.
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(database)) as old,
    ):
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    for ending in ("-wal", "-shm"):
        beside = database.with_name(database.name + ending)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + ending))
    try:
        os.link(database, aside)
    except OSError:
        database.rename(aside)
    return aside


def _free(wanted: Path) -> Path:
    """Return the first name that nothing has: *wanted*, or that and a number."""
    found, number = wanted, 1
    while found.exists():
        number += 1
        found = wanted.with_name(f"{wanted.name}-{number}")
    return found


# ── Checking ─────────────────────────────────────────────────────────────────────────────────────


def _sound(path: Path, raw: sqlite3.Connection, how: str) -> None:
    """Let SQLite read every page."""
    found = [row[0] for row in raw.execute(f"PRAGMA {how}")]
    if found != ["ok"]:
        told = "; ".join(" ".join(str(one).split()) for one in found)
        raise Damaged(f"{path} is damaged: {told}.", fix="Restore a backup; do not write to it.")


def look_over(path: Path, connection: sa.Connection) -> None:
    """
    See that a file is sound before it is served: all of it, or of a large one what all rests on.

    `check` reads all of a large one too.
    """
    raw = connection.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):
        return
    with translated(path):
        pages = raw.execute("PRAGMA page_count").fetchone()[0]
        size = pages * raw.execute("PRAGMA page_size").fetchone()[0]
        if size <= READ_WHOLE:
            _sound(path, raw, f"quick_check({TOLD})")
            return
        for table in _ALL_RESTS_ON:
            _sound(path, raw, f"quick_check({table})")


def _in_step(path: Path, raw: sqlite3.Connection) -> None:
    """The clock, the transactions and the keys that were handed out agree."""
    faults = [fault for query, fault in _STEPS if (raw.execute(query).fetchone() or (0,))[0]]
    if faults:
        raise Damaged(
            f"{path} is damaged: {'; '.join(faults)}.", fix="Restore a backup; do not write to it."
        )


#: Each is true where the clock is out of step.
_STEPS = (
    ("SELECT count(*) <> 1 FROM clock", "there is not one clock"),
    (
        "SELECT published <> (SELECT coalesce(max(t), 0) FROM tx) FROM clock",
        "the clock does not stand at the last transaction",
    ),
    ("SELECT t <> published FROM clock", "the clock stands inside a transaction"),
    (
        "SELECT next_key <= (SELECT coalesce(max(key), 0) FROM entity) FROM clock",
        "a key would be handed out twice",
    ),
    (
        "SELECT next_document <= (SELECT coalesce(max(id), 0) FROM document) FROM clock",
        "the number of a document would be handed out twice",
    ),
)


def _standing(path: Path, raw: sqlite3.Connection) -> Standing:
    """Read the schema and the last transaction of a file, whichever schema it has."""
    tables = {row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"alembic_version", "clock"} <= tables:
        raise Damaged(f"{path} is no Lineal database.", fix="Name a Lineal database.")
    schema = raw.execute("SELECT version_num FROM alembic_version").fetchone()
    t = raw.execute("SELECT published FROM clock").fetchone()
    columns = {row[1] for row in raw.execute("PRAGMA table_info(tx)")}
    last = None
    if "hash" in columns:
        last = raw.execute("SELECT hash FROM tx ORDER BY t DESC LIMIT 1").fetchone()
    return Standing(
        None if schema is None else str(schema[0]),
        0 if t is None else int(t[0]),
        None if last is None else bytes(last[0]).hex(),
    )

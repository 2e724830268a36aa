"""Looking after the database itself: checking, copying, putting back, bringing up to date."""

from __future__ import annotations

import functools
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import click

from lineal.errors import ConfigError
from lineal.surfaces.cli import tables
from lineal.surfaces.cli.importing import bar
from lineal.surfaces.cli.places import db_option, needing_the_server, opened, settings
from lineal.surfaces.cli.showing import write

_out = click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
_existing = click.argument("path", type=click.Path(exists=True, path_type=Path, dir_okay=False))


@click.group()
def db() -> None:
    """Check, copy, move and upgrade the database itself."""


def _of_a_file(instead: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command --db, and refuse PostgreSQL, for which *instead* is the way."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(*, db: Path | None, **rest: object) -> None:
            file = settings(db).db
            refuse_postgres(str(file), instead.format(path=rest.get("path", "")))
            command(file, **rest)

        return db_option(run)

    return decorate


def refuse_postgres(db: str, instead: str) -> None:
    """
    Say which tool of PostgreSQL does what is asked.

    >>> refuse_postgres("postgresql://ada:secret@db.example/graph", "pg_dump --file=x")
    Traceback (most recent call last):
    lineal.errors.ConfigError: This is done by PostgreSQL's own tools. Run: pg_dump --file=x \
--dbname=postgresql://ada@db.example/graph
    """
    if not db.startswith(("postgresql:", "postgres:")):
        return
    scheme, _, rest = db.partition(":")
    place = urlsplit(f"{scheme}://{rest.lstrip('/')}")
    user = f"{place.username}@" if place.username else ""
    host = place.netloc.rpartition("@")[2]
    options = f"?{place.query}" if place.query else ""
    url = shlex.quote(f"postgresql://{user}{host}{place.path}{options}")
    raise ConfigError(
        "This is done by PostgreSQL's own tools.", fix=f"Run: {instead} --dbname={url}"
    )


@db.command()
@click.option("--quick", is_flag=True, help="Do not compare indexes with their tables.")
@_of_a_file("pg_amcheck")
def check(file: Path, quick: bool) -> None:
    """Read the whole database file, see that it is sound, and show how much it holds."""
    with needing_the_server():
        from lineal.access import LOCAL
        from lineal.store import copies
    standing = copies.check(file, thorough=not quick)
    with opened(file, writable=False) as lineal:
        counted = lineal.ask.counts(LOCAL)
    write(tables.database(str(file), standing.schema, counted.basis_t, counted.value))


@db.command()
@_out
@click.option("--force", is_flag=True, help="Overwrite the file PATH.")
@_of_a_file("pg_dump --format=custom --file={path}")
def backup(file: Path, path: Path, force: bool) -> None:
    """
    Copy the database to the file PATH, while it is used or not, and check the copy.

    The copy is of one moment. Never copy the file of a running server by other means.
    """
    with needing_the_server():
        from lineal.store import copies
    with bar() as progress:
        made = copies.backup(file, path, force=force, progress=progress)
    write(tables.copied(made))


@db.command()
@_existing
@_of_a_file("pg_restore --clean --if-exists {path}")
def restore(file: Path, path: Path) -> None:
    """
    Put the backup PATH in the place of the database, once it was found sound.

    Refused while a server has the database. What was there before is kept beside it.
    """
    with needing_the_server():
        from lineal.store import copies
    with bar() as progress:
        restored = copies.restore(file, path, progress=progress)
    write(tables.restored(restored, file))


@db.command()
@click.option("--no-backup", is_flag=True, help="Do not copy the database first.")
@_of_a_file("pg_dump --format=custom --file=before.dump")
def upgrade(file: Path, no_backup: bool) -> None:
    """
    Bring the database to the schema of this Lineal, all or nothing, with a backup first.

    A server does so too when it opens an older database, without a backup.
    """
    with needing_the_server():
        from lineal.store import copies
    with bar() as progress:
        before, after, kept = copies.upgrade(file, keep=not no_backup, progress=progress)
    write(tables.upgraded(file, before, after, kept))


@db.command()
@_of_a_file("vacuumdb --full")
def compact(file: Path) -> None:
    """
    Write the database anew without its gaps: what was forgotten is in no part of the file then.

    No fact and no answer changes. The server must be stopped, and there must be room for a second
    copy meanwhile.
    """
    with needing_the_server():
        from lineal.store import copies
    before, after = copies.compact(file)
    write(tables.compacted(file, before, after))


# ── Moving ───────────────────────────────────────────────────────────────────────────────────────


@db.command("export")
@click.argument(
    "path", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), default="-"
)
@click.option("--force", is_flag=True, help="Overwrite the file PATH.")
@db_option
def export(db: Path | None, path: Path, force: bool) -> None:
    """
    Write all that is held, and all that ever was, as JSON lines that every database reads.

    Writes to the file PATH, packed if its name ends in .gz, or to standard output.
    """
    with opened(db, writable=False) as lineal, bar() as progress:
        from lineal.store import moving

        if str(path) == "-":
            lineal.store.export(sys.stdout.buffer, progress=progress)
            return
        t = moving.export_file(lineal.store, path, force=force, progress=progress)
    write(tables.exported(path, t))


@db.command("import")
@click.argument(
    "path", type=click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True)
)
@db_option
def fill(db: Path | None, path: Path) -> None:
    """
    Fill an empty database from the export PATH, or from standard input where PATH is -.

    All of it or nothing; each transaction is held against its seal.
    """
    with opened(db, writable=True) as lineal, bar() as progress:
        from lineal.store import moving

        if str(path) == "-":
            stream = sys.stdin.buffer
            t = lineal.store.fill(stream, "standard input", progress=progress)
        else:
            t = moving.import_file(lineal.store, path, progress=progress)
    write(tables.filled(lineal.store.name, t))

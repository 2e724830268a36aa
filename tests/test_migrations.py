"""Migrations forward from every earlier schema, with data in it that the earlier code wrote."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from click.testing import CliRunner

import lineal.store
from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.errors import ConfigError
from lineal.model import Json
from lineal.store import Batch, copies, migrations
from lineal.surfaces.cli import main
from tests import past, world
from tests.promises.recording import SOAK, ran

STORED = Path(__file__).parent / "schemas"
SCHEMAS = sorted(path.name.removesuffix(".db.gz") for path in STORED.glob("*.db.gz"))


@pytest.fixture(params=SCHEMAS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a database of an earlier schema, as the code of then wrote it."""
    return unpacked(request.param, tmp_path / "lineal.db")


def unpacked(schema: str, path: Path) -> Path:
    path.write_bytes(gzip.decompress((STORED / f"{schema}.db.gz").read_bytes()))
    return path


def told(path: Path) -> dict[str, Any]:
    """Return what the code of then answered."""
    schema = revision(path)
    found = json.loads(gzip.decompress((STORED / f"{schema}.json.gz").read_bytes()))
    assert isinstance(found, dict)
    return found


def revision(path: Path) -> str:
    with closing(sqlite3.connect(path)) as file:
        return str(file.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def rows(path: Path) -> dict[str, list[Any]]:
    """Return every row of every table of a file."""
    with closing(sqlite3.connect(path)) as file:
        names = [
            row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        return {name: sorted(map(repr, file.execute(f'SELECT * FROM "{name}"'))) for name in names}


def opened(path: Path, at: int) -> Any:
    return Lineal.open(Config(db=path), clock=world.Clock(at))


_ONLY_OF_NOW = ("confirmed_at", None)


def holds(now: Json, then: Json) -> bool:
    """
    Whether an answer of now says all that the answer of then did; it may say more.

    Schema 0001 knew when something was confirmed only as of now, and left it out of the past.
    """
    if isinstance(then, dict) and isinstance(now, dict):
        return all(
            name in now and (holds(now[name], then[name]) or (name, then[name]) == _ONLY_OF_NOW)
            for name in then
        )
    if isinstance(then, list) and isinstance(now, list):
        return len(now) == len(then) and all(map(holds, now, then))
    return now == then


def test_every_schema_but_the_newest_has_a_stored_database() -> None:
    """Whoever adds a migration keeps a database of the schema before it: tests/schemas/make.py."""
    folder = Path(lineal.store.__file__).parent / "migrations"
    known = {script.revision for script in ScriptDirectory(str(folder)).walk_revisions()}

    assert known - {migrations.newest()} == set(SCHEMAS)
    assert {path.name for path in STORED.glob("*.json.gz")} == {f"{one}.json.gz" for one in SCHEMAS}
    assert all(revision_of(schema) == schema for schema in SCHEMAS)


def test_no_step_lets_those_in_again_whom_an_earlier_one_shut_out() -> None:
    """The name of a step says who may still open what it made: 0007_0005, whoever knows 0005."""
    folder = Path(lineal.store.__file__).parent / "migrations"
    steps = sorted(script.revision for script in ScriptDirectory(str(folder)).walk_revisions())
    numbers = [int(name[:4]) for name in steps]
    opened_by = [int(name[5:] or name[:4]) for name in steps]

    assert numbers == list(range(1, len(steps) + 1))
    assert opened_by == sorted(opened_by)
    assert all(least <= number for least, number in zip(opened_by, numbers, strict=True))


def revision_of(schema: str) -> str:
    data = gzip.decompress((STORED / f"{schema}.db.gz").read_bytes())
    with closing(sqlite3.connect(":memory:")) as file:
        file.deserialize(data)
        return str(file.execute("SELECT version_num FROM alembic_version").fetchone()[0])


@pytest.mark.promise("P8", "P17")
def test_what_was_answered_before_a_migration_is_answered_after_it(old: Path) -> None:
    """P8: at every transaction, and of several instants."""
    then = told(old)
    with opened(old, then["at"]) as lineal:
        now = past.answers(lineal)

        assert lineal.store.digest() == then["digest"]
    assert revision(old) == migrations.newest()
    assert now.keys() == then["answers"].keys()
    assert [name for name in now if not holds(now[name], then["answers"][name])] == []


def test_an_answer_that_says_less_than_then_is_noticed(old: Path) -> None:
    then = told(old)["answers"]
    name = next(name for name in then if isinstance(then[name], dict))

    assert holds({**then[name], "more": 1}, then[name])
    assert not holds({**then[name], next(iter(then[name])): "other"}, then[name])


def test_a_migrated_database_is_sound_and_found_in(old: Path) -> None:
    then = told(old)
    with opened(old, then["at"]) as lineal:
        hits = {hit.uri for hit in lineal.ask.search(LOCAL, "ranking").value.hits}
        tagged = {hit.uri for hit in lineal.ask.search(LOCAL, "tag:tier::1").value.hits}

    assert {world.MODEL, world.V4, world.V5} <= hits
    assert tagged == {world.MODEL, world.V5}
    assert copies.check(old).t == 14


def test_saying_the_same_again_after_a_migration_begins_no_rows(old: Path) -> None:
    with opened(old, told(old)["at"] + past.DAY) as lineal:
        said = lineal.store.commit(Batch(past.last_words(), "test", "the same again"))

        assert (said.t, said.begun, said.ended) == (None, 0, 0)


def test_a_migrated_database_goes_on(old: Path) -> None:
    then = told(old)
    new = world.record("notes", world.V4, {"description": "the old one"})
    with opened(old, then["at"] + past.DAY) as lineal:
        made = lineal.store.commit(Batch([new], "test", "something new"))
        known = lineal.store.commit(Batch([new], "someone", "x", token="step 3"))

        assert (made.t, made.begun, known.t) == (15, 1, 5)
        now = past.answers(lineal)
        kept = {name for name in then["answers"] if "t:14" not in name}
        assert all(holds(now[name], then["answers"][name]) for name in kept)


def test_a_migrated_database_can_be_moved(old: Path, tmp_path: Path) -> None:
    """The seals that a migration made hold."""
    then = told(old)
    out = io.BytesIO()
    with opened(old, then["at"]) as lineal:
        lineal.store.export(out)
    with opened(tmp_path / "moved.db", then["at"]) as moved:
        assert moved.store.fill(io.BytesIO(out.getvalue()), "a") == 14
        assert moved.store.digest() == then["digest"]


#: Opens a database, and dies before the statement of this number; or tells which was the last of
#: the migration.
_DYING = """
import os, signal, sys
from pathlib import Path
import sqlalchemy as sa
from lineal.app import Lineal
from lineal.config import Config
from lineal.points import listen
number = whole = 0
def reached(point):
    global whole
    if point == "migrated":
        whole = number
listen(reached)
@sa.event.listens_for(sa.Engine, "before_cursor_execute")
def count(*_):
    global number
    number += 1
    if number == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
with Lineal.open(Config(db=Path("lineal.db"))):
    print(whole)
"""


def dying(folder: Path, number: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _DYING, str(number)], cwd=folder, check=False, timeout=60,
        capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip


@pytest.mark.promise("P17")
def test_a_migration_that_is_killed_anywhere_leaves_the_database_as_it_was(
    old: Path, tmp_path: Path
) -> None:
    before, then = rows(old), told(old)
    whole = tmp_path / "whole"
    whole.mkdir()
    statements = int(dying(unpacked(revision(old), whole / "lineal.db").parent, 0).stdout)
    assert statements > 2

    kills = range(3, statements + 1, max(1, statements // (60 if SOAK else 12)))
    for number in kills:
        died = dying(tmp_path, number)
        assert died.returncode == -signal.SIGKILL, died.stderr
        assert rows(old) == before, number
    with opened(old, then["at"]) as lineal:
        assert lineal.store.digest() == then["digest"]
    ran("P17", "kills of a migration", len(kills))


def test_an_upgrade_by_command_keeps_the_database_of_before(old: Path) -> None:
    schema, before, then = revision(old), rows(old), told(old)

    result = CliRunner().invoke(main, ["db", "upgrade", "--db", str(old)])

    kept = old.with_name(f"lineal.db.schema-{schema}")
    assert result.exit_code == 0, result.stderr
    assert f"from schema {schema} to {migrations.newest()}, 14 transactions" in result.stdout
    assert rows(kept) == before
    assert revision(old) == migrations.newest()
    with opened(old, then["at"]) as lineal:
        assert lineal.store.digest() == then["digest"]


def test_an_upgrade_without_a_backup_keeps_none(old: Path) -> None:
    result = CliRunner().invoke(main, ["db", "upgrade", "--db", str(old), "--no-backup"])

    assert result.exit_code == 0
    assert revision(old) == migrations.newest()
    assert not list(old.parent.glob("*.schema-*"))


def test_an_older_database_is_not_touched_by_who_only_reads(old: Path) -> None:
    before = old.read_bytes()

    with pytest.raises(ConfigError, match="lineal db upgrade"), opened_for_reading(old):
        pass

    assert old.read_bytes() == before


def opened_for_reading(path: Path) -> Any:
    return Lineal.open(Config(db=path), writable=False)


def test_a_backup_of_an_older_schema_restores_and_upgrades(old: Path, tmp_path: Path) -> None:
    then = told(old)
    copies.backup(old, tmp_path / "copy.db")
    restored = copies.restore(tmp_path / "new" / "lineal.db", tmp_path / "copy.db")

    assert restored.standing.schema == revision(old)
    assert (restored.standing.hash is None) == (revision(old) == "0001"), "chained since 0002"
    with opened(tmp_path / "new" / "lineal.db", then["at"]) as lineal:
        assert lineal.store.digest() == then["digest"]

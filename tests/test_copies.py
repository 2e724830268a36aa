"""Copies of a database: made under load, never over another file, put back only when sound."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lineal import errors
from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.store import Batch, copies, migrations
from lineal.surfaces.cli import failing, main
from tests import world
from tests.promises.recording import SOAK, ran

#: How many backups are made while somebody writes; P16 asks for 100 in a night.
ROUNDS = 100 if SOAK else 10


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Lineal]:
    with world.told(tmp_path) as told:
        yield told


@pytest.fixture
def at_rest(tmp_path: Path) -> Path:
    """Return the file of the world, of which nobody has anything open."""
    with world.told(tmp_path) as told:
        return told.store.path


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments], prog_name="lineal")
    assert "Traceback" not in result.output
    return result


def digest(path: Path) -> str:
    with Lineal.open(Config(db=path), writable=False) as lineal:
        return lineal.store.digest()


def say(graph: Lineal, rows: int) -> int:
    """Say something new of a table; return the transaction."""
    word = world.record("catalogue", world.TITLES, {"name": "titles", "rows": rows})
    t = graph.store.commit(Batch([word], actor="test", cause="test")).t
    assert t is not None
    return t


# ── Backup ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.promise("P16")
@pytest.mark.timeout(0 if SOAK else 300)
def test_every_backup_under_write_load_restores_to_what_was_so_at_its_transaction(
    graph: Lineal, tmp_path: Path
) -> None:
    digests: dict[int, str] = {}
    done = threading.Event()

    def write() -> None:
        rows = 0
        while not done.is_set():
            rows += 1
            t = say(graph, rows)
            digests[t] = graph.store.digest()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = []
        for number in range(ROUNDS):
            while len(digests) <= number and writer.is_alive():
                time.sleep(0.001)
            made.append(copies.backup(graph.store.path, tmp_path / f"{number}.db"))
    finally:
        done.set()
        writer.join()

    for one in made:
        target = tmp_path / "elsewhere" / f"{one.path.stem}.db"
        copies.restore(target, one.path)
        assert digest(target) == digests[one.standing.t]
    assert len({one.standing.t for one in made}) > 1
    ran("P16", "backups under load", len(made))


def test_a_backup_by_another_process_does_not_stop_the_writer(
    graph: Lineal, tmp_path: Path
) -> None:
    """The command in a process of its own, as an operator runs it, beside the server."""
    target = tmp_path / "copy.db"
    command = [sys.executable, "-c", "from lineal.surfaces.cli import main; main()"]
    with subprocess.Popen(
        [*command, "db", "backup", str(target), "--db", str(graph.store.path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    ) as process:  # fmt: skip
        written = 0
        while process.poll() is None:
            written += 1
            say(graph, written)
        out, err = process.communicate()

    assert (process.returncode, err) == (0, "")
    assert written > 1
    assert f"transaction {copies.check(target).t}," in " ".join(out.split())


def test_a_backup_is_one_file_that_needs_nothing_beside_it(graph: Lineal, tmp_path: Path) -> None:
    folder = tmp_path / "backups"

    made = copies.backup(graph.store.path, folder / "copy.db")

    assert [path.name for path in folder.iterdir()] == ["copy.db"]
    assert made.size == made.path.stat().st_size
    assert made.standing.hash is not None
    assert made.standing == copies.check(graph.store.path)
    assert [path.name for path in folder.iterdir()] == ["copy.db"]


def test_a_backup_tells_how_far_it_is(graph: Lineal, tmp_path: Path) -> None:
    told: list[tuple[int, int | None, str]] = []

    copies.backup(graph.store.path, tmp_path / "copy.db", progress=lambda *one: told.append(one))

    done, total, what = told[-1]
    assert done == total
    assert what == "pages"


def test_a_backup_overwrites_nothing_unless_forced(at_rest: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("precious")

    refused = run("db", "backup", target, "--db", at_rest)
    kept = target.read_text()
    forced = run("db", "backup", target, "--db", at_rest, "--force")

    assert (refused.exit_code, forced.exit_code) == (failing.USAGE, 0)
    assert "exists already" in refused.stderr
    assert "--force" in refused.stderr
    assert kept == "precious"
    assert "sealed" in forced.stdout
    assert digest(target) == digest(at_rest)


def test_a_database_is_never_overwritten_by_its_own_backup(at_rest: Path) -> None:
    before = at_rest.read_bytes()

    assert run("db", "backup", at_rest, "--db", at_rest, "--force").exit_code == failing.USAGE
    assert at_rest.read_bytes() == before


def test_no_backup_is_left_of_a_damaged_database(at_rest: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    spoil(at_rest)

    result = run("db", "backup", target, "--db", at_rest)

    assert result.exit_code == failing.STORE
    assert "damaged" in result.stderr or "malformed" in result.stderr
    assert not list(tmp_path.glob("copy.db*"))


def test_a_backup_that_does_not_fit_leaves_nothing_behind(graph: Lineal) -> None:
    """A file of this size may not be made here: what the disk says when it is full."""
    program = (
        "import resource, signal, sys\n"
        "from lineal.surfaces.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "main()\n"
    )
    target = graph.store.path.with_name("copy.db")

    ran = subprocess.run(
        [sys.executable, "-c", program, "db", "backup", str(target), "--db", str(graph.store.path)],
        capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip

    assert ran.returncode == failing.STORE
    assert not list(target.parent.glob("copy.db*"))


# ── Restore ──────────────────────────────────────────────────────────────────────────────────────


def test_restore_puts_the_backup_in_place_and_keeps_what_was_there(tmp_path: Path) -> None:
    with world.told(tmp_path) as graph:
        path = graph.store.path
        before = graph.store.digest()
        copies.backup(path, tmp_path / "copy.db")
        say(graph, 7)
        after = graph.store.digest()

    result = run("db", "restore", tmp_path / "copy.db", "--db", path)

    assert result.exit_code == 0, result.stderr
    assert digest(path) == before
    assert digest(tmp_path / "lineal.db.before-restore") == after
    with Lineal.open(Config(db=path)) as again:
        assert say(again, 8) == copies.check(tmp_path / "copy.db").t + 1


def test_restore_is_refused_while_a_server_has_the_database(graph: Lineal, tmp_path: Path) -> None:
    copies.backup(graph.store.path, tmp_path / "copy.db")

    result = run("db", "restore", tmp_path / "copy.db", "--db", graph.store.path)

    assert result.exit_code == failing.STORE
    assert f"(process {os.getpid()}, since " in result.stderr
    assert not list(tmp_path.glob("*.before-restore"))


def test_a_damaged_backup_replaces_nothing(at_rest: Path, tmp_path: Path) -> None:
    copies.backup(at_rest, tmp_path / "copy.db")
    spoil(tmp_path / "copy.db")
    before = at_rest.read_bytes()

    result = run("db", "restore", tmp_path / "copy.db", "--db", at_rest)

    assert result.exit_code == failing.STORE
    assert at_rest.read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if ".part" in path.name]


def test_a_file_that_is_no_backup_replaces_nothing(at_rest: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE notes (text)")

    result = run("db", "restore", tmp_path / "other.db", "--db", at_rest)

    assert result.exit_code == failing.STORE
    assert "no Lineal database" in result.stderr


def test_a_second_restore_keeps_both_of_what_was_there(at_rest: Path, tmp_path: Path) -> None:
    copies.backup(at_rest, tmp_path / "copy.db")

    kept = [copies.restore(at_rest, tmp_path / "copy.db").aside for _ in range(2)]

    assert [path.name for path in kept if path is not None] == [
        "lineal.db.before-restore",
        "lineal.db.before-restore-2",
    ]


def test_what_was_committed_and_not_yet_in_the_file_is_kept_aside_too(tmp_path: Path) -> None:
    """A server that was killed leaves its last commits in the log beside the file."""
    with world.told(tmp_path) as graph:
        path = graph.store.path
        copies.backup(path, tmp_path / "copy.db")
        say(graph, 7)
        after = graph.store.digest()
        killed = tmp_path / "killed"
        killed.mkdir()
        for ending in ("", "-wal"):
            shutil.copy(f"{path}{ending}", killed)

    copies.restore(killed / "lineal.db", tmp_path / "copy.db")

    assert digest(killed / "lineal.db.before-restore") == after


# ── Check and upgrade ────────────────────────────────────────────────────────────────────────────


def test_check_says_that_a_sound_file_is_sound(at_rest: Path) -> None:
    for quick in ((), ("--quick",)):
        result = run("db", "check", "--db", at_rest, *quick)

        assert result.exit_code == 0
        assert f"sound, schema {migrations.newest()}, 2 transactions" in result.stdout


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE clock SET published = 1, t = 1", "the last transaction"),
        ("DELETE FROM tx WHERE t = 2", "the last transaction"),
        ("UPDATE clock SET t = 3", "inside a transaction"),
        ("UPDATE clock SET next_key = 2", "a key would be handed out twice"),
        ("UPDATE clock SET next_document = 2", "document would be handed out twice"),
        ("DELETE FROM clock", "not one clock"),
    ],
)
def test_check_finds_a_clock_that_is_out_of_step(at_rest: Path, change: str, told: str) -> None:
    with closing(sqlite3.connect(at_rest)) as file:
        file.execute(change)
        file.commit()

    result = run("db", "check", "--db", at_rest)

    assert result.exit_code == failing.STORE
    assert told in result.stderr


def test_check_names_a_newer_schema(at_rest: Path) -> None:
    with closing(sqlite3.connect(at_rest)) as file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
        file.commit()

    for command in (("check",), ("backup", "x.db"), ("upgrade",)):
        result = run("db", *command, "--db", at_rest)
        assert result.exit_code == failing.STORE
        assert "9999" in result.stderr
        assert "newer Lineal" in result.stderr


def test_an_upgrade_of_the_newest_schema_does_nothing(at_rest: Path) -> None:
    result = run("db", "upgrade", "--db", at_rest)

    assert result.exit_code == 0
    assert "nothing was done" in result.stdout
    assert not list(at_rest.parent.glob("*.schema-*"))


def test_nothing_is_made_of_a_database_that_is_not_there(tmp_path: Path) -> None:
    missing = tmp_path / "none.db"

    for command in (("check",), ("backup", tmp_path / "x.db"), ("upgrade",)):
        result = run("db", *command, "--db", missing)
        assert result.exit_code == failing.USAGE
        assert "none.db" in result.stderr
    with pytest.raises(errors.ConfigError):
        copies.restore(tmp_path / "lineal.db", missing)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "tool"),
    [
        (("backup", "x.dump"), "pg_dump --format=custom --file=x.dump"),
        (("check",), "pg_amcheck"),
        (("upgrade",), "pg_dump --format=custom --file=before.dump"),
    ],
)
def test_for_postgresql_its_own_tools_are_named(command: tuple[str, ...], tool: str) -> None:
    result = run("db", *command, "--db", "postgresql://ada:secret@db.example:5433/graph")

    assert result.exit_code == failing.USAGE
    assert f"{tool} --dbname=postgresql://ada@db.example:5433/graph" in " ".join(
        result.stderr.split()
    )
    assert "secret" not in result.output


def spoil(path: Path) -> None:
    """Write over the inner pages of a file, as a failing disk does."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        for page in range(4096, size, 4096):
            file.seek(page)
            file.write(random.Random(page).randbytes(64))


def test_the_world_can_be_read_from_its_backup(graph: Lineal, tmp_path: Path) -> None:
    copies.backup(graph.store.path, tmp_path / "copy.db")
    with Lineal.open(Config(db=tmp_path / "copy.db"), writable=False) as copy:
        assert copy.ask.get(LOCAL, world.V5).value == graph.ask.get(LOCAL, world.V5).value

"""A database file: who may write it, who may read it, and what is refused."""

from __future__ import annotations

import gc
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from lineal.access import LOCAL
from lineal.errors import Busy, ConfigError, Damaged, NewerSchema, ReadOnly
from lineal.model import Json
from lineal.shapes import Shapes
from lineal.store import Reader, Store, sqlite
from lineal.store.sqlite import SqliteDatabase
from tests.graphs import PLAYS, TITLES, Graph, opened, said


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    with opened(tmp_path / "graph.db") as one:
        yield one


# ── Who may open it ──────────────────────────────────────────────────────────────────────────────

SHAPES = Shapes.builtin()


def _open(path: Path, *, writable: bool = True) -> None:
    Store(path, shapes=SHAPES, writable=writable).close()


def test_a_second_writer_is_refused_and_told_who_the_first_is(graph: Graph) -> None:
    program = (
        "from pathlib import Path; from lineal.errors import Busy;"
        "from lineal.shapes import Shapes; from lineal.store import Store; import sys\n"
        "try: Store(Path(sys.argv[1]), shapes=Shapes.builtin())\n"
        "except Busy as error: print(error)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(graph.store.path)],
        capture_output=True, text=True, check=True, timeout=60,
        env={"PYTHONPATH": ":".join(sys.path)},
    ).stdout  # fmt: skip
    with pytest.raises(Busy):
        _open(graph.store.path)

    with closing(sqlite3.connect(graph.store.path)):
        lock = graph.store.path.with_name("graph.db.lock").read_text()
    assert lock in told
    assert f"(process {os.getpid()}, since 2" in told


def test_the_lock_is_free_again_when_the_writer_closes(tmp_path: Path) -> None:
    for _ in range(2):
        _open(tmp_path / "x.db")


def test_a_reader_beside_a_writer_sees_what_is_committed_and_no_more(graph: Graph) -> None:
    graph.say(said(PLAYS, rows=1))
    with opened(graph.store.path, writable=False) as other:
        before = other.thing(PLAYS).attributes
        with other.store.read(LOCAL) as reader:
            graph.say(said(PLAYS, rows=2))
            (key,) = reader.keys([PLAYS]).values()
            during = reader.attributes([key])[key]
        after = other.thing(PLAYS).attributes

        assert (before, during, after) == ({"rows": 1}, {"rows": 1}, {"rows": 2})
        with pytest.raises(ReadOnly, match="reading only"):
            other.say(said(PLAYS, rows=3))


@contextmanager
def always_read(graph: Graph) -> Iterator[list[int]]:
    """Let there be somebody who reads at every moment of the block; yield what was seen."""
    over, seen = threading.Event(), list[int]()

    def read() -> None:
        before = ExitStack()
        while not over.is_set():
            after = ExitStack()
            reader = after.enter_context(graph.store.read(LOCAL))
            seen.append(reader.basis.t)
            # The next begins before this one ends.
            before.close()
            before = after
            time.sleep(0.001)
        before.close()

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def test_a_log_does_not_grow_without_end_where_somebody_always_reads(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite begins its log anew when nobody reads it: under steady questions that is never."""
    monkeypatch.setattr(sqlite, "LONG_LOG", 200)
    log = graph.store.path.with_name("graph.db-wal")
    with always_read(graph) as seen:
        for rows in range(400):
            graph.say(said(PLAYS, rows=rows))
            graph.store.tidy()

    assert len(set(seen)) > 10
    assert log.stat().st_size < 1_000 * 4_096
    assert graph.thing(PLAYS).attributes == {"rows": 399}
    assert graph.store.verify().sound


def test_whoever_reads_for_long_is_not_waited_for_again_and_again(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup holds the log for minutes: it is tried when as much has come once more."""
    monkeypatch.setattr(sqlite, "LONG_LOG", 200)
    tried = list[str]()
    database = graph.store._database
    assert isinstance(database, SqliteDatabase)
    assert database._writer is not None
    sqlite._raw(database._writer).set_trace_callback(tried.append)
    with graph.store.read(LOCAL) as reader:
        for rows in range(100):
            graph.say(said(PLAYS, rows=rows))
            graph.store.tidy()
        restarts = [text for text in tried if "RESTART" in text]
        frames = graph.store.path.with_name("graph.db-wal").stat().st_size // 4_120
        assert reader.basis.t == 0

    assert 1 <= len(restarts) <= frames // 200


def test_readers_never_see_half_a_batch(graph: Graph) -> None:
    """The two tables are always written together; a reader sees both or none."""
    torn: list[tuple[Json, Json]] = []
    done = threading.Event()
    graph.say(said(PLAYS, rows=0), said(TITLES, rows=0))

    def look() -> None:
        while not done.is_set():
            with graph.store.read(LOCAL) as reader:
                keys = reader.keys([PLAYS, TITLES])
                rows = reader.attributes(list(keys.values()))
            pair = rows[keys[PLAYS]]["rows"], rows[keys[TITLES]]["rows"]
            if pair[0] != pair[1]:
                torn.append(pair)

    looking = [threading.Thread(target=look) for _ in range(2)]
    for thread in looking:
        thread.start()
    for rows in range(1, 40):
        graph.say(said(PLAYS, rows=rows), said(TITLES, rows=rows))
    done.set()
    for thread in looking:
        thread.join()

    assert torn == []


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    _open(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()

    for writable in (True, False):
        with pytest.raises(NewerSchema, match="9999"):
            _open(path, writable=writable)


@pytest.mark.parametrize("writable", [True, False])
def test_a_file_that_is_no_database_is_refused_and_left_alone(
    tmp_path: Path, writable: bool
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("This is not a database. " * 100)

    with pytest.raises(Damaged, match="not a database"):
        _open(path, writable=writable)
    gc.collect()
    assert path.read_text().startswith("This is not")


def test_a_file_that_could_not_be_opened_is_let_go(tmp_path: Path) -> None:
    """Else whoever mends the file and tries again is told that he himself is writing to it."""
    path = tmp_path / "notes.txt"
    path.write_text("This is not a database. " * 100)
    with pytest.raises(Damaged) as refused:
        _open(path)

    path.unlink()
    _open(path)
    assert "not a database" in str(refused.value)


def test_a_database_of_another_program_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x)")
        connection.commit()

    with pytest.raises(ConfigError, match="not a Lineal database"):
        _open(path, writable=False)


def test_a_place_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    """Root may write anywhere, but not into a file as if it were a folder."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder.db").mkdir()

    with pytest.raises(ReadOnly, match="may not be written"):
        _open(tmp_path / "file" / "x.db")
    with pytest.raises(ReadOnly):
        _open(tmp_path / "folder.db")
    gc.collect()


def test_reading_what_is_not_there_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no database"):
        _open(tmp_path / "x.db", writable=False)
    assert list(tmp_path.iterdir()) == []


def test_what_was_committed_is_there_after_opening_again(tmp_path: Path) -> None:
    with opened(tmp_path / "x.db") as one:
        one.say(said(PLAYS, rows=1))
        digest = one.store.digest()
    with opened(tmp_path / "x.db") as one:
        assert one.store.digest() == digest
        assert one.say(said(PLAYS, rows=1)).t is None
        assert one.say(said(PLAYS, rows=2)).t == 2


def test_a_file_that_cannot_be_taken_over_leaves_the_old_one_in_use(tmp_path: Path) -> None:
    with closing(SqliteDatabase(tmp_path / "graph.db")) as database:
        with database.writing() as connection:
            connection.exec_driver_sql("CREATE TABLE kept (x)")

        with database.resting(), pytest.raises(FileNotFoundError):
            database.take_over(tmp_path / "none.db")

        with database.writing() as connection:
            connection.exec_driver_sql("INSERT INTO kept VALUES (1)")
        with database.reading() as connection:
            assert connection.exec_driver_sql("SELECT x FROM kept").scalar() == 1


# ── A file that is taken from under a server ─────────────────────────────────────────────────────


def _other(path: Path) -> Path:
    """Make another database beside one."""
    other = path.with_name("other.db")
    with opened(other) as graph:
        graph.say(said(TITLES, rows=7))
    return other


@pytest.mark.parametrize("how", ["replaced", "removed"])
def test_nothing_is_written_to_a_file_that_is_not_there_any_more(graph: Graph, how: str) -> None:
    """It would be acknowledged, and gone when the process ends."""
    graph.say(said(PLAYS, rows=1))
    path, aside = graph.store.path, graph.store.path.with_name("aside.db")
    other = _other(path)
    path.rename(aside)
    if how == "replaced":
        other.rename(path)
    with pytest.raises(Damaged, match=f"{how}.*Put the file back"):
        graph.say(said(PLAYS, rows=2))
    with pytest.raises(Damaged, match=how):
        graph.store.tidy()
    with pytest.raises(Damaged, match=how):
        graph.store.raise_if_troubled()

    aside.rename(path)
    graph.say(said(PLAYS, rows=3))

    assert graph.thing(PLAYS).attributes == {"rows": 3}
    with opened(path, writable=False) as again:
        assert again.thing(PLAYS).attributes == {"rows": 3}


def test_whoever_begins_to_read_does_not_read_another_file(graph: Graph) -> None:
    graph.say(said(PLAYS, rows=1))
    _other(graph.store.path).rename(graph.store.path)

    def all_begin(stack: ExitStack) -> None:
        there.extend(stack.enter_context(graph.store.read(LOCAL)) for _ in range(20))

    there: list[Reader] = []
    with ExitStack() as stack:
        there.append(stack.enter_context(graph.store.read(LOCAL)))
        with pytest.raises(Damaged, match="replaced"):
            all_begin(stack)

        assert all(reader.keys([PLAYS]) and not reader.keys([TITLES]) for reader in there)


@pytest.mark.parametrize("left", [0, 50, 8_192])
def test_a_file_that_is_cut_short_is_told_and_kills_nobody(tmp_path: Path, left: int) -> None:
    """Its pages are mapped: who comes to one that is gone gets a signal, and no error."""
    program = (
        "import os, sys; from pathlib import Path; from lineal.errors import Damaged;"
        "from tests.graphs import PLAYS, opened, said\n"
        "with opened(Path(sys.argv[1])) as graph:\n"
        "    for rows in range(300): graph.say(said(PLAYS, rows=rows, text='x' * 400))\n"
        "    graph.store.tidy()\n"
        "    graph.say(said(PLAYS, rows=-1))\n"
        "    os.truncate(sys.argv[1], int(sys.argv[2]))\n"
        "    for again in range(2):\n"
        "        try: graph.say(said(PLAYS, rows=-2))\n"
        "        except Damaged as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "graph.db"), str(left)],
        capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert done.stdout.count("was cut short while it was in use") == 2, done


def test_a_file_that_is_written_anew_without_its_gaps_is_no_shorter_than_it_says(
    graph: Graph,
) -> None:
    for rows in range(200):
        graph.say(said(PLAYS, rows=rows, text="x" * 4_000))
    with graph.store.working() as ledger:
        ledger.driver.run("DELETE FROM search")
        ledger.driver.run("UPDATE record SET body = '{}' WHERE t_to IS NOT NULL")
    graph.store.tidy()
    before = graph.store.path.stat().st_size
    with graph.store.read(LOCAL):
        # Somebody reads, so that the file itself gets shorter later.
        graph.store.compact()
        graph.say(said(PLAYS, rows=1))
    graph.store.tidy()
    graph.say(said(PLAYS, rows=2))

    assert graph.store.path.stat().st_size < before / 2
    assert graph.thing(PLAYS).attributes == {"rows": 2}

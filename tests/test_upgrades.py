"""A database is migrated while those ask who ask it every day (P17), and nothing is lost.

The code of the schema before serves a database; the present code takes over under load, after it
was killed in the middle several times. On PostgreSQL both serve it at once, and no request fails.
An SQLite file has one writer: there the door is closed for a moment, and who knocks again gets in.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Self

import httpx2
import psycopg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.errors import NewerSchema
from lineal.model import Uri
from lineal.shapes import Shapes
from lineal.store import Store, migrations, work
from lineal.store import postgres as store_postgres
from lineal.surfaces.cli import main
from tests import earlier
from tests.databases import ENGINES, _named, server
from tests.promises.recording import SOAK, found, ran

#: So many things are in the database, each with a statement and all but the first with an edge.
FEW = 2_000
THINGS = 500_001 if SOAK else FEW
#: So often the present code is killed in the middle of a migration.
KILLS = 25 if SOAK else 3
#: How many requests are to be answered at each stage.
ENOUGH = 400 if SOAK else 40
#: How long (seconds) anything here may take.
PATIENCE = 3_600 if SOAK else 120

#: Fills a database, with the code of then.
_FILL = """
import sys
from pathlib import Path
from lineal.app import Lineal
from lineal.config import Config
from lineal.model import EdgeStatement, Record, Statement, Uri
place, count = sys.argv[1], int(sys.argv[2])
def uri(number):
    return Uri(f"mlg://dataset/lake/t{number}")
def records():
    for number in range(count):
        edges = [EdgeStatement(uri(number), "derived_from", uri((number - 1) // 2))]
        said = Statement(uri(number), {"rows": number})
        yield Record("lake", f"t{number}", uri(number), (said,), tuple(edges[:number]), 1_000)
with Lineal.open(Config(db=place if "://" in place else Path(place))) as lineal:
    lineal.store.load(records(), actor="test", cause="a load")
"""
#: Serves, and dies before the statement of this number; with 0 it tells after which the schema is
#: there, and ends.
_SERVE = """
import os, signal, sys
import sqlalchemy as sa
from lineal import points
from lineal.surfaces.cli import main
last, number = int(sys.argv[1]), 0
@sa.event.listens_for(sa.Engine, "before_cursor_execute")
def count(*_):
    global number
    number += 1
    if number == last:
        os.kill(os.getpid(), signal.SIGKILL)
def listener(point):
    if point == "migrated" and not last:
        print("statements:", number, flush=True)
        os._exit(0)
points.listen(listener)
main(sys.argv[2:], prog_name="lineal")
"""
#: Reads as fast as it can, and opened the file once: until there is a file of this name.
_READ = """
import sys
from pathlib import Path
from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.model import Uri
path, count, asked = Path(sys.argv[1]), int(sys.argv[2]), 0
with Lineal.open(Config(db=path), writable=False) as lineal:
    while not path.with_name("enough").exists():
        number = asked % count
        value = lineal.ask.get(LOCAL, Uri(f"mlg://dataset/lake/t{number}")).value
        assert value.attributes["rows"] == number
        asked += 1
        if asked % 20 == 0:
            print(asked, flush=True)
"""


class Server:
    """One `lineal serve`, of the code of then or of now."""

    def __init__(self, code: Path, place: Path | str, port: int, log: Path, dies: int = -1) -> None:
        self._log, self.url = log, f"http://127.0.0.1:{port}"
        words = ["serve", "--db", str(place), "--port", str(port)]
        with log.open("ab") as out:
            self._begins = out.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, str(dies), *words],
                env=earlier.environment(code), stdout=out, stderr=out,
            )  # fmt: skip

    @property
    def said(self) -> str:
        """What it has written."""
        return self._log.read_bytes()[self._begins :].decode()

    def serves(self) -> Self:
        """Wait until it answers."""
        until = time.monotonic() + PATIENCE
        while " answers at " not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < until, self.said
            time.sleep(0.01)
        return self

    def died(self) -> None:
        """Wait until it has killed itself."""
        assert self.process.wait(PATIENCE) == -signal.SIGKILL, self.said

    def end(self) -> None:
        """Let it end as an operator does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE)


class Clients:
    """Those who ask and tell all the time: as a balancer does, they turn to whoever serves."""

    def __init__(self, *, knocking: bool, things: int) -> None:
        """
        Ask about some of so many *things*.

        *knocking*: whoever finds the door closed knocks again; else that is a failure.
        """
        self.servers: Sequence[Server] = ()
        self.acknowledged: list[int] = []
        self.failures: list[str] = []
        self.counts: Counter[str] = Counter()
        self._things = things
        self._knocking, self._ended, self._lock = knocking, threading.Event(), threading.Lock()
        self._numbers = iter(range(1 << 62))

    @contextmanager
    def at_work(self, *servers: Server) -> Iterator[Self]:
        """Let them ask and tell until the end of the block."""
        self.servers = servers
        does: list[Callable[[httpx2.Client], None]] = [
            self._read,
            self._read,
            self._tell,
            self._tell,
        ]
        threads = [threading.Thread(target=self._go_on, args=(do,)) for do in does]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()

    def go_on(self) -> None:
        """Wait until enough was answered by each server that is asked now."""
        began, until = self.counts.copy(), time.monotonic() + PATIENCE
        while any(self.counts[one.url] - began[one.url] < ENOUGH for one in self.servers):
            assert not self.failures, self.failures[:3]
            assert time.monotonic() < until
            time.sleep(0.01)

    def _go_on(self, do: Callable[[httpx2.Client], None]) -> None:
        with httpx2.Client(trust_env=False, timeout=PATIENCE) as http:
            while not self._ended.is_set():
                try:
                    do(http)
                except Exception as error:
                    self.failures.append(repr(error))

    def _asked(self, http: httpx2.Client, method: str, path: str, **more: Any) -> httpx2.Response:
        """Ask one of the servers; where a door is closed, knock again if that is allowed."""
        until = time.monotonic() + PATIENCE
        while True:
            server = random.choice(self.servers)
            try:
                answer = http.request(method, f"{server.url}/api/v1/{path}", **more)
            except httpx2.TransportError:
                if not self._knocking or time.monotonic() > until or self._ended.is_set():
                    raise
                self.counts["knocked again"] += 1
                time.sleep(0.02)
                continue
            self.counts[server.url] += 1
            return answer

    def _read(self, http: httpx2.Client) -> None:
        """Ask for a thing and what it was made from, and see that the answers are right."""
        number = random.randrange(self._things)
        uri = f"mlg://dataset/lake/t{number}"
        answer = self._asked(http, "GET", "entities", params={"uri": uri})
        assert answer.status_code == 200, answer.text
        assert answer.json()["value"]["attributes"]["rows"] == number
        ways: dict[str, str | int] = {"uri": uri, "up": 20, "down": 0}
        answer = self._asked(http, "GET", "lineage", params=ways)
        assert answer.status_code == 200, answer.text
        reached = {node["uri"] for node in answer.json()["value"]["nodes"]}
        assert reached | {uri} == {f"mlg://dataset/lake/t{one}" for one in _above(number)}

    def _tell(self, http: httpx2.Client) -> None:
        """Tell of a run of a job that was not heard of, and remember it once it is acknowledged."""
        with self._lock:
            number = next(self._numbers)
        event = {
            "eventType": "COMPLETE", "eventTime": "2026-01-02T03:04:05Z",
            "run": {"runId": str(uuid.UUID(int=number))},
            "job": {"namespace": "etl", "name": f"job{number}"},
            "producer": "https://example.com/test",
            "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
        }  # fmt: skip
        answer = self._asked(http, "POST", "lineage", json=event)
        assert answer.status_code == 201, answer.text
        self.acknowledged.append(number)


def _above(number: int) -> list[int]:
    """Return a thing and all that it was made from."""
    found = [number]
    while found[-1]:
        found.append((found[-1] - 1) // 2)
    return found


def _port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


@contextmanager
def filled(engine: str, folder: Path, things: int = FEW) -> Iterator[tuple[Path | str, int]]:
    """Yield a database that the code of then filled, and after how many statements it is new."""
    code, then = earlier.present(), earlier.sources()
    if engine == "sqlite":
        place, copy = folder / "graph.db", folder / "copy.db"
        earlier.command(then, "-c", _FILL, str(place), str(things))
        copy.write_bytes(place.read_bytes())
        yield place, _statements(code, copy, folder)
        return
    name = f"lineal_{os.getpid()}_upgrade"
    with databases(name, f"{name}_copy") as (connection, (url, copied)):
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        earlier.command(then, "-c", _FILL, url, str(things))
        connection.execute(f'CREATE DATABASE "{name}_copy" TEMPLATE "{name}"')
        yield url, _statements(code, copied, folder)


@contextmanager
def databases(*names: str) -> Iterator[tuple[psycopg.Connection[Any], list[str]]]:
    """Yield a connection to the server and the URLs of databases, which are dropped at the end."""
    with psycopg.connect(server(), autocommit=True) as connection:
        try:
            yield connection, [_named(server(), name) for name in names]
        finally:
            for name in names:
                connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _statements(code: Path, place: Path | str, folder: Path) -> int:
    counting = Server(code, place, _port(), folder / "counting.log", dies=0)
    assert counting.process.wait(PATIENCE) == 0, counting.said
    return int(counting.said.partition("statements: ")[2].split()[0])


def revision(place: Path | str) -> str:
    url = f"sqlite:///{place}" if isinstance(place, Path) else place
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg")
                              if "://" in str(place) else url)  # fmt: skip
    with engine.connect() as connection:
        found_ = str(connection.scalar(sa.text("SELECT version_num FROM alembic_version")))
    engine.dispose()
    return found_


@pytest.mark.promise("P17")
@pytest.mark.timeout(PATIENCE * 3)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_migration_under_load_loses_nothing(engine: str, tmp_path: Path) -> None:
    """No request fails on PostgreSQL; on SQLite none that knocks again while the door is closed."""
    log, port = tmp_path / "log", _port()
    is_file = engine == "sqlite"
    clients = Clients(knocking=is_file, things=THINGS)
    with filled(engine, tmp_path, THINGS) as (place, statements), ExitStack() as ending:
        then = revision(place)

        def begun(dies: int = -1) -> Server:
            at = port if is_file else _port()
            server = Server(earlier.present(), place, at, log, dies)
            ending.callback(server.end)
            return server

        old = Server(earlier.sources(), place, port, log)
        ending.callback(old.end)
        old.serves()
        with clients.at_work(old):
            clients.go_on()
            if is_file:
                old.end()
            for kill in range(KILLS):
                # From the first statement of the step to the last before its commit.
                begun(max(1, statements - statements * kill // KILLS)).died()
                assert revision(place) == then
            if is_file:
                new = [begun().serves()]
            else:
                assert old.process.poll() is None, old.said
                # They start at once: one migrates, the other waits for it.
                new = [one.serves() for one in (begun(), begun())]
                clients.servers = [old, *new]
                clients.go_on()
            clients.servers = new
            clients.go_on()
            old.end()
            clients.go_on()
        for one in new:
            one.end()

        assert clients.failures == []
        assert revision(place) == migrations.newest()
        with Lineal.open(Config(db=place)) as lineal:
            assert lineal.drain(timeout=PATIENCE).complete
            assert lineal.ask.counts(LOCAL).value["dataset"] == THINGS
            for number in clients.acknowledged:
                lineal.ask.get(LOCAL, Uri(f"mlg://pipeline/etl/job{number}"))
            with lineal.store.looking() as driver:
                assert {name: one.missing for name, one in work.accounts(driver).items()} == {
                    "openlineage": 0
                }
            assert lineal.store.verify().sound
    answered = sum(count for name, count in clients.counts.items() if name.startswith("http"))
    ran("P17", "kills of a migration", KILLS)
    ran("P17", "facts migrated while asked", 2 * THINGS - 1)
    found(**{
        f"{engine}_answered": answered,
        f"{engine}_acknowledged": len(clients.acknowledged),
        f"{engine}_knocked_again": clients.counts["knocked again"],
    })  # fmt: skip


@contextmanager
def of_the_next(engine: str, folder: Path, code: Path) -> Iterator[Path | str]:
    """Yield a database that the code of the next schema filled."""
    with ExitStack() as ending:
        place: Path | str = folder / "graph.db"
        if engine != "sqlite":
            name = f"lineal_{os.getpid()}_next"
            connection, (place,) = ending.enter_context(databases(name))
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        earlier.command(code, "-c", _FILL, str(place), str(FEW))
        yield place


@pytest.mark.promise("P17")
@pytest.mark.timeout(PATIENCE * 3)
@pytest.mark.parametrize("engine", ENGINES)
def test_the_version_before_takes_over_again_under_load(engine: str, tmp_path: Path) -> None:
    """A step that only adds can be gone back from, by starting the version before, and forth."""
    code = earlier.following(tmp_path, opened_by=migrations.newest())
    log, port = tmp_path / "log", _port()
    is_file = engine == "sqlite"
    clients = Clients(knocking=is_file, things=FEW)
    with of_the_next(engine, tmp_path, code) as place, ExitStack() as ending:
        then = revision(place)

        def begun(code: Path) -> Server:
            server = Server(code, place, port if is_file else _port(), log)
            ending.callback(server.end)
            return server

        serving = begun(code).serves()
        with clients.at_work(serving):
            clients.go_on()
            for taking_over in (earlier.present(), code):
                if is_file:
                    serving.end()
                before, serving = serving, begun(taking_over).serves()
                if not is_file:
                    clients.servers = [before, serving]
                    clients.go_on()
                clients.servers = [serving]
                clients.go_on()
                before.end()
                clients.go_on()
        serving.end()

        assert clients.failures == []
        assert revision(place) == then
        with Lineal.open(Config(db=place)) as lineal:
            assert lineal.drain(timeout=PATIENCE).complete
            assert lineal.ask.counts(LOCAL).value["dataset"] == FEW
            for number in clients.acknowledged:
                lineal.ask.get(LOCAL, Uri(f"mlg://pipeline/etl/job{number}"))
            assert lineal.store.verify().sound
        if not is_file:
            with psycopg.connect(str(place)) as connection:
                assert connection.execute("SELECT name FROM shade").fetchall() == [("dusk",)]
    ran("P17", "versions gone back", 1)


@pytest.mark.promise("P17")
def test_a_file_of_the_next_version_is_kept_as_it_is(tmp_path: Path) -> None:
    """Read, checked, copied and put back by the version before, nothing of the next is lost."""
    code = earlier.following(tmp_path, opened_by=migrations.newest())
    with of_the_next("sqlite", tmp_path, code) as place:
        assert isinstance(place, Path)
        then, copy = revision(place), tmp_path / "copy.db"

        for words in (
            ["db", "upgrade", "--db", str(place)],
            ["db", "check", "--db", str(place)],
            ["verify", "--db", str(place)],
            ["db", "backup", str(copy), "--db", str(place)],
            ["db", "restore", str(copy), "--db", str(place)],
            ["get", "mlg://dataset/lake/t7", "--db", str(place)],
        ):
            done = CliRunner().invoke(main, words)
            assert done.exit_code == 0, done.output
        assert revision(place) == then
        with closing(sqlite3.connect(place)) as file:
            assert file.execute("SELECT name FROM shade").fetchall() == [("dusk",)]


@pytest.mark.promise("P17")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_that_takes_away_cannot_be_gone_back_from(engine: str, tmp_path: Path) -> None:
    code = earlier.following(tmp_path, opened_by=None)
    with of_the_next(engine, tmp_path, code) as place:
        for writable in (True, False):
            with pytest.raises(NewerSchema, match=migrations.newest()):
                Store(place, shapes=Shapes.builtin(), writable=writable)


@pytest.mark.promise("P17")
def test_whoever_reads_a_file_by_the_code_of_before_reads_on(tmp_path: Path) -> None:
    """They were opened for reading; the migration is of one moment, and takes nothing away."""
    words = [sys.executable, "-c", _READ, str(tmp_path / "graph.db"), str(FEW)]
    environment = earlier.environment(earlier.sources())
    with (
        filled("sqlite", tmp_path) as (place, _),
        subprocess.Popen(words, text=True, env=environment, stdout=subprocess.PIPE) as reader,
    ):
        assert reader.stdout is not None
        reader.stdout.readline()

        with Lineal.open(Config(db=Path(place))):
            before = int(reader.stdout.readline())
            while int(reader.stdout.readline()) < before + 40:
                pass
        (tmp_path / "enough").touch()
        reader.communicate()

    assert reader.returncode == 0
    assert revision(place) == migrations.newest()


@pytest.mark.promise("P17")
def test_the_newest_step_waits_for_nobody(tmp_path: Path) -> None:
    """Who reads and writes in all tables keeps it from nothing, nor does it keep them."""
    with filled("postgres", tmp_path) as (place, _):
        with psycopg.connect(str(place)) as busy:
            names = [
                row[0] for row in
                busy.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            ]  # fmt: skip
            for name in names:
                busy.execute(f'LOCK TABLE "{name}" IN ROW EXCLUSIVE MODE')
            Store(place, shapes=Shapes.builtin()).close()
        assert revision(place) == migrations.newest()


def test_whoever_starts_during_a_long_migration_waits_for_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However short others' patience is: the first may need minutes."""
    monkeypatch.setitem(store_postgres._SETTINGS, "lock_timeout", "50ms")
    monkeypatch.setitem(store_postgres._SETTINGS, "statement_timeout", "100ms")
    with filled("postgres", tmp_path) as (place, _), psycopg.connect(str(place)) as first:
        first.execute("SELECT pg_advisory_xact_lock(%s)", (migrations._LOCK,))
        done = threading.Event()

        def starts() -> None:
            Store(place, shapes=Shapes.builtin()).close()
            done.set()

        second = threading.Thread(target=starts)
        second.start()
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        with psycopg.connect(str(place), autocommit=True) as looking:
            while looking.execute(waiting).fetchone() is None:
                time.sleep(0.01)
        time.sleep(0.3)
        assert not done.is_set()
        first.rollback()
        second.join(PATIENCE)

        assert done.is_set()
        assert revision(place) == migrations.newest()


def test_what_others_hold_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that must have a table for itself does not let everybody else wait behind it."""
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT", "50ms")
    with filled("postgres", tmp_path) as (place, _):
        held = psycopg.connect(str(place))
        held.execute("LOCK TABLE alembic_version IN SHARE MODE")
        store = threading.Thread(target=lambda: Store(place, shapes=Shapes.builtin()).close())
        store.start()
        refused = "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        with psycopg.connect(str(place), autocommit=True) as looking:
            began = looking.execute(refused).fetchone()
            while looking.execute(refused).fetchone() == began:
                time.sleep(0.05)
        held.close()
        store.join(PATIENCE)

        assert revision(place) == migrations.newest()

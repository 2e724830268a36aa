"""Connections to PostgreSQL that break: what was committed is found out, and nobody is troubled."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from lineal.access import LOCAL
from lineal.errors import Unreachable
from lineal.model import Instant, Json, Uri
from lineal.search import describing
from lineal.shapes import Shapes
from lineal.store import Batch, SearchRow, Store, clock_now, work
from tests import crowd
from tests.cutting import WAYS, cutter
from tests.databases import fresh
from tests.graphs import PLAYS, TEAM, TITLES, said
from tests.promises.recording import SOAK, found, ran
from tests.simulated import Rig, Tool

#: How many connections are cut: around commits of facts, and anywhere on the write path.
CUTS, PATHS = (1_000, 400) if SOAK else (40, 24)

DESCRIBE = describing(Shapes.builtin())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a fresh PostgreSQL database."""
    with fresh("postgres", tmp_path) as url:
        yield str(url)


def kill_backends(url: str) -> int:
    """End every connection that a store has to a database; return how many."""
    query = """
        SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'lineal'
    """
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def ts(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT t FROM tx ORDER BY t").fetchall()]


# ── Cut ──────────────────────────────────────────────────────────────────────────────────────────


class Chance:
    """Cuts about two of three commits once, some twice in a row, in every way there is."""

    def __init__(self, seed: int) -> None:
        self._chance, self._in_a_row = random.Random(seed), 0
        self.on = False
        self.ways: list[str] = []

    def __call__(self) -> str | None:
        if not self.on or self._in_a_row == 2 or self._chance.random() < 0.4:
            self._in_a_row = 0
            return None
        self._in_a_row += 1
        self.ways.append(self._chance.choice(WAYS))
        return self.ways[-1]


@pytest.mark.promise("P19")
@pytest.mark.timeout(0 if SOAK else 120)
def test_a_cut_around_commit_loses_nothing_and_writes_nothing_twice(
    place: str, tmp_path: Path
) -> None:
    """P19: the answer names the transaction of the words, whether the server acted on it or not."""
    chance = Chance(19)
    with (
        cutter(place, chance) as proxy,
        closing(crowd.opened(proxy.url)) as store,
        closing(crowd.opened(tmp_path / "uncut.db")) as uncut,
    ):
        chance.on = True
        told = 0
        while len(chance.ways) < CUTS:
            told += 1
            word = said(PLAYS, [(PLAYS, "owned_by", TEAM)], document=f"d{told}", rows=told)
            batch = Batch([word], "test", f"word {told}")
            assert store.commit(batch).t == told
            assert ts(place) == list(range(1, told + 1))
            uncut.commit(batch)
        expected = uncut.digest()
    with closing(crowd.opened(place)) as direct:
        verdict = direct.verify()
        assert verdict.sound, verdict.disagreements
        assert verdict.digest == expected
    assert set(chance.ways) == set(WAYS)
    assert proxy.cuts == len(chance.ways) >= CUTS
    ran("P19", "cuts around COMMIT", proxy.cuts)
    found(seed=19, words=told)


@pytest.mark.promise("P19", "P1")
@pytest.mark.timeout(0 if SOAK else 120)
def test_events_through_cut_connections_are_kept_once_they_are_acknowledged(
    place: str, tmp_path: Path
) -> None:
    """The whole write path: inbox, marks, leases, answers. A sender sends until it is told yes."""
    dice, chance, tool = random.Random(20), Chance(20), Tool()
    with cutter(place, chance) as proxy:
        rig = Rig(proxy.url, tool)
        chance.on = True
        told = again = number = 0
        while len(chance.ways) < PATHS:
            number += 1
            ident = f"t{dice.randrange(12)}"
            tool.put(ident, number, f"t{dice.randrange(12)}")
            while not sent(rig, ident):
                again += 1
            told += 1
            worked_on(rig)
        chance.on = False
        rig.work()
        rig.clock.wait(3_600)
        rig.work()
        accounts = rig.accounts()["tool"]
        known, verdict = rig.known(), rig.store.verify()
        rig.close()
    scratch = Rig(tmp_path / "scratch.db", tool, clock=rig.clock)
    scratch.tell(*sorted(tool.things))
    scratch.work()
    expected = scratch.store.digest()
    scratch.close()

    assert verdict.sound, verdict.disagreements
    assert verdict.digest == expected
    assert known == {name: thing.value for name, thing in tool.things.items()}
    assert told <= accounts.accepted <= told + again
    assert accounts.pending == 0
    ran("P19", "cuts around COMMIT", proxy.cuts)
    found(seed=20, acknowledged=told, sent_again=again)


def sent(rig: Rig, ident: str) -> bool:
    """Send an event; False where it is not acknowledged."""
    try:
        rig.tell(ident)
    except Unreachable:
        return False
    return True


def worked_on(rig: Rig) -> None:
    """Do a turn; one that breaks off is tried again later, as the background work does."""
    with contextlib.suppress(Unreachable):
        rig.ingest.turn()


# ── Killed by the server ─────────────────────────────────────────────────────────────────────────


class Killer:
    """Ends every connection of a store the first time that a commit comes by, once it is armed."""

    def __init__(self, url: str) -> None:
        self._url, self.armed, self.killed = url, False, 0

    def strike(self) -> None:
        if self.armed:
            self.armed = False
            self.killed = kill_backends(self._url)

    def now(self) -> Instant:
        """Be a clock: it is looked at after the first statement of a commit."""
        self.strike()
        return clock_now()

    def describe(self, uri: Uri, attributes: Mapping[str, Json], deleted: bool) -> SearchRow:
        """Make a search row: most of the commit is written by then."""
        self.strike()
        return DESCRIBE(uri, attributes, deleted)


@pytest.mark.parametrize("when", ["at the beginning", "at the end"])
def test_a_server_that_ends_a_connection_inside_a_commit_is_asked_again(
    place: str, when: str
) -> None:
    killer = Killer(place)
    clock: Callable[[], Instant] = killer.now if when == "at the beginning" else clock_now
    found = killer.describe if when == "at the end" else DESCRIBE
    with closing(Store(place, shapes=Shapes.builtin(), describe=found, now=clock)) as store:
        store.commit(Batch([said(PLAYS, rows=1)], "test", "first"))
        killer.armed = True

        done = store.commit(Batch([said(PLAYS, rows=2), said(TITLES, rows=1)], "test", "second"))

        assert killer.killed >= 1
        assert (done.t, dict(done.documents)) == (2, {"changed": 1, "new": 1})
        assert ts(place) == [1, 2]
        assert store.verify().sound


def test_a_commit_that_the_database_undoes_for_another_is_done_again(place: str) -> None:
    """Our own transactions never wait for each other in a ring; a foreign one may make one."""
    holds = threading.Event()

    def stand_in_the_way() -> None:
        with psycopg.connect(place) as connection:
            # It waits for ever, so that the commit is the one that the database undoes.
            connection.execute("SET deadlock_timeout = '1h'")
            connection.execute("SELECT 1 FROM ledger WHERE name = 'document' FOR UPDATE")
            holds.set()
            connection.execute("UPDATE clock SET t = t")

    threads: list[threading.Thread] = []

    def found(uri: Uri, attributes: Mapping[str, Json], deleted: bool) -> SearchRow:
        if threads and not holds.is_set():
            threads[0].start()
            holds.wait()
        return DESCRIBE(uri, attributes, deleted)

    with closing(Store(place, shapes=Shapes.builtin(), describe=found)) as store:
        store.commit(Batch([said(PLAYS, rows=1)], "test", "first"))
        threads.append(threading.Thread(target=stand_in_the_way))

        done = store.commit(Batch([said(PLAYS, rows=2), said(TITLES, rows=1)], "test", "second"))

        threads[0].join()
        assert (done.t, ts(place)) == (2, [1, 2])
        assert store.verify().sound


def test_connections_that_broke_while_nobody_used_them_trouble_nobody(place: str) -> None:
    with closing(crowd.opened(place)) as store:
        for number in range(1, 6):
            assert kill_backends(place) >= 1
            word = said(PLAYS, rows=number)
            assert store.commit(Batch([word], "test", "after a break")).t == number

            assert kill_backends(place) >= 1
            with store.read(LOCAL) as one, store.read(LOCAL) as another:
                assert (one.basis.t, another.basis.t) == (number, number)

            assert kill_backends(place) >= 2
            with store.working() as ledger:
                work.mark(ledger, "lake", f"document-{number}", deleted=False, due_at=1)

            assert kill_backends(place) >= 1
            with store.looking() as driver:
                assert len(work.due(driver, 2, 10)) == number
        assert store.verify().sound

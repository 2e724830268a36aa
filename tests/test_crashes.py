"""Whatever is killed and when, what was acknowledged is there (P1), and a restart is clean (P21).

A Lineal works under load and kills itself at each named point of its write path, or is killed at
any moment; another one begins where it ended. After each kill a checker that shares no code with
the store looks for every acknowledged event; at the end the graph is that which is built from
scratch. A failing run names its seed: ``LINEAL_SEED=… make test ARGS="-k crashes"`` repeats it.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from lineal.points import POINTS
from tests.crashes.checker import look
from tests.crashes.child import Strike
from tests.crashes.rounds import DRAINED, Runner
from tests.databases import ENGINES, fresh, mortal
from tests.promises.recording import SOAK, found, ran

#: A disk in memory, where there is one: what is tried here is no power cut.
SHM = Path("/dev/shm")
#: Rounds at each point, and at any moment, of each engine; and polite restarts.
AT_POINTS, AT_MOMENTS, RESTARTS = (
    ({"sqlite": 20, "postgres": 7}, {"sqlite": 300, "postgres": 60}, 100)
    if SOAK
    else ({"sqlite": 1, "postgres": 0}, {"sqlite": 6, "postgres": 4}, 4)
)
#: How often PostgreSQL itself is killed.
SERVER_KILLS = 20 if SOAK else 3
#: Points that a server under load does not come to: `test_crashed_loads` strikes there.
ELSEWHERE = {
    "snapshot-part-committed", "snapshot-committed", "rewording", "forgotten", "file-ready",
    "file-replaced", "arrays-written", "handed-back",
}  # fmt: skip
ONLY_SQLITE = {"text-merged", "log-moved"}
#: On PostgreSQL a change strikes only where the database matters most.
CHOSEN = ("transaction-written", "transaction-committed", "inbox-committed", "published",
          "lease-committed", "absence-counted")  # fmt: skip


def seed_of(name: str) -> int:
    """Return the seed of a run: a new one each time, or the one that is to be repeated."""
    given = os.environ.get("LINEAL_SEED")
    seed = int(given) if given else random.SystemRandom().randrange(1 << 31)
    print(f"{name}: LINEAL_SEED={seed}")
    found(seed=seed)
    return seed


@pytest.fixture(params=ENGINES)
def place(request: pytest.FixtureRequest) -> Iterator[tuple[str, Path, Path | str]]:
    """Yield an engine, a folder and an empty database."""
    with (
        tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as name,
        fresh(request.param, Path(name)) as database,
    ):
        yield request.param, Path(name), database


def points_of(engine: str) -> list[str]:
    """Return the points at which servers on an engine are struck."""
    every = set(POINTS) - ELSEWHERE - (ONLY_SQLITE if engine == "postgres" else set())
    return sorted(every, key=list(POINTS).index)


def plan(engine: str, dice: random.Random) -> list[Strike | None]:
    """Return in random order where to strike; None: at any moment."""
    points = points_of(engine) * AT_POINTS[engine]
    if engine == "postgres" and not SOAK:
        points = list(CHOSEN)
    strikes: list[Strike | None] = [Strike(point, _nth(point, dice)) for point in points]
    strikes += [None] * AT_MOMENTS[engine]
    dice.shuffle(strikes)
    # Letters must have been written before they can be taken up.
    strikes.sort(key=lambda one: one is not None and one.point.startswith("letters-"))
    return strikes


#: Points that a process comes to once, or hardly more often.
RARE = {"migrated", "projected", "letters-purged", "letters-replayed", "sweep-begun",
        "sweep-page-taken", "sweep-listed", "absence-counted", "text-merged",
        "log-moved", "letter-written", "rules-followed"}  # fmt: skip


def _nth(point: str, dice: random.Random) -> int:
    if point in RARE:
        return 1
    # Any transaction: the first are those of its beginning.
    return dice.randint(20, 90) if point.startswith("transaction-") else dice.randint(1, 12)


@pytest.mark.promise("P1", "P11")
@pytest.mark.timeout(0 if SOAK else 600)
def test_what_was_acknowledged_outlives_a_kill_at_every_point(
    place: tuple[str, Path, Path | str],
) -> None:
    engine, folder, database = place
    seed = seed_of(f"kills on {engine}")
    runner = Runner(folder, database, seed, whole=SOAK)
    with runner.open():
        for strike in plan(engine, random.Random(seed)):
            if strike is None:
                runner.kill()
            else:
                runner.strike(strike)
        digest = runner.settle()
        assert digest == runner.from_scratch()
        told, counts = runner.told, runner.counts

    name = {"sqlite": "SQLite", "postgres": "PostgreSQL"}[engine]
    ran("P1", f"kills on {name}", told.rounds)
    ran("P1", "points struck", len(set(told.struck)) if engine == "sqlite" else 0)
    ran("P11", "checks of the accounts", told.rounds + 1)
    found(acknowledged=runner.senders.acknowledged.events,
          entries=len(runner.senders.acknowledged.entries), lost=len(told.lost))  # fmt: skip
    assert told.lost == []
    assert told.wrong == []
    assert told.missed == []
    assert [point for point in set(told.struck) if not counts[point]] == []
    if engine == "sqlite":
        assert set(told.struck) == set(points_of(engine))


@pytest.mark.promise("P1")
@pytest.mark.timeout(0 if SOAK else 600)
def test_what_was_acknowledged_outlives_kills_of_the_database_server() -> None:
    """One Lineal goes on meanwhile: nobody helps it to come back."""
    with (
        tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as name,
        mortal(Path(name) / "server") as database,
    ):
        runner = Runner(Path(name), database, seed_of("kills of PostgreSQL"), whole=False)
        with runner.open():
            running = runner.begun(None)
            for _ in range(SERVER_KILLS):
                running.ended_within(runner.dice.uniform(0.3, 0.8))
                kill_server(database)
            accepting(database)
            before = runner.senders.acknowledged.events
            running.ended_within(2.0)
            after = runner.senders.acknowledged.events
            assert running.end(signal.SIGTERM) <= DRAINED
            runner.look()
            assert running.process.exitcode == 0, running.said
            assert runner.settle() == runner.from_scratch()

    ran("P1", "kills of a PostgreSQL server", SERVER_KILLS)
    found(acknowledged=after, lost=len(runner.told.lost), refused=runner.senders.refused)
    assert (runner.told.lost, runner.told.wrong) == ([], [])
    assert after > before, "it did not come back"


def test_a_lineal_that_acknowledges_too_early_is_found_out(tmp_path: Path) -> None:
    """The rig sees a loss where there is one."""
    runner = Runner(tmp_path, tmp_path / "graph.db", 1, whole=False)
    runner.little = "tests.crashes.doors:careless"
    with runner.open():
        for _ in range(10):
            runner.kill()
            if runner.told.lost:
                break

    assert runner.told.lost != []


def test_the_checker_sees_what_is_not_there_stands_twice_or_is_unaccounted_for(
    tmp_path: Path,
) -> None:
    runner = Runner(tmp_path, tmp_path / "graph.db", 1, whole=False)
    with runner.open():
        runner.kill()
        runner.kill()
        runner.settle()
    acknowledged, tool = runner.senders.acknowledged, runner.tool
    assert acknowledged.told
    assert acknowledged.lost(look(tmp_path / "graph.db"), tool) == []

    with closing(sqlite3.connect(tmp_path / "graph.db")) as file, file:
        file.execute("UPDATE record SET t_to = 1")
        file.execute("DELETE FROM log_body")
        file.execute("CREATE TEMP TABLE one AS SELECT * FROM edge_in WHERE t_to IS NULL LIMIT 1")
        file.execute("UPDATE one SET t_from = t_from - 1")
        file.execute("INSERT INTO edge_in SELECT * FROM one")
        file.execute("UPDATE flow SET count = count + 1 WHERE what = 'accepted'")
    seen = look(tmp_path / "graph.db")

    lost = acknowledged.lost(seen, tool)
    assert len(lost) >= len(acknowledged.entries) + 1
    assert set(seen.missing.values()) == {1}
    assert seen.double == 1


def kill_server(url: str) -> None:
    """Kill a process of the server that Lineal is connected to; all others end, and it recovers."""
    accepting(url)
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'lineal'"
    with psycopg.connect(url, autocommit=True) as connection:
        (pid,) = random.choice(connection.execute(query).fetchall())
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT pg_sleep(30)")


def accepting(url: str) -> None:
    """Wait until the server answers."""
    until = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < until, "the server does not come back"
            time.sleep(0.02)


@pytest.mark.promise("P21")
@pytest.mark.timeout(0 if SOAK else 300)
def test_a_restart_under_load_loses_nothing_and_takes_no_longer_than_promised(
    place: tuple[str, Path, Path | str],
) -> None:
    engine, folder, database = place
    runner = Runner(folder, database, seed_of(f"restarts on {engine}"), whole=True)
    with runner.open():
        for _ in range(RESTARTS if engine == "sqlite" else RESTARTS // 2):
            runner.stop()
        assert runner.settle() == runner.from_scratch()
        told = runner.told

    ran("P21", "restarts under load", told.rounds)
    found(acknowledged=runner.senders.acknowledged.events, lost=len(told.lost),
          longest_end_in_seconds=round(max(told.drained), 2))  # fmt: skip
    assert told.lost == []
    assert told.wrong == []
    assert max(told.drained) <= DRAINED

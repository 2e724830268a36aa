"""Many writers at once on one PostgreSQL database: nothing lost, nothing twice, one order.

SQLite has one writer: a second process is refused by name (`tests/test_sqlite_file.py`).
"""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import psycopg
import pytest

from lineal.access import LOCAL
from lineal.errors import NotFound
from lineal.model import Event, Json, Moment
from lineal.query import Questions
from lineal.store import Batch, Fence, Store, work
from tests import crowd
from tests.databases import fresh
from tests.graphs import said
from tests.promises.recording import ran

WRITERS = 16


@pytest.fixture
def place(tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a fresh PostgreSQL database."""
    with fresh("postgres", tmp_path) as url:
        yield str(url)


def told_in_order(place: Path | str, documents: Sequence[Sequence[crowd.Word]]) -> str:
    """Return the digest of a graph that one writer is told the last words, one by one."""
    with closing(crowd.opened(place)) as store:
        for document in documents:
            store.commit(Batch(document[-1:], "one", "in order"))
        return store.digest()


# ── What is asked meanwhile ──────────────────────────────────────────────────────────────────────

#: All that was known at a transaction, in one number, by SQL that the store knows nothing of.
KNOWN_AT = """
    SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
        SELECT concat_ws(' ', 'r', key, document, t_from, valid_from, valid_to, body) AS line
        FROM record WHERE t_from <= %(t)s AND (t_to IS NULL OR t_to > %(t)s)
        UNION ALL
        SELECT concat_ws(' ', 'o', src, kind, dst, document, t_from, valid_from, valid_to, layer)
        FROM edge_out WHERE t_from <= %(t)s AND (t_to IS NULL OR t_to > %(t)s)
        UNION ALL
        SELECT concat_ws(' ', 'i', src, kind, dst, document, t_from, valid_from, valid_to, layer)
        FROM edge_in WHERE t_from <= %(t)s AND (t_to IS NULL OR t_to > %(t)s)
        UNION ALL
        SELECT concat_ws(' ', 'd', src, kind, dst, document, t_from, supports, why)
        FROM derivation WHERE t_from <= %(t)s AND (t_to IS NULL OR t_to > %(t)s)
        UNION ALL
        SELECT concat_ws(' ', 'e', key, uri, type, t_from) FROM entity WHERE t_from <= %(t)s
        UNION ALL
        SELECT concat_ws(' ', 't', t, instant, actor, cause, token, encode(hash, 'hex'))
        FROM tx WHERE t <= %(t)s
    ) AS known
"""


def known_at(url: str, t: int) -> object:
    with psycopg.connect(url) as connection:
        return connection.execute(KNOWN_AT, {"t": t}).fetchone()


def answers_at(store: Store, t: int, seed: int) -> str:
    """Return in one number what is answered about some things as of a transaction."""
    ask, moment = Questions(store), Moment(known_t=t)
    told: list[object] = []
    for uri in random.Random(seed).sample(crowd.THINGS, 4):
        try:
            thing = ask.get(LOCAL, uri, moment).value
        except NotFound:
            told.append((uri, "unknown"))
            continue
        near = ask.neighbours(LOCAL, uri, moment).value
        told.append((thing.uri, thing.state, sorted(thing.attributes.items()), thing.said))
        told.append(sorted((one.relation, one.other.uri) for one in near))
        told.append(ask.history(LOCAL, uri, moment).value)
    return hashlib.sha256(repr(told).encode()).hexdigest()


class Onlookers:
    """Readers and followers that ask while others write, until they are told to stop."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._over = threading.Event()
        #: (t, seed of what was asked, what was answered, all that was known).
        self.answers: list[tuple[int, int, str, object]] = []
        #: The rows that each follower saw, in the order in which they appeared.
        self.feeds: list[list[tuple[int, int]]] = []

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Ask while the block runs; what went wrong with asking is raised at its end."""
        with ThreadPoolExecutor() as pool:
            asking = [pool.submit(self.read, seed) for seed in range(3)]
            asking += [pool.submit(self.follow) for _ in range(2)]
            try:
                yield
            finally:
                self._over.set()
        for one in asking:
            one.result()

    def read(self, seed: int) -> None:
        """Ask what is known at the newest transaction, again and again."""
        chance = random.Random(seed)
        with closing(crowd.opened(self.url, writable=False)) as store:
            while not self._over.is_set():
                with store.read(LOCAL) as reader:
                    t = reader.basis.t
                asked = chance.randrange(1 << 30)
                told = answers_at(store, t, asked)
                self.answers.append((t, asked, told, known_at(self.url, t)))

    def follow(self) -> None:
        """Ask for what came after the last transaction that was seen, as a subscriber does."""
        seen: list[tuple[int, int]] = []
        self.feeds.append(seen)
        query = "SELECT t, instant FROM tx WHERE t > %s ORDER BY t"
        with psycopg.connect(self.url, autocommit=True) as connection:
            while True:
                over = self._over.is_set()
                last = seen[-1][0] if seen else 0
                seen.extend(connection.execute(query, (last,)).fetchall())
                if over:
                    return


def together(tasks: Sequence[Callable[[], object]]) -> None:
    """Run tasks at the same time; the first failure is raised."""
    with ThreadPoolExecutor(len(tasks)) as pool:
        for running in [pool.submit(task) for task in tasks]:
            running.result()


def write(
    url: str, batches: Sequence[Sequence[crowd.Word]], name: str, written: list[list[int]]
) -> None:
    """Commit batches one after the other; add in which transactions."""
    found: list[int] = []
    written.append(found)
    with closing(crowd.opened(url)) as store:
        for batch in batches:
            t = store.commit(Batch(batch, name, "crowd")).t
            with store.read(LOCAL) as reader:
                assert t is None or reader.basis.t >= t, "what was written can be read"
            if t is not None:
                found.append(t)


@pytest.mark.promise("P8", "P18")
def test_sixteen_writers_leave_one_history_without_a_gap(place: str, tmp_path: Path) -> None:
    """H10, P8: no row appears at or below a transaction that was answered; the last words count."""
    documents, hands = crowd.history(16, versions=6, writers=WRITERS)
    onlookers, written = Onlookers(place), list[list[int]]()
    with onlookers.looking():
        together([
            partial(write, place, hand, f"writer-{number}", written)
            for number, hand in enumerate(hands)
        ])  # fmt: skip

    with closing(crowd.opened(place)) as store:
        verdict = store.verify()
        assert verdict.sound, verdict.disagreements
        assert verdict.t == len({t for some in written for t in some})
        assert all(some == sorted(some) for some in written)
        assert len(onlookers.answers) > 10
        assert len({t for t, *_ in onlookers.answers}) > 5
        for t, asked, told, known in onlookers.answers:
            assert (answers_at(store, t, asked), known_at(place, t)) == (told, known), t
        for feed in onlookers.feeds:
            assert [t for t, _ in feed] == list(range(1, verdict.t + 1))
            assert [instant for _, instant in feed] == sorted({instant for _, instant in feed})
    assert verdict.digest == told_in_order(tmp_path / "in-order.db", documents)
    ran("P18", "writers at once", WRITERS)
    ran("P8", "answers asked again", len(onlookers.answers))


# ── Killed ───────────────────────────────────────────────────────────────────────────────────────

PROCESSES, KILLS, VERSIONS, SEED = 8, 10, 4, 8

#: Which claims stand twice, which tokens were committed twice?
DOUBLE = """
    SELECT 'edge', src, kind, dst, document FROM edge_out WHERE t_to IS NULL
    GROUP BY src, kind, dst, document HAVING count(*) > 1
    UNION ALL
    SELECT 'record', key, 0, 0, document FROM record WHERE t_to IS NULL
    GROUP BY key, document HAVING count(*) > 1
    UNION ALL
    SELECT 'token', min(t), 0, 0, max(t) FROM tx GROUP BY token HAVING count(*) > 1
"""


class Writer:
    """A writer process that is started again until it has said that all of its words are in."""

    def __init__(self, url: str, number: int, log: Path) -> None:
        self._arguments = [url, *(str(one) for one in (SEED, VERSIONS, PROCESSES, number))]
        self._log = log / f"writer-{number}"
        self.kills = 0
        self.start()

    def start(self) -> None:
        with self._log.open("a") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.crowd", *self._arguments], stdout=out, stderr=out
            )

    def acknowledged(self) -> list[tuple[str, int | None]]:
        """Return what it said was committed: token, and in which transaction."""
        lines = [line.split() for line in self._log.read_text().splitlines(keepends=True)
                 if line.endswith("\n")]  # fmt: skip
        return [(token, None if t == "None" else int(t)) for token, t in lines]

    def kill(self) -> None:
        """Kill it in the middle of something, where it still runs, and start it again."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self.kills += 1
        self._process.wait()
        self.start()

    def finish(self) -> None:
        """Wait until it has said everything."""
        assert self._process.wait(timeout=120) == 0, self._log.read_text()


@pytest.mark.promise("P18")
def test_killed_writers_lose_nothing_and_write_nothing_twice(place: str, tmp_path: Path) -> None:
    """P18: eight processes; ten are killed at random moments and say all of their words again."""
    chance = random.Random()
    documents, hands = crowd.history(SEED, versions=VERSIONS, writers=PROCESSES)
    crowd.opened(place).close()
    writers = [Writer(place, number, tmp_path) for number in range(PROCESSES)]
    while sum(writer.kills for writer in writers) < KILLS:
        wait_for_more(writers)
        time.sleep(chance.uniform(0, 0.05))
        chance.choice(writers).kill()
    for writer in writers:
        writer.finish()

    acknowledged = {one for writer in writers for one in writer.acknowledged()}
    with psycopg.connect(place) as connection:
        committed: dict[str, int] = dict(connection.execute("SELECT token, t FROM tx").fetchall())
        assert connection.execute(DOUBLE).fetchall() == []
    assert {token for token, _ in acknowledged} == {
        f"{number}-{at}" for number, hand in enumerate(hands) for at in range(len(hand))
    }
    assert {token: t for token, t in acknowledged if t is not None} == committed
    with closing(crowd.opened(place)) as store:
        verdict = store.verify()
    assert verdict.sound, verdict.disagreements
    assert verdict.digest == told_in_order(tmp_path / "in-order.db", documents)
    ran("P18", "kills of a writer", sum(writer.kills for writer in writers))


def wait_for_more(writers: Sequence[Writer]) -> None:
    """Wait until something more is said to be in, so that kills fall between and into commits."""
    heard = sum(len(one.acknowledged()) for one in writers)
    for _ in range(6_000):
        if sum(len(one.acknowledged()) for one in writers) > heard:
            return
        time.sleep(0.01)
    pytest.fail("No writer went on.")


# ── At the edges of a commit ─────────────────────────────────────────────────────────────────────


def at_once(count: int, task: Callable[[int], object]) -> None:
    """Run a task several times, all of them beginning at the same moment."""
    barrier = threading.Barrier(count)

    def begin(number: int) -> None:
        barrier.wait()
        task(number)

    together([partial(begin, number) for number in range(count)])


def opened_and_closed(url: str, _: int) -> None:
    crowd.opened(url).close()


def test_a_fresh_database_may_be_opened_by_many_at_once(tmp_path: Path) -> None:
    """Each of them would make the search rows, number the facets and register its sources."""
    for _ in range(4):
        with fresh("postgres", tmp_path) as url:
            at_once(8, partial(opened_and_closed, str(url)))
            with closing(crowd.opened(str(url))) as store:
                assert store.verify().sound


def test_sources_may_be_registered_by_many_at_once(place: str) -> None:
    stores = [crowd.opened(place) for _ in range(6)]
    at_once(6, lambda number: stores[number].register({("dataset", f"lake{number}"): "lake"}))

    verdict = stores[0].verify()
    assert verdict.sound, verdict.disagreements
    assert verdict.counts["registered"] == 1
    for store in stores:
        store.close()


def test_marks_in_any_order_do_not_stand_in_each_others_way(place: str) -> None:
    """Several processes mark the same documents, each in its own order, while others commit."""
    stores = [crowd.opened(place) for _ in range(6)]
    names = [f"document-{number}" for number in range(20)]

    def work_on(number: int) -> None:
        chance, store = random.Random(number), stores[number]
        for round_ in range(15):
            some = chance.sample(names, 8)
            if number % 3 == 0:
                fences = [Fence("lake", name, round_ * 10) for name in some]
                word = said(crowd.TABLES[number], rows=round_, document=f"by {number}")
                store.commit(Batch([word], "test", "fenced", fences=fences))
                continue
            with store.working() as ledger:
                body: dict[str, Json] = {"round": round_}
                for name in some:
                    work.mark(ledger, "lake", name, deleted=False, due_at=1)
                work.keep(ledger, "log", f"{round_}", body, some, 1)
                work.bury_event(ledger, Event("lake", body, 1), ValueError("x"), 1)

    at_once(6, work_on)

    verdict = stores[0].verify()
    assert verdict.sound, verdict.disagreements
    assert (verdict.counts["log_body"], verdict.counts["dead_letter"]) == (15, 60)
    for store in stores:
        store.close()

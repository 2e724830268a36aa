"""Is the store fast enough to be the record? Lineal beside plain SQLite tables, in one run.

The peer holds the same things in a table of twelve columns and the same edges in a table with an
index each way: no history, no search, no reasons. Rates are sustained over all measured batches,
upkeep included; everything is durable; search rows and rules are part of every commit.
"""

from __future__ import annotations

import gc
import os
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from bench.graph import Graph
from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.model import Record, Uri
from lineal.store import Batch, Store

BATCH = 500
#: How many batches of each sort go before the measured ones.
WARM_UP = 5
#: How many single changes, and how many look-ups, are timed.
SINGLES, LOOKUPS = 500, 2_000
#: The size of M in plain SQLite as measured before there was a store (bytes a thing).
PLAIN_BYTES = 489.0

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """One figure: what, how much in which unit, the target, and the peer's in the same run."""

    what: str
    value: float
    unit: str
    target: str = ""
    met: bool | None = None
    peer: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times the peer's figure this is."""
        return None if not self.peer else self.value / self.peer


@dataclass
class Measured:
    """All figures of one database, in the order in which they were taken."""

    engine: str
    rows: list[Row] = field(default_factory=list)
    tables: dict[str, float] = field(default_factory=dict)

    def add(
        self,
        what: str,
        value: float,
        unit: str,
        target: float | None = None,
        peer: float | None = None,
        *,
        at_most: bool = True,
    ) -> None:
        """Add a figure; *target* is the most, or the least, that it should be."""
        if target is None:
            self.rows.append(Row(what, value, unit, peer=peer))
            return
        met = value <= target if at_most else value >= target
        sign = "≤" if at_most else "≥"
        self.rows.append(Row(what, value, unit, f"{sign} {target:,.6g}", met, peer))


# ── The peer ─────────────────────────────────────────────────────────────────────────────────────


class Peer:
    """Plain tables of things and edges, as a user would make them by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;"
            "CREATE TABLE node (id INTEGER PRIMARY KEY, uri TEXT UNIQUE, name TEXT, type TEXT,"
            " description TEXT, owner TEXT, team TEXT, tags TEXT, stage TEXT, created TEXT,"
            " updated TEXT, version TEXT);"
            "CREATE TABLE edge (src INTEGER, dst INTEGER, kind TEXT,"
            " PRIMARY KEY (src, dst, kind)) WITHOUT ROWID;"
            "CREATE INDEX edge_back ON edge (dst, src, kind);"
        )

    def load(self, graph: Graph) -> float:
        """Store everything at once; return how many seconds it took."""
        began = time.perf_counter()
        self.connection.execute("BEGIN")
        self.connection.executemany(
            f"INSERT INTO node VALUES ({','.join('?' * 12)})",
            (self.row(graph, thing) for thing in range(len(graph))),
        )
        self.connection.executemany(
            "INSERT OR IGNORE INTO edge VALUES (?, ?, ?)",
            ((thing, end, "k") for thing in range(len(graph)) for end in graph.parents(thing)),
        )
        self.connection.execute("COMMIT")
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return time.perf_counter() - began

    @staticmethod
    def row(graph: Graph, thing: int) -> tuple[object, ...]:
        """Return a thing as its row."""
        record = graph.record(thing)
        said = record.statements[0].attributes
        return (
            thing, record.subject, said["name"], record.subject.type, said["description"],
            f"user-{thing % 977}", f"team-{thing % 400}", str(said["tags"]), said["stage"],
            said["created_at"], said["updated_at"], said["version"],
        )  # fmt: skip

    def change(self, graph: Graph, thing: int) -> None:
        """Replace a thing and its edges, durably."""
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.execute(
            f"INSERT OR REPLACE INTO node VALUES ({','.join('?' * 12)})", self.row(graph, thing)
        )
        self.connection.execute("DELETE FROM edge WHERE src = ?", (thing,))
        self.connection.executemany(
            "INSERT OR IGNORE INTO edge VALUES (?, ?, 'k')",
            [(thing, end) for end in graph.parents(thing)],
        )
        self.connection.execute("COMMIT")

    def look_up(self, uri: Uri) -> object:
        """Return the row of a thing."""
        return self.connection.execute("SELECT * FROM node WHERE uri = ?", (uri,)).fetchone()


# ── Lineal ───────────────────────────────────────────────────────────────────────────────────────


def measure(
    place: Path | str, graph: Graph, *, batches: int, peer: Peer | None, progress: Progress
) -> Measured:
    """Take all figures of the store on one database."""
    with Lineal.open(Config(db=place)) as lineal:
        store = lineal.store
        found = Measured(_engine(store))
        _settle()
        _load(found, store, graph, peer, progress)
        _size(found, store, graph, peer)
        _batches(found, store, graph, batches, progress)
        _singles(found, store, graph, peer, progress)
        _lookups(found, lineal, graph, peer, progress)
    return found


def _engine(store: Store) -> str:
    """Which database is this, in which version?"""
    if isinstance(store.place, Path):
        return f"SQLite {sqlite3.sqlite_version}"
    with store.looking() as driver:
        row = driver.row("SHOW server_version")
    assert row is not None
    return f"PostgreSQL {row[0]}"


def _settle() -> None:
    """What is built by now stays: keep the collector from going through it in a measurement."""
    gc.collect()
    gc.freeze()


def _load(
    found: Measured, store: Store, graph: Graph, peer: Peer | None, progress: Progress
) -> None:
    progress("bulk load")
    theirs = None if peer is None else peer.load(graph)
    began = time.perf_counter()
    store.load(graph.records(), actor="bench", cause="bulk load")
    seconds = time.perf_counter() - began
    target = 60.0 * len(graph) / 1_000_000
    found.add("bulk load of all", seconds, "s", target, theirs)
    found.add("bulk load", len(graph) / seconds, "things/s")


def _size(found: Measured, store: Store, graph: Graph, peer: Peer | None) -> None:
    if not isinstance(store.place, Path):
        with store.looking() as driver:
            row = driver.row("SELECT pg_database_size(current_database())")
        assert row is not None
        found.add("size, one version of everything", row[0] / len(graph), "bytes/thing")
        return
    store.tidy()
    own = os.path.getsize(store.place) / len(graph)
    theirs = None if peer is None else os.path.getsize(peer.path) / len(graph)
    found.add("size, one version of everything", own, "bytes/thing", 3 * PLAIN_BYTES, theirs)
    with sqlite3.connect(store.place) as connection:
        try:
            rows = connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name")
            found.tables = {name: size / len(graph) for name, size in rows}
        except sqlite3.OperationalError:
            # This SQLite was built without the table that tells.
            found.tables = {}
    connection.close()


def _batches(found: Measured, store: Store, graph: Graph, count: int, progress: Progress) -> None:
    dice = Random(graph.seed + 1)
    size = len(graph)

    def some(share: float, version: int) -> Iterator[list[Record]]:
        for _ in range(WARM_UP + count):
            yield [
                graph.record(thing, version=version, moved=dice.randrange(size))
                if dice.random() < share
                else graph.record(thing)
                for thing in dice.sample(range(size), min(BATCH, size))
            ]

    more = Graph(BATCH * (WARM_UP + count), seed=graph.seed + 2)
    new = [_renamed(record) for record in more.records()]
    phases: list[tuple[str, Iterable[list[Record]], float]] = [
        ("new", (new[at : at + BATCH] for at in range(0, len(new), BATCH)), 6_000),
        ("unchanged", some(0.0, 0), 40_000),
        ("10 % changed", some(0.1, 1), 10_000),
        ("all changed, at random places", some(1.0, 2), 3_000),
    ]
    for name, batches, least in phases:
        progress(name)
        made = list(batches)
        _settle()
        times = [_commit(store, records) for records in made][WARM_UP:]
        total = sum(len(records) for records in made[WARM_UP:])
        found.add(name, total / sum(times), "things/s", least, at_most=False)
        found.add(f"{name}: batch of {BATCH}, p50", statistics.median(times) * 1e3, "ms")
        found.add(f"{name}: batch of {BATCH}, p99", part(times, 0.99) * 1e3, "ms", 200)
        found.add(f"{name}: batch of {BATCH}, longest", max(times) * 1e3, "ms", 350)


def _renamed(record: Record) -> Record:
    """A thing of another estate, whose edges stay in it: a crawl that goes on."""

    def other(uri: Uri) -> Uri:
        if uri.type == "team":
            return uri
        return Uri.of(uri.type, "bench", f"new-{uri.segments[0]}", *uri.segments[1:])

    subject = other(record.subject)
    return Record(
        record.source,
        "/".join(subject.parts[2:]),
        subject,
        tuple(type(one)(other(one.uri), one.attributes) for one in record.statements),
        tuple(type(one)(other(one.start), one.kind, other(one.end)) for one in record.edges),
        record.observed_at,
    )


def _commit(store: Store, records: Sequence[Record]) -> float:
    """Commit one batch; return its seconds, the upkeep that follows it included."""
    began = time.perf_counter()
    store.commit(Batch(records, "bench", "a batch"))
    return time.perf_counter() - began


def _singles(
    found: Measured, store: Store, graph: Graph, peer: Peer | None, progress: Progress
) -> None:
    progress("single changes")
    dice = Random(graph.seed + 3)
    things = [dice.randrange(len(graph)) for _ in range(SINGLES)]
    records = [graph.record(thing, version=9) for thing in things]
    _settle()
    times = [_commit(store, [record]) for record in records]
    theirs = None if peer is None else _timed(peer.change, graph, things)
    median = None if theirs is None else statistics.median(theirs) * 1e3
    found.add("single change, durable, p50", statistics.median(times) * 1e3, "ms", 0.6, median)
    late = None if theirs is None else part(theirs, 0.99) * 1e3
    found.add("single change, durable, p99", part(times, 0.99) * 1e3, "ms", peer=late)


def _timed(
    change: Callable[[Graph, int], None], graph: Graph, things: Sequence[int]
) -> list[float]:
    times = []
    for thing in things:
        began = time.perf_counter()
        change(graph, thing)
        times.append(time.perf_counter() - began)
    return times


def _lookups(
    found: Measured, lineal: Lineal, graph: Graph, peer: Peer | None, progress: Progress
) -> None:
    progress("look-ups")
    dice = Random(graph.seed + 4)
    uris = [graph.uri(dice.randrange(len(graph))) for _ in range(LOOKUPS)]
    own = _each(lambda uri: lineal.store.attributes(LOCAL, uri), uris)
    theirs = None if peer is None else _each(peer.look_up, uris)
    target = None if theirs is None else 3 * theirs
    found.add("look-up by URI with attributes, p50", own, "µs", target, theirs)
    full = _each(lambda uri: lineal.ask.get(LOCAL, uri), uris[:500])
    found.add("whole answer of get, p50", full, "µs", peer=theirs)


def _each(look: Callable[[Uri], object], uris: Sequence[Uri]) -> float:
    """Return the median of one call, in microseconds, warm."""
    times: list[float] = []
    for _ in range(2):
        times = []
        for uri in uris:
            began = time.perf_counter()
            look(uri)
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


def part(times: Sequence[float], share: float) -> float:
    """Return the time that this share of all stays below."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]

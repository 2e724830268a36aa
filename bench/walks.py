"""Measures Lineal's walks beside a bare SQLite table in one run.

The peer stores the same edges in one indexed table without history, names, search or reasons, and
walks them by a recursive query: the least that a user could write by hand. Figures are medians;
ratios are Lineal's time over the peer's in the same run, and below 1 where Lineal is faster.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.estate import records
from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.model import Budget, Record, Uri
from lineal.query import Ask
from lineal.store import Batch

BATCH = 500
#: Limits far beyond any walk of the benchmark, so that both sides do the same work.
WIDE = Ask(Budget(100, 1_000_000, 10_000_000, 600_000))
DOWN = """
    WITH RECURSIVE reached(uri) AS (
        SELECT :start UNION SELECT edge.target FROM edge JOIN reached ON edge.source = reached.uri
    ) SELECT uri FROM reached WHERE uri <> :start
"""


class Peer:
    """A bare table of edges in the direction of the data."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "CREATE TABLE edge (source TEXT, target TEXT, kind TEXT,"
            " PRIMARY KEY (source, target, kind)) WITHOUT ROWID;"
        )

    def write(self, some: Sequence[Record]) -> None:
        """Store the edges of some records in one transaction."""
        rows = [(edge.end, edge.start, edge.kind) for record in some for edge in record.edges]
        self.connection.execute("BEGIN")
        self.connection.executemany("INSERT OR IGNORE INTO edge VALUES (?, ?, ?)", rows)
        self.connection.execute("COMMIT")

    def downstream(self, start: Uri) -> set[str]:
        """Return everything that *start* feeds."""
        return {row[0] for row in self.connection.execute(DOWN, {"start": str(start)})}


def run(projects: int) -> None:
    """Measure, check that both sides answer the same, and print the table."""
    every = list(records(projects))
    console = Console()
    table = Table("what", "Lineal", "bare SQLite", "ratio", title=f"{len(every)} records")
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(Path(folder) / "peer.db")
        with Lineal.open(Config(db=Path(folder) / "lineal.db")) as lineal:
            for name, ours, theirs in (*_writes(lineal, peer, every), *_walks(lineal, peer, every)):
                table.add_row(
                    name, f"{ours * 1e3:.2f} ms", f"{theirs * 1e3:.2f} ms", f"{ours / theirs:.1f}"
                )
        peer.connection.close()
    console.print(table)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _writes(lineal: Lineal, peer: Peer, every: Sequence[Record]) -> list[tuple[str, float, float]]:
    """Store everything in batches on both sides, in turn; then the same again."""
    ours, theirs, again = [], [], []
    batches = [every[at : at + BATCH] for at in range(0, len(every), BATCH)]
    for some in track(batches, "writing", transient=True):
        batch = Batch(some, actor="bench", cause="bench")
        ours.append(_timed(lambda batch=batch: lineal.store.commit(batch)))  # type: ignore[misc]  # bound now
        theirs.append(_timed(lambda some=some: peer.write(some)))  # type: ignore[misc]  # bound now
    for some in batches:
        batch = Batch(some, actor="bench", cause="bench")
        again.append(_timed(lambda batch=batch: lineal.store.commit(batch)))  # type: ignore[misc]  # bound now
    median = statistics.median
    return [
        (f"commit {BATCH} new records", median(ours), median(theirs)),
        (f"commit {BATCH} unchanged records", median(again), median(theirs)),
    ]


def _walks(lineal: Lineal, peer: Peer, every: Sequence[Record]) -> list[tuple[str, float, float]]:
    """Ask for everything downstream, of typical tables and of shared ones."""
    tables = [record.subject for record in every if record.subject.type == "dataset"]
    shared = sorted(
        {edge.end for record in every for edge in record.edges if "shared" in edge.end.name}
    )
    found = []
    for name, starts in (("typical", tables[:: max(1, len(tables) // 20)]), ("hub", shared[:5])):
        ours, theirs, sizes = [], [], []
        for start in track(starts, f"walking {name}", transient=True):
            answer = lineal.ask.lineage(LOCAL, [start], up=0, ask=WIDE).value
            reached = {str(node.thing.uri) for node in answer.nodes if node.depth > 0}
            if reached != peer.downstream(start):
                raise SystemExit(f"The two disagree about {start}.")
            sizes.append(len(reached))
            ours.append(
                _timed(
                    lambda start=start: lineal.ask.lineage(  # type: ignore[misc]  # bound now
                        LOCAL, [start], up=0, ask=WIDE
                    )
                )
            )
            theirs.append(_timed(lambda start=start: peer.downstream(start)))  # type: ignore[misc]  # bound now
        size = int(statistics.median(sizes))
        found.append(
            (
                f"downstream of a {name} table ({size} reached)",
                statistics.median(ours),
                statistics.median(theirs),
            )
        )
    return found

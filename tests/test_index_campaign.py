"""The index is the database at its basis (P7): a campaign of random batches, restarts and gaps.

Between the comparisons it is asked as users do, over few layers and within few rows.

`make soak` compares a thousand times and cuts a hundred feeds; here it is a few of each.
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lineal.access import LOCAL
from lineal.lineage import Link, Way, walk
from lineal.lineage.engine.thinning import Rule
from lineal.model import Budget, EdgeStatement, Layer, Record, Removal, Statement, Uri
from lineal.query.index import Index
from lineal.store import Batch, Reader, Store
from lineal.store.schema import LAYERS
from tests.lineage_reference import Reference, Row
from tests.promises.recording import ran
from tests.test_engine_walks import LEVEL, NUMBER, OTHER, STEP, WIDE
from tests.test_index import KINDS
from tests.test_lineage import DAY, SHAPES, empty, uri

SOAK = os.environ.get("LINEAL_SOAK") == "1"
#: How often the index is compared, and how many rows of the feed are lost.
COMPARED, LOST = (1_000, 100) if SOAK else (200, 6)
#: What else may be one thing under two names.
NAMED = ("v same_as v", "s same_as s", "r same_as r", "p same_as p", "f same_as f", "c same_as c")
#: Over which layers is asked: what is usual, fewer, and what is only suggested too.
BELIEVED = frozenset({"declared", "observed", "inferred"})
LAYERED = (BELIEVED, BELIEVED, frozenset({"declared"}), BELIEVED | {"suggested"})
NOW = 20 * DAY
pytestmark = pytest.mark.timeout(3_600 if SOAK else 300)


class Estate:
    """A database that is told something random, and what its tables say, by plain SQL."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        #: In half of them a change is of little: then by far the most rows stay as compiled.
        self.is_calm = seed % 2 == 1
        self.path, self.file = folder / "x.db", folder / "x.index"
        self.path.write_bytes(empty())
        self.told = 0
        self.open()

    def open(self) -> None:
        """Open the database, as a process does that begins."""
        self.store = Store(self.path, shapes=SHAPES, now=lambda: NOW)

    def tell(self) -> None:
        """Commit some documents: said anew, said otherwise, or taken back."""
        most, names = (1, "abcdefghijklmnopqrst") if self.is_calm else (3, "abcdefgh")
        # A calm one begins with much.
        count = self.random.randint(1, most) if self.told or not self.is_calm else len(names)
        self.told += 1
        chosen = self.random.sample(names, count)
        self.store.commit(Batch([self._word(name) for name in chosen], "campaign", "campaign"))

    def _word(self, name: str) -> Record | Removal:
        subject, at = Uri.of("source", "here", name), self.random.randint(10, 19) * DAY
        if self.random.random() < 0.15:
            return Removal("tool", name, subject, at)
        templates = self.random.choices(
            (*LEVEL, *STEP, *STEP, *OTHER, *NAMED),
            k=self.random.randint(1, 4 if self.is_calm else 14),
        )
        version = uri(f"v.{self.random.randrange(3)}")
        aged = Statement(version, {"created_at": f"2026-01-0{self.random.randint(1, 9)}"})
        edges = [self._edge(template) for template in templates]
        # Nothing is said twice in a document.
        once = {(edge.start, edge.kind, edge.end): edge for edge in edges}
        said = (aged,) if self.random.random() < 0.2 else ()
        return Record("tool", name, subject, said, tuple(once.values()), at)

    def _edge(self, template: str) -> EdgeStatement:
        start, kind, end = template.split()
        ends = [
            uri(f"{letter}.{self.random.randrange(NUMBER.get(letter, 2) + 1)}")
            for letter in (start, end)
        ]
        until = self.random.choice([None] * 9 + [15 * DAY, 40 * DAY])
        layer = self.random.choice([Layer.DECLARED] * 5 + [Layer.OBSERVED, Layer.SUGGESTED])
        return EdgeStatement(ends[0], kind, ends[1], layer=layer, valid_to=until)

    def rows(self, table: str) -> list[Row]:
        """Return the claims that are so now, as they lie in one of the two copies."""
        with closing(sqlite3.connect(self.path)) as connection:
            found = connection.execute(
                f"SELECT src, text, dst, document, layer, t_from, t_to, valid_from, valid_to,"
                f" ended_at, NULL FROM {table} JOIN term ON term.id = kind"
                f" WHERE valid_from <= {NOW} AND (valid_to IS NULL OR valid_to > {NOW})"
                f" AND (t_to IS NULL OR (reason <> 2 AND ended_at > {NOW}))"
            ).fetchall()
        return [_row(*row) for row in found]

    def names(self) -> list[Row]:
        """Return the claims that names are one or two, whenever that was so."""
        with closing(sqlite3.connect(self.path)) as connection:
            found = connection.execute(
                "SELECT src, text, dst, document, layer, t_from, t_to, valid_from, valid_to,"
                " ended_at, NULL FROM edge_out JOIN term ON term.id = kind"
                " WHERE text IN ('same_as', 'not_same_as') AND t_to IS NULL"
            ).fetchall()
        return [_row(*row) for row in found]


def _row(src: int, kind: str, dst: int, document: int, layer: int, *times: Any) -> Row:
    return Row(src, kind, dst, document, LAYERS[layer], *times)


def _adjacency(rows: list[Row], side: str) -> dict[int, Counter[tuple[object, ...]]]:
    found: dict[int, Counter[tuple[object, ...]]] = defaultdict(Counter)
    for row in rows:
        if row.kind in KINDS:
            end = row.src if side == "src" else row.dst
            found[end][row.src, row.kind, row.dst, row.layer, row.document, row.valid_from] += 1
    return found


def _held(links: list[Link], side: str) -> dict[int, Counter[tuple[object, ...]]]:
    found: dict[int, Counter[tuple[object, ...]]] = defaultdict(Counter)
    for link in links:
        end = link.src if side == "src" else link.dst
        found[end][link.src, link.kind, link.dst, link.layer, link.document, link.valid_from] += 1
    return found


def _asked(estate: Estate, index: Index, seen: Counter[str]) -> None:
    """Ask of some things over few layers and within few rows; what is answered is not looked at."""
    rows = estate.random.choice([0, 1, 3, 10, 30, 100])
    with estate.store.read(LOCAL, budget=Budget(rows=rows)) as reader:
        layers = estate.random.choice(LAYERED)
        reader.layers = layers
        graph = index.graph(reader)
        for key in estate.random.choices(range(1, 40), k=3):
            if reader.known([key]):
                upstream, logical = estate.random.random() < 0.5, estate.random.random() < 0.6
                way = Way(upstream, logical, layers=layers)
                seen["asked, on rows"] += index.reach(reader, [key], way, WIDE) is not None
                walk(graph, SHAPES, [key], way, WIDE)
        assert reader.meter is not None
        seen["asked, cut"] += bool(reader.meter.why)


def _compared(estate: Estate, index: Index, reader: Reader, seen: Counter[str]) -> None:
    """Compare the index at its basis with adjacency built anew by SQL, and walks on both."""
    graph = index.graph(reader)
    seen["from memory"] += graph is not reader
    with closing(sqlite3.connect(estate.path)) as connection:
        uris = dict(connection.execute("SELECT key, uri FROM entity"))
    keys = sorted(uris)
    out = estate.rows("edge_out")
    assert _held(graph.outward(keys, KINDS), "src") == _adjacency(out, "src")
    assert _held(graph.inward(keys, KINDS), "dst") == _adjacency(estate.rows("edge_in"), "dst")
    said = reader.attributes(uris)
    plain = Reference(
        [*out, *(row for row in estate.names() if row not in out)],
        {key: Uri(of).type for key, of in uris.items()},
        {key: (str(said[key].get("created_at", "")), of) for key, of in uris.items()},
        reader.basis.t, NOW,
    )  # fmt: skip
    assert graph.groups(keys) == {key: plain.names(key) for key in keys}
    asked = [key for key in keys if plain.types[key] != "source"]
    for key in estate.random.sample(asked, min(4, len(asked))):
        upstream, logical = estate.random.random() < 0.5, estate.random.random() < 0.6
        way = Way(upstream, logical, layers=estate.random.choice(LAYERED))
        told = plain.walk(key, upstream=upstream, logical=logical, layers=way.layers)
        expected = {at: (one.depth, one.possible, one.approximate) for at, one in told.items()}
        found = index.reach(reader, [key], way, WIDE)
        if found is None:
            seen["step by step"] += 1
            reached = walk(graph, SHAPES, [key], way, WIDE).reached
            assert {min(plain.names(at)) for at in reached} == set(expected)
            continue
        seen["on rows"] += 1
        columns = (found[0].things, found[0].depths, found[0].possible, found[0].approximate)
        lines = zip(*(one.tolist() for one in columns), strict=True)
        assert {min(found[1](at)): tuple(rest) for at, *rest in lines} == expected, (uris[key], way)


@pytest.mark.promise("P7")
def test_after_random_batches_and_restarts_the_index_is_the_database(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for seed in range(max(2, COMPARED // 50)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        estate = Estate(folder, seed)
        # In one estate of four not all occurrences are held.
        rule = Rule(many=-1, last=1) if seed % 4 == 1 else Rule()
        estate.tell()
        index = Index(estate.store, file=estate.file, rule=rule)
        assert index.build()
        for turn in range(min(50, COMPARED // 2)):
            # One restart and one build in each, whatever chance says.
            event = {3: 0.15, 5: 0.25}.get(turn, estate.random.random())
            if event < 0.2:
                estate.store.close()
                estate.open()
                index = Index(estate.store, file=estate.file, rule=rule)
                seen["restarted, from its file"] += index.recall()
            elif event < 0.28:
                assert index.build()
                seen["built anew"] += 1
            if event > 0.1:
                estate.tell()
            # Who asks first after a change may ask for little.
            if estate.random.random() < 0.7:
                _asked(estate, index, seen)
            with estate.store.read(LOCAL) as reader:
                _compared(estate, index, reader, seen)
            seen["compared"] += 1
            seen["over changed rows"] += index.over
        estate.store.close()

    assert seen["compared"] >= COMPARED
    assert seen["from memory"] == seen["compared"], dict(seen)
    for feature in (
        "restarted, from its file", "built anew", "on rows", "over changed rows",
        "asked, on rows", "asked, cut",
    ):  # fmt: skip
        assert seen[feature] > 0, f"{feature} never occurred: {dict(seen)}"
    ran("P7", "comparisons", seen["compared"])
    print(dict(seen))


@pytest.mark.promise("P7")
def test_every_lost_row_of_the_feed_is_noticed_and_none_is_served(tmp_path: Path) -> None:
    estate, seen = Estate(tmp_path, 98), Counter[str]()
    estate.tell()
    with closing(estate.store):
        for lost in range(LOST):
            index = Index(estate.store, file=estate.file)
            # From its file, or as it was just built: both follow the feed.
            if lost % 2 == 0 or not index.recall():
                assert index.build()
            with estate.store.read(LOCAL) as reader:
                first = reader.basis.t
                _compared(estate, index, reader, seen)
            for _ in range(estate.random.randint(1, 4)):
                estate.tell()
            with estate.store.read(LOCAL) as reader:
                gone = estate.random.randint(first + 1, reader.basis.t)
            with closing(sqlite3.connect(estate.path)) as connection, connection:
                assert connection.execute("DELETE FROM tx WHERE t = ?", (gone,)).rowcount == 1
            with estate.store.read(LOCAL) as reader:
                assert index.graph(reader) is reader
                seen["noticed"] += index.gaps == 1
                for key in range(1, 8):
                    way = Way(upstream=True, logical=True)
                    assert index.reach(reader, [key], way, WIDE) is None
            assert index.build()
            with estate.store.read(LOCAL) as reader:
                _compared(estate, index, reader, seen)
    assert seen["noticed"] == LOST
    ran("P7", "gaps noticed", LOST)

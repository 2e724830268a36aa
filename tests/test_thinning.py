"""Very many occurrences: few are held, logical walks as with all, the store answers the rest."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lineal.access import LOCAL
from lineal.lineage import Way, walk
from lineal.lineage.engine.claims import Claims, Numbers, Picture
from lineal.lineage.engine.closure import ENDLESS
from lineal.lineage.engine.held import Shelves
from lineal.lineage.engine.thinning import Rule, thinned
from lineal.lineage.engine.walkgraph import WalkGraph
from lineal.model import EdgeStatement, Moment
from lineal.query import Questions
from lineal.query.index import Index
from lineal.store import Batch, Reader
from tests.conftest import ROOT
from tests.databases import fresh
from tests.test_engine_walks import PHASES, WIDE, Told, _said, _word, by_hops, histories
from tests.test_index import _opened, _same
from tests.test_index_past import on_rows_of_then
from tests.test_lineage import DAY, SHAPES, documents, name, uri

EXAMPLES = int(os.environ.get("LINEAL_WALK_EXAMPLES", "2"))
SOAK = os.environ.get("LINEAL_SOAK") == "1"
#: Nothing but what something kept refers to; and of each whole its newest too.
RULES = (Rule(many=-1, last=0), Rule(many=-1, last=1))


#: Runs that are alike, runs of runs, snapshots, one that a version came from; then some change.
ALWAYS: tuple[dict[str, list[EdgeStatement] | None], ...] = (
    {
        "a": _said(
            "r.0 run_of p.0", "r.1 run_of p.0", "r.2 run_of p.0", "r.3 run_of p.1",
            "r.0 reads d.0", "r.1 reads d.0", "r.2 reads d.1", "d.1 produced_by r.0",
            "d.1 produced_by r.1", "d.2 produced_by r.2", "v.0 produced_by r.2", "r.2 reads s.0",
            "v.0 version_of m.0",
        ),
        "b": _said(
            "r.4 part_of r.3", "r.5 part_of r.4", "r.4 run_of p.1", "r.5 run_of p.1",
            "r.5 reads d.2", "d.3 produced_by r.5", "s.0 version_of d.1", "s.1 version_of d.1",
            "s.2 version_of d.1", "s.1 derived_from s.0", "s.2 produced_by r.4", "r.6 reads d.1",
            "r.6 part_of r.4",
        ),
    },
    {"b": _said("r.4 part_of r.3", "r.4 run_of p.0", "s.2 produced_by r.4", "s.2 version_of d.0")},
    {"a": None, "c": _said("r.0 reads d.3", "s.3 version_of d.1")},
)  # fmt: skip


def _thin(index: Index) -> Picture:
    assert index._standing is not None
    return index._standing.shelves.picture


def test_with_few_occurrences_held_every_answer_is_the_stores(tmp_path_factory) -> None:
    """Whatever was told, before and after commits: in memory where it can be, else by the store."""
    seen: Counter[str] = Counter()

    def follow(told: Told, rule: Rule) -> None:
        with closing(_opened(tmp_path_factory.mktemp("thin"))) as store:
            index = Index(store, rule=rule)
            for day, words in enumerate(told.commits, 10):
                store.commit(Batch([_word(*one, day) for one in words.items()], "t", "t"))
                if day == 10:
                    assert index.build()
                    _count(_thin(index), seen)
                with store.read(LOCAL) as reader:
                    _same(index, reader, seen)
                    _unheld(index, reader, seen)
            for moment in (Moment(known_t=1), Moment(valid_at=10 * DAY + 1)):
                with store.read(LOCAL, moment) as reader:
                    _before(index, reader, seen)

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), phases=PHASES)
    @given(histories(), st.sampled_from(RULES))
    def follows(told: Told, rule: Rule) -> None:
        follow(told, rule)

    follows()
    for rule in RULES:
        follow(Told(list(ALWAYS)), rule)
    for feature in (
        "not held", "stand-in", "several in one", "parts of what is not held", "held by a version",
        "from memory", "left to the store", "on rows", "asked of one not held", "left", "vague",
        "on rows of then", "left to claims",
    ):  # fmt: skip
        assert seen[feature] > 0, f"{feature} never occurred: {dict(seen)}"


def _count(picture: Picture, seen: Counter[str]) -> None:
    folded = picture.folded
    assert folded is not None
    assert picture.numbers.keys is not None
    assert picture.vague is not None
    held = picture.numbers.keys.size
    seen["not held"] += int(picture.numbers.keys[-1]) + 1 > held
    seen["stand-in"] += picture.things > held
    seen["several in one"] += bool((folded.counts > 1).any())
    ends = folded.claims.sources, folded.claims.targets
    seen["parts of what is not held"] += bool(((ends[0] >= held) & (ends[1] >= held)).any())
    runs = picture.of_type(("run",))[picture.types[:held]]
    seen["held by a version"] += bool(runs.any())
    seen["vague"] += bool(picture.vague.any())


def _before(index: Index, reader: Reader, seen: Counter[str]) -> None:
    """Of the past, too, nothing is told from rows in which something is missing."""
    for key in (key for key in range(1, 60, 3) if reader.known([key])):
        for way in (Way(up, logical) for up in (True, False) for logical in (True, False)):
            on_rows_of_then(reader, index, key, way, seen)


def _unheld(index: Index, reader: Reader, seen: Counter[str]) -> None:
    """What is not held is not said not to be: the store tells of it."""
    numbers = _thin(index).numbers
    for key in (key for key in range(1, 60) if reader.known([key])):
        if numbers.number(key) is None:
            seen["asked of one not held"] += 1
            for logical in (True, False):
                way = Way(upstream=True, logical=logical)
                found = index.reach(reader, [key], way, WIDE)
                seen["left"] += found is None
                assert found is None or len(found[0]) == len(by_hops(reader, key, way, WIDE)[0])
                there = walk(reader, SHAPES, [key], way, WIDE)
                assert walk(index.graph(reader), SHAPES, [key], way, WIDE).reached == there.reached


def _work(pipelines: int, runs: int) -> list[str]:
    """Return a chain of tables, each made from the one before by very many runs."""
    told = []
    for at in range(pipelines):
        for number in range(runs):
            run = f"r.{at}x{number}"
            told += [f"job{number}: {run} run_of p.{at} @{number % 9 + 1}"]
            told += [
                f"job{number}: {run} reads d.{at}",
                f"job{number}: d.{at + 1} produced_by {run}",
            ]
    return told


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_of_very_many_runs_the_newest_are_held_and_the_rest_as_logical_edges(
    tmp_path: Path, engine: str
) -> None:
    from lineal.store import Store  # noqa: PLC0415

    told = [*_work(3, 8), "v.one produced_by r.0x3", "v.one version_of m.one"]
    told += ["fine: c.0 column_of d.2", "fine: c.0 derived_from c.1", "fine: d.2 produced_by r.1x0"]
    with (
        fresh(engine, tmp_path) as place,
        closing(Store(place, shapes=SHAPES, now=lambda: 20 * DAY)) as store,
    ):
        store.commit(Batch(documents(told, 10), "test", "test"))
        seen: Counter[str] = Counter()
        index = Index(store, rule=Rule(many=20, last=2), file=tmp_path / "x.index")
        assert index.build()
        with store.read(LOCAL) as reader:
            picture = _thin(index)
            assert picture.numbers.keys is not None
            uris = reader.uris(picture.numbers.keys[1:].tolist())
            held = {name(of) for of in uris.values() if of.type == "run"}
            folded = _folded(reader, picture)
            _same(index, reader, seen)

        assert len(held) == 3 * 2 + 1
        assert "r.0x3" in held
        # Of 8 runs two are held, and one more of the first pipeline: since day 1 to day 8.
        assert folded["run", "reads", "d.0"] == (5, 10, 10)
        assert folded["run", "run_of", "p.2"] == (6, 1, 6)
        assert seen["on rows"] > 0
        again = Index(store, rule=Rule(many=20, last=2), file=tmp_path / "x.index")
        assert again.recall()
        with store.read(LOCAL) as reader:
            _same(again, reader, seen)
            _unheld(again, reader, seen)
        assert seen["asked of one not held"] > 10
        _asked_alike(store, index)


def _folded(reader: Reader, picture: Picture) -> dict[tuple[str, str, str], tuple[int, int, int]]:
    """Return the logical edges by name: how often, first and last seen on which day."""
    folded, keys = picture.folded, picture.numbers.keys
    assert folded is not None
    assert keys is not None

    def told(number: int) -> str:
        if number < keys.size:
            return name(reader.uris([int(keys[number])])[int(keys[number])])
        return str(picture.type_names[picture.types[number]])

    claims = folded.claims
    return {
        (told(src), picture.kind_names[kind], told(dst)): (count, first // DAY, last // DAY)
        for src, kind, dst, count, first, last in zip(
            claims.sources.tolist(), claims.kinds.tolist(), claims.targets.tolist(),
            folded.counts.tolist(), claims.since.tolist(), folded.last.tolist(), strict=True,
        )
    }  # fmt: skip


def _asked_alike(store: Any, index: Index) -> None:
    """Questions of what is held, and of a run that is not, answer as without the index."""
    plain, fast = Questions(store), Questions(store, index=index)
    for at in ("d.0", "d.2", "p.1", "r.2x4", "v.one", "m.one"):
        assert fast.lineage(LOCAL, [uri(at)]).value == plain.lineage(LOCAL, [uri(at)]).value
        assert fast.impact(LOCAL, [uri(at)]).value == plain.impact(LOCAL, [uri(at)]).value


def test_a_dropped_run_that_says_something_else_is_followed(tmp_path: Path) -> None:
    """Its pipeline's row is spoiled, though nothing held says that the run is of that pipeline."""
    with closing(_opened(tmp_path)) as store:
        store.commit(Batch(documents(_work(2, 5), 10), "test", "test"))
        index = Index(store, rule=RULES[0])
        index.build()
        moved = [
            "job0: r.0x0 run_of p.0 @1",
            "job0: r.0x0 reads d.9",
            "job0: d.1 produced_by r.0x0",
        ]
        store.commit(Batch(documents(moved, 12), "test", "test"))
        store.commit(Batch(documents(["also: r.1x1 reads d.8"], 13), "test", "test"))
        with store.read(LOCAL) as reader:
            keys = reader.keys([uri("d.9"), uri("d.8"), uri("d.2")])
            assert {name(of) for of in reader.uris(
                by_hops(reader, keys[uri("d.2")], Way(upstream=True, logical=True), WIDE)[0]
            ).values()} >= {"d.8", "d.9"}  # fmt: skip
            _same(index, reader, Counter())


# ── Twenty million ───────────────────────────────────────────────────────────────────────────────


class Runs:
    """Very many runs of few pipelines, as the columns that a store is read into; see `Pieces`."""

    def __init__(self, runs: int, assets: int) -> None:
        self.pipelines, self.tables = assets // 10, assets - assets // 10
        self.runs, self.assets, self._piece = runs, assets, runs // 20
        self.things = 1 + assets + runs
        self.type_names = ("dataset", "pipeline", "run", "")
        self.types = np.full(self.things, 2, np.uint8)
        self.types[1 : self.tables + 1], self.types[self.tables + 1 : assets + 1] = 0, 1
        self.types[0] = 3
        self.kind_names = ("reads", "produced_by", "run_of")
        self.layer_names = ("declared", "observed", "inferred", "suggested")
        self.same = np.zeros((0, 2), np.int64)
        self.fine = np.zeros(0, np.int64)

    def _made(self, first: int, last: int, kinds: Collection[int]) -> Claims:
        """What the runs from *first* to before *last* say: each read two tables and wrote one."""
        run = np.arange(first, last, dtype=np.int64)
        pipeline = run % self.pipelines
        reads = (pipeline * 7 % self.tables, pipeline * 9 + 2)
        written = pipeline * 9 + 9 * (1 + pipeline % 3) + 2
        keys, of = 1 + self.assets + run, 1 + self.tables + pipeline
        every = (
            (keys, 0, 1 + reads[0]), (keys, 0, 1 + reads[1] % self.tables),
            (1 + written % self.tables, 1, keys), (keys, 2, of),
        )  # fmt: skip
        chosen = [one for one in every if one[1] in kinds]
        count = run.size * len(chosen)
        return Claims(
            np.concatenate([one[0] for one in chosen]).astype(np.int32),
            np.repeat(np.array([one[1] for one in chosen], np.uint8), run.size),
            np.concatenate([one[2] for one in chosen]).astype(np.int32),
            np.ones(count, np.uint8),
            np.tile(run, len(chosen)).astype(np.int32),
            np.tile(run * 1_000_000, len(chosen)),
        )

    def levels(self) -> Claims:
        return self._made(0, self.runs, (2,))

    def named_by(self, types: Collection[str]) -> NDArray[np.int64]:
        return np.zeros(0, np.int64)

    def claims(self) -> Iterator[Claims]:
        for first in range(0, self.runs, self._piece):
            yield self._made(first, min(self.runs, first + self._piece), (0, 1, 2))

    def newest(self, models: Mapping[int, Collection[int]]) -> Mapping[int, int]:
        return {}

    def without(self) -> Picture:
        """The same work with no run at all: each pipeline states what its runs do."""
        made = self._made(0, self.pipelines, (0, 1))
        shift = self.pipelines
        sources, targets = (
            np.where(ends > self.assets, ends - shift, ends)
            for ends in (made.sources, made.targets)
        )
        claims = Claims(
            sources.astype(np.int32), made.kinds, targets.astype(np.int32), made.layers,
            made.documents, made.since,
        )  # fmt: skip
        things = 1 + self.assets
        return Picture(
            things, self.types[:things], self.type_names, claims, self.kind_names,
            self.layer_names, self.same, self.newest, Numbers(things),
        )  # fmt: skip


def measured(runs: int, assets: int) -> dict[str, float]:
    """
    Build what an index stands on from so many runs; return what it took, in bytes.

    Asserts that walks are as without any run.
    """
    pieces = Runs(runs, assets)
    picture = thinned(pieces, SHAPES, Rule(many=0, last=10))
    shelves = Shelves(picture)
    graphs = [WalkGraph.of(picture, SHAPES, logical=logical) for logical in (True, False)]
    plain = WalkGraph.of(pieces.without(), SHAPES, logical=True)
    chosen = 3 + 9 * np.random.default_rng(5).integers(0, assets // 10, 60)
    reached = 0
    for key in chosen.tolist():
        for upstream in (True, False):
            way = Way(upstream, logical=True)
            found, other = (
                graph.walk([key], way, ENDLESS, kernel="numpy") for graph in (graphs[0], plain)
            )
            assert not found.why
            order, there = np.argsort(found.things), np.argsort(other.things)
            for column in ("things", "depths", "possible", "approximate"):
                assert np.array_equal(
                    getattr(found, column)[order], getattr(other, column)[there]
                ), (key, column)  # fmt: skip
            reached += len(found)
    assert reached > 50 * len(chosen)
    folded = picture.folded
    assert folded is not None
    # Nothing of what was said is lost: it is held, or counted.
    assert len(picture.claims) + int(folded.counts.sum()) == 4 * runs
    held = shelves.nbytes + sum(graph.nbytes for graph in graphs)
    return {"held": held, "claims": len(picture.claims), "reached": reached}


def test_runs_take_few_bytes_each_whether_held_or_not() -> None:
    """The same as twenty millions, in small: what stays is of assets, what passes is bounded."""
    runs, assets = 400_000, 2_000
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    found = measured(runs, assets)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    few = measured(runs // 10, assets)

    # Ten times the runs: nothing more is held than the bits by key.
    assert found["claims"] == few["claims"] == 4 * 10 * assets // 10
    assert found["held"] == few["held"] < 4_000 * assets
    assert (peak - before) / runs < 190


@pytest.mark.timeout(1_800)
def test_millions_of_runs_stay_under_their_memory() -> None:
    """In a process of its own, so that the most memory it ever took is known."""
    runs, assets, most = (20_000_000, 100_000, 4 << 30) if SOAK else (400_000, 2_000, 400 << 20)
    text = f"from tests.test_thinning import told; told({runs}, {assets})"
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=ROOT, check=True, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
    )  # fmt: skip
    print(done.stdout)
    assert int(done.stdout.split()[0]) < most


def told(runs: int, assets: int) -> None:
    """Print the most memory that `measured` took (bytes), and its figures."""
    found = measured(runs, assets)
    print(_peak(), found)


def _peak() -> int:
    """Return the most memory that this program took; what the one before it took is not counted."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    (line,) = (one for one in status.read_text().splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024

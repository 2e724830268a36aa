"""Walks in the past from memory: as the store and the reference say, back to the horizon."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineal.access import LOCAL
from lineal.lineage import Graph, Link, Way, walk
from lineal.model import EdgeStatement, Moment, Record, Removal, Statement
from lineal.query import Questions
from lineal.query.index import Index
from lineal.store import Batch, Policy, Reader, Store
from tests.databases import fresh
from tests.lineage_reference import Reference
from tests.test_engine_walks import (
    ALWAYS,
    PHASES,
    WIDE,
    Told,
    _word,
    by_hops,
    histories,
    reference,
)
from tests.test_index import KINDS, _opened
from tests.test_lineage import DAY, SHAPES, documents, uri

EXAMPLES = int(os.environ.get("LINEAL_WALK_EXAMPLES", "4"))


def _then(store: Store, index: Index, moment: Moment, seen: Counter[str]) -> None:
    """Hold edges, names and walks of a moment against the store's, and against the reference."""
    with store.read(LOCAL, moment) as reader:
        graph = index.graph(reader)
        seen["from memory" if graph is not reader else "by the store"] += 1
        keys = [key for key in range(1, 60) if reader.known([key])]
        assert _rows(graph.outward(keys, KINDS)) == _rows(reader.outward(keys, KINDS))
        assert _rows(graph.inward(keys, KINDS)) == _rows(reader.inward(keys, KINDS))
        for key in keys[::7]:
            few = graph.outward([key], KINDS, 1), reader.outward([key], KINDS, 1)
            assert _rows(few[0]) == _rows(few[1])
        assert graph.groups(keys) == reader.groups(keys)
        seen["names then"] += any(len(group) > 1 for group in graph.groups(keys).values())
        plain = reference(reader)
        for key in keys[:: 1 + len(keys) // 12]:
            if plain.types[key] == "source":
                continue
            for upstream in (True, False):
                for logical in (True, False):
                    way = Way(upstream, logical)
                    _walked(reader, graph, key, way, plain)
                    on_rows_of_then(reader, index, key, way, seen)
        seen["ended since"] += any(
            row.reason is not None and row.held(plain.t) for row in plain.now
        )
        seen["ended before"] += any(
            row.reason is not None and not row.held(plain.t) for row in plain.now
        )
        seen["ends by itself"] += any(row.valid_to is not None for row in plain.now)


def _rows(links: list[Link]) -> list[Link]:
    """Return links as a walk takes them, which knows of no end."""
    return [replace(link, valid_to=None) for link in links]


def _walked(reader: Reader, graph: Graph, key: int, way: Way, plain: Reference) -> None:
    there, here = (walk(one, SHAPES, [key], way, WIDE) for one in (reader, graph))
    assert (here.reached, here.steps, here.contained) == (
        there.reached, there.steps, there.contained,
    )  # fmt: skip
    told = plain.walk(key, upstream=way.upstream, logical=way.logical)
    assert {min(plain.names(at)) for at in here.reached} == set(told)


def on_rows_of_then(reader: Reader, index: Index, key: int, way: Way, seen: Counter[str]) -> None:
    """Hold a walk over rows compiled for the moment, if it is one, against the store's."""
    over, back = index.over, index.back
    found = index.reach(reader, [key], way, WIDE)
    if found is None:
        seen["left to claims"] += 1
        return
    seen["on rows of then"] += index.back > back
    seen["on rows made anew"] += index.back > back and index.over > over
    reach, names = found
    columns = (reach.things, reach.depths, reach.possible, reach.approximate)
    answer = {
        min(names(thing)): tuple(rest)
        for thing, *rest in zip(*(one.tolist() for one in columns), strict=True)
    }
    assert answer == by_hops(reader, key, way, WIDE)[0], (reader.uris([key]), way)


def _moments(t: int) -> list[Moment]:
    return [
        Moment(known_t=1),
        Moment(known_t=max(1, t - 1)),
        Moment(valid_at=12 * DAY),
        Moment(known_t=max(1, t - 1), valid_at=11 * DAY),
        Moment(valid_at=35 * DAY),
    ]


def test_walks_in_the_past_are_answered_from_memory_as_by_the_store(tmp_path_factory) -> None:
    """At moments before the index was built, and between that and now."""
    seen: Counter[str] = Counter()

    def follow(told: Told, built: int) -> None:
        with closing(_opened(tmp_path_factory.mktemp("past"))) as store:
            index = Index(store)
            for day, words in enumerate(told.commits, 10):
                store.commit(Batch([_word(*one, day) for one in words.items()], "t", "t"))
                if day == 10 + min(built, len(told.commits) - 1):
                    assert index.build()
            for moment in _moments(len(told.commits)):
                _then(store, index, moment, seen)
            seen["asked"] += index.then

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), phases=PHASES)
    @given(histories(), st.integers(0, 2))
    def follows(told: Told, built: int) -> None:
        follow(told, built)

    follows()
    more: dict[str, list[EdgeStatement] | None] = {
        "a": None,
        "b": [EdgeStatement(uri("d.0"), "same_as", uri("d.2"), valid_to=40 * DAY)],
        "d": [EdgeStatement(uri("d.2"), "derived_from", uri("d.1"), valid_to=40 * DAY)],
    }
    for built in range(4):
        follow(Told([*ALWAYS, more, {"b": None, "d": []}]), built)
    for feature in (
        "from memory", "names then", "ended since", "ended before", "ends by itself", "asked",
        "on rows of then", "on rows made anew",
    ):  # fmt: skip
        assert seen[feature] > 0, f"{feature} never occurred: {dict(seen)}"
    assert seen["by the store"] == 0


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_what_is_older_than_the_horizon_is_the_stores_and_the_same(
    tmp_path: Path, engine: str
) -> None:
    """One claim a day begins and another ends; the index, kept in a file, goes back five days."""
    clock = [10 * DAY]
    with (
        fresh(engine, tmp_path) as place,
        closing(Store(place, shapes=SHAPES, now=lambda: clock[0])) as store,
    ):
        for day in range(10, 20):
            clock[0] = day * DAY
            words: list[Record | Removal] = list(
                documents([f"x{day}: d.{day} derived_from d.{day - 1}"], day)
            )
            if day > 12:
                (old,) = documents([f"x{day - 3}: d.{day - 3} derived_from d.{day - 4}"], day)
                words.append(Removal("tool", old.document, old.subject, day * DAY))
            store.commit(Batch(words, "test", "test"))
        file = tmp_path / "x.index"
        assert Index(store, past=5 * DAY, file=file).build()
        index, seen = Index(store, past=5 * DAY, file=file), Counter[str]()
        assert index.recall()
        for t in range(1, 10):
            _then(store, index, Moment(known_t=t), seen)
            _then(store, index, Moment(valid_at=(9 + t) * DAY + 1), seen)

    # By day 14 the fifth was committed.
    assert seen["from memory"] == 5 + 5
    assert seen["by the store"] == 4 + 4


def test_answers_about_the_past_are_the_same_with_the_index(tmp_path: Path) -> None:
    """A pipeline that once read another table, a version that was another's, names parted since."""
    told = [
        "etl: r.one run_of p.etl", "etl: r.one reads d.raw", "etl: d.out produced_by r.one",
        "f: f.hours derived_from d.out", "v: v.v1 consumes f.hours", "v: v.v1 version_of m.ranker",
        "w: m.ranker points_to v.v1", "n: d.out same_as d.path", "o: d.late derived_from d.path",
    ]  # fmt: skip
    later = ["f: f.hours derived_from d.late", "w: m.ranker points_to v.v2", "n: d.out same_as d.z"]
    with closing(_opened(tmp_path)) as store:
        store.commit(Batch(documents(told, 10), "test", "test"))
        store.commit(Batch(documents(later, 12), "test", "test"))
        index = Index(store)
        index.build()
        plain, fast = Questions(store), Questions(store, index=index)
        for moment in (Moment(known_t=1), Moment(valid_at=11 * DAY)):
            for at in ("d.raw", "d.path", "m.ranker", "f.hours", "p.etl"):
                assert (
                    fast.lineage(LOCAL, [uri(at)], moment).value
                    == plain.lineage(LOCAL, [uri(at)], moment).value
                )
        assert index.then == 10


def test_the_past_of_what_was_dropped_is_not_told_from_memory(tmp_path: Path) -> None:
    """Retention is the one way in which an answer about the past may change."""
    told = [f"x{at}: r.{at} reads d.a" for at in range(3)]
    said = [
        Record("tool", f"r{at}", run, (Statement(run, {"status": "done"}),), (), 10 * DAY)
        for at in range(3) for run in (uri(f"r.{at}"),)
    ]  # fmt: skip
    with closing(_opened(tmp_path)) as store:
        store.commit(Batch([*documents(told, 10), *said], "test", "test"))
        index = Index(store)
        index.build()
        assert store.drop(Policy(frozenset({"run"}), 25 * DAY, keep=0), actor="test").things
        with store.read(LOCAL, Moment(known_t=1)) as reader:
            assert index.graph(reader) is reader


def test_a_moment_is_compiled_when_it_is_asked_about_again_and_few_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whoever asks where no server runs, else in the background; the memory is counted."""
    monkeypatch.setattr("lineal.query.index.QUICK", 0)
    down = Way(upstream=False, logical=True)
    with closing(_opened(tmp_path)) as store:
        for day in range(10, 16):
            told = [f"x{day}: d.{day} derived_from d.{day - 1}"]
            store.commit(Batch(documents(told, day), "test", "test"))
        index = Index(store)
        assert index.build()
        assert index._standing is not None
        moments = index._standing.moments

        def asked(t: int) -> int | None:
            with store.read(LOCAL, Moment(known_t=t)) as reader:
                (key,) = reader.keys([uri("d.9")]).values()
                found = index.reach(reader, [key], down, WIDE)
                return None if found is None else len(found[0])

        assert [asked(2), asked(2), asked(2)] == [None, 3, 3]
        one = moments.nbytes
        assert one > 0
        # The same claims at another instant are compiled once.
        with store.read(LOCAL, Moment(known_t=2, valid_at=19 * DAY)) as reader:
            (key,) = reader.keys([uri("d.9")]).values()
            index.reach(reader, [key], down, WIDE)
            assert index.reach(reader, [key], down, WIDE) is not None
        assert moments.nbytes == one
        moments._memory = 2 * one + one // 2
        assert [asked(t) for t in (3, 3, 4, 4, 5, 5)] == [None, 4, None, 5, None, 6]
        assert moments.nbytes <= moments._memory
        assert asked(5) == 6
        assert index.back == 7
        index.start()
        try:
            assert asked(1) is None
            for _ in range(300):
                if (found := asked(1)) is not None:
                    break
                time.sleep(0.02)
            assert found == 2
        finally:
            index.stop()

"""Walks as questions: from many starts, by types, between, in common, round and round, in time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineal.access import LOCAL
from lineal.errors import Invalid
from lineal.lineage import Link, Way, components, reachable, rings, walk
from lineal.model import Budget, Cut, Json, Moment, Uri
from lineal.query import Ask, Questions
from lineal.shapes import Shapes
from tests.test_lineage import LETTERS, graph, name, uri

SHAPES = Shapes.builtin()

#: Two models that share a feature set; one of them feeds a table that the set is made from again.
SHARING = [
    "fs.watched derived_from d.plays",
    "fs.titles derived_from d.titles",
    "v.a1 version_of m.a",
    "v.b1 version_of m.b",
    "v.a1 consumes fs.watched",
    "v.b1 consumes fs.watched",
    "v.b1 consumes fs.titles",
    "d.plays derived_from d.raw",
    "d.titles derived_from d.raw",
]


def names(nodes: Sequence[object]) -> set[str]:
    return {name(node.thing.uri) for node in nodes}  # type: ignore[attr-defined]


# ── Many starts ──────────────────────────────────────────────────────────────────────────────────


def test_a_lineage_of_several_things_is_theirs_together() -> None:
    with graph(SHARING) as store:
        ask = Questions(store)
        each = [ask.lineage(LOCAL, [uri(one)], down=0).value for one in ("m.a", "fs.titles")]
        both = ask.lineage(LOCAL, [uri("m.a"), uri("fs.titles")], down=0).value

    assert names(both.nodes) == names(each[0].nodes) | names(each[1].nodes)
    assert {name(start.uri) for start in both.starts} == {"m.a", "fs.titles"}


def test_a_question_of_nothing_is_refused() -> None:
    with graph(SHARING) as store:
        ask = Questions(store)
        for put in (ask.lineage, ask.impact):
            with pytest.raises(Invalid, match="not said of what"):
                put(LOCAL, [])
        with pytest.raises(Invalid, match="One thing alone"):
            ask.common(LOCAL, [uri("m.a"), uri("m.a")])


# ── In common, and between ───────────────────────────────────────────────────────────────────────


def test_what_models_have_in_common_is_nearest_first_and_counted() -> None:
    with graph(SHARING) as store:
        found = Questions(store).common(LOCAL, [uri("m.a"), uri("m.b")])

    told = [(name(one.thing.uri), one.depths, one.nearest) for one in found.value.things]
    assert told == [
        ("fs.watched", (1, 1), True),
        ("d.plays", (2, 2), False),
        ("d.raw", (3, 3), False),
    ]
    assert found.value.by_type == {"dataset": 2, "feature-set": 1}
    assert (found.complete, found.total) == (True, 3)


def test_what_tables_have_in_common_downstream_and_one_of_them_may_be_it() -> None:
    with graph(SHARING) as store:
        ask = Questions(store)
        down = ask.common(LOCAL, [uri("d.plays"), uri("d.titles")], upstream=False).value
        self_ = ask.common(LOCAL, [uri("d.plays"), uri("d.raw")]).value

    assert [(name(one.thing.uri), one.nearest) for one in down.things] == [("m.b", True)]
    assert [(name(one.thing.uri), one.depths) for one in self_.things] == [("d.raw", (1, 0))]


def test_of_a_ring_that_is_common_none_is_beyond_the_other() -> None:
    told = ["d.x derived_from d.a", "d.y derived_from d.b", "d.a derived_from d.b",
            "d.b derived_from d.a", "d.a derived_from d.c"]  # fmt: skip
    with graph(told) as store:
        found = Questions(store).common(LOCAL, [uri("d.x"), uri("d.y")]).value

    assert {name(one.thing.uri): one.nearest for one in found.things} == {
        "d.a": True, "d.b": True, "d.c": False
    }  # fmt: skip


def test_a_list_in_common_that_is_cut_says_so_and_counts_all() -> None:
    with graph(SHARING) as store:
        found = Questions(store).common(LOCAL, [uri("m.a"), uri("m.b")], limit=1)

    assert len(found.value.things) == 1
    assert sum(found.value.by_type.values()) == 3
    assert found.why == (Cut("list", "counted", done=1, total=3),)


def test_between_lies_what_is_on_a_way_and_nothing_else() -> None:
    told = [*SHARING, "fs.watched derived_from d.other", "d.unused derived_from d.plays"]
    with graph(told) as store:
        ask = Questions(store)
        there = ask.between(LOCAL, uri("d.raw"), uri("m.b")).value
        back = ask.between(LOCAL, uri("m.b"), uri("d.raw")).value

    assert {name(node.thing.uri): node.depth for node in there.nodes} == {
        "d.raw": 0, "d.plays": 1, "d.titles": 1, "fs.watched": 2, "fs.titles": 2, "m.b": 3
    }  # fmt: skip
    assert back == there
    assert there.downstream == {"dataset": 2, "feature-set": 2}


def test_between_things_that_feed_each_other_lies_the_way_there_and_back() -> None:
    told = ["d.b derived_from d.a", "d.c derived_from d.b", "d.a derived_from d.c"]
    with graph(told) as store:
        found = Questions(store).between(LOCAL, uri("d.a"), uri("d.b")).value

    assert names(found.nodes) == {"d.a", "d.b", "d.c"}
    assert len(found.cycles) == 1


def test_between_unrelated_things_there_is_nothing_and_of_one_thing_it_is_said() -> None:
    with graph([*SHARING, "d.plays same_as d.path"]) as store:
        ask = Questions(store)
        nothing = ask.between(LOCAL, uri("d.titles"), uri("m.a"))
        same = ask.between(LOCAL, uri("d.plays"), uri("d.path"))
        paths = ask.paths(LOCAL, uri("d.plays"), uri("d.path"))

    assert (nothing.value.arrows, nothing.complete) == ((), True)
    assert same.notes == paths.notes == ("Both are names of the same thing.",)


def test_a_way_from_a_table_to_a_version_is_the_one_that_the_version_tells() -> None:
    """Only of the version itself, although a table is asked of over models."""
    told = [*SHARING, "v.a2 version_of m.a", "v.a2 consumes fs.titles", "m.a points_to v.a1"]
    with graph(told) as store:
        ask = Questions(store)
        (one,) = ask.paths(LOCAL, uri("d.titles"), uri("v.a2")).value
        (other,) = ask.paths(LOCAL, uri("v.a2"), uri("d.titles")).value
        none = ask.paths(LOCAL, uri("d.titles"), uri("v.a1")).value

    assert one.arrows == other.arrows
    assert [name(arrow.end) for arrow in one.arrows] == ["fs.titles", "v.a2"]
    assert none == ()


# ── Round and round ──────────────────────────────────────────────────────────────────────────────


def test_data_that_goes_round_is_told_as_a_cycle_and_walked_once() -> None:
    told = ["d.b derived_from d.a", "d.c derived_from d.b", "d.a derived_from d.c",
            "d.out derived_from d.b", "d.b derived_from d.c"]  # fmt: skip
    with graph(told) as store:
        found = Questions(store).lineage(LOCAL, [uri("d.out")]).value

    (cycle,) = found.cycles
    assert [name(one.uri) for one in cycle.things] == ["d.a", "d.b", "d.c"]
    assert (cycle.size, cycle.feedback) == (3, False)
    assert cycle.words == (
        "dataset a feeds dataset b, which feeds dataset c, which feeds dataset a"
    )
    assert len(found.nodes) == 4


def test_a_loop_that_only_feedback_closes_is_told_as_such() -> None:
    told = ["dep.home deploys v.v1", "v.v1 version_of m.a", "v.v1 consumes fs.watched",
            "fs.watched derived_from d.log", "dep.home logs_to d.log"]  # fmt: skip
    with graph(told) as store:
        (cycle,) = Questions(store).lineage(LOCAL, [uri("m.a")]).value.cycles

    assert cycle.feedback
    assert {name(one.uri) for one in cycle.things} == {"m.a", "dep.home", "d.log", "fs.watched"}


EDGES = st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20)


@settings(max_examples=100)
@given(EDGES)
def test_rings_are_those_of_trying_all(edges: set[tuple[int, int]]) -> None:
    def reached(start: int) -> set[int]:
        seen: set[int] = set()
        while more := {b for a, b in edges if a in seen or a == start} - seen:
            seen |= more
        return seen

    mutual = {
        frozenset({a} | {b for b in range(8) if b in reached(a) and a in reached(b)})
        for a in range(8) if a in reached(a)
    }  # fmt: skip
    found = rings(edges)

    assert {ring.members for ring in found} == mutual
    for ring in found:
        turned = [*ring.way[1:], ring.way[0]]
        assert set(zip(ring.way, turned, strict=True)) <= edges
        assert len(set(ring.way)) == len(ring.way)
        assert set(ring.way) <= ring.members
        assert ring.way[0] == min(ring.members)


@settings(max_examples=100)
@given(EDGES)
def test_what_a_component_leads_to_stands_before_it(edges: set[tuple[int, int]]) -> None:
    onward: dict[int, list[int]] = {}
    for a, b in sorted(edges):
        onward.setdefault(a, []).append(b)
    groups = components(onward)
    place = {one: at for at, group in enumerate(groups) for one in group}

    assert sorted(place) == sorted({end for edge in edges for end in edge})
    assert all(place[b] <= place[a] for a, b in edges)


def test_a_chain_as_long_as_a_graph_is_large_needs_no_deep_stack() -> None:
    many = 50_000
    chain = [(at, at + 1) for at in range(many)]

    assert rings(chain) == []
    assert len(rings([*chain, (many, 0)])[0].members) == many + 1


# ── In time ──────────────────────────────────────────────────────────────────────────────────────

MOVED = ["v.v1 version_of m.a", "v.v2 version_of m.a", "v.v1 consumes f.old",
         "v.v2 consumes f.new"]  # fmt: skip


def test_a_model_is_walked_through_the_version_that_was_current_then() -> None:
    """By what was known at a transaction, and by what was so on a day."""
    before, after = ["alias: m.a points_to v.v1"], ["alias: m.a points_to v.v2"]
    with graph([*MOVED, *before], later=after) as store:
        ask = Questions(store)
        day = 86_400_000_000
        asked = {
            "now": Moment(),
            "as known": Moment(known_t=1),
            "as it was": Moment(valid_at=10 * day + 1),
        }
        found = {
            when: names(ask.lineage(LOCAL, [uri("m.a")], moment, down=0).value.nodes) - {"m.a"}
            for when, moment in asked.items()
        }
        ways = {
            when: len(ask.paths(LOCAL, uri("f.old"), uri("m.a"), moment).value)
            for when, moment in asked.items()
        }
        lying = {
            when: len(ask.between(LOCAL, uri("f.new"), uri("m.a"), moment).value.arrows)
            for when, moment in asked.items()
        }
        shared = {
            when: names(ask.common(LOCAL, [uri("m.a"), uri("v.v1")], moment).value.things)
            for when, moment in asked.items()
        }

    assert found == {"now": {"f.new"}, "as known": {"f.old"}, "as it was": {"f.old"}}
    assert ways == {"now": 0, "as known": 1, "as it was": 1}
    assert lying == {"now": 1, "as known": 0, "as it was": 0}
    assert shared == {"now": set(), "as known": {"f.old"}, "as it was": {"f.old"}}


# ── Only some types, and what can be at all ──────────────────────────────────────────────────────


def test_only_things_of_the_asked_types_are_told_and_counted() -> None:
    with graph(SHARING) as store:
        ask = Questions(store)
        found = ask.lineage(LOCAL, [uri("m.b")], ask=Ask(types=frozenset({"dataset"})))

    assert names(found.value.nodes) == {"m.b", "d.plays", "d.titles", "d.raw"}
    assert found.value.upstream == {"dataset": 3}
    assert {name(arrow.start) for arrow in found.value.arrows} == {"d.raw"}


def test_what_leads_to_nothing_that_is_asked_for_is_not_gone_on_from() -> None:
    """No model is downstream of a test, so what the test is measured by is not looked at."""
    told = ["v.v1 version_of m.a", "v.v1 served_in x.one", "x.one cell_of t.1",
            *(f"dep.{at} deploys v.v1" for at in range(30)),
            *(f"dep.{at} deployed_on svc.{at}" for at in range(30))]  # fmt: skip
    with graph(told) as store, store.read(LOCAL) as reader:
        keys = list(reader.keys([uri("m.a")]).values())
        way = Way(upstream=False, logical=True)
        towards = Way(upstream=False, logical=True, towards=frozenset({"ab-test"}))
        every = walk(reader, SHAPES, keys, way, Budget())
        some = walk(reader, SHAPES, keys, towards, Budget())

    assert every.scanned > 60
    assert some.scanned == 31


@pytest.mark.parametrize(
    ("start", "upstream", "kind", "possible"),
    [
        ("dataset", False, "model", True),
        ("model", True, "dataset", True),
        ("ab-test", False, "model", False),
        ("ab-test", True, "model", True),
        ("dataset", True, "service", False),
        ("dashboard", False, "dataset", False),
        ("team", False, "dataset", False),
        ("column", False, "deployment", True),
        ("run", True, "run", True),
    ],
)
def test_the_shapes_say_what_can_be_reached(
    start: str, upstream: bool, kind: str, possible: bool
) -> None:
    for logical in (True, False):
        found = reachable(SHAPES, Way(upstream, logical), [start])
        assert found is not None
        assert (kind in found) == possible


def test_an_impossible_question_is_answered_at_once_with_the_reason() -> None:
    with graph(["t.1 measured_by d.a", "d.a derived_from d.b"]) as store:
        ask = Questions(store)
        never = ask.lineage(LOCAL, [uri("t.1")], up=0, ask=Ask(types=frozenset({"model"})))
        by_kind = ask.lineage(
            LOCAL, [uri("t.1")], down=0,
            ask=Ask(types=frozenset({"model"}), kinds=frozenset({"measured_by"})),
        )  # fmt: skip
        ways = ask.paths(LOCAL, uri("t.1"), uri("d.b"), ask=Ask(kinds=frozenset({"consumes"})))

    assert (never.complete, never.total) == (True, 1)
    assert "No model can be downstream of an ab test" in never.notes[0]
    assert by_kind.notes[0].endswith("leads there by the kinds asked for.")
    assert ways.value == ()
    assert len(ways.notes) == 2


#: Every statement that the shapes allow between a few things of each type.
KINDS = sorted(
    (kind.name, start, end)
    for kind in SHAPES.kinds.values()
    for start, first in LETTERS.items()
    for end, second in LETTERS.items()
    if kind.class_ in ("data", "serve", "level", "feedback") and kind.allows(first, second)
)


WALKED = sorted({kind for kind, _, _ in KINDS if kind not in SHAPES.level_kinds})


class Memory:
    """A graph of statements in memory, each in a document of its own unless one is named."""

    def __init__(self, told: Sequence[str]) -> None:
        self.keys: dict[str, int] = {}
        self._links: list[Link] = []
        documents: dict[str, int] = {}
        self._fine: set[int] = set()
        self._one: dict[int, int] = {}
        for line in told:
            document, _, text = line.rpartition(": ")
            number = documents.setdefault(document or line, len(documents))
            start, kind, end = text.split()
            src, dst = (self.keys.setdefault(one, len(self.keys)) for one in (start, end))
            if kind == "same_as":
                self._one[dst] = src
            self._links.append(Link(src, kind, dst, "declared", number, 0))
            if kind == "derived_from" and start[0] in "cf":
                self._fine.add(number)
        self._uris = {key: uri(one) for one, key in self.keys.items()}

    def outward(
        self, keys: Iterable[int], kinds: Collection[str], most: int | None = None
    ) -> list[Link]:
        wanted = set(keys)
        return [one for one in self._links if one.src in wanted and one.kind in kinds]

    def inward(
        self, keys: Iterable[int], kinds: Collection[str], most: int | None = None
    ) -> list[Link]:
        wanted = set(keys)
        return [one for one in self._links if one.dst in wanted and one.kind in kinds]

    def groups(self, keys: Collection[int]) -> dict[int, frozenset[int]]:
        heads = {key: self._one.get(key, key) for key in self._uris}
        return {
            key: frozenset(other for other in heads if heads[other] == heads[key]) for key in keys
        }

    def types(self, keys: Iterable[int]) -> dict[int, str]:
        return {key: self._uris[key].type for key in keys}

    def uris(self, keys: Iterable[int]) -> dict[int, Uri]:
        return {key: self._uris[key] for key in keys}

    def attributes(self, keys: Iterable[int]) -> dict[int, dict[str, Json]]:
        return {key: {} for key in keys}

    def fine_documents(self, documents: Iterable[int]) -> set[int]:
        return self._fine & set(documents)


def test_a_cut_is_told_though_no_edge_that_was_read_is_of_the_asked_layer() -> None:
    way = Way(upstream=False, logical=True, layers=frozenset({"observed"}))
    told = [f"d.{at} derived_from d.0" for at in range(1, 11)]
    with graph(told) as store, store.read(LOCAL) as reader:
        (key,) = reader.keys([uri("d.0")]).values()
        cut = walk(reader, SHAPES, [key], way, Budget(edges=5))
        whole = walk(reader, SHAPES, [key], way, Budget(edges=10))

    assert cut.why == [Cut("edges", done=5, most=5)]
    assert cut.scanned == 5
    assert whole.why == []


def held(graph: Memory, whole: Way, start: str, types: Collection[str]) -> None:
    """Hold a walk towards some types, and what the shapes say can be, against the whole walk."""
    key = graph.keys[start]
    every = walk(graph, SHAPES, [key], whole, Budget())
    stepped = {
        at: (one.depth, one.possible, one.approximate)
        for at, one in every.reached.items() if one.depth > 0
    }  # fmt: skip
    can_be = reachable(SHAPES, whole, [uri(start).type])
    assert can_be is not None
    assert {of.type for of in graph.uris(stepped).values()} <= can_be
    for kind in types:
        pruned = walk(graph, SHAPES, [key], replace(whole, towards=frozenset({kind})), Budget())
        found = {
            at: (one.depth, one.possible, one.approximate)
            for at, one in pruned.reached.items() if one.depth > 0
        }  # fmt: skip
        asked = {at for at, of in graph.uris({*stepped, *found}).items() if of.type == kind}
        assert {at: it for at, it in found.items() if at in asked} == {
            at: it for at, it in stepped.items() if at in asked
        }
        assert pruned.scanned <= every.scanned


@pytest.mark.parametrize("kind", WALKED)
def test_nothing_is_lost_where_everything_that_may_be_stated_is(kind: str) -> None:
    """R44, kind by kind: with all statements of a kind and all levels between two of each type."""
    told = [
        f"{start}.{one} {name} {end}.{other}"
        for name, start, end in KINDS if name == kind or name in SHAPES.level_kinds
        for one in range(2) for other in range(2) if (start, one) != (end, other)
    ]  # fmt: skip
    everything = Memory(told)
    for upstream, logical in product((True, False), repeat=2):
        way = Way(upstream, logical, kinds=frozenset({kind}))
        for start in everything.keys:
            held(everything, way, start, sorted(LETTERS.values()) if start[-1] == "0" else ())


@st.composite
def estates(draw: st.DrawFn) -> list[str]:
    """Draw statements of a few kinds and of all levels: of so few that they follow each other."""
    some = draw(st.sets(st.sampled_from(WALKED), min_size=1, max_size=4))
    may_be = [one for one in KINDS if one[0] in some or one[0] in SHAPES.level_kinds]
    lines = []
    for kind, start, end in draw(st.lists(st.sampled_from(may_be), min_size=6, max_size=40)):
        ids = draw(st.integers(0, 1)), draw(st.integers(0, 1))
        document = draw(st.sampled_from(["", "", "one: ", "two: "]))
        if (start, ids[0]) != (end, ids[1]):
            lines.append(f"{document}{start}.{ids[0]} {kind} {end}.{ids[1]}")
    if draw(st.booleans()):
        letter = draw(st.sampled_from(["d", "f", "m", "p"]))
        lines.append(f"{letter}.0 same_as {letter}.1")
    return lines or ["d.0 derived_from d.1"]


@settings(max_examples=200)
@given(
    estates(),
    st.booleans(),
    st.booleans(),
    st.none() | st.sets(st.sampled_from(WALKED), min_size=1, max_size=3),
)
def test_a_walk_towards_some_types_comes_to_what_the_whole_walk_comes_to(
    told: list[str], upstream: bool, logical: bool, kinds: set[str] | None
) -> None:
    """R44: nothing is lost by not going on from what can lead to nothing that is asked for."""
    way = Way(upstream, logical, kinds=None if kinds is None else frozenset(kinds))
    estate = Memory(told)
    for start in estate.keys:
        held(
            estate,
            way,
            start,
            sorted({of.type for of in estate.uris(estate.keys.values()).values()}),
        )


def test_a_graph_in_memory_walks_as_a_store_does() -> None:
    """What the two tests above are put to stands for what is kept."""
    told = [*SHARING, "d.plays same_as d.path", "r.one run_of p.etl", "r.one reads d.path"]
    memory = Memory(told)
    with graph(told) as store, store.read(LOCAL) as reader:
        for start, key in memory.keys.items():
            for upstream, logical in product((True, False), repeat=2):
                way = Way(upstream, logical)
                (own,) = reader.keys([uri(start)]).values()
                kept = walk(reader, SHAPES, [own], way, Budget())
                found = walk(memory, SHAPES, [key], way, Budget())
                assert {
                    of: (kept.reached[at].depth, kept.reached[at].possible)
                    for at, of in reader.uris(kept.reached).items()
                } == {
                    of: (found.reached[at].depth, found.reached[at].possible)
                    for at, of in memory.uris(found.reached).items()
                }

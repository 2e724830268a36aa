"""Walks: every example of ``docs/explanation/grain.md``, budgets, paths, and a plain oracle."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineal.access import LOCAL
from lineal.lineage import Step, Walk, Way, Ways, active_versions, walk
from lineal.model import Budget, EdgeStatement, Layer, Moment, Record, Statement, Uri
from lineal.query import Ask, Questions
from lineal.shapes import Shapes
from lineal.store import Batch, Reader, Store
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "explanation" / "grain.md"
SHAPES = Shapes.builtin()
DAY = 86_400_000_000

LETTERS = {
    "d": "dataset",
    "s": "dataset-version",
    "c": "column",
    "f": "feature",
    "fs": "feature-set",
    "p": "pipeline",
    "r": "run",
    "m": "model",
    "v": "model-version",
    "t": "ab-test",
    "x": "ab-cell",
    "dep": "deployment",
    "svc": "service",
}
_BACK = {kind: letter for letter, kind in LETTERS.items()}


def uri(name: str) -> Uri:
    letter, _, ident = name.partition(".")
    return Uri.of(LETTERS[letter], "here", ident)


def name(of: Uri) -> str:
    return f"{_BACK[of.type]}.{of.name}"


# ── Small graphs ─────────────────────────────────────────────────────────────────────────────────


@cache
def empty() -> bytes:
    """Return the file of a graph that holds nothing: made once, it takes longest."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        Store(path, shapes=SHAPES).close()
        return path.read_bytes()


@contextmanager
def graph(statements: Sequence[str], *, later: Sequence[str] | None = None) -> Iterator[Store]:
    """Open a store that was told *statements* on day 10, and *later*, if given, on day 11."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.db"
        path.write_bytes(empty())
        with closing(Store(path, shapes=SHAPES, now=lambda: 20 * DAY)) as store:
            store.commit(Batch(documents(statements, 10), "test", "test"))
            if later is not None:
                store.commit(Batch(documents(later, 11), "test", "test"))
            yield store


def documents(statements: Sequence[str], day: int) -> list[Record]:
    """Return the documents that make these statements."""
    edges: dict[str, list[EdgeStatement]] = {}
    said: dict[str, list[Statement]] = {}
    for line in statements:
        document, found, text = line.rpartition(": ")
        document = document if found else line
        if text.startswith("created "):
            _, thing, at = text.split()
            said.setdefault(document, []).append(Statement(uri(thing), {"created_at": at}))
            continue
        text, _, since = text.partition(" @")
        start, kind, end = text.split()
        at_day = int(since) * DAY if since else None
        edges.setdefault(document, []).append(
            EdgeStatement(uri(start), kind, uri(end), valid_from=at_day)
        )
    return [
        Record(
            "tool",
            document,
            Uri.of("source", "here", str(len(document))),
            tuple(said.get(document, ())),
            tuple(edges.get(document, ())),
            day * DAY,
        )
        for document in dict.fromkeys([*edges, *said])
    ]


def go(
    reader: Reader, start: str, way: Way, budget: Budget | None = None
) -> tuple[Walk, dict[int, str]]:
    """Walk from a thing; return the walk and the names of the keys."""
    key = reader.keys([uri(start)])[uri(start)]
    found = walk(reader, SHAPES, [key], way, budget or Budget())
    ends = {
        end for step in [*found.feedback, *found.steps.values()] for end in (step.start, step.end)
    }
    return found, {key: name(of) for key, of in reader.uris(ends | found.reached.keys()).items()}


def answer(reader: Reader, start: str, *, upstream: bool, logical: bool) -> str:
    """Return what a walk reaches by a step, in the notation of the page."""
    found, names = go(reader, start, Way(upstream, logical))
    assert found.why == []
    return " ".join(
        sorted(
            names[one.key] + "?" * one.possible + "~" * one.approximate
            for one in found.reached.values()
            if one.depth > 0
        )
    )


# ── The page ─────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Example:
    """One block of the page: what is stated, and the walks with their answers."""

    line: int
    statements: list[str] = field(default_factory=list)
    walks: list[tuple[str, str]] = field(default_factory=list)


def examples() -> list[Example]:
    found: list[Example] = []
    inside = False
    for at, text in enumerate(PAGE.read_text("utf-8").splitlines(), start=1):
        if text.startswith("```"):
            inside = text == "```lineage"
            if inside:
                found.append(Example(at))
        elif inside and re.search(r" =( |$)", text):
            asked, _, answered = text.partition(" =")
            found[-1].walks.append((asked, " ".join(sorted(answered.split()))))
        elif inside:
            found[-1].statements.append(text)
    return found


@pytest.mark.parametrize("example", examples(), ids=lambda one: f"line {one.line}")
def test_every_example_of_the_page_is_so(example: Example) -> None:
    with graph(example.statements) as store, store.read(LOCAL) as reader:
        got: list[tuple[str, str]] = []
        for asked, _ in example.walks:
            side, grain, start = asked.split()
            if side == "loops":
                found, names = go(reader, start, Way(grain == "up", logical=True))
                loops = {names[end] for step in found.feedback for end in (step.start, step.end)}
                got.append((asked, " ".join(sorted(loops))))
                continue
            assert (side, grain) in {(a, b) for a in ("up", "down") for b in ("logical", "exact")}
            told = answer(reader, start, upstream=side == "up", logical=grain == "logical")
            got.append((asked, told))

    assert got == example.walks


@pytest.mark.parametrize("example", examples(), ids=lambda one: f"line {one.line}")
def test_the_order_of_statements_changes_no_answer(example: Example) -> None:
    with graph(example.statements[::-1]) as store, store.read(LOCAL) as reader:
        for asked, expected in example.walks:
            side, grain, start = asked.split()
            if side != "loops":
                told = answer(reader, start, upstream=side == "up", logical=grain == "logical")
                assert told == expected


def test_the_page_has_examples_of_all_three_laws() -> None:
    text = PAGE.read_text("utf-8")

    assert len(examples()) >= 18
    assert all(one.walks and one.statements for one in examples())
    assert re.findall(r"^\*\*(\d)\.", text, re.MULTILINE) == ["1", "2", "3"]


# ── Depth, steps, loops ──────────────────────────────────────────────────────────────────────────

CHAIN = ["d.b derived_from d.a", "d.c derived_from d.b", "d.d derived_from d.c"]


def test_containment_and_other_names_cost_no_depth() -> None:
    told = [
        "f.hours in_set fs.watched",
        "fs.watched derived_from d.plays",
        "d.plays same_as d.path",
        "d.path derived_from d.raw",
    ]
    with graph(told) as store, store.read(LOCAL) as reader:
        found, names = go(reader, "f.hours", Way(upstream=True, logical=True))

    depths = {names[key]: one.depth for key, one in found.reached.items()}
    assert depths == {"f.hours": 0, "fs.watched": 0, "d.plays": 1, "d.path": 1, "d.raw": 2}


def test_the_way_to_a_thing_is_one_of_the_shortest() -> None:
    with graph([*CHAIN, "d.d derived_from d.b"]) as store, store.read(LOCAL) as reader:
        found, names = go(reader, "d.d", Way(upstream=True, logical=True))
        (key,) = [key for key in found.reached if names[key] == "d.a"]
        steps = [(names[step.start], step.kind, names[step.end]) for step in found.way_to(key)]

    assert steps == [("d.d", "derived_from", "d.b"), ("d.b", "derived_from", "d.a")]


def test_the_way_goes_out_from_a_whole_to_which_a_cycle_leads_back() -> None:
    """The pipeline of the run that is asked about feeds a table on which it feeds itself."""
    told = ["r.one run_of p.load", "d.out produced_by p.load", "p.load reads d.out"]
    with graph(told) as store, store.read(LOCAL) as reader:
        found, names = go(reader, "r.one", Way(upstream=False, logical=True))
        keys = {names[key]: key for key in found.reached}
        ways = {
            name: [(names[step.start], names[step.end]) for step in found.way_to(keys[name])]
            for name in ("d.out", "p.load")
        }

    assert ways == {
        "d.out": [("p.load", "d.out")],
        "p.load": [("p.load", "d.out"), ("d.out", "p.load")],
    }


def test_a_step_that_was_lifted_names_the_edge_it_stands_for() -> None:
    told = ["r.one run_of p.load", "d.out produced_by r.one"]
    with graph(told) as store, store.read(LOCAL) as reader:
        found, names = go(reader, "d.out", Way(upstream=True, logical=True))
        (step,) = found.steps.values()
        ends = reader.uris([step.edge[0], step.edge[2]])

    assert names[step.end] == "p.load"
    assert [name(ends[key]) for key in (step.edge[0], step.edge[2])] == ["d.out", "r.one"]


def test_what_a_source_only_suggests_is_walked_only_if_asked_for() -> None:
    edge = EdgeStatement(uri("d.b"), "derived_from", uri("d.a"), layer=Layer.SUGGESTED)
    with graph([]) as store:
        store.commit(Batch([Record("x", "x", uri("d.b"), (), (edge,), DAY)], "test", "test"))
        with store.read(LOCAL) as reader:
            plain, _ = go(reader, "d.b", Way(upstream=True, logical=True))
            keen, _ = go(
                reader, "d.b", Way(upstream=True, logical=True, layers=frozenset({"suggested"}))
            )

    assert (len(plain.reached), len(keen.reached)) == (1, 2)


def test_a_walk_may_be_kept_to_some_kinds() -> None:
    told = ["d.b derived_from d.a", "r.one reads d.a", "r.one run_of p.load"]
    kinds = frozenset({"reads"})
    with graph(told) as store, store.read(LOCAL) as reader:
        found, names = go(reader, "d.a", Way(upstream=False, logical=True, kinds=kinds))

    assert {names[key] for key in found.reached} == {"d.a", "p.load"}


def test_active_are_the_versions_in_use_else_the_newest() -> None:
    told = [
        *("v.a1 version_of m.a", "v.a2 version_of m.a", "created v.a1 2026-02-01"),
        *("v.b1 version_of m.b", "v.b2 version_of m.b", "m.b points_to v.b1"),
    ]
    with graph(told) as store, store.read(LOCAL) as reader:
        keys = reader.keys([uri("m.a"), uri("m.b")])
        found = active_versions(reader, keys.values())
        names = {
            name(model): sorted(name(of) for of in reader.uris(found[key]).values())
            for model, key in keys.items()
        }

    assert names == {"m.a": ["v.a1"], "m.b": ["v.b1"]}


# ── Times ────────────────────────────────────────────────────────────────────────────────────────


def test_a_walk_in_the_past_does_not_see_what_came_later() -> None:
    with graph(["x: d.b derived_from d.a"], later=["x: d.b derived_from d.c"]) as store:
        with store.read(LOCAL, Moment(known_t=1)) as reader:
            then = answer(reader, "d.b", upstream=True, logical=True)
        with store.read(LOCAL) as reader:
            now = answer(reader, "d.b", upstream=True, logical=True)

    assert (then, now) == ("d.a", "d.c")


def test_law_three_is_of_the_time_that_is_asked_about() -> None:
    """P8: that a document gives up its column edges does not change what was known before."""
    fine = [
        "view: d.out derived_from d.titles",
        "view: c.sum column_of d.out",
        "view: c.sum derived_from c.hours",
    ]
    with graph(fine) as store:
        with store.read(LOCAL, Moment(known_t=1)) as reader:
            before = answer(reader, "d.out", upstream=True, logical=True)
        store.commit(Batch(documents(fine[:2], 11), "test", "test"))
        with store.read(LOCAL, Moment(known_t=1)) as reader:
            after = answer(reader, "d.out", upstream=True, logical=True)
        with store.read(LOCAL) as reader:
            now = answer(reader, "d.out", upstream=True, logical=True)

    assert before == "c.hours?"
    assert now == "d.titles"
    assert after == before


# ── Budgets ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("budget", "why", "reached"),
    [
        (Budget(depth=0), "depth", {"d.d"}),
        (Budget(depth=1), "depth", {"d.d", "d.c"}),
        (Budget(depth=2), "depth", {"d.d", "d.c", "d.b"}),
        (Budget(nodes=2), "nodes", {"d.d", "d.c"}),
        (Budget(nodes=1), "nodes", {"d.d"}),
        (Budget(edges=1), "edges", {"d.d", "d.c"}),
        (Budget(edges=0), "edges", {"d.d"}),
    ],
)
def test_a_limit_that_is_hit_is_named_and_kept(budget: Budget, why: str, reached: set[str]) -> None:
    with graph(CHAIN) as store, store.read(LOCAL) as reader:
        found, names = go(reader, "d.d", Way(upstream=True, logical=True), budget)

    assert {names[key] for key in found.reached} == reached
    assert [cut.limit for cut in found.why] == [why]


def test_a_step_that_is_never_taken_does_not_make_an_answer_incomplete() -> None:
    """Law 3, and services that are called three deep: one more step would come to nothing."""
    told = [
        *("view: d.out derived_from d.titles", "view: c.sum column_of d.out"),
        *("view: c.sum derived_from c.hours", "c.hours column_of d.plays"),
        *("svc.a calls svc.b", "svc.b calls svc.c", "svc.c calls svc.d"),
    ]
    with graph(told) as store, store.read(LOCAL) as reader:
        view, _ = go(reader, "d.out", Way(upstream=True, logical=True), Budget(depth=1))
        calls, _ = go(reader, "svc.a", Way(upstream=True, logical=True), Budget(depth=2))

    assert (view.why, calls.why) == ([], [])


def test_a_walk_within_its_budget_is_complete() -> None:
    with graph(CHAIN) as store, store.read(LOCAL) as reader:
        found, _ = go(
            reader, "d.d", Way(upstream=True, logical=True), Budget(depth=4, nodes=5, edges=4)
        )

    assert found.why == []
    assert len(found.reached) == 4


def test_time_that_has_run_out_ends_a_walk_and_is_named() -> None:
    with graph(CHAIN) as store, store.read(LOCAL) as reader:
        keys = list(reader.keys([uri("d.d")]).values())
        way = Way(upstream=True, logical=True)
        found = walk(reader, SHAPES, keys, way, Budget(), out_of_time=lambda: True)

    assert [cut.limit for cut in found.why] == ["time"]


def test_a_cut_lineage_says_so_on_the_side_that_was_cut() -> None:
    with graph(CHAIN) as store:
        ask = Questions(store)
        cut = ask.lineage(LOCAL, [uri("d.c")], up=1, down=5)
        whole = ask.lineage(LOCAL, [uri("d.c")])

    assert (whole.complete, whole.total) == (True, 4)
    assert (cut.truncated, cut.total) == (True, None)
    assert [one.part for one in cut.why] == [("upstream",)]
    assert {name(node.thing.uri) for node in cut.value.nodes} == {"d.b", "d.c", "d.d"}


# ── Paths ────────────────────────────────────────────────────────────────────────────────────────


def _steps(*pairs: str) -> list[Step]:
    ends = [(ord(pair[0]), ord(pair[1])) for pair in pairs]
    return [Step(a, "derived_from", b, "declared", False, (b, "derived_from", a)) for a, b in ends]


def _ways(steps: Sequence[Step], contained: set[tuple[int, str, int]] | None = None) -> Ways:
    """Return the ways of a walk downstream that took these steps."""
    walked = Walk(steps={(step.start, step.kind, step.end): step for step in steps})
    walked.contained = contained or set()
    return Ways(walked, SHAPES, upstream=False)


def _told(ways: Sequence[Sequence[Step]]) -> list[str]:
    return ["".join([chr(way[0].start), *(chr(step.end) for step in way)]) for way in ways]


def _shortest(steps: Sequence[Step], k: int, start: str = "a", end: str = "d") -> list[str]:
    ways, complete = _ways(steps).shortest(ord(start), ord(end), k)
    assert complete
    return _told(ways)


def test_the_shortest_ways_come_first_and_repeat_nothing() -> None:
    steps = _steps("ab", "bd", "ac", "cd", "ad", "bc", "ca", "db")

    assert _shortest(steps, 10) == ["ad", "abd", "acd", "abcd"]
    assert _shortest(steps, 2) == ["ad", "abd"]


def test_where_there_is_no_way_there_are_none() -> None:
    assert _shortest(_steps("ab", "cd"), 3) == []


def test_ways_through_a_complete_graph_are_found_without_trying_all() -> None:
    """There are more ways among 40 things that all feed each other than anybody could look at."""
    letters = [chr(at) for at in range(97, 137)]
    every = _steps(*(a + b for a in letters for b in letters if a != b))

    found = _shortest(every, 20)

    assert [len(way) for way in found] == [2, *[3] * 19]
    assert len(set(found)) == 20


def test_ways_that_are_too_many_to_look_at_are_said_to_be() -> None:
    letters = [chr(at) for at in range(97, 117)]
    every = _steps(*(a + b for a in letters for b in letters if a != b))
    late = iter([False, False, True])

    ways, complete = _ways(every).shortest(97, 98, 20, out_of_time=lambda: next(late))

    assert not complete
    assert len(ways) == 2


def test_a_way_through_a_part_goes_on_over_statements_of_the_whole_itself() -> None:
    """Law 1: from one part to its whole, and not from there to what another part feeds."""
    part, whole, end = ord("p"), ord("w"), ord("e")
    of_another = Step(whole, "derived_from", end, "declared", True, (end, "derived_from", ord("q")))
    own = Step(whole, "derived_from", end, "declared", True, (end, "derived_from", whole))
    within = {(part, "column_of", whole)}

    assert _ways([of_another], within).shortest(part, end, 1) == ([], True)
    assert _told(_ways([own], within).shortest(part, end, 1)[0]) == ["pwe"]
    assert _told(_ways([of_another]).shortest(whole, end, 1)[0]) == ["we"]
    assert _ways([of_another], within).between(part, end) == []
    assert len(_ways([own], within).between(part, end)) == 2


def test_what_is_only_shown_leads_no_way_on() -> None:
    """Law 3: the job of a document that states columns is shown, and not gone through."""
    first, second = _steps("ab", "bd")

    assert _shortest([first, second], 1) == ["abd"]
    assert _shortest([replace(first, shown=True), second], 1) == []


@settings(max_examples=60)
@given(
    st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=14),
    st.integers(1, 6),
)
def test_shortest_ways_are_those_of_trying_all(pairs: set[tuple[int, int]], k: int) -> None:
    pairs = {(a, b) for a, b in pairs if a != b}
    steps = [Step(a, "reads", b, "declared", False, (b, "reads", a)) for a, b in pairs]
    every: list[list[int]] = []

    def extend(way: list[int]) -> None:
        for a, b in sorted(pairs):
            if a == way[-1] and b not in way:
                (every.append if b == 5 else extend)([*way, b])

    extend([0])
    ways, complete = _ways(steps).shortest(0, 5, k)

    assert complete
    assert [len(way) for way in ways] == sorted(len(way) - 1 for way in every)[:k]
    assert {(0, *(step.end for step in way)) for way in ways} <= {tuple(way) for way in every}


@settings(max_examples=60)
@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=16))
def test_between_two_things_lies_what_one_reaches_and_the_other_is_reached_from(
    pairs: set[tuple[int, int]],
) -> None:
    pairs = {(a, b) for a, b in pairs if a != b}
    steps = [Step(a, "reads", b, "declared", False, (b, "reads", a)) for a, b in pairs]

    def from_(start: int, pairs: set[tuple[int, int]]) -> set[int]:
        seen = {start}
        while more := {b for a, b in pairs if a in seen} - seen:
            seen |= more
        return seen

    # No way leaves the end, or comes back to the start.
    open_ = {(a, b) for a, b in pairs if a != 6 and b != 0}
    on_the_way = from_(0, open_) & from_(6, {(b, a) for a, b in open_})
    found = {key for step in _ways(steps).between(0, 6) for key in (step.start, step.end)}

    assert found == (on_the_way if 6 in from_(0, open_) else set())


def test_paths_are_told_in_words() -> None:
    told = ["fs.watched derived_from d.plays", "v.v1 consumes fs.watched", "v.v1 version_of m.a"]
    with graph(told) as store:
        (found,) = Questions(store).paths(LOCAL, uri("d.plays"), uri("m.a")).value

    assert found.words == "dataset plays feeds feature set watched, which is consumed by model a"


# ── Against a plain oracle ───────────────────────────────────────────────────────────────────────

#: Kinds between wholes, with the types at their ends; in all of them data goes back.
KINDS = (
    ("derived_from", "d", "d"),
    ("reads", "p", "d"),
    ("produced_by", "d", "p"),
    ("reads", "p", "f"),
    ("derived_from", "f", "d"),
    ("consumes", "m", "f"),
    ("tuned_from", "m", "m"),
    ("reads", "p", "m"),
)


@st.composite
def statements(draw: st.DrawFn) -> list[str]:
    made: set[str] = set()
    for kind, start, end in draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=16)):
        a, b = draw(st.integers(0, 3)), draw(st.integers(0, 3))
        made.add(f"{start}.{a} {kind} {end}.{b}")
    return sorted(made)


@settings(max_examples=25)
@given(statements(), st.booleans(), st.booleans())
def test_without_parts_a_walk_is_plain_reachability(
    told: list[str], upstream: bool, logical: bool
) -> None:
    onward: dict[str, set[str]] = {}
    for line in told:
        start, _, end = line.split()
        here, there = (start, end) if upstream else (end, start)
        onward.setdefault(here, set()).add(there)
        onward.setdefault(there, set())
    with graph(told) as store, store.read(LOCAL) as reader:
        for start in sorted(onward):
            depths = {start: 0}
            frontier = {start}
            while frontier:
                frontier = {b for a in frontier for b in onward[a]} - depths.keys()
                depths.update(dict.fromkeys(frontier, max(depths.values()) + 1))
            found, names = go(reader, start, Way(upstream, logical))
            assert {names[key]: one.depth for key, one in found.reached.items()} == depths
            assert not any(one.possible for one in found.reached.values())


LEVELS = ("r.0 run_of p.0", "r.1 run_of p.0", "r.2 run_of p.1")
RUNS = (
    *(f"r.{run} reads d.{at}" for run in range(3) for at in range(4)),
    *(f"d.{at} produced_by r.{run}" for run in range(3) for at in range(4)),
)


@settings(max_examples=12)
@given(st.sets(st.sampled_from(RUNS), min_size=1), st.booleans())
def test_a_logical_walk_over_runs_is_one_over_their_pipelines(
    told: set[str], upstream: bool
) -> None:
    """Lifting first and walking then gives the same as walking and lifting on the way."""
    whole = {line.split()[0]: line.split()[2] for line in LEVELS}
    lifted = sorted({" ".join(whole.get(word, word) for word in line.split()) for line in told})
    with (
        graph([*told, *LEVELS]) as store,
        graph(lifted) as plain,
        store.read(LOCAL) as reader,
        plain.read(LOCAL) as other,
    ):
        for start in ("d.0", "d.1", "d.2", "d.3", "p.0"):
            if other.keys([uri(start)]):
                found = answer(reader, start, upstream=upstream, logical=True)
                assert found == answer(other, start, upstream=upstream, logical=True)


def test_a_lineage_asked_for_is_the_walk() -> None:
    """The question shows what the walk reached, upstream as negative depths."""
    with graph(CHAIN) as store:
        found = Questions(store).lineage(LOCAL, [uri("d.b")], ask=Ask()).value

    assert {name(node.thing.uri): node.depth for node in found.nodes} == {
        "d.a": -1, "d.b": 0, "d.c": 1, "d.d": 2,
    }  # fmt: skip
    assert (found.grain, found.upstream, found.downstream) == (
        "logical", {"dataset": 1}, {"dataset": 2},
    )  # fmt: skip


def test_what_a_cycle_puts_on_both_sides_is_on_both() -> None:
    """The start's own whole is there once a step leads to another of its parts; nearest first."""
    statements = [
        "v.v1 version_of m.ranker",
        "v.v2 version_of m.ranker",
        "v.v1 produced_by r.first",
        "r.second reads v.v1",
        "v.v2 produced_by r.second",
        "r.first reads d.log",
        "d.log produced_by r.second",
    ]
    with graph(statements) as store:
        nodes = Questions(store).lineage(LOCAL, [uri("v.v1")]).value.nodes
        depths = {name(node.thing.uri): node.depths for node in nodes}

    assert depths["m.ranker"] == (2,)
    assert depths["d.log"] == (2, -2) or depths["d.log"] == (-2, 2)
    assert depths["r.second"] == (1, -3)

"""No question is unbounded, and a cut answer says so (P13): on both databases.

The graphs are as large as a test may be; `make soak` puts the same questions to a hub of a million
edges and to a complete graph of a thousand. A time that is asserted is a promise: the budget's own,
with room for a machine that is busy.
"""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from lineal.access import LOCAL
from lineal.errors import OutOfTime
from lineal.lineage import Link
from lineal.model import Answer, Budget, Cut, Moment, Uri
from lineal.query import Ask, Questions
from lineal.store import Reader
from lineal.surfaces.cuts import worded
from tests import crowd, hubs
from tests.databases import ENGINES, fresh
from tests.graphs import new
from tests.promises.recording import ran

SOAK = os.environ.get("LINEAL_SOAK") == "1"
#: How many edges the hub has, how long the chain is, and how many things all feed each other.
HUB, CHAIN, ALL = (1_000_000, 10_000, 1_000) if SOAK else (30_000, 10_000, 200)
#: So much later than it may (s) an answer is here on a busy machine.
SLACK = 3.0
#: The most memory (bytes) that Python takes for an answer within the usual budget.
MEMORY = 200 << 20
USUAL = Budget()
pytestmark = [pytest.mark.timeout(1_800 if SOAK else 300), pytest.mark.promise("P13")]


@contextmanager
def _filled(engine: str, folder: Path) -> Iterator[Questions]:
    with fresh(engine, folder) as place:
        store = crowd.opened(place)
        try:
            for words in (hubs.hub(HUB), hubs.chain(CHAIN), hubs.complete(ALL)):
                store.load(words, actor="test", cause="a first load")
            yield Questions(store)
        finally:
            store.close()


@pytest.fixture(scope="module", params=ENGINES)
def ask(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Questions]:
    with _filled(request.param, tmp_path_factory.mktemp("budgets")) as found:
        yield found


ONE, OTHER = hubs.node(0, "all-"), hubs.node(5, "all-")
LEAVES = [hubs.node(1, "of-hub-"), hubs.node(2, "of-hub-")]

#: Before anything was known.
START = Moment(known_t=0)

#: Every question that walks or looks around, put to what it could run away on.
PUT: dict[str, Callable[[Questions, Ask], Answer[object]]] = {
    "lineage of a hub": lambda ask, way: ask.lineage(LOCAL, [hubs.HUB], ask=way),
    "impact of a hub": lambda ask, way: ask.impact(LOCAL, [hubs.HUB], ask=way),
    "paths over a hub": lambda ask, way: ask.paths(LOCAL, hubs.HUB, LEAVES[0], ask=way),
    "common of a hub": lambda ask, way: ask.common(LOCAL, LEAVES, ask=way),
    "lineage of a chain": lambda ask, way: ask.lineage(LOCAL, [hubs.node(0, "link-")], ask=way),
    "ends of a chain": lambda ask, way: ask.between(
        LOCAL, hubs.node(0, "link-"), hubs.node(CHAIN, "link-"), ask=way
    ),
    "lineage of all": lambda ask, way: ask.lineage(LOCAL, [ONE], ask=way),
    "impact of all": lambda ask, way: ask.impact(LOCAL, [ONE, OTHER], ask=way),
    "paths of all": lambda ask, way: ask.paths(LOCAL, ONE, OTHER, k=20, ask=way),
    "between all": lambda ask, way: ask.between(LOCAL, ONE, OTHER, ask=way),
    "common of all": lambda ask, way: ask.common(LOCAL, [ONE, OTHER], ask=way),
}


#: Those that compare two moments.
COMPARED: dict[str, Callable[[Questions, Ask], Answer[object]]] = {
    "what differs of a hub": lambda ask, way: ask.diff(LOCAL, hubs.HUB, START, ask=way),
    "what differs of its lineage": lambda ask, way: ask.diff_lineage(
        LOCAL, [hubs.HUB], START, ask=way
    ),
    "what differs of all": lambda ask, way: ask.diff_type(LOCAL, "dataset", START, ask=way),
    "what schemas differ": lambda ask, way: ask.schema_changes(LOCAL, START, ask=way),
}


@pytest.mark.parametrize(
    ("name", "milliseconds"),
    [*product(PUT, (150, 5_000)), *product(COMPARED, (150, 1_000))],
)
def test_an_answer_is_here_in_its_time_and_says_what_was_cut(
    ask: Questions, name: str, milliseconds: int
) -> None:
    put = {**PUT, **COMPARED}[name]
    begun = time.monotonic()
    try:
        answer = put(ask, Ask(replace(USUAL, milliseconds=milliseconds)))
    except OutOfTime:
        assert milliseconds < USUAL.milliseconds
    else:
        assert answer.complete or all(worded(cut) for cut in answer.why)
    took = time.monotonic() - begun

    assert took < milliseconds / 1_000 * 1.1 + 0.1 + SLACK


@pytest.mark.parametrize("engine", [one for one in ENGINES if one != "sqlite"])
def test_who_goes_on_after_a_statement_was_stopped_is_out_of_time(engine: str) -> None:
    """The server refuses whatever comes after it in the same transaction: that is no fault."""
    with new(engine) as graph, graph.store.read(LOCAL, budget=Budget(milliseconds=50)) as reader:
        with pytest.raises(OutOfTime):
            reader._driver.rows("SELECT pg_sleep(60)")
        with pytest.raises(OutOfTime):
            reader._driver.rows("SELECT 1 FROM tx")


def test_what_has_too_many_edges_is_cut_and_their_number_is_told(ask: Questions) -> None:
    # The watch over memory slows it down: that is not to be what it is cut by.
    slow = Ask(replace(USUAL, milliseconds=60_000))
    tracemalloc.start()
    answer = ask.lineage(LOCAL, [hubs.HUB], up=0, ask=slow)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert answer.truncated
    assert any(cut.limit == "edges" and cut.total == HUB for cut in answer.why)
    ran("P13", "edges at one hub", HUB)
    assert len(answer.value.nodes) <= USUAL.nodes * 1.1
    assert len(answer.value.nodes) > USUAL.nodes * 0.9
    assert peak < MEMORY


@pytest.mark.parametrize(
    ("budget", "why"),
    [
        (Budget(nodes=100), "nodes"),
        (Budget(edges=300), "edges"),
        (Budget(depth=0), "depth"),
        (Budget(rows=50), "rows"),
    ],
)
def test_each_limit_is_kept_within_a_tenth_and_named(
    ask: Questions, budget: Budget, why: str
) -> None:
    answer = ask.lineage(LOCAL, [hubs.HUB], ask=Ask(budget))

    assert answer.truncated
    assert why in {cut.limit for cut in answer.why}
    assert len(answer.value.nodes) <= min(budget.nodes, budget.edges + 1) * 1.1
    assert len(answer.value.arrows) <= budget.edges * 1.1


def test_no_more_rows_are_read_than_allowed(ask: Questions) -> None:
    """However many statements that takes; what was found by then is told."""
    store = ask._store
    for rows in (0, 1, 10, 500):
        with store.read(LOCAL, budget=Budget(rows=rows)) as reader:
            keys = list(reader.keys([hubs.HUB]).values())
            found: list[Link] = reader.inward(keys, ["derived_from"])
            assert reader.meter is not None
            assert len(found) <= rows
            assert reader.meter.why == [Cut("rows", done=reader.meter.rows, most=rows)]


@pytest.mark.parametrize("rows", [10, 2_000, 20_000, 60_000])
def test_what_differs_is_cut_by_rows_and_tells_what_is_known_of_the_total(
    ask: Questions, rows: int
) -> None:
    budget = Budget(rows=rows, milliseconds=60_000)
    answer = ask.diff_type(LOCAL, "dataset", START, ask=Ask(budget), limit=100)
    every = HUB + 1 + CHAIN + 1 + ALL

    assert answer.truncated
    assert answer.total is None
    compared = [cut for cut in answer.why if cut.what == "differing"]
    for cut in compared:
        assert cut.limit == "rows"
        assert cut.done == sum(answer.value.counts["things"].values())
        assert cut.total is not None
        assert cut.done < cut.total <= every
    assert compared or {cut.limit for cut in answer.why} == {"rows"}
    # Nothing only seems to have gone, or to have been there before: everything came.
    assert answer.value.counts["things"]["vanished"] == 0
    assert answer.value.counts["edges"]["vanished"] == 0
    assert {one.what for one in answer.value.things} <= {"appeared"}


def test_what_is_around_a_hub_is_compared_whole_or_not_at_all(ask: Questions) -> None:
    small = ask.diff(LOCAL, hubs.HUB, START, ask=Ask(Budget(rows=1_000)))
    same = ask.diff(LOCAL, hubs.HUB, Moment(known_t=3), ask=Ask(Budget(rows=1_000)))

    for answer in (small, same):
        (cut,) = [cut for cut in answer.why if cut.what == "around"]
        assert (cut.limit, cut.total) == ("rows", HUB)
        assert (len(answer.value.things), len(answer.value.edges)) == (0, 0)
        assert answer.total is None


def test_a_side_that_was_cut_makes_nothing_seem_to_have_gone(ask: Questions) -> None:
    """The same lineage at two moments: what only one of two cut walks reached is no difference."""
    answer = ask.diff_lineage(LOCAL, [ONE], Moment(known_t=3), ask=Ask(Budget(nodes=50, edges=400)))

    assert answer.truncated
    assert (len(answer.value.things), len(answer.value.edges)) == (0, 0)


def _count_for_ever(reader: Reader, keys: list[int]) -> None:
    assert reader.meter is not None
    with reader.meter.finding():
        while True:
            reader.count_at(keys, [], ["derived_from"])


def test_a_statement_that_takes_too_long_is_stopped_in_the_database(ask: Questions) -> None:
    """And what is read after it, in the same snapshot, is answered."""
    store = ask._store
    with store.read(LOCAL, budget=Budget(milliseconds=1)) as reader:
        keys = list(reader.keys([hubs.HUB]).values())
        begun = time.monotonic()
        with pytest.raises(OutOfTime):
            _count_for_ever(reader, keys)
        assert time.monotonic() - begun < 0.1 + SLACK
        assert reader.uris(keys) == {keys[0]: hubs.HUB}


def test_what_a_hub_is_joined_to_and_what_happened_to_it_is_cut(ask: Questions) -> None:
    for answer in (ask.neighbours(LOCAL, hubs.HUB), ask.history(LOCAL, hubs.HUB)):
        assert answer.truncated
        assert any(cut.limit == "edges" for cut in answer.why)
        assert 0 < len(answer.value) <= 500
    (cut,) = [cut for cut in ask.neighbours(LOCAL, hubs.HUB).why if cut.limit == "edges"]
    assert cut.total == HUB


def test_a_chain_is_walked_as_far_as_its_budget_goes(ask: Questions) -> None:
    start = hubs.node(0, "link-")
    usual = ask.lineage(LOCAL, [start], up=0)
    deep = Budget(depth=300, nodes=100_000, edges=100_000, milliseconds=60_000)
    far = ask.lineage(LOCAL, [start], up=0, down=300, ask=Ask(deep))
    ends = ask.paths(LOCAL, start, hubs.node(200, "link-"), ask=Ask(deep))

    assert len(usual.value.nodes) == 21
    assert usual.why == (Cut("depth", done=20, part=("downstream",)),)
    assert len(far.value.nodes) == 301
    ran("P13", "length of a chain", CHAIN)
    assert len(ends.value[0].arrows) == 200


def test_among_things_that_all_feed_each_other_no_way_is_lost(ask: Questions) -> None:
    paths = ask.paths(LOCAL, ONE, OTHER, k=5)
    wide = Ask(Budget(nodes=10_000, edges=10_000_000, rows=10**9, milliseconds=300_000))
    whole = ask.lineage(LOCAL, [ONE], up=0, ask=wide)

    # Directly there and directly back, and then over a third.
    assert [len(one.arrows) for one in paths.value] == [1, 1, 2, 2, 2]
    assert whole.complete
    assert len(whole.value.nodes) == ALL
    (cycle,) = whole.value.cycles
    assert cycle.size == ALL
    ran("P13", "things all joined to each other", ALL)
    assert len(cycle.things) == 2


def test_the_two_sides_share_one_budget(ask: Questions) -> None:
    """What one side does not need, the other may have."""
    budget = Budget(nodes=400, edges=10_000)
    answer = ask.lineage(LOCAL, [hubs.HUB, ONE], ask=Ask(budget))
    one_sided = ask.lineage(LOCAL, [hubs.HUB], ask=Ask(budget))

    assert len(answer.value.nodes) <= 400 * 1.1
    assert 350 < len(one_sided.value.nodes) <= 400 * 1.1


def test_the_graphs_are_what_they_say(ask: Questions) -> None:
    assert ask.get(LOCAL, Uri(hubs.HUB)).value.uri == hubs.HUB
    assert ask.counts(LOCAL).value["dataset"] == HUB + 1 + CHAIN + 1 + ALL

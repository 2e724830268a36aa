"""The engine's arrays and kernels, held against a plain walk over dictionaries."""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineal.lineage.engine import (
    Adjacency,
    Closure,
    Rows,
    closure,
    compiled_is_there,
    shortest,
    tally,
)
from lineal.model import Budget

KERNELS = ["numpy", *(["numba"] if compiled_is_there() else [])]
KINDS = ("feeds", "calls", "logs")
LAYERS = ("declared", "observed", "inferred", "suggested")
Edge = tuple[int, int, int, int]


def built(edges: list[Edge], nodes: int) -> Adjacency:
    columns = np.array(edges, np.int64).reshape(-1, 4)
    return Adjacency.of(
        columns[:, 0], columns[:, 1], columns[:, 2], columns[:, 3],
        {"type": np.arange(nodes, dtype=np.uint8) % 3},
        nodes=nodes, kind_names=KINDS, layer_names=LAYERS, default=("feeds", "calls"),
    )  # fmt: skip


def plainly(
    edges: list[Edge], starts: list[int], *, upstream: bool, kinds, layers
) -> dict[int, int]:
    """Walk over sets: the depth of all that is reached."""
    onward: dict[int, set[int]] = {}
    for a, b, kind, layer in edges:
        if KINDS[kind] in kinds and LAYERS[layer] in layers:
            here, there = (b, a) if upstream else (a, b)
            onward.setdefault(here, set()).add(there)
    depths = dict.fromkeys(starts, 0)
    queue = deque(starts)
    while queue:
        at = queue.popleft()
        for there in onward.get(at, ()):
            if there not in depths:
                depths[there] = depths[at] + 1
                queue.append(there)
    return depths


def depths_of(found: Closure) -> dict[int, int]:
    return dict(zip(found.keys.tolist(), found.depths.tolist(), strict=True))


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Edge], int]:
    """Return edges with hubs, self-loops, cycles and the same edge said twice."""
    nodes = draw(st.integers(1, 12))
    end = st.integers(0, nodes - 1)
    edge = st.tuples(end, end, st.integers(0, 2), st.integers(0, 3))
    edges = draw(st.lists(edge, max_size=30))
    if draw(st.booleans()):
        edges += [(0, there, 0, 0) for there in range(nodes)]
    return edges, nodes


MASKS = (
    (None, None),
    (frozenset({"feeds"}), None),
    (frozenset({"logs", "calls"}), None),
    (None, frozenset({"declared", "inferred"})),
    (frozenset({"feeds", "logs"}), frozenset(LAYERS)),
)


@pytest.mark.parametrize("kernel", KERNELS)
@settings(max_examples=150)
@given(graphs(), st.booleans(), st.sampled_from(MASKS), st.data())
def test_a_closure_is_what_a_plain_walk_reaches(kernel, drawn, upstream, chosen, data) -> None:
    edges, nodes = drawn
    starts = data.draw(st.lists(st.integers(0, nodes - 1), min_size=1, max_size=3, unique=True))
    depth = data.draw(st.none() | st.integers(0, 4))
    graph = built(edges, nodes)
    kinds = chosen[0] or frozenset({"feeds", "calls"})
    layers = chosen[1] or frozenset(LAYERS[:3])
    every = plainly(edges, starts, upstream=upstream, kinds=kinds, layers=layers)
    expected = {key: deep for key, deep in every.items() if depth is None or deep <= depth}

    found = closure(
        graph, starts, upstream=upstream, mask=graph.mask(*chosen), depth=depth, kernel=kernel,
        traced=True,
    )  # fmt: skip

    assert depths_of(found) == expected
    types = np.arange(nodes) % 3
    assert (
        tally(found, graph.columns)["type"].tolist()
        == np.bincount(types[sorted(expected)]).tolist()
    )
    for place, key in enumerate(found.keys.tolist()):
        assert [step[2] for step in found.way(place)][-1:] == ([key] if expected[key] else [])
        assert len(found.way(place)) == expected[key]
    # The scratch arrays were left clean: the same again is the same.
    again = closure(graph, starts, upstream=upstream, mask=graph.mask(*chosen), kernel=kernel)
    assert depths_of(again) == every


@pytest.mark.parametrize("kernel", KERNELS)
@settings(max_examples=150)
@given(graphs(), st.booleans(), st.sampled_from(MASKS), st.data())
def test_the_nearest_way_is_as_short_as_the_walk_is_deep(
    kernel, drawn, upstream, chosen, data
) -> None:
    edges, nodes = drawn
    start, end = data.draw(st.tuples(st.integers(0, nodes - 1), st.integers(0, nodes - 1)))
    graph, mask = built(edges, nodes), None
    kinds = chosen[0] or frozenset({"feeds", "calls"})
    layers = chosen[1] or frozenset(LAYERS[:3])
    every = plainly(edges, [start], upstream=upstream, kinds=kinds, layers=layers)
    mask = graph.mask(*chosen)

    for _ in range(2):
        found = shortest(graph, start, end, upstream=upstream, mask=mask, kernel=kernel)
        assert (found is None) == (end not in every)
        if found is None:
            continue
        assert (found.nodes[0], found.nodes[-1]) == (start, end)
        assert len(found.codes) == len(found.nodes) - 1 == every[end]
        for here, code, there in zip(found.nodes, found.codes, found.nodes[1:], strict=False):
            a, b = (there, here) if upstream else (here, there)
            said = graph.legend[code]
            assert (a, b, KINDS.index(said.kind), LAYERS.index(said.layer)) in edges


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("budget", "why", "reached"),
    [
        (Budget(depth=3, nodes=99, edges=99), "depth", 4),
        (Budget(depth=99, nodes=5, edges=99), "nodes", 5),
        (Budget(depth=99, nodes=99, edges=7), "edges", 8),
        (Budget(depth=99, nodes=99, edges=99), "", 10),
    ],
)
def test_a_limit_that_is_hit_is_named_and_kept(kernel, budget, why, reached) -> None:
    chain = Adjacency.of(np.arange(9), np.arange(1, 10))

    found = closure(chain, [0], budget=budget, kernel=kernel)

    assert (len(found), "".join(found.why)) == (reached, why)


@pytest.mark.parametrize("kernel", KERNELS)
def test_time_that_has_run_out_ends_a_walk_over_many_edges(kernel) -> None:
    """A level is looked at whole, and the clock between two of them."""
    sources, targets = np.divmod(np.arange(1_100 * 1_100), 1_100)
    begin = np.arange(1, 1_101)
    graph = Adjacency.of(
        np.concatenate([np.zeros(1_100, np.int64), sources + 1, begin + 1_100]),
        np.concatenate([begin, targets + 1_101, np.full(1_100, 2_201)]),
    )

    found = closure(graph, [0], budget=Budget(99, 10**9, 10**9, 0), kernel=kernel)

    assert found.why == ("time",)
    assert closure(graph, [0], kernel=kernel).why == ()


@pytest.mark.promise("P13")
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_long_chain_and_a_wide_hub_are_walked_to_their_ends(kernel) -> None:
    """P13: 10,000 steps, and 1,000,000 edges at one node."""
    chain = Adjacency.of(np.arange(10_000), np.arange(1, 10_001))
    hub = Adjacency.of(np.zeros(1_000_000, np.int64), np.arange(1, 1_000_001))

    assert int(closure(chain, [0], kernel=kernel).depths[-1]) == 10_000
    assert len(closure(hub, [0], kernel=kernel)) == 1_000_001
    cut = closure(hub, [0], budget=Budget(depth=5, nodes=100, edges=100), kernel=kernel)
    assert cut.why == ("nodes",)


@pytest.mark.parametrize("kernel", KERNELS)
def test_from_a_side_with_too_many_edges_no_way_is_claimed(kernel) -> None:
    chain = Adjacency.of(np.arange(9), np.arange(1, 10))

    with pytest.raises(OverflowError):
        shortest(chain, 0, 9, edges=3, kernel=kernel)


def test_a_large_graph_takes_few_bytes_an_edge() -> None:
    dice = np.random.default_rng(7)
    sources, targets = dice.integers(0, 250_000, (2, 1_000_000))
    graph = Adjacency.of(sources, targets)

    # Five each way, and four where a row begins; what most walks leave out takes one a thing.
    assert graph.nbytes / graph.down.targets.size < 12.1
    layers = dice.integers(0, 4, 1_000_000)
    some = Adjacency.of(sources, targets, layers=layers)
    assert some.down.rest is not None
    assert some.nbytes / some.down.targets.size < 12.6


def test_the_engine_is_imported_without_the_compiler() -> None:
    """It costs half a second: only a walk that wants it may bring it in."""
    asked = "import lineal.lineage.engine, sys; sys.exit('numba' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0


@pytest.mark.parametrize("kernel", KERNELS)
@settings(max_examples=60)
@given(graphs(), st.booleans(), st.data())
def test_a_code_of_two_bytes_is_masked_as_one_of_one_byte_is(kernel, drawn, upstream, data) -> None:
    """A legend of more than 256 codes: its rows take wider numbers."""
    edges, nodes = drawn
    columns = np.array(edges, np.int64).reshape(-1, 4)
    names = tuple(f"k{at}" for at in range(100))
    graph = Adjacency.of(
        columns[:, 0], columns[:, 1], columns[:, 2] + 97, columns[:, 3],
        nodes=nodes, kind_names=names, layer_names=LAYERS, default=names,
    )  # fmt: skip
    start, end = data.draw(st.tuples(st.integers(0, nodes - 1), st.integers(0, nodes - 1)))
    mask = graph.mask(kinds=["k97", "k99"])
    every = plainly(edges, [start], upstream=upstream, kinds=("feeds", "logs"), layers=LAYERS[:3])

    found = closure(graph, [start], upstream=upstream, mask=mask, kernel=kernel)
    way = shortest(graph, start, end, upstream=upstream, mask=mask, kernel=kernel)

    assert graph.down.codes.dtype == np.uint16
    assert depths_of(found) == every
    assert (way is None) == (end not in every)
    assert way is None or len(way.codes) == every[end]


def test_kernels_give_the_same_keys_in_the_same_order_over_the_same_edges() -> None:
    """Narrow levels and wide ones, with a mask and without."""
    dice = np.random.default_rng(3)
    ends = dice.integers(0, 4_000, (2, 14_000))
    kinds, layers = dice.integers(0, 3, 14_000), dice.integers(0, 4, 14_000)
    graph = Adjacency.of(
        ends[0], ends[1], kinds, layers,
        nodes=4_000, kind_names=KINDS, layer_names=LAYERS, default=("feeds", "calls"),
    )  # fmt: skip

    for mask in (None, graph.mask(kinds=["feeds", "logs"])):
        for starts in ([0], [17, 3, 3, 9], []):
            told = [
                closure(graph, starts, mask=mask, kernel=kernel, traced=True) for kernel in KERNELS
            ]
            for one in told:
                assert one.parents is not None
                assert one.edges is not None
                for part in ("keys", "depths", "bounds", "parents", "edges"):
                    # The places of starts lead nowhere.
                    begin = len(set(starts)) if part in ("parents", "edges") else 0
                    mine, first = getattr(one, part)[begin:], getattr(told[0], part)[begin:]
                    assert mine.tolist() == first.tolist()
                assert one.scanned == told[0].scanned
            assert not starts or len(told[0]) > 1_000


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_is_no_node_and_a_mask_of_other_codes_are_refused(kernel) -> None:
    graph = Adjacency.of(np.arange(9), np.arange(1, 10))

    for starts in ([10], [-1], [3, 10], [-1, 3], [1 << 40, 3]):
        with pytest.raises(IndexError):
            closure(graph, starts, kernel=kernel)
    for start, end in ((0, 10), (-1, 3)):
        with pytest.raises(IndexError):
            shortest(graph, start, end, kernel=kernel)
    with pytest.raises(ValueError, match="mask"):
        closure(graph, [0], mask=np.ones(2, np.bool_), kernel=kernel)
    with pytest.raises(ValueError, match="mask"):
        shortest(graph, 0, 3, mask=np.ones(2, np.bool_), kernel=kernel)


def _bad(part: str, at: int, value: int) -> Rows:
    """Return the rows of a chain of ten with one wrong number."""
    rows = Adjacency.of(np.arange(9), np.arange(1, 10)).down
    parts = {name: getattr(rows, name).copy() for name in ("first", "end", "targets", "codes")}
    parts[part][at] = value
    end = parts["end"]
    return Rows(parts["first"], end, None, None, parts["targets"], parts["codes"])


@pytest.mark.skipif(not compiled_is_there(), reason="numba is not installed")
@pytest.mark.parametrize(
    ("part", "at", "value"),
    [
        ("first", 3, -1), ("first", 3, 1 << 30), ("end", 9, 10), ("end", 2, -5),
        ("targets", 0, 10), ("targets", 8, -1),
    ],
)  # fmt: skip
def test_rows_that_lead_beyond_themselves_are_never_given_to_a_compiled_walk(
    part, at, value
) -> None:
    """It would read and write whatever lies there."""
    whole = Adjacency.of(np.arange(9), np.arange(1, 10))
    graph = Adjacency(10, _bad(part, at, value), whole.up, whole.legend)

    with pytest.raises(ValueError, match=r"row|none of its"):
        closure(graph, [0], kernel="numba")
    with pytest.raises(ValueError, match=r"row|none of its"):
        shortest(graph, 0, 9, kernel="numba")


@pytest.mark.skipif(not compiled_is_there(), reason="numba is not installed")
def test_rows_that_do_not_fit_together_or_to_their_scratch_are_refused() -> None:
    small, large = (Adjacency.of(np.arange(at), np.arange(1, at + 1)) for at in (5, 9))
    rows = small.down
    few = Rows(rows.first, rows.end, None, None, rows.targets, rows.codes[:3])

    with pytest.raises(ValueError, match="fit together"):
        closure(Adjacency(6, few, small.up, small.legend), [0], kernel="numba")
    with pytest.raises(ValueError, match="too small"):
        closure(Adjacency(6, large.down, large.up, small.legend), [0], kernel="numba")
    with pytest.raises(ValueError, match="back"):
        shortest(Adjacency(10, large.down, small.up, small.legend), 0, 3, kernel="numba")


@pytest.mark.skipif(not compiled_is_there(), reason="numba is not installed")
def test_a_compiled_walk_of_another_layout_does_nothing() -> None:
    """One that was kept on disk by another release would read the wrong numbers as addresses."""
    from lineal.lineage.engine import jobs  # noqa: PLC0415  # only where there is a compiler

    graph = Adjacency.of(np.arange(9), np.arange(1, 10))
    closure(graph, [0], kernel="numba")
    scratch = graph.borrow()
    jobs.desk_of(scratch).job[jobs.LAYOUT] += 1
    graph.give_back(scratch)

    with pytest.raises(RuntimeError, match="another release"):
        closure(graph, [0], kernel="numba")


@pytest.mark.parametrize("kernel", KERNELS)
def test_many_may_walk_at_once(kernel) -> None:
    """Each has scratch arrays of its own, and the compiled walk holds no lock."""
    dice = np.random.default_rng(5)
    graph = Adjacency.of(*dice.integers(0, 20_000, (2, 40_000)), nodes=20_000)
    starts = list(range(0, 20_000, 500))
    alone = [closure(graph, [start], kernel=kernel).keys.tolist() for start in starts]

    with ThreadPoolExecutor(4) as pool:
        together = list(
            pool.map(lambda start: closure(graph, [start], kernel=kernel).keys.tolist(), starts * 4)
        )

    assert together == alone * 4

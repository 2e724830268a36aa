"""What a thing leads to: closures, the nearest way between two, and what was cut.

The kernels do the walking; here is what is asked of them, and what an answer is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lineal.lineage.engine.adjacency import Adjacency, Bools, Code, Ints, Rows, Scratch
from lineal.lineage.engine.kernels import kernel_of
from lineal.model import Budget

if TYPE_CHECKING:
    from collections.abc import Iterator

#: After how many edges a walk looks at the clock.
PAUSE = 1_000_000
#: A limit that no walk reaches.
BEYOND = 1 << 60
ENDLESS = Budget(BEYOND, BEYOND, BEYOND, BEYOND)

NONE = np.zeros(0, np.bool_)


class Walkable(Protocol):
    """Something that has rows, and scratch arrays to walk on them."""

    @property
    def nodes(self) -> int:
        """How many nodes there are."""

    @property
    def legend(self) -> tuple[Code, ...]:
        """What each code stands for."""

    def borrow(self) -> Scratch:
        """Take scratch arrays."""

    def give_back(self, scratch: Scratch) -> None:
        """Give them back, clean."""


@dataclass(frozen=True)
class Closure:
    """What was reached from some starts: nodes in the order of their depth, starts first."""

    keys: Ints
    #: Where each depth begins in the keys, and where the last one ends.
    bounds: Ints
    #: How many edges were looked at.
    scanned: int
    #: What was cut and why: ``depth``, ``nodes``, ``edges`` or ``time``; empty if nothing was.
    why: tuple[str, ...] = ()
    #: Where traced: the place in the keys that each was come from, and the place of the edge.
    parents: Ints | None = None
    edges: Ints | None = None

    @cached_property
    def depths(self) -> Ints:
        """How many steps each key is from the nearest start."""
        every = np.arange(self.bounds.size - 1, dtype=np.int32)
        return every.repeat(np.diff(self.bounds))

    def __len__(self) -> int:
        return int(self.keys.size)

    def of(self, wanted: NDArray[Any]) -> Ints:
        """Return those keys that a table of yes and no, by node, holds to be wanted."""
        chosen: NDArray[np.bool_] = wanted[self.keys].astype(np.bool_)
        return self.keys[chosen]

    def counts(self, column: NDArray[Any]) -> NDArray[np.int64]:
        """Return how many keys have each value of a column of small numbers."""
        return np.bincount(column[self.keys])

    def way(self, place: int) -> list[tuple[int, int, int]]:
        """Return the steps to the key at a place: node, place of the edge in the rows, node."""
        if self.parents is None or self.edges is None:
            raise ValueError("The closure was not traced.")
        steps: list[tuple[int, int, int]] = []
        starts = int(self.bounds[1])
        while place >= starts:
            above = int(self.parents[place])
            steps.append((int(self.keys[above]), int(self.edges[place]), int(self.keys[place])))
            place = above
        return steps[::-1]


def closure(
    graph: Adjacency,
    starts: Sequence[int] | NDArray[Any],
    *,
    upstream: bool = False,
    mask: Bools | None = None,
    depth: int | None = None,
    budget: Budget | None = None,
    kernel: str | None = None,
    traced: bool = False,
) -> Closure:
    """
    Return all that *starts* lead to in one direction, nearest first.

    *mask* is of `Adjacency.mask`; None is the default walk. *kernel* is ``numba`` or ``numpy``;
    the faster one that is there, if None. *traced* keeps the way to each key.

    >>> import numpy as np
    >>> chain = Adjacency.of(np.array([0, 1]), np.array([1, 2]))
    >>> found = closure(chain, [0], kernel="numpy")
    >>> found.keys.tolist(), found.depths.tolist()
    ([0, 1, 2], [0, 1, 2])
    """
    limits = ENDLESS if budget is None else budget
    if depth is not None:
        limits = Budget(min(depth, limits.depth), limits.nodes, limits.edges, limits.milliseconds)
    rows = graph.rows(upstream=upstream)
    return reach(
        graph, rows, starts, last=rows.last, mask=mask, limits=limits, kernel=kernel, traced=traced
    )


def reach(
    graph: Walkable,
    rows: Rows,
    starts: Sequence[int] | NDArray[Any],
    *,
    last: Ints,
    mask: Bools | None = None,
    limits: Budget = ENDLESS,
    kernel: str | None = None,
    traced: bool = False,
) -> Closure:
    """Walk on rows as far as *last* says, or over all that *mask* allows; see `closure`."""
    levels = kernel_of(kernel).levels
    # Scratch that a failed walk leaves dirty is not given back.
    scratch = graph.borrow()
    queue, seen, bounds = scratch.queue, scratch.seen, scratch.bounds
    if len(starts) == 1:
        queue[0], count = starts[0], 1
        seen[queue[0]] = 1
    else:
        ordered = np.unique(np.asarray(starts, np.int32))
        count = ordered.size
        queue[:count] = ordered
        seen[ordered] = 1
    bounds[0], bounds[1] = 0, count
    state = np.array((0, count, 0, 0), np.int64)
    bound = np.array((limits.depth, limits.nodes, limits.edges, PAUSE), np.int64)
    until = None if limits.milliseconds >= BEYOND else time.monotonic() + limits.milliseconds / 1e3
    end = rows.end if mask is not None else last
    parent, edge = scratch.traces(traced)
    outcome = 4
    while outcome == 4:
        outcome = levels(
            rows.first, end, rows.targets, rows.codes,
            NONE if mask is None else mask, mask is not None,
            seen, queue, bounds, parent, edge, traced, state, bound,
        )  # fmt: skip
        if outcome == 4 and until is not None and time.monotonic() > until:
            seen[queue[: state[1]]] = 0
            outcome = 5
    low, high, deep, scanned = state.tolist()
    # The last level is empty where nothing was left to find.
    depths = deep + 1 if low == high and deep else deep + 2
    found = Closure(
        queue[:high].copy(), bounds[:depths].copy(), scanned, _WHY[outcome],
        parent[:high].copy() if traced else None, edge[:high].copy() if traced else None,
    )  # fmt: skip
    graph.give_back(scratch)
    return found


_WHY: tuple[tuple[str, ...], ...] = ((), ("depth",), ("nodes",), ("edges",), (), ("time",))


@dataclass(frozen=True, slots=True)
class Found:
    """The nearest way between two: its nodes and, between them, the codes of its steps."""

    nodes: tuple[int, ...]
    codes: tuple[int, ...]


def shortest(
    graph: Adjacency,
    start: int,
    end: int,
    *,
    upstream: bool = False,
    mask: Bools | None = None,
    edges: int = BEYOND,
    kernel: str | None = None,
) -> Found | None:
    """
    Return one of the shortest ways from *start* to *end*, walking from both sides; None if none.

    Raises:
        OverflowError: more than *edges* edges were looked at.

    >>> import numpy as np
    >>> chain = Adjacency.of(np.array([0, 1]), np.array([1, 2]))
    >>> shortest(chain, 0, 2, kernel="numpy").nodes
    (0, 1, 2)
    """
    if start == end:
        return Found((start,), ())
    one, other = graph.borrow(), graph.borrow()
    there, back = graph.rows(upstream=upstream), graph.rows(upstream=not upstream)
    queues = (one.queue, other.queue)
    traces = (one.traces(True), other.traces(True))
    seen = one.seen
    one.queue[0], other.queue[0] = start, end
    seen[start], seen[end] = 1, 2
    state = np.array((1, 1, 0, 0, 0, 0), np.int64)
    ends = (there.end, back.end) if mask is not None else (there.last, back.last)
    try:
        outcome = kernel_of(kernel).meet(
            there.first, ends[0], there.targets, there.codes,
            back.first, ends[1], back.targets, back.codes,
            NONE if mask is None else mask, mask is not None, seen,
            *queues, traces[0][0], traces[1][0], traces[0][1], traces[1][1], state, edges,
        )  # fmt: skip
        if outcome == -2:
            raise OverflowError(f"More than {edges} edges were looked at.")
        if outcome == -1:
            return None
        return _joined(queues, traces, (there, back), [int(value) for value in state])
    finally:
        for queue, high in zip(queues, state[:2], strict=True):
            seen[queue[:high]] = 0
        graph.give_back(one)
        graph.give_back(other)


def _joined(
    queues: tuple[Ints, Ints],
    traces: tuple[tuple[Ints, Ints], tuple[Ints, Ints]],
    rows: tuple[Rows, Rows],
    met: Sequence[int],
) -> Found:
    """Put the two halves of a way together at the edge over which they met."""
    side, at, node, place = met[2:]
    other = 1 - side
    high = int(np.flatnonzero(queues[other][: met[other]] == node)[0])
    halves: list[tuple[list[int], list[int]]] = [([], []), ([], [])]
    for half, begin in ((side, at), (other, high)):
        for here, edge in _back(queues[half], traces[half], begin):
            halves[half][0].append(here)
            if edge >= 0:
                halves[half][1].append(int(rows[half].codes[edge]))
    middle = int(rows[side].codes[place])
    nodes = halves[0][0][::-1] + halves[1][0]
    codes = [*halves[0][1][::-1], middle, *halves[1][1]]
    return Found(tuple(nodes), tuple(codes))


def _back(queue: Ints, trace: tuple[Ints, Ints], at: int) -> Iterator[tuple[int, int]]:
    """Yield the nodes back to where a side began, each with the edge that led to it, or -1."""
    while at > 0:
        yield int(queue[at]), int(trace[1][at])
        at = int(trace[0][at])
    yield int(queue[0]), -1


def tally(found: Closure, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.int64]]:
    """Return for each column how many of a closure's keys have each of its values."""
    return {name: found.counts(column) for name, column in columns.items()}

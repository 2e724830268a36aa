"""What a thing leads to: closures, the nearest way between two, and what was cut.

The kernels do the walking; here is what is asked of them, and what an answer is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lineal.lineage.engine.adjacency import Adjacency, Bools, Code, Less, Rows, distinct
from lineal.lineage.engine.kernels import BEYOND, ENDS, kernel_of
from lineal.lineage.engine.reached import Closure, Found
from lineal.lineage.engine.scratch import Scratch
from lineal.model import Budget

ENDLESS = Budget(BEYOND, BEYOND, BEYOND, BEYOND)


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
    rows = graph.up if upstream else graph.down
    limits = ENDLESS if budget is None else budget
    return reach(
        graph, rows, starts,
        less=rows.rest, mask=mask, limits=limits, depth=depth, kernel=kernel, traced=traced,
    )  # fmt: skip


def reach(
    graph: Walkable,
    rows: Rows,
    starts: Sequence[int] | NDArray[Any],
    *,
    less: Less,
    mask: Bools | None = None,
    limits: Budget = ENDLESS,
    depth: int | None = None,
    kernel: str | None = None,
    traced: bool = False,
) -> Closure:
    """
    Walk on rows but for *less* at their ends, or over all that *mask* allows; see `closure`.

    Raises:
        IndexError: a start is no node.
        ValueError: the mask does not tell of each code, or the rows are not sound.
    """
    if mask is not None and mask.size != len(graph.legend):
        raise ValueError(f"A mask of {mask.size} does not tell of {len(graph.legend)} codes.")
    deep = limits.depth if depth is None or depth > limits.depth else depth
    # Scratch that a failed walk leaves dirty is not given back.
    scratch = graph.borrow()
    count = _placed(starts, rows.first.size, scratch)
    high, scanned, ended = kernel_of(kernel).levels(
        rows, less if mask is None else None, mask, scratch, count, limits, deep, traced
    )
    found = Closure(scratch.queue[:high].copy(), scratch.depths[:high].copy(), scanned, ENDS[ended])
    if traced:
        found.parents, found.edges = (trace[:high].copy() for trace in scratch.traces(True))
    graph.give_back(scratch)
    return found


def _placed(starts: Sequence[int] | NDArray[Any], nodes: int, scratch: Scratch) -> int:
    """Write the starts at the beginning of the queue, each once; return how many there are."""
    if len(starts) == 1:
        if not 0 <= starts[0] < nodes:
            raise IndexError(f"{starts[0]} is none of the {nodes} nodes.")
        scratch.queue[0] = starts[0]
        return 1
    ordered = distinct(np.asarray(starts, np.int64))
    if ordered.size and not (ordered[0] >= 0 and ordered[-1] < nodes):
        raise IndexError(f"{ordered[0]} or {ordered[-1]} is none of the {nodes} nodes.")
    scratch.queue[: ordered.size] = ordered
    return ordered.size


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
        IndexError: one of the two is no node.
        OverflowError: more than *edges* edges were looked at.
        ValueError: the mask does not tell of each code, or the rows are not sound.

    >>> import numpy as np
    >>> chain = Adjacency.of(np.array([0, 1]), np.array([1, 2]))
    >>> shortest(chain, 0, 2, kernel="numpy").nodes
    (0, 1, 2)
    """
    there, back = (graph.up, graph.down) if upstream else (graph.down, graph.up)
    nodes = min(there.first.size, back.first.size)
    for one in (start, end):
        if not 0 <= one < nodes:
            raise IndexError(f"{one} is none of the {nodes} nodes.")
    if mask is not None and mask.size != len(graph.legend):
        raise ValueError(f"A mask of {mask.size} does not tell of {len(graph.legend)} codes.")
    if start == end:
        return Found((start,), ())
    sides = (
        ((there, there.rest), (back, back.rest)) if mask is None else ((there, None), (back, None))
    )
    scratch = graph.borrow(), graph.borrow()
    try:
        return kernel_of(kernel).meet(*sides, mask, (start, end), scratch, edges)
    finally:
        graph.give_back(scratch[0])
        graph.give_back(scratch[1])


def tally(found: Closure, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.int64]]:
    """Return for each column how many of a closure's keys have each of its values."""
    return {name: found.counts(column) for name, column in columns.items()}

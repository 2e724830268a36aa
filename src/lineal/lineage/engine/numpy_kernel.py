"""The walk in NumPy: always there, and the same answers as the compiled one.

Level by level: all edges of a level at once.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from lineal.lineage.engine.adjacency import Ints


def spread(first: Any, last: Any, nodes: Ints) -> tuple[Any, Any]:
    """Return the places of all edges of *nodes*, and at which of them each begins."""
    begin = first.take(nodes)
    counts = last.take(nodes)
    counts -= begin
    ends = counts.cumsum(dtype=np.int64)
    total = int(ends[-1]) if ends.size else 0
    if not total:
        none = np.zeros(0, np.int64)
        return none, none
    of = np.arange(nodes.size).repeat(counts)
    places = (begin - (ends - counts)).repeat(counts)
    places += np.arange(total)
    return places, of


def levels(
    first: Any,
    last: Any,
    targets: Any,
    codes: Any,
    allowed: Any,
    masked: bool,
    seen: Any,
    queue: Any,
    bounds: Any,
    parent: Any,
    edge: Any,
    traced: bool,
    state: Any,
    limits: Any,
) -> int:
    """Walk level after level, as the compiled kernel does; see there."""
    low, high, depth, scanned = (int(value) for value in state)
    pause, outcome = scanned + int(limits[3]), 0
    while low < high:
        stopped = (depth >= limits[0], high >= limits[1], scanned >= limits[2], scanned >= pause)
        if any(stopped):
            outcome = stopped.index(True) + 1
            break
        places, of = spread(first, last, queue[low:high])
        scanned += places.size
        if masked:
            chosen = allowed[codes[places]]
            places, of = places[chosen], of[chosen]
        places, of, found = _new(targets, seen, places, of)
        count = high + found.size
        seen[found] = 1
        queue[high:count] = found
        if traced:
            parent[high:count] = of + low
            edge[high:count] = places
        low, high = high, count
        depth += 1
        bounds[depth + 1] = high
    state[:] = low, high, depth, scanned
    if outcome != 4:
        seen[queue[:high]] = 0
    return outcome


def _new(targets: Any, seen: Any, places: Any, of: Any) -> tuple[Any, Any, Any]:
    """Of edges that lead to what is new, keep the first to each node, in their order."""
    found = targets.take(places)
    new = seen.take(found) == 0
    places, of, found = places.compress(new), of.compress(new), found.compress(new)
    if found.size > 1:
        # The first edge to a node is written last, so that it is what stays in the node's slot.
        slots, order = _slots(seen.size), np.arange(found.size, dtype=np.int32)
        slots[found[::-1]] = order[::-1]
        first = slots.take(found) == order
        places, of, found = places.compress(first), of.compress(first), found.compress(first)
    return places, of, found


_local = threading.local()


def _slots(nodes: int) -> Ints:
    """Return an array with a place for each node, of any content: one for each thread."""
    slots: Ints | None = getattr(_local, "slots", None)
    if slots is None or slots.size < nodes:
        slots = _local.slots = np.empty(nodes, np.int32)
    return slots


def meet(
    first: Any,
    last: Any,
    targets: Any,
    codes: Any,
    back_first: Any,
    back_last: Any,
    back_targets: Any,
    back_codes: Any,
    allowed: Any,
    masked: bool,
    seen: Any,
    queue: Any,
    back_queue: Any,
    parent: Any,
    back_parent: Any,
    edge: Any,
    back_edge: Any,
    state: Any,
    limit: int,
) -> int:
    """Walk from two sides until they meet, as the compiled kernel does; see there."""
    sides = ((first, last, targets, codes), (back_first, back_last, back_targets, back_codes))
    queues, parents, edges = (queue, back_queue), (parent, back_parent), (edge, back_edge)
    low, high, scanned = [0, 0], [int(state[0]), int(state[1])], 0
    while low[0] < high[0] and low[1] < high[1]:
        side = 0 if high[0] - low[0] <= high[1] - low[1] else 1
        begins, ends, to, kinds = sides[side]
        places, of = spread(begins, ends, queues[side][low[side] : high[side]])
        scanned += places.size
        if scanned > limit:
            state[:2] = high
            return -2
        if masked:
            chosen = allowed[kinds[places]]
            places, of = places[chosen], of[chosen]
        met = np.flatnonzero(seen[to[places]] == 2 - side)
        if met.size:
            at = int(met[0])
            state[:2] = high
            state[2:] = side, int(of[at]) + low[side], int(to[places[at]]), int(places[at])
            return 1
        places, of, found = _new(to, seen, places, of)
        count = high[side] + found.size
        seen[found] = side + 1
        queues[side][high[side] : count] = found
        parents[side][high[side] : count] = of + low[side]
        edges[side][high[side] : count] = places
        low[side], high[side] = high[side], count
    state[:2] = high
    return -1

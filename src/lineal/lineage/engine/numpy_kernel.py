"""The walk in NumPy: always there, and the same answers as the compiled one.

Level by level: all edges of a wide level at once; those of a narrow one, for which thirty calls of
NumPy would take longer, one after another.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from lineal.lineage.engine.adjacency import FEW, Bools, Ints, Less, Rows, firsts
from lineal.lineage.engine.kernels import LATE, PAUSE
from lineal.lineage.engine.reached import Found
from lineal.lineage.engine.scratch import Scratch
from lineal.model import Budget

#: How many nodes make a level wide.
WIDE = 24


def spread(rows: Rows, less: Less, nodes: Ints) -> tuple[Any, Any]:
    """Return the places of all edges of *nodes*, and at which of them each begins."""
    places, counts = _places(rows, less, nodes)
    return places, np.arange(nodes.size).repeat(counts)


def _places(rows: Rows, less: Less, nodes: Ints) -> tuple[Any, Any]:
    """Return the places of all edges of *nodes*, and how many each has."""
    begin = rows.first.take(nodes)
    counts = rows.lasts(nodes, less)
    counts -= begin
    ends = counts.cumsum(dtype=np.int64)
    total = int(ends[-1]) if ends.size else 0
    if not total:
        return np.zeros(0, np.int64), counts
    ends -= counts
    np.subtract(begin, ends, out=ends)
    places = ends.repeat(counts)
    places += np.arange(total)
    return places, counts


def levels(
    rows: Rows,
    less: Less,
    mask: Bools | None,
    scratch: Scratch,
    count: int,
    limits: Budget,
    depth: int,
    traced: bool,
) -> tuple[int, int, int]:
    """Walk level after level; see `kernels.Levels`."""
    side = _Side((rows, less), mask, scratch, traced=traced)
    side.begin(count, scratch.seen, 1)
    until = time.monotonic() + limits.milliseconds / 1e3
    pause, ended = PAUSE, 0
    while side.low < side.high:
        if side.depth >= depth:
            ended = 1
        elif side.high >= limits.nodes:
            ended = 2
        elif side.scanned >= limits.edges:
            ended = 3
        elif side.scanned >= pause:
            pause = side.scanned + PAUSE
            ended = LATE if time.monotonic() > until else 0
        if ended:
            break
        side.go_on()
    side.forget()
    return side.high, side.scanned, ended


def meet(
    there: tuple[Rows, Less],
    back: tuple[Rows, Less],
    mask: Bools | None,
    ends: tuple[int, int],
    scratch: tuple[Scratch, Scratch],
    edges: int,
) -> Found | None:
    """Walk from two sides until they meet; see `kernels.Meet`."""
    sides = tuple(
        _Side(rows, mask, one, traced=True)
        for rows, one in zip((there, back), scratch, strict=True)
    )
    for mark, (side, end) in enumerate(zip(sides, ends, strict=True), 1):
        side.queue[0] = end
        side.begin(1, scratch[0].seen, mark)
    one, other = sides
    try:
        while one.low < one.high and other.low < other.high:
            mine, theirs = (one, other) if one.next_edges() <= other.next_edges() else (other, one)
            if mine.scanned + theirs.scanned + mine.next_edges() > edges:
                raise OverflowError(f"More than {edges} edges were looked at.")
            if met := mine.go_on(meeting=True):
                at, place, node = met
                far = theirs.low + int(np.flatnonzero(theirs.level() == node)[0])
                way, codes = one.back(at if mine is one else far)
                onward, further = other.back(far if mine is one else at)
                middle = int(mine.rows.codes[place])
                return Found((*way[::-1], *onward), (*codes[::-1], middle, *further))
        return None
    finally:
        one.forget()
        other.forget()


class _Side:
    """A walk from one side, level by level, in scratch arrays."""

    def __init__(
        self, rows: tuple[Rows, Less], mask: Bools | None, scratch: Scratch, *, traced: bool
    ) -> None:
        self.rows, self._less = rows
        self.queue, self._depths, self._mask = scratch.queue, scratch.depths, mask
        self._traces = scratch.traces(True) if traced else None
        self._edges: int | None = None
        self.low = self.high = self.depth = self.scanned = 0

    def begin(self, count: int, seen: Any, mark: int) -> None:
        """Begin at the first *count* in the queue; what this side saw is *mark* in *seen*."""
        self.high, self._seen, self._mark = count, seen, mark
        seen[self.queue[:count]] = mark
        self._depths[:count] = 0

    def forget(self) -> None:
        """Leave no trace of what was seen."""
        self._seen[self.queue[: self.high]] = 0

    def level(self) -> Ints:
        """Return the nodes that were reached last."""
        return self.queue[self.low : self.high]

    def next_edges(self) -> int:
        """Return how many edges the next level has."""
        if self._edges is None:
            level = self.level()
            begin = self.rows.first.take(level)
            self._edges = int((self.rows.lasts(level, self._less) - begin).sum())
        return self._edges

    def go_on(self, *, meeting: bool = False) -> tuple[int, int, int] | None:
        """
        Go on by one level.

        Where another side is met, return the place in the queue, the edge and the node.
        """
        self.depth += 1
        self._edges = None
        if self.high - self.low < WIDE and not self.rows.unread:
            return self._narrow()
        return self._wide(meeting=meeting)

    def _narrow(self) -> tuple[int, int, int] | None:
        """Look at one edge after another: NumPy's calls are dear for few."""
        first, ends, targets = self.rows.first.data, self.rows.end.data, self.rows.targets.data
        less = None if self._less is None else self._less.data
        seen, queue, depths = self._seen.data, self.queue.data, self._depths.data
        allowed = None if self._mask is None else self._mask.tolist()
        codes, mark, traces = self.rows.codes.data, self._mark, self._traces
        count, depth = self.high, self.depth
        for at in range(self.low, self.high):
            node = queue[at]
            begin = first[node]
            end = ends[node] if less is None else ends[node] - less[node]
            self.scanned += end - begin
            for place in range(begin, end):
                if allowed is not None and not allowed[codes[place]]:
                    continue
                target = targets[place]
                known = seen[target]
                if not known:
                    seen[target] = mark
                    queue[count] = target
                    depths[count] = depth
                    if traces is not None:
                        traces[0][count], traces[1][count] = at, place
                    count += 1
                elif known != mark:
                    self.high = count
                    return at, place, target
        self.low, self.high = self.high, count
        return None

    def _wide(self, *, meeting: bool) -> tuple[int, int, int] | None:
        """Look at all edges at once."""
        places, counts = _places(self.rows, self._less, self.level())
        self.scanned += places.size
        codes = self.rows.codes
        # Only what is asked for later is taken along: the edges, and where each begins.
        found = [self.rows.targets.take(places)]
        if meeting or self._traces is not None:
            found += [places, np.arange(self.low, self.high).repeat(counts)]
        elif self._mask is not None:
            found += [places]
        found = _chosen(found, self._seen.take(found[0]) != self._mark)
        if self._mask is not None:
            allowed = self._mask.take(codes.take(found[1]))
            found = _chosen(found if len(found) > 2 else found[:1], allowed)
        if meeting:
            met = np.flatnonzero(self._seen.take(found[0]))
            if met.size:
                node, place, at = (int(column[met[0]]) for column in found)
                return at, place, node
        # Where all is cold, to write to places all over memory takes longer than to sort.
        few = self.rows.unread and found[0].size < FEW
        found = _chosen(found, firsts(found[0]) if few else _first(found[0], self._seen.size))
        new = slice(self.high, self.high + found[0].size)
        self._seen[found[0]] = self._mark
        self.queue[new], self._depths[new] = found[0], self.depth
        if self._traces is not None:
            self._traces[0][new], self._traces[1][new] = found[2], found[1]
        self.low, self.high = self.high, new.stop
        return None

    def back(self, at: int) -> tuple[list[int], list[int]]:
        """Return the nodes from a place back to where the side began, and the codes between."""
        assert self._traces is not None
        nodes, codes = [int(self.queue[at])], list[int]()
        while at > 0:
            codes.append(int(self.rows.codes[self._traces[1][at]]))
            at = int(self._traces[0][at])
            nodes.append(int(self.queue[at]))
        return nodes, codes


def _chosen(columns: list[Any], which: Any) -> list[Any]:
    if len(columns) == 1:
        return [columns[0].compress(which)]
    at = np.flatnonzero(which)
    return [column.take(at) for column in columns]


def _first(found: Any, nodes: int) -> Any:
    """Return which are the first of their node."""
    # The first is written last, so that it is what stays in the node's slot.
    slots, order = _slots(nodes), np.arange(found.size, dtype=np.int32)
    slots[found[::-1]] = order[::-1]
    return slots.take(found) == order


_local = threading.local()


def _slots(nodes: int) -> Ints:
    """Return an array with a place for each node, of any content: one for each thread."""
    slots: Ints | None = getattr(_local, "slots", None)
    if slots is None or slots.size < nodes:
        slots = _local.slots = np.empty(nodes, np.int32)
    return slots

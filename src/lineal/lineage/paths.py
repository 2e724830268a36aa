"""The ways that a walk found: the shortest between two things, and all that lies on any of them.

A walk keeps steps, and a chain of steps need not be a way: what was reached as the whole of a part
is gone on from over its own statements only (law 1), what is shown only is not gone on from
(law 3), and some kinds are followed only so deep. So a way is sought over *places*: a thing, and
how one came to it.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lineal.lineage.graph import Step
from lineal.lineage.walked import Mode, Walk
from lineal.shapes import Shapes

#: A thing, how it was reached (a `Mode`), and how many steps of a kind of limited depth came last.
Place: TypeAlias = "tuple[int, int, int]"

#: A step counts so much more than going between part and whole, which costs none.
_STEP, _WITHIN = 1 << 20, 1


@dataclass(frozen=True, slots=True)
class Hop:
    """One step from a place to another; *within* is going from a part to its whole."""

    start: Place
    end: Place
    step: Step
    within: bool

    @property
    def cost(self) -> int:
        """What it adds to the length of a way."""
        return _WITHIN if self.within else _STEP


class Ways:
    """The steps of a walk, as ways that may be gone."""

    def __init__(
        self,
        walked: Walk,
        shapes: Shapes,
        one: Callable[[int], int] = lambda key: key,
        *,
        upstream: bool,
    ) -> None:
        """Take a walk, which way it went, and under which one key the names of a thing stand."""
        self._shapes, self._one, self._upstream = shapes, one, upstream
        self._steps: dict[int, list[Step]] = defaultdict(list)
        self._within: dict[int, list[Step]] = defaultdict(list)
        for step in walked.steps.values():
            self._steps[one(step.start)].append(step)
        for part, kind, whole in walked.contained:
            ends = (part, kind, whole)
            self._within[one(part)].append(Step(part, kind, whole, "declared", True, ends))
        for steps in (*self._steps.values(), *self._within.values()):
            steps.sort(key=lambda step: (one(step.end), step.kind, step.edge))

    def shortest(
        self,
        start: int,
        end: int,
        k: int,
        *,
        limit: int = 1_000,
        out_of_time: Callable[[], bool] = lambda: False,
    ) -> tuple[list[list[Step]], bool]:
        """
        Return up to *k* shortest ways from *start* to *end*, none with a thing twice.

        J. Yen, "Finding the k shortest loopless paths in a network", Management Science 17, 1971:
        each next way leaves one that was found at some place and goes on by the shortest way that
        repeats none of them. How far each thing is from *end* at the least is found first, so that
        a search goes towards it (P. Hart, N. Nilsson, B. Raphael, "A formal basis for the heuristic
        determination of minimum cost paths", IEEE Transactions on Systems Science and Cybernetics
        4, 1968), and to nothing that does not lead there. The second value is False where *limit*
        ways were looked at, or the time ran out, before all were found.
        """
        far = self._far(end)
        found: list[list[Step]] = []
        told = set[tuple[tuple[int, str, int], ...]]()
        first = self._leaving((start, Mode.FULL, 0), end, [], frozenset(), far)
        waiting = [] if first is None else [(_length(first), 0, first)]
        known = {tuple(first)} if first is not None else set()
        looked, number = 0, 1
        while waiting and len(found) < k:
            looked += 1
            if looked > limit or out_of_time():
                return found, False
            _, _, way = heapq.heappop(waiting)
            things = tuple((hop.start[0], hop.step.kind, hop.end[0]) for hop in way)
            visited = [start, *(end for _, _, end in things)]
            if len(set(visited)) == len(visited) and things not in told:
                told.add(things)
                found.append([hop.step for hop in way])
            for other in self._branches(way, end, known, far):
                known.add(tuple(other))
                heapq.heappush(waiting, (_length(other), number, other))
                number += 1
        return found, True

    def _branches(
        self, way: Sequence[Hop], end: int, known: set[tuple[Hop, ...]], far: Mapping[int, int]
    ) -> Iterable[list[Hop]]:
        """
        Yield the shortest ways that leave *way* at each of its places and are not known.

        Where *way* comes to a thing again, as itself and as the whole of a part, it is not left
        later: whatever went on from there would go through that thing twice too.
        """
        passed = set[int]()
        for at, hop in enumerate(way):
            if hop.start[0] in passed:
                return
            passed.add(hop.start[0])
            root = list(way[:at])
            taken = frozenset(
                other[at] for other in known if len(other) > at and list(other[:at]) == root
            )
            found = self._leaving(hop.start, end, root, taken, far)
            if found is not None and tuple(found) not in known:
                yield found

    def _far(self, end: int) -> dict[int, int]:
        """
        Return how long ways to *end* are at the least, by the things that they begin at.

        No law is heeded: nothing is nearer than this says, and what it leaves out leads nowhere.
        """
        before: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for cost, every in ((_STEP, self._steps), (_WITHIN, self._within)):
            for start, steps in every.items():
                for there in {self._one(step.end) for step in steps}:
                    before[there].append((cost, start))
        far = {end: 0}
        heap = [(0, end)]
        while heap:
            length, here = heapq.heappop(heap)
            if length > far[here]:
                continue
            for cost, start in before[here]:
                longer = length + cost
                if longer < far.get(start, longer + 1):
                    far[start] = longer
                    heapq.heappush(heap, (longer, start))
        return far

    def _leaving(
        self,
        place: Place,
        end: int,
        root: Sequence[Hop],
        taken: frozenset[Hop],
        far: Mapping[int, int],
    ) -> list[Hop] | None:
        """Return *root* and the shortest way on from it; not by what is taken, nor back over it."""
        passed = {place[0], *(hop.start[0] for hop in root)}
        best: dict[Place, int] = {place: 0}
        before: dict[Place, Hop] = {}
        # The shortest in all first; of several the one that is nearer to the beginning.
        heap = [(0, 0, 0, place)]
        number = 0
        while heap:
            _, cost, _, here = heapq.heappop(heap)
            if here[0] == end and here != place:
                tail: list[Hop] = []
                while here != place:
                    tail.append(before[here])
                    here = before[here].start
                return [*root, *reversed(tail)]
            if cost > best[here]:
                continue
            for hop in self.onward(here):
                left = far.get(hop.end[0])
                if left is None or hop.end[0] in passed or (here == place and hop in taken):
                    continue
                length = cost + hop.cost
                if length < best.get(hop.end, length + 1):
                    number += 1
                    best[hop.end], before[hop.end] = length, hop
                    heapq.heappush(heap, (length + left, length, number, hop.end))
        return None

    def between(self, start: int, end: int) -> list[Step]:
        """Return every step on some way from *start* to *end*; none comes back to either."""
        hops: dict[Place, list[Hop]] = defaultdict(list)
        first: Place = (start, Mode.FULL, 0)
        seen, frontier = {first}, [first]
        goals: set[Place] = set()
        while frontier:
            here = frontier.pop()
            if here[0] == end:
                goals.add(here)
                continue
            for hop in self.onward(here):
                if hop.end[0] == start:
                    continue
                hops[hop.end].append(hop)
                if hop.end not in seen:
                    seen.add(hop.end)
                    frontier.append(hop.end)
        found: dict[Step, None] = {}
        back, reached = list(goals), set(goals)
        while back:
            for hop in hops[back.pop()]:
                found[hop.step] = None
                if hop.start not in reached:
                    reached.add(hop.start)
                    back.append(hop.start)
        return list(found)

    def onward(self, place: Place) -> list[Hop]:
        """Return where one may go from a place."""
        key, mode, run = place
        hops = []
        if mode != Mode.SHOWN:
            for step in self._steps.get(key, ()):
                if mode == Mode.NARROW and not self._is_own(step):
                    continue
                limit = self._shapes.kinds[step.kind].depth
                far = 0 if limit is None else run + 1
                if limit is not None and far > limit:
                    continue
                there = Mode.SHOWN if step.shown else Mode.FULL
                hops.append(Hop(place, (self._one(step.end), there, far), step, False))
        for step in self._within.get(key, ()):
            narrow = min(mode, Mode.NARROW)
            hops.append(Hop(place, (self._one(step.end), narrow, run), step, True))
        return hops

    def _is_own(self, step: Step) -> bool:
        """Is the step over a statement of its start itself, not of a part of it?"""
        outward = self._shapes.flows(step.kind) == (-1 if self._upstream else 1)
        return (step.edge[0] if outward else step.edge[2]) == step.start


def _length(way: Sequence[Hop]) -> int:
    return sum(hop.cost for hop in way)

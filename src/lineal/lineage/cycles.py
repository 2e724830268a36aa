"""Where data goes round: the rings of a graph, each told once.

Pure, over any edges. Things that lead to each other are found as strongly connected components
(R. Tarjan, "Depth-first search and linear graph algorithms", SIAM J. Computing 1, 1972), written
without recursion, since a chain may be as long as a graph is large.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar


class _Ordered(Protocol):
    """What can be sorted and kept in a set."""

    def __lt__(self, other: Any, /) -> bool: ...

    def __hash__(self) -> int: ...


Node = TypeVar("Node", bound=_Ordered)


@dataclass(frozen=True, slots=True)
class Ring(Generic[Node]):
    """Things that lead to each other: a shortest way round, and how many they are in all."""

    #: In order; the last leads to the first.
    way: tuple[Node, ...]
    members: frozenset[Node]


def rings(edges: Iterable[tuple[Node, Node]]) -> list[Ring[Node]]:
    """
    Return a ring for each set of things that lead to each other, the first name first.

    >>> [ring.way for ring in rings([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")])]
    [('a', 'b', 'c')]
    >>> rings([("a", "b"), ("b", "c")])
    []
    """
    onward: dict[Node, list[Node]] = defaultdict(list)
    for start, end in sorted(set(edges)):
        onward[start].append(end)
    found = [
        Ring(_round(min(members), members, onward), members)
        for members in components(onward)
        if len(members) > 1 or _leads_to_itself(members, onward)
    ]
    return sorted(found, key=lambda ring: ring.way)


def _leads_to_itself(members: frozenset[Node], onward: Mapping[Node, Collection[Node]]) -> bool:
    return any(one in onward.get(one, ()) for one in members)


def _round(
    start: Node, members: frozenset[Node], onward: Mapping[Node, Collection[Node]]
) -> tuple[Node, ...]:
    """Return a shortest way from a thing back to itself, among things that lead to each other."""
    before: dict[Node, Node] = {}
    queue = deque([start])
    while queue:
        here = queue.popleft()
        for end in onward.get(here, ()):
            if end == start:
                way = [here]
                while way[-1] != start:
                    way.append(before[way[-1]])
                return tuple(reversed(way))
            if end in members and end not in before:
                before[end] = here
                queue.append(end)
    raise AssertionError("Things that lead to each other have a way round.")


def components(onward: Mapping[Node, Collection[Node]]) -> list[frozenset[Node]]:
    """
    Return what leads to each other, as sets: the strongly connected components of a graph.

    What a set leads to stands before it.

    >>> components({"a": ["b"], "b": ["a", "c"]})[0]
    frozenset({'c'})
    """
    index: dict[Node, int] = {}
    low: dict[Node, int] = {}
    open_: list[Node] = []
    is_open: set[Node] = set()
    found: list[frozenset[Node]] = []
    for root in onward:
        if root in index:
            continue
        index[root] = low[root] = len(index)
        open_.append(root)
        is_open.add(root)
        work = [(root, iter(onward.get(root, ())))]
        while work:
            here, ends = work[-1]
            for end in ends:
                if end not in index:
                    index[end] = low[end] = len(index)
                    open_.append(end)
                    is_open.add(end)
                    work.append((end, iter(onward.get(end, ()))))
                    break
                if end in is_open:
                    low[here] = min(low[here], index[end])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[here])
                if low[here] == index[here]:
                    found.append(_closed(here, open_, is_open))
    return found


def _closed(root: Node, open_: list[Node], is_open: set[Node]) -> frozenset[Node]:
    """Take a component off the stack of what is open."""
    members = set[Node]()
    while True:
        one = open_.pop()
        is_open.discard(one)
        members.add(one)
        if one == root:
            return frozenset(members)

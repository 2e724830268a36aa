"""One thing under several names: which claims join names, into which groups, and by which way.

Pure. A claim that two names are one joins them, unless a claim that they are not stands between the
same two.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping

from lineal.lineage.graph import Link
from lineal.model import Uri

#: The kind that joins two names, the kind that forbids it, and both.
SAME, NOT_SAME = "same_as", "not_same_as"
IDENTITY = (SAME, NOT_SAME)


def joining(links: Iterable[Link]) -> list[Link]:
    """Return those claims that join two names: what is vetoed does not."""
    every = list(links)
    parted = {pair(link.src, link.dst) for link in every if link.kind == NOT_SAME}
    return [link for link in every if link.kind == SAME and pair(link.src, link.dst) not in parted]


def pair(one: int, other: int) -> tuple[int, int]:
    """Return two keys in one order: neither direction is the right one."""
    return (one, other) if one < other else (other, one)


class Joints:
    """Names joined by claims: the group of each, and the shortest way between two of a group."""

    def __init__(self, links: Iterable[Link], uris: Mapping[int, Uri]) -> None:
        self._uris = uris
        self._near: dict[int, set[int]] = defaultdict(set)
        self._edges: dict[tuple[int, int], set[tuple[int, int]]] = defaultdict(set)
        for link in links:
            self._near[link.src].add(link.dst)
            self._near[link.dst].add(link.src)
            self._edges[pair(link.src, link.dst)].add((link.src, link.dst))
        self._groups: dict[int, frozenset[int]] = {}
        self._back: dict[int, dict[int, int]] = {}

    def group(self, key: int) -> frozenset[int]:
        """Return all names of what has this one; itself, if nothing joins it."""
        if key not in self._near:
            return frozenset((key,))
        if key not in self._groups:
            group = frozenset(self._tree(key))
            self._groups.update(dict.fromkeys(group, group))
        return self._groups[key]

    def way(self, start: int, end: int) -> tuple[tuple[int, str, int], ...]:
        """
        Return the claims that lead from one name to another, as they are stated; none if neither.

        The shortest way; of several the one over the first URIs, so that it does not depend on the
        order in which names became known.
        """
        back = self._tree(start)
        steps: list[tuple[int, str, int]] = []
        at = end
        while at != start and at in back:
            edge = min(self._edges[pair(back[at], at)], key=self._named)
            steps.append((edge[0], SAME, edge[1]))
            at = back[at]
        return tuple(reversed(steps))

    def _tree(self, start: int) -> dict[int, int]:
        """Return for everything joined to a name the name before it on the way there."""
        if start not in self._back:
            back, queue = {start: start}, deque((start,))
            while queue:
                at = queue.popleft()
                for near in sorted(self._near.get(at, ()), key=lambda key: self._uris[key]):
                    if near not in back:
                        back[near] = at
                        queue.append(near)
            self._back[start] = back
        return self._back[start]

    def _named(self, edge: tuple[int, int]) -> tuple[Uri, Uri]:
        return self._uris[edge[0]], self._uris[edge[1]]

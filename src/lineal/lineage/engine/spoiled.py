"""Which things' compiled rows may say something else since claims began or ended: never too few."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineal.lineage.engine.adjacency import Bools, Ints
from lineal.lineage.engine.compiling import ACTIVE_IN, ACTIVE_OUT, STEPS
from lineal.lineage.engine.walkgraph import WalkGraph
from lineal.lineage.graph import Graph
from lineal.lineage.laws import COARSE, fine_types
from lineal.lineage.same import IDENTITY
from lineal.shapes import Shapes

#: Of more things than these the place in the graph is not followed: then all counts as spoiled.
MOST = 5_000


@dataclass(frozen=True, slots=True)
class Spoiled:
    """The things, by the numbers that stood for them, to whose rows a walk may not be trusted."""

    flags: Bools
    #: Those of which names, parts or wholes may be others than they were.
    moved: Bools
    #: True where too much changed to say.
    everything: bool = False
    #: What the last change spoiled; None where rows that were made anew before may not be kept.
    last: Ints | None = None
    #: True where the flags are shared with the states before and after, and come but never go:
    #: whoever looks at an older state may see too many, and has rows made that were good.
    is_shared: bool = False

    @classmethod
    def none(cls, graph: WalkGraph) -> Spoiled:
        """Return that nothing is spoiled but what was vague from the beginning."""
        none = np.zeros(graph.layout.things, np.bool_)
        return cls(none if graph.vague is None else graph.vague, none)

    @classmethod
    def where(cls, graph: WalkGraph, partial: NDArray[Any]) -> Spoiled:
        """Return that rows may lack something where not every claim is held, and above that."""
        none = np.zeros(graph.layout.things, np.bool_)
        flags = none.copy()
        known = np.unique(graph.stands[partial])
        flags[known] = True
        _, places = graph.wholes.joined(known)
        flags[graph.wholes.right[places]] = True
        return cls(flags, none)

    def touches(self, things: Ints) -> bool:
        """Did a walk come to something whose rows may not be so any more?"""
        return self.everything or bool(self.flags[things].any())

    def after(
        self,
        graph: WalkGraph,
        held: Graph,
        shapes: Shapes,
        changed: Collection[int],
        claims: Collection[tuple[int, str, int]],
    ) -> Spoiled:
        """
        Return what is spoiled once these things and claims have changed.

        *held* is the graph as it is now. A row says what a thing, or what it covers, states, and at
        which grain the other ends stand. So a claim spoils the rows of its two ends and of their
        wholes; and what changes how a thing stands (its whole, its other names, whether its version
        is active, what columns a document states) spoils also the rows of what is joined to it.
        """
        if self.everything:
            return self
        moved = _Moved(graph, held, shapes)
        spoiled = set(changed) | moved.by(changed, claims)
        spoiled |= moved.wholes_of_unknown(spoiled)
        if moved.too_many:
            return Spoiled(self.flags, self.moved, everything=True, is_shared=self.is_shared)
        # To copy them all for each change would take longer than all else.
        flags, shifted = self.flags if self.is_shared else self.flags.copy(), self.moved
        if moved.shifted:
            shifted = shifted.copy()
            shifted[moved.standing(moved.shifted)] = True
        known = moved.standing(spoiled)
        every = np.append(known, moved.wholes(known))
        flags[every] = True
        # Once parts and wholes are others than were compiled, no more than this is known of them.
        last = None if shifted.any() else every
        return Spoiled(flags, shifted, last=last, is_shared=True)


class _Moved:
    """What stands otherwise in the graph after some claims changed, and what is joined to it."""

    def __init__(self, graph: WalkGraph, held: Graph, shapes: Shapes) -> None:
        self._graph, self._held, self._shapes = graph, held, shapes
        self._level = frozenset(shapes.level_kinds)
        self.too_many = False
        #: What has other names, parts or wholes, and the wholes of that, before and now.
        self.shifted: set[int] = set()

    def by(self, changed: Collection[int], claims: Collection[tuple[int, str, int]]) -> set[int]:
        """Return what moved by these changes, and what is joined to that."""
        types = self._held.types({*changed, *(end for src, _, dst in claims for end in (src, dst))})
        fine = fine_types(self._shapes)
        moved, named, versions, finer = set[int](), set[int](), set[int](), set[int]()
        versions |= {key for key in changed if types[key] == "model-version"}
        for src, kind, dst in claims:
            if kind in self._level:
                moved.add(src)
                if kind == "version_of" and types[src] == "model-version":
                    versions.add(src)
                    moved.add(dst)
                elif kind == "version_of" and not self._graph.logical:
                    # What names the whole may lead to another version.
                    moved.add(dst)
            elif kind in IDENTITY:
                named |= {src, dst}
            elif kind in ACTIVE_IN:
                versions.add(dst)
            elif kind in ACTIVE_OUT:
                versions.add(src)
            elif kind == "derived_from" and types[src] in fine:
                finer.add(src)
        named = self._named(named)
        moved |= named
        shifted = named | {
            end for src, kind, dst in claims if kind in self._level for end in (src, dst)
        }
        shifted |= self._wholes_now(shifted)
        self.shifted = shifted | self._keys(self.wholes(self.standing(shifted)))
        moved |= self._siblings(versions)
        moved |= self._below(moved)
        if not self._graph.logical:
            moved |= self._keys(self.wholes(self.standing(moved)))
        # What leads to it may say so of any of its names.
        moved = self._named(moved)
        steps = self._shapes.kinds_in(STEPS)
        outputs = self._keys(self.wholes(self.standing(finer))) | self._wholes_now(finer)
        # A version is the output of a document that states the columns of its table.
        outputs |= self._parts_before(outputs)
        outputs |= {link.src for link in self._held.inward(outputs, ("version_of",))}
        joined = self._joined(moved, steps) | self._joined(outputs, COARSE)
        return moved | outputs | joined

    def _named(self, keys: Collection[int]) -> set[int]:
        """Return things under all their names of now."""
        if not keys:
            return set()
        return set[int]().union(*self._held.groups(keys).values())

    def _joined(self, keys: Collection[int], kinds: Collection[str]) -> set[int]:
        """Return both ends of all claims of these things."""
        if len(keys) > MOST:
            self.too_many = True
        if self.too_many or not keys:
            return set()
        links = [*self._held.outward(keys, kinds), *self._held.inward(keys, kinds)]
        return {end for link in links for end in (link.src, link.dst)}

    def _siblings(self, versions: Collection[int]) -> set[int]:
        """Return the versions of the models of these, before and now."""
        if not versions:
            return set()
        models = {link.dst for link in self._held.outward(versions, ("version_of",))}
        models = self._named(models | self._keys(self.wholes(self.standing(versions))))
        now = {link.src for link in self._held.inward(models, ("version_of",))}
        return now | self._parts_before(models) | set(versions)

    def _below(self, keys: Collection[int]) -> set[int]:
        """Return the parts of these, and the parts of those, before and now."""
        found, frontier = set[int](), set(keys)
        while frontier and not self.too_many:
            frontier = self._named(frontier)
            now = {link.src for link in self._held.inward(frontier, self._level)}
            frontier = (now | self._parts_before(frontier)) - found
            found |= frontier
            self.too_many = len(found) > MOST
        return found

    def _parts_before(self, keys: Iterable[int]) -> set[int]:
        relation = self._graph.parts
        _, places = relation.joined(self.standing(keys))
        return self._keys(relation.right[places])

    def wholes_of_unknown(self, keys: Collection[int]) -> set[int]:
        """Return the wholes of those of these that are not held: no relation tells of them."""
        numbers = self._graph.numbers
        if numbers.keys is None:
            return set()
        return self._wholes_now({key for key in keys if numbers.number(key) is None})

    def _keys(self, numbers: Ints) -> set[int]:
        return set(self._graph.numbers.key(numbers).tolist())

    def _wholes_now(self, keys: Collection[int]) -> set[int]:
        """Return the wholes of these and of those as they are now."""
        found, frontier = set[int](), set(keys)
        while frontier:
            links = self._held.outward(frontier, self._level)
            frontier = {link.dst for link in links} - found
            found |= frontier
        return found

    def standing(self, keys: Iterable[int]) -> Ints:
        """Return the numbers that stood for these keys, of those that were there."""
        return np.unique(self._graph.stands[self._graph.numbers.of(keys)])

    def wholes(self, keys: Ints) -> Ints:
        """Return the wholes of these and the wholes of those, as they were."""
        _, places = self._graph.wholes.joined(keys)
        return np.unique(self._graph.wholes.right[places])

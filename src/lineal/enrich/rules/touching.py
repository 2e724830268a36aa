"""From what changed back along a rule's path, to the things whose conclusions it may touch.

Never too few: what changed is walked back from over all that may lie before it, whatever conditions
say. Where the way back is wide, it is not gone in the commit of the change: it is put off, as
*positions* from which it is gone on with later. A position stays good whatever happens meanwhile:
a way back that breaks is a change of its own, of an edge that lies nearer to the start.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeAlias

from lineal.enrich.rules.matching import joints_of, values_of
from lineal.enrich.rules.rule import Leg, Path, Rule
from lineal.lineage import IDENTITY
from lineal.model import Uri
from lineal.shapes import Shapes
from lineal.store import Change, Reader

#: Where one stands in a rule: in which of its paths, before which leg, after how many of its steps.
Spot: TypeAlias = "tuple[int, int, int]"

_WIDE = 64
#: The position of a thing from which the path begins.
START = 0


def packed(spot: Spot) -> int:
    """Return a spot as one number; `START` is the beginning of the rule's own path."""
    path, leg, step = spot
    return (path * _WIDE + leg) * _WIDE + step


def unpacked(position: int) -> Spot:
    """Return the spot that `packed` made a number of."""
    rest, step = divmod(position, _WIDE)
    path, leg = divmod(rest, _WIDE)
    return path, leg, step


@dataclass(slots=True)
class Touched:
    """What a change may touch: starts, and positions from which more of them lie back."""

    starts: set[int] = field(default_factory=set)
    later: set[tuple[int, int]] = field(default_factory=set)


class Sight:
    """What a rule looks at: by far the most changes touch nothing of it."""

    def __init__(self, rule: Rule) -> None:
        self.paths = dict(rule.paths())
        #: The kinds of edges that it looks at, and those that join names.
        self.kinds = rule.kinds
        self.names = self.kinds.union(IDENTITY)
        #: The places of its path of which it is asked what is said of the thing, and their types.
        self.asked = {
            place: types for place, types in enumerate(rule.path.types) if _is_asked(rule, place)
        }
        self._types = frozenset[str]().union(*self.asked.values())

    def is_touched(self, kinds: Collection[str], types: Collection[str]) -> bool:
        """May a change touch it, of edges of these kinds and of things of these types?"""
        return not (self.names.isdisjoint(kinds) and self._types.isdisjoint(types))


def _is_asked(rule: Rule, place: int) -> bool:
    """Is there a condition on the thing at a place, or are values of it compared?"""
    name, beside = rule.path.names[place], rule.path.legs[max(0, place - 1) : place + 1]
    return any(name in condition.names for condition in rule.where) or any(
        leg.values is not None for leg in beside
    )


class Touching:
    """Walks back along one rule's paths."""

    def __init__(
        self, rule: Rule, sight: Sight, reader: Reader, shapes: Shapes, change: Change
    ) -> None:
        self._rule, self._sight, self._reader, self._shapes = rule, sight, reader, shapes
        self._change = change
        self._paths = sight.paths

    # ── From where ───────────────────────────────────────────────────────────────────────────

    def by_change(self, most: int) -> Touched:
        """
        Return what the change may touch.

        No more than *most* things are gone back to from any position; wider ways are put off.
        """
        spots: dict[Spot, set[int]] = defaultdict(set)
        self._add_edges(spots)
        self._add_names(spots)
        self._add_things(spots)
        return self._back(spots, most) if spots else Touched()

    def page(self, key: int, position: int, after: int, most: int) -> tuple[Touched, int | None]:
        """
        Go on from one thing at a position from which the way back is wide: *most* things of it.

        The second value is after which of them to go on next; None where it was all.
        """
        spot = unpacked(position)
        path, leg, step = spot
        names = self._names({key})
        near, onward = set[int](), None
        for kind in self._paths[path].legs[leg].kinds:
            found = self._reader.claimed_page(
                kind,
                names,
                outward=not self._paths[path].legs[leg].forward,
                after=after,
                most=most,
            )
            if len(found) == most:
                onward = max(found) if onward is None else min(onward, max(found))
            near.update(found)
        if onward is not None:
            near = {one for one in near if one <= onward}
        return self._back({(path, leg, step - 1): near}, most), onward

    def _add_edges(self, spots: dict[Spot, set[int]]) -> None:
        """Stand before each changed edge, wherever in a path it may lie."""
        groups = self._groups()
        if not groups:
            return
        uris = {uri for edges in groups.values() for edge in edges for uri in edge}
        keys = self._reader.keys(uris)
        for number, path in self._paths.items():
            for at, leg in enumerate(path.legs):
                types = (path.types[at], path.types[at + 1])
                for (kind, *ends), edges in groups.items():
                    if kind not in leg.kinds:
                        continue
                    near, far = ends if leg.forward else reversed(ends)
                    here = 0 if leg.forward else 1
                    if leg.is_single and not (near in types[0] and far in types[1]):
                        continue
                    known = {keys[edge[here]] for edge in edges}
                    for step in range(leg.most):
                        if step or near in types[0]:
                            spots[number, at, step] |= known

    def _groups(self) -> dict[tuple[str, str, str], list[tuple[Uri, Uri]]]:
        """Return the changed edges that the rule looks at, by kind and the types of their ends."""
        kinds = self._sight.kinds
        found: dict[tuple[str, str, str], list[tuple[Uri, Uri]]] = defaultdict(list)
        for start, kind, end in self._change.edges:
            if kind in kinds:
                found[kind, start.type, end.type].append((start, end))
        return found

    def _add_names(self, spots: dict[Spot, set[int]]) -> None:
        """Stand at everything that was joined to another name, or parted from it."""
        named = {uri for edge in self._change.edges if edge[1] in IDENTITY for uri in edge[::2]}
        if not named:
            return
        keys = self._reader.keys(named)
        for number, path in self._paths.items():
            last = len(path.legs)
            for place, types in enumerate(path.types):
                inner = place > 0 or number > 0
                if place == last and not self._looks_at_end(number):
                    inner = False
                if inner or (number == 0 and place in self._sight.asked):
                    some = {keys[uri] for uri in named if uri.type in types}
                    # The first place is not gone back from by all names: there what is asked of
                    # the thing is what is said under any of them.
                    here = some if place else self._names(some)
                    self._stand(spots, number, place, here)
            for at, leg in enumerate(path.legs):
                for step in range(1, leg.most):
                    spots[number, at, step].update(keys.values())

    def _looks_at_end(self, number: int) -> bool:
        """Does it matter under which other names the last thing of a path is known?"""
        if number > 0:
            return True
        last = len(self._rule.path.legs)
        return last in self._sight.asked or any(
            last in (absent.anchor, absent.end, absent.other) for absent in self._rule.unless
        )

    def _add_things(self, spots: dict[Spot, set[int]]) -> None:
        """Stand at everything of which something else is said, where it is asked what is said."""
        for place, types in self._sight.asked.items():
            changed = {uri for uri in self._change.things if uri.type in types}
            if changed:
                keys = set(self._reader.keys(changed).values())
                self._stand(spots, 0, place, self._names(keys) if place else keys)
                if place == 0:
                    # What is said under one name counts for all of them.
                    spots[0, 0, 0] |= self._names(keys)

    # ── Back ─────────────────────────────────────────────────────────────────────────────────

    def _stand(
        self, spots: dict[Spot, set[int]], path: int, place: int, keys: Collection[int]
    ) -> None:
        """Stand at a place: at the end of the leg before it, after as many steps as it may take."""
        if not keys:
            return
        if place == 0:
            spots[path, 0, 0].update(keys)
            return
        leg = self._paths[path].legs[place - 1]
        for step in range(leg.least, leg.most + 1):
            # Whoever stands at a start and takes no step may go on from all names of it.
            here = self._names(keys) if (place, step) == (1, 0) else keys
            spots[path, place - 1, step].update(here)

    def _back(self, spots: dict[Spot, set[int]], most: int) -> Touched:
        """Go back from all spots, those farthest from the start first."""
        found = Touched()
        waiting = defaultdict(set, {spot: set(keys) for spot, keys in spots.items()})
        # The paths that there must not be first: they lead back to a place of the rule's own.
        for number in sorted(self._paths, reverse=True):
            path = self._paths[number]
            for at in range(len(path.legs) - 1, -1, -1):
                for step in range(path.legs[at].most, 0, -1):
                    keys = waiting.pop((number, at, step), None)
                    if keys:
                        before = self._before(path, number, (number, at, step), keys, most, found)
                        waiting[number, at, step - 1] |= before
                keys = waiting.pop((number, at, 0), set())
                uris = self._reader.uris(keys)
                keys = {key for key in keys if uris[key].type in path.types[at]}
                self._passed(waiting, number, at, keys, found)
        if len(found.starts) > most:
            found.later |= {(START, key) for key in found.starts}
            found.starts = set()
        return found

    def _passed(
        self,
        waiting: dict[Spot, set[int]],
        number: int,
        place: int,
        keys: set[int],
        found: Touched,
    ) -> None:
        """At a place of a path: go on from the end of the leg before, or from where it is tied."""
        if place > 0:
            self._stand(waiting, number, place, keys)
        elif number == 0:
            found.starts |= keys
        elif keys:
            # Under whichever name the thing is known that the path is tied to.
            self._stand(waiting, 0, self._rule.unless[number - 1].anchor, self._names(keys))

    def _before(
        self,
        path: Path,
        number: int,
        spot: Spot,
        keys: set[int],
        most: int,
        found: Touched,
    ) -> set[int]:
        """Return the things before these over one edge of a leg; where many, they are put off."""
        leg = path.legs[spot[1]]
        if leg.values is not None:
            return self._of_value(leg, path.types[spot[1]], keys)
        before = set[int]()
        names = self._names(keys)
        for kind in leg.kinds:
            near = self._reader.claimed_page(
                kind, names, outward=not leg.forward, after=0, most=most + 1
            )
            if len(near) > most:
                found.later |= {(packed(spot), key) for key in names}
                return set()
            before.update(near)
        return before

    def _of_value(self, leg: Leg, types: frozenset[str], keys: set[int]) -> set[int]:
        """Return what says, of the one side, a value that these say or said, by any name."""
        assert leg.values is not None
        left, right = leg.values
        names = self._names(keys)
        values = {
            value
            for said in self._reader.told(names).values()
            for value in values_of(said.get(right))
        }
        for uri in self._reader.uris(names).values():
            for said in self._change.was.get(uri, ()):
                values |= values_of(said.get(right))
        there = self._reader.holding(types, left, values)
        return {key for some in there.values() for key in some}

    def _names(self, keys: Collection[int]) -> set[int]:
        """Return these things under all their names."""
        joints = joints_of(keys, self._reader)
        if joints is None:
            return set(keys)
        return {name for key in keys for name in joints.group(key)}

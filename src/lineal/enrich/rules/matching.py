"""The ways along a rule's path, from some things on: what they rest on, and when they are so.

A way is followed a leg at a time for all starts together. Standing at a thing is standing at all
names of it; what joins two names is among what a way rests on. A claim is looked at whenever what
it says is so: a way holds while all its states last, and once all its events have happened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import TypeAlias

from lineal.enrich.rules.conditions import Condition, seen
from lineal.enrich.rules.reading import conditions_at
from lineal.enrich.rules.rule import Absent, Leg, Path, Rule
from lineal.errors import LinealError
from lineal.lineage import Joints
from lineal.model import Instant, Json
from lineal.shapes import Shapes
from lineal.store import EQUAL, Reader

Support: TypeAlias = "tuple[int, str, int]"


#: One way along a path, as far as it was followed: the things at the places that were passed; where
#: it stands, which is the last of them, or on the way to the next where an arrow is gone several
#: times; the edges it went over, and between them what joins the name reached to that gone on from;
#: since when and until when all of it is so. A plain tuple: there are millions of them.
Way: TypeAlias = "tuple[tuple[int, ...], int, tuple[Support, ...], Instant, Instant | None]"


#: Where a way stands.
_AT = itemgetter(1)
#: From when a way is so that goes over nothing: always.
ALWAYS = -(1 << 62)

#: An edge to go over: where to, the edge itself, since when and until when it is so.
_Onward: TypeAlias = "tuple[int, Support, Instant, Instant | None]"


class TooMany(LinealError):
    """There are more ways along a path than are followed at once."""

    code = "rule"


class Matching:
    """Follows one rule's path over a snapshot, at most so many ways at once."""

    def __init__(self, rule: Rule, reader: Reader, shapes: Shapes, room: int) -> None:
        self._rule, self._reader, self._room = rule, reader, room
        self._shapes = shapes
        self._conditions = conditions_at(rule)
        self._eventful = {kind: is_eventful(shapes, kind) for kind in rule.kinds}

    def ways(self, starts: Collection[int]) -> list[Way]:
        """
        Return every way along the rule's path that begins at *starts* and that nothing forbids.

        Raises:
            TooMany: there are more than there is room for.
        """
        path = self._rule.path
        found = self._true([_begin(key) for key in sorted(starts)], 0)
        for place, leg in enumerate(path.legs, 1):
            onward = self._over(leg, found, path.types[place], named=place > 1)
            found = self._true(onward, place)
            if not found:
                return found
        for absent in self._rule.unless:
            found = self._without(absent, found)
        return found

    # ── A leg ────────────────────────────────────────────────────────────────────────────────

    def _over(
        self,
        leg: Leg,
        ways: Sequence[Way],
        types: frozenset[str],
        *,
        named: bool,
    ) -> list[Way]:
        """Go over a leg, to things of these types; *named*: from all names of where one stands."""
        if leg.values is not None:
            return self._arrived(self._equal(leg.values, ways, types), types)
        if leg.is_single:
            return self._step(leg, ways, types, named=named)
        found = list(ways) if leg.least == 0 else []
        head = ways
        for step in range(1, leg.most + 1):
            head = self._step(leg, head, None, named=named or step > 1)
            if step >= leg.least:
                found += head
            self._see_room(len(found) + len(head))
            if not head:
                break
        return self._arrived(found, types)

    def _see_room(self, count: int) -> None:
        if count > self._room:
            raise TooMany(f"Rule {self._rule.name} has more than {self._room:,} ways at once.")

    def _arrived(self, ways: Iterable[Way], types: frozenset[str]) -> list[Way]:
        """Keep the ways that stand at a thing of one of these types: a place is passed."""
        every = list(ways)
        fits = self._fitting(set(map(_AT, every)), types)
        return [
            ((*things, at), at, supports, since, until)
            for things, at, supports, since, until in every
            if at in fits
        ]

    def _fitting(self, keys: Collection[int], types: frozenset[str]) -> set[int]:
        return {key for key, kind in self._reader.types(keys).items() if kind in types}

    def _step(
        self, leg: Leg, ways: Sequence[Way], types: frozenset[str] | None, *, named: bool
    ) -> list[Way]:
        """Go over one edge: to a place where *types* are said, else on the way to one."""
        reached = set(map(_AT, ways))
        joints = joints_of(reached, self._reader) if named else None
        names = reached if joints is None else {n for key in reached for n in joints.group(key)}
        onward = self._onward(leg, names)
        if types is not None:
            fits = self._fitting({one[0] for some in onward.values() for one in some}, types)
            onward = {
                name: kept
                for name, some in onward.items()
                if (kept := [one for one in some if one[0] in fits])
            }
        found: list[Way] = []
        for things, at, supports, since, until in ways:
            for name in (at,) if joints is None else sorted(joints.group(at)):
                before = supports
                if joints is not None and name != at and name in onward:
                    before = (*supports, *joints.way(at, name))
                for other, edge, begun, ended in onward.get(name, ()):
                    if edge in before:
                        continue
                    start = begun if begun > since else since
                    end = until if ended is None or (until is not None and until < ended) else ended
                    if end is None or start < end:
                        passed = things if types is None else (*things, other)
                        found.append((passed, other, (*before, edge), start, end))
        self._see_room(len(found))
        return found

    def _onward(self, leg: Leg, keys: Collection[int]) -> dict[int, list[_Onward]]:
        """Return the edges of a leg that begin at things, by these; several claims are one edge."""
        found: dict[int, list[_Onward]] = defaultdict(list)
        for kind in leg.kinds:
            eventful = self._eventful[kind]
            claims = self._reader.claimed(
                kind, keys, outward=leg.forward, layers=leg.layers, fits=_fits(leg, kind)
            )
            for src, dst, since, until in claims:
                ends = until
                if until is not None and eventful(self._type(src), self._type(dst)):
                    ends = None
                if leg.forward:
                    found[src].append((dst, (src, kind, dst), since, ends))
                else:
                    found[dst].append((src, (src, kind, dst), since, ends))
        return found

    def _type(self, key: int) -> str:
        return self._reader.uris((key,))[key].type

    def _equal(
        self, values: tuple[str, str], ways: Sequence[Way], types: frozenset[str]
    ) -> Iterable[Way]:
        """
        Go to what says of itself a value that is said of where one stands.

        That the two are equal is so since both are known: when a value was first said of a thing
        is not looked up, and what else is said of it must not move it.
        """
        if not self._reader.may_hold(values[1]):
            return
        here = self._values(set(map(_AT, ways)), values[0])
        there = self._reader.holding(types, values[1], {v for some in here.values() for v in some})
        since = self._reader.first_heard(
            {*here, *(key for some in there.values() for key in some)} if there else ()
        )
        kind = f"{EQUAL}{values[0]}={values[1]}"
        for things, at, supports, start, until in ways:
            met = {other for value in here.get(at, ()) for other in there.get(value, ())}
            for other in sorted(met - {at}):
                support, begun = (at, kind, other), max(start, since[at], since[other])
                if support not in supports and (until is None or begun < until):
                    yield things, other, (*supports, support), begun, until

    def _values(self, keys: Collection[int], attribute: str) -> dict[int, set[str]]:
        """Return the values of an attribute, by things."""
        return {
            key: values_of(said.get(attribute)) for key, said in self._reader.told(keys).items()
        }

    # ── What must hold ───────────────────────────────────────────────────────────────────────

    def _true(self, ways: list[Way], place: int) -> list[Way]:
        """Keep the ways of which the conditions hold that are decided at a place."""
        for condition in self._conditions.get(place, ()):
            if not ways:
                break
            ways = self._holding(condition, ways)
        return ways

    def _holding(self, condition: Condition, ways: list[Way]) -> list[Way]:
        places = [self._rule.path.names.index(name) for name in condition.names]
        keys = {way[0][place] for way in ways for place in places}
        said = said_of(keys, self._reader)
        known: dict[tuple[int, ...], bool] = {}
        found = []
        for way in ways:
            things = tuple(way[0][place] for place in places)
            if things not in known:
                named = zip(condition.names, things, strict=True)
                known[things] = condition.holds({name: said[key] for name, key in named})
            if known[things]:
                found.append(way)
        return found

    def _without(self, absent: Absent, ways: list[Way]) -> list[Way]:
        """Leave out the ways beside which there is a path that there must not be."""
        anchors = {way[0][absent.anchor] for way in ways}
        if absent.narrows(self._rule.path):
            anchors = self._fitting(anchors, absent.path.types[0])
        found = self._reached(absent.path, anchors)
        if not found:
            return ways
        place = absent.end if absent.other is None else absent.other
        if place is None:
            return [way for way in ways if way[0][absent.anchor] not in found]
        joints = joints_of({way[0][place] for way in ways}, self._reader)
        left = []
        for way in ways:
            ends, thing = found.get(way[0][absent.anchor], _NOTHING), way[0][place]
            names = {thing} if joints is None else set(joints.group(thing))
            if ends.isdisjoint(names) if absent.other is None else ends <= names:
                left.append(way)
        return left

    def _reached(self, path: Path, anchors: Collection[int]) -> dict[int, set[int]]:
        """Return where a path leads from things, whenever that is so."""
        ways = [_begin(key) for key in sorted(anchors)]
        for place, leg in enumerate(path.legs, 1):
            ways = self._over(leg, ways, path.types[place], named=True)
            # Of several ways to one thing one is enough, and when they are so is nothing here.
            ends = dict.fromkeys((things[0], at) for things, at, _, _, _ in ways)
            ways = [_begin(start, at) for start, at in ends]
        found: dict[int, set[int]] = defaultdict(set)
        for things, at, _, _, _ in ways:
            found[things[0]].add(at)
        return found


#: Where no path leads.
_NOTHING: frozenset[int] = frozenset()


def _begin(key: int, at: int | None = None) -> Way:
    return (key,), key if at is None else at, (), ALWAYS, None


def _fits(leg: Leg, kind: str) -> Callable[[str, Mapping[str, Json]], bool] | None:
    """Return what tells of a claim, by its layer and what it says, whether all holds of it."""
    if not leg.where:
        return None
    name = str(leg.name)

    def fits(layer: str, attributes: Mapping[str, Json]) -> bool:
        edge = {name: {**attributes, "kind": kind, "layer": layer}}
        return all(condition.holds(edge) for condition in leg.where)

    return fits


def is_eventful(shapes: Shapes, kind: str) -> Callable[[str, str], bool]:
    """Return what tells whether an edge of a kind, between two types, is an event."""
    known: dict[tuple[str, str], bool] = {}

    def told(start: str, end: str) -> bool:
        if (start, end) not in known:
            known[start, end] = shapes.nature(kind, start, end) == "event"
        return known[start, end]

    return told


def joints_of(keys: Collection[int], reader: Reader) -> Joints | None:
    """Return what joins these things to other names of them; None where nothing does."""
    links = reader.joins(keys)
    if not links:
        return None
    return Joints(links, reader.uris({end for link in links for end in (link.src, link.dst)}))


def said_of(keys: Collection[int], reader: Reader) -> dict[int, Mapping[str, Json]]:
    """Return things as conditions see them: with what is said of them under their other names."""
    joints = joints_of(keys, reader)
    if joints is None:
        said = reader.told(keys)
        uris = reader.uris(keys)
        return {key: seen(uris[key], said[key]) for key in keys}
    every = {name for key in keys for name in joints.group(key)}
    said, uris = reader.told(every), reader.uris(every)
    found: dict[int, Mapping[str, Json]] = {}
    for key in keys:
        others = sorted(joints.group(key) - {key}, key=lambda name: uris[name], reverse=True)
        together: dict[str, Json] = {}
        for name in (*others, key):
            together.update(said[name])
        found[key] = seen(uris[key], together)
    return found


def values_of(value: Json) -> set[str]:
    """Return a value as it is compared with others: a text or a number; a list is all in it."""
    if isinstance(value, list):
        return {one for each in value for one in values_of(each)}
    if isinstance(value, str):
        return {value} if value else set()
    return {str(value)} if isinstance(value, int) and not isinstance(value, bool) else set()

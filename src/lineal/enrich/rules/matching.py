"""The ways along a rule's path, from some things on: what they rest on, and when they are so.

A way is followed a leg at a time for all starts together. Standing at a thing is standing at all
names of it; what joins two names is among what a way rests on. A claim is looked at whenever what
it says is so: a way holds while all its states last, and once all its events have happened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from lineal.enrich.rules.conditions import Condition, seen
from lineal.enrich.rules.reading import conditions_at
from lineal.enrich.rules.rule import Absent, Leg, Path, Rule
from lineal.errors import LinealError
from lineal.lineage import Joints
from lineal.model import Instant, Json
from lineal.shapes import Shapes
from lineal.store import EQUAL, Reader

Support: TypeAlias = "tuple[int, str, int]"


class Way(NamedTuple):
    """One way along a path, as far as it was followed."""

    #: The things at the places that were passed, and where it stands: at the last of them, or on
    #: the way to the next where an arrow is gone several times.
    things: tuple[int, ...]
    at: int
    #: The edges it went over, and between them what joins the name reached to that gone on from.
    supports: tuple[Support, ...]
    since: Instant
    until: Instant | None


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
        self._eventful = {kind: _eventful(shapes, kind) for kind in rule.kinds}

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
        found = list(ways) if leg.least == 0 else []
        head = ways
        for step in range(1, leg.most + 1):
            head = self._step(leg, head, named=named or step > 1)
            if step >= leg.least:
                found += head
            if len(found) + len(head) > self._room:
                raise TooMany(
                    f"Rule {self._rule.name} has more than {self._room:,} ways from "
                    f"{len({way.things[0] for way in ways}):,} things."
                )
            if not head:
                break
        return self._arrived(found, types)

    def _arrived(self, ways: Iterable[Way], types: frozenset[str]) -> list[Way]:
        """Keep the ways that stand at a thing of one of these types: a place is passed."""
        every = list(ways)
        uris = self._reader.uris({way.at for way in every})
        fits = {key for key, uri in uris.items() if uri.type in types}
        return [
            Way((*things, at), at, supports, since, until)
            for things, at, supports, since, until in every
            if at in fits
        ]

    def _step(self, leg: Leg, ways: Sequence[Way], *, named: bool) -> list[Way]:
        """Go over one edge."""
        reached = {way.at for way in ways}
        joints = joints_of(reached, self._reader) if named else None
        names = reached if joints is None else {n for key in reached for n in joints.group(key)}
        onward = self._onward(leg, names)
        found: list[Way] = []
        for things, at, supports, since, until in ways:
            for name in (at,) if joints is None else sorted(joints.group(at)):
                edges = onward.get(name)
                if edges is None:
                    continue
                before = supports
                if joints is not None and name != at:
                    before = (*supports, *joints.way(at, name))
                for other, edge, begun, ended in edges:
                    if edge in before:
                        continue
                    start = begun if begun > since else since
                    end = until if ended is None or (until is not None and until < ended) else ended
                    if end is None or start < end:
                        found.append(Way(things, other, (*before, edge), start, end))
        return found

    def _onward(self, leg: Leg, keys: Collection[int]) -> dict[int, list[_Onward]]:
        """Return the edges of a leg that begin at things, by these; several claims are one edge."""
        found: dict[int, list[_Onward]] = defaultdict(list)
        for kind in leg.kinds:
            eventful = self._eventful[kind]
            claims = self._reader.claimed(kind, keys, outward=leg.forward, layers=leg.layers)
            for src, dst, since, until in claims:
                near, far = (src, dst) if leg.forward else (dst, src)
                ends = until
                if until is not None and eventful(self._type(src), self._type(dst)):
                    ends = None
                found[near].append((far, (src, kind, dst), since, ends))
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
        here = self._values({way.at for way in ways}, values[0])
        there = self._reader.holding(types, values[1], {v for some in here.values() for v in some})
        since = self._reader.first_heard(
            {*here, *(key for some in there.values() for key in some)} if there else ()
        )
        kind = f"{EQUAL}{values[0]}={values[1]}"
        for way in ways:
            met = {other for value in here.get(way.at, ()) for other in there.get(value, ())}
            for other in sorted(met - {way.at}):
                support = (way.at, kind, other)
                start = max(way.since, since[way.at], since[other])
                if support not in way.supports and (way.until is None or start < way.until):
                    yield Way(way.things, other, (*way.supports, support), start, way.until)

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
        keys = {way.things[place] for way in ways for place in places}
        said = said_of(keys, self._reader)
        known: dict[tuple[int, ...], bool] = {}
        found = []
        for way in ways:
            things = tuple(way.things[place] for place in places)
            if things not in known:
                named = zip(condition.names, things, strict=True)
                known[things] = condition.holds({name: said[key] for name, key in named})
            if known[things]:
                found.append(way)
        return found

    def _without(self, absent: Absent, ways: list[Way]) -> list[Way]:
        """Leave out the ways beside which there is a path that there must not be."""
        anchors = {way.things[absent.anchor] for way in ways}
        found = self._reached(absent.path, anchors)
        if absent.end is None:
            return [way for way in ways if way.things[absent.anchor] not in found]
        ends = {way.things[absent.end] for way in ways}
        joints = joints_of(ends, self._reader)
        return [
            way
            for way in ways
            if found.get(way.things[absent.anchor], set()).isdisjoint(
                (way.things[absent.end],)
                if joints is None
                else joints.group(way.things[absent.end])
            )
        ]

    def _reached(self, path: Path, anchors: Collection[int]) -> dict[int, set[int]]:
        """Return where a path leads from things, whenever that is so."""
        ways = [_begin(key) for key in sorted(anchors)]
        for place, leg in enumerate(path.legs, 1):
            ways = self._over(leg, ways, path.types[place], named=True)
            # Of several ways to one thing one is enough, and when they are so is nothing here.
            ways = list(
                {(way.things[0], way.at): _begin(way.things[0], way.at) for way in ways}.values()
            )
        found: dict[int, set[int]] = defaultdict(set)
        for way in ways:
            found[way.things[0]].add(way.at)
        return found


def _begin(key: int, at: int | None = None) -> Way:
    return Way((key,), key if at is None else at, (), ALWAYS, None)


def _eventful(shapes: Shapes, kind: str) -> Callable[[str, str], bool]:
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

"""The ways along a rule's path for very many starts at once: as columns, a leg in some few steps.

Gives what `lineal.enrich.rules.matching` gives, in the same order, some ten times as fast. What is
known under several names is rare and would make columns of unequal width; the starts from which it
is met are told, and are followed way by way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lineal.enrich.rules.conditions import Condition
from lineal.enrich.rules.matching import ALWAYS, TooMany, Way, is_eventful, said_of
from lineal.enrich.rules.reading import conditions_at
from lineal.enrich.rules.rule import Absent, Leg, Path, Rule
from lineal.shapes import Shapes
from lineal.store import NEVER, Derivation, Reader
from lineal.store.arrows import among

Longs = NDArray[np.int64]

#: Makes a derivation of its values, in a third of the time that its own way takes.
_DERIVATION = partial(tuple.__new__, Derivation)


class _Ways(NamedTuple):
    """Ways of one length: `Way`, turned round."""

    things: tuple[Longs, ...]
    at: Longs
    #: Of each edge that was gone: its start, its kind by its place in `_Walk.kinds`, its end.
    supports: tuple[tuple[Longs, Longs, Longs], ...]
    since: Longs
    until: Longs

    def chosen(self, which: NDArray[np.bool_] | Longs) -> _Ways:
        """Return some of these, by a mask or by their places."""
        return _Ways(
            tuple([one[which] for one in self.things]),
            self.at[which],
            tuple([(src[which], kind[which], dst[which]) for src, kind, dst in self.supports]),
            self.since[which],
            self.until[which],
        )


class _Arrows(NamedTuple):
    """Edges in the order of the things that they are gone from."""

    near: Longs
    far: Longs
    kind: Longs
    since: Longs
    until: Longs


class Laid(Collection[Derivation]):
    """Ways along a rule's path, laid out in columns, as what is derived by each of them."""

    def __init__(self, rule: Rule, ways: Sequence[_Ways], kinds: Sequence[str]) -> None:
        self._rule, self._parts, self._kinds = rule, ways, kinds

    def __len__(self) -> int:
        return sum(len(some.at) for some in self._parts)

    def __iter__(self) -> Iterator[Derivation]:
        start, end = self._rule.start, self._rule.end
        for some in self._parts:
            things, supports, since, until = self._rows(some)
            ends = (some.things[place].tolist() for place in (start, end))
            yield from map(_DERIVATION, zip(*ends, supports, since, until, things, strict=True))

    def __contains__(self, one: object) -> bool:
        return one in list(self)

    def ways(self) -> list[Way]:
        """Return the ways one by one."""
        found: list[Way] = []
        for some in self._parts:
            things, supports, since, until = self._rows(some)
            found += zip(things, some.at.tolist(), supports, since, until, strict=True)
        return found

    def _rows(self, ways: _Ways) -> tuple[Iterable[Any], Iterable[Any], list[int], list[Any]]:
        """Return ways of one length in rows: their things, what they rest on, and when."""
        word = self._kinds.__getitem__
        edges = [
            zip(src.tolist(), map(word, kind.tolist()), dst.tolist(), strict=True)
            for src, kind, dst in ways.supports
        ]
        things = zip(*[column.tolist() for column in ways.things], strict=True)
        supports = zip(*edges, strict=True) if edges else repeat((), len(ways.at))
        until = [None if one == NEVER else one for one in ways.until.tolist()]
        return things, supports, ways.since.tolist(), until

    def parted(self) -> tuple[Laid, Laid]:
        """Return the ways that give an edge by themselves, and those that do so with others."""
        if not self._parts:
            return self, self
        start = np.concatenate([some.things[self._rule.start] for some in self._parts])
        end = np.concatenate([some.things[self._rule.end] for some in self._parts])
        order = np.lexsort((end, start))
        same = (start[order[1:]] == start[order[:-1]]) & (end[order[1:]] == end[order[:-1]])
        if not same.any():
            return self, self._of(())
        alone = np.ones(len(order), bool)
        alone[order[1:][same]] = alone[order[:-1][same]] = False
        return self._chosen(alone), self._chosen(~alone)

    def proper(self) -> Laid:
        """Leave out what would be an edge from a thing to itself."""
        start, end = self._rule.start, self._rule.end
        keep = [some.things[start] != some.things[end] for some in self._parts]
        if all(one.all() for one in keep):
            return self
        return self._chosen(np.concatenate(keep))

    def _chosen(self, which: NDArray[np.bool_]) -> Laid:
        """Return some of all ways."""
        ends = np.cumsum([len(some.at) for some in self._parts])[:-1]
        masks = np.split(which, ends)
        return self._of(_some(map(_Ways.chosen, self._parts, masks)))

    def _of(self, ways: Sequence[_Ways]) -> Laid:
        return Laid(self._rule, ways, self._kinds)


def is_plain(rule: Rule, reader: Reader) -> bool:
    """
    Can a rule be followed in columns?

    Not where values are compared, where something must hold of an edge, or for a preview.
    """
    legs = (leg for _, path in rule.paths() for leg in path.legs)
    return not reader.supposes and all(leg.values is None and not leg.where for leg in legs)


class Columns:
    """Follows one rule's path over a snapshot, at most *room* ways at once; see `is_plain`."""

    def __init__(self, rule: Rule, reader: Reader, shapes: Shapes, room: int) -> None:
        self._rule, self._reader = rule, reader
        self._conditions = conditions_at(rule)
        self._walk = _Walk(rule, reader, shapes, room)

    def laid(self, starts: Collection[int]) -> tuple[Laid, list[int]]:
        """
        Return every way from these starts that nothing forbids, and the starts not followed.

        Raises:
            TooMany: there are more than there is room for.
        """
        path, walk = self._rule.path, self._walk
        keys = np.array(sorted(starts), np.int64)
        walk.fit(path.types[0], keys)
        found = self._true([_begun(keys, keys)], 0)
        for place, leg in enumerate(path.legs, 1):
            found = walk.over(leg, found, path.types[place], named=place > 1)
            found = self._true(found, place)
            if not found:
                break
        for absent in self._rule.unless:
            found = self._without(absent, found)
        return Laid(self._rule, walk.followed(found), walk.kinds), sorted(walk.odd)

    # ── What must hold ───────────────────────────────────────────────────────────────────────

    def _true(self, ways: list[_Ways], place: int) -> list[_Ways]:
        """Keep the ways of which the conditions hold that are decided at a place."""
        for condition in self._conditions.get(place, ()):
            ways = _some(self._holding(condition, some) for some in ways)
        return ways

    def _holding(self, condition: Condition, ways: _Ways) -> _Ways:
        places = [self._rule.path.names.index(name) for name in condition.names]
        if not places:
            return ways if condition.holds({}) else ways.chosen(np.zeros(len(ways.at), bool))
        asked = np.stack([ways.things[place] for place in places])
        distinct, which = np.unique(asked, axis=1, return_inverse=True)
        said = said_of(set(distinct.ravel().tolist()), self._reader)
        holds = [
            condition.holds(
                {name: said[key] for name, key in zip(condition.names, keys, strict=True)}
            )
            for keys in distinct.T.tolist()
        ]
        return ways.chosen(np.array(holds, bool)[which.ravel()])

    def _without(self, absent: Absent, ways: list[_Ways]) -> list[_Ways]:
        """Leave out the ways beside which there is a path that there must not be."""
        walk, anchor = self._walk, absent.anchor
        place = absent.end if absent.other is None else absent.other
        apart, begun = walk.apart(), _all(some.things[anchor] for some in ways)
        if absent.narrows(self._rule.path):
            begun = begun[self._reader.are(begun, absent.path.types[0])]
        begins, ends = apart.reached(absent.path, begun)
        if place is not None:
            ways = walk.clear(ways, place)
        left = []
        for some in ways:
            anchors = some.things[anchor]
            walk.give_up(some.things[0][np.isin(anchors, apart.odd_keys())])
            if place is None:
                left.append(some.chosen(~np.isin(anchors, begins)))
                continue
            there = _paired(anchors, some.things[place], begins, ends)
            if absent.other is None:
                left.append(some.chosen(~there))
            else:
                many = np.searchsorted(begins, anchors, "right") - np.searchsorted(begins, anchors)
                left.append(some.chosen(many == there))
        return _some(left)


class _Walk:
    """Goes over legs from some starts, and gives up those where a thing has several names."""

    def __init__(self, rule: Rule, reader: Reader, shapes: Shapes, room: int) -> None:
        self._rule, self._reader, self._shapes, self._room = rule, reader, shapes, room
        self.kinds = sorted(rule.kinds)
        self._numbers = {kind: number for number, kind in enumerate(self.kinds)}
        self._eventful = {kind: is_eventful(shapes, kind) for kind in self.kinds}
        #: The starts that are given up.
        self.odd: set[int] = set()
        #: The things of which it is known that they are of one of these types.
        self._fits: dict[frozenset[str], list[Longs]] = {}

    def apart(self) -> _Walk:
        """Return a walk that gives up starts of its own."""
        return _Walk(self._rule, self._reader, self._shapes, self._room)

    # ── Starts that are given up ─────────────────────────────────────────────────────────────

    def odd_keys(self) -> Longs:
        """Return the starts that are given up, sorted."""
        return np.array(sorted(self.odd), np.int64)

    def give_up(self, starts: Longs) -> None:
        """Follow nothing from these starts any more."""
        self.odd.update(starts.tolist())

    def followed(self, ways: Iterable[_Ways]) -> list[_Ways]:
        """Leave out the ways from starts that are given up."""
        if not self.odd:
            return list(ways)
        odd = self.odd_keys()
        return _some(some.chosen(~np.isin(some.things[0], odd)) for some in ways)

    def clear(self, ways: list[_Ways], place: int | None = None) -> list[_Ways]:
        """Give up where a thing stands that has other names: at a place, or at the last."""
        reached = _all(some.at if place is None else some.things[place] for some in ways)
        links = self._reader.joins(reached.tolist())
        if not links:
            return ways
        several = np.array(sorted({end for one in links for end in (one.src, one.dst)}), np.int64)
        for some in ways:
            here = some.at if place is None else some.things[place]
            self.give_up(some.things[0][np.isin(here, several)])
        return self.followed(ways)

    # ── Legs ─────────────────────────────────────────────────────────────────────────────────

    def over(
        self, leg: Leg, ways: list[_Ways], types: frozenset[str], *, named: bool
    ) -> list[_Ways]:
        """Go over a leg, to things of these types; *named*: from all names of where one stands."""
        if leg.is_single:
            return self._step(leg, ways, types, named=named)
        found = list(ways) if leg.least == 0 else []
        head = ways
        for step in range(1, leg.most + 1):
            head = self._step(leg, head, None, named=named or step > 1)
            if step >= leg.least:
                found += head
            self._see_room([*found, *head])
            if not head:
                break
        return self._arrived(self.followed(found), types)

    def reached(self, path: Path, anchors: Longs) -> tuple[Longs, Longs]:
        """Return from which things a path leads where, whenever that is so."""
        ways = [_begun(anchors, anchors)]
        for place, leg in enumerate(path.legs, 1):
            ways = self.over(leg, ways, path.types[place], named=True)
            if not ways:
                break
            # Of several ways to one thing one is enough, and when they are so is nothing here.
            pairs = np.concatenate([np.stack((some.things[0], some.at)) for some in ways], axis=1)
            starts, ends = np.unique(pairs, axis=1)
            ways = [_begun(starts, ends)]
        ways = self.followed(ways)
        if not ways:
            return _NONE, _NONE
        return ways[0].things[0], ways[0].at

    def fit(self, types: frozenset[str], keys: Longs) -> None:
        """Know that these things are of one of these types."""
        self._fits.setdefault(types, []).append(keys)

    def _see_room(self, ways: Sequence[_Ways]) -> None:
        if sum(len(some.at) for some in ways) > self._room:
            raise TooMany(f"Rule {self._rule.name} has more than {self._room:,} ways at once.")

    def _arrived(self, ways: list[_Ways], types: frozenset[str]) -> list[_Ways]:
        """Keep the ways that stand at a thing of one of these types: a place is passed."""
        here = self._of(types, _all(some.at for some in ways))
        if here is not None:
            ways = _some(some.chosen(among(some.at, here)) for some in ways)
        return [some._replace(things=(*some.things, some.at)) for some in ways]

    def _of(self, types: frozenset[str], reached: Longs) -> Longs | None:
        """Which of these things, which are sorted, are of one of these types? None: all are."""
        fits = np.zeros(len(reached), bool)
        for known, some in self._fits.items():
            if known <= types:
                for one in some:
                    fits |= among(reached, one)
        if not fits.all():
            fits[~fits] = self._reader.are(reached[~fits], types)
        here = reached if fits.all() else reached[fits]
        self.fit(types, here)
        return None if here is reached else here

    def _step(
        self, leg: Leg, ways: list[_Ways], types: frozenset[str] | None, *, named: bool
    ) -> list[_Ways]:
        """Go over one edge: to a place where *types* are said, else on the way to one."""
        if named:
            ways = self.clear(ways)
        arrows = self._arrows(leg, _all(some.at for some in ways), types)
        found = []
        for some in ways:
            first = np.searchsorted(arrows.near, some.at, "left")
            many = np.searchsorted(arrows.near, some.at, "right") - first
            way = np.repeat(np.arange(len(some.at)), many)
            over = np.arange(len(way)) + np.repeat(first - np.cumsum(many) + many, many)
            far, kind = arrows.far[over], arrows.kind[over]
            src, dst = (some.at[way], far) if leg.forward else (far, some.at[way])
            since = np.maximum(some.since[way], arrows.since[over])
            until = np.minimum(some.until[way], arrows.until[over])
            keep = since < until
            for before in some.supports:
                gone = (before[0][way] == src) & (before[1][way] == kind) & (before[2][way] == dst)
                keep &= ~gone
            before_ = some.chosen(way[keep])
            things = before_.things if types is None else (*before_.things, far[keep])
            edge = (src[keep], kind[keep], dst[keep])
            found.append(
                _Ways(things, far[keep], (*before_.supports, edge), since[keep], until[keep])
            )
        self._see_room(found)
        return _some(found)

    def _arrows(self, leg: Leg, keys: Longs, types: frozenset[str] | None) -> _Arrows:
        """Return the edges of a leg that begin at things; several claims are one edge."""
        found = [self._of_kind(leg, kind, keys, types) for kind in leg.kinds]
        if len(found) == 1:
            return found[0]
        near = np.concatenate([one.near for one in found])
        order = np.argsort(near, kind="stable")
        columns = zip(*found, strict=True)
        return _Arrows(*(np.concatenate(column)[order] for column in columns))

    def _of_kind(self, leg: Leg, kind: str, keys: Longs, types: frozenset[str] | None) -> _Arrows:
        rows = self._reader.arrows(kind, keys, outward=leg.forward, layers=leg.layers)
        here = None if types is None else self._of(types, _distinct(rows[:, 1]))
        if here is not None:
            rows = rows[among(rows[:, 1], here)]
        near, far, since, until = rows[np.lexsort((rows[:, 1], rows[:, 0]))].T
        first = np.ones(len(near), bool)
        first[1:] = (near[1:] != near[:-1]) | (far[1:] != far[:-1])
        if not first.all():
            places = np.flatnonzero(first)
            near, far = near[places], far[places]
            since = np.minimum.reduceat(since, places)
            until = np.maximum.reduceat(until, places)
        ended = np.flatnonzero(until < NEVER)
        if len(ended):
            until = until.copy()
            until[ended] = np.where(
                self._events(leg, kind, near[ended], far[ended]), NEVER, until[ended]
            )
        return _Arrows(near, far, np.full(len(near), self._numbers[kind]), since, until)

    def _events(self, leg: Leg, kind: str, near: Longs, far: Longs) -> NDArray[np.bool_]:
        """Which of these edges are events, and hold from then on?"""
        types = self._reader.types({*near.tolist(), *far.tolist()})
        ends = zip(near.tolist(), far.tolist(), strict=True)
        pairs = [(types[one], types[other]) for one, other in ends]
        eventful = self._eventful[kind]
        return np.array([eventful(*(one if leg.forward else one[::-1])) for one in pairs], bool)


#: No things.
_NONE = np.zeros(0, np.int64)


def _begun(starts: Longs, at: Longs) -> _Ways:
    """Return ways that went over nothing yet."""
    many = len(starts)
    return _Ways((starts,), at, (), np.full(many, ALWAYS), np.full(many, NEVER))


def _some(ways: Iterable[_Ways]) -> list[_Ways]:
    """Leave out what is empty."""
    return [some for some in ways if len(some.at)]


def _all(columns: Iterable[Longs]) -> Longs:
    """Return what is in any of these columns, once, sorted."""
    every = list(columns)
    return _distinct(np.concatenate(every)) if every else _NONE


def _distinct(column: Longs) -> Longs:
    """Return what is in a column, once, sorted."""
    ordered = np.sort(column)
    if len(ordered) < 2:
        return ordered
    first = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def _paired(one: Longs, other: Longs, begins: Longs, ends: Longs) -> NDArray[np.bool_]:
    """Tell for each pair of the first two columns whether it is one of the last two."""
    if not len(begins):
        return np.zeros(len(one), bool)
    lefts, rights = np.unique(begins), np.unique(ends)
    known = np.searchsorted(lefts, begins) * len(rights) + np.searchsorted(rights, ends)
    left = np.minimum(np.searchsorted(lefts, one), len(lefts) - 1)
    right = np.minimum(np.searchsorted(rights, other), len(rights) - 1)
    there: NDArray[np.bool_] = (lefts[left] == one) & (rights[right] == other)
    there &= np.isin(left * len(rights) + right, known)
    return there

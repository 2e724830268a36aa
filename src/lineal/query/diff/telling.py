"""What differs between two sides, put into words with the cause of each: things, edges, names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product, repeat
from typing import TypeAlias

import msgspec

from lineal.model import Claim, Entity, Json, State, Uri
from lineal.query.diff.causes import NOT_SOUGHT, Because, Causes, Sought
from lineal.query.diff.comparing import Aliases, Edge, Names, Pair, joints
from lineal.query.diff.differences import (
    AttributeChange,
    ClaimChange,
    EdgeChange,
    NameChange,
    ThingChange,
)
from lineal.query.diff.scenes import EdgeKey, Look, Scene, Side
from lineal.query.things import Brief, brief
from lineal.store import Between

#: A claim of an edge: its source, its document, and the edge as it is stored.
_ClaimName: TypeAlias = "tuple[str, str, EdgeKey]"
#: The most edges that an edge between things of many names is looked for under.
_SPELLINGS = 64


@dataclass(frozen=True, slots=True)
class ThingFound:
    """A thing that differs, before its causes are sought."""

    pair: Pair
    what: str
    was: Entity | None
    now: Entity | None
    #: Attribute to (before, after).
    attributes: dict[str, tuple[Json, Json]]
    #: The edges of the two scenes that end at it: it may be there because of them.
    edges: frozenset[EdgeKey] = frozenset()

    @property
    def brief(self) -> Brief:
        """The thing in one line, as it is, or else as it was."""
        found = self.now if self.what != "vanished" or self.was is None else self.was
        assert found is not None
        return brief(found)


@dataclass(frozen=True, slots=True)
class EdgeFound:
    """An edge that differs, before its causes are sought."""

    edge: Edge
    what: str
    start: Brief
    end: Brief
    claims: tuple[ClaimFound, ...] = ()

    @property
    def name(self) -> tuple[Uri, str, Uri]:
        """The edge as it is shown."""
        return self.start.uri, self.edge.joint[1], self.end.uri


@dataclass(frozen=True, slots=True)
class ClaimFound:
    """A claim that differs."""

    name: _ClaimName
    was: Claim | None
    now: Claim | None


@dataclass(frozen=True, slots=True)
class NameFound:
    """A name that joined a thing or parted from it."""

    what: str
    pair: Pair
    thing: Brief
    key: int
    name: Uri


class Telling:
    """Finds what differs of things and edges of two sides, and tells why."""

    def __init__(self, between: Between, sides: tuple[Side, Side], aliases: Aliases) -> None:
        self._between, self._aliases = between, aliases
        self._was, self._now = sides
        #: A name of each thing by which it is followed, where it has several.
        self._followed: dict[Names, int] = {}

    # ── What differs ─────────────────────────────────────────────────────────────────────────

    def things(
        self, pairs: Sequence[Pair], edges: Sequence[Edge], own: frozenset[int]
    ) -> list[ThingFound]:
        """Return things that appeared, vanished or changed; all but *own* are there by an edge."""
        for pair in pairs:
            self._followed.setdefault(pair.names, pair.key)
        self._was.learn_things({p.key if p.before is None else p.before for p in pairs})
        self._now.learn_things({p.key if p.after is None else p.after for p in pairs})
        joined = _edges_at(edges)
        found = [
            self._thing(pair, joined.get(pair.names, frozenset()) if not own & pair.names else ())
            for pair in pairs
        ]
        return [one for one in found if one is not None]

    def _thing(self, pair: Pair, edges: Iterable[EdgeKey]) -> ThingFound | None:
        was = self._was.entity(pair.key if pair.before is None else pair.before)
        now = self._now.entity(pair.key if pair.after is None else pair.after)
        if pair.what != "stayed":
            return ThingFound(pair, pair.what, was, now, {}, frozenset(edges))
        assert was is not None
        assert now is not None
        attributes = _differing(was.attributes, now.attributes)
        if not attributes and _settled(was.state) == _settled(now.state):
            return None
        return ThingFound(pair, "changed", was, now, attributes)

    def names(self, pairs: Sequence[Pair]) -> list[NameFound]:
        """Return the names that joined things which are in both scenes, or parted from them."""
        found: list[NameFound] = []
        for pair in pairs:
            if pair.before is None or pair.after is None or len(pair.names) == 1:
                continue
            was = self._was.things.groups([pair.before])[pair.before]
            now = self._now.things.groups([pair.after])[pair.after]
            entity = self._now.entity(pair.after)
            assert entity is not None
            uris = self._between.after.uris(was | now)
            for what, keys in (("joined", now - was), ("parted", was - now)):
                for key in sorted(keys, key=lambda one: uris[one]):
                    found.append(NameFound(what, pair, brief(entity), key, uris[key]))
        return found

    def edges(self, edges: Sequence[Edge], most: int) -> tuple[list[EdgeFound], int]:
        """
        Return the edges that appeared, vanished or changed, and how many were not looked into.

        Whether an edge is there is told of all; what is said of it is compared of *most*.
        """
        stayed = [edge for edge in edges if edge.what == "stayed"]
        self._was.learn_claims({one for edge in stayed[:most] for one in edge.before})
        self._now.learn_claims({one for edge in stayed[:most] for one in edge.after})
        self._was.learn_things(self._ends({one for edge in edges for one in edge.before}))
        self._now.learn_things(self._ends({one for edge in edges for one in edge.after}))
        found = [self._edge(edge, edge.what) for edge in edges if edge.what != "stayed"]
        for edge in stayed[:most]:
            claims = self._claims(edge)
            if claims:
                found.append(self._edge(edge, "changed", claims))
        return found, max(0, len(stayed) - most)

    def _ends(self, edges: Iterable[EdgeKey]) -> set[int]:
        """Return all names of what edges join."""
        ends = {end for start, _, stop in edges for end in (start, stop)}
        return {name for end in ends for name in self._aliases[end]}

    def _edge(self, edge: Edge, what: str, claims: tuple[ClaimFound, ...] = ()) -> EdgeFound:
        side = self._was if what == "vanished" else self._now
        raw = edge.before if what == "vanished" else edge.after
        start, _, end = min(raw)
        ends = self._shown(side, edge, start, end)
        return EdgeFound(edge, what, *ends, claims)

    def _shown(self, side: Side, edge: Edge, start: int, end: int) -> tuple[Brief, Brief]:
        """Show the ends as they are shown in the scene: a run that counts for its pipeline, so."""
        shown = []
        for names, key in ((edge.joint[0], start), (edge.joint[2], end)):
            known = side.known(names)
            shown.append(key if key in names else min(known or names))
        briefs = side.things.briefs(shown)
        return briefs[shown[0]], briefs[shown[1]]

    def with_claims(self, found: Sequence[EdgeFound]) -> list[EdgeFound]:
        """Return edges, those that appeared or vanished with all their claims."""
        moved = [one for one in found if one.what != "changed"]
        self._was.learn_claims({edge for one in moved for edge in one.edge.before})
        self._now.learn_claims({edge for one in moved for edge in one.edge.after})
        return [
            one if one.what == "changed" else replace(one, claims=self._claims(one.edge))
            for one in found
        ]

    def _claims(self, edge: Edge) -> tuple[ClaimFound, ...]:
        """Compare what documents say of an edge; of one that counts for a whole, of the same."""
        both = edge.before & edge.after
        lifted = edge.what == "stayed" and not self._is_own(edge)
        was = _by_document(self._was, both if lifted else edge.before)
        now = _by_document(self._now, both if lifted else edge.after)
        return tuple(
            ClaimFound(name, was.get(name), now.get(name))
            for name in sorted({*was, *now})
            if _word(was.get(name)) != _word(now.get(name))
        )

    def _is_own(self, edge: Edge) -> bool:
        """Whether an edge stands for itself, not for those of parts."""
        return all(
            start in edge.joint[0] and end in edge.joint[2]
            for start, _, end in edge.before | edge.after
        )

    # ── Why ──────────────────────────────────────────────────────────────────────────────────

    def told_things(
        self, found: Sequence[ThingFound], causes: Causes, look: Look | None, most: int
    ) -> tuple[ThingChange, ...]:
        """Return things with their causes; where *look* is given, the question is asked again."""
        keys = {key for one in found for key in one.pair.names}
        ts = _joined(self._between.said_in(keys), self._between.linked_in(keys))
        sought: list[Sought] = []
        spelled = [self._spelled(one.edges) for one in found]
        for one, edges, near in zip(found, spelled, self._claimed(spelled), strict=True):
            at = {t for key in one.pair.names for t in ts.get(key, ())}
            sought.append(self._presence(one, at, edges, near))
            sought.extend(self._attribute(one, name, at) for name in one.attributes)
        because = iter(causes.of(sought))
        told = [self._told_thing(one, because) for one in found]
        if look is None:
            return tuple(told)
        return self._looked_again(told, found, causes, look, most)

    def only_things(self, found: Sequence[ThingFound]) -> tuple[ThingChange, ...]:
        """Return things without their causes; nothing is read."""
        return tuple(self._told_thing(one, repeat(NOT_SOUGHT)) for one in found)

    def _presence(
        self,
        one: ThingFound,
        ts: Collection[int],
        edges: Collection[EdgeKey],
        near: Collection[int],
    ) -> Sought:
        """Is it there, or not, as at the second moment? By itself, and by an edge if it has one."""
        key, after = one.pair.key, one.pair.after is not None
        if one.what == "changed":
            state = None if one.now is None else _settled(one.now.state)
            return Sought(lambda side: _state(side, key) == state, ts, {key})
        if one.edges:
            ts = {*ts, *near}

        def holds(side: Side) -> bool:
            joined = not one.edges or any(self._is_so(side, edge) for edge in edges)
            return (side.there(key) and joined) == after

        return Sought(holds, ts, {key}, edges)

    def _attribute(self, one: ThingFound, name: str, ts: Collection[int]) -> Sought:
        key, word = one.pair.key, _text(one.attributes[name][1])
        return Sought(lambda side: _text(_attribute_of(side, key, name)) == word, ts, {key})

    @staticmethod
    def _told_thing(one: ThingFound, because: Iterable[Because]) -> ThingChange:
        causes = iter(because)
        presence = next(causes)
        changes = tuple(
            AttributeChange(name, *one.attributes[name], next(causes)) for name in one.attributes
        )
        if one.what == "changed":
            moved = one.was and one.now and _settled(one.was.state) != _settled(one.now.state)
            every = [change.because for change in changes] + ([presence] if moved else [])
            presence = latest(every)
        return ThingChange(
            one.what,
            one.brief,
            None if one.was is None else one.was.state,
            None if one.now is None else one.now.state,
            changes,
            presence,
        )

    def _looked_again(
        self,
        told: Sequence[ThingChange],
        found: Sequence[ThingFound],
        causes: Causes,
        look: Look,
        most: int,
    ) -> tuple[ThingChange, ...]:
        """Find why a thing is reached, or not any more: that may have come about far from it."""
        moved = [at for at, one in enumerate(told) if one.what != "changed"]
        again = [self._in_scene(found[at].pair.names, found[at].what) for at in moved]
        every = list(told)
        for at, because in zip(moved, causes.of_presence(look, again, most), strict=True):
            one = every[at]
            every[at] = replace(one, because=_first_known(because, one.because))
        return tuple(every)

    @staticmethod
    def _in_scene(names: Names, what: str) -> Callable[[Scene], bool]:
        return lambda scene: bool(names & scene.keys) == (what == "appeared")

    def told_edges(
        self, found: Sequence[EdgeFound], causes: Causes, look: Look | None, most: int
    ) -> tuple[EdgeChange, ...]:
        """Return edges with their causes; where *look* is given, the question is asked again."""
        sought: list[Sought] = []
        spelled = [self._spelled(one.edge.before | one.edge.after) for one in found]
        for one, edges, ts in zip(found, spelled, self._claimed(spelled), strict=True):
            sought.append(self._edge_presence(one, edges, ts))
            sought.extend(self._claim(claim, ts) for claim in one.claims)
        because = iter(causes.of(sought))
        told = [self._told_edge(one, because) for one in found]
        if look is None:
            return tuple(told)
        moved = [at for at, one in enumerate(told) if one.what != "changed"]
        again = [self._joint_in_scene(found[at].edge, found[at].what) for at in moved]
        for at, cause in zip(moved, causes.of_presence(look, again, most), strict=True):
            told[at] = replace(told[at], because=_first_known(cause, told[at].because))
        return tuple(told)

    def only_edges(self, found: Sequence[EdgeFound]) -> tuple[EdgeChange, ...]:
        """Return edges without their causes; nothing is read."""
        return tuple(self._told_edge(one, repeat(NOT_SOUGHT)) for one in found)

    def _joint_in_scene(self, edge: Edge, what: str) -> Callable[[Scene], bool]:
        return lambda scene: (edge.joint in joints(scene, self._aliases)) == (what == "appeared")

    def _claimed(self, every: Sequence[Collection[EdgeKey]]) -> list[set[int]]:
        """In which transactions may some of each have come or gone, by claims or by names?"""
        wanted = [self._pairs(edges) for edges in every]
        found = self._between.claimed_in({pair for pairs in wanted for pair in pairs})
        return [{t for pair in pairs for t in found.get(pair, ())} for pairs in wanted]

    def _pairs(self, edges: Iterable[EdgeKey]) -> set[tuple[int, int]]:
        """Return the ends of edges, and those of the names that either end goes by."""
        pairs = {(start, end) for start, _, end in edges}
        for end in {end for pair in pairs for end in pair}:
            pairs |= set(permutations(self._aliases[end], 2))
        return pairs

    def _edge_presence(
        self, one: EdgeFound, edges: Collection[EdgeKey], ts: Collection[int]
    ) -> Sought:
        after = one.what != "vanished"

        def holds(side: Side) -> bool:
            return any(self._is_so(side, edge) for edge in edges) == after

        return Sought(holds, ts, edges=edges)

    @staticmethod
    def _claim(claim: ClaimFound, ts: Collection[int]) -> Sought:
        edge, word = claim.name[2], _word(claim.now)

        def holds(side: Side) -> bool:
            return _word(_by_document(side, [edge]).get(claim.name)) == word

        return Sought(holds, ts, edges=[edge])

    @staticmethod
    def _told_edge(one: EdgeFound, because: Iterable[Because]) -> EdgeChange:
        causes = iter(because)
        presence = next(causes)
        claims = tuple(_told_claim(claim, next(causes)) for claim in one.claims)
        if one.what == "changed":
            presence = latest([claim.because for claim in claims])
        return EdgeChange(one.what, one.start, one.edge.joint[1], one.end, claims, presence)

    def told_names(self, found: Sequence[NameFound], causes: Causes) -> tuple[NameChange, ...]:
        """Return names with the cause for which they joined or parted."""
        sought = []
        for one in found:
            pairs = set(permutations(one.pair.names, 2))
            ts = {t for some in self._between.claimed_in(pairs).values() for t in some}
            sought.append(Sought(self._named(one), ts, {one.pair.key}))
        return tuple(
            NameChange(one.what, one.thing, one.name, because)
            for one, because in zip(found, causes.of(sought), strict=True)
        )

    def only_names(self, found: Sequence[NameFound]) -> tuple[NameChange, ...]:
        """Return names without the causes for which they joined or parted; nothing is read."""
        return tuple(NameChange(one.what, one.thing, one.name, NOT_SOUGHT) for one in found)

    @staticmethod
    def _named(one: NameFound) -> Callable[[Side], bool]:
        key, joined = one.pair.key, one.what == "joined"
        return lambda side: (one.key in side.things.groups([key])[key]) == joined

    # ── Under every name ─────────────────────────────────────────────────────────────────────

    def _spelled(self, edges: Iterable[EdgeKey]) -> list[EdgeKey]:
        """Return edges in all spellings: between every name of the one and of the other."""
        found: set[EdgeKey] = set()
        for start, kind, end in edges:
            spellings = product(sorted(self._aliases[start]), [kind], sorted(self._aliases[end]))
            found.update(list(spellings)[:_SPELLINGS])
            found.add((start, kind, end))
        return sorted(found)

    def _is_so(self, side: Side, edge: EdgeKey) -> bool:
        """Is an edge so at a side, between what are names of the things there?"""
        if not side.claims(edge):
            return False
        return all(self._is_name(side, end) for end in (edge[0], edge[2]))

    def _is_name(self, side: Side, key: int) -> bool:
        names = self._aliases[key]
        if len(names) == 1 or names not in self._followed:
            return True
        followed = self._followed[names]
        return key in side.things.groups([followed])[followed]


def latest(causes: Sequence[Because]) -> Because:
    """Return the cause that came last: the last transaction, else what is known of the others."""
    recorded = [one for one in causes if one.t is not None]
    if recorded:
        return max(recorded, key=lambda one: one.t or 0)
    return causes[0] if causes else NOT_SOUGHT


def _first_known(sought: Because, near: Because) -> Because:
    """Return what asking again found; if that was given up, what the thing itself tells."""
    return near if sought is NOT_SOUGHT and near.t is not None else sought


# ── What is compared ─────────────────────────────────────────────────────────────────────────────


def _text(value: Json) -> bytes:
    """Return a value as text: to Python, 1 and True are the same, to a reader they are not."""
    return msgspec.json.encode(value, order="sorted")


def _differing(was: Mapping[str, Json], now: Mapping[str, Json]) -> dict[str, tuple[Json, Json]]:
    return {
        name: (was.get(name), now.get(name))
        for name in sorted({*was, *now})
        if _text(was.get(name)) != _text(now.get(name))
    }


def _settled(state: State) -> State:
    """What cannot be confirmed just now is described as before."""
    return State.HYDRATED if state is State.STALE else state


def _state(side: Side, key: int) -> State | None:
    entity = side.entity(key)
    return None if entity is None else _settled(entity.state)


def _attribute_of(side: Side, key: int, name: str) -> Json:
    entity = side.entity(key)
    return None if entity is None else entity.attributes.get(name)


def _word(claim: Claim | None) -> tuple[str, bytes] | None:
    return None if claim is None else (claim.layer, _text(dict(claim.attributes)))


def _by_document(side: Side, edges: Iterable[EdgeKey]) -> dict[_ClaimName, Claim]:
    found: dict[_ClaimName, Claim] = {}
    for edge in edges:
        for claim in side.claims(edge):
            found.setdefault((claim.source, claim.document, edge), claim)
    return found


def _told_claim(found: ClaimFound, because: Because) -> ClaimChange:
    was, now = found.was, found.now
    what = "appeared" if was is None else "vanished" if now is None else "changed"
    return ClaimChange(
        what,
        found.name[0],
        found.name[1],
        None if was is None else str(was.layer),
        None if now is None else str(now.layer),
        _differing(was.attributes if was else {}, now.attributes if now else {}),
        because,
    )


def _edges_at(edges: Sequence[Edge]) -> dict[Names, set[EdgeKey]]:
    """Return for each thing the edges that end at it, in either scene."""
    found: dict[Names, set[EdgeKey]] = {}
    for edge in edges:
        for names in (edge.joint[0], edge.joint[2]):
            found.setdefault(names, set()).update(edge.before | edge.after)
    return found


def _joined(*found: dict[int, set[int]]) -> dict[int, set[int]]:
    every: dict[int, set[int]] = {}
    for one in found:
        for key, ts in one.items():
            every.setdefault(key, set()).update(ts)
    return every

"""What a question sees at one moment, as sets that can be compared with those of another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from lineal.model import Claim, Cut, Entity, State
from lineal.query.things import Things
from lineal.query.walks import Ask, lineage

#: An edge by the keys of its ends and its kind.
EdgeKey: TypeAlias = "tuple[int, str, int]"

#: What is not there, though it may be spoken of.
GONE = (State.DELETED, State.NOT_OBSERVED)


class Side:
    """Things and claims as of one moment, read once each."""

    def __init__(self, things: Things) -> None:
        self.things = things
        self._known: dict[int, bool] = {}
        self._claims: dict[EdgeKey, list[Claim]] = {}

    def known(self, keys: Iterable[int]) -> set[int]:
        """Return those of which anything was known by then."""
        unknown = {one for one in keys if one not in self._known}
        if unknown:
            found = self.things.reader.known(unknown)
            self._known.update((key, key in found) for key in unknown)
        return {key for key in keys if self._known[key]}

    def entity(self, key: int) -> Entity | None:
        """Return a thing under all its names; None where nothing was known of it by then."""
        return self.things.merged([key])[key] if self.known([key]) else None

    def there(self, key: int) -> bool:
        """Return whether a thing was there: known, observed by then, and not gone."""
        entity = self.entity(key)
        return entity is not None and entity.state not in GONE

    def learn_things(self, keys: Collection[int]) -> None:
        """Read these things together."""
        self.things.merged(sorted(self.known(keys)))

    def learn_claims(self, edges: Iterable[EdgeKey]) -> None:
        """Read the claims of these edges together."""
        missing = {one for one in edges if one not in self._claims}
        if missing:
            found = self.things.reader.claims(missing)
            self._claims.update((edge, found.get(edge, [])) for edge in missing)

    def claims(self, edge: EdgeKey) -> list[Claim]:
        """Return who says that an edge is so, of one document its newest word first."""
        self.learn_claims([edge])
        return self._claims[edge]


@dataclass(frozen=True, slots=True)
class Scene:
    """What a question sees: things under the keys that stand for them, and edges between them."""

    keys: frozenset[int]
    #: Each edge that is shown, and the edges that it stands for.
    edges: Mapping[EdgeKey, frozenset[EdgeKey]]
    #: What was cut, and why.
    why: tuple[Cut, ...] = ()

    @property
    def ends(self) -> set[int]:
        """The keys of all things that are seen or joined to what is."""
        return {*self.keys, *(end for start, _, stop in self.edges for end in (start, stop))}


NOTHING = Scene(frozenset(), {})

#: Sees what a question is about, at one side of a comparison.
Look: TypeAlias = Callable[[Side], Scene]


def _seen(side: Side, keys: Iterable[int], raw: Iterable[EdgeKey]) -> Scene:
    """Put keys and edges under the names that stand for them."""
    edges, wanted = list(raw), set(keys)
    ends = {end for start, _, stop in edges for end in (start, stop)}
    one = side.things.one(sorted(wanted | ends))
    shown: dict[EdgeKey, set[EdgeKey]] = defaultdict(set)
    for start, kind, stop in edges:
        if one[start] != one[stop]:
            shown[(one[start], kind, one[stop])].add((start, kind, stop))
    frozen = {edge: frozenset(some) for edge, some in shown.items()}
    return Scene(_there(side, {one[key] for key in wanted}), frozen)


def _there(side: Side, keys: Collection[int]) -> frozenset[int]:
    side.learn_things(keys)
    return frozenset(key for key in keys if side.there(key))


def _kinds(side: Side) -> frozenset[str]:
    """Every kind of edge but those that join names of one thing."""
    shapes = side.things.shapes
    return frozenset(shapes.kinds) - shapes.kinds_in(("identity",))


def around(key: int) -> Look:
    """Look at a thing, and at what it is joined to."""

    def look(side: Side) -> Scene:
        if not side.known([key]):
            return NOTHING
        reader, kinds = side.things.reader, _kinds(side)
        group = side.things.groups([key])[key]
        links = [*reader.outward(group, kinds), *reader.inward(group, kinds)]
        edges = {(link.src, link.kind, link.dst) for link in links}
        ends = {end for start, _, stop in edges for end in (start, stop)}
        return _seen(side, {key, *ends}, edges)

    return look


def of_type(kind: str, keys: Collection[int]) -> Look:
    """Look at some things of one type, and at the edges that begin at them or come from others."""

    def look(side: Side) -> Scene:
        reader, kinds = side.things.reader, _kinds(side)
        known = side.known(keys)
        links = reader.outward(known, kinds)
        coming = reader.inward(known, kinds)
        types = reader.uris({link.src for link in coming})
        links += [link for link in coming if types[link.src].type != kind]
        return _seen(side, known, {(link.src, link.kind, link.dst) for link in links})

    return look


def along(keys: Collection[int], *, up: int, down: int, ask: Ask) -> Look:
    """Look at the lineage of some things."""

    def look(side: Side) -> Scene:
        known = side.known(keys)
        if not known:
            return NOTHING
        shapes, reader = side.things.shapes, side.things.reader
        told = lineage(side.things, known, up=up, down=down, ask=ask)
        arrows = [one for one in told.value.arrows if one.edge is not None]
        uris = {node.thing.uri for node in told.value.nodes}
        uris |= {end for arrow in arrows for end in (arrow.start, arrow.end)}
        uris |= {end for arrow in arrows if arrow.edge for end in (arrow.edge[0], arrow.edge[2])}
        key = reader.keys(uris)
        edges: dict[EdgeKey, frozenset[EdgeKey]] = {}
        for arrow in arrows:
            ends = key[arrow.start], key[arrow.end]
            start, stop = ends[::-1] if shapes.flows(arrow.kind) < 0 else ends
            assert arrow.edge is not None
            edge = (key[arrow.edge[0]], arrow.edge[1], key[arrow.edge[2]])
            edges[(start, arrow.kind, stop)] = frozenset({edge})
        nodes = {key[node.thing.uri] for node in told.value.nodes}
        return Scene(_there(side, nodes), edges, told.why)

    return look

"""The graph of a picture, asked as a walk asks a store: for those walks that look at every claim.

What changed since the picture was taken is asked of the store, so that the answers are the store's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineal.lineage.engine.adjacency import Ints, Longs
from lineal.lineage.engine.claims import Claims, Groups, Picture, representatives
from lineal.lineage.engine.columns import Unsound
from lineal.lineage.engine.ends import SEVERAL, Ends
from lineal.lineage.engine.then import Ended, Then
from lineal.lineage.graph import Graph, Link
from lineal.model import Json, Uri

#: From how many things on a column is made where there is none: that goes through all claims.
MANY = 5_000


class Shelves:
    """
    The claims of a picture in two orders, and the names that are one thing.

    They lie in the order of their sources, so that where those of each begin tells the source too.
    """

    def __init__(self, picture: Picture) -> None:
        """Take a picture that knows since when its claims are so."""
        claims, things = _in_order(picture.claims), picture.things
        # The other order is stable: of one kind and target, sources and documents are in order.
        ends = claims.targets.astype(np.int64) << 8 | claims.kinds
        self.inward = np.argsort(ends, kind="stable").astype(np.int32)
        self.out_first = _first(claims.sources, things)
        self.in_first = _first(claims.targets, things)
        self.stands = representatives(things, picture.same)
        keys = picture.numbers.key(picture.same.ravel())
        self._set(picture, claims, Groups(keys.astype(np.int64).reshape(-1, 2)))

    @classmethod
    def again(
        cls, picture: Picture, orders: Mapping[str, NDArray[Any]], members: Groups
    ) -> Shelves:
        """Return the shelves of a picture whose orders, and groups of names, are known."""
        shelves = cls.__new__(cls)
        shelves.inward = orders["inward"]
        shelves.out_first, shelves.in_first = orders["out_first"], orders["in_first"]
        shelves.stands = orders["stands"]
        shelves._set(picture, picture.claims, members)
        return shelves

    def _set(self, picture: Picture, claims: Claims, members: Groups) -> None:
        self.picture = replace(picture, claims=replace(claims, sources=np.zeros(0, np.int32)))
        self.types = [*picture.type_names]
        self.members = members
        self._ends: dict[frozenset[str], Ends] = {}
        #: Was anything in the file from which it comes found to be damaged?
        self.unsound = False

    @cached_property
    def ended(self) -> Ended | None:
        """What ended; put in order when it is first asked for."""
        past = self.picture.past
        return None if past is None else Ended(past)

    def outward(self, known: Longs, kinds: NDArray[np.bool_]) -> Claims:
        """Return the claims of some kinds that begin at things, by their numbers, in order."""
        places, counts = _between(self.out_first, known)
        # A hub has very many claims, of which few may be asked for.
        wanted = kinds[self.picture.claims.kinds[places]]
        claims = self.picture.claims.chosen(places[wanted])
        return replace(claims, sources=known.astype(np.int32).repeat(counts)[wanted])

    def ends(self, kinds: Collection[str]) -> Ends:
        """Return where edges of some kinds lead from each thing; made when first asked for."""
        name = frozenset(kinds)
        found = self._ends.get(name)
        if found is None:
            picture = self.picture
            claims = picture.claims
            places = np.flatnonzero(picture.kinds(name)[claims.kinds])
            found = self._ends[name] = Ends.of(
                self.sources(places), claims.targets[places], claims.layers[places],
                self.out_first.size - 1,
            )  # fmt: skip
        return found

    def joined(
        self, known: Longs, kinds: Collection[str], layers: NDArray[np.bool_] | None
    ) -> tuple[Longs, NDArray[Any]]:
        """
        Return the edges of some kinds, and layers, that begin at things, by their numbers.

        As the places of the things among *known* and the numbers of the ends.
        """
        column = self._ends.get(frozenset(kinds))
        if column is None:
            if known.size < MANY:
                return self._claimed(known, self.picture.kinds(kinds), layers)
            column = self.ends(kinds)
        ends = column.ends[known]
        one = ends >= 0
        if layers is not None:
            one &= layers[column.layers[known]]
        places = np.flatnonzero(one)
        several = np.flatnonzero(ends == SEVERAL)
        if not several.size:
            return places, ends[places]
        more, theirs = self._claimed(known[several], self.picture.kinds(kinds), layers)
        return np.append(places, several[more]), np.append(ends[places], theirs)

    def _claimed(
        self, known: Longs, kinds: NDArray[np.bool_], layers: NDArray[np.bool_] | None
    ) -> tuple[Longs, NDArray[Any]]:
        """Return the same, of each claim."""
        places, counts = _between(self.out_first, known)
        claims = self.picture.claims
        wanted = kinds[claims.kinds[places]]
        if layers is not None:
            wanted &= layers[claims.layers[places]]
        of = np.arange(known.size).repeat(counts)[wanted]
        return of, claims.targets[places[wanted]]

    def toward(self, known: Longs, kinds: NDArray[np.bool_]) -> Claims:
        """Return the claims of some kinds that end at things, by their numbers, in order."""
        places = self.inward[_between(self.in_first, known)[0]]
        return self.chosen(places[kinds[self.picture.claims.kinds[places]]])

    def chosen(self, places: NDArray[Any]) -> Claims:
        """Return the claims at some places."""
        return replace(self.picture.claims.chosen(places), sources=self.sources(places))

    def sources(self, places: NDArray[Any]) -> Ints:
        """Return whose the claims at some places are."""
        things = self.out_first.size - 1
        found: Ints
        if places.size < things:
            found = (np.searchsorted(self.out_first, places, "right") - 1).astype(np.int32)
        else:
            found = np.arange(things, dtype=np.int32).repeat(np.diff(self.out_first))[places]
        return found

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        picture = self.picture
        every: list[Any] = [
            picture.claims, self.inward, self.out_first, self.in_first, self.stands, picture.types,
            self.members,
        ]  # fmt: skip
        past = picture.past
        also = (picture.folded, picture.numbers.keys, picture.partial, picture.vague, past)
        order = 0 if past is None else 4 * len(past.claims)
        ends = [column for one in [*self._ends.values()] for column in one]
        parts = sum(part.nbytes for part in (*every, *also, *ends) if part is not None)
        return order + int(parts)


class Held:
    """
    A `Graph` over shelves; of what changed, over the graph that they were read from.

    It knows the kinds that walks go over or look at, and no others. A thing that the shelves do not
    know, or not all of, is asked of that graph too.
    """

    def __init__(
        self,
        shelves: Shelves,
        store: Graph,
        changed: Collection[int],
        then: Then | None = None,
        members: Mapping[int, frozenset[int]] | None = None,
    ) -> None:
        """
        *then*: another moment than that of the shelves; *store* must be at it too.

        *members*: by key the groups of names that were one then, if they are known.
        """
        self._shelves, self._store, self._changed, self._then = shelves, store, changed, then
        if members is None:
            members = shelves.members if then is None else then.groups(shelves.members)
        self._members = members

    def outward(
        self, keys: Iterable[int], kinds: Collection[str], most: int | None = None
    ) -> list[Link]:
        """Return the edges of these kinds that begin at these things; *most* as for a `Graph`."""
        wanted = set(keys)
        try:
            known, fresh = self._parted(wanted)
            found = self._links(known, kinds, most, inward=False)
        except Unsound:
            self._shelves.unsound = True
            return self._store.outward(wanted, kinds, most)
        if fresh:
            found += self._store.outward(fresh, kinds, most)
            found.sort(key=lambda link: link.src)
        return found

    def inward(
        self, keys: Iterable[int], kinds: Collection[str], most: int | None = None
    ) -> list[Link]:
        """Return the edges of these kinds that end at these things; *most* as for a `Graph`."""
        wanted = set(keys)
        try:
            known, fresh = self._parted(wanted)
            found = self._links(known, kinds, most, inward=True)
        except Unsound:
            self._shelves.unsound = True
            return self._store.inward(wanted, kinds, most)
        if fresh:
            found += self._store.inward(fresh, kinds, most)
            found.sort(key=lambda link: link.dst)
        return found

    def _parted(self, keys: set[int]) -> tuple[Longs, set[int]]:
        """Return the numbers of those things of which all is known, and the others' keys."""
        picture, fresh = self._shelves.picture, keys.intersection(self._changed)
        known = picture.numbers.of(keys - fresh)
        if picture.partial is not None:
            known = known[~picture.partial[known]]
        if len(fresh) + known.size < len(keys):
            fresh = keys - set(picture.numbers.key(known).tolist())
        return known, fresh

    def _links(
        self, known: Longs, kinds: Collection[str], most: int | None, *, inward: bool
    ) -> list[Link]:
        if not known.size:
            return []
        shelves, picture = self._shelves, self._shelves.picture
        wanted = picture.kinds(kinds)
        some = shelves.toward(known, wanted) if inward else shelves.outward(known, wanted)
        if self._then is not None:
            some = self._then.also(some, known, inward=inward)
            some = some.chosen(wanted[some.kinds])
        if most is not None and len(some.kinds) > most + 1:
            some = some.chosen(np.arange(most + 1))
        names, layers = picture.kind_names, picture.layer_names
        key = picture.numbers.key
        columns = (
            key(some.sources).tolist(), some.kinds.tolist(), key(some.targets).tolist(),
            some.layers.tolist(), some.documents.tolist(), some.since.tolist(),
        )  # fmt: skip
        return [
            Link(src, names[kind], dst, layers[layer], document, since)
            for src, kind, dst, layer, document, since in zip(*columns, strict=True)
        ]

    def groups(self, keys: Collection[int]) -> dict[int, frozenset[int]]:
        """Return for each thing all that are the same thing under other names, itself too."""
        try:
            return self._groups(keys)
        except Unsound:
            self._shelves.unsound = True
            return dict(self._store.groups(keys))

    def _groups(self, keys: Collection[int]) -> dict[int, frozenset[int]]:
        shelves, changed = self._shelves, self._changed
        found: dict[int, frozenset[int]] = {}
        fresh: list[int] = []
        numbers = shelves.picture.numbers
        for key in keys:
            if numbers.number(key) is None:
                fresh.append(key)
                continue
            group = self._members.get(key, frozenset((key,)))
            if group.isdisjoint(changed):
                found[key] = group
            else:
                fresh.append(key)
        if fresh:
            found.update(self._store.groups(fresh))
        return found

    def types(self, keys: Iterable[int]) -> dict[int, str]:
        """Return the types of these things: a thing never changes its type."""
        wanted = list(keys)
        try:
            return self._types(wanted)
        except Unsound:
            self._shelves.unsound = True
            return dict(self._store.types(wanted))

    def _types(self, keys: Collection[int]) -> dict[int, str]:
        names, picture = self._shelves.types, self._shelves.picture
        number, types = picture.numbers.number, picture.types
        found = {key: "" if (at := number(key)) is None else names[types[at]] for key in keys}
        unknown = [key for key, name in found.items() if not name]
        if unknown:
            found.update(self._store.types(unknown))
        return found

    def uris(self, keys: Iterable[int]) -> dict[int, Uri]:
        """Return the URIs of these things."""
        return self._store.uris(keys)

    def attributes(self, keys: Iterable[int]) -> dict[int, dict[str, Json]]:
        """Return what is said of these things."""
        return self._store.attributes(keys)

    def fine_documents(self, documents: Iterable[int]) -> set[int]:
        """Return those documents that state edges of columns or features."""
        return self._store.fine_documents(documents)


def _in_order(claims: Claims) -> Claims:
    """Return claims in the order of source, kind, target and document."""
    packed = claims.sources.astype(np.int64) << 35 | claims.kinds.astype(np.int64) << 27
    packed |= claims.targets
    # So a store reads them, up to the document.
    if bool((packed[1:] >= packed[:-1]).all()):
        alike = packed[1:] == packed[:-1]
        if bool((claims.documents[1:] >= claims.documents[:-1])[alike].all()):
            return claims
    return claims.chosen(np.lexsort((claims.documents, packed)))


def _first(ends: NDArray[Any], things: int) -> Ints:
    first = np.zeros(things + 1, np.int32)
    np.cumsum(np.bincount(ends, minlength=things), out=first[1:])
    return first


def _between(first: Ints, known: Longs) -> tuple[Longs, Longs]:
    """Return the places between where those of each thing begin and end, and how many each has."""
    begin = first[known].astype(np.int64)
    counts = first[known + 1] - begin
    ends = counts.cumsum()
    places = np.arange(int(ends[-1]) if ends.size else 0) + (begin - ends + counts).repeat(counts)
    return places, counts

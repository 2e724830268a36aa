"""What was so at another moment than the one at which the claims were read: now, or in the past."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from lineal.lineage.engine.adjacency import Bools, Longs
from lineal.lineage.engine.claims import Claims, Groups, Past, Picture, together
from lineal.lineage.engine.thinning import by_number
from lineal.model import Instant

if TYPE_CHECKING:
    from lineal.lineage.engine.held import Shelves


class Ended:
    """The claims of the past in two orders, as those of now are."""

    def __init__(self, past: Past) -> None:
        self.past = past
        claims = past.claims
        keys = (claims.begun, claims.documents, claims.sources, claims.kinds, claims.targets)
        self.inward = np.lexsort(keys).astype(np.int32)

    def places(self, known: NDArray[Any], *, inward: bool) -> Longs:
        """Return the places of the claims that begin, or end, at things; these ascending."""
        claims, order = self.past.claims, self.inward if inward else None
        ends = claims.targets if inward else claims.sources
        sides: tuple[Literal["left", "right"], ...] = ("left", "right")
        first, last = (np.searchsorted(ends, known, side, order) for side in sides)
        counts = last - first
        found = np.arange(int(counts.sum())) + np.repeat(
            first - (np.cumsum(counts) - counts), counts
        )
        places: Longs = self.inward[found].astype(np.int64) if inward else found
        return places


class Then:
    """A moment: a transaction and an instant, as the claims that were read know it."""

    def __init__(self, shelves: Shelves, ended: Ended, t: int, at: Instant) -> None:
        """Take the claims, and what ended; the moment must be within what these know."""
        self.t, self.at = t, at
        self._shelves, self._picture, self._ended = shelves, shelves.picture, ended

    def so(self, claims: Claims) -> Bools:
        """Which of these claims, none of which has ended, were so?"""
        so = (claims.begun <= self.t) & (claims.since <= self.at)
        if claims.until.size:
            so &= claims.until > self.at
        return so

    def _was(self, places: Longs) -> Bools:
        """Which of the claims that are not so now were so then?"""
        past = self._ended.past
        held = (past.gone[places] > self.t) | (past.stayed[places] > self.at)
        so: Bools = held & self.so(past.claims.chosen(places))
        return so

    def also(self, found: Claims, known: NDArray[Any], *, inward: bool) -> Claims:
        """Return what was so of the claims of some things, in the order in which they were."""
        found = found.chosen(self.so(found))
        places = self._ended.places(known, inward=inward)
        places = places[self._was(places)] if places.size else places
        if not places.size:
            return found
        every = together((found, self._ended.past.claims.chosen(places)))
        ends = every.targets if inward else every.sources
        others = every.sources if inward else every.targets
        keys = (every.begun, every.documents, others, every.kinds, ends)
        return every.chosen(np.lexsort(keys))

    @property
    def partial(self) -> Bools | None:
        """By number: of which things not every claim is held; None where all are."""
        return self._picture.partial

    def as_at(self, at: Instant) -> bool:
        """Was at another instant the same so, as far as claims are concerned?"""
        low, high = sorted((at, self.at))
        past = self._ended.past
        every = (self._picture.claims, past.claims)
        times = [*(one.since for one in every), *(one.until for one in every), past.stayed]
        return not any(bool(((some > low) & (some <= high)).any()) for some in times)

    def picture(
        self, newest: Callable[[Mapping[int, Collection[int]]], Mapping[int, int]]
    ) -> Picture:
        """
        Return all that was so as a picture of its own, to be compiled.

        *newest* tells it of a model's versions at the moment, by their keys. Of claims that are
        not held one by one, nothing is in it.
        """
        picture, past = self._picture, self._ended.past
        was = np.flatnonzero(self._was(np.arange(len(past.claims))))
        so = np.flatnonzero(self.so(picture.claims))
        now = replace(_untimed(picture.claims).chosen(so), sources=self._shelves.sources(so))
        claims = together((now, _untimed(past.claims).chosen(was))) if was.size else now
        numbers = picture.numbers
        return replace(
            picture,
            claims=claims,
            same=picture.same if past.alike(self.t) else numbers.each(past.same(self.t)),
            newest=newest if numbers.keys is None else by_number(newest, numbers.keys),
            folded=None,
            past=None,
        )

    def groups(self, members: Mapping[int, frozenset[int]]) -> Mapping[int, frozenset[int]]:
        """Return by key the groups of names that were one then; *members* are those of now."""
        past = self._ended.past
        return members if past.alike(self.t) else Groups(past.same(self.t))


def _untimed(claims: Claims) -> Claims:
    return replace(claims, begun=np.zeros(0, np.int32), until=np.zeros(0, np.int64))

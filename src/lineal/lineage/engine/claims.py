"""All claims of a moment as columns: what the engine is built from, and reads from a store in bulk.

Things are keys, kinds and types small numbers that index their names.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineal.lineage.engine.adjacency import Ints, Longs


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims of edges, one to a place: parallel arrays."""

    sources: Ints
    kinds: NDArray[np.uint8]
    targets: Ints
    layers: NDArray[np.uint8]
    documents: Ints
    #: Since when each is so; empty where nobody asks for it (only exact walks do).
    since: Longs

    def __len__(self) -> int:
        return int(self.sources.size)

    def chosen(self, places: NDArray[Any]) -> Claims:
        """Return some of the claims: places, or a yes or no for each."""
        since = self.since[places] if self.since.size else self.since
        return Claims(
            self.sources[places], self.kinds[places], self.targets[places],
            self.layers[places], self.documents[places], since,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that a walk at one moment may need to know."""

    #: Keys are below this.
    things: int
    #: The type of each key, as a place in its names; the last name is "" and of no thing.
    types: NDArray[Any]
    type_names: tuple[str, ...]
    claims: Claims
    kind_names: tuple[str, ...]
    layer_names: tuple[str, ...]
    #: Pairs of names of one thing, vetoes already heeded.
    same: NDArray[np.int64]
    #: Of each model's versions, none of which is in use, which is the newest?
    newest: Callable[[Mapping[int, Collection[int]]], Mapping[int, int]]

    def kinds(self, names: Collection[str]) -> NDArray[np.bool_]:
        """Return by number which kinds are among *names*."""
        return np.array([name in names for name in self.kind_names], np.bool_)

    def of_type(self, names: Collection[str]) -> NDArray[np.bool_]:
        """Return by number which types are among *names*."""
        return np.array([name in names for name in self.type_names], np.bool_)


class Relation:
    """Pairs (from, to) of keys with a yes or no each, looked up from the left in bulk."""

    def __init__(
        self, size: int, left: NDArray[Any], right: NDArray[Any], said: NDArray[np.bool_]
    ) -> None:
        """Keys are below *size*. Of a pair that is there with yes and with no, the yes counts."""
        packed = left.astype(np.int64) << 32 | right.astype(np.int64) << 1 | ~said
        packed.sort()
        first = np.ones(packed.size, np.bool_)
        np.not_equal(packed[1:] >> 1, packed[:-1] >> 1, out=first[1:])
        packed = packed[first]
        self._size = size
        self.left = (packed >> 32).astype(np.int32)
        self.right = ((packed >> 1) & 0x7FFF_FFFF).astype(np.int32)
        self.said = (packed & 1) == 0
        self._first = np.zeros(size + 1, np.int32)
        np.cumsum(np.bincount(self.left, minlength=size), out=self._first[1:])

    def __len__(self) -> int:
        return int(self.left.size)

    def joined(self, keys: NDArray[Any]) -> tuple[Longs, Longs]:
        """Return for each match the place in *keys*, and that of the pair."""
        begin = self._first[keys].astype(np.int64)
        counts = self._first[keys + 1] - begin
        of = np.repeat(np.arange(keys.size), counts)
        ends = np.cumsum(counts)
        places = np.arange(of.size) + np.repeat(begin - (ends - counts), counts)
        return of, places

    def turned(self) -> Relation:
        """Return the pairs the other way round."""
        return Relation(self._size, self.right, self.left, self.said)

    def closed(self, *, keep: bool) -> Relation:
        """
        Return also what pairs lead to one after another, but to oneself.

        A longer way says yes where all its pairs do, if *keep*; else it never does.
        """
        every, last = self, self
        while len(last):
            of, places = self.joined(last.right)
            left, right = last.left[of], self.right[places]
            said = last.said[of] & self.said[places] & keep
            other = left != right
            more = Relation(
                self._size,
                np.concatenate([every.left, left[other]]),
                np.concatenate([every.right, right[other]]),
                np.concatenate([every.said, said[other]]),
            )
            if len(more) == len(every) and bool(np.array_equal(more.said, every.said)):
                break
            last = Relation(self._size, left[other], right[other], said[other])
            every = more
        return every


def representatives(things: int, same: NDArray[np.int64]) -> Ints:
    """Return for each key the smallest key of its group: the one that stands for all its names."""
    stands = np.arange(things, dtype=np.int32)
    found: dict[int, int] = {}

    def first(key: int) -> int:
        while (above := found.get(key, key)) != key:
            found[key] = key = found.get(above, above)
        return key

    for one, other in same.tolist():
        low, high = sorted((first(one), first(other)))
        found[high] = low
    for key in list(found):
        stands[key] = first(key)
    return stands

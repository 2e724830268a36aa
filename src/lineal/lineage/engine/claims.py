"""All claims of a moment as columns: what the engine is built from, and reads from a store in bulk.

Things are keys, kinds and types small numbers that index their names.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineal.lineage.engine.adjacency import Bools, Ints, Longs
from lineal.lineage.laws import BELIEVED
from lineal.model import Instant

#: A time, or a transaction, that never comes; and a time before all.
NEVER, ALWAYS = 1 << 62, -(1 << 62)


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims of edges, one to a place: parallel arrays."""

    #: Empty where they lie in the order of their sources, and `Shelves` tells whose they are.
    sources: Ints
    kinds: NDArray[np.uint8]
    targets: Ints
    layers: NDArray[np.uint8]
    documents: Ints
    #: Since when each is so; empty where nobody asks for it (only exact walks do).
    since: Longs
    #: Since which transaction each is held, and until when it is so; empty where nobody asks for
    #: it, or none has an end.
    begun: Ints = field(default_factory=lambda: np.zeros(0, np.int32))
    until: Longs = field(default_factory=lambda: np.zeros(0, np.int64))

    def __len__(self) -> int:
        return int(self.kinds.size)

    @property
    def nbytes(self) -> int:
        """How much memory they take."""
        ends = self.sources.nbytes + self.targets.nbytes + self.documents.nbytes
        times = self.since.nbytes + self.begun.nbytes + self.until.nbytes
        return ends + self.kinds.nbytes + self.layers.nbytes + times

    def chosen(self, places: NDArray[Any]) -> Claims:
        """Return some of the claims: places, or a yes or no for each."""

        def some(column: NDArray[Any]) -> NDArray[Any]:
            return column[places] if column.size else column

        return Claims(
            some(self.sources), self.kinds[places], self.targets[places], self.layers[places],
            some(self.documents), some(self.since), some(self.begun), some(self.until),
        )  # fmt: skip


def believed(claims: Claims, layer_names: Collection[str]) -> Bools:
    """Which claims are not only suggested? See `laws.believed`."""
    names = np.array([name in BELIEVED for name in layer_names], np.bool_)
    found: Bools = names[claims.layers]
    return found


def together(pieces: Iterable[Claims]) -> Claims:
    """Return the claims of all pieces, one after another; there must be one."""
    some = list(pieces)
    ends = any(one.until.size for one in some)
    timed = all(one.begun.size == len(one) for one in some)
    none = np.zeros(0, np.int32), np.zeros(0, np.int64)
    every = [
        (
            one.sources, one.kinds, one.targets, one.layers, one.documents, one.since,
            one.begun if timed else none[0],
            none[1] if not timed or not ends
            else one.until if one.until.size == len(one)
            else np.full(len(one), NEVER),
        )
        for one in some
    ]  # fmt: skip
    return Claims(*(np.concatenate(columns) for columns in zip(*every, strict=True)))


@dataclass(frozen=True, slots=True)
class Folded:
    """
    Claims of occurrences that are not held one by one, as those of what stands in for them.

    One for all claims that say the same of the same: ``since`` is when it was first seen.
    """

    claims: Claims
    #: When each was last seen, and how many claims it stands for.
    last: Longs
    counts: Longs

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        return self.claims.nbytes + self.last.nbytes + self.counts.nbytes


@dataclass(frozen=True, slots=True)
class Past:
    """The claims that are not so at a moment, but may have been at another, and names then."""

    #: Of what had ended by this transaction, and was not so any more by this instant, nothing is
    #: held here.
    t: int
    at: Instant
    #: In the order of their sources; with when they began, and until when they were to be so.
    claims: Claims
    #: Until which transaction each was held, and until when it was so; `ALWAYS` where it never was.
    gone: Longs
    stayed: Longs
    #: Pairs of keys, whether one or two things, and from when to when (transactions) it was held.
    named: NDArray[np.int64]

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        return self.claims.nbytes + self.gone.nbytes + self.stayed.nbytes + self.named.nbytes

    def within(self, t: int, at: Instant) -> bool:
        """Is all known that is needed to tell what was so at a moment?"""
        return t >= self.t and at >= self.at

    def same(self, t: int) -> NDArray[np.int64]:
        """Return the pairs of keys that were held to be one at a transaction."""
        one, other, joined, begun, gone = self.named.T
        held = (begun <= t) & (gone > t)
        parted = set(zip(one[held & (joined == 0)].tolist(), other[held & (joined == 0)].tolist(),
                         strict=True))  # fmt: skip
        pairs = zip(one[held & (joined == 1)].tolist(), other[held & (joined == 1)].tolist(),
                    strict=True)  # fmt: skip
        return np.array(sorted(set(pairs) - parted), np.int64).reshape(-1, 2)

    def alike(self, t: int) -> bool:
        """Were the names at a transaction what they are now?"""
        begun, gone = self.named[:, 3], self.named[:, 4]
        return not bool(((begun > t) | ((gone > t) & (gone != NEVER))).any())


@dataclass(frozen=True, slots=True)
class Numbers:
    """Under which number the engine holds a key: its own, or its place among those held."""

    #: A key that is its own number is below this.
    things: int
    #: The held keys, ascending; None where every key is its own number.
    keys: Ints | None = None

    def of(self, keys: Iterable[int]) -> Longs:
        """Return the numbers of those keys that are held, ascending."""
        wanted: Longs = np.array(sorted(keys), np.int64)
        if self.keys is None:
            own: Longs = wanted[wanted < self.things]
            return own
        places = np.searchsorted(self.keys, wanted)
        there = places < self.keys.size
        there[there] = self.keys[places[there]] == wanted[there]
        held: Longs = places[there]
        return held

    def each(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of each of these keys, all of which are held."""
        return keys if self.keys is None else np.searchsorted(self.keys, keys).astype(np.int64)

    def number(self, key: int) -> int | None:
        """Return the number of a key; None where it is not held."""
        if self.keys is None:
            return key if key < self.things else None
        place = int(np.searchsorted(self.keys, key))
        return place if place < self.keys.size and self.keys[place] == key else None

    def key(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """Return the keys under these numbers: of what only stands in for others, none."""
        if self.keys is None:
            return numbers
        keys: Ints = self.keys[numbers[numbers < self.keys.size]]
        return keys


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that a walk at one moment may need to know; things by their `Numbers`."""

    #: Numbers are below this.
    things: int
    #: The type of each thing, as a place in its names; the last name is "" and of no thing.
    types: NDArray[Any]
    type_names: tuple[str, ...]
    claims: Claims
    kind_names: tuple[str, ...]
    layer_names: tuple[str, ...]
    #: Pairs of names of one thing, vetoes already heeded.
    same: NDArray[np.int64]
    #: Of each model's versions, none of which is in use, which is the newest?
    newest: Callable[[Mapping[int, Collection[int]]], Mapping[int, int]]
    numbers: Numbers
    #: What is known of the occurrences that are not held; None where all are.
    folded: Folded | None = None
    #: By number: of which things not every claim is held; and at which an exact walk may miss one.
    partial: NDArray[np.bool_] | None = None
    vague: NDArray[np.bool_] | None = None
    #: What was so before; None where nobody asks for it.
    past: Past | None = None

    @property
    def stated(self) -> Claims:
        """All claims, those that stand for several too."""
        return self.claims if self.folded is None else together((self.claims, self.folded.claims))

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

    @classmethod
    def again(cls, size: int, columns: Mapping[str, NDArray[Any]]) -> Relation:
        """Return the relation of which these are the columns."""
        found = cls.__new__(cls)
        found._size, found.left, found.right = size, columns["left"], columns["right"]
        found.said, found._first = columns["said"], columns["first"]
        return found

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns that it lies in."""
        return {"left": self.left, "right": self.right, "said": self.said, "first": self._first}

    def __len__(self) -> int:
        return int(self.left.size)

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        return sum(column.nbytes for column in self.columns.values())

    def joined(self, keys: NDArray[Any]) -> tuple[Longs, Longs]:
        """Return for each match the place in *keys*, and that of the pair."""
        if not self.left.size or not keys.size:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        # Most have none: to ask that of one byte each is quicker than to read where rows begin.
        some = np.flatnonzero(self._paired[keys]) if keys.size > 64 else np.arange(keys.size)
        begin = self._first[keys[some]].astype(np.int64)
        counts = self._first[keys[some] + 1] - begin
        of = np.repeat(some, counts)
        ends = np.cumsum(counts)
        places = np.arange(of.size) + np.repeat(begin - (ends - counts), counts)
        return of, places

    @cached_property
    def _paired(self) -> NDArray[np.bool_]:
        """Which keys have any pair at all?"""
        paired = np.zeros(self._size, np.bool_)
        paired[self.left] = True
        return paired

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


#: How many names are looked for before all are read.
_FEW = 300


class Groups(Mapping[int, frozenset[int]]):
    """By its key the group of each name that has others beside it."""

    def __init__(self, same: NDArray[np.int64]) -> None:
        """Take pairs of keys that are names of one thing."""
        named = np.unique(same)
        stands = representatives(named.size, np.searchsorted(named, same))
        order = np.argsort(stands, kind="stable")
        begins = np.flatnonzero(np.append(True, np.diff(stands[order]) != 0)[: named.size])
        of = np.zeros(named.size, np.int64)
        of[order] = np.searchsorted(begins, np.arange(named.size), "right") - 1
        self._set(
            {"named": named, "of": of, "members": named[order],
             "first": np.append(begins, named.size)}
        )  # fmt: skip

    @classmethod
    def again(cls, columns: Mapping[str, NDArray[Any]]) -> Groups:
        """Return the groups of which these are the columns."""
        found = cls.__new__(cls)
        found._set(columns)
        return found

    def _set(self, columns: Mapping[str, NDArray[Any]]) -> None:
        self.columns = {name: columns[name] for name in ("named", "of", "members", "first")}
        self._asked = 0
        self._known: dict[int, frozenset[int]] | None = None

    def __getitem__(self, key: int) -> frozenset[int]:
        if self._known is None:
            if self._asked < _FEW and self.columns["named"].size > _FEW:
                self._asked += 1
                return self._found(key)
            self._known = self._every()
        return self._known[key]

    def _found(self, key: int) -> frozenset[int]:
        named, of, members, first = self.columns.values()
        at = int(np.searchsorted(named, key))
        if at == named.size or named[at] != key:
            raise KeyError(key)
        begin, end = first[int(of[at])], first[int(of[at]) + 1]
        return frozenset(np.asarray(members[begin:end]).tolist())

    def _every(self) -> dict[int, frozenset[int]]:
        members, first = (self.columns[name] for name in ("members", "first"))
        bounds, every = np.asarray(first).tolist(), np.asarray(members).tolist()
        groups = [frozenset(every[begin:end]) for begin, end in pairwise(bounds)]
        return {key: group for group in groups for key in group}

    def __iter__(self) -> Iterator[int]:
        return iter(np.asarray(self.columns["named"]).tolist())

    def __len__(self) -> int:
        return int(self.columns["named"].size)

    @property
    def nbytes(self) -> int:
        """How much memory the columns take."""
        return sum(column.nbytes for column in self.columns.values())

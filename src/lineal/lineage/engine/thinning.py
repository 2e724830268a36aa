"""Which occurrences the engine holds where there are very many, and as what it holds the rest.

Held are those that something kept refers to, and the newest of each whole. All others that are
alike (parts of the same wholes) become one thing that stands in for them, and their claims one
claim with when it was first seen, last seen, and how often. A logical walk never shows such an
occurrence: it counts for its whole. So it comes to the same over what stands in for it; what asks
for the occurrences themselves, or comes to a thing some claims of which are not held, is not for
the engine to answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lineal.lineage.engine.adjacency import Bools, Ints, Longs
from lineal.lineage.engine.claims import (
    Claims,
    Folded,
    Numbers,
    Past,
    Picture,
    believed,
    together,
)
from lineal.lineage.laws import CURRENT, LIFTED
from lineal.shapes import Shapes

#: Where in a packed claim its source and kind begin, and where its target does.
_SOURCE, _KIND, _LAYER = 37, 29, 27
_END = (1 << _LAYER) - 1
#: Wholes within wholes, and wholes of one thing, beyond which an occurrence is held as it is.
_DEEP, _WHOLES = 6, 6
#: How many claims that stand for others are gathered before those that say the same are joined.
_GATHERED = 4_000_000


@dataclass(frozen=True, slots=True)
class Rule:
    """Which occurrences are held."""

    #: Where there are no more than so many, all are.
    many: int = 250_000
    #: Of each whole (a pipeline, a data set) its newest ones are, so many.
    last: int = 10


class Pieces(Protocol):
    """A picture that need not lie in memory all at once: things are keys, claims come in pieces."""

    @property
    def things(self) -> int:
        """Keys are below this."""

    @property
    def types(self) -> NDArray[Any]:
        """The type of each key, as a place in the names."""

    @property
    def type_names(self) -> tuple[str, ...]:
        """The names of types; the last is "" and of no thing."""

    @property
    def kind_names(self) -> tuple[str, ...]:
        """The names of kinds."""

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The names of layers."""

    @property
    def same(self) -> NDArray[np.int64]:
        """Pairs of names of one thing."""

    @property
    def fine(self) -> Longs:
        """The documents that state edges of columns or features, ascending."""

    def levels(self) -> Claims:
        """Return the claims that join a part to its whole."""

    def named_by(self, types: Collection[str]) -> Longs:
        """Return the ends of all claims that begin at things of these types."""

    def claims(self) -> Iterator[Claims]:
        """Yield all claims, those of `levels` too, a piece at a time."""

    def newest(self, models: Mapping[int, Collection[int]]) -> Mapping[int, int]:
        """Return which version of each model is the newest."""


def droppable(shapes: Shapes) -> frozenset[str]:
    """Return the types of things of which not all need be held: they count for their wholes."""
    return frozenset(
        name for name, shape in shapes.types.items() if shape.occurrence and name in LIFTED
    )


def occurrences(pieces: Pieces, shapes: Shapes) -> int:
    """Return how many things there are of which not all need be held."""
    names = droppable(shapes)
    counts = np.bincount(pieces.types, minlength=len(pieces.type_names))
    return sum(int(counts[at]) for at, name in enumerate(pieces.type_names) if name in names)


def thinned(pieces: Pieces, shapes: Shapes, rule: Rule, past: Past | None = None) -> Picture:
    """
    Return a picture of all things but the occurrences that *rule* does not hold.

    *past* is by keys, as all else; what it tells of what is not held is left out.

    Raises:
        OverflowError: there are more things or kinds than the engine's numbers hold.
    """
    level = pieces.levels()
    level = level.chosen(believed(level, pieces.layer_names))
    names = pieces.same if past is None else past.named[:, :2]
    stand_in, stood, count = _stand_ins(pieces, shapes, rule, level, names)
    dropped = stand_in >= 0
    keys = np.flatnonzero(~dropped).astype(np.int32)
    numbers = np.empty(pieces.things, np.int32)
    numbers[keys] = np.arange(keys.size, dtype=np.int32)
    numbers[dropped] = keys.size + stand_in[dropped]
    things = int(keys.size) + count
    types = np.full(things, len(pieces.type_names) - 1, pieces.types.dtype)
    types[: keys.size] = pieces.types[keys]
    types[keys.size :] = stood
    held, folded = _divided(pieces, numbers, int(keys.size))
    partial = _partial(folded.claims, things, int(keys.size))
    if past is not None:
        past, left_out = _past(past, numbers, int(keys.size))
        partial[left_out] = True
    kinds = np.array([name in shapes.level_kinds for name in pieces.kind_names], np.bool_)
    vague = _vague((held, folded.claims), types, partial, pieces, kinds)
    return Picture(
        things, types, pieces.type_names, held, pieces.kind_names, pieces.layer_names,
        numbers[pieces.same].astype(np.int64), by_number(pieces.newest, keys),
        Numbers(things, keys), folded, partial, vague, past,
    )  # fmt: skip


# ── Which are held, and what stands in for the others ────────────────────────────────────────────


def _stand_ins(
    pieces: Pieces, shapes: Shapes, rule: Rule, level: Claims, names: NDArray[np.int64]
) -> tuple[Ints, NDArray[Any], int]:
    """Return by key what stands in for it, or -1; the types of those; how many there are."""
    may = _unneeded(pieces, shapes, rule, level)
    may[names.ravel()] = False
    stand_in = np.full(pieces.things, -1, np.int32)
    stood: list[NDArray[Any]] = []
    count = 0
    mine = may[level.sources]
    packed = level.sources[mine].astype(np.uint64) << np.uint64(_SOURCE - 2)
    packed |= level.kinds[mine].astype(np.uint64) << np.uint64(_LAYER)
    packed |= level.targets[mine].astype(np.uint64)
    packed = np.unique(packed)
    sources = (packed >> np.uint64(_SOURCE - 2)).astype(np.int32)
    kinds = ((packed >> np.uint64(_LAYER)) & np.uint64(0xFF)).astype(np.int64)
    targets = (packed & np.uint64(_END)).astype(np.int32)
    del packed, mine
    for _ in range(_DEEP):
        # Whatever is a part only of what is held, or of what something stands in for already.
        waiting = may[targets] & (stand_in[targets] < 0)
        ready = may & (stand_in < 0)
        ready[sources[waiting]] = False
        now = ready[sources]
        if not now.any():
            break
        ends = targets[now].astype(np.int64)
        resolved = stand_in[ends] >= 0
        ends[resolved] = pieces.things + stand_in[ends[resolved]]
        some, alike, kind = _alike(sources[now], kinds[now], ends, pieces.types)
        stand_in[some] = count + alike
        stood.append(kind)
        count += kind.size
    return stand_in, np.concatenate([*stood, np.zeros(0, pieces.types.dtype)]), count


def _unneeded(pieces: Pieces, shapes: Shapes, rule: Rule, level: Claims) -> Bools:
    """Return by key which need not be held."""
    names, kinds = pieces.type_names, pieces.kind_names
    own = np.full(len(names), -1, np.int64)
    for at, name in enumerate(names):
        if name in droppable(shapes) and LIFTED[name] in kinds:
            own[at] = kinds.index(LIFTED[name])
    lifts: Bools = own[pieces.types[level.sources]] == level.kinds
    # No step of a logical walk leads to these.
    never = np.zeros(pieces.things, np.bool_)
    never[level.sources[lifts]] = True
    never[pieces.same.ravel()] = False
    # What is shown shows its wholes, and the wholes of those.
    shown, more = ~never, True
    while more:
        above = level.targets[shown[level.sources]]
        more = not bool(shown[above].all())
        shown[above] = True
    may = ~shown
    keepers = [
        name for name, shape in shapes.types.items()
        if (shape.grain == "exact" or shape.occurrence) and name not in droppable(shapes)
    ]  # fmt: skip
    may[pieces.named_by(keepers)] = False
    may[_newest(level.chosen(lifts), rule.last)] = False
    may[np.bincount(level.sources, minlength=pieces.things) > _WHOLES] = False
    return may


def _newest(parts: Claims, last: int) -> Ints:
    """Return the newest parts of each whole, so many."""
    if not len(parts) or last <= 0:
        return np.zeros(0, np.int32)
    # To the second: what began in the same one is in any order.
    seconds = (np.maximum(parts.since, 0) // 1_000_000).astype(np.uint64)
    packed = parts.targets.astype(np.uint64) << np.uint64(_SOURCE)
    packed |= seconds & np.uint64((1 << _SOURCE) - 1)
    order = np.argsort(packed)
    wholes = parts.targets[order]
    ends = np.append(np.flatnonzero(wholes[1:] != wholes[:-1]) + 1, wholes.size)
    left = np.repeat(ends, np.diff(ends, prepend=0)) - np.arange(wholes.size)
    return parts.sources[order[left <= last]]


def _alike(
    sources: Ints, kinds: Longs, ends: Longs, types: NDArray[Any]
) -> tuple[Ints, Ints, NDArray[Any]]:
    """
    Number things so that those of one type and with the same wholes have one number.

    Takes their level claims, ordered by source, kind and end. Returns the things, the number of
    each, and the type of each number.
    """
    first = np.ones(sources.size, np.bool_)
    np.not_equal(sources[1:], sources[:-1], out=first[1:])
    begin = np.flatnonzero(first)
    things = sources[begin]
    counts = np.diff(np.append(begin, sources.size))
    alike = types[things].astype(np.int64)
    for at in range(int(counts.max())):
        more = np.flatnonzero(counts > at)
        places = begin[more] + at
        # So far alike, and the next whole too.
        _, ranked = np.unique(kinds[places] << 32 | ends[places], return_inverse=True)
        _, alike[more] = np.unique(alike[more] << 32 | ranked, return_inverse=True)
        # Who has no more wholes is unlike who has.
        alike[more] += int(alike.max()) + 1
    _, where, alike = np.unique(alike, return_index=True, return_inverse=True)
    return things, alike.astype(np.int32), types[things[where]]


# ── Their claims ─────────────────────────────────────────────────────────────────────────────────


def _divided(pieces: Pieces, numbers: Ints, held: int) -> tuple[Claims, Folded]:
    """Return the claims between held things as they are, and the others as logical edges."""
    whole = [_no_claims()]
    folded = [_once(_no_claims(), pieces.fine)]
    for piece in pieces.claims():
        ends = numbers[piece.sources], numbers[piece.targets]
        other = np.maximum(*ends) >= held
        mine = replace(piece, sources=ends[0], targets=ends[1])
        whole.append(mine.chosen(~other))
        folded.append(_joined([_once(mine.chosen(other), pieces.fine)]))
        if sum(len(one.claims) for one in folded) > _GATHERED:
            folded = [_joined(folded)]
    return together(whole), _joined(folded)


def _no_claims() -> Claims:
    few, small, none = np.zeros(0, np.int32), np.zeros(0, np.uint8), np.zeros(0, np.int64)
    return Claims(few, small, few, small, few, none)


def _once(claims: Claims, fine: Longs) -> Folded:
    """Take each claim as seen once; who made it matters only where columns are stated (law 3)."""
    documents = claims.documents.copy()
    documents[~np.isin(documents, fine)] = 0
    none = np.zeros(0, np.int32), np.zeros(0, np.int64)
    named = replace(claims, documents=documents, begun=none[0], until=none[1])
    return Folded(named, claims.since, np.ones(len(claims), np.int64))


def _joined(some: list[Folded]) -> Folded:
    """Return those that say the same as one."""
    every = together(one.claims for one in some)
    last = np.concatenate([one.last for one in some])
    counts = np.concatenate([one.counts for one in some])
    packed = every.sources.astype(np.uint64) << np.uint64(_SOURCE)
    packed |= every.kinds.astype(np.uint64) << np.uint64(_KIND)
    packed |= every.layers.astype(np.uint64) << np.uint64(_LAYER)
    packed |= every.targets.astype(np.uint64)
    order = np.lexsort((every.documents, packed)) if every.documents.any() else np.argsort(packed)
    packed, documents = packed[order], every.documents[order]
    fresh = np.ones(packed.size, np.bool_)
    fresh[1:] = (packed[1:] != packed[:-1]) | (documents[1:] != documents[:-1])
    begin = np.flatnonzero(fresh)
    if not begin.size:
        return some[0]
    first = np.minimum.reduceat(every.since[order], begin)
    claims = replace(every.chosen(order[begin]), since=first)
    return Folded(
        claims, np.maximum.reduceat(last[order], begin), np.add.reduceat(counts[order], begin)
    )


def _past(past: Past, numbers: Ints, held: int) -> tuple[Past, Ints]:
    """Return the past by numbers, and those of things of which something is left out."""
    claims = past.claims
    ends = numbers[claims.sources], numbers[claims.targets]
    other = np.maximum(*ends) >= held
    left_out = np.concatenate([ends[0][other], ends[1][other]])
    mine = replace(claims, sources=ends[0], targets=ends[1]).chosen(~other)
    return (
        Past(past.t, past.at, mine, past.gone[~other], past.stayed[~other], past.named),
        left_out[left_out < held],
    )


# ── What cannot be told without them ─────────────────────────────────────────────────────────────


def _partial(folded: Claims, things: int, held: int) -> Bools:
    """Return which things have claims that are not held one by one."""
    partial = np.zeros(things, np.bool_)
    partial[folded.sources] = partial[folded.targets] = True
    partial[held:] = False
    return partial


def _vague(
    every: tuple[Claims, Claims],
    types: NDArray[Any],
    partial: Bools,
    pieces: Pieces,
    level: Bools,
) -> Bools:
    """
    Return at which things an exact walk may miss something, or come to something else.

    What is joined to a thing of which some versions are not held: another may have been current.
    And what these are parts of.
    """
    held, folded = every
    vague = partial.copy()
    names, kinds = pieces.type_names, pieces.kind_names
    current = np.array([name in CURRENT for name in names], np.bool_)
    version = np.array([name == "version_of" for name in kinds], np.bool_)
    of = np.zeros(types.size, np.bool_)
    of[folded.targets[version[folded.kinds]]] = True
    of &= current[types]
    vague[held.sources[of[held.targets]]] = True
    vague[held.targets[of[held.sources]]] = True
    vague[folded.sources[of[folded.targets]]] = True
    vague[folded.targets[of[folded.sources]]] = True
    up = together((held.chosen(level[held.kinds]), folded.chosen(level[folded.kinds])))
    while True:
        more = up.targets[vague[up.sources] & ~vague[up.targets]]
        if not more.size:
            return vague
        vague[more] = True


def by_number(
    newest: Callable[[Mapping[int, Collection[int]]], Mapping[int, int]], keys: Ints
) -> Callable[[Mapping[int, Collection[int]]], Mapping[int, int]]:
    """Let a question about keys be asked of numbers."""

    def asked(models: Mapping[int, Collection[int]]) -> Mapping[int, int]:
        of = {
            int(keys[model]): {int(keys[one]): one for one in versions}
            for model, versions in models.items()
        }
        found = newest({model: list(versions) for model, versions in of.items()})
        numbers = {int(keys[model]): model for model in models}
        return {numbers[model]: of[model][version] for model, version in found.items()}

    return asked

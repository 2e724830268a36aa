"""What a walk comes to as columns, and what is counted of it.

Where the index knows all of a thing, its type, stage, owners, domains and use come from columns
beside the compiled rows; of the few others the store is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from lineal.lineage.engine.adjacency import Bools, Longs, distinct
from lineal.lineage.laws import BELIEVED, believed
from lineal.model import Budget, Cut
from lineal.query.things import Things
from lineal.query.traits import Known, once
from lineal.query.walks import SLICE, Ask, go, way_of

#: Kinds of edges by whose ends things are counted.
OWNER, DOMAIN = "owned_by", "in_domain"

#: Tells of each thing its place among names.
Column: TypeAlias = "Callable[[Longs], tuple[Longs, tuple[str, ...]]]"


@dataclass(slots=True)
class Far:
    """What was reached: things by their keys, how far they are and how sure that is."""

    keys: Longs
    depths: Longs
    possible: Bools
    approximate: Bools

    def chosen(self, wanted: Bools | Longs) -> Far:
        """Return some of it."""
        return Far(
            self.keys[wanted], self.depths[wanted], self.possible[wanted], self.approximate[wanted]
        )


def reached(
    things: Things,
    keys: Collection[int],
    *,
    upstream: bool,
    ask: Ask,
    compiled: Budget | None = None,
) -> tuple[Counting, list[Cut]]:
    """
    Walk: over the compiled rows of the index where they answer it whole, else step by step.

    *compiled*: how far over compiled rows, if not as far as is asked step by step; that takes
    nothing from the budget of the question.
    """
    found = counted(things, keys, upstream=upstream, ask=ask, budget=compiled or ask.budget)
    if found is not None:
        if compiled is None:
            things.reached += len(found)
            things.scanned += found.scanned
        return found, []
    walked = go(things, keys, upstream=upstream, ask=ask)
    every = list(walked.reached.values())
    far = Far(
        np.array([one.key for one in every], np.int64),
        np.array([one.depth for one in every], np.int64),
        np.array([one.possible for one in every], np.bool_),
        np.array([one.approximate for one in every], np.bool_),
    )
    return Counting(things, far, None), list(walked.why)


def counted(
    things: Things, keys: Collection[int], *, upstream: bool, ask: Ask, budget: Budget
) -> Counting | None:
    """Walk over compiled rows; None where there are none, or they do not answer it whole."""
    if things.index is None:
        return None
    way = way_of(things, keys, upstream=upstream, ask=ask)
    found = things.index.reach(things.reader, keys, way, budget)
    if found is None:
        return None
    reach, _ = found
    far = Far(
        reach.things.astype(np.int64), reach.depths.astype(np.int64),
        reach.possible, reach.approximate,
    )  # fmt: skip
    known = things.index.known(things.reader)
    return Counting(things, far, known, scanned=reach.scanned)


class Counting:
    """Counts what was reached: by columns where all of a thing is known, else by the store."""

    def __init__(self, things: Things, far: Far, known: Known | None, *, scanned: int = 0) -> None:
        self._things, self._known = things, known
        #: How many edges were looked at.
        self.scanned = scanned
        sure = np.zeros(far.keys.size, np.bool_) if known is None else known.sure(far.keys)
        self.far, self._sure = self._under_one_name(far, sure)
        uris = things.reader.uris(self._unsure())
        self._types, self._type_names = self._coded(
            None if known is None else known.types, {key: uri.type for key, uri in uris.items()}
        )
        self._stages = dict[int, str]()
        #: By kind of edge, where it leads from each thing that the store was asked of.
        self._ends = {OWNER: dict[int, list[int]](), DOMAIN: dict[int, list[int]]()}
        self._live = set[int]()

    def _unsure(self) -> list[int]:
        found: list[int] = self.far.keys[~self._sure].tolist()
        return found

    def _under_one_name(self, far: Far, sure: Bools) -> tuple[Far, Bools]:
        """Return each thing once, as near and as sure as any of its names, and if all is known."""
        unsure = far.keys[~sure].tolist()
        if not unsure:
            return far, sure
        one = self._things.one(unsure)
        keys = far.keys.copy()
        keys[~sure] = [one[key] for key in unsure]
        # A name that only stands beside a start tells nothing where another was reached.
        order = np.lexsort((far.approximate, far.possible, far.depths, far.depths == 0, keys))
        keys = keys[order]
        begin = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: keys.size])
        joined = Far(
            keys[begin], far.depths[order][begin],
            np.logical_and.reduceat(far.possible[order], begin), far.approximate[order][begin],
        )  # fmt: skip
        return joined, np.logical_and.reduceat(sure[order], begin)

    def _coded(
        self, column: Column | None, others: Mapping[int, str]
    ) -> tuple[Longs, tuple[str, ...]]:
        """Return a name of each thing, as a place among names; -1 where it was not asked for."""
        codes = np.full(self.far.keys.size, -1)
        names: dict[str, int] = {}
        if column is not None:
            known, called = column(self.far.keys[self._sure])
            names = {name: code for code, name in enumerate(called)}
            codes[self._sure] = known
        codes[~self._sure] = [
            names.setdefault(others[key], len(names)) if key in others else -1
            for key in self._unsure()
        ]
        return codes, tuple(names)

    def __len__(self) -> int:
        return int(self.far.keys.size)

    def of_types(self, types: Collection[str] | None) -> list[int]:
        """Return what is of these types, or all of it, as it was reached: the starts too."""
        keys = self.far.keys
        if types is not None:
            wanted = np.array([name in types for name in self._type_names], np.bool_)
            keys = keys[wanted[self._types]]
        found: list[int] = keys.tolist()
        return found

    def page(self, limit: int, offset: int) -> tuple[Far, set[int]]:
        """Return a part of it, nearest first and of those the first recorded, and what is live."""
        wanted, places, left = offset + limit, list[Longs](), 0
        for depth in np.flatnonzero(np.bincount(self.far.depths)).tolist():
            if left >= wanted:
                break
            level = np.flatnonzero(self.far.depths == depth)
            keys, most = self.far.keys[level], wanted - left
            left += level.size
            if most < level.size:
                level = level[np.argpartition(keys, most - 1)[:most]]
                keys = self.far.keys[level]
            places.append(level[np.argsort(keys)])
        none = np.zeros(0, np.int64)
        chosen = np.concatenate([none, *places])[offset:wanted]
        page, sure = self.far.chosen(chosen), self._sure[chosen]
        live = self._things.live(page.keys[~sure].tolist())
        if self._known is not None:
            known = page.keys[sure]
            live |= set(known[self._known.live(known)].tolist())
        return page, live

    def keep(self, own: Collection[int], ask: Ask) -> None:
        """
        Leave out what is not told: the starts themselves, and what stands only beside them.

        And other types than asked for, and columns, of which the data sets are there.
        """
        wanted = (self.far.depths > 0) & ~np.isin(self.far.keys, sorted(own))
        told = np.array(
            [
                (name != "column" or ask.columns) and (ask.types is None or name in ask.types)
                for name in self._type_names
            ],
            np.bool_,
        )
        self._leave(wanted & told[self._types])

    def ask_store(self) -> list[Cut]:
        """Read of what no column tells, a slice at a time; say if the time for it was used up."""
        unsure, things = self._unsure(), self._things
        for first in range(0, len(unsure), SLICE):
            if first and things.must_end():
                return [Cut("time", "looked at", done=first, total=len(unsure))]
            some = unsure[first : first + SLICE]
            for key, entity in things.merged(some).items():
                stage = entity.attributes.get("stage")
                self._stages[key] = stage if isinstance(stage, str) else ""
            self._live |= things.live(some)
            self._ends[OWNER].update(things.owners(some))
            self._ends[DOMAIN].update(things.domains(some))
        return []

    def narrow(
        self,
        *,
        stage: str | None,
        distance: int | None,
        live: bool | None,
        ends: Mapping[str, int | None],
    ) -> None:
        """
        Leave out all but what was asked for; only after `ask_store`.

        *ends* are where edges of a kind must lead; None: no edge of the kind leads anywhere. A
        stage of "" is none.
        """
        wanted = np.ones(self.far.keys.size, np.bool_)
        if stage is not None:
            codes, names = self._coded(
                None if self._known is None else self._known.stages, self._stages
            )
            wanted &= codes == (names.index(stage) if stage in names else len(names))
        if distance is not None:
            wanted &= self.far.depths == distance
        if live is not None:
            wanted &= self.alive() == live
        for kind, end in ends.items():
            wanted &= self._leads(kind, end)
        self._leave(wanted)

    def _leave(self, wanted: Bools) -> None:
        """Leave nothing else than what is wanted, nor what was read of it."""
        self.far, self._sure = self.far.chosen(wanted), self._sure[wanted]
        self._types = self._types[wanted]
        left = set(self._unsure())
        self._stages = {key: said for key, said in self._stages.items() if key in left}
        self._live &= left
        for some in self._ends.values():
            for key in some.keys() - left:
                del some[key]

    def alive(self) -> Bools:
        """Return which are live by themselves; only after `ask_store`."""
        found: Bools = np.isin(self.far.keys, sorted(self._live))
        if self._known is not None:
            found[self._sure] = self._known.live(self.far.keys[self._sure])
        return found

    def _leads(self, kind: str, end: int | None) -> Bools:
        """From which does an edge of a kind lead to an end; with None, from which to none?"""
        read = self._ends[kind]
        if end is None:
            fits = {key for key, ends in read.items() if not ends}
        else:
            fits = {key for key, ends in read.items() if end in ends}
        found: Bools = np.isin(self.far.keys, sorted(fits))
        if self._known is not None:
            keys = self.far.keys[self._sure]
            places, ends = self._joined(self._known, keys, kind)
            some = np.zeros(keys.size, np.bool_)
            some[places if end is None else places[ends == end]] = True
            found[self._sure] = ~some if end is None else some
        return found

    # ── The counts ───────────────────────────────────────────────────────────────────────────

    def by_type(self) -> dict[str, int]:
        """Return how many there are of each type."""
        return _counted(self._types, self._type_names)

    def by_stage(self) -> dict[str, int]:
        """Return how many there are of each stage."""
        return _counted(
            *self._coded(None if self._known is None else self._known.stages, self._stages)
        )

    def by_depth(self) -> dict[int, int]:
        """Return how many there are at each distance."""
        return _tallied(self.far.depths)

    @property
    def has_columns(self) -> bool:
        """Is most of it told by columns? Of the past the store must be asked of each thing."""
        return self._known is not None

    @property
    def types(self) -> tuple[Longs, tuple[str, ...]]:
        """The type of each thing, as a place in names."""
        return self._types, self._type_names

    def owned(self) -> tuple[Longs, Longs]:
        """Return the places of things and who owns them, each pair once; after `ask_store`."""
        read = [
            (place, end)
            for place, key in zip(np.flatnonzero(~self._sure).tolist(), self._unsure(), strict=True)
            for end in self._ends[OWNER].get(key, ())
        ]
        pairs = np.array(read, np.int64).reshape(-1, 2)
        if self._known is None:
            return pairs[:, 0], pairs[:, 1]
        sure = np.flatnonzero(self._sure)
        places, ends = self._joined(self._known, self.far.keys[sure], OWNER)
        return np.append(sure[places], pairs[:, 0]), np.append(ends, pairs[:, 1])

    def wholes(self) -> tuple[Longs, Longs]:
        """Return the places of things that are parts for a walk, and of what each is one."""
        level, things = frozenset(self._things.shapes.level_kinds), self._things
        unsure = {
            key: place
            for place, key in zip(np.flatnonzero(~self._sure).tolist(), self._unsure(), strict=True)
        }
        links = believed(things.graph.outward(unsure, level)) if unsure else []
        places = np.array([unsure[link.src] for link in links], np.int64)
        ends = np.array([link.dst for link in links], np.int64)
        if self._known is not None:
            sure = np.flatnonzero(self._sure)
            more, theirs = self._known.joined(self.far.keys[sure], level, BELIEVED)
            places, ends = np.append(places, sure[more]), np.append(ends, theirs)
        every = distinct(ends)
        one = things.one(every.tolist())
        shown = np.array([one[key] for key in every.tolist()], np.int64)
        return places, shown[np.searchsorted(every, ends)] if ends.size else ends

    def live(self) -> int:
        """Return how many are live by themselves."""
        if self._known is None:
            return len(self._live)
        return len(self._live) + int(self._known.live(self.far.keys[self._sure]).sum())

    def by_owner(self) -> list[tuple[int | None, int]]:
        """Return how many things each owns; None: what nobody owns."""
        return self._by(OWNER)

    def by_domain(self) -> list[tuple[int | None, int]]:
        """Return how many things each domain holds; None: what is in none."""
        return self._by(DOMAIN)

    def _by(self, kind: str) -> list[tuple[int | None, int]]:
        counts: Counter[int | None] = Counter()
        for some in self._ends[kind].values():
            counts.update(some or (None,))
        if self._known is not None:
            keys = self.far.keys[self._sure]
            places, ends = self._joined(self._known, keys, kind)
            counts.update(_tallied(ends))
            if left := keys.size - int(np.count_nonzero(np.bincount(places))):
                counts[None] += left
        # Of equal counts the first recorded: to ask for all names would cost more than to count.
        last = max((key for key in counts if key is not None), default=0) + 1
        return sorted(counts.items(), key=lambda one: (-one[1], one[0] or last))

    def _joined(self, known: Known, keys: Longs, kind: str) -> tuple[Longs, Longs]:
        """Return where edges of a kind lead, each pair once; from what has none, its wholes'."""
        layers = self._things.reader.layers
        places, ends = known.joined(keys, (kind,), layers)
        has = np.zeros(keys.size, np.bool_)
        has[places] = True
        orphans = np.flatnonzero(~has)
        if orphans.size:
            level = frozenset(self._things.shapes.level_kinds)
            parts, wholes = known.joined(keys[orphans], level, layers)
            above = distinct(wholes)
            of, theirs = self._of_wholes(known, above, kind)
            rows, theirs = _each(np.searchsorted(above, wholes), of, theirs)
            places = np.append(places, orphans[parts[rows]])
            ends = np.append(ends, theirs)
        every = np.flatnonzero(np.bincount(ends))
        one = self._things.one(every.tolist())
        shown = np.zeros(int(every[-1]) + 1 if every.size else 0, np.int64)
        shown[every] = [one[key] for key in every.tolist()]
        return once(places, shown[ends])

    def _of_wholes(self, known: Known, wholes: Longs, kind: str) -> tuple[Longs, Longs]:
        """
        Return where edges of a kind lead from wholes, or from theirs: places and ends.

        A whole may be a part of its own part: from each, nothing is gone up to twice.
        """
        level, layers = frozenset(self._things.shapes.level_kinds), self._things.reader.layers
        places, here = np.arange(wholes.size), wholes
        seen = places << 32 | here
        found = [np.zeros((2, 0), np.int64)]
        while here.size:
            every, which = np.unique(here, return_inverse=True)
            of, ends, orphans = self._own(known, every, kind)
            rows, theirs = _each(which, of, ends)
            found.append(np.stack([places[rows], theirs]))
            parts, above = known.joined(every[orphans], level, layers)
            rows, above = _each(which, orphans[parts], above)
            more = np.setdiff1d(places[rows] << 32 | above, seen)
            seen = np.append(seen, more)
            places, here = more >> 32, more & 0xFFFF_FFFF
        pairs = np.concatenate(found, axis=1)
        return pairs[0], pairs[1]

    def _own(self, known: Known, keys: Longs, kind: str) -> tuple[Longs, Longs, Longs]:
        """
        Return where edges of a kind lead: places and ends; and the places from which none does.

        Of what is not known the store tells, of its wholes too.
        """
        sure = known.sure(keys)
        certain, others = np.flatnonzero(sure), np.flatnonzero(~sure)
        of, ends = known.joined(keys[certain], (kind,), self._things.reader.layers)
        owners = kind == OWNER
        asked = keys[others].tolist()
        read = self._things.owners(asked) if owners else self._things.domains(asked)
        rows = [
            (place, end)
            for place, key in zip(others.tolist(), asked, strict=True)
            for end in read[key]
        ]
        pairs = np.array(rows, np.int64).reshape(-1, 2)
        orphans = np.delete(certain, of)
        return np.append(certain[of], pairs[:, 0]), np.append(ends, pairs[:, 1]), orphans


def _each(which: Longs, of: Longs, ends: Longs) -> tuple[Longs, Longs]:
    """
    Return the ends of each of *which*, where *of* names to which of them each end belongs.

    As places in *which*, and ends.
    """
    order = np.argsort(of, kind="stable")
    first = np.searchsorted(of[order], which)
    counts = np.searchsorted(of[order], which, side="right") - first
    within = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    return np.repeat(np.arange(which.size), counts), ends[order][np.repeat(first, counts) + within]


def _counted(codes: Longs, names: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(codes[codes >= 0], minlength=len(names)).tolist()
    return dict(sorted((names[code], count) for code, count in enumerate(counts) if count))


def _tallied(keys: Longs) -> dict[int, int]:
    """Return how often there is each of some keys."""
    counts = np.bincount(keys)
    every = np.flatnonzero(counts)
    return dict(zip(every.tolist(), counts[every].tolist(), strict=True))

"""Walks on compiled rows: what was reached, how far it is, and how sure that is.

The same answers as `lineal.lineage.walking` gives, of things under the key that stands for all
their names: the smallest of the group.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from lineal.lineage.engine.adjacency import FEW, Bools, Code, Ints, Rows, distinct, firsts
from lineal.lineage.engine.claims import Numbers, Picture, Relation
from lineal.lineage.engine.closure import ENDLESS, reach
from lineal.lineage.engine.compiling import Compiler, Layout
from lineal.lineage.engine.numpy_kernel import spread
from lineal.lineage.engine.reached import Closure
from lineal.lineage.engine.scratch import Scratch
from lineal.lineage.walked import Way
from lineal.model import Budget
from lineal.shapes import Shapes


@dataclass(frozen=True, slots=True)
class Reach:
    """What a walk reached: things by the key that stands for their names, nearest first."""

    things: Ints
    depths: Ints
    possible: Bools
    approximate: Bools
    #: What was cut and why, by the name of the limit; empty if nothing was.
    why: tuple[str, ...]
    scanned: int

    def __len__(self) -> int:
        return int(self.things.size)


@dataclass(slots=True)
class WalkGraph:
    """The compiled graph of one grain, both ways."""

    layout: Layout
    legend: tuple[Code, ...]
    down: Rows
    up: Rows
    #: The key that stands for each key's names.
    stands: Ints
    wholes: Relation
    parts: Relation
    #: The things that no walk may begin at here; see `Compiler.rowless`.
    rowless: Bools
    logical: bool
    #: Under which numbers things stand here.
    numbers: Numbers
    #: At which things a walk may miss something that is not held; None where it never does.
    vague: Bools | None
    _shapes: Shapes
    #: The kernel that walks here, unless another is asked for; the quickest, if None.
    kernel: str | None = None
    _free: list[Scratch] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, picture: Picture, shapes: Shapes, *, logical: bool) -> WalkGraph:
        """Compile the rows of one grain; raises `OverflowError` where the graph is too large."""
        compiler = Compiler(picture, shapes, logical=logical)
        down, up = compiler.rows(upstream=False), compiler.rows(upstream=True)
        wholes, vague = compiler.wholes, None
        if not logical and picture.vague is not None:
            vague = np.zeros(picture.things, np.bool_)
            vague[compiler.stands[picture.vague]] = True
        return cls(
            compiler.layout, compiler.legend, down, up, compiler.stands, wholes, wholes.turned(),
            compiler.rowless, logical, picture.numbers, vague, shapes,
        )  # fmt: skip

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return self.layout.nodes

    @property
    def nbytes(self) -> int:
        """How much memory it takes: rows, nodes, parts and wholes."""
        parts = (
            self.down,
            self.up,
            self.layout,
            self.stands,
            self.wholes,
            self.parts,
            self.rowless,
        )
        return sum(part.nbytes for part in parts)

    def borrow(self) -> Scratch:
        """Take a clean set of scratch arrays; `give_back` it, clean."""
        # Shared with the same graph in which rows were made anew: that has some nodes more.
        while self._free:
            with contextlib.suppress(IndexError):
                found = self._free.pop()
                if found.nodes >= self.nodes:
                    return found
        return Scratch(self.nodes + (self.nodes >> 6) + 64)

    def give_back(self, scratch: Scratch) -> None:
        """Let the next walk use these arrays."""
        self._free.append(scratch)

    def knows(self, starts: Collection[int]) -> bool:
        """Return whether a walk may begin at the things of these numbers."""
        things = self.layout.things
        return all(key < things and not self.rowless[key] for key in starts)

    # ── Which edges ──────────────────────────────────────────────────────────────────────────

    def mask(self, way: Way) -> Bools | None:
        """Return which codes a walk goes by; None where it is the default walk."""
        default = Way(way.upstream, way.logical)
        if (way.classes, way.layers, way.kinds) == (
            default.classes, default.layers, default.kinds,
        ):  # fmt: skip
            return None
        kinds = self._shapes.kinds_in(way.classes)
        if way.kinds is not None:
            kinds &= way.kinds
        return np.array(
            [code.kind in kinds and code.layer in way.layers for code in self.legend], np.bool_
        )

    def _without(self, way: Way, doubt: str) -> Bools:
        """Return which codes a walk goes by that leaves out one sort of doubt."""
        mask = self.mask(way)
        if mask is None:
            mask = np.array([code.default for code in self.legend], np.bool_)
        return mask & np.array([not getattr(code, doubt) for code in self.legend], np.bool_)

    # ── Walking ──────────────────────────────────────────────────────────────────────────────

    def walk(
        self, starts: Collection[int], way: Way, limits: Budget, *, kernel: str | None = None
    ) -> Reach:
        """
        Return what *starts* lead to, within *limits*: numbers in, numbers out.

        Depth is what `walking.walk` says; nodes and edges are counted as they lie here.
        """
        return self.walk_from(self.begin(starts), way, limits, kernel=kernel)

    def begin(self, starts: Collection[int]) -> tuple[Ints, Ints, Bools]:
        """Return where a walk begins: what stands for the starts, its wholes, which are direct."""
        first = distinct(self.stands[np.asarray(sorted(starts), np.int64)])
        _, places = self.wholes.joined(first)
        return first, self.wholes.right[places], self.wholes.said[places]

    def walk_from(
        self,
        begun: tuple[Ints, Ints, Bools],
        way: Way,
        limits: Budget,
        *,
        kernel: str | None = None,
    ) -> Reach:
        """Walk from things that stand for their names, with their wholes, and which are direct."""
        first, above, _ = begun
        kernel = kernel or self.kernel
        begin = np.concatenate([first, self.layout.narrow[above]])
        rows, mask = self.rows(way), self.mask(way)
        every = reach(self, rows, begin, less=rows.rest, mask=mask, limits=limits, kernel=kernel)
        why = every.why
        things, depths = self._things(every)
        if why == ("depth",) and not self._leads_on(rows, mask, every, things):
            why = ()
        deep = limits.depth if why in ((), ("depth",)) else every.bounds.size - 2
        sure = self._is_sure(rows, mask, every)
        # A whole beside a start is a doubtful beginning, whatever the edges are.
        certain = (
            None if sure and not above.size
            else self._doubtless(way, "possible", first, deep, kernel)
        )  # fmt: skip
        exact = None if sure else self._doubtless(way, "approximate", begin, deep, kernel)
        found = Reach(
            things, depths, self._missing(things, certain), self._missing(things, exact),
            why, every.scanned,
        )  # fmt: skip
        if not above.size:
            return found
        self._wholes_again(found, begun, every, certain, exact)
        order = np.argsort(depths, kind="stable")
        return Reach(
            things[order], depths[order], found.possible[order], found.approximate[order],
            why, every.scanned,
        )  # fmt: skip

    def rows(self, way: Way) -> Rows:
        """Return the rows of a walk's direction."""
        return self.up if way.upstream else self.down

    def _doubtless(
        self, way: Way, doubt: str, begin: Ints, depth: int, kernel: str | None
    ) -> Closure | None:
        """Walk without what is doubtful in one way; None where nothing ever is."""
        rows = self.rows(way)
        if self.logical and doubt == "approximate":
            return None
        limits = Budget(depth, ENDLESS.nodes, ENDLESS.edges, ENDLESS.milliseconds)
        if self.logical and self.mask(way) is None:
            return reach(self, rows, begin, less=rows.unsure, limits=limits, kernel=kernel)
        mask = self._without(way, doubt)
        return reach(self, rows, begin, less=None, mask=mask, limits=limits, kernel=kernel)

    def _is_sure(self, rows: Rows, mask: Bools | None, every: Closure) -> bool:
        """Did a walk see no doubtful edge at all, so that walking without them finds the same?"""
        if mask is not None:
            return not any(
                code.possible or code.approximate
                for code, walked in zip(self.legend, mask.tolist(), strict=True) if walked
            )  # fmt: skip
        if rows.unsure is None or rows.unsure is rows.rest:
            return True
        unsure = rows.unsure[every.keys]
        return (
            not unsure.any() if rows.rest is None else bool((unsure == rows.rest[every.keys]).all())
        )

    def _things(self, every: Closure) -> tuple[Ints, Ints]:
        """Return each thing once, as its nearest node, and how far it is."""
        keys, depths = every.keys, every.depths
        if int(keys.max(initial=0)) < self.layout.things:
            return keys, depths
        things = self.layout.thing(keys)
        if things.size < FEW:
            first = firsts(things)
            return things[first], depths[first]
        scratch = self.borrow()
        place, _ = scratch.traces(True)
        order = np.arange(things.size, dtype=np.int32)
        # Of several nodes of a thing the first stays: it is written last.
        place[things[::-1]] = order[::-1]
        first = place[things] == order
        self.give_back(scratch)
        return things[first], depths[first]

    def _missing(self, things: Ints, sure: Closure | None) -> Bools:
        """Return which things a doubtless walk did not come to."""
        if sure is None:
            return np.zeros(things.size, np.bool_)
        scratch, found = self.borrow(), self.layout.thing(sure.keys)
        scratch.seen[found] = 1
        missing: Bools = scratch.seen[things] == 0
        scratch.seen[found] = 0
        self.give_back(scratch)
        return missing

    def _leads_on(self, rows: Rows, mask: Bools | None, every: Closure, things: Ints) -> bool:
        """Would one more step come to any new thing?"""
        level = every.keys[every.bounds[-2] : every.bounds[-1]]
        places, _ = spread(rows, rows.rest if mask is None else None, level)
        if mask is not None:
            places = places[mask[rows.codes[places]]]
        ends = self.layout.thing(rows.targets[places])
        return not bool(np.isin(ends, things).all())

    def _wholes_again(
        self,
        found: Reach,
        begun: tuple[Ints, Ints, Bools],
        every: Closure,
        certain: Closure | None,
        exact: Closure | None,
    ) -> None:
        """
        A whole of a start is as near, and as sure, as the other parts by which it is reached.

        It stands beside the start, zero steps away, where no step leads to it or another part.
        """
        first, above, own = begun
        beyond = np.setdiff1d(above, first)
        whole, through, direct = self._other_parts(beyond, first, above)
        # Where another whole of the start is only shown, and doubtfully, nothing is learned of it.
        held = np.isin(through, above) & (through != whole)
        far = _Arrived(self.layout, every, shown=True), _Arrived(self.layout, every, shown=False)
        sure = _Arrived(self.layout, certain, shown=True)
        true = (
            _Arrived(self.layout, exact, shown=True), _Arrived(self.layout, exact, shown=False),
        )  # fmt: skip
        for place in np.flatnonzero(np.isin(found.things, beyond)).tolist():
            thing = found.things[place]
            mine = whole == thing
            free, known = through[mine & ~held], through[mine & held]
            depths = [far[0].depth(free), far[1].depth(known), sure.depth(known)]
            nearest = min((depth for depth in depths if depth is not None), default=None)
            if nearest is None:
                found.depths[place] = 0
                found.possible[place] = not bool(own[above == thing].any())
                found.approximate[place] = False
                continue
            found.depths[place] = nearest
            found.possible[place] = sure.depth(through[mine & direct]) is None
            if exact is not None:
                ways = [true[0].depth(free), true[1].depth(known)]
                if sure.depth(known) is not None:
                    ways.append(true[0].depth(known))
                found.approximate[place] = all(way is None for way in ways)

    def _other_parts(self, wholes: Ints, first: Ints, above: Ints) -> tuple[Ints, Ints, Bools]:
        """
        Return wholes of the starts, the parts by which they may be reached anew, and if directly.

        What is below a start, or below another whole of it, leads to nothing that is not known.
        """
        known = np.union1d(first, above)
        pairs = [(wholes, wholes, np.ones(wholes.size, np.bool_))]
        below = (wholes, wholes)
        seen = np.zeros(0, np.int64)
        direct = True
        while below[1].size:
            of, places = self.parts.joined(below[1])
            own = self.parts.said[places]
            tops, parts = below[0][of[own]], self.parts.right[places[own]]
            packed = np.setdiff1d(tops.astype(np.int64) << 32 | parts, seen)
            seen = np.union1d(seen, packed)
            tops, parts = (packed >> 32).astype(np.int32), (packed & 0xFFFF_FFFF).astype(np.int32)
            pairs.append((tops, parts, np.full(parts.size, direct, np.bool_)))
            onward = ~np.isin(parts, known)
            below, direct = (tops[onward], parts[onward]), False
        whole, through, sure = (np.concatenate(some) for some in zip(*pairs, strict=True))
        other = ~np.isin(through, first)
        return whole[other], through[other], sure[other]


class _Arrived:
    """The things that the steps of a walk led to, not the wholes beside them, and how far."""

    def __init__(self, layout: Layout, every: Closure | None, *, shown: bool) -> None:
        self._things = self._depths = np.zeros(0, np.int32)
        if every is None:
            return
        steps = every.depths > 0
        steps &= ~layout.stands_for_whole(every.keys)
        if not shown:
            steps &= ~layout.only_shows(every.keys)
        self._things, self._depths = layout.thing(every.keys[steps]), every.depths[steps]

    def depth(self, things: Ints) -> int | None:
        """How far is the nearest of these; None where no step led to one."""
        at = np.isin(self._things, things)
        return int(self._depths[at].min()) if at.any() else None

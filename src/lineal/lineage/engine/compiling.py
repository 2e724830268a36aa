"""The laws of a walk, worked out beforehand for a whole graph, so that a walk only follows rows.

What a walk does at a thing hangs on how it came there: as itself, as the whole of a part, or only
to show it (`lineal.lineage.walking`). So a thing becomes up to three nodes, and every step that the
laws allow an entry of a row: statements of parts stand in the rows of their wholes, steps lead to
the pipeline instead of the run, and beside each part that a step leads to stand its wholes. Names
of one thing are one node. What may be taken in a row only so often (services that call services)
gets a copy of its nodes for each time. Built in bulk: sorted arrays, no loop over things.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineal.lineage.engine.adjacency import (
    CODES,
    LARGEST,
    Bools,
    Code,
    Ints,
    Longs,
    Rows,
    pack,
    rows_of,
    unique,
)
from lineal.lineage.engine.claims import Claims, Picture, Relation, believed, representatives
from lineal.lineage.laws import COARSE, CURRENT, LIFTED, fine_types
from lineal.shapes import Shapes

#: What makes a version active: an edge of this kind, at this side of it.
ACTIVE_IN, ACTIVE_OUT = ("points_to", "deploys"), ("served_in",)
#: Classes whose edges are steps, and those that are taken unless something else is asked for.
STEPS, DEFAULT = ("data", "serve", "feedback", "control"), ("data", "serve")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which nodes stand for which things: nodes below *things* are the things as themselves."""

    things: int
    #: The node of a thing that was reached through a part, only shown, or shown as the whole of
    #: what is only shown; -1 where it has none.
    narrow: Ints
    shown: Ints
    shown_whole: Ints
    #: For nodes from *things* on: the thing, and whether it stands for the whole of a part.
    thing_of: Ints
    is_narrow: Bools
    #: By thing: its place among those that have copies, or -1; and how many copies each has.
    copied: Ints
    copies: int
    #: The first node of the copies: of all things the first copy, then of all the second.
    first_copy: int
    #: Nodes beyond the copies that only show a thing.
    also_shown: Ints = field(default_factory=lambda: np.zeros(0, np.int32))

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return self.things + int(self.thing_of.size)

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        nodes = (self.narrow, self.shown, self.shown_whole, self.thing_of, self.is_narrow)
        return sum(part.nbytes for part in (*nodes, self.copied, self.also_shown))

    def copy_of(self, nodes: Ints, number: int) -> Ints:
        """Return the copies of nodes of things that have some; *number* counts from 1."""
        thing = self.thing(nodes)
        narrow = nodes >= self.things
        count = int(self.copied.max()) + 1 if self.copied.size else 0
        place = self.first_copy + (number - 1) * 2 * count + self.copied[thing] * 2 + narrow
        return place.astype(np.int32)

    def stands_for_whole(self, nodes: Ints) -> Bools:
        """Return which nodes stand for a thing only as the whole of a part."""
        whole = nodes >= self.things
        whole[whole] = self.is_narrow[nodes[whole] - self.things]
        return whole

    def only_shows(self, nodes: Ints) -> Bools:
        """Return which nodes only show a thing."""
        only = (nodes >= self.things) & (nodes < self.first_copy)
        only[only] = self.shown[self.thing_of[nodes[only] - self.things]] == nodes[only]
        return only | np.isin(nodes, self.also_shown) if self.also_shown.size else only

    def thing(self, nodes: Ints) -> Ints:
        """Return the things that nodes stand for."""
        extra = nodes >= self.things
        if not extra.any():
            return nodes
        things = nodes.copy()
        things[extra] = self.thing_of[nodes[extra] - self.things]
        return things


@dataclass(frozen=True, slots=True)
class _Steps:
    """Steps in the making: whose statement it is, where it leads, by which code."""

    owners: Ints
    targets: Ints
    #: Kind, layer and the two doubts; see `_Legend`.
    codes: Longs
    shown: Bools


class _Legend:
    """Numbers for kind, layer and the doubts of a step, in the order of their segments."""

    def __init__(self, picture: Picture, shapes: Shapes) -> None:
        default, steps = shapes.kinds_in(DEFAULT), shapes.kinds_in(STEPS)
        self._layers = len(picture.layer_names)
        every = [
            Code(kind, layer, bool(doubt & 1), bool(doubt & 2),
                 default=kind in default and layer != "suggested")
            for kind in picture.kind_names
            for layer in picture.layer_names
            for doubt in range(4)
        ]  # fmt: skip
        order = [at for at, code in enumerate(every) if code.kind in steps]
        order.sort(key=lambda at: (every[at].segment, at))
        if len(order) > CODES:
            raise OverflowError(f"{len(order) // 16} kinds of steps are too many for the engine.")
        self._place = np.zeros(len(every), np.int64)
        self._place[order] = np.arange(len(order))
        self.codes = tuple(every[at] for at in order)

    def raw(self, kinds: NDArray[Any], layers: NDArray[Any]) -> Longs:
        """Return the number of a kind and layer without doubts; doubts are added as 1 and 2."""
        numbers: Longs = (kinds.astype(np.int64) * self._layers + layers) * 4
        return numbers

    def numbers(self, raw: Longs) -> Longs:
        """Return the codes of raw numbers."""
        return self._place[raw]


class Compiler:
    """Works out the rows of one grain; what both directions need is worked out once."""

    def __init__(self, picture: Picture, shapes: Shapes, *, logical: bool) -> None:
        """Take a picture; an exact compiler needs since when its claims are so."""
        self._picture, self._shapes, self._logical = picture, shapes, logical
        # What only stands in for occurrences is of no use to a walk that stays on them.
        self._claims = picture.stated if logical else picture.claims
        self._legend = _Legend(picture, shapes)
        self._pieces: dict[int, tuple[Claims, Bools]] = {}
        self.stands = representatives(picture.things, picture.same)
        self._type = picture.types
        self._believed = believed(self._claims, picture.layer_names)
        level = picture.kinds(shapes.level_kinds)
        self._level = self._claims.chosen(level[self._claims.kinds] & self._believed)
        if picture.things >= LARGEST:
            raise OverflowError(f"{picture.things} things are too many for the engine.")

    @property
    def legend(self) -> tuple[Code, ...]:
        """What each code of the rows stands for."""
        return self._legend.codes

    # ── Parts and wholes ─────────────────────────────────────────────────────────────────────

    @cached_property
    def _lifts(self) -> Bools:
        """Which level claims join an occurrence or a version to its whole?"""
        names = self._picture.kind_names
        own = np.full(len(self._picture.type_names), -1, np.int64)
        for at, name in enumerate(self._picture.type_names):
            if LIFTED.get(name) in names:
                own[at] = names.index(LIFTED[name])
        lifts: Bools = own[self._type[self._level.sources]] == self._level.kinds
        return lifts

    @cached_property
    def _idle(self) -> Bools:
        """Which level claims are of a model's version that is not active?"""
        level, names = self._level, self._picture.kind_names
        of_model = self._picture.of_type(("model-version",))[self._type[level.sources]]
        of_model &= self._picture.kinds(("version_of",))[level.kinds]
        if not self._logical or not of_model.any() or "version_of" not in names:
            return np.zeros(len(level), np.bool_)
        used = np.zeros(self._picture.things, np.bool_)
        inward = self._picture.kinds(ACTIVE_IN)[self._claims.kinds] & self._believed
        outward = self._picture.kinds(ACTIVE_OUT)[self._claims.kinds] & self._believed
        used[self._claims.targets[inward]] = True
        used[self._claims.sources[outward]] = True
        versions, models = level.sources[of_model], level.targets[of_model]
        in_use = np.zeros(self._picture.things, np.bool_)
        in_use[models[used[versions]]] = True
        active = used[versions] | self._newest(versions, models, ~in_use[models])
        idle = np.zeros(len(level), np.bool_)
        idle[of_model] = ~active
        return idle

    def _newest(self, versions: Ints, models: Ints, unused: Bools) -> Bools:
        """Of models with no version in use, the newest counts."""
        chosen = np.zeros(versions.size, np.bool_)
        several: dict[int, set[int]] = {}
        for model, version in zip(models[unused].tolist(), versions[unused].tolist(), strict=True):
            several.setdefault(model, set()).add(version)
        newest = {model: min(some) for model, some in several.items() if len(some) == 1}
        newest.update(self._picture.newest({m: v for m, v in several.items() if len(v) > 1}))
        if newest:
            found = np.full(self._picture.things, -1, np.int64)
            found[list(newest)] = list(newest.values())
            chosen = unused & (found[models] == versions)
        return chosen

    def _relation(self, left: Ints, right: Ints, said: Bools | None = None) -> Relation:
        yes = np.ones(left.size, np.bool_) if said is None else said
        return Relation(self._picture.things, left, right, yes)

    @cached_property
    def _covered(self) -> Relation:
        """Whose wholes cover the statements of each part; yes: surely, as a run's pipeline does."""
        counts = ~self._idle
        level, sure = self._level, self._lifts & self._logical
        other = counts & (level.sources != level.targets)
        base = self._relation(level.sources[other], level.targets[other], sure[other])
        return base.closed(keep=True)

    @cached_property
    def wholes(self) -> Relation:
        """The wholes of each thing, by the keys that stand for both; yes: not only a whole's."""
        parts, wholes = self.stands[self._level.sources], self.stands[self._level.targets]
        other = parts != wholes
        return self._relation(parts[other], wholes[other]).closed(keep=False)

    @cached_property
    def _raised(self) -> tuple[Relation, Bools]:
        """What counts for which whole, and which things never count for themselves."""
        lifts = self._lifts
        never = np.zeros(self._picture.things, np.bool_)
        never[self._level.sources[lifts]] = True
        counts = lifts & ~self._idle
        pairs = self._level.sources[counts], self._level.targets[counts]
        return self._relation(*pairs), never

    # ── Nodes ────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def layout(self) -> Layout:
        """Give every thing its nodes."""
        things = self._picture.things
        wholes = np.unique(self.wholes.right)
        jobs = np.unique(self.stands[self._shown_jobs()])
        above = np.unique(self.wholes.right[self.wholes.joined(jobs)[1]])
        called = self._with_wholes(self.stands[self._limited_ends()])
        narrow, shown, shown_whole, copied = np.full((4, things), -1, np.int32)
        first_copy = things
        for nodes, some in ((narrow, wholes), (shown_whole, above), (shown, jobs)):
            nodes[some] = first_copy + np.arange(some.size)
            first_copy += some.size
        copied[called] = np.arange(called.size)
        copies = max(self._limits.max(initial=0), 0)
        pairs = np.repeat(called, 2)
        of = np.concatenate([wholes, above, jobs, *[pairs] * copies]).astype(np.int32)
        is_narrow = np.zeros(of.size, np.bool_)
        is_narrow[: wholes.size + above.size] = True
        is_narrow[first_copy - things :] = np.tile([False, True], called.size * copies)
        return Layout(
            things, narrow, shown, shown_whole, of, is_narrow, copied, int(copies), first_copy
        )

    def _with_wholes(self, keys: NDArray[Any]) -> Ints:
        _, places = self.wholes.joined(keys)
        return np.unique(np.concatenate([keys, self.wholes.right[places]])).astype(np.int32)

    @cached_property
    def _limits(self) -> Longs:
        """How often in a row each kind may be taken; -1 is no limit."""
        limits = np.full(len(self._picture.kind_names), -1, np.int64)
        for at, name in enumerate(self._picture.kind_names):
            kind = self._shapes.kinds.get(name)
            if kind is not None and kind.depth is not None and kind.class_ in STEPS:
                limits[at] = kind.depth
        return limits

    def _limited_ends(self) -> Ints:
        limited = self._limits[self._claims.kinds] >= 0
        every = self._claims.sources[limited], self._claims.targets[limited]
        ends = np.unique(np.concatenate(every))
        raised, never = self._raised
        _, places = raised.joined(ends)
        both = [ends[~never[ends]], raised.right[places]] if self._logical else [ends]
        return np.unique(np.concatenate([*both, *self._versions_of(ends)])).astype(np.int32)

    def _versions_of(self, keys: Ints) -> Iterable[Ints]:
        """The parts that an edge may lead to in the place of these, in an exact walk."""
        if self._logical:
            return ()
        of = self._picture.kinds(("version_of",))[self._level.kinds]
        of &= np.isin(self._level.targets, keys)
        return (self._level.sources[of],)

    # ── Law 3 ────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _finely(self) -> Bools:
        """Which claims give way, as their document states columns or features of the output?"""
        claims, picture = self._claims, self._picture
        fine = picture.of_type(fine_types(self._shapes))[self._type]
        coarse = picture.kinds(COARSE)[claims.kinds] & ~fine[claims.sources]
        derived = picture.kinds(("derived_from",))[claims.kinds] & self._believed
        derived &= fine[claims.sources] & fine[claims.targets]
        gives_way = np.zeros(len(claims), np.bool_)
        if not derived.any() or not coarse.any():
            return gives_way
        level = self._level
        parts = self._relation(level.sources, level.targets)
        of, places = parts.joined(claims.sources[derived])
        stated = _joined(claims.documents[derived][of], parts.right[places])
        version = picture.kinds(("version_of",))[level.kinds]
        above = self._relation(level.sources[version], level.targets[version])
        outputs, documents = claims.sources[coarse], claims.documents[coarse]
        found = np.isin(_joined(documents, outputs), stated)
        of, places = above.joined(outputs)
        held = np.isin(_joined(documents[of], above.right[places]), stated)
        found[of[held]] = True
        gives_way[coarse] = found
        return gives_way

    def _shown_jobs(self) -> Ints:
        """What an output of law 3 was produced by: shown, and not gone on from."""
        claims = self._claims
        jobs = claims.chosen(self._finely & self._picture.kinds(("produced_by",))[claims.kinds])
        return np.unique(self._ends(jobs.targets, jobs.since)[1])

    # ── Rows ─────────────────────────────────────────────────────────────────────────────────

    def rows(self, *, upstream: bool) -> Rows:
        """Return the rows of one direction."""
        layout = self.layout
        if layout.nodes >= LARGEST:
            raise OverflowError(f"{layout.nodes} nodes are too many for the engine.")
        found = [
            packed
            for name in self._picture.kind_names
            if (packed := self._of_kind(name, upstream=upstream)).size
        ]
        every = unique(np.concatenate(found)) if found else np.zeros(0, np.uint64)
        return rows_of(every, layout.nodes, self.legend)

    def _claims_of(self, kind: int) -> tuple[Claims, Bools]:
        """Return the claims of a kind, and which of them give way; no more of them than is used."""
        if kind not in self._pieces:
            claims, none = self._claims, np.zeros(0, np.int64)
            begin, end = self._order[1][kind : kind + 2]
            places = self._order[0][begin:end]
            piece = Claims(
                claims.sources[places], claims.kinds[places], claims.targets[places],
                claims.layers[places], none.astype(np.int32),
                none if self._logical else claims.since[places],
            )  # fmt: skip
            self._pieces[kind] = piece, self._finely[places]
        return self._pieces[kind]

    @cached_property
    def _order(self) -> tuple[Longs, Longs]:
        """The places of the claims of one kind after another, and where those of each begin."""
        kinds = self._claims.kinds
        bounds = np.zeros(len(self._picture.kind_names) + 1, np.int64)
        np.cumsum(np.bincount(kinds, minlength=bounds.size - 1), out=bounds[1:])
        return np.argsort(kinds, kind="stable"), bounds

    def _of_kind(self, name: str, *, upstream: bool) -> NDArray[np.uint64]:
        """Return the packed entries of one kind: a kind at a time, so that little lies about."""
        none = np.zeros(0, np.uint64)
        kind = self._shapes.kinds.get(name)
        if kind is None or kind.class_ not in STEPS or not self._shapes.flows(name):
            return none
        number = self._picture.kind_names.index(name)
        claims, shown = self._claims_of(number)
        if (not upstream or name == "derived_from") and shown.any():
            claims, shown = claims.chosen(~shown), shown[~shown]
        outward = (self._shapes.flows(name) < 0) == upstream
        owners = claims.sources if outward else claims.targets
        others = claims.targets if outward else claims.sources
        of, targets, exact = self._ends(others, claims.since)
        codes = self._legend.raw(claims.kinds[of], claims.layers[of]) + 2 * ~exact
        steps = _Steps(owners[of], self.stands[targets], codes, shown[of])
        return self._placed(self._led(self._taken(steps)), number)

    def _ends(self, others: Ints, since: Longs) -> tuple[Longs, Ints, Bools]:
        """Where does each end of a statement stand at this grain: whose, where, and is it exact?"""
        every = np.arange(others.size)
        if self._logical:
            raised, never = self._raised
            stays = every[~never[others]]
            of, places = raised.joined(others)
            found = np.concatenate([stays, of])
            targets = np.concatenate([others[stays], raised.right[places]])
            return found, targets, np.ones(found.size, np.bool_)
        whole = self._picture.of_type(CURRENT)[self._type[others]]
        targets = others.copy()
        exact = ~whole
        at, current = self._current(others[whole], since[whole])
        places = every[whole][at]
        targets[places], exact[places] = current, True
        return every, targets, exact

    def _current(self, wholes: Ints, since: Longs) -> tuple[Longs, Ints]:
        """Of those of which a part was current at that time: the place, and the part."""
        level = self._level
        version = self._picture.kinds(("version_of",))[level.kinds]
        parts, of, begun = (
            level.sources[version], level.targets[version], level.since[version],
        )  # fmt: skip
        instants = np.unique(np.concatenate([begun, since]))
        ranked = of.astype(np.int64) << 36 | np.searchsorted(instants, begun)
        order = np.lexsort((parts, ranked))
        asked = wholes.astype(np.int64) << 36 | np.searchsorted(instants, since)
        at = np.searchsorted(ranked[order], asked, "right") - 1
        there = (at >= 0) & (of[order][np.maximum(at, 0)] == wholes) if parts.size else at > 0
        return np.flatnonzero(there), parts[order][at[there]] if parts.size else parts

    @cached_property
    def rowless(self) -> Bools:
        """
        Return which things have no rows: occurrences that count for their wholes.

        No step of a logical walk leads to them, there may be very many, and a walk that begins at
        one goes step by step.
        """
        if not self._logical:
            return np.zeros(self._picture.things, np.bool_)
        types = self._shapes.types
        many = [
            name for name in self._picture.type_names if name in types and types[name].occurrence
        ]
        rowless: Bools = self._raised[1] & self._picture.of_type(many)[self._type]
        # Under another name a step may lead to it.
        rowless[self._picture.same.ravel()] = False
        return rowless

    def _taken(self, steps: _Steps) -> tuple[Ints, _Steps]:
        """Let each statement stand in the rows of its owner and of whoever covers it."""
        owners = self.stands[steps.owners]
        of, places = self._covered.joined(steps.owners)
        roots, sure = self.stands[self._covered.right[places]], self._covered.said[places]
        narrow = self.layout.narrow[owners]
        shown = np.flatnonzero(narrow >= 0)
        own = np.flatnonzero(~self.rowless[steps.owners])
        rows = np.concatenate([owners[own], roots, narrow[shown]])
        items = np.concatenate([owners[own], roots, owners[shown]])
        found = np.concatenate([own, of, shown])
        doubt = np.concatenate([
            np.zeros(own.size, np.bool_), ~sure, np.ones(shown.size, np.bool_),
        ])  # fmt: skip
        # What is said between names of one thing is no step.
        moves = items != steps.targets[found]
        rows, found, doubt = rows[moves], found[moves], doubt[moves]
        codes = steps.codes[found] | doubt
        return rows, _Steps(rows, steps.targets[found], codes, steps.shown[found])

    def _led(self, taken: tuple[Ints, _Steps]) -> tuple[Ints, Ints, Longs]:
        """Lead each step to its end as itself, and beside it to the wholes of that."""
        rows, steps = taken
        layout = self.layout
        of, places = self.wholes.joined(steps.targets)
        wholes, own = self.wholes.right[places], self.wholes.said[places]
        ends = np.where(steps.shown, layout.shown[steps.targets], steps.targets)
        beside = np.where(steps.shown[of], layout.shown_whole[wholes], layout.narrow[wholes])
        return (
            np.concatenate([rows, rows[of]]),
            np.concatenate([ends, beside]).astype(np.int32),
            np.concatenate([steps.codes, steps.codes[of] | ~own]),
        )

    def _placed(self, entries: tuple[Ints, Ints, Longs], kind: int) -> NDArray[np.uint64]:
        """Pack entries; where the kind may be taken only so often in a row, between copies."""
        rows, ends, raw = entries
        codes, layout = self._legend.numbers(raw), self.layout
        limit = int(self._limits[kind])
        found = []
        if limit < 0:
            found.append(pack(rows, codes, ends))
        elif limit > 0:
            found.append(pack(rows, codes, layout.copy_of(ends, 1)))
        copied = np.flatnonzero(layout.copied[layout.thing(rows)] >= 0)
        for number in range(1, layout.copies + 1):
            if limit < 0 or number < limit:
                onward = ends[copied]
                to = onward if limit < 0 else layout.copy_of(onward, number + 1)
                found.append(pack(layout.copy_of(rows[copied], number), codes[copied], to))
        return unique(np.concatenate(found)) if found else np.zeros(0, np.uint64)


def _joined(documents: NDArray[Any], keys: NDArray[Any]) -> Longs:
    both: Longs = documents.astype(np.int64) << 32 | keys
    return both

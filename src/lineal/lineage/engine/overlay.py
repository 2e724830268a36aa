"""Rows worked out anew where a graph changed since it was compiled, and walks over both.

A walk that comes to a thing whose rows may say something else by now has those rows made: step by
step, by the same code that walks so (`lineal.lineage.walking`), from the graph as it is. They are
laid behind the compiled ones, and whatever is new gets nodes of its own. What is made is kept until
something changes again.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from copy import copy
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lineal.errors import OutOfTime
from lineal.lineage.engine.adjacency import Bools, Codes, Ints, Less, Rows, few
from lineal.lineage.engine.compiling import STEPS
from lineal.lineage.engine.spoiled import Spoiled
from lineal.lineage.engine.walkgraph import Reach, WalkGraph
from lineal.lineage.graph import Graph, Step
from lineal.lineage.walked import Label, Mode, Way
from lineal.lineage.walking import stepping
from lineal.model import Budget
from lineal.shapes import Shapes

_NONE = np.zeros(0, np.int32)
_NO: Mapping[bool, _Side] = MappingProxyType({})
#: How many edges are read for it, and how often a walk may come to rows that are yet to be made.
MOST, TURNS = 50_000, 12

#: A way to stand at a thing: its number, how it was reached, how many limited steps came last.
_Stand = tuple[int, Mode, int]
_Entry = tuple[int, int]
#: In the place of the last: only shown, and that as the whole of what is only shown.
WHOLE = -1
_EVERY = frozenset({"declared", "observed", "inferred", "suggested"})


class View(NamedTuple):
    """A compiled graph with the rows made so far, in one direction."""

    graph: WalkGraph
    #: At which things, by their numbers, rows may not be so any more.
    flags: Bools
    #: The keys of what is new, by how far its number is beyond the compiled nodes; None: nothing.
    new: Ints | None

    def keys(self, things: Ints) -> Ints:
        """Return the keys of numbers, those of new things too."""
        numbers = self.graph.numbers
        if self.new is None:
            found: Ints = numbers.key(things)
            return found
        nodes = self.flags.size - self.new.size
        fresh = np.flatnonzero(things >= nodes)
        if not fresh.size:
            return numbers.key(things)
        # Few are new: all are looked up, these as the first of all, and put right.
        known = things.copy()
        known[fresh] = 0
        keys = numbers.key(known)
        keys[fresh] = self.new[things[fresh] - nodes]
        return keys


class Overlay:
    """What was made anew of one compiled graph, for one state of the graph; several may ask."""

    def __init__(
        self, graph: WalkGraph, shapes: Shapes, spoiled: Spoiled, sides: Mapping[bool, _Side] = _NO
    ) -> None:
        """*sides*: what was made for the state before, of which what is spoiled by now is gone."""
        self._graph, self._shapes, self._spoiled = graph, shapes, spoiled
        self._lock = threading.Lock()
        self._sides = dict(sides)
        #: True for a direction in which too much would have to be made.
        self._refused = {True: spoiled.everything, False: spoiled.everything}
        self._views: dict[bool, View] = {}

    def after(self, spoiled: Spoiled, changed: Collection[int]) -> Overlay:
        """Return what is made anew for the state after a change: what that spoiled is not kept."""
        sides = {}
        # Where rows are just being made for somebody, nobody waits for them.
        if spoiled.last is not None and self._lock.acquire(blocking=False):
            try:
                sides = {up: side.kept(spoiled, changed) for up, side in self._sides.items()}
            finally:
                self._lock.release()
        return Overlay(self._graph, self._shapes, spoiled, sides)

    def view(self, *, upstream: bool) -> View:
        """Return the graph with the rows made so far, which may be walked on as it is."""
        found = self._views.get(upstream)
        if found is None:
            with self._lock:
                found = self._seen(upstream)
        return found

    def _seen(self, upstream: bool) -> View:
        side = self._sides.get(upstream)
        found = (
            View(self._graph, self._spoiled.flags, None)
            if side is None else side.patched(self._spoiled.flags)
        )  # fmt: skip
        self._views[upstream] = found
        return found

    def moved(self, begun: tuple[Ints, Ints, Bools]) -> bool:
        """May what a walk begins at stand otherwise by now than when the graph was compiled?"""
        first, above, _ = begun
        moved = self._spoiled.moved
        return bool(moved[first].any()) or (above.size > 0 and bool(moved[above].any()))

    def walk(self, held: Graph, starts: Collection[int], way: Way, limits: Budget) -> Reach | None:
        """
        Return what things lead to: keys in, keys out; None where it must be found step by step.

        *held* is the graph as it is.
        """
        up = way.upstream
        with self._lock:
            if self._refused[up]:
                return None
            side = self._sides.pop(up, None) or _Side(self._graph, self._shapes, upstream=up)
            self._views.pop(up, None)
            try:
                side.ask(held)
                begun = self._begun(side, starts)
                found = None if begun is None else self._walked(side, begun, way, limits)
            except OverflowError:
                self._refused[up] = True
                return None
            except OutOfTime:
                # What was half made is dropped with it.
                return None
            self._sides[up] = side
            self._seen(up)
            return found

    def _begun(self, side: _Side, starts: Collection[int]) -> tuple[Ints, Ints, Bools] | None:
        """Return where a walk begins; None where what stands beside it cannot be told any more."""
        graph, things = self._graph, self._graph.layout.things
        first = np.unique(np.array(side.numbered(starts), np.int32))
        known = first[first < things]
        _, places = graph.wholes.joined(known)
        above, own = graph.wholes.right[places], graph.wholes.said[places]
        # What moved is told by what stood for it then: a name that was parted stood for nothing.
        moved = self._spoiled.moved[np.concatenate([graph.stands[known], above])]
        if known.size == first.size and not moved.any():
            return first, above, own
        # Which other parts a whole of it has, the compiled graph does not tell.
        return None if side.has_wholes(first.tolist()) else (first, _NONE, _NONE.astype(np.bool_))

    def _walked(
        self, side: _Side, begun: tuple[Ints, Ints, Bools], way: Way, limits: Budget
    ) -> Reach | None:
        """Walk, make what was come to and may not be so any more, and walk again."""
        for _ in range(TURNS):
            view = side.patched(self._spoiled.flags)
            found = view.graph.walk_from(begun, way, limits)
            if found.why:
                return None
            unmade = found.things[view.flags[found.things]]
            if not unmade.size:
                return replace(found, things=view.keys(found.things))
            side.make(unmade.tolist())
        return None


class _Side:
    """The rows made anew in one direction."""

    def __init__(self, graph: WalkGraph, shapes: Shapes, *, upstream: bool) -> None:
        self._graph, self._shapes, self._level = graph, shapes, frozenset(shapes.level_kinds)
        self._way = Way(upstream, graph.logical, frozenset(STEPS), _EVERY)
        self._rows = graph.rows(self._way)
        self._codes = {
            (code.kind, code.layer, code.possible, code.approximate): at
            for at, code in enumerate(graph.legend)
        }
        #: The things whose rows were made, by their numbers.
        self.made: set[int] = set()
        self._nodes: dict[_Stand, int] = {}
        #: By thing, the ways to stand at it that the compiled graph has not.
        self._beside: dict[int, set[_Stand]] = {}
        #: Of nodes that the compiled graph has not: the way to stand, in order.
        self._new: list[_Stand] = []
        self._keys: dict[int, int] = {}
        self._stands: dict[int, int] = {}
        self._entries: dict[int, list[_Entry]] = {}
        self._todo: list[_Stand] = []
        #: The rows with what was made: targets and codes with room behind them, which is written
        #: once; how much of it is; and which nodes' entries are not there yet.
        self._laid: tuple[Ints, Codes, int] | None = None
        self._places: dict[int, tuple[int, int, int, int]] = {}
        self._unlaid: set[int] = set()
        self._patched: View | None = None

    def kept(self, spoiled: Spoiled, changed: Collection[int]) -> _Side:
        """Return the same for the state after a change, without the rows of what it spoiled."""
        other = copy(self)
        last = () if spoiled.last is None else spoiled.last.tolist()
        gone = {*last, *(self._stands[key] for key in changed if key in self._stands)}
        other.made = self.made - gone
        for name in ("_nodes", "_new", "_keys", "_stands", "_entries", "_places", "_unlaid"):
            setattr(other, name, copy(getattr(self, name)))
        other._beside = {number: set(some) for number, some in self._beside.items()}
        other._todo = []
        if self._patched is not None:
            # The rows are the same; of some it is known by now that they may not be so any more.
            other._patched = self._patched._replace(flags=other._flags(spoiled.flags))
        # The room behind the rows is written by one: by whoever comes later.
        self._laid = None
        return other

    def ask(self, held: Graph) -> None:
        """Let what is made from now on be asked of this graph."""
        self._held, self._step = held, stepping(held, self._shapes, self._way, MOST)

    # ── Nodes ────────────────────────────────────────────────────────────────────────────────

    def _number(self, keys: Iterable[int]) -> dict[int, int]:
        """Return under which number each of these stands now; what is new gets one."""
        wanted = set(keys)
        new = {key for key in wanted if key not in self._stands}
        for key, group in self._held.groups(new).items():
            first = min(group)
            number = self._graph.numbers.number(first)
            if number is None:
                stand = (-first - 1, Mode.FULL, 0)
                number = self._nodes.get(stand)
                if number is None:
                    number = self._added(stand)
                    self._keys[number] = first
                    self._todo.append((number, Mode.FULL, 0))
                    self.made.add(number)
            self._stands[key] = number
        return {key: self._stands[key] for key in wanted}

    def numbered(self, keys: Collection[int]) -> list[int]:
        """Return the numbers under which these stand now; their rows are there, if they are new."""
        numbers = self._number(keys)
        for number in set(numbers.values()):
            self._node(number, Mode.FULL, 0)
        if self._todo:
            self.make(())
        return list(numbers.values())

    def has_wholes(self, numbers: Collection[int]) -> bool:
        """Return whether any of these is a part of something now."""
        return any(self._above(numbers).values())

    def _added(self, stand: _Stand) -> int:
        node = self._graph.nodes + len(self._new)
        self._nodes[stand] = node
        if stand[0] >= 0:
            self._beside.setdefault(stand[0], set()).add(stand)
        self._new.append((node, *stand[1:]) if stand[0] < 0 else stand)
        return node

    def _node(self, number: int, mode: Mode, run: int) -> int:
        """Return the node of a way to stand at a thing; its rows are made if it has none yet."""
        graph, layout = self._graph, self._graph.layout
        known = -1
        if number < layout.things:
            if mode is Mode.SHOWN:
                known = int((layout.shown_whole if run == WHOLE else layout.shown)[number])
            elif run:
                if layout.copied[number] >= 0 and run <= layout.copies:
                    narrow = layout.narrow[number] if mode is Mode.NARROW else number
                    if narrow >= 0:
                        known = int(layout.copy_of(np.array([narrow], np.int32), run)[0])
            else:
                known = number if mode is Mode.FULL else int(layout.narrow[number])
            if known >= 0:
                # Who stood under another name had no rows of its own.
                if graph.stands[number] != number and number not in self.made:
                    self._make_later(number)
                return known
        elif mode is Mode.FULL and not run:
            return number
        stand = (number, mode, run)
        node = self._nodes.get(stand)
        if node is None:
            node = self._added(stand)
            self._todo.append(stand)
        return node

    def _make_later(self, number: int) -> None:
        """Let all rows of a thing be made anew: those of the compiled graph, and any beside."""
        layout = self._graph.layout
        self.made.add(number)
        self._todo += [stand for stand in self._beside.get(number, ()) if stand in self._nodes]
        if number in self._keys:
            self._todo.append((number, Mode.FULL, 0))
            return
        modes = [Mode.FULL, *([Mode.NARROW] if layout.narrow[number] >= 0 else [])]
        runs = range(layout.copies + 1) if layout.copied[number] >= 0 else (0,)
        self._todo += [(number, mode, run) for mode in modes for run in runs]

    def key(self, number: int) -> int:
        """Return the key of a number, a new one too."""
        if number in self._keys:
            return self._keys[number]
        return int(self._graph.numbers.key(np.array([number]))[0])

    # ── Rows ─────────────────────────────────────────────────────────────────────────────────

    def make(self, numbers: Collection[int]) -> None:
        """Make all rows of these things; raises `OverflowError` where that would be too many."""
        self._patched = None
        for number in sorted(numbers):
            if number not in self.made:
                self._make_later(number)
        while self._todo:
            todo, self._todo = self._todo, []
            alike: dict[tuple[Mode, int], list[int]] = defaultdict(list)
            for number, mode, run in todo:
                if mode is not Mode.SHOWN:
                    alike[(mode, run)].append(number)
            for (mode, run), some in alike.items():
                self._make(some, mode, run)

    def _make(self, numbers: Collection[int], mode: Mode, run: int) -> None:
        keys = {self.key(number): number for number in numbers}
        groups = self._held.groups(list(keys))
        of = {
            member: number
            for key, number in keys.items()
            # What stands under another name now is not come to.
            if min(groups[key]) == key
            for member in groups[key]
        }
        label = Label(mode, possible=mode is Mode.NARROW, run=run)
        steps = self._step(list(of), label)
        targets = self._number({step.end for step, _ in steps})
        above = self._above({targets[step.end] for step, _ in steps})
        found: dict[int, list[_Entry]] = {self._node(number, mode, run): [] for number in numbers}
        for step, arrived in steps:
            row = found[self._node(of[step.start], mode, run)]
            target = targets[step.end]
            shown = arrived.mode
            row.append((self._code(step, arrived), self._node(target, shown, arrived.run)))
            for whole, own in above.get(target, {}).items():
                if shown is Mode.SHOWN:
                    node = self._node(whole, Mode.SHOWN, WHOLE)
                else:
                    node = self._node(whole, Mode.NARROW, arrived.run)
                row.append((self._code(step, arrived, doubt=not own), node))
        self._entries.update((node, sorted(set(row))) for node, row in found.items())
        self._unlaid |= found.keys()

    def _code(self, step: Step, arrived: Label, *, doubt: bool = False) -> int:
        name = (step.kind, step.layer, arrived.possible or doubt, arrived.approximate)
        code = self._codes.get(name)
        if code is None:
            raise OverflowError(f"When the graph was compiled there was no edge {step.kind}.")
        return code

    def _above(self, numbers: Collection[int]) -> dict[int, dict[int, bool]]:
        """Return the wholes of things and of those, each with whether it is its own."""
        own: dict[int, set[int]] = {}
        frontier = set(numbers)
        while frontier:
            groups = self._held.groups([self.key(number) for number in frontier])
            members = {member: self.key(at) for at in frontier for member in groups[self.key(at)]}
            links = self._held.outward(members, self._level)
            numbered = self._number([*members, *(link.dst for link in links)])
            own.update((number, set()) for number in frontier)
            for link in links:
                part, whole = numbered[link.src], numbered[link.dst]
                if part != whole:
                    own[part].add(whole)
            frontier = {whole for some in own.values() for whole in some} - own.keys()
        return {number: _closed(number, own) for number in numbers}

    # ── Together with the compiled rows ──────────────────────────────────────────────────────

    def patched(self, flags: Bools) -> View:
        """Return the graph with the rows made so far; *flags*: what is spoiled, by number."""
        if self._patched is None:
            self._patched = self._view(flags)
        return self._patched

    def _view(self, flags: Bools) -> View:
        graph, layout = self._graph, self._graph.layout
        nodes, more = graph.nodes, len(self._new)
        # Something new is itself; whatever else is new stands for some thing.
        of = np.array([stand[0] for stand in self._new], np.int32)
        narrow = np.array(
            [mode is Mode.NARROW or run == WHOLE for _, mode, run in self._new], np.bool_
        )
        shown = [
            nodes + at
            for at, (_, mode, run) in enumerate(self._new)
            if mode is Mode.SHOWN and run != WHOLE
        ]
        wider = replace(
            layout,
            thing_of=np.concatenate([layout.thing_of, of]),
            is_narrow=np.concatenate([layout.is_narrow, narrow]),
            also_shown=np.array(shown, np.int32),
        )
        rows = self._lay(nodes + more)
        wide = replace(graph, layout=wider, down=rows, up=rows)
        new = np.zeros(more, np.int32)
        for number, key in self._keys.items():
            new[number - nodes] = key
        return View(wide, self._flags(flags), new if more else None)

    def _flags(self, spoiled: Bools) -> Bools:
        """Return by number at which things rows are still to be made."""
        left = np.zeros(self._graph.nodes + len(self._new), np.bool_)
        left[: spoiled.size] = spoiled
        left[list(self.made)] = False
        left[list(self._keys.keys() - self.made)] = True
        return left

    def _lay(self, nodes: int) -> Rows:
        """Lay the made rows behind the compiled ones: what others walk on is not touched."""
        rows = self._rows
        targets, codes, filled = self._room()
        segments = [code.segment for code in self._graph.legend]
        for node in sorted(self._unlaid):
            entries = self._entries[node]
            counts = [sum(segments[code] == part for code, _ in entries) for part in range(3)]
            end = filled + len(entries)
            if entries:
                codes[filled:end], targets[filled:end] = zip(*entries, strict=True)
            self._places[node] = filled, end, counts[2], counts[1] + counts[2]
            filled = end
        self._laid, self._unlaid = (targets, codes, filled), set()
        changed = np.array(list(self._places), np.int64)
        values = np.array(list(self._places.values()), np.int32).reshape(-1, 4).T
        first, ends = np.zeros((2, nodes), np.int32)
        for bounds, known, fresh in zip(
            (first, ends), (rows.first, rows.end), values, strict=False
        ):
            bounds[: known.size] = known
            bounds[changed] = fresh
        others = np.append(changed, np.arange(rows.first.size, nodes)).astype(np.int32)
        return Rows(
            first, ends,
            _lessened(rows.rest, nodes, changed, values[2]),
            _lessened(rows.unsure, nodes, changed, values[3]),
            targets[:filled], codes[:filled], (rows, others),
        )  # fmt: skip

    def _room(self) -> tuple[Ints, Codes, int]:
        """Return targets and codes with room for the entries that are not there yet."""
        rows = self._rows
        if self._laid is None:
            self._places, self._unlaid = {}, set(self._entries)
            known = rows.targets, rows.codes, rows.targets.size
        else:
            known = self._laid
        old, names, filled = known
        wanted = filled + sum(len(self._entries[node]) for node in self._unlaid)
        if self._laid is not None and wanted <= old.size:
            return known
        targets = np.zeros(wanted + max(1 << 12, wanted >> 4), np.int32)
        codes = np.zeros(targets.size, rows.codes.dtype)
        targets[:filled], codes[:filled] = old[:filled], names[:filled]
        return targets, codes, filled


def _lessened(less: Less, nodes: int, changed: NDArray[Any], values: NDArray[Any]) -> Less:
    """Return how much less of each row is walked, also of those that were made."""
    most = few(values)
    if less is None and most is None:
        return None
    kinds = [one.dtype for one in (less, most) if one is not None]
    found: NDArray[Any] = np.zeros(nodes, max(kinds, key=lambda kind: kind.itemsize))
    if less is not None:
        found[: less.size] = less
    found[changed] = values
    return found


def _closed(number: int, own: dict[int, set[int]]) -> dict[int, bool]:
    """Return all that lies above a thing; True for what it is itself a part of."""
    found = dict.fromkeys(own.get(number, ()), True)
    frontier = list(found)
    while frontier:
        for whole in own.get(frontier.pop(), ()):
            if whole not in found and whole != number:
                found[whole] = False
                frontier.append(whole)
    return found

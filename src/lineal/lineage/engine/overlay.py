"""Rows worked out anew where a graph changed since it was compiled, and walks over both.

A walk that comes to a thing whose rows may say something else by now has those rows made: step by
step, by the same code that walks so (`lineal.lineage.walking`), from the graph as it is. They are
laid behind the compiled ones (`sheet`), and whatever is new gets nodes of its own. What is made is
kept until it changes again.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from lineal.errors import OutOfTime
from lineal.lineage.engine.adjacency import Bools, Ints
from lineal.lineage.engine.compiling import STEPS
from lineal.lineage.engine.sheet import NewNode, Sheet, View
from lineal.lineage.engine.spoiled import Spoiled
from lineal.lineage.engine.walkgraph import Reach, WalkGraph
from lineal.lineage.graph import Graph, Step
from lineal.lineage.laws import believed
from lineal.lineage.walked import Label, Mode, Way
from lineal.lineage.walking import stepping
from lineal.model import Budget
from lineal.shapes import Shapes

_NONE = np.zeros(0, np.int32)
_NO: Mapping[bool, _Side] = MappingProxyType({})
#: How many edges are read for it, and how often a walk may come to rows that are yet to be made.
MOST, TURNS = 50_000, 12
#: How many entries may lie there that were made anew since, before all is laid anew.
STALE = 50_000

#: A way to stand at a thing: its number, how it was reached, how many limited steps came last.
_Stand = tuple[int, Mode, int]
#: In the place of the last: only shown, and that as the whole of what is only shown.
WHOLE = -1
_EVERY = frozenset({"declared", "observed", "inferred", "suggested"})


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
        """
        Return what is made anew for the state after a change, which takes all that is still good.

        Whoever asks of this state once more has rows made for it again.
        """
        sides: dict[bool, _Side] = {}
        # Where rows are just being made for somebody, nobody waits for them.
        if spoiled.last is not None and self._lock.acquire(blocking=False):
            try:
                sides, self._sides = self._sides, {}
                self._views.clear()
            finally:
                self._lock.release()
            for side in sides.values():
                side.move_on(spoiled.last, changed)
        return Overlay(self._graph, self._shapes, spoiled, sides)

    def view(self, *, upstream: bool) -> View:
        """Return the graph with the rows made so far, entered: to be walked on, and left."""
        found = self._views.get(upstream)
        if found is None or not found.entered():
            with self._lock:
                found = self._seen(upstream)
                # Rows are written under the lock, so that it is what it was.
                found.entered()
        return found

    def _seen(self, upstream: bool) -> View:
        side, flags = self._sides.get(upstream), self._spoiled.flags
        found = View(self._graph, flags) if side is None else side.view(flags)
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
            view = side.view(self._spoiled.flags)
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
        self._entries: dict[int, list[tuple[int, int]]] = {}
        self._todo: list[_Stand] = []
        #: Where the rows lie with those that were made, and what is not written there yet: how
        #: many new nodes are, which nodes' rows are not, and what is to be said of things.
        self._sheet: Sheet | None = None
        self._noted = 0
        self._unlaid: set[int] = set()
        self._marks: dict[int, bool] = {}
        self._view: View | None = None
        #: How many entries the rows have that were made.
        self._alive = 0

    def move_on(self, spoiled: Ints, changed: Collection[int]) -> None:
        """Go over to the state after a change: the rows of what it spoiled are not so any more."""
        gone = {*spoiled.tolist(), *(self._stands[key] for key in changed if key in self._stands)}
        self.made -= gone
        self._marks.update(dict.fromkeys(gone, True))
        self._todo, self._view = [], None

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
                    self._see_made(number)
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
        self._see_made(number)
        self._todo += [stand for stand in self._beside.get(number, ()) if stand in self._nodes]
        if number in self._keys:
            self._todo.append((number, Mode.FULL, 0))
            return
        modes = [Mode.FULL, *([Mode.NARROW] if layout.narrow[number] >= 0 else [])]
        runs = range(layout.copies + 1) if layout.copied[number] >= 0 else (0,)
        self._todo += [(number, mode, run) for mode in modes for run in runs]

    def _see_made(self, number: int) -> None:
        """Count a thing among those whose rows are made."""
        self.made.add(number)
        self._marks[number] = False

    def key(self, number: int) -> int:
        """Return the key of a number, a new one too."""
        if number in self._keys:
            return self._keys[number]
        return int(self._graph.numbers.key(np.array([number]))[0])

    # ── Rows ─────────────────────────────────────────────────────────────────────────────────

    def make(self, numbers: Collection[int]) -> None:
        """Make all rows of these things; raises `OverflowError` where that would be too many."""
        self._view = None
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
        found: dict[int, list[tuple[int, int]]] = {
            self._node(number, mode, run): [] for number in numbers
        }
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
        for node, row in found.items():
            entries = sorted(set(row))
            self._alive += len(entries) - len(self._entries.get(node, ()))
            self._entries[node] = entries
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
            links = believed(self._held.outward(members, self._level))
            numbered = self._number([*members, *(link.dst for link in links)])
            own.update((number, set()) for number in frontier)
            for link in links:
                part, whole = numbered[link.src], numbered[link.dst]
                if part != whole:
                    own[part].add(whole)
            frontier = {whole for some in own.values() for whole in some} - own.keys()
        return {number: _closed(number, own) for number in numbers}

    # ── Together with the compiled rows ──────────────────────────────────────────────────────

    def view(self, spoiled: Bools) -> View:
        """Return the graph with the rows made so far; *spoiled*: where they are to be, at first."""
        if self._view is None:
            self._view = self._written(spoiled)
        return self._view

    def _written(self, spoiled: Bools) -> View:
        sheet = self._sheet
        if sheet is not None and sheet.laid > 2 * self._alive + STALE:
            # By far the most of it are rows that were made anew since.
            sheet = None
        if sheet is None:
            sheet = Sheet(self._graph, self._rows, spoiled)
            self._noted, self._unlaid = 0, set(self._entries)
            self._marks = dict.fromkeys(self._keys, True) | dict.fromkeys(self.made, False)
        else:
            sheet = sheet.to_write()
        sheet.add([self._told(at) for at in range(self._noted, len(self._new))])
        sheet.lay({node: self._entries[node] for node in sorted(self._unlaid)})
        sheet.mark(self._marks)
        self._sheet, self._noted, self._unlaid, self._marks = sheet, len(self._new), set(), {}
        return sheet.view()

    def _told(self, at: int) -> NewNode:
        """Return for what a new node stands: something new for itself, else for a thing."""
        thing, mode, run = self._new[at]
        shows = mode is Mode.SHOWN and run != WHOLE
        key = self._keys.get(self._graph.nodes + at, 0)
        return NewNode(thing, mode is Mode.NARROW or run == WHOLE, shows, key)


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

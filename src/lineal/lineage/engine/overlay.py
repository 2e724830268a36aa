"""Rows worked out anew where a graph changed since it was compiled, and walks over both.

A walk that comes to a thing whose rows may say something else by now has those rows made: step by
step, by the same code that walks so (`lineal.lineage.walking`), from the graph as it is. They are
laid behind the compiled ones, and whatever is new gets nodes of its own. What is made is kept until
something changes again.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

import numpy as np

from lineal.errors import OutOfTime
from lineal.lineage.engine.adjacency import Bools, Ints, Rows, few
from lineal.lineage.engine.claims import Numbers
from lineal.lineage.engine.compiling import STEPS
from lineal.lineage.engine.spoiled import Spoiled
from lineal.lineage.engine.walkgraph import Reach, WalkGraph
from lineal.lineage.graph import Graph, Step
from lineal.lineage.walked import Label, Mode, Way
from lineal.lineage.walking import stepping
from lineal.model import Budget
from lineal.shapes import Shapes

_NONE = np.zeros(0, np.int32)
#: How many edges are read for it, and how often a walk may come to rows that are yet to be made.
MOST, TURNS = 50_000, 12

#: A way to stand at a thing: its number, how it was reached, how many limited steps came last.
_Stand = tuple[int, Mode, int]
_Entry = tuple[int, int]
#: In the place of the last: only shown, and that as the whole of what is only shown.
WHOLE = -1
_EVERY = frozenset({"declared", "observed", "inferred", "suggested"})


class Overlay:
    """What was made anew of one compiled graph, for one state of the graph; several may ask."""

    def __init__(self, graph: WalkGraph, shapes: Shapes, spoiled: Spoiled) -> None:
        self._graph, self._shapes, self._spoiled = graph, shapes, spoiled
        self._lock = threading.Lock()
        self._sides: dict[bool, _Side] = {}
        #: True for a direction in which too much would have to be made.
        self._refused = {True: spoiled.everything, False: spoiled.everything}

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
            graph, keys = side.patched()
            found = graph.walk_from(begun, way, limits)
            if found.why:
                return None
            things = found.things[found.things < self._graph.layout.things]
            unmade = set(things[self._spoiled.flags[things]].tolist()) - side.made
            if not unmade:
                return replace(found, things=keys(found.things))
            side.make(unmade)
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
        #: Of nodes that the compiled graph has not: the way to stand, in order.
        self._new: list[_Stand] = []
        self._keys: dict[int, int] = {}
        self._stands: dict[int, int] = {}
        self._entries: dict[int, list[_Entry]] = {}
        self._todo: list[_Stand] = []
        self._patched: tuple[WalkGraph, Callable[[Ints], Ints]] | None = None

    def ask(self, held: Graph) -> None:
        """Let what is made from now on be asked of this graph."""
        self._held, self._step = held, stepping(held, self._shapes, self._way, MOST)

    # ── Nodes ────────────────────────────────────────────────────────────────────────────────

    def _number(self, keys: Iterable[int]) -> dict[int, int]:
        """Return under which number each of these stands now; what is new gets one."""
        wanted = set(keys)
        for key, group in self._held.groups(wanted - self._stands.keys()).items():
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
        """Let all rows that the compiled graph has of a thing be made anew."""
        layout = self._graph.layout
        self.made.add(number)
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

    def patched(self) -> tuple[WalkGraph, Callable[[Ints], Ints]]:
        """Return the graph with the rows made so far, and what gives the keys of its things."""
        if self._patched is None:
            self._patched = self._laid()
        return self._patched

    def _laid(self) -> tuple[WalkGraph, Callable[[Ints], Ints]]:
        graph, layout = self._graph, self._graph.layout
        more = len(self._new)
        rows = self._behind(more)
        # Something new is itself; whatever else is new stands for some thing.
        of = np.array([stand[0] for stand in self._new], np.int32)
        narrow = np.array(
            [mode is Mode.NARROW or run == WHOLE for _, mode, run in self._new], np.bool_
        )
        shown = [
            graph.nodes + at
            for at, (_, mode, run) in enumerate(self._new)
            if mode is Mode.SHOWN and run != WHOLE
        ]
        wider = replace(
            layout,
            thing_of=np.concatenate([layout.thing_of, of]),
            is_narrow=np.concatenate([layout.is_narrow, narrow]),
            also_shown=np.array(shown, np.int32),
        )
        wide = replace(graph, layout=wider, down=rows, up=rows, _free=[])
        numbers, nodes = graph.numbers, graph.nodes
        new = np.zeros(more, np.int32)
        for number, key in self._keys.items():
            new[number - nodes] = key
        return wide, lambda things: _keyed(things, numbers, nodes, new)

    def _behind(self, more: int) -> Rows:
        """Lay the made rows behind the compiled ones."""
        rows, segments = self._rows, [code.segment for code in self._graph.legend]
        first, end, rest, unsure = (
            np.concatenate([
                np.zeros(rows.first.size, np.int32) if part is None else part.astype(np.int32),
                np.zeros(more, np.int32),
            ])
            for part in (rows.first, rows.end, rows.rest, rows.unsure)
        )  # fmt: skip
        at = rows.targets.size
        targets: list[int] = []
        codes: list[int] = []
        for node, entries in self._entries.items():
            parts = [sum(segments[code] == part for code, _ in entries) for part in range(3)]
            first[node] = at + len(targets)
            end[node] = first[node] + sum(parts)
            rest[node], unsure[node] = parts[2], parts[1] + parts[2]
            codes += [code for code, _ in entries]
            targets += [target for _, target in entries]
        return Rows(
            first, end, few(rest), few(unsure),
            np.concatenate([rows.targets, np.array(targets, np.int32)]),
            np.concatenate([rows.codes, np.array(codes, rows.codes.dtype)]),
        )  # fmt: skip


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


def _keyed(things: Ints, numbers: Numbers, nodes: int, new: Ints) -> Ints:
    """Return the keys of numbers, those of new things too."""
    keys = things.copy()
    old = things < nodes
    keys[old] = numbers.key(things[old])
    keys[~old] = new[things[~old] - nodes]
    return keys

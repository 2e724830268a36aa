"""Compiled rows with room, in which some are written anew: what a change costs is what it changed.

The rows of one direction, and what tells of their nodes, are copied once. Rows that are made anew
are then laid behind the others, and new nodes come after the last. All that is written where it
lies, unless somebody walks there, who says so: then it is copied again, and the copy is written.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lineal.lineage.engine.adjacency import Bools, Ints, Less, Rows, few
from lineal.lineage.engine.walkgraph import WalkGraph

#: Where a row leads, step by step: the code of the step and the node.
Entries: TypeAlias = "Sequence[tuple[int, int]]"
#: How much more room is made than is needed: so many at least, and such a part of all (a shift).
LEAST, PART = 1 << 12, 4


class NewNode(NamedTuple):
    """For what a node stands that the compiled graph has not."""

    #: The number of the thing, and whether the node stands for it as the whole of a part.
    thing: int
    is_narrow: bool
    #: Does it only show the thing?
    shows: bool
    #: The key of the thing where that is new too, else 0.
    key: int


class View:
    """
    A compiled graph with the rows made so far, in one direction.

    Whoever was given one walks on it inside of ``with``, and leaves it so.
    """

    __slots__ = ("_sheet", "_turn", "flags", "graph", "new")

    def __init__(
        self,
        graph: WalkGraph,
        flags: Bools,
        new: Ints | None = None,
        sheet: Sheet | None = None,
        turn: int = 0,
    ) -> None:
        self.graph = graph
        #: At which things, by their numbers, rows may not be so any more.
        self.flags = flags
        #: The keys of what is new, by how far its number is beyond the compiled nodes.
        self.new = new
        self._sheet, self._turn = sheet, turn

    def entered(self) -> bool:
        """Say that somebody walks here now; False where it is not any more what it was."""
        return self._sheet is None or self._sheet.enter(self._turn)

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_: object) -> None:
        if self._sheet is not None:
            self._sheet.leave()

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


class Sheet:
    """The rows of one direction of a compiled graph, with room for more."""

    def __init__(self, graph: WalkGraph, rows: Rows, spoiled: Bools) -> None:
        """Copy *rows*; *spoiled* tells at which things rows may not be so any more."""
        self._graph, self._rows, layout = graph, rows, graph.layout
        self._segments = np.array([code.segment for code in graph.legend], np.int8)
        #: How many nodes and targets there are by now.
        self._nodes, self._filled = graph.nodes, rows.targets.size
        # Some more nodes are likely, so that the first of them need no other arrays.
        room = _roomy(graph.nodes)
        self._first, self._end = _moved(rows.first, room), _moved(rows.end, room)
        self._rest, self._unsure = (
            None if less is None else _moved(less, room) for less in (rows.rest, rows.unsure)
        )
        self._flags = _moved(spoiled, room)
        beyond = room - layout.things
        self._thing_of = _moved(layout.thing_of, beyond)
        self._is_narrow = _moved(layout.is_narrow, beyond)
        self._keys = np.zeros(room - graph.nodes, np.int32)
        self._targets = _moved(rows.targets, _roomy(self._filled))
        self._codes = _moved(rows.codes, self._targets.size)
        #: The compiled nodes whose rows were written, as often as they were; who only shows.
        self._written: list[Ints] = []
        self._showing: list[int] = []
        self._lock = threading.Lock()
        self._walking = 0
        #: How often it was let be written: views of an earlier turn are not entered any more.
        self._turn = 0

    # ── Who walks, and who writes ────────────────────────────────────────────────────────────

    def enter(self, turn: int) -> bool:
        """Let somebody walk; False where it was written since this turn."""
        with self._lock:
            if turn != self._turn:
                return False
            self._walking += 1
            return True

    def leave(self) -> None:
        """Let somebody end a walk."""
        with self._lock:
            self._walking -= 1

    def to_write(self) -> Sheet:
        """Return it where nobody walks and from now on nobody will; else another that is alike."""
        with self._lock:
            if not self._walking:
                self._turn += 1
                return self
        other = Sheet.__new__(Sheet)
        other.__dict__.update(
            (name, part.copy() if isinstance(part, np.ndarray | list) else part)
            for name, part in vars(self).items()
        )
        other._lock, other._walking, other._turn = threading.Lock(), 0, 0
        return other

    @property
    def laid(self) -> int:
        """How many targets lie behind the compiled ones, those of rows made anew again too."""
        return self._filled - self._rows.targets.size

    # ── Writing ──────────────────────────────────────────────────────────────────────────────

    def add(self, nodes: Sequence[NewNode]) -> None:
        """Let there be more nodes; they have no rows yet."""
        if not nodes:
            return
        before, self._nodes = self._nodes, self._nodes + len(nodes)
        self._widen()
        things, narrow, shows, keys = zip(*nodes, strict=True)
        at = slice(before - self._graph.layout.things, self._nodes - self._graph.layout.things)
        self._thing_of[at], self._is_narrow[at] = things, narrow
        self._keys[before - self._graph.nodes : self._nodes - self._graph.nodes] = keys
        self._showing += [before + place for place, one in enumerate(shows) if one]

    def mark(self, marks: Mapping[int, bool]) -> None:
        """Say of things, by their numbers, whether their rows may not be so any more."""
        if marks:
            numbers = np.fromiter(marks, np.int64, len(marks))
            self._flags[numbers] = np.fromiter(marks.values(), np.bool_, len(marks))

    def lay(self, rows: Mapping[int, Entries]) -> None:
        """Lay rows of nodes behind the others; those of a lower segment come first in each."""
        if not rows:
            return
        nodes = np.fromiter(rows, np.int32, len(rows))
        counts = np.fromiter(map(len, rows.values()), np.int32, len(rows))
        flat = np.fromiter(
            chain.from_iterable(chain.from_iterable(rows.values())), np.int64, 2 * counts.sum()
        )
        codes, targets = flat[::2], flat[1::2]
        begin, self._filled = self._filled, self._filled + targets.size
        self._deepen()
        self._codes[begin : self._filled] = codes
        self._targets[begin : self._filled] = targets
        ends = begin + counts.cumsum(dtype=np.int32)
        self._first[nodes], self._end[nodes] = ends - counts, ends
        segments, owners = self._segments[codes], np.arange(nodes.size).repeat(counts)
        rest = np.bincount(owners[segments == 2], minlength=nodes.size)
        unsure = np.bincount(owners[segments > 0], minlength=nodes.size)
        self._rest = _lessened(self._rest, self._first.size, nodes, rest)
        self._unsure = _lessened(self._unsure, self._first.size, nodes, unsure)
        self._written.append(nodes)

    def _widen(self) -> None:
        """Make room for the nodes."""
        if self._nodes <= self._first.size:
            return
        room, things = _roomy(self._nodes), self._graph.layout.things
        self._first, self._end = _moved(self._first, room), _moved(self._end, room)
        self._rest, self._unsure = (
            None if less is None else _moved(less, room) for less in (self._rest, self._unsure)
        )
        self._flags = _moved(self._flags, room)
        self._thing_of = _moved(self._thing_of, room - things)
        self._is_narrow = _moved(self._is_narrow, room - things)
        self._keys = _moved(self._keys, room - self._graph.nodes)

    def _deepen(self) -> None:
        """Make room for the targets."""
        if self._filled > self._targets.size:
            room = _roomy(self._filled)
            self._targets, self._codes = _moved(self._targets, room), _moved(self._codes, room)

    # ── Reading ──────────────────────────────────────────────────────────────────────────────

    def view(self) -> View:
        """Return the graph with what was written so far: good until something more is."""
        graph, nodes, filled = self._graph, self._nodes, self._filled
        beyond = nodes - graph.layout.things
        layout = replace(
            graph.layout,
            thing_of=self._thing_of[:beyond],
            is_narrow=self._is_narrow[:beyond],
            also_shown=np.array(self._showing, np.int32),
        )
        others = np.concatenate([*self._written, np.arange(graph.nodes, nodes, dtype=np.int32)])
        self._written = [others[: others.size - nodes + graph.nodes]]
        rest, unsure = (
            None if less is None else less[:nodes] for less in (self._rest, self._unsure)
        )
        rows = Rows(
            self._first[:nodes], self._end[:nodes], rest, unsure,
            self._targets[:filled], self._codes[:filled], (self._rows, others),
        )  # fmt: skip
        new = self._keys[: nodes - graph.nodes] if nodes > graph.nodes else None
        wide = replace(graph, layout=layout, down=rows, up=rows)
        return View(wide, self._flags[:nodes], new, self, self._turn)


def _roomy(count: int) -> int:
    """Return how much room is made for so many."""
    return count + max(LEAST, count >> PART)


def _moved(part: Any, room: int) -> NDArray[Any]:
    """Return an array with more room behind it."""
    found: NDArray[Any] = np.zeros(room, part.dtype)
    found[: part.size] = part
    return found


def _lessened(less: Less, room: int, nodes: Ints, values: NDArray[Any]) -> Less:
    """Write by how much less the rows of nodes are walked; where it does not fit, in a copy."""
    most = few(values)
    if less is None:
        if most is None:
            return None
        less = np.zeros(room, most.dtype)
    elif most is not None and most.dtype.itemsize > less.dtype.itemsize:
        less = less.astype(most.dtype)
    less[nodes] = values
    return less

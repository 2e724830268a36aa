"""Compiled graphs of moments in the past, so that walks there are as quick as walks of now.

What was so at a moment is chosen from the claims that are held, in bulk, and compiled as that of
now is. This takes about a second a million claims, so that it is worth it only for a moment that is
asked about again; whoever asks first is answered claim by claim. Few are kept, and only as many as
there is memory for.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, TypeAlias

from lineal.lineage.engine.held import Held
from lineal.lineage.engine.overlay import Overlay
from lineal.lineage.engine.spoiled import Spoiled
from lineal.lineage.engine.then import Then
from lineal.lineage.engine.walkgraph import WalkGraph
from lineal.model import Instant
from lineal.shapes import Shapes

#: A moment: the transaction and the instant; and whether walks are at the logical grain.
Key: TypeAlias = tuple[int, Instant, bool]
#: Of how many moments, at the most, anything is kept.
REMEMBERED = 64


class Compiled(NamedTuple):
    """The rows of a moment, and what is to be made anew of them by what was said of it later."""

    graph: WalkGraph
    spoiled: Spoiled
    overlay: Overlay


class Moments:
    """The compiled graphs of some moments, as one reading of the claims knows them."""

    def __init__(self, built: int, shapes: Shapes, memory: int) -> None:
        """*built*: at which transaction the claims were read; *memory*: bytes for all graphs."""
        self._built, self._shapes, self._memory = built, shapes, memory
        self._lock = threading.Lock()
        self._graphs: OrderedDict[Key, tuple[WalkGraph, bool]] = OrderedDict()
        self._ready: OrderedDict[Key, Compiled] = OrderedDict()
        self._names: OrderedDict[int, Mapping[int, frozenset[int]]] = OrderedDict()
        self._asked: OrderedDict[Key, int] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """How much memory the graphs take."""
        with self._lock:
            return self._taken()

    def asked(self, key: Key) -> int:
        """Count that a moment is asked about; return how often it was by now."""
        with self._lock:
            times = self._asked[key] = self._asked.pop(key, 0) + 1
            if len(self._asked) > REMEMBERED:
                self._asked.popitem(last=False)
            return times

    def names(
        self, then: Then, members: Mapping[int, frozenset[int]]
    ) -> Mapping[int, frozenset[int]]:
        """Return who had which names then; *members* are those of now."""
        with self._lock:
            found = self._names.pop(then.t, None)
        if found is None:
            found = then.groups(members)
        with self._lock:
            self._names[then.t] = found
            if len(self._names) > REMEMBERED:
                self._names.popitem(last=False)
        return found

    def get(self, key: Key) -> Compiled | None:
        """Return the compiled graph of a moment, if it is there."""
        with self._lock:
            found = self._ready.get(key)
            if found is not None:
                self._ready.move_to_end(key)
                self._graphs.move_to_end(key)
            return found

    def prepare(
        self,
        key: Key,
        then: Then,
        held: Held,
        changes: tuple[Collection[int], Collection[tuple[int, str, int]]],
        graph_of: Callable[[], tuple[WalkGraph, bool]],
    ) -> Compiled | None:
        """
        Return the compiled graph of a moment; *graph_of* makes it where no other is the same.

        That tells also whether the graph hangs on claims alone. *held* is the graph at the moment,
        *changes* which things and claims changed after the claims were read, up to the moment's
        transaction. None where it takes more memory than there is.
        """
        graph, alone = self._same(key, then) or graph_of()
        with self._lock:
            self._graphs[key] = graph, alone
            self._graphs.move_to_end(key)
            self._drop()
            if key not in self._graphs:
                return None
        partial = then.partial
        spoiled = Spoiled.none(graph) if partial is None else Spoiled.where(graph, partial)
        if changes[0]:
            spoiled = spoiled.after(graph, held, self._shapes, *changes)
        found = Compiled(graph, spoiled, Overlay(graph, self._shapes, spoiled))
        with self._lock:
            if key in self._graphs:
                self._ready[key] = found
        return found

    def _same(self, key: Key, then: Then) -> tuple[WalkGraph, bool] | None:
        """Return a graph of a moment since which, or until which, no claim was otherwise."""
        t, _, logical = key
        with self._lock:
            near = [
                (one[1], graph) for one, (graph, alone) in self._graphs.items()
                if alone and one[2] == logical and min(one[0], self._built) == min(t, self._built)
            ]  # fmt: skip
        return next(((graph, True) for at, graph in near if then.as_at(at)), None)

    def _drop(self) -> None:
        """Drop what was not asked about for longest, until the rest fits."""
        while self._graphs and (len(self._graphs) > REMEMBERED or self._taken() > self._memory):
            old, _ = self._graphs.popitem(last=False)
            self._ready.pop(old, None)

    def _taken(self) -> int:
        return sum({id(graph): graph.nbytes for graph, _ in self._graphs.values()}.values())

"""Arrays that walks write in."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lineal.lineage.engine.jobs import Desk

Ints: TypeAlias = "NDArray[np.int32]"

#: How many nodes further on in the queue a loop may look.
AHEAD = 16
NOTHING = np.zeros(0, np.int32)


class Scratch:
    """Arrays that a walk writes in, and leaves clean behind: one set for each walk at a time."""

    __slots__ = ("_traces", "depths", "desk", "nodes", "queue", "seen")

    def __init__(self, nodes: int) -> None:
        size = max(1, nodes)
        self.nodes = nodes
        self.seen = np.zeros(size, np.uint8)
        #: Never holds anything but nodes: what lies beyond its end is of earlier walks, or zero.
        self.queue = np.zeros(size + AHEAD, np.int32)
        self.depths = np.empty(size + 1, np.int32)
        self._traces: tuple[Ints, Ints] | None = None
        #: Where compiled loops are given their work; made by the first of them.
        self.desk: Desk | None = None

    def traces(self, wanted: bool) -> tuple[Ints, Ints]:
        """Return the arrays that say where each in the queue was come from: its place, the edge."""
        if not wanted:
            return NOTHING, NOTHING
        if self._traces is None:
            self._traces = np.empty_like(self.depths), np.empty_like(self.depths)
        return self._traces

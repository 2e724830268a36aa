"""What walks answer: all that was reached, and the nearest way between two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineal.lineage.engine.scratch import Ints


# Not frozen: to set each field of a frozen one by itself takes longer than a walk of three hops.
@dataclass(slots=True, eq=False)
class Closure:
    """What was reached from some starts: nodes in the order of their depth, starts first."""

    keys: Ints
    #: How many steps each key is from the nearest start.
    depths: Ints
    #: How many edges were looked at.
    scanned: int
    #: What was cut and why: ``depth``, ``nodes``, ``edges`` or ``time``; empty if nothing was.
    why: tuple[str, ...] = ()
    #: Where traced: the place in the keys that each was come from, and the place of the edge.
    parents: Ints | None = None
    edges: Ints | None = None

    @property
    def bounds(self) -> NDArray[np.int64]:
        """Where each depth begins in the keys, and where the last one ends."""
        levels = int(self.depths[-1]) + 1 if self.depths.size else 1
        return np.searchsorted(self.depths, np.arange(levels + 1))

    def __len__(self) -> int:
        return int(self.keys.size)

    def of(self, wanted: NDArray[Any]) -> Ints:
        """Return those keys that a table of yes and no, by node, holds to be wanted."""
        chosen: NDArray[np.bool_] = wanted[self.keys].astype(np.bool_)
        return self.keys[chosen]

    def counts(self, column: NDArray[Any]) -> NDArray[np.int64]:
        """Return how many keys have each value of a column of small numbers."""
        return np.bincount(column[self.keys])

    def way(self, place: int) -> list[tuple[int, int, int]]:
        """Return the steps to the key at a place: node, place of the edge in the rows, node."""
        if self.parents is None or self.edges is None:
            raise ValueError("The closure was not traced.")
        steps: list[tuple[int, int, int]] = []
        while self.depths[place]:
            above = int(self.parents[place])
            steps.append((int(self.keys[above]), int(self.edges[place]), int(self.keys[place])))
            place = above
        return steps[::-1]


@dataclass(frozen=True, slots=True)
class Found:
    """The nearest way between two: its nodes and, between them, the codes of its steps."""

    nodes: tuple[int, ...]
    codes: tuple[int, ...]

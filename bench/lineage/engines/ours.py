"""Lineal's engine, with either kernel."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

from bench.lineage.arrays import Arrays
from bench.lineage.graph import KINDS, LAYERS, MASKED_OUT, NOT_WALKED, STAGES, TYPES, Edges
from bench.lineage.worker import Query
from lineal.lineage.engine import Adjacency, Closure, closure, shortest

_WALKED = tuple(kind for kind in KINDS if kind not in NOT_WALKED)


def _adjacency(edges: Edges, things: int, **columns: Any) -> Adjacency:
    return Adjacency.of(
        edges.starts, edges.ends, edges.codes // len(LAYERS), edges.codes % len(LAYERS), columns,
        nodes=things, kind_names=KINDS, layer_names=LAYERS, default=_WALKED,
    )  # fmt: skip


class Plain:
    """The kernel in NumPy."""

    kernel = "numpy"

    def load(self, arrays: Arrays) -> dict[str, Any]:
        """Sort the edges into rows, and walk once, so that the kernel is there."""
        things = int(arrays.about()["things"])
        edges = arrays.edges("current")
        began = time.perf_counter()
        self.graph = _adjacency(
            edges, things,
            types=np.array(arrays["types"]), stages=np.array(arrays["stages"]),
        )  # fmt: skip
        took = time.perf_counter() - began
        self.arrays, self.things = arrays, things
        self.lean: dict[str, Adjacency] = {}
        self.kinds = self.graph.mask(kinds=[kind for kind in _WALKED if kind not in MASKED_OUT])
        closure(self.graph, [0], kernel=self.kernel)
        columns = sum(column.nbytes for column in self.graph.columns.values())
        return {
            "version": np.__version__,
            "bytes": self.graph.nbytes - columns,
            "facts": {
                "bytes an edge, no times": (self.graph.nbytes - columns) / len(edges),
                "edges in memory sorted into rows, s": took,
            },
        }

    def _down(self, start: int) -> Closure:
        return closure(self.graph, [start], kernel=self.kernel)

    def _lean(self, name: str, start: int) -> Closure:
        """Walk over nothing but the edges of an answer; their rows are made when first asked."""
        if name not in self.lean:
            self.lean[name] = _adjacency(self.arrays.edges(name), self.things)
        return closure(self.lean[name], [start], kernel=self.kernel)

    def _services(self, start: int) -> Any:
        keys = closure(self.graph, [start], kernel=self.kernel).keys[1:]
        columns = self.graph.columns
        keys = keys[columns["types"][keys] == TYPES.index("service")]
        return keys[columns["stages"][keys] == STAGES.index("production")]

    def _path(self, start: int, end: int) -> Any:
        found = shortest(self.graph, start, end, kernel=self.kernel)
        return () if found is None else found.nodes

    def queries(self) -> dict[str, Query]:
        """Return what it can answer."""
        graph, kernel = self.graph, self.kernel

        def walk(**how: Any) -> Query:
            return Query(lambda start: closure(graph, [start], kernel=kernel, **how), _read)

        return {
            "down": Query(self._down, _read),
            "up": walk(upstream=True),
            "hops": walk(depth=3),
            # The default walk looks at no edge's kind: the rows are in the order of that.
            "masked": Query(self._down, _read),
            "kinds": walk(mask=self.kinds),
            "services": Query(self._services, lambda found: (found, None)),
            **{
                f"lean_{name}": Query(partial(self._lean, name), _read)
                for name in ("kinds", "overlay", "then_recent", "then_old")
            },
            "path": Query(self._path, lambda found: (found, None)),
        }


class Compiled(Plain):
    """The kernel that numba compiles."""

    kernel = "numba"


def _read(found: Closure) -> tuple[Any, Any]:
    return found.keys[1:], found.depths[1:]

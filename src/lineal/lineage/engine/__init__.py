"""The lineage engine: the graph as arrays, and walks on them near the speed of memory.

Pure. Nothing here opens a store, and nothing here imports the compiler before a walk wants it.

>>> import numpy as np
>>> graph = Adjacency.of(np.array([0, 0, 1]), np.array([1, 2, 3]))
>>> closure(graph, [3], upstream=True, kernel="numpy").keys.tolist()
[3, 1, 0]
"""

from __future__ import annotations

from lineal.lineage.engine.adjacency import Adjacency, Code, Rows
from lineal.lineage.engine.closure import closure, shortest, tally
from lineal.lineage.engine.kernels import compiled_is_there
from lineal.lineage.engine.reached import Closure, Found

__all__ = [
    "Adjacency",
    "Closure",
    "Code",
    "Found",
    "Rows",
    "closure",
    "compiled_is_there",
    "shortest",
    "tally",
]

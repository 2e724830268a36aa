"""How long the engine takes to be filled from the rows of a store, as after its file was deleted.

The estate is written to a real store by the one way that there is, read back in bulk and made
into the graphs of both grains; walks on the result are checked like those of any engine.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bench.lineage.graph import KINDS, LAYERS, TYPES, Estate
from bench.lineage.seeds import Reference, choose
from lineal.access import LOCAL
from lineal.lineage import Way
from lineal.lineage.engine import compiled_is_there
from lineal.lineage.engine.closure import ENDLESS
from lineal.lineage.engine.walkgraph import WalkGraph
from lineal.model import EdgeStatement, Layer, Record, Statement, Uri
from lineal.shapes import Shapes
from lineal.store import Batch, Store

#: Kinds that are stated in the direction of the data; the others against it.
_FORWARD = frozenset({"deployed_on", "served_in", "logs_to"})
_BATCH = 500
#: 2026-01-06 in microseconds; each thing is a second younger than the one before.
_BEGIN = 1_767_657_600_000_000
_TIMES = 3


def rebuilt(estate: Estate, *, progress: Callable[[str], None]) -> dict[str, float]:
    """
    Write *estate* to a store and fill the engine from it; return the figures.

    Raises:
        ValueError: a walk on what was filled reaches something else than it should.
    """
    shapes = Shapes.builtin()
    with tempfile.TemporaryDirectory(prefix="lineal-bench-") as folder:
        store = Store(Path(folder) / "lineal.db", shapes=shapes)
        try:
            progress("filling a store")
            batch: list[Record] = []
            for record in records(estate):
                batch.append(record)
                if len(batch) == _BATCH:
                    store.commit(Batch(batch, actor="bench", cause="bench"))
                    batch = []
            if batch:
                store.commit(Batch(batch, actor="bench", cause="bench"))
            progress("filling the engine from the store")
            return _filled(store, shapes, estate)
        finally:
            store.close()


def _filled(store: Store, shapes: Shapes, estate: Estate) -> dict[str, float]:
    read, made = [], []
    with store.read(LOCAL) as reader:
        for _ in range(_TIMES):
            began = time.perf_counter()
            picture = reader.picture(shapes, timed=True)
            read.append(time.perf_counter() - began)
            began = time.perf_counter()
            graphs = [WalkGraph.of(picture, shapes, logical=logical) for logical in (True, False)]
            made.append(time.perf_counter() - began)
        keys = reader.keys([_uri(estate, thing) for thing in range(len(estate))])
    number = {keys[_uri(estate, thing)]: thing for thing in range(len(estate))}
    down, seeds = Reference.down(estate.walked(), len(estate)), choose(estate)
    for start in (*seeds.typical[:10], *seeds.hub):
        way = Way(upstream=False, logical=False)
        found = graphs[1].walk([keys[_uri(estate, start)]], way, ENDLESS, kernel="numpy")
        reached = np.sort([number[int(key)] for key in found.things if number[int(key)] != start])
        if not np.array_equal(reached, down.reached(start).ids):
            raise ValueError(f"The graph from the store reaches other things from {start}.")
    starts = [keys[_uri(estate, thing)] for thing in seeds.typical]
    edges = len(picture.claims)
    return {
        f"rebuilt from {edges:,} claims in SQLite: rows to columns, ms": _middle(read) * 1e3,
        f"rebuilt from {edges:,} claims in SQLite: columns to both grains, ms": _middle(made) * 1e3,
        "rebuilt from the store, claims a second": edges / (_middle(read) + _middle(made)),
        **{
            f"a typical walk downstream on it, {grain}, with what is possible, {kernel}, µs": taken
            for grain, graph in (("logical", graphs[0]), ("exact", graphs[1]))
            for kernel in ("numpy", *(["numba"] if compiled_is_there() else []))
            if (taken := _walked(graph, starts, kernel))
        },
    }


def _walked(graph: WalkGraph, starts: list[int], kernel: str) -> float:
    """Return the median microseconds of a walk from one of *starts*."""
    way = Way(upstream=False, logical=graph.logical)
    times = []
    for turn in range(1 + _TIMES):
        for start in starts:
            began = time.perf_counter()
            graph.walk([start], way, ENDLESS, kernel=kernel)
            if turn:
                times.append(time.perf_counter() - began)
    return _middle(times) * 1e6


def _middle(times: list[float]) -> float:
    return statistics.median(times)


def records(estate: Estate) -> Iterator[Record]:
    """Yield what a source says of each thing, the oldest first: its name, and its own edges."""
    said: dict[int, list[EdgeStatement]] = defaultdict(list)
    edges = estate.current
    columns = (edges.starts.tolist(), edges.ends.tolist(), edges.codes.tolist())
    for start, end, code in zip(*columns, strict=True):
        kind, layer = KINDS[code // len(LAYERS)], LAYERS[code % len(LAYERS)]
        one, other = (start, end) if kind in _FORWARD else (end, start)
        statement = EdgeStatement(_uri(estate, one), kind, _uri(estate, other), layer=Layer(layer))
        said[one].append(statement)
    for thing in range(len(estate)):
        uri = _uri(estate, thing)
        about = Statement(uri, {"name": f"thing {thing}"})
        moment = _BEGIN + thing * 1_000_000
        yield Record("bench", str(thing), uri, (about,), tuple(said[thing]), moment)


def _uri(estate: Estate, thing: int) -> Uri:
    return Uri.of(TYPES[int(estate.types[thing])], "bench", str(thing))

"""Graph libraries for Python, each asked the quickest way that it documents."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.lineage.arrays import Arrays
from bench.lineage.worker import Query


def _ids(found: Any) -> tuple[Any, None]:
    return list(found), None


def _depths(found: dict[int, int]) -> tuple[Any, Any]:
    ids = np.fromiter(found.keys(), dtype=np.int64, count=len(found))
    depths = np.fromiter(found.values(), dtype=np.int64, count=len(found))
    return ids[depths > 0], depths[depths > 0]


class NetworkX:
    """Dictionaries of dictionaries."""

    def load(self, arrays: Arrays) -> dict[str, Any]:
        """Add all edges."""
        import networkx  # noqa: PLC0415  # in a peer's process only

        self.library = networkx
        self.graph = networkx.DiGraph()
        self.graph.add_nodes_from(range(arrays.about()["things"]))
        edges = arrays.edges("walked")
        self.graph.add_edges_from(zip(edges.starts.tolist(), edges.ends.tolist(), strict=True))
        return {"version": networkx.__version__}

    def queries(self) -> dict[str, Query]:
        """Return what it can answer."""
        library, graph = self.library, self.graph
        length = library.single_source_shortest_path_length
        return {
            "down": Query(lambda start: length(graph, start), _depths),
            "down_ids": Query(lambda start: library.descendants(graph, start), _ids),
            "up_ids": Query(lambda start: library.ancestors(graph, start), _ids),
            "hops": Query(lambda start: length(graph, start, cutoff=3), _depths),
            "path": Query(lambda a, b: library.bidirectional_shortest_path(graph, a, b), _ids),
        }


class RustworkX:
    """A graph of Python objects in Rust."""

    def load(self, arrays: Arrays) -> dict[str, Any]:
        """Add all edges."""
        import rustworkx  # noqa: PLC0415  # in a peer's process only

        self.library = rustworkx
        self.graph = rustworkx.PyDiGraph(multigraph=False)
        self.graph.add_nodes_from(range(arrays.about()["things"]))
        edges = arrays.edges("walked")
        self.graph.extend_from_edge_list(
            list(zip(edges.starts.tolist(), edges.ends.tolist(), strict=True))
        )
        return {"version": rustworkx.__version__}

    def _distances(self, start: int) -> Any:
        return self.library.digraph_dijkstra_shortest_path_lengths(self.graph, start, _one)

    def _path(self, start: int, end: int) -> Any:
        paths = self.library.digraph_dijkstra_shortest_paths(self.graph, start, target=end)
        return paths[end]

    def queries(self) -> dict[str, Query]:
        """Return what it can answer."""
        library, graph = self.library, self.graph
        return {
            "down": Query(self._distances, lambda found: _depths(dict(found))),
            "down_ids": Query(lambda start: library.descendants(graph, start), _ids),
            "up_ids": Query(lambda start: library.ancestors(graph, start), _ids),
            "path": Query(self._path, _ids),
        }


def _one(_: object) -> float:
    return 1.0


class IGraph:
    """A graph library in C."""

    def load(self, arrays: Arrays) -> dict[str, Any]:
        """Add all edges."""
        import igraph  # noqa: PLC0415  # in a peer's process only

        edges = arrays.edges("walked")
        pairs = np.column_stack((edges.starts, edges.ends))
        self.graph = igraph.Graph(n=arrays.about()["things"], edges=pairs, directed=True)
        return {"version": igraph.__version__}

    def queries(self) -> dict[str, Query]:
        """Return what it can answer."""
        graph = self.graph
        return {
            "down": Query(lambda start: graph.bfs(start, mode="out"), _layers),
            "down_ids": Query(lambda start: graph.subcomponent(start, mode="out"), _without_first),
            "up": Query(lambda start: graph.bfs(start, mode="in"), _layers),
            "up_ids": Query(lambda start: graph.subcomponent(start, mode="in"), _without_first),
            "hops_ids": Query(
                lambda start: graph.neighborhood(start, order=3, mode="out", mindist=1), _ids
            ),
            "path": Query(lambda a, b: graph.get_shortest_path(a, b, mode="out"), _ids),
        }


def _without_first(found: list[int]) -> tuple[Any, None]:
    return found[1:], None


def _layers(found: tuple[list[int], list[int], list[int]]) -> tuple[Any, Any]:
    ids, starts, _ = found
    depths = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    return ids[1:], depths[1:]


class SciPy:
    """Compressed rows and a walk in Cython; it tells no depth."""

    def load(self, arrays: Arrays) -> dict[str, Any]:
        """Make rows both ways."""
        import scipy  # noqa: PLC0415  # in a peer's process only
        from scipy.sparse import csr_array  # noqa: PLC0415
        from scipy.sparse.csgraph import breadth_first_order  # noqa: PLC0415

        things = arrays.about()["things"]
        edges = arrays.edges("walked")
        values = np.ones(len(edges), dtype=np.float64)
        self.down = csr_array((values, (edges.starts, edges.ends)), shape=(things, things))
        self.up = csr_array((values, (edges.ends, edges.starts)), shape=(things, things))
        self.order = breadth_first_order
        return {"version": scipy.__version__}

    def _walk(self, rows: Any, start: int) -> Any:
        return self.order(rows, start, directed=True, return_predecessors=False)

    def queries(self) -> dict[str, Query]:
        """Return what it can answer."""
        return {
            "down_ids": Query(lambda start: self._walk(self.down, start), lambda a: (a[1:], None)),
            "up_ids": Query(lambda start: self._walk(self.up, start), lambda a: (a[1:], None)),
        }

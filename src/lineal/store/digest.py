"""One number for the whole graph as it is now.

It speaks URIs, never keys, and no times of ours, so that two databases that were told the same in
another order, or another database engine, agree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from lineal.store import schema
from lineal.store.facts import TOMBSTONE
from lineal.store.terms import Terms


def graph(connection: sa.Connection, terms: Terms) -> str:
    """Return the SHA-256 of all living statements, edges and derivations, sorted."""
    uris = _uris(connection)
    lines = sorted(
        [
            *_statements(connection, uris),
            *_edges(connection, uris, terms),
        ]
    )
    total = hashlib.sha256()
    for line in lines:
        total.update(line.encode())
        total.update(b"\n")
    return total.hexdigest()


def _uris(connection: sa.Connection) -> dict[int, str]:
    query = sa.select(schema.entity.c.key, schema.entity.c.uri)
    return {row.key: row.uri for row in connection.execute(query)}


def _statements(connection: sa.Connection, uris: dict[int, str]) -> Iterator[str]:
    table = schema.record
    for row in connection.execute(_living(table).where(table.c.body != TOMBSTONE)):
        yield "\t".join(["record", uris[row.key], row.source, row.name, row.body])


def _edges(connection: sa.Connection, uris: dict[int, str], terms: Terms) -> Iterator[str]:
    table = schema.edge_out
    for row in connection.execute(_living(table)):
        yield "\t".join(
            [
                "edge",
                uris[row.src],
                terms.word(connection, row.kind),
                uris[row.dst],
                row.source,
                row.name,
                row.layer,
                row.attributes or "{}",
                _time(row),
            ]
        )


def _living(table: sa.Table) -> sa.Select[Any]:
    document = schema.document
    query = sa.select(table, document.c.source, document.c.name)
    return query.join(document, document.c.id == table.c.document).where(table.c.t_to.is_(None))


def _time(row: Any) -> str:
    """A time that the source said is part of what is so; when we came to see it is not."""
    return f"{row.valid_from}-{row.valid_to}" if row.valid_said else "observed"

"""Since when and until when something was observed: what tells "not yet" from "not at all".

Each function is one named query over the facts as they were known by a basis.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import sqlalchemy as sa

from lineal.model import Instant
from lineal.store import schema
from lineal.store.basis import Basis
from lineal.store.slices import slices

#: The tables of facts, each by the column whose key the row tells something of.
_OF = (
    (schema.record, schema.record.c.key),
    (schema.edge_out, schema.edge_out.c.src),
    (schema.edge_in, schema.edge_in.c.dst),
)


def unobserved(connection: sa.Connection, basis: Basis, keys: Collection[int]) -> set[int]:
    """
    Of which of these was nothing observed at the moment, and something of a later one?

    Only of a moment before the knowledge: nothing is recorded of what is still to come.
    """
    if basis.valid_at >= basis.known_at:
        return set()
    then, later = set[int](), set[int]()
    for key, begins in _observations(connection, basis, keys):
        (then if begins <= basis.valid_at else later).add(key)
    return later - then


def _observations(
    connection: sa.Connection, basis: Basis, keys: Collection[int]
) -> Iterator[tuple[int, Instant]]:
    """Yield the first instant at which each fact that is or will be so was observed."""
    for table, key in _OF:
        row = table.c
        known = sa.or_(row.t_to.is_(None), row.t_to > basis.t)
        believed = sa.or_(known, row.reason != "corrected")
        until = sa.case((known, row.valid_to), else_=sa.func.coalesce(row.ended_at, row.valid_to))
        for some in slices(keys):
            query = sa.select(key, row.valid_from).where(
                key.in_(some),
                row.t_from <= basis.t,
                believed,
                sa.or_(until.is_(None), until > basis.valid_at),
            )
            for found, begins in connection.execute(query):
                yield int(found), int(begins)


def last_recorded(
    connection: sa.Connection, keys: Collection[int], alive: sa.ColumnElement[bool]
) -> dict[int, Instant]:
    """When was the last word on these recorded, of the words that were so at the moment?"""
    record, tx, found = schema.record, schema.tx, dict[int, Instant]()
    for some in slices(keys):
        query = (
            sa.select(record.c.key, sa.func.max(tx.c.instant))
            .join(tx, tx.c.t == record.c.t_from)
            .where(record.c.key.in_(some), alive)
            .group_by(record.c.key)
        )
        found.update((key, at) for key, at in connection.execute(query))
    return found


def first_recorded(connection: sa.Connection, key: int) -> tuple[int, Instant]:
    """In which transaction, and when, was this thing first spoken of?"""
    entity, tx = schema.entity, schema.tx
    query = (
        sa.select(entity.c.t_from, tx.c.instant)
        .join(tx, tx.c.t == entity.c.t_from)
        .where(entity.c.key == key)
    )
    row: Any = connection.execute(query).one()
    return int(row[0]), int(row[1])

"""What happened between two moments: in which transactions something may have changed.

Everything is read in one snapshot. The queries here name candidates and never miss one, unless the
budget of the question is used up, which its meter says; whether something did change is for the
readers at both moments, and at those between, to say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import sqlalchemy as sa

from lineal.errors import InvalidQuery
from lineal.store import schema
from lineal.store.basis import Basis
from lineal.store.meter import Meter
from lineal.store.reading import Reader
from lineal.store.rows import unpack_feed
from lineal.store.slices import slices

#: Over how many transactions the feed is read; over more, the facts themselves are looked through.
FEED = 2_000

#: The tables of facts, each by the column whose key the row tells something of.
_OF = (
    (schema.record, schema.record.c.key),
    (schema.edge_out, schema.edge_out.c.src),
    (schema.edge_in, schema.edge_in.c.dst),
)


class Between:
    """
    Two moments, the second known no earlier than the first, and what lies between them.

    Raises:
        InvalidQuery: the first moment is of a later transaction than the second.
    """

    def __init__(
        self,
        connection: sa.Connection,
        reader: Callable[[Basis], Reader],
        before: Basis,
        after: Basis,
        meter: Meter | None = None,
    ) -> None:
        if before.t > after.t:
            raise InvalidQuery(
                f"The first moment is of transaction {before.t}, the second of {after.t}.",
                fix="Ask from the earlier knowledge to the later.",
            )
        self._connection, self._reader, self.meter = connection, reader, meter
        self.before, self.after = reader(before), reader(after)
        #: All that changed, by the feed; read when it is first asked for.
        self._fed: set[int] | None = None

    @property
    def in_valid_time(self) -> bool:
        """Whether the moments are of one knowledge, and differ at most in when it was so."""
        return self.before.basis.t == self.after.basis.t

    def known_by(self, t: int) -> Reader:
        """Return a reader of what a transaction knew about the time of the second moment."""
        basis = self.after.basis
        return self._reader(Basis(t, basis.known_at, basis.valid_at))

    def _found(self, query: sa.Select[Any]) -> list[Any]:
        """Return the rows that a query finds, as far as the budget of the question goes."""
        if self.meter is not None:
            return self.meter.read(query)
        return list(self._connection.execute(query))

    # ── In which transactions ────────────────────────────────────────────────────────────────

    def _begun(self, table: sa.Table) -> sa.ColumnElement[bool]:
        return self._within(table.c.t_from)

    def _ended(self, table: sa.Table) -> sa.ColumnElement[bool]:
        return self._within(table.c.t_to)

    def _within(self, t: sa.Column[Any]) -> sa.ColumnElement[bool]:
        return sa.and_(t > self.before.basis.t, t <= self.after.basis.t)

    def said_in(self, keys: Collection[int]) -> dict[int, set[int]]:
        """In which transactions was each of these first known, or a word on it begun or ended?"""
        table, entity = schema.record, schema.entity
        found = self._changes(((table, table.c.key),), keys)
        for some in slices(keys):
            query = sa.select(entity.c.key, entity.c.t_from).where(entity.c.key.in_(some))
            for key, at in self._found(query.where(self._begun(entity))):
                found[key].add(at)
        return found

    def linked_in(self, keys: Collection[int]) -> dict[int, set[int]]:
        """In which transactions did a claim of an edge at each of these begin or end?"""
        return self._changes(_OF[1:], keys)

    def _changes(
        self, tables: Iterable[tuple[sa.Table, sa.Column[Any]]], keys: Collection[int]
    ) -> dict[int, set[int]]:
        found: dict[int, set[int]] = defaultdict(set)
        for table, own in tables:
            for some in slices(keys):
                for t, changed in ((table.c.t_from, self._begun), (table.c.t_to, self._ended)):
                    query = sa.select(own, t).distinct().where(own.in_(some), changed(table))
                    for key, at in self._found(query):
                        found[key].add(at)
        return found

    def claimed_in(self, pairs: Collection[tuple[int, int]]) -> dict[tuple[int, int], set[int]]:
        """In which transactions did a claim of an edge between these begin or end?"""
        table, wanted = schema.edge_out, set(pairs)
        found: dict[tuple[int, int], set[int]] = defaultdict(set)
        for some in slices(src for src, _ in wanted):
            own = set(some)
            for targets in slices({dst for src, dst in wanted if src in own}):
                for t, changed in ((table.c.t_from, self._begun), (table.c.t_to, self._ended)):
                    query = sa.select(table.c.src, table.c.dst, t).where(
                        table.c.src.in_(some), table.c.dst.in_(targets), changed(table)
                    )
                    for src, dst, at in self._found(query):
                        if (src, dst) in wanted:
                            found[(src, dst)].add(at)
        return found

    # ── Which things ─────────────────────────────────────────────────────────────────────────

    def changed(self, kind: str, *, feed: int = FEED) -> Iterator[list[int]]:
        """Which things of a type may differ between the two moments? Some at a time, also again."""
        short = self.after.basis.t - self.before.basis.t <= feed
        yield from self._by_feed(kind) if short else self._by_facts(kind, self._in_known)
        if self.before.basis.valid_at != self.after.basis.valid_at:
            yield from self._by_facts(kind, self._in_valid)

    def _by_feed(self, kind: str) -> Iterator[list[int]]:
        """Read the feed: every transaction names what it changed."""
        if self._fed is None:
            table = schema.tx
            query = sa.select(table.c.changed).where(self._within(table.c.t))
            self._fed = {
                key for (packed,) in self._found(query) for key in unpack_feed(bytes(packed))
            }
        for some in slices(self._fed):
            yield self.after.only(some, (kind,))

    def _by_facts(
        self, kind: str, condition: Callable[[sa.Table], sa.ColumnElement[bool]]
    ) -> Iterator[list[int]]:
        """Look through all that is held of things of a type."""
        entity = schema.entity
        for table, key in _OF:
            query = (
                sa.select(key)
                .distinct()
                .join(entity, entity.c.key == key)
                .where(entity.c.type == kind, condition(table))
            )
            yield from slices(key for (key,) in self._found(query))

    def _in_known(self, table: sa.Table) -> sa.ColumnElement[bool]:
        return sa.or_(self._begun(table), self._ended(table))

    def _in_valid(self, table: sa.Table) -> sa.ColumnElement[bool]:
        """Some end of the time in which it was so lies between the two instants."""
        instants = self.before.basis.valid_at, self.after.basis.valid_at
        first, last = min(instants), max(instants)
        row = table.c
        return sa.and_(
            row.t_from <= self.after.basis.t,
            sa.or_(
                *(
                    sa.and_(at > first, at <= last)
                    for at in (row.valid_from, row.valid_to, row.ended_at)
                )
            ),
        )

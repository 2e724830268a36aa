"""All that a database holds, told as the lines of an export: one snapshot, in one order.

Rows are told by transaction, as they began and as they ended, so that whoever reads them can seal
each transaction again. What follows from them (search rows, edges by their end) is left out. The
order is that of the database's own numbers, which the lines keep without naming them: a database
made from an export exports the same bytes.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import sqlalchemy as sa

from lineal.errors import Damaged
from lineal.store import lines, migrations, schema, seals
from lineal.store.rows import unpack, unpack_feed
from lineal.store.sealing import Sealing
from lineal.store.slices import slices

_Item = TypeVar("_Item")

#: Told how much is done, of how much, of what.
Moved: TypeAlias = "Callable[[int, int | None, str], None]"

#: How many rows are named at a time, and how many names are remembered.
AT_ONCE, REMEMBERED = 1_000, 200_000
#: The tables of work, of which every row is told as it is; the rest is facts, or follows from them.
WORK = (
    schema.registered,
    schema.watch,
    schema.inbox,
    schema.log_body,
    schema.log_entry,
    schema.dead_letter,
    schema.raw,
    schema.flow,
    schema.standing,
    schema.deed,
    schema.finding,
)


def export(connection: sa.Connection, out: lines.Writer, progress: Moved | None = None) -> int:
    """
    Tell everything that one snapshot holds; return its last transaction.

    Raises:
        Damaged: a transaction is not as it was sealed; the message names it.
    """
    try:
        return _Export(connection, out, progress).run()
    except (ValueError, TypeError, LookupError) as error:
        raise Damaged(f"A row cannot be read: {error}.", fix=_FIX) from error


@contextlib.contextmanager
def sorting_on_disk(connection: sa.Connection) -> Iterator[None]:
    """Let SQLite sort in files for this while; nothing may have been read on *connection* yet."""
    raw = connection.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):
        yield
        return
    _between_snapshots(raw, "PRAGMA temp_store=FILE")
    try:
        yield
    finally:
        _between_snapshots(raw, "PRAGMA temp_store=MEMORY")


def _between_snapshots(raw: sqlite3.Connection, setting: str) -> None:
    """Change a setting that cannot be changed inside a transaction, and begin another."""
    for statement in ("ROLLBACK", setting, "BEGIN"):
        raw.execute(statement)


class _Told(NamedTuple):
    """A row that a transaction wrote, on its way to be a line."""

    t: int
    document: int
    #: Endings first, then what began, then the answer of the source.
    rank: int
    row: Any


class _Export:
    """One export on its way."""

    def __init__(
        self, connection: sa.Connection, out: lines.Writer, progress: Moved | None
    ) -> None:
        self._connection, self._out, self._progress = connection, out, progress
        self._words: dict[int, str] = {}
        self._uris: dict[int, str] = {}
        self._owners: dict[int, seals.Owner] = {}
        self._counts: dict[str, int] = {}
        self._forgot: dict[int, list[lines.Forgot]] = {}
        self._anew: dict[int, list[tuple[int, str]]] = {}
        self._done = 0

    def run(self) -> int:
        """Write all lines in their order."""
        t = self._header()
        self._entities()
        self._documents()
        self._transactions()
        for table in WORK:
            self._work(table)
        self._rules()
        self._out.end()
        return t

    def _stream(self, query: sa.Select[Any]) -> Iterable[Any]:
        """Read rows as they are needed, never all at once."""
        options = self._connection.execution_options(stream_results=True, yield_per=AT_ONCE)
        return options.execute(query)

    def _write(self, line: lines.Line) -> None:
        self._out.write(line)
        self._done += lines.tag_of(line) in self._counts
        if self._progress is not None and self._out.counts.total() % AT_ONCE == 0:
            self._progress(self._done, sum(self._counts.values()), "lines")

    def _header(self) -> int:
        terms = self._connection.execute(sa.select(schema.term).order_by(schema.term.c.id))
        self._words = {row.id: row.text for row in terms}
        counted = (
            *(schema.entity, schema.document, schema.tx, schema.record, schema.derivation),
            schema.response,
        )
        counts = {table.name: self._count(table) for table in counted}
        counts["edge"] = self._count(schema.edge_out)
        counts["row"] = sum(self._count(table) for table in (*WORK, schema.rule))
        self._counts = counts
        t = self._connection.scalar(sa.select(schema.clock.c.published)) or 0
        kinds = list(self._words.values())
        schema_now = migrations.current(self._connection) or ""
        self._write(lines.Header(lines.FORMAT, schema_now, t, kinds, dict(sorted(counts.items()))))
        return t

    def _count(self, table: sa.Table) -> int:
        return self._connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0

    # ── Names ────────────────────────────────────────────────────────────────────────────────

    def _learn(self, keys: Iterable[int]) -> None:
        """Look up the URIs of keys that will be asked for."""
        if len(self._uris) > REMEMBERED:
            self._uris.clear()
        table = schema.entity
        for some in slices({key for key in keys if key not in self._uris}):
            query = sa.select(table.c.key, table.c.uri).where(table.c.key.in_(some))
            self._uris.update(tuple(row) for row in self._connection.execute(query))

    def _uri(self, key: int) -> str:
        if key not in self._uris:
            raise Damaged(f"A row speaks of the key {key}, which has no URI.", fix=_FIX)
        return self._uris[key]

    def _learn_owners(self, documents: Iterable[int]) -> None:
        if len(self._owners) > REMEMBERED:
            self._owners.clear()
        table = schema.document
        for some in slices({one for one in documents if one not in self._owners}):
            query = sa.select(table.c.id, table.c.source, table.c.name).where(table.c.id.in_(some))
            for row in self._connection.execute(query):
                self._owners[row.id] = (row.source, row.name)

    def _owner(self, document: int) -> seals.Owner:
        if document not in self._owners:
            raise Damaged(f"A row is of the document {document}, which is not there.", fix=_FIX)
        return self._owners[document]

    # ── Things and documents ─────────────────────────────────────────────────────────────────

    def _entities(self) -> None:
        for uri, t in self._named():
            self._write(lines.Entity(uri, t))

    def _named(self) -> Iterator[tuple[str, int]]:
        """Which things were named, by the transaction that was the first to?"""
        table = schema.entity.c
        query = sa.select(table.uri, table.t_from).order_by(table.t_from, table.key)
        for row in self._stream(query):
            yield row.uri, row.t_from

    def _documents(self) -> None:
        table = schema.document
        for some in _batched(self._stream(sa.select(table).order_by(table.c.id))):
            self._learn(key for row in some for key in (row.subject, *_keys(row.touched)) if key)
            for row in some:
                touched = [self._uri(key) for key in _keys(row.touched)]
                self._write(
                    lines.Document(
                        row.source,
                        row.name,
                        self._uri(row.subject) if row.subject else None,
                        bytes(row.digest).hex(),
                        row.said_at,
                        row.live,
                        row.fine,
                        None if row.touched is None else touched,
                    )
                )

    # ── Transactions ─────────────────────────────────────────────────────────────────────────

    def _transactions(self) -> None:
        table = schema.tx
        told, named = _Peeked(self._told()), _Peeked(self._named())
        resealed, before = self._resealed(), seals.GENESIS
        self._anew = _by_maker(resealed)
        self._forgot = self._forgotten()
        for row in self._stream(sa.select(table).order_by(table.c.t)):
            before = self._transaction(row._mapping, resealed, told, named, before)
        if told.first is not None or named.first is not None:
            raise Damaged("Rows were written by a transaction that is not there.", fix=_FIX)

    def _transaction(
        self,
        row: Mapping[Any, Any],
        resealed: Mapping[int, list[lines.Resealed]],
        told: _Peeked[_Told],
        named: _Peeked[tuple[str, int]],
        before: bytes,
    ) -> bytes:
        t, changed = row["t"], unpack_feed(bytes(row["changed"]))
        self._learn(changed)
        uris = [self._uri(key) for key in changed]
        line = lines.Transaction(
            t, row["instant"], row["actor"], row["cause"], uris,
            bytes(row["salt"]).hex(), bytes(row["root"]).hex(), bytes(row["hash"]).hex(),
            row["token"], resealed.get(t, []), self._forgot.get(t, []), self._anew.get(t, []),
        )  # fmt: skip
        self._write(line)
        sealing = Sealing(line)
        owner: seals.Owner | None = None
        for some in _batched(told.while_(lambda one: one.t <= t)):
            for document, said in self._said(some, t):
                if owner != self._owner(document):
                    owner = self._owner(document)
                    self._write(lines.Says(*owner))
                sealing.add(owner, said)
                self._write(said)
        first = [uri for uri, _ in named.while_(lambda one: one[1] <= t)]
        return sealing.check(first, before)

    def _resealed(self) -> dict[int, list[lines.Resealed]]:
        table, found = schema.resealed, dict[int, list[lines.Resealed]]()
        for row in self._stream(sa.select(table).order_by(table.c.t, table.c.at)):
            line = lines.Resealed(row.at, bytes(row.salt).hex(), bytes(row.root).hex())
            found.setdefault(row._mapping["t"], []).append(line)
        return found

    def _forgotten(self) -> dict[int, list[lines.Forgot]]:
        """What did each transaction forget on purpose?"""
        table, found = schema.forgotten, dict[int, list[lines.Forgot]]()
        for some in _batched(self._stream(sa.select(table).order_by(table.c.key, table.c.t))):
            self._learn(row.key for row in some)
            for row in some:
                line = lines.Forgot(self._uri(row.key), row.how, row.reason)
                found.setdefault(row._mapping["t"], []).append(line)
        return found

    def _told(self) -> Iterator[_Told]:
        """What did each transaction write, document by document, endings first?"""
        record, edge, derivation = schema.record, schema.edge_out, schema.derivation
        streams = [
            self._rows(record, "t_to", 0),
            self._rows(edge, "t_to", 1),
            self._rows(derivation, "t_to", 2),
            self._rows(record, "t_from", 3),
            self._rows(edge, "t_from", 4),
            self._rows(derivation, "t_from", 5),
            self._rows(schema.response, "t", 6),
        ]
        return heapq.merge(*streams, key=lambda one: one[:3])

    def _rows(self, table: sa.Table, when: str, rank: int) -> Iterator[_Told]:
        t, document = table.c[when], table.c.document
        query = sa.select(table).where(t.is_not(None)).order_by(t, document, *table.primary_key)
        for row in self._stream(query):
            yield _Told(row._mapping[when], row.document, rank, row)

    def _said(self, some: list[_Told], t: int) -> Iterator[tuple[int, lines.Said]]:
        self._learn(key for one in some for key in _spoken_of(one))
        self._learn_owners(one.document for one in some)
        for one in some:
            if one.t != t:
                raise Damaged(f"Rows were written by {one.t}, which is not there.", fix=_FIX)
            yield one.document, self._line(one)

    def _line(self, one: _Told) -> lines.Said:
        row = one.row
        if one.rank == _RESPONSE:
            return lines.Answered(lines.raw(row.body))
        if one.rank in (0, 3):
            return self._record(row, ended=one.rank == 0)
        edge = (self._uri(row.src), self._words[row.kind], self._uri(row.dst))
        if one.rank in (1, 4):
            if one.rank == 1:
                return lines.EdgeEnded(*edge, row.t_from, row.ended_at, row.reason)
            attributes = lines.raw(row.attributes)
            times = (row.valid_from, row.valid_said, row.layer, row.valid_to)
            return lines.EdgeBegun(*edge, *times, attributes)
        digest = bytes(row.digest).hex()
        if one.rank == 2:
            return lines.DerivationEnded(*edge, digest, row.t_from, row.ended_at, row.reason)
        supports = [
            (self._uri(start), kind, self._uri(end))
            for start, kind, end in json.loads(row.supports)
        ]
        return lines.DerivationBegun(*edge, digest, row.valid_from, supports, row.why, row.valid_to)

    def _record(self, row: Any, *, ended: bool) -> lines.Said:
        uri = self._uri(row.key)
        if ended:
            return lines.RecordEnded(uri, row.t_from, row.ended_at, row.reason)
        return lines.RecordBegun(uri, row.valid_from, row.valid_said, lines.raw(row.body))

    # ── The rest ─────────────────────────────────────────────────────────────────────────────

    def _work(self, table: sa.Table) -> None:
        """Tell the rows of a table of work, without the numbers that a database gave them."""
        own = [column for column in table.columns if column.name != "id"]
        by = list(table.primary_key)
        for row in self._stream(sa.select(*own).order_by(*by)):
            self._write(
                lines.Row(str(table.name), {str(name): row._mapping[name] for name in row._mapping})
            )

    def _rules(self) -> None:
        """Tell which rules are in use; that they have concluded does not hold in another place."""
        rule = schema.rule.c
        for name, enabled in self._stream(sa.select(rule.name, rule.enabled).order_by(rule.name)):
            self._write(lines.Row("rule", {"name": name, "enabled": bool(enabled)}))


#: The rank of the answer of a source.
_RESPONSE = 6
_FIX = "Look at it by `lineal db check`; restore a backup, and export that."


class _Peeked(Generic[_Item]):
    """A stream of which the first item can be looked at."""

    def __init__(self, items: Iterator[_Item]) -> None:
        self._items = items
        self.first = next(items, None)

    def while_(self, holds: Callable[[_Item], bool]) -> Iterator[_Item]:
        """Yield items for as long as it holds."""
        while self.first is not None and holds(self.first):
            item, self.first = self.first, next(self._items, None)
            yield item


def _by_maker(
    resealed: Mapping[int, Sequence[lines.Resealed]],
) -> dict[int, list[tuple[int, str]]]:
    """Which transactions did each seal anew, and with which root?"""
    found: dict[int, list[tuple[int, str]]] = {}
    for t, some in sorted(resealed.items()):
        for one in some:
            found.setdefault(one.at, []).append((t, one.root))
    return found


def _batched(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    left = iter(items)
    while some := list(itertools.islice(left, AT_ONCE)):
        yield some


def _keys(touched: bytes | None) -> tuple[int, ...]:
    return () if touched is None else unpack(bytes(touched))


def _spoken_of(one: _Told) -> Iterator[int]:
    """Which keys does a row speak of?"""
    if one.rank in (0, 3):
        yield one.row.key
    elif one.rank != _RESPONSE:
        yield from (one.row.src, one.row.dst)
    if one.rank == 5:
        for start, _, end in json.loads(one.row.supports):
            yield from (start, end)

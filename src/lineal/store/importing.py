"""Makes a database from the lines of an export: everything, or nothing at all.

All is written in one transaction, which nobody sees before its end. Each transaction of the
export keeps its number, instant, salt and seal, and is sealed again from the rows that were read.
What follows from the rows (edges by their end, search rows) is made anew.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import sqlalchemy as sa

from lineal import digests
from lineal.errors import ConfigError, Damaged, InvalidUri
from lineal.model import Uri
from lineal.store import lines, projecting, schema, seals
from lineal.store.batches import Surroundings
from lineal.store.driver import Driver
from lineal.store.exporting import AT_ONCE, REMEMBERED, WORK, Moved
from lineal.store.ledger import Ledger
from lineal.store.rows import BegunEdge, Rows, Standing, pack, pack_feed
from lineal.store.sealing import Sealing
from lineal.store.terms import Terms

_Row: TypeAlias = "Sequence[Any]"
_TABLES = {table.name: table for table in WORK}
#: The tables of which one row is enough to say that a database is in use.
_USED = (schema.tx, schema.entity, schema.document, *WORK)


def fill(
    connection: sa.Connection,
    source: lines.Lines,
    around: Surroundings,
    *,
    progress: Moved | None = None,
) -> int:
    """
    Fill an empty database from an export; return the last transaction.

    Raises:
        ConfigError: the database is not empty.
        FileRefused: the file cannot be read, or does not hold what it was sealed with; whoever
            opened the transaction must undo it.
    """
    # Another process may write to the same server: from here on it waits.
    Ledger(Driver(connection)).hold_clock()
    used = [table.name for table in _USED if _any(connection, table)]
    if used:
        raise ConfigError(
            "An export is read into an empty database; this one is in use.",
            fix="Name a database that does not exist yet by --db.",
        )
    try:
        return _Import(connection, source, around, progress).run()
    except (Damaged, InvalidUri) as error:
        raise source.refused(error.message) from error
    except sa.exc.IntegrityError as error:
        raise source.refused(f"The same is said twice: {error.orig}.") from error


def _any(connection: sa.Connection, table: sa.Table) -> bool:
    return connection.scalar(sa.select(sa.literal(1)).select_from(table).limit(1)) is not None


class _Import:
    """One import on its way."""

    def __init__(
        self,
        connection: sa.Connection,
        source: lines.Lines,
        around: Surroundings,
        progress: Moved | None,
    ) -> None:
        self._connection, self._source = connection, source
        self._around, self._progress = around, progress
        self._driver = Driver(connection)
        self._ledger = Ledger(self._driver)
        self._kinds = {kind: number for number, kind in enumerate(source.header.kinds, 1)}
        self._keys: dict[str, int] = {}
        self._documents: dict[seals.Owner, int] = {}
        self._next_key = self._next_document = 1
        self._named = _Named(self._driver)
        self._hash, self._t, self._instant = seals.GENESIS, 0, 0
        self._open: _Open | None = None

    def run(self) -> int:
        """Take all lines, then make what follows from them."""
        self._put(schema.term, [(number, kind) for kind, number in self._kinds.items()])
        for sort, some in self._runs():
            self._take(sort, some)
        self._close()
        if self._t != self._source.header.t:
            raise self._source.refused("The last transaction is not the one that the header names.")
        self._named.none_left()
        self._set_clock()
        self._ledger.write()
        self._index()
        return self._t

    def _runs(self) -> Iterator[tuple[type, list[Any]]]:
        """Yield lines of one sort together, some hundreds at a time."""
        source, expected = self._source, self._source.header.counts
        for sort, run in itertools.groupby(source, key=_sort):
            while some := list(itertools.islice(run, AT_ONCE)):
                if self._progress is not None:
                    done = sum(source.counts[tag] for tag in expected)
                    self._progress(done, max(done, sum(expected.values())), "lines")
                yield sort, some

    def _put(self, table: sa.Table, rows: Sequence[_Row]) -> None:
        """Insert rows that are changed in place later: all but facts and transactions."""
        self._ledger.insert(table, rows)

    def _put_numbered(self, table: sa.Table, rows: Sequence[_Row]) -> None:
        """Insert rows whose first column the database numbers."""
        for row in rows:
            self._ledger.insert_numbered(table, row)

    # ── Lines ────────────────────────────────────────────────────────────────────────────────

    def _take(self, sort: type, some: list[Any]) -> None:
        if sort is lines.Entity:
            self._entities(some)
        elif sort is lines.Document:
            self._take_documents(some)
        elif sort is lines.Transaction:
            for head in some:
                self._close()
                self._begin(head)
        elif sort is _Told:
            self._rows(some)
        else:
            self._close()
            self._rest(sort, some)

    def _entities(self, some: list[lines.Entity]) -> None:
        uris = [Uri(one.uri) for one in some]
        self._refuse_known(uris, self._found_keys(uris))
        keys = range(self._next_key, self._next_key + len(some))
        self._next_key += len(some)
        self._driver.insert(schema.uri, list(zip(map(str, uris), keys, strict=True)))
        rows = [
            (key, str(uri), uri.type, one.t) for key, uri, one in zip(keys, uris, some, strict=True)
        ]
        self._driver.insert(schema.entity, rows)

    def _take_documents(self, some: list[lines.Document]) -> None:
        self._learn(uri for one in some for uri in (one.subject, *(one.touched or ())) if uri)
        names = [(one.source, one.name) for one in some]
        self._refuse_known(names, self._found_documents(names))
        rows = []
        for one in some:
            touched = None if one.touched is None else pack(map(self._key, one.touched))
            subject = 0 if one.subject is None else self._key(one.subject)
            head = (self._next_document, one.source, one.name, subject, bytes.fromhex(one.digest))
            rows.append((*head, one.said_at, one.live, one.fine, touched))
            self._next_document += 1
        self._put(schema.document, rows)

    def _refuse_known(self, names: Sequence[Any], known: Collection[Any]) -> None:
        if known or len(set(names)) < len(names):
            raise self._source.refused("The same is said twice.")

    def _rest(self, sort: type, some: list[Any]) -> None:
        if sort is lines.Row:
            for name, of_table in itertools.groupby(some, key=lambda one: one.table):
                self._work(name, list(of_table))
        else:
            raise self._source.refused("A second header stands in the file.")

    def _work(self, name: str, some: list[lines.Row]) -> None:
        if name == "rule":
            self._rules(some)
            return
        table = _TABLES.get(name)
        columns = [] if table is None else [one.name for one in table.columns if one.name != "id"]
        if table is None or any(list(one.values) != columns for one in some):
            raise self._source.refused(f"This Lineal knows no such rows of {name}.")
        rows = [tuple(one.values.values()) for one in some]
        if "id" in table.columns:
            self._put_numbered(table, rows)
        else:
            self._put(table, rows)

    def _rules(self, some: list[lines.Row]) -> None:
        """Keep which rules are in use. Without a digest each of them goes through everything."""
        if any([*one.values] != ["name", "enabled"] for one in some):
            raise self._source.refused("This Lineal knows no such rows of rule.")
        known = {row[0]: row for row in self._ledger.find(schema.rule, "1 = 1")}
        told = [(str(one.values["name"]), bool(one.values["enabled"])) for one in some]
        self._ledger.change(
            schema.rule, [(known[name], {"enabled": on}) for name, on in told if name in known]
        )
        new = [(name, "", b"", on) for name, on in told if name not in known]
        self._put(schema.rule, new)

    # ── Names ────────────────────────────────────────────────────────────────────────────────

    def _found_keys(self, uris: Iterable[str]) -> dict[str, int]:
        rows = self._driver.among("SELECT uri, key FROM uri WHERE uri {among}", set(uris))
        return {row[0]: row[1] for row in rows}

    def _learn(self, uris: Iterable[str]) -> None:
        """Look up the keys of URIs that will be asked for."""
        if len(self._keys) > REMEMBERED:
            self._keys.clear()
        missing = {uri for uri in uris if uri not in self._keys}
        if missing:
            self._keys.update(self._found_keys(missing))

    def _key(self, uri: str) -> int:
        if uri not in self._keys:
            raise self._source.refused(f"Nothing was said to be {uri}.")
        return self._keys[uri]

    def _number(self, kind: str) -> int:
        if kind not in self._kinds:
            raise self._source.refused(f"The header names no kind {kind!r}.")
        return self._kinds[kind]

    def _found_documents(self, names: Iterable[seals.Owner]) -> dict[seals.Owner, int]:
        found: dict[seals.Owner, int] = {}
        by_source: dict[str, set[str]] = {}
        for source, name in names:
            by_source.setdefault(source, set()).add(name)
        for source, some in sorted(by_source.items()):
            query = "SELECT name, id FROM document WHERE source = ? AND name {among}"
            rows = self._driver.among(query, some, source)
            found.update(((source, name), number) for name, number in rows)
        return found

    def _learn_documents(self, names: Iterable[seals.Owner]) -> None:
        if len(self._documents) > REMEMBERED:
            self._documents.clear()
        missing = {name for name in names if name not in self._documents}
        self._documents.update(self._found_documents(missing))

    # ── Transactions ─────────────────────────────────────────────────────────────────────────

    def _begin(self, head: lines.Transaction) -> None:
        if head.t <= self._t or head.instant <= self._instant:
            raise self._source.refused(f"Transaction {head.t} comes after {self._t}.")
        self._t, self._instant = head.t, head.instant
        self._open = _Open(head, Rows(self._driver, head.t, self._number))

    def _close(self) -> None:
        """Seal the transaction whose lines all were read, and keep it."""
        current, self._open = self._open, None
        if current is None:
            return
        head = current.head
        current.rows.write()
        self._hash = current.sealing.check(self._named.by(head.t), self._hash)
        self._learn(head.changed)
        seal = (bytes.fromhex(head.salt), bytes.fromhex(head.root), self._hash)
        told = (head.t, head.instant, head.actor, head.cause, head.token)
        changed = pack_feed(map(self._key, head.changed))
        self._driver.insert(schema.tx, [(*told, changed, *seal)])
        resealed = [
            (head.t, one.at, bytes.fromhex(one.salt), bytes.fromhex(one.root))
            for one in head.resealed
        ]
        self._put(schema.resealed, resealed)
        self._learn(one.uri for one in head.forgot)
        forgot = [(self._key(one.uri), head.t, one.how, one.reason) for one in head.forgot]
        self._put(schema.forgotten, forgot)

    def _rows(self, some: list[lines.Says | lines.Said]) -> None:
        """Take what the documents of one transaction say."""
        if self._open is None:
            raise self._source.refused("A row stands before any transaction.")
        self._learn(uri for one in some for uri in _spoken_of(one))
        self._learn_documents((one.source, one.name) for one in some if isinstance(one, lines.Says))
        for one in some:
            if isinstance(one, lines.Says):
                self._says(self._open, (one.source, one.name))
            else:
                self._row(self._open, one)
        self._open.rows.write()

    def _says(self, current: _Open, owner: seals.Owner) -> None:
        if owner not in self._documents:
            raise self._source.refused(f"No document {owner[1]!r} of {owner[0]!r} was told of.")
        current.owner, current.document = owner, self._documents[owner]

    def _row(self, current: _Open, said: lines.Said) -> None:
        owner = current.owner
        if owner is None:
            raise self._source.refused("A row is of no document.")
        current.sealing.add(owner, said)
        if not current.once(said):
            raise self._source.refused("The same row is said twice.")
        if isinstance(said, lines.Answered):
            answer = (current.document, current.head.t, lines.text_of(said.body))
            self._driver.insert(schema.response, [answer])
        elif isinstance(said, lines.RecordBegun | lines.EdgeBegun | lines.DerivationBegun):
            self._begun(current, owner, said)
        else:
            self._ended(current, owner, said)

    def _begun(self, current: _Open, owner: seals.Owner, said: lines.Begun) -> None:
        rows, document = current.rows, current.document
        if isinstance(said, lines.RecordBegun):
            rows.begin_record(
                owner, document, self._key(said.uri), _uri(said.uri),
                valid_from=said.valid_from, said=said.said, body=lines.text_of(said.body),
            )  # fmt: skip
            return
        edge = (_uri(said.start), said.kind, _uri(said.end))
        ends = (self._key(said.start), self._key(said.end))
        if isinstance(said, lines.EdgeBegun):
            attributes = lines.text_of(said.attributes) or None
            begun = BegunEdge(said.valid_from, said.valid_to, said.said, said.layer, attributes)
            rows.begin_edge(owner, document, ends, edge, begun)
            return
        kept = [[self._key(start), kind, self._key(end)] for start, kind, end in said.supports]
        rows.begin_derivation(
            owner, document, ends, edge, digest=bytes.fromhex(said.digest),
            span=(said.valid_from, said.valid_to), kept=digests.canonical(kept), why=said.why,
            supports=[(_uri(start), kind, _uri(end)) for start, kind, end in said.supports],
        )  # fmt: skip

    def _ended(self, current: _Open, owner: seals.Owner, said: lines.Ended) -> None:
        rows, document = current.rows, current.document
        if isinstance(said, lines.RecordEnded):
            row = _standing((self._key(said.uri), document, said.t))
            rows.end_record(owner, _uri(said.uri), row, said.at, said.reason)
            return
        edge = (_uri(said.start), said.kind, _uri(said.end))
        head = (self._key(said.start), self._number(said.kind), self._key(said.end), document)
        if isinstance(said, lines.EdgeEnded):
            row = _standing((*head, said.t))
            rows.end_edge(owner, edge, row, said.at, said.reason)
            return
        row = _standing((*head, bytes.fromhex(said.digest), said.t))
        rows.end_derivation(owner, edge, row, said.at, said.reason)

    # ── What follows ─────────────────────────────────────────────────────────────────────────

    def _set_clock(self) -> None:
        self._driver.run(
            "UPDATE clock SET t = ?, published = ?, instant = ?, next_key = ?, next_document = ?",
            self._t, self._t, self._instant, self._next_key, self._next_document,
        )  # fmt: skip

    def _index(self) -> None:
        """Make the search rows anew, as of the last transaction."""
        around = replace(self._around, terms=Terms())
        if around.describe is None:
            return
        projecting.begin_again(self._ledger)
        self._ledger.write()
        while projecting.project_some(self._connection, around, around.describe):
            if self._progress is not None:
                self._progress(0, self._next_key, "search rows")


class _Told:
    """Stands for all sorts of lines below a transaction."""


_TOLD = (
    *(lines.Says, lines.Answered, lines.RecordBegun, lines.EdgeBegun, lines.DerivationBegun),
    *(lines.RecordEnded, lines.EdgeEnded, lines.DerivationEnded),
)


def _sort(line: lines.Line) -> type:
    return _Told if isinstance(line, _TOLD) else type(line)


class _Open:
    """The transaction whose lines are being read."""

    def __init__(self, head: lines.Transaction, rows: Rows) -> None:
        self.head, self.rows = head, rows
        self.sealing = Sealing(head)
        self.owner: seals.Owner | None = None
        self.document = 0
        self._seen: set[tuple[object, ...]] = set()

    def once(self, said: lines.Said) -> bool:
        """Return whether this row of the document is told for the first time."""
        parts = (getattr(said, name, None) for name in ("uri", "start", "kind", "end", "digest"))
        row = (self.document, lines.tag_of(said), *parts, getattr(said, "t", None))
        if row in self._seen:
            return False
        self._seen.add(row)
        return True


class _Named:
    """The things in the order in which they were named, handed out by transaction."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._read: list[tuple[int, str, int]] = []
        self._last = 0

    def by(self, t: int) -> list[str]:
        """Return what transaction *t* was the first to name; each is asked for once, in order."""
        found: list[str] = []
        while True:
            if not self._read:
                self._read = self._more()
            if not self._read or self._read[-1][2] != t:
                return found
            self._last, uri, _ = self._read.pop()
            found.append(uri)

    def _more(self) -> list[tuple[int, str, int]]:
        rows = self._driver.rows(_NEXT_NAMED, self._last, AT_ONCE)
        return [(key, uri, t) for key, uri, t in reversed(rows)]

    def none_left(self) -> None:
        """Raise `Damaged` if a thing was named by a transaction that there is not."""
        if self._read or self._more():
            raise Damaged("A thing was named by a transaction that is not there.")


#: Which things come next, in the order of their keys?
_NEXT_NAMED = "SELECT key, uri, t_from FROM entity WHERE key > ? ORDER BY key LIMIT ?"


def _standing(key: tuple[Any, ...]) -> Standing:
    return Standing(key, key[-1], 0, None, False, None)


def _uri(checked: str) -> Uri:
    """Return a URI that was checked where it was first told."""
    return str.__new__(Uri, checked)


def _spoken_of(line: lines.Says | lines.Said) -> Iterator[str]:
    """Which things does a line speak of?"""
    if isinstance(line, lines.RecordBegun | lines.RecordEnded):
        yield line.uri
    elif not isinstance(line, lines.Says | lines.Answered):
        yield from (line.start, line.end)
    if isinstance(line, lines.DerivationBegun):
        for start, _, end in line.supports:
            yield from (start, end)

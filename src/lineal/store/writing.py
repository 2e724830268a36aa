"""One transaction: difference, rules, search rows, feed and cause, all or nothing.

`Transaction` is what `Store.commit` runs. It never changes a fact that stands: rows are inserted,
and ended once.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from lineal.model import Instant, Record, Removal, Uri, Viewer
from lineal.shapes import Shapes
from lineal.store import facts, schema, text
from lineal.store.reading import Basis, Reader
from lineal.store.slices import slices
from lineal.store.text import Describe

SYSTEM = Viewer("system")


@dataclass(frozen=True, slots=True)
class Fence:
    """Which mark of a document a fetch answers, so that an old answer never replaces a newer."""

    source: str
    document: str
    seq: int
    etag: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What to commit together, by whom and why."""

    words: Sequence[Record | Removal]
    actor: str
    cause: str
    #: A text that makes a repeated commit of the same batch do nothing.
    token: str | None = None
    fences: Sequence[Fence] = ()


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit did. *t* is None where nothing changed."""

    t: int | None
    #: How many documents were new, changed, removed, same, or superseded by a newer word.
    documents: Mapping[str, int]
    #: How many rows of facts began and ended.
    begun: int = 0
    ended: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """What a transaction has changed so far, for those who conclude from it."""

    #: The things whose attributes changed, or that are new.
    things: frozenset[Uri]
    #: The edges that began, ended or changed.
    edges: frozenset[tuple[Uri, str, Uri]]


@dataclass(frozen=True, slots=True)
class Derivation:
    """One way in which a rule concludes an edge."""

    start: Uri
    kind: str
    end: Uri
    #: The edges it rests on, in the order of the rule's pattern.
    supports: tuple[tuple[Uri, str, Uri], ...]
    valid_from: Instant
    valid_to: Instant | None
    why: str


@dataclass(frozen=True, slots=True)
class Conclusion:
    """All that one rule concludes for some starts: it replaces what it concluded before."""

    rule: str
    version: str
    starts: frozenset[Uri]
    derivations: tuple[Derivation, ...]


class Rules(Protocol):
    """Concludes edges from edges; pure over a reader of the transaction."""

    def conclude(self, change: Change, reader: Reader) -> Iterable[Conclusion]:
        """Return what each rule concludes for every start that the change may touch."""


@dataclass(slots=True)
class _Pending:
    """Rows to write at the end, in the order of their keys."""

    begun: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    ended: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def begin(self, table: str, row: dict[str, Any]) -> None:
        self.begun.setdefault(table, []).append(row)

    def end(self, table: str, row: dict[str, Any]) -> None:
        self.ended.setdefault(table, []).append(row)


class Transaction:
    """One commit in the making, on an open write connection whose clock row it holds."""

    def __init__(
        self,
        connection: sa.Connection,
        shapes: Shapes,
        *,
        now: Instant,
        rules: Sequence[Rules] = (),
        describe: Describe | None = None,
    ) -> None:
        self._connection = connection
        self._shapes = shapes
        self._rules = rules
        self._describe = describe
        self._draw(now)
        self._keys: dict[Uri, int] = {}
        self._documents: Counter[str] = Counter()
        self._counts = {"begun": 0, "ended": 0}
        self._things: set[Uri] = set()
        self._edges: set[tuple[Uri, str, Uri]] = set()

    def _draw(self, now: Instant) -> None:
        """Take the next ``t`` under the clock row's lock, before anything is read."""
        clock = schema.clock
        self._connection.execute(sa.update(clock).values(t=clock.c.t + 1))
        row = self._connection.execute(sa.select(clock)).mappings().one()
        self.t: int = row["t"]
        self._next_key: int = row["next_key"]
        self._next_document: int = row["next_document"]
        #: The label of this transaction; it never runs backwards, whatever the wall clock does.
        self.instant: Instant = max(now, row["instant"] + 1)

    # ── The story ────────────────────────────────────────────────────────────────────────────

    def apply(self, batch: Batch) -> Committed:
        """Write what is new in *batch*, what follows from it, and publish; or nothing at all."""
        words = self._current_words(batch)
        changed = self._changed(words)
        self._name(changed)
        self._replace(changed)
        if self._things or self._edges:
            self._conclude()
            self._index()
            self._publish(batch)
            return Committed(self.t, dict(self._documents), **self._counts)
        self._undraw(changed)
        return Committed(None, dict(self._documents))

    def _current_words(self, batch: Batch) -> list[Record | Removal]:
        """Pass the fences, and keep the last word of each document."""
        passed = [fence for fence in batch.fences if self._passes(fence)]
        stale = {(fence.source, fence.document) for fence in batch.fences}
        stale -= {(fence.source, fence.document) for fence in passed}
        words: dict[tuple[str, str], Record | Removal] = {}
        for word in batch.words:
            name = (word.source, word.document)
            if name in stale:
                self._documents["superseded"] += 1
                continue
            known = words.get(name)
            if known is None or not _older(word, known.said_at):
                words[name] = word
        return list(words.values())

    def _passes(self, fence: Fence) -> bool:
        watch = schema.watch
        result = self._connection.execute(
            sa.update(watch)
            .where(watch.c.source == fence.source, watch.c.document == fence.document)
            .where(watch.c.clean_seq < fence.seq)
            .values(
                clean_seq=fence.seq, attempts=0, error=None, etag=fence.etag,
                version=fence.version, confirmed_at=self.instant, gone_since=None,
            )
        )
        return result.rowcount == 1

    # ── Documents ────────────────────────────────────────────────────────────────────────────

    def _changed(self, words: Sequence[Record | Removal]) -> list[_Word]:
        """Leave out what says the same as before, or is older than what we have."""
        known = self._known_documents(words)
        levels = {name: None for name in self._shapes.types if self._shapes.whole_kinds(name)}
        changed = []
        for word in words:
            row = known.get((word.source, word.document))
            digest = facts.digest_of(word) if isinstance(word, Record) else ""
            outcome = _outcome(word, row, digest)
            self._documents[outcome] += 1
            if outcome in ("new", "changed", "removed"):
                fine = isinstance(word, Record) and facts.is_fine(word, levels)
                changed.append(_Word(word, row, digest, fine))
        return changed

    def _known_documents(self, words: Sequence[Record | Removal]) -> dict[tuple[str, str], Any]:
        table = schema.document
        found: dict[tuple[str, str], Any] = {}
        for source in sorted({word.source for word in words}):
            names = {word.document for word in words if word.source == source}
            for some in slices(names):
                query = sa.select(table).where(table.c.source == source, table.c.name.in_(some))
                for row in self._connection.execute(query):
                    found[(row.source, row.name)] = row
        return found

    def _name(self, words: Sequence[_Word]) -> None:
        """Give every thing that is spoken of a key; the unknown become stubs."""
        uris: set[Uri] = set()
        for word in words:
            uris.add(word.word.subject)
            if isinstance(word.word, Record):
                uris.update(statement.uri for statement in word.word.statements)
                for edge in word.word.edges:
                    uris |= {edge.start, edge.end}
        self._keys.update(self._reader().keys(uris))
        missing = sorted(uris - self._keys.keys())
        rows = []
        for uri in missing:
            self._keys[uri] = self._next_key
            rows.append(
                {"uri": uri, "key": self._next_key, "type": uri.type, "t_from": self.t}
            )
            self._next_key += 1
        if rows:
            self._insert(schema.uri, [{"uri": str(row["uri"]), "key": row["key"]} for row in rows])
            self._insert(schema.entity, [{**row, "uri": str(row["uri"])} for row in rows])
            self._things.update(missing)

    def _reader(self) -> Reader:
        return Reader(self._connection, SYSTEM, Basis(self.t, self.instant, self.instant))

    # ── Facts ────────────────────────────────────────────────────────────────────────────────

    def _replace(self, words: Sequence[_Word]) -> None:
        """Replace each document's statements and edges by its new word."""
        said = self._rows_by_document(schema.record, "key", words)
        edges = self._rows_by_document(schema.edge_out, "src", words)
        uris = self._uris_of(said, edges)
        pending = _Pending()
        for word in words:
            if word.row is None:
                word.id, self._next_document = self._next_document, self._next_document + 1
            else:
                word.id = word.row.id
            current = {uris[row["key"]]: row for row in said.get(word.id, ())}
            links = {
                (uris[row["src"]], row["kind"], uris[row["dst"]]): row
                for row in edges.get(word.id, ())
            }
            self._replace_one(word, current, links, pending)
            self._remember(word, links)
        self._write(pending)

    def _rows_by_document(
        self, table: sa.Table, key: str, words: Sequence[_Word]
    ) -> dict[int, list[dict[str, Any]]]:
        """Which rows of these documents stand?"""
        documents = {word.row.id for word in words if word.row is not None}
        keys = {key for word in words if word.row is not None for key in unpack(word.row.touched)}
        found: dict[int, list[dict[str, Any]]] = {}
        for some in slices(keys):
            query = sa.select(table).where(table.c[key].in_(some), table.c.t_to.is_(None))
            if len(documents) <= 50:
                query = query.where(table.c.document.in_(sorted(documents)))
            for row in self._connection.execute(query).mappings():
                if row["document"] in documents:
                    found.setdefault(row["document"], []).append(dict(row))
        return found

    def _uris_of(self, *found: Mapping[int, Sequence[Mapping[str, Any]]]) -> dict[int, Uri]:
        keys = {
            row[name]
            for rows in found
            for lines in rows.values()
            for row in lines
            for name in ("key", "src", "dst")
            if name in row
        }
        return self._reader().uris(keys)

    def _replace_one(
        self,
        word: _Word,
        current: dict[Uri, dict[str, Any]],
        links: dict[facts.EdgeId, dict[str, Any]],
        pending: _Pending,
    ) -> None:
        nature = self._shapes.nature
        if isinstance(word.word, Removal):
            at = word.word.observed_at
            self._end_statements(
                {uri: facts.Ending(row, at, "deleted") for uri, row in current.items()}, pending
            )
            self._end_edges(facts.removal_endings(links.items(), at, nature), pending)
            return
        record = word.word
        ended, begun = facts.record_difference(current, facts.statements_of(record), record)
        self._end_statements(ended, pending)
        for uri, row in begun.items():
            self._things.add(uri)
            pending.begin("record", {**row, "key": self._keys[uri], "document": word.id})
        ended_edges, begun_edges = facts.edge_difference(
            links, facts.edges_of(record), record, nature
        )
        self._end_edges(ended_edges, pending)
        for name, row in begun_edges.items():
            self._edges.add(name)
            self._begin_edge(name, {**row, "document": word.id}, pending)

    def _begin_edge(
        self, name: facts.EdgeId, row: dict[str, Any], pending: _Pending
    ) -> None:
        ends = {"src": self._keys[name[0]], "kind": name[1], "dst": self._keys[name[2]]}
        pending.begin("edge_out", {**row, **ends})
        inward = {key: row[key] for key in row if key not in ("attributes", "response")}
        pending.begin("edge_in", {**inward, **ends})

    def _end_statements(self, ended: Mapping[Uri, facts.Ending], pending: _Pending) -> None:
        for uri, ending in ended.items():
            self._things.add(uri)
            pending.end("record", self._ended(ending))

    def _end_edges(self, ended: Mapping[facts.EdgeId, facts.Ending], pending: _Pending) -> None:
        for name, ending in ended.items():
            self._edges.add(name)
            row = self._ended(ending)
            pending.end("edge_out", row)
            pending.end("edge_in", row)

    def _ended(self, ending: facts.Ending) -> dict[str, Any]:
        return {**ending.row, "ended_at": ending.ended_at, "reason": ending.reason}

    def _remember(self, word: _Word, links: Mapping[facts.EdgeId, Any]) -> None:
        """Keep what the document last said, so that the same again is seen at once."""
        touched = {self._keys[word.word.subject]}
        if isinstance(word.word, Record):
            touched |= {self._keys[statement.uri] for statement in word.word.statements}
            touched |= {self._keys[edge.start] for edge in word.word.edges}
        else:
            touched |= {row["src"] for row in links.values()}
        row = {
            "subject": self._keys[word.word.subject],
            "digest": word.digest,
            "said_at": word.word.said_at,
            "t": self.t,
            "live": isinstance(word.word, Record),
            "fine": word.fine,
            "touched": pack(touched),
        }
        table = schema.document
        if word.row is None:
            names = {"id": word.id, "source": word.word.source, "name": word.word.document}
            self._connection.execute(sa.insert(table).values(**names, **row))
            self._things.add(word.word.subject)
        else:
            self._connection.execute(
                sa.update(table).where(table.c.id == word.id).values(**row)
            )
            if isinstance(word.word, Removal):
                self._things.add(word.word.subject)

    def _write(self, pending: _Pending) -> None:
        for name, rows in pending.ended.items():
            self._end(schema.metadata.tables[name], rows)
        for name, rows in pending.begun.items():
            table = schema.metadata.tables[name]
            keys = [column.name for column in table.primary_key]
            filled = [{"t_from": self.t, "t_to": None, "ended_at": None, "reason": None, **row}
                      for row in rows]
            self._insert(table, sorted(filled, key=lambda row: tuple(row[key] for key in keys)))
            if name != "edge_in":
                self._counts["begun"] += len(rows)

    def _end(self, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
        """End rows: the one change that a fact ever sees."""
        keys = [column for column in table.primary_key]
        statement = (
            sa.update(table)
            .where(*(column == sa.bindparam(f"at_{column.name}") for column in keys))
            .values(
                t_to=sa.bindparam("to"), ended_at=sa.bindparam("until"),
                reason=sa.bindparam("because"),
            )
        )
        lines = [
            {f"at_{column.name}": row[column.name] for column in keys}
            | {"to": self.t, "until": row["ended_at"], "because": row["reason"]}
            for row in rows
        ]
        self._connection.execute(statement, lines)
        if table is not schema.edge_in:
            self._counts["ended"] += len(rows)

    def _insert(self, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
        self._connection.execute(sa.insert(table), rows)

    # ── What follows ─────────────────────────────────────────────────────────────────────────

    def _conclude(self) -> None:
        """Let every rule conclude again what the change may touch, and write the difference."""
        for rules in self._rules:
            change = Change(frozenset(self._things), frozenset(self._edges))
            for conclusion in rules.conclude(change, self._reader()):
                self._follow(conclusion)

    def _follow(self, conclusion: Conclusion) -> None:
        document = self._rule_document(conclusion)
        standing = self._standing(document, conclusion.starts)
        wanted = {_derivation_id(each): each for each in conclusion.derivations}
        self._keys.update(
            self._reader().keys({end for each in wanted.values() for end in (each.start, each.end)}
                                | {uri for each in wanted.values()
                                   for support in each.supports for uri in support[::2]})
        )
        pending = _Pending()
        kept: dict[facts.EdgeId, list[tuple[Instant, Instant | None]]] = {}
        for name, row in standing.items():
            if name not in wanted or not _same_span(row, wanted[name]):
                pending.end("derivation", {**row, **self._withdrawal(row, wanted.get(name))})
        for name, each in wanted.items():
            edge = (each.start, each.kind, each.end)
            kept.setdefault(edge, []).append((each.valid_from, each.valid_to))
            if name not in standing or not _same_span(standing[name], each):
                pending.begin("derivation", self._derivation_row(each, document, name[3]))
        self._derived_edges(document, conclusion.starts, kept, pending)
        self._write(pending)

    def _rule_document(self, conclusion: Conclusion) -> int:
        """A rule is the document that its edges are claimed by."""
        source, name = f"rule:{conclusion.rule}", f"version:{conclusion.version}"
        table = schema.document
        query = sa.select(table.c.id).where(table.c.source == source, table.c.name == name)
        found = self._connection.scalar(query)
        if found is not None:
            return int(found)
        self._next_document += 1
        self._connection.execute(
            sa.insert(table).values(
                id=self._next_document - 1, source=source, name=name, subject=0, digest="",
                said_at=None, t=self.t, live=True, fine=False, touched=b"",
            )
        )
        return self._next_document - 1

    def _standing(
        self, document: int, starts: Iterable[Uri]
    ) -> dict[tuple[Uri, str, Uri, str], dict[str, Any]]:
        """What did the rule conclude for these starts before?"""
        table, reader = schema.derivation, self._reader()
        keys = reader.keys(starts)
        rows = []
        for some in slices(keys.values()):
            query = sa.select(table).where(
                table.c.src.in_(some), table.c.document == document, table.c.t_to.is_(None)
            )
            rows.extend(dict(row) for row in self._connection.execute(query).mappings())
        uris = reader.uris({row[name] for row in rows for name in ("src", "dst")})
        return {
            (uris[row["src"]], row["kind"], uris[row["dst"]], row["digest"]): row for row in rows
        }

    def _withdrawal(self, row: Mapping[str, Any], still: Derivation | None) -> dict[str, Any]:
        """How a derivation ends: as its support ended, or replaced by a truer span."""
        if still is not None:
            if still.valid_from == row["valid_from"] and still.valid_to is not None:
                return {"ended_at": still.valid_to, "reason": "changed"}
            return {"ended_at": still.valid_from, "reason": "corrected"}
        return self._support_ending(supports_of(row["supports"]))

    def _support_ending(self, supports: Sequence[tuple[int, str, int]]) -> dict[str, Any]:
        """Why did the support go? The derivation was true for as long as all of it was."""
        table, until = schema.edge_out, self.instant
        for src, kind, dst in supports:
            rows = self._connection.execute(
                sa.select(table.c.t_to, table.c.ended_at, table.c.reason).where(
                    table.c.src == src, table.c.kind == kind, table.c.dst == dst
                )
            ).all()
            if any(row.t_to is None for row in rows):
                continue
            if all(row.reason == "corrected" for row in rows):
                return {"ended_at": until, "reason": "corrected"}
            until = min(until, max(row.ended_at for row in rows))
        return {"ended_at": until, "reason": "removed"}

    def _derivation_row(self, each: Derivation, document: int, digest: str) -> dict[str, Any]:
        supports = [
            [self._keys[start], kind, self._keys[end]] for start, kind, end in each.supports
        ]
        return {
            "src": self._keys[each.start], "kind": each.kind, "dst": self._keys[each.end],
            "document": document, "digest": digest, "valid_from": each.valid_from,
            "valid_to": each.valid_to, "valid_said": False,
            "supports": facts.canonical(supports), "why": each.why,
        }

    def _derived_edges(
        self,
        document: int,
        starts: Iterable[Uri],
        kept: Mapping[facts.EdgeId, Sequence[tuple[Instant, Instant | None]]],
        pending: _Pending,
    ) -> None:
        """An inferred edge is so while one of its derivations is."""
        reader = self._reader()
        keys = reader.keys(starts)
        rows = self._document_edges(document, keys.values())
        uris = reader.uris({row[name] for row in rows for name in ("src", "dst")})
        standing = {(uris[row["src"]], row["kind"], uris[row["dst"]]): row for row in rows}
        ended = {row["dst"]: row for row in pending.ended.get("derivation", ())}
        for edge, row in standing.items():
            span = _span(kept[edge]) if edge in kept else None
            if span is None or span != (row["valid_from"], row["valid_to"]):
                last = ended.get(row["dst"], {"ended_at": self.instant, "reason": "removed"})
                ending = facts.Ending(row, last["ended_at"], last["reason"])
                self._end_edges({edge: ending}, pending)
        for edge, spans in kept.items():
            span = _span(spans)
            row = standing.get(edge)
            if row is None or span != (row["valid_from"], row["valid_to"]):
                self._edges.add(edge)
                self._begin_edge(edge, _inferred(span, document), pending)

    def _document_edges(self, document: int, keys: Iterable[int]) -> list[dict[str, Any]]:
        table, rows = schema.edge_out, []
        for some in slices(keys):
            query = sa.select(table).where(
                table.c.src.in_(some), table.c.document == document, table.c.t_to.is_(None)
            )
            rows.extend(dict(row) for row in self._connection.execute(query).mappings())
        return rows

    # ── Search rows, feed and cause ──────────────────────────────────────────────────────────

    def _index(self) -> None:
        """Write the search rows of what changed, in the order of their keys."""
        if self._describe is None or not self._things:
            return
        keys = sorted(self._keys_of(self._things))
        entities = self._reader().entities(keys)
        rows = {
            key: self._describe(
                entities[key].uri, entities[key].attributes, entities[key].state == "deleted"
            )
            for key in keys
        }
        text.write_rows(self._connection, rows)

    def _keys_of(self, uris: Iterable[Uri]) -> list[int]:
        wanted = set(uris)
        self._keys.update(self._reader().keys(wanted - self._keys.keys()))
        return [self._keys[uri] for uri in wanted]

    def _publish(self, batch: Batch) -> None:
        """Write the feed and the cause, and let everybody see it: the same commit."""
        ends = {uri for edge in self._edges for uri in (edge[0], edge[2])}
        changed = pack(self._keys_of(self._things | ends))
        self._connection.execute(
            sa.insert(schema.tx).values(
                t=self.t, instant=self.instant, actor=batch.actor, cause=batch.cause,
                token=batch.token, changed=changed,
            )
        )
        self._connection.execute(
            sa.update(schema.clock).values(
                published=self.t, instant=self.instant, next_key=self._next_key,
                next_document=self._next_document,
            )
        )

    def _undraw(self, words: Sequence[_Word]) -> None:
        """Give ``t`` back: nothing changed. Documents may still have moved on."""
        self._connection.execute(
            sa.update(schema.clock).values(
                t=schema.clock.c.t - 1, next_key=self._next_key,
                next_document=self._next_document,
            )
        )


@dataclass(slots=True)
class _Word:
    """A document's new word beside what is known of the document."""

    word: Record | Removal
    row: Any
    digest: str
    fine: bool
    id: int = 0


def _outcome(word: Record | Removal, row: Any, digest: str) -> str:
    if row is None:
        return "new" if isinstance(word, Record) else "removed"
    if _older(word, row.said_at):
        return "superseded"
    if isinstance(word, Removal):
        return "removed" if row.live else "same"
    if row.live and row.digest == digest:
        return "same"
    return "changed"


def _older(word: Record | Removal, said_at: Instant | None) -> bool:
    return said_at is not None and word.said_at is not None and word.said_at < said_at


def _derivation_id(each: Derivation) -> tuple[Uri, str, Uri, str]:
    supports = facts.canonical([list(support) for support in each.supports])
    return each.start, each.kind, each.end, hashlib.sha256(supports.encode()).hexdigest()[:32]


def _same_span(row: Mapping[str, Any], each: Derivation) -> bool:
    return (row["valid_from"], row["valid_to"]) == (each.valid_from, each.valid_to)


def _span(spans: Sequence[tuple[Instant, Instant | None]]) -> tuple[Instant, Instant | None]:
    ends = [end for _, end in spans]
    last = None if None in ends else max(end for end in ends if end is not None)
    return min(start for start, _ in spans), last


def _inferred(span: tuple[Instant, Instant | None], document: int) -> dict[str, Any]:
    return {
        "valid_from": span[0], "valid_to": span[1], "valid_said": False, "layer": "inferred",
        "attributes": "{}", "response": None, "document": document,
    }


def supports_of(kept: str) -> list[tuple[int, str, int]]:
    """Return the supporting edges as they are kept with a derivation."""
    return msgspec.json.decode(kept, type=list[tuple[int, str, int]])


def pack(keys: Iterable[int]) -> bytes:
    """Return keys as packed 64-bit integers, sorted."""
    ordered = sorted(set(keys))
    return struct.pack(f"<{len(ordered)}q", *ordered)


def unpack(packed: bytes) -> tuple[int, ...]:
    """Return what `pack` packed."""
    return struct.unpack(f"<{len(packed) // 8}q", packed)

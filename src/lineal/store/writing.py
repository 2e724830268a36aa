"""One transaction: difference, rules, search rows, feed and cause, all or nothing.

`Transaction` is what `Store.commit` runs. It never changes a fact that stands: rows are inserted,
and ended once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from lineal.model import Instant, Record, Removal, State, Uri, Viewer
from lineal.shapes import Shapes
from lineal.store import facts, schema, text
from lineal.store.basis import Basis
from lineal.store.conclusions import Change, Conclusion, Following, Rules
from lineal.store.reading import Reader
from lineal.store.rows import Rows, pack, unpack
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
        self._rows = Rows(connection, self.t)
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
            documents = dict(self._documents)
            return Committed(self.t, documents, self._rows.begun, self._rows.ended)
        self._undraw()
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
                clean_seq=fence.seq,
                attempts=0,
                error=None,
                etag=fence.etag,
                confirmed_at=self.instant,
                gone_since=None,
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
            if outcome == "same":
                self._date(word, row)
            if outcome in ("new", "changed", "removed"):
                fine = isinstance(word, Record) and facts.is_fine(word, levels)
                changed.append(_Word(word, row, digest, fine))
        return changed

    def _date(self, word: Record | Removal, row: Any) -> None:
        """The same said again, and later: what was said in between is old."""
        if word.said_at is not None and (row.said_at is None or row.said_at < word.said_at):
            table = schema.document
            self._connection.execute(
                sa.update(table).where(table.c.id == row.id).values(said_at=word.said_at)
            )

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
            rows.append({"uri": uri, "key": self._next_key, "type": uri.type, "t_from": self.t})
            self._next_key += 1
        if rows:
            self._connection.execute(
                sa.insert(schema.uri), [{"uri": str(row["uri"]), "key": row["key"]} for row in rows]
            )
            self._connection.execute(
                sa.insert(schema.entity), [{**row, "uri": str(row["uri"])} for row in rows]
            )
            self._things.update(missing)

    def _reader(self) -> Reader:
        return Reader(self._connection, SYSTEM, Basis(self.t, self.instant, self.instant))

    # ── Facts ────────────────────────────────────────────────────────────────────────────────

    def _replace(self, words: Sequence[_Word]) -> None:
        """Replace each document's statements and edges by its new word."""
        said = self._rows_by_document(schema.record, "key", words)
        edges = self._rows_by_document(schema.edge_out, "src", words)
        uris = self._uris_of(said, edges)
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
            self._replace_one(word, current, links)
            if isinstance(word.word, Removal):
                word.kept = {row["src"] for row in links.values()}
        self._remember(words)
        self._rows.write()

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
    ) -> None:
        nature = self._shapes.nature
        if isinstance(word.word, Removal):
            gone = facts.since(None, word.word)
            self._end_statements(
                {uri: facts.Ending(row, gone.at, "deleted") for uri, row in current.items()}
            )
            self._end_edges(facts.removal_endings(links.items(), gone.at, nature))
            about = {"key": self._keys[word.word.subject], "document": word.id}
            self._rows.begin(schema.record, {**facts.tombstone(word.word), **about})
            return
        record = word.word
        ended, begun = facts.record_difference(current, facts.statements_of(record), record)
        self._end_statements(ended)
        for uri, row in begun.items():
            self._things.add(uri)
            about = {"key": self._keys[uri], "document": word.id}
            self._rows.begin(schema.record, {**row, **about})
        said = facts.edges_of(record)
        ended_edges, begun_edges = facts.edge_difference(links, said, record, nature)
        self._end_edges(ended_edges)
        for (start, kind, end), row in begun_edges.items():
            self._edges.add((start, kind, end))
            edge = {**row, "document": word.id}
            self._rows.begin_edge(self._keys[start], kind, self._keys[end], edge)

    def _end_statements(self, ended: Mapping[Uri, facts.Ending]) -> None:
        for uri, ending in ended.items():
            self._things.add(uri)
            self._rows.end(schema.record, ending.row, ending.ended_at, ending.reason)

    def _end_edges(self, ended: Mapping[facts.EdgeId, facts.Ending]) -> None:
        for name, ending in ended.items():
            self._edges.add(name)
            self._rows.end_edge(ending.row, ending.ended_at, ending.reason)

    def _remember(self, words: Sequence[_Word]) -> None:
        """Keep what each document last said, so that the same again is seen at once."""
        table = schema.document
        new = [self._document_row(word) for word in words if word.row is None]
        known = [self._document_row(word) for word in words if word.row is not None]
        if new:
            self._connection.execute(sa.insert(table), new)
        if known:
            changing = [name for name in known[0] if name not in ("id", "source", "name")]
            statement = sa.update(table).where(table.c.id == sa.bindparam("at_id"))
            values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in changing}
            lines = [
                {"at_id": row["id"], **{f"new_{name}": row[name] for name in changing}}
                for row in known
            ]
            self._connection.execute(statement.values(**values), lines)

    def _document_row(self, word: _Word) -> dict[str, Any]:
        said = word.word
        touched = {self._keys[said.subject], *word.kept}
        if isinstance(said, Record):
            touched |= {self._keys[statement.uri] for statement in said.statements}
            touched |= {self._keys[edge.start] for edge in said.edges}
        if word.row is None or isinstance(said, Removal):
            self._things.add(said.subject)
        return {
            "id": word.id,
            "source": said.source,
            "name": said.document,
            "subject": self._keys[said.subject],
            "digest": word.digest,
            "said_at": said.said_at,
            "live": isinstance(said, Record),
            "fine": word.fine or bool(word.row is not None and word.row.fine),
            "touched": pack(touched),
        }

    # ── What follows ─────────────────────────────────────────────────────────────────────────

    def _conclude(self) -> None:
        """Let every rule conclude again what the change may touch, and write the difference."""
        for rules in self._rules:
            change = Change(frozenset(self._things), frozenset(self._edges))
            for conclusion in rules.conclude(change, self._reader()):
                document = self._rule_document(conclusion)
                following = Following(
                    self._connection,
                    self._reader(),
                    self._rows,
                    document=document,
                    now=self.instant,
                )
                self._edges |= following.write(conclusion)

    def _rule_document(self, conclusion: Conclusion) -> int:
        """A rule is the document that its edges are claimed by."""
        source, name = f"rule:{conclusion.rule}", f"version:{conclusion.version}"
        table = schema.document
        query = sa.select(table.c.id).where(table.c.source == source, table.c.name == name)
        found = self._connection.scalar(query)
        if found is not None:
            return int(found)
        document, self._next_document = self._next_document, self._next_document + 1
        about = {"subject": 0, "digest": "", "said_at": None, "live": True}
        self._connection.execute(
            sa.insert(table).values(
                id=document, source=source, name=name, fine=False, touched=b"", **about
            )
        )
        return document

    # ── Search rows, feed and cause ──────────────────────────────────────────────────────────

    def _index(self) -> None:
        """Write the search rows of what changed, in the order of their keys."""
        if self._describe is None or not self._things:
            return
        keys = sorted(self._keys_of(self._things))
        reader = self._reader()
        entities = reader.entities(keys)
        gone = [key for key in keys if entities[key].state is State.DELETED]
        last = reader.last_words(gone)
        rows = {
            key: self._describe(
                entities[key].uri, last.get(key, entities[key].attributes), key in last
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
                t=self.t,
                instant=self.instant,
                actor=batch.actor,
                cause=batch.cause,
                token=batch.token,
                changed=changed,
            )
        )
        self._connection.execute(
            sa.update(schema.clock).values(
                published=self.t,
                instant=self.instant,
                next_key=self._next_key,
                next_document=self._next_document,
            )
        )

    def _undraw(self) -> None:
        """Give ``t`` back: nothing changed. Documents may still have moved on."""
        self._connection.execute(
            sa.update(schema.clock).values(
                t=schema.clock.c.t - 1,
                next_key=self._next_key,
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
    #: Where edges begin that stay although the document is gone: what happened, happened.
    kept: set[int] = field(default_factory=set)


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

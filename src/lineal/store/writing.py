"""One transaction: difference, rules, search rows, feed and cause, all or nothing.

`Transaction` is what `Store.commit` runs. It never changes a fact that stands: rows are inserted,
and ended once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import sqlalchemy as sa

from lineal import digests
from lineal.model import EdgeStatement, Instant, Json, Record, Removal, Statement, Uri, Viewer
from lineal.points import reached
from lineal.store import facts, projecting, schema, seals, text
from lineal.store.basis import Basis
from lineal.store.batches import Batch, Committed, Surroundings
from lineal.store.concluding import Concluding, Piece
from lineal.store.documents import Documents, Word
from lineal.store.driver import Driver, Row
from lineal.store.reading import Reader
from lineal.store.rows import BegunEdge, Rows, Standing
from lineal.store.turns import Turn
from lineal.store.work import keep_raws, note_findings, outcomes

SYSTEM = Viewer("system")


class _Standing(NamedTuple):
    """Rows of documents that stand before their new word replaces them."""

    records: list[Row]
    edges: list[Row]


class Transaction:
    """One commit in the making, on an open write connection whose clock row it holds."""

    def __init__(
        self, connection: sa.Connection, around: Surroundings, *, now: Callable[[], Instant]
    ) -> None:
        self._connection, self._around = connection, around
        self._driver = Driver(connection)
        # Before anything is read.
        self._turn = Turn(self._driver, now)
        self.t, self.instant = self._turn.t, self._turn.instant
        self._ledger = self._turn.ledger
        self._read: Reader | None = None
        self._keys: dict[Uri, int] = {}
        #: What the keys of the rows that stood are called.
        self._uris: dict[int, Uri] = {}
        parts = around.grammar.parts
        self._documents = Documents(self._ledger, parts, forgot=self._turn.forgot)
        # Nothing of a transaction holds the transaction: a circle of all that it read and wrote
        # would lie about until the collector stops everybody to look for it.
        number = partial(around.terms.number, self._ledger)
        self._rows = Rows(self._driver, self.t, number)
        #: The things that this transaction is the first to name.
        self._named: list[Uri] = []
        self._responses: list[str] = []
        self._excised: set[int] = set()
        #: Those of which nobody but the documents of this transaction said anything.
        self._sole: set[Uri] = set()
        #: What was said of those things of which just one statement was replaced.
        self._before: dict[Uri, str] = {}
        self._things: set[Uri] = set()
        self._edges: set[tuple[Uri, str, Uri]] = set()
        #: What was said of things until now, where it was replaced or taken back.
        self._was: dict[Uri, list[str]] = {}

    # ── The story ────────────────────────────────────────────────────────────────────────────

    def apply(self, batch: Batch) -> Committed:
        """Write what is new in *batch*, what follows from it, and publish; or nothing at all."""
        known = self._committed(batch)
        if known is not None:
            self._turn.give_back()
            return Committed(known, {"same": len(batch.words)})
        reached("clock-held")
        changed = self._documents.changed(self._passing(batch))
        reached("fences-passed")
        standing = self._standing(changed)
        self._name(changed)
        reached("things-named")
        self._replace(changed, standing)
        reached("facts-written")
        self._keep_raw(changed)
        reached("raws-kept")
        if self._things or self._edges:
            self._conclude()
            reached("rules-concluded")
            self._index(changed)
            reached("search-written")
            self._publish(batch)
            reached("published")
            documents = dict(self._documents.outcomes)
            return Committed(self.t, documents, self._rows.begun, self._rows.ended)
        self._turn.give_back()
        return Committed(None, dict(self._documents.outcomes))

    def go_on(self, most: int) -> Piece | None:
        """Do a piece of what rules have still to do; return what it was, None if there was none."""
        following = self._following()
        piece = following.next_piece(most)
        self._end_of_rules(following, f"rule:{piece.rule}" if piece else "")
        reached("rules-followed")
        return piece

    def conclude(self, step: Callable[[Concluding], object], *, actor: str, cause: str) -> int:
        """Let rules conclude by *step*, and publish what they did; return how many rows began."""
        following = self._following()
        step(following)
        self._end_of_rules(following, cause, actor)
        return self._rows.begun

    def switch(self, name: str, enabled: bool) -> bool:
        """Plan that a rule concludes, or that what it concluded is withdrawn; is that new?"""
        changed = self._following().switch(name, enabled)
        self._turn.give_back()
        return changed

    def _following(self) -> Concluding:
        return Concluding(self._ledger, self._reader(), self._rows, self._around, self._turn)

    def _end_of_rules(self, following: Concluding, cause: str, actor: str = "rules") -> None:
        self._edges |= following.edges
        # Another derivation of an edge that stands anyway is a fact too, and is sealed.
        if self._edges or self._rows.begun or self._rows.ended:
            self._publish(Batch((), actor, cause))
        else:
            self._turn.give_back()

    def learned(self) -> None:
        """Remember what only holds once it is committed: the keys of new things."""
        self._around.names.learn(self._keys)

    def _committed(self, batch: Batch) -> int | None:
        """Was a batch of this token committed before? In which transaction?"""
        if batch.token is None:
            return None
        row = self._driver.row("SELECT t FROM tx WHERE token = ?", batch.token)
        return None if row is None else int(row[0])

    def _passing(self, batch: Batch) -> list[Record | Removal]:
        """Pass the fences: leave out what answers a mark that was answered since."""
        stale = outcomes.answered(self._ledger, batch.fences, self.instant) if batch.fences else ()
        examined = {name: one for name, one in batch.examined.items() if name not in stale}
        if examined:
            note_findings(self._ledger, examined, self.instant)
        words = [word for word in batch.words if (word.source, word.document) not in stale]
        if len(words) < len(batch.words):
            self._documents.outcomes["superseded"] += len(batch.words) - len(words)
        return words

    # ── Names ────────────────────────────────────────────────────────────────────────────────

    def _name(self, words: Sequence[Word]) -> None:
        """Give every thing that is spoken of a key; the unknown become stubs."""
        uris: set[Uri] = set()
        for word in words:
            uris.add(word.word.subject)
            if isinstance(word.word, Record):
                uris.update(statement.uri for statement in word.word.statements)
                uris.update(edge.start for edge in word.word.edges)
                if not word.edges_stand:
                    uris.update(edge.end for edge in word.word.edges)
        unknown = {uri for uri in uris if uri not in self._keys}
        self._keys.update(self._around.names.keys(self._driver, unknown))
        missing = sorted(uri for uri in unknown if uri not in self._keys)
        if not missing:
            return
        first = self._turn.next_key
        self._turn.next_key += len(missing)
        self._keys.update(zip(missing, range(first, self._turn.next_key), strict=True))
        self._driver.insert(schema.uri, [(uri, self._keys[uri]) for uri in missing])
        self._driver.insert(
            schema.entity, [(self._keys[uri], uri, uri.type, self.t) for uri in missing]
        )
        self._named.extend(missing)
        self._things.update(missing)

    def _reader(self) -> Reader:
        """Return the reader of this transaction, as it is so far; the same one each time."""
        if self._read is None:
            basis = Basis(self.t, self.instant, self.instant)
            self._read = Reader(
                self._connection, SYSTEM, basis, self._around.terms,
                keys=self._keys, names=self._around.names,
            )  # fmt: skip
        return self._read

    def _keep_raw(self, words: Sequence[Word]) -> None:
        """Keep what documents were worded from; of what was forgotten on purpose, nothing."""
        kept: dict[str, dict[str, Mapping[str, Json] | None]] = {}
        for word in words:
            said = word.word
            raw = said.raw if isinstance(said, Record) else None
            if raw is not None and self._excised and self._speaks_of_excised(said):
                raw = None
            if raw is not None or word.row is not None:
                kept.setdefault(said.source, {})[said.document] = raw
        for source, documents in sorted(kept.items()):
            if any(raw is not None for raw in documents.values()) or self._keeps_raws(source):
                keep_raws(self._ledger, source, documents, self.instant)

    def _speaks_of_excised(self, said: Record | Removal) -> bool:
        statements = said.statements if isinstance(said, Record) else ()
        named = {said.subject, *(statement.uri for statement in statements)}
        return any(self._keys[uri] in self._excised for uri in named)

    def _keeps_raws(self, source: str) -> bool:
        """Is anything kept of what a source's documents were worded from?"""
        if not self._turn.keeps_raws:
            return False
        return self._driver.row("SELECT 1 FROM raw WHERE source = ? LIMIT 1", source) is not None

    # ── Facts ────────────────────────────────────────────────────────────────────────────────

    def _replace(self, words: Sequence[Word], standing: _Standing) -> None:
        """Replace each document's statements and edges by its new word."""
        if self._turn.forgot:
            rows = self._driver.among(_EXCISED, set(self._keys.values()))
            self._excised = {row[0] for row in rows}
        said, edges = self._said(standing.records), self._stated(standing.edges)
        for word in words:
            if word.row is None:
                word.id = self._new_document()
            else:
                word.id = word.row.id
            if word.row is None and isinstance(word.word, Record):
                self._say(word, word.word)
                continue
            links = edges.get(word.id, {})
            self._replace_one(word, said.get(word.id, {}), links)
            if isinstance(word.word, Removal):
                word.kept = {row.key[0] for row in links.values()}
        self._remember(words)
        self._rows.write()

    def _new_document(self) -> int:
        number = self._turn.next_document
        self._turn.next_document += 1
        return number

    def _standing(self, words: Sequence[Word]) -> _Standing:
        """Which rows of these documents stand? Of what they speak of we then know the keys."""
        rows = [word.row for word in words if word.row is not None]
        if not rows:
            return _Standing([], [])
        documents = {row.id for row in rows}
        touched = {key for row in rows for key in row.touched}
        spoken = self._driver.among(_STANDING_RECORDS, touched)
        records = [row for row in spoken if row[1] in documents]
        edges = self._standing_edges(words)
        # Most of it is said again, and by its key each name is found sooner than by itself.
        keys = touched.union([row[2] for row in edges])
        self._uris = self._around.names.uris(self._driver, keys)
        self._keys.update(zip(self._uris.values(), self._uris, strict=True))
        shared = {row[0] for row in spoken if row[1] not in documents}
        self._sole = {self._uris[key] for key in touched - shared}
        return _Standing(records, edges)

    def _standing_edges(self, words: Sequence[Word]) -> list[Row]:
        """Which claims of these documents stand, of those that may say another now?"""
        rows = [word.row for word in words if word.row is not None and not word.edges_stand]
        if not rows:
            return []
        documents = {row.id for row in rows}
        touched = {key for row in rows for key in row.touched}
        found = self._driver.among(_STANDING_EDGES, touched)
        return [row for row in found if row[3] in documents]

    def _said(self, rows: Sequence[Row]) -> dict[int, dict[Uri, Standing]]:
        """Which statements stand, by document?"""
        uris = self._uris
        found: dict[int, dict[Uri, Standing]] = {}
        for key, document, t_from, valid_from, valid_to, said, body in rows:
            row = Standing((key, document, t_from), t_from, valid_from, valid_to, bool(said), body)
            found.setdefault(document, {})[uris[key]] = row
        return found

    def _stated(self, rows: Sequence[Row]) -> dict[int, dict[digests.EdgeId, Standing]]:
        """Which claims stand, by document?"""
        uris = self._uris
        found: dict[int, dict[digests.EdgeId, Standing]] = {}
        for src, kind, dst, document, t_from, valid_from, valid_to, said, layer, body in rows:
            key = (src, kind, dst, document, t_from)
            word = schema.LAYERS[layer]
            row = Standing(key, t_from, valid_from, valid_to, bool(said), body, word)
            name = (uris[src], self._around.terms.word(self._connection, kind), uris[dst])
            found.setdefault(document, {})[name] = row
        return found

    def _say(self, word: Word, record: Record) -> None:
        """Begin all that a document says that was never heard before."""
        said = self._without_excised(digests.statements_of(record))
        self._things.update(said)
        self._begin_statements(
            word, {uri: facts.begun_of(one, record) for uri, one in said.items()}
        )
        edges = self._edges_of(record)
        self._begin_edges(
            word, {name: facts.begun_edge(one, record) for name, one in edges.items()}
        )

    def _replace_one(
        self,
        word: Word,
        current: Mapping[Uri, Standing],
        links: Mapping[digests.EdgeId, Standing],
    ) -> None:
        nature = self._around.grammar.nature
        if isinstance(word.word, Removal):
            gone = facts.since(None, word.word)
            self._end_statements(
                word, {uri: facts.Ending(row, gone.at, "deleted") for uri, row in current.items()}
            )
            self._end_edges(word, facts.removal_endings(links.items(), gone.at, nature))
            self._begin_statements(word, {word.word.subject: facts.tombstone(word.word)})
            return
        record = word.word
        said_of = self._without_excised(digests.statements_of(record))
        ended, begun = facts.record_difference(current, said_of, record)
        self._end_statements(word, ended)
        self._things.update(begun)
        self._begin_statements(word, begun)
        if word.edges_stand:
            return
        said = self._edges_of(record)
        ended_edges, begun_edges = facts.edge_difference(links, said, record, nature)
        self._end_edges(word, ended_edges)
        self._begin_edges(word, begun_edges)

    def _without_excised(self, said: dict[Uri, Statement]) -> dict[Uri, Statement]:
        """Leave out the values of things whose values were removed on purpose."""
        if not self._excised:
            return said
        return {
            uri: Statement(uri, {}, one.valid_from) if self._keys[uri] in self._excised else one
            for uri, one in said.items()
        }

    def _edges_of(self, record: Record) -> dict[digests.EdgeId, EdgeStatement]:
        """Return a record's edges; at things whose values were removed on purpose without any."""
        edges = digests.edges_of(record)
        if not self._excised:
            return edges
        keys, excised = self._keys, self._excised
        return {
            name: edge
            if excised.isdisjoint((keys[edge.start], keys[edge.end]))
            else edge._replace(attributes={})
            for name, edge in edges.items()
        }

    def _begin_statements(self, word: Word, begun: Mapping[Uri, facts.BegunStatement]) -> None:
        for uri, row in begun.items():
            self._rows.begin_record(
                word.name, word.id, self._keys[uri], uri,
                valid_from=row.valid_from, said=row.said, body=row.body,
            )  # fmt: skip
        word.wrote = word.wrote or bool(begun)

    def _begin_edges(self, word: Word, begun: Mapping[digests.EdgeId, BegunEdge]) -> None:
        name, keys, begin = word.name, self._keys, self._rows.begin_edge
        self._edges.update(begun)
        for edge, row in begun.items():
            begin(name, word.id, (keys[edge[0]], keys[edge[2]]), edge, row)
        word.wrote = word.wrote or bool(begun)

    def _end_statements(self, word: Word, ended: Mapping[Uri, facts.Ending]) -> None:
        for uri, (row, at, reason) in ended.items():
            self._was.setdefault(uri, []).append(row.body or facts.TOMBSTONE)
            replaced = reason == "changed" and row.body != facts.TOMBSTONE
            if replaced and uri not in self._things:
                self._before[uri] = row.body or facts.TOMBSTONE
            else:
                self._before.pop(uri, None)
            self._things.add(uri)
            self._rows.end_record(word.name, uri, row, at, reason)

    def _end_edges(self, word: Word, ended: Mapping[digests.EdgeId, facts.Ending]) -> None:
        for edge, (row, at, reason) in ended.items():
            self._edges.add(edge)
            self._rows.end_edge(word.name, edge, row, at, reason)

    def _remember(self, words: Sequence[Word]) -> None:
        """Keep what each document last said, and the answer that its new rows were read from."""
        for word in words:
            if word.row is None or isinstance(word.word, Removal):
                self._things.add(word.word.subject)
        self._documents.remember(words, self._keys)
        answers = [
            (word.id, self.t, facts.response_text(word.word.response))
            for word in words
            if word.wrote and word.word.response is not None
        ]
        self._driver.insert(schema.response, answers)
        names = {word.id: word.name for word in words}
        self._responses += [seals.response_line(names[id_], body or "") for id_, _, body in answers]

    # ── What follows ─────────────────────────────────────────────────────────────────────────

    def _conclude(self) -> None:
        """Let every rule conclude again what the change may touch, and write the difference."""
        reader = self._reader()
        reader.unindexed = self._things
        self._edges |= self._following().by_change(self._things, self._edges, self._was)

    # ── Search rows, feed and cause ──────────────────────────────────────────────────────────

    def _index(self, words: Sequence[Word]) -> None:
        """Write the search rows of what changed, in the order of their keys."""
        describe = self._around.describe
        if describe is None or not self._things:
            return
        reader, keys = self._reader(), self._keys_of(self._things)
        # Of what was excised less is kept than is said.
        sole = () if self._excised else self._sole
        said = (word.word for word in words)
        alone = projecting.said_alone(said, self._named, sole)
        made = projecting.search_rows(
            self._driver, reader, describe, keys, alone=alone, before=self._before
        )
        new = [keys[uri] for uri in self._named if uri in keys]
        text.write_rows(self._ledger, self._around.facets, made.rows, new=new, old=made.old)

    def _keys_of(self, uris: Iterable[Uri]) -> dict[Uri, int]:
        wanted = set(uris)
        missing = {uri for uri in wanted if uri not in self._keys}
        if missing:
            self._keys.update(self._around.names.keys(self._driver, missing))
        return {uri: self._keys[uri] for uri in wanted}

    def _publish(self, batch: Batch) -> None:
        """Write the feed and the cause, and let everybody see it."""
        ends = {uri for edge in self._edges for uri in (edge[0], edge[2])}
        self._turn.publish(
            actor=batch.actor,
            cause=batch.cause,
            token=batch.token,
            leaves=self._rows.leaves,
            changed=self._keys_of(self._things | ends),
            named=self._named,
            others=self._responses,
        )


#: Which of these things had their values removed on purpose?
_EXCISED = "SELECT key FROM forgotten WHERE how = 'excised' AND key {among}"
#: Which statements about these things stand?
_STANDING_RECORDS = """
    SELECT key, document, t_from, valid_from, valid_to, valid_said, body
    FROM record WHERE t_to IS NULL AND key {among}
"""
#: Which claims that begin at these things stand?
_STANDING_EDGES = """
    SELECT src, kind, dst, document, t_from, valid_from, valid_to, valid_said, layer, attributes
    FROM edge_out WHERE t_to IS NULL AND src {among}
"""

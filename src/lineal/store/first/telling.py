"""First records as the rows that they begin, with all that has a number numbered as met. Pure.

The same as `lineal.store.writing` makes of records, where nothing is there to compare them with.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Sequence
from operator import itemgetter
from typing import Any

from lineal import digests
from lineal.model import Instant, Layer, Record, Statement, Uri
from lineal.store import facts, schema
from lineal.store.first.frames import EDGE, Told
from lineal.store.rows import pack
from lineal.store.text import Describe, name_of, pairs_of, told_facets

_CODES = {layer: schema.LAYERS.index(layer.value) for layer in Layer}


class Telling:
    """What a first load has met so far. *parts* are the types that are parts of a whole."""

    def __init__(self, parts: Collection[str], describe: Describe | None) -> None:
        self._parts, self._describe = parts, describe
        #: The keys of all things that were named.
        self.keys: dict[Uri, int] = {}
        self._kinds: dict[str, int] = {}
        self._documents: dict[str, set[str]] = {}
        self._facets: dict[tuple[str, str], int] = {}
        self._next_document = 1
        #: How many rows of facts were told.
        self.begun = 0
        #: The last thing that has a search row, and those that are still to get theirs: they were
        #: named before anything was said of them, or several statements speak of them.
        self._last, self.rest = 0, set[int]()
        self._begin()

    def _begin(self) -> None:
        self._named: list[str] = []
        self._met: list[str] = []
        self._rows: list[tuple[Any, ...]] = []
        self._statements: list[tuple[int, int, int, bool, str]] = []
        self._edges: list[int] = []
        self._others: list[tuple[Any, ...]] = []
        self._responses: list[tuple[int, str]] = []
        self._raws: list[tuple[str, str, str]] = []
        self._new_facets: list[tuple[str, str]] = []
        self._said: dict[int, Statement | None] = {}

    def tell(self, records: Sequence[Record], instant: Instant) -> tuple[Told, list[Record]]:
        """Return what records say, and those of them whose document was told before."""
        left = []
        for record in records:
            told = self._documents.setdefault(record.source, set())
            if record.document in told:
                left.append(record)
                continue
            told.add(record.document)
            self._tell(record)
        self.begun += len(self._statements) + len(self._edges) // EDGE + len(self._others)
        names, texts = self._search_rows()
        told_now = Told(
            instant, self._named, self._met, self._rows, self._statements,
            array("q", self._edges).tobytes(), self._others, self._responses, self._raws,
            self._new_facets, names, texts,
        )  # fmt: skip
        self._begin()
        return told_now, left

    def _key(self, uri: Uri) -> int:
        key = self.keys[uri] = len(self.keys) + 1
        self._named.append(str(uri))
        return key

    def _kind(self, word: str) -> int:
        number = self._kinds[word] = len(self._kinds) + 1
        self._met.append(str(word))
        return number

    def _tell(self, record: Record) -> None:
        keys = self.keys
        document = self._next_document
        self._next_document += 1
        subject = keys.get(record.subject) or self._key(record.subject)
        touched = {subject}
        statements: list[str] = []
        edges: list[str] = []
        unsaid = facts.since(None, record)
        for uri, statement in digests.statements_of(record).items():
            body = digests.canonical(statement.attributes)
            statements.append(digests.statement_line(statement, body))
            stated = statement.valid_from
            at, said = unsaid if stated is None else facts.since(stated, record)
            key = keys.get(uri) or self._key(uri)
            touched.add(key)
            self._statements.append((key, document, at, said, body))
            self._said[key] = None if key in self._said else statement
        fine, line, kinds, parts = False, digests.edge_line, self._kinds, self._parts
        for edge in digests.distinct_edges(record):
            start, kind, end = edge.start, edge.kind, edge.end
            attributes = digests.attributes_of(edge) if edge.attributes else None
            edges.append(line(edge, attributes))
            at, said = unsaid if edge.valid_from is None else facts.since(edge.valid_from, record)
            src = keys.get(start) or self._key(start)
            touched.add(src)
            numbers = (
                src,
                kinds.get(kind) or self._kind(kind),
                keys.get(end) or self._key(end),
                document,
                at,
                said | _CODES[edge.layer] << 1,
            )
            if attributes is None and edge.valid_to is None:
                self._edges += numbers
            else:
                self._others.append((*numbers, edge.valid_to, attributes))
            if kind == "derived_from" and not fine:
                fine = start.type in parts and end.type in parts
        self._rows.append((
            document, str(record.source), str(record.document), subject,
            digests.digest_of_lines(record.subject, statements, edges), record.said_at, True, fine,
            None if len(touched) == 1 else pack(touched),
        ))  # fmt: skip
        if record.raw is not None:
            raw = digests.canonical(record.raw)
            self._raws.append((str(record.source), str(record.document), raw))
        answer = facts.response_text(record.response)
        if answer is not None:
            self._responses.append((document, answer))

    # ── Search rows ──────────────────────────────────────────────────────────────────────────

    def _search_rows(
        self,
    ) -> tuple[list[tuple[int, str, bool]], list[tuple[int, str, str, str, str]]]:
        """Return the rows of things of which one statement speaks, in the order of their keys."""
        names: list[tuple[int, str, bool]] = []
        texts: list[tuple[int, str, str, str, str]] = []
        if self._describe is None:
            return names, texts
        first = len(self.keys) - len(self._named) + 1
        self.rest.update(key for key in range(first, len(self.keys) + 1) if key not in self._said)
        facets, last = self._facets, self._last
        for key, statement in sorted(self._said.items(), key=itemgetter(0)):
            if statement is None or key <= last or key in self.rest:
                self.rest.add(key)
                continue
            row = self._describe(statement.uri, statement.attributes, False)
            numbers = sorted([facets.get(pair) or self._facet(pair) for pair in pairs_of(row)])
            names.append((key, *name_of(row)))
            texts.append((key, told_facets(numbers), row.name, row.words, row.description))
            self._last = key
        return names, texts

    def _facet(self, pair: tuple[str, str]) -> int:
        number = self._facets[pair] = len(self._facets) + 1
        self._new_facets.append(pair)
        return number

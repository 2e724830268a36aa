"""What rules conclude, written as the difference to what they concluded before.

For some starts a rule says everything anew, as a source does for a document; derivations that it
does not give any more end as their supports did, and an inferred edge lives while one of its
derivations does.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import sqlalchemy as sa

from lineal.lineage import IDENTITY, SAME, joining
from lineal.model import Instant, Uri
from lineal.store import facts, schema
from lineal.store.facts import EdgeId
from lineal.store.reading import Reader
from lineal.store.rows import Rows
from lineal.store.slices import slices

_Span: TypeAlias = "tuple[Instant, Instant | None]"
_Name: TypeAlias = "tuple[Uri, str, Uri, str]"


@dataclass(frozen=True, slots=True)
class Change:
    """What a transaction has changed so far, for those who conclude from it."""

    #: The things whose attributes changed, or that are new.
    things: frozenset[Uri]
    #: The edges that began, ended or changed.
    edges: frozenset[EdgeId]


@dataclass(frozen=True, slots=True)
class Derivation:
    """One way in which a rule concludes an edge."""

    start: Uri
    kind: str
    end: Uri
    #: The edges it rests on, in the order of the rule's pattern.
    supports: tuple[EdgeId, ...]
    valid_from: Instant
    valid_to: Instant | None
    why: str

    @property
    def edge(self) -> EdgeId:
        """The edge that is concluded."""
        return self.start, self.kind, self.end

    @property
    def name(self) -> _Name:
        """The edge, and a digest of the supports: what tells derivations apart."""
        supports = facts.canonical([list(support) for support in self.supports])
        return (*self.edge, hashlib.sha256(supports.encode()).hexdigest()[:32])


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


@dataclass(frozen=True, slots=True)
class _End:
    """When and why a derivation ends."""

    at: Instant
    reason: str


class Following:
    """Writes what one rule concludes, for the starts of one change, under one document."""

    def __init__(
        self, connection: sa.Connection, reader: Reader, rows: Rows, *, document: int, now: Instant
    ) -> None:
        self._connection, self._reader, self._rows = connection, reader, rows
        self._document, self._now = document, now

    def write(self, conclusion: Conclusion) -> set[EdgeId]:
        """Write the difference; return the edges that began, ended or changed."""
        starts = list(self._reader.keys(conclusion.starts).values())
        wanted = {each.name: each for each in conclusion.derivations}
        keys = self._reader.keys(_spoken_of(wanted.values()))
        ends = self._derivations(starts, wanted, keys)
        changed = self._edges(starts, wanted.values(), keys, ends)
        self._rows.write()
        return changed

    def _derivations(
        self, starts: Sequence[int], wanted: Mapping[_Name, Derivation], keys: Mapping[Uri, int]
    ) -> dict[EdgeId, _End]:
        """Write the difference of the derivations; return how those that end do."""
        standing = self._named(self._standing(schema.derivation, starts))
        ends: dict[EdgeId, _End] = {}
        for name, row in standing.items():
            still = wanted.get(name)
            if still is None or not _same_span(row, still):
                end = self._end(row, still)
                ends[name[:3]] = end
                self._rows.end(schema.derivation, row, end.at, end.reason)
        for name, each in wanted.items():
            if name not in standing or not _same_span(standing[name], each):
                self._rows.begin(schema.derivation, self._row(each, name[3], keys))
        return ends

    def _edges(
        self,
        starts: Sequence[int],
        wanted: Iterable[Derivation],
        keys: Mapping[Uri, int],
        ends: Mapping[EdgeId, _End],
    ) -> set[EdgeId]:
        """Let each concluded edge live for as long as its derivations together do."""
        rows = self._standing(schema.edge_out, starts)
        uris = self._reader.uris({row[end] for row in rows for end in ("src", "dst")})
        standing = {(uris[row["src"]], row["kind"], uris[row["dst"]]): row for row in rows}
        spans = _spans(wanted)
        changed = {
            edge
            for edge in standing.keys() | spans.keys()
            if edge not in standing or edge not in spans or _span_of(standing[edge]) != spans[edge]
        }
        for edge in changed & standing.keys():
            end = ends.get(edge, _End(self._now, "removed"))
            self._rows.end_edge(standing[edge], end.at, end.reason)
        for edge in changed & spans.keys():
            row = _inferred(spans[edge], self._document)
            self._rows.begin_edge(keys[edge[0]], edge[1], keys[edge[2]], row)
        return changed

    def _standing(self, table: sa.Table, starts: Iterable[int]) -> list[dict[str, Any]]:
        """What did the rule conclude for these starts before?"""
        rows: list[dict[str, Any]] = []
        for some in slices(starts):
            query = sa.select(table).where(
                table.c.src.in_(some), table.c.document == self._document, table.c.t_to.is_(None)
            )
            rows.extend(dict(row) for row in self._connection.execute(query).mappings())
        return rows

    def _named(self, rows: Sequence[dict[str, Any]]) -> dict[_Name, dict[str, Any]]:
        uris = self._reader.uris({row[end] for row in rows for end in ("src", "dst")})
        return {
            (uris[row["src"]], row["kind"], uris[row["dst"]], row["digest"]): row for row in rows
        }

    def _end(self, row: Mapping[str, Any], still: Derivation | None) -> _End:
        """A derivation ends as its support ended, or is replaced by one of a truer span."""
        if still is not None:
            if still.valid_from == row["valid_from"] and still.valid_to is not None:
                return _End(still.valid_to, "changed")
            return _End(still.valid_from, "corrected")
        return self._support_end(facts.supports_of(row["supports"]))

    def _support_end(self, supports: Sequence[tuple[int, str, int]]) -> _End:
        """Why did the support go? The conclusion was true for as long as all of it was."""
        table, until = schema.edge_out, self._now
        if not self._still_one(supports):
            return _End(until, "corrected")
        for src, kind, dst in supports:
            query = sa.select(table.c.t_to, table.c.ended_at, table.c.reason).where(
                table.c.src == src, table.c.kind == kind, table.c.dst == dst
            )
            rows = self._connection.execute(query).all()
            if any(row.t_to is None for row in rows):
                continue
            if all(row.reason == "corrected" for row in rows):
                return _End(until, "corrected")
            until = min(until, max(row.ended_at for row in rows))
        return _End(until, "removed")

    def _still_one(self, supports: Sequence[tuple[int, str, int]]) -> bool:
        """Are the names it rests on still held to be one? If not, they were so at no time."""
        pairs = {(src, dst) for src, kind, dst in supports if kind == SAME}
        if not pairs:
            return True
        links = joining(self._reader.held({src for src, _ in pairs}, IDENTITY))
        return pairs <= {(link.src, link.dst) for link in links}

    def _row(self, each: Derivation, digest: str, keys: Mapping[Uri, int]) -> dict[str, Any]:
        supports = [[keys[start], kind, keys[end]] for start, kind, end in each.supports]
        return {
            "src": keys[each.start],
            "kind": each.kind,
            "dst": keys[each.end],
            "document": self._document,
            "digest": digest,
            "valid_from": each.valid_from,
            "valid_to": each.valid_to,
            "valid_said": False,
            "supports": facts.canonical(supports),
            "why": each.why,
        }


def _spoken_of(derivations: Iterable[Derivation]) -> set[Uri]:
    edges = {edge for each in derivations for edge in (each.edge, *each.supports)}
    return {uri for start, _, end in edges for uri in (start, end)}


def _spans(derivations: Iterable[Derivation]) -> dict[EdgeId, _Span]:
    """For each edge, the time that its derivations cover together."""
    found: dict[EdgeId, list[Derivation]] = defaultdict(list)
    for each in derivations:
        found[each.edge].append(each)
    return {edge: _joined(some) for edge, some in found.items()}


def _joined(derivations: Sequence[Derivation]) -> _Span:
    ends = [each.valid_to for each in derivations if each.valid_to is not None]
    last = max(ends) if len(ends) == len(derivations) else None
    return min(each.valid_from for each in derivations), last


def _span_of(row: Mapping[str, Any]) -> _Span:
    return row["valid_from"], row["valid_to"]


def _same_span(row: Mapping[str, Any], each: Derivation) -> bool:
    return _span_of(row) == (each.valid_from, each.valid_to)


def _inferred(span: _Span, document: int) -> dict[str, Any]:
    return {
        "valid_from": span[0],
        "valid_to": span[1],
        "valid_said": False,
        "layer": "inferred",
        "attributes": "{}",
        "response": None,
        "document": document,
    }

"""What rules conclude, written as the difference to what they concluded before.

For some starts a rule says everything anew, as a source does for a document; derivations that it
does not give any more end as their supports did, and an inferred edge lives while one of its
derivations does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol, TypeAlias

from lineal.lineage import IDENTITY, SAME, joining
from lineal.model import Instant, Uri
from lineal.store import facts, schema
from lineal.store.driver import Driver
from lineal.store.facts import EdgeId
from lineal.store.reading import Reader
from lineal.store.rows import BegunEdge, Rows, Standing
from lineal.store.seals import Owner

_Span: TypeAlias = "tuple[Instant, Instant | None]"
_Name: TypeAlias = "tuple[Uri, str, Uri, bytes]"


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
        supports = "\n".join("\n".join(support) for support in self.supports)
        return (*self.edge, blake2b(supports.encode(), digest_size=16).digest())


@dataclass(frozen=True, slots=True)
class Conclusion:
    """All that one rule concludes for some starts: it replaces what it concluded before."""

    rule: str
    version: str
    starts: frozenset[Uri]
    derivations: tuple[Derivation, ...]


class Rules(Protocol):
    """Concludes edges from edges; pure over a reader of the transaction."""

    @property
    def seeds(self) -> frozenset[str]:
        """Kinds of edges: shown every one of them as changed, the rules conclude everything."""

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
        self,
        driver: Driver,
        reader: Reader,
        rows: Rows,
        *,
        document: int,
        name: Owner,
        now: Instant,
    ) -> None:
        self._driver, self._reader, self._rows = driver, reader, rows
        self._document, self._owner, self._now = document, name, now

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
        standing = self._standing_derivations(starts)
        ends: dict[EdgeId, _End] = {}
        for name, row in standing.items():
            still = wanted.get(name)
            if still is None or not _same_span(row, still):
                end = self._end(row, still)
                ends[name[:3]] = end
                self._rows.end_derivation(self._owner, name[:3], row, end.at, end.reason)
        for name, each in wanted.items():
            if name not in standing or not _same_span(standing[name], each):
                self._begin(each, name[3], keys)
        return ends

    def _begin(self, each: Derivation, digest: bytes, keys: Mapping[Uri, int]) -> None:
        supports = [[keys[start], kind, keys[end]] for start, kind, end in each.supports]
        self._rows.begin_derivation(
            self._owner, self._document, (keys[each.start], keys[each.end]), each.edge,
            digest=digest, span=(each.valid_from, each.valid_to), supports=each.supports,
            kept=facts.canonical(supports), why=each.why,
        )  # fmt: skip

    def _edges(
        self,
        starts: Sequence[int],
        wanted: Iterable[Derivation],
        keys: Mapping[Uri, int],
        ends: Mapping[EdgeId, _End],
    ) -> set[EdgeId]:
        """Let each concluded edge live for as long as its derivations together do."""
        standing = self._standing_edges(starts)
        spans = _spans(wanted)
        changed = {
            edge
            for edge in standing.keys() | spans.keys()
            if edge not in standing or edge not in spans or _span_of(standing[edge]) != spans[edge]
        }
        for edge in changed & standing.keys():
            end = ends.get(edge, _End(self._now, "removed"))
            self._rows.end_edge(self._owner, edge, standing[edge], end.at, end.reason)
        for edge in changed & spans.keys():
            begun = BegunEdge(*spans[edge], said=False, layer="inferred", attributes=None)
            ends_of = (keys[edge[0]], keys[edge[2]])
            self._rows.begin_edge(self._owner, self._document, ends_of, edge, begun)
        return changed

    def _standing_derivations(self, starts: Iterable[int]) -> dict[_Name, Standing]:
        """What did the rule conclude for these starts before, and from what?"""
        rows = self._driver.among(_STANDING_DERIVATIONS, starts, self._document)
        uris = self._reader.uris({key for row in rows for key in (row[0], row[2])})
        found: dict[_Name, Standing] = {}
        for src, kind, dst, document, digest, t_from, valid_from, valid_to, kept in rows:
            key = (src, kind, dst, document, bytes(digest), t_from)
            name = (uris[src], self._reader.kind(kind), uris[dst], bytes(digest))
            found[name] = Standing(key, t_from, valid_from, valid_to, False, kept)
        return found

    def _standing_edges(self, starts: Iterable[int]) -> dict[EdgeId, Standing]:
        """Which edges did the rule conclude for these starts before?"""
        rows = self._driver.among(_STANDING_EDGES, starts, self._document)
        uris = self._reader.uris({key for row in rows for key in (row[0], row[2])})
        found: dict[EdgeId, Standing] = {}
        for src, kind, dst, document, t_from, valid_from, valid_to in rows:
            key = (src, kind, dst, document, t_from)
            name = (uris[src], self._reader.kind(kind), uris[dst])
            found[name] = Standing(key, t_from, valid_from, valid_to, False, None, "inferred")
        return found

    def _end(self, row: Standing, still: Derivation | None) -> _End:
        """A derivation ends as its support ended, or is replaced by one of a truer span."""
        if still is not None:
            if still.valid_from == row.valid_from and still.valid_to is not None:
                return _End(still.valid_to, "changed")
            return _End(still.valid_from, "corrected")
        return self._support_end(facts.supports_of(row.body or "[]"))

    def _support_end(self, supports: Sequence[tuple[int, str, int]]) -> _End:
        """Why did the support go? The conclusion was true for as long as all of it was."""
        until = self._now
        if not self._still_one(supports):
            return _End(until, "corrected")
        for src, kind, dst in supports:
            number = self._reader.kinds((kind,))
            rows = self._driver.rows(_LIVES, src, *number, dst) if number else []
            if any(t_to is None for t_to, _, _ in rows):
                continue
            if all(schema.REASONS[reason] == "corrected" for _, _, reason in rows):
                return _End(until, "corrected")
            until = min(until, max(ended_at for _, ended_at, _ in rows))
        return _End(until, "removed")

    def _still_one(self, supports: Sequence[tuple[int, str, int]]) -> bool:
        """Are the names it rests on still held to be one? If not, they were so at no time."""
        pairs = {(src, dst) for src, kind, dst in supports if kind == SAME}
        if not pairs:
            return True
        links = joining(self._reader.held({src for src, _ in pairs}, IDENTITY))
        return pairs <= {(link.src, link.dst) for link in links}


#: What did a rule conclude for these starts, and from what?
_STANDING_DERIVATIONS = """
    SELECT src, kind, dst, document, digest, t_from, valid_from, valid_to, supports
    FROM derivation WHERE document = ? AND t_to IS NULL AND src {among}
"""
#: Which edges did a rule conclude for these starts?
_STANDING_EDGES = """
    SELECT src, kind, dst, document, t_from, valid_from, valid_to
    FROM edge_out WHERE document = ? AND t_to IS NULL AND src {among}
"""
#: Which lives did an edge have, by whatever claim?
_LIVES = "SELECT t_to, ended_at, reason FROM edge_out WHERE src = ? AND kind = ? AND dst = ?"


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


def _span_of(row: Standing) -> _Span:
    return row.valid_from, row.valid_to


def _same_span(row: Standing, each: Derivation) -> bool:
    return _span_of(row) == (each.valid_from, each.valid_to)

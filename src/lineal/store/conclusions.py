"""What rules conclude, written as the difference to what they concluded before.

For some starts a rule says everything anew, as a source does for a document; derivations that it
does not give any more end as their supports did, and an inferred edge lives while one of its
derivations does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol, TypeAlias

from lineal.lineage import IDENTITY, SAME, joining
from lineal.model import Instant, Json, Uri
from lineal.store import facts, schema
from lineal.store.driver import Driver, Row
from lineal.store.facts import EdgeId
from lineal.store.reading import Reader
from lineal.store.rows import BegunEdge, Rows, Standing
from lineal.store.seals import Owner

#: How a support is called that is no edge: both ends have an equal value of these attributes.
EQUAL = "="

_Span: TypeAlias = "tuple[Instant, Instant | None]"
_Name: TypeAlias = "tuple[Uri, str, Uri, bytes]"


@dataclass(frozen=True, slots=True)
class Change:
    """What a transaction has changed so far, for those who conclude from it."""

    #: The things whose attributes changed, or that are new.
    things: Collection[Uri]
    #: The edges that began, ended or changed; what is concluded comes to them.
    edges: Collection[EdgeId]
    #: What was said of things until now, where it was replaced or taken back.
    was: Mapping[Uri, Sequence[Mapping[str, Json]]] = field(default_factory=dict)
    #: The rules that are not in use.
    idle: Collection[str] = frozenset()


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
        supports = "\n".join(["\n".join(support) for support in self.supports])
        digest = blake2b(supports.encode(), digest_size=16).digest()
        return self.start, self.kind, self.end, digest


@dataclass(frozen=True, slots=True)
class Concluded:
    """An edge as all its derivations together give it."""

    valid_from: Instant
    valid_to: Instant | None
    #: What the rule says of it beside that it is so, such as how sure it is.
    about: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """All that one rule concludes for some things: it replaces what it concluded before."""

    rule: str
    version: str
    starts: frozenset[Uri]
    derivations: tuple[Derivation, ...]
    #: The edges, where there may be more derivations of one than are kept.
    edges: Mapping[EdgeId, Concluded] | None = None
    layer: str = "inferred"
    #: True where *starts* are what the edges begin at, False where they end there.
    by_start: bool = True


@dataclass(frozen=True, slots=True)
class PutOff:
    """Work of a rule that is not done in this transaction: where to go on, and with what."""

    rule: str
    #: Positions, which only the rule understands, and keys of things.
    places: tuple[tuple[int, int], ...]
    #: After which other thing to go on.
    after: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """A thing for which a rule concludes nothing, because it would be too much."""

    rule: str
    key: int
    error: str


Step: TypeAlias = "Conclusion | PutOff | Failed"


@dataclass(frozen=True, slots=True)
class Program:
    """A rule as the store keeps it up."""

    name: str
    #: Of all that it says; another digest is another rule.
    digest: bytes
    #: The types of the things by which its conclusions are kept.
    types: frozenset[str]
    version: str
    #: Whether it is in use before anybody says so.
    enabled: bool = True


class Rules(Protocol):
    """Concludes edges from edges; pure over a reader of the transaction."""

    @property
    def seeds(self) -> frozenset[str]:
        """Kinds of edges: shown every one of them as changed, what is no program concludes all."""

    @property
    def programs(self) -> tuple[Program, ...]:
        """The rules that are kept up one by one, each after those whose edges it looks at."""

    def conclude(self, change: Change, reader: Reader, most: int | None = None) -> Iterable[Step]:
        """
        Return what each rule concludes for everything that the change may touch.

        What of one rule is more than *most* things is put off.
        """

    def conclude_for(self, name: str, starts: Sequence[int], reader: Reader) -> Iterable[Step]:
        """Return what one rule concludes for these things."""

    def go_on(
        self, name: str, position: int, keys: Sequence[int], after: int, reader: Reader, most: int
    ) -> Iterable[Step]:
        """Go on with what one rule put off, a bounded piece of it."""


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
        documents: Mapping[int, Owner],
        document: int,
        now: Instant,
    ) -> None:
        """
        Write under *document*; *documents* are all that the rule ever wrote under, by its versions.

        What stands under another version is replaced too.
        """
        self._driver, self._reader, self._rows = driver, reader, rows
        self._documents, self._document, self._now = documents, document, now

    def write(self, conclusion: Conclusion) -> set[EdgeId]:
        """Write the difference; return the edges that began, ended or changed."""
        starts = set(self._reader.keys(conclusion.starts).values())
        wanted = {each.name: each for each in conclusion.derivations}
        keys = self._reader.keys(_spoken_of(wanted.values()))
        edges = conclusion.edges
        concluded = _together(wanted.values()) if edges is None else edges
        fringe = starts if conclusion.by_start else self._leading_to(starts)
        ends = self._derivations(fringe, starts, conclusion.by_start, wanted, keys)
        standing = self._standing_edges(fringe, starts, conclusion.by_start)
        changed = self._edges(standing, concluded, keys, ends, conclusion.layer)
        self._rows.write()
        return changed

    def _derivations(
        self,
        fringe: Collection[int],
        starts: set[int],
        by_start: bool,
        wanted: Mapping[_Name, Derivation],
        keys: Mapping[Uri, int],
    ) -> dict[EdgeId, _End]:
        """Write the difference of the derivations; return how those that end do."""
        standing = self._standing_derivations(fringe, starts, by_start)
        ends: dict[EdgeId, _End] = {}
        for name, row in standing.items():
            still = wanted.get(name)
            if still is None or not self._is_kept(row, (still.valid_from, still.valid_to)):
                end = self._end(row, still)
                ends[name[:3]] = end
                owner = self._documents[row.key[3]]
                self._rows.end_derivation(owner, name[:3], row, end.at, end.reason)
        for name, each in wanted.items():
            row_ = standing.get(name)
            if row_ is None or not self._is_kept(row_, (each.valid_from, each.valid_to)):
                self._begin(each, name[3], keys)
        return ends

    def _is_kept(self, row: Standing, span: _Span) -> bool:
        """Does a row say what it is to say, under the version of now?"""
        return row.key[3] == self._document and _span_of(row) == span

    def _begin(self, each: Derivation, digest: bytes, keys: Mapping[Uri, int]) -> None:
        supports = [[keys[start], kind, keys[end]] for start, kind, end in each.supports]
        self._rows.begin_derivation(
            self._documents[self._document], self._document, (keys[each.start], keys[each.end]),
            each.edge, digest=digest, span=(each.valid_from, each.valid_to),
            supports=each.supports, kept=facts.canonical(supports), why=each.why,
        )  # fmt: skip

    def _edges(
        self,
        standing: Mapping[EdgeId, Standing],
        concluded: Mapping[EdgeId, Concluded],
        keys: Mapping[Uri, int],
        ends: Mapping[EdgeId, _End],
        layer: str,
    ) -> set[EdgeId]:
        """Let each concluded edge live for as long as its derivations together do."""
        about = {edge: _told(one.about) for edge, one in concluded.items()}
        changed = {
            edge
            for edge in standing.keys() | concluded.keys()
            if edge not in standing
            or edge not in concluded
            or not self._is_kept(
                standing[edge], (concluded[edge].valid_from, concluded[edge].valid_to)
            )
            or (standing[edge].body, standing[edge].layer) != (about[edge], layer)
        }
        for edge in changed & standing.keys():
            row = standing[edge]
            end = ends.get(edge, _End(self._now, "removed"))
            if edge in concluded and edge not in ends:
                # As much of it is so as before; only what is said of it is another.
                end = _End(row.valid_from, "corrected")
            self._rows.end_edge(self._documents[row.key[3]], edge, row, end.at, end.reason)
        owner = self._documents[self._document]
        for edge in changed & concluded.keys():
            one = concluded[edge]
            begun = BegunEdge(one.valid_from, one.valid_to, False, layer, about[edge])
            ends_of = (keys[edge[0]], keys[edge[2]])
            self._rows.begin_edge(owner, self._document, ends_of, edge, begun)
        return changed

    def _leading_to(self, ends: Collection[int]) -> set[int]:
        """At which things do the edges begin that the rule concluded to end at these?"""
        rows = (
            row
            for document in self._documents
            for row in self._driver.among(_LEADING_TO, ends, document)
        )
        return {row[0] for row in rows}

    def _standing_derivations(
        self, fringe: Collection[int], starts: set[int], by_start: bool
    ) -> dict[_Name, Standing]:
        """What did the rule conclude before for these, and from what?"""
        rows = self._standing(_STANDING_DERIVATIONS, fringe, starts, by_start)
        uris = self._reader.uris({key for row in rows for key in (row[0], row[2])})
        found: dict[_Name, Standing] = {}
        for src, kind, dst, document, digest, t_from, valid_from, valid_to, kept in rows:
            key = (src, kind, dst, document, bytes(digest), t_from)
            name = (uris[src], self._reader.kind(kind), uris[dst], bytes(digest))
            found[name] = Standing(key, t_from, valid_from, valid_to, False, kept)
        return found

    def _standing_edges(
        self, fringe: Collection[int], starts: set[int], by_start: bool
    ) -> dict[EdgeId, Standing]:
        """Which edges did the rule conclude before for these?"""
        rows = self._standing(_STANDING_EDGES, fringe, starts, by_start)
        uris = self._reader.uris({key for row in rows for key in (row[0], row[2])})
        found: dict[EdgeId, Standing] = {}
        for src, kind, dst, document, t_from, valid_from, valid_to, layer, about in rows:
            key = (src, kind, dst, document, t_from)
            name = (uris[src], self._reader.kind(kind), uris[dst])
            word = schema.LAYERS[layer]
            found[name] = Standing(key, t_from, valid_from, valid_to, False, about, word)
        return found

    def _standing(
        self, text: str, fringe: Collection[int], starts: set[int], by_start: bool
    ) -> list[Row]:
        found = [
            row
            for document in self._documents
            for row in self._driver.among(text, fringe, document)
        ]
        return found if by_start else [row for row in found if row[2] in starts]

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
            if kind.startswith(EQUAL):
                continue
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
    SELECT src, kind, dst, document, t_from, valid_from, valid_to, layer, attributes
    FROM edge_out WHERE document = ? AND t_to IS NULL AND src {among}
"""
#: Where do the edges begin that a rule concluded to end at these?
_LEADING_TO = "SELECT src FROM edge_in WHERE document = ? AND t_to IS NULL AND dst {among}"
#: Which lives did an edge have, by whatever claim?
_LIVES = "SELECT t_to, ended_at, reason FROM edge_out WHERE src = ? AND kind = ? AND dst = ?"


def _spoken_of(derivations: Iterable[Derivation]) -> set[Uri]:
    edges = {edge for each in derivations for edge in (each.edge, *each.supports)}
    return {uri for start, _, end in edges for uri in (start, end)}


def _together(derivations: Iterable[Derivation]) -> dict[EdgeId, Concluded]:
    """For each edge, the time that its derivations cover together."""
    found: dict[EdgeId, list[Derivation]] = defaultdict(list)
    for each in derivations:
        found[each.edge].append(each)
    return {edge: Concluded(*_joined(some)) for edge, some in found.items()}


def _joined(derivations: Sequence[Derivation]) -> _Span:
    ends = [each.valid_to for each in derivations if each.valid_to is not None]
    last = max(ends) if len(ends) == len(derivations) else None
    return min(each.valid_from for each in derivations), last


def _told(about: Mapping[str, Json]) -> str | None:
    return facts.canonical(about) if about else None


def _span_of(row: Standing) -> _Span:
    return row.valid_from, row.valid_to

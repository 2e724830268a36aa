"""What rules conclude, written as the difference to what they concluded before.

Derivations that a rule does not give any more end as their supports did, and an inferred edge lives
while one of its derivations does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias

import msgspec

from lineal import digests
from lineal.digests import EdgeId
from lineal.lineage import IDENTITY, SAME, joining
from lineal.model import Instant, Json, Uri
from lineal.store import facts, schema
from lineal.store.conclusions import EQUAL, Concluded, Conclusion, Derivation, Support
from lineal.store.driver import Driver, Row
from lineal.store.reading import Reader
from lineal.store.rows import BegunEdge, Rows, Standing
from lineal.store.seals import Owner

#: An edge, by the keys of its ends; and one derivation of it, told from others by its supports as
#: they lie in the row.
_Edge: TypeAlias = "tuple[int, str, int]"
_Name: TypeAlias = "tuple[int, str, int, str]"
#: When edges ended and why, life by life.
_Lives: TypeAlias = "Mapping[Support, Sequence[Row]]"


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

    def write(self, conclusion: Conclusion, *, is_first: bool = False) -> set[EdgeId]:
        """
        Write the difference; return the edges that began, ended or changed.

        *is_first*: the rule has never concluded for these things, and nothing stands.
        """
        kind, starts = conclusion.kind, set(conclusion.starts)
        wanted: dict[_Name, Derivation] = {
            (each.start, kind, each.end, _kept(each.supports)): each
            for each in conclusion.derivations
        }
        concluded = {(start, kind, end): one for (start, end), one in conclusion.edges().items()}
        derivations: dict[_Name, Standing] = {}
        edges: dict[_Edge, Standing] = {}
        if not is_first:
            by_start = conclusion.by_start
            fringe = starts if by_start else self._leading_to(starts)
            derivations = self._standing_derivations(fringe, starts, by_start)
            # An edge stands while one of its derivations does.
            begins = {name[0] for name in derivations}
            edges = self._standing_edges(begins, starts, by_start) if begins else {}
        begun: Iterable[_Name] = wanted
        if derivations:
            begun = [one for one, each in wanted.items() if not self._has(derivations, one, each)]
        gone = [name for name, row in derivations.items() if not self._is_still(row, wanted, name)]
        changed = self._changed(edges, concluded, conclusion.layer)
        uris = self._uris(begun, gone, changed, wanted)
        ends = self._end_derivations(gone, derivations, wanted, uris)
        self._begin_derivations(begun, wanted, conclusion, uris)
        self._replace(changed, edges, concluded, conclusion.layer, ends, uris)
        self._rows.write()
        return {(uris[start], kind, uris[end]) for start, kind, end in changed}

    # ── What is another ──────────────────────────────────────────────────────────────────────

    def _has(self, rows: Mapping[_Name, Standing], name: _Name, each: Derivation) -> bool:
        """Does a row say it already?"""
        row = rows.get(name)
        return row is not None and self._is_kept(row, each.valid_from, each.valid_to)

    def _is_still(self, row: Standing, wanted: Mapping[_Name, Derivation], name: _Name) -> bool:
        """Is what a row says to be said?"""
        each = wanted.get(name)
        return each is not None and self._is_kept(row, each.valid_from, each.valid_to)

    def _is_kept(self, row: Standing, since: Instant, until: Instant | None) -> bool:
        """Does a row say what it is to say, under the version of now?"""
        return row.key[3] == self._document and (row.valid_from, row.valid_to) == (since, until)

    def _changed(
        self, standing: Mapping[_Edge, Standing], concluded: Mapping[_Edge, Concluded], layer: str
    ) -> list[_Edge]:
        """Which edges begin, end, or are another than they were?"""
        changed = [edge for edge in standing if edge not in concluded]
        for edge, one in concluded.items():
            row = standing.get(edge)
            if (
                row is None
                or not self._is_kept(row, one.valid_from, one.valid_to)
                or (row.body, row.layer) != (_told(one.about), layer)
            ):
                changed.append(edge)
        return changed

    def _uris(
        self,
        begun: Iterable[_Name],
        gone: Iterable[_Name],
        changed: Iterable[_Edge],
        wanted: Mapping[_Name, Derivation],
    ) -> dict[int, Uri]:
        """Return the names of all that is written of."""
        keys: set[int] = set()
        for name in gone:
            keys.update((name[0], name[2]))
        for edge in changed:
            keys.update((edge[0], edge[2]))
        for name in begun:
            each = wanted[name]
            keys.update(each.things)
            for src, _, dst in each.supports:
                keys.update((src, dst))
            keys.update((name[0], name[2]))
        return self._reader.uris(keys)

    # ── Derivations ──────────────────────────────────────────────────────────────────────────

    def _end_derivations(
        self,
        gone: Iterable[_Name],
        standing: Mapping[_Name, Standing],
        wanted: Mapping[_Name, Derivation],
        uris: Mapping[int, Uri],
    ) -> dict[_Edge, _End]:
        """End what is no more concluded so; return how, by the edge."""
        rested = {
            name: facts.supports_of(standing[name].body or "[]")
            for name in gone
            if name not in wanted
        }
        lives = self._lives(support for some in rested.values() for support in some)
        ends: dict[_Edge, list[_End]] = defaultdict(list)
        for name in gone:
            row, still, (start, kind, dst, _) = standing[name], wanted.get(name), name
            if still is None:
                end = self._support_end(rested[name], lives)
            elif still.valid_from == row.valid_from and still.valid_to is not None:
                end = _End(still.valid_to, "changed")
            else:
                end = _End(still.valid_from, "corrected")
            ends[name[:3]].append(end)
            owner, edge = self._documents[row.key[3]], (uris[start], kind, uris[dst])
            self._rows.end_derivation(owner, edge, row, end.at, end.reason)
        return {edge: _last(some) for edge, some in ends.items()}

    def _begin_derivations(
        self,
        begun: Iterable[_Name],
        wanted: Mapping[_Name, Derivation],
        conclusion: Conclusion,
        uris: Mapping[int, Uri],
    ) -> None:
        owner, why, begin = self._documents[self._document], conclusion.why, self._rows
        for name in begun:
            start, kind, end, kept = name
            each = wanted[name]
            supports = [(uris[src], word, uris[dst]) for src, word, dst in each.supports]
            begin.begin_derivation(
                owner, self._document, (start, end), (uris[start], kind, uris[end]),
                digest=_digest(supports), span=(each.valid_from, each.valid_to),
                supports=supports, kept=kept, why=why(each, uris),
            )  # fmt: skip

    def _support_end(self, supports: Sequence[Support], lives: _Lives) -> _End:
        """Why did the support go? The conclusion was true for as long as all of it was."""
        until = self._now
        if not self._still_one(supports):
            return _End(until, "corrected")
        for support in supports:
            if support[1].startswith(EQUAL):
                continue
            rows = lives.get(support, ())
            if any(t_to is None for t_to, _, _ in rows):
                continue
            lived = [at for _, at, reason in rows if schema.REASONS[reason] != "corrected"]
            if not lived:
                return _End(until, "corrected")
            until = min(until, max(lived))
        return _End(until, "removed")

    def _lives(self, supports: Iterable[Support]) -> _Lives:
        """Return the lives that these edges had, by whatever claim."""
        starts: dict[str, set[int]] = defaultdict(set)
        for src, kind, _ in supports:
            starts[kind].add(src)
        found: dict[Support, list[Row]] = defaultdict(list)
        for kind, some in starts.items():
            for number in self._reader.kinds((kind,)):
                for src, dst, *life in self._driver.among(_LIVES, some, number):
                    found[src, kind, dst].append(tuple(life))
        return found

    def _still_one(self, supports: Sequence[Support]) -> bool:
        """Are the names it rests on still held to be one? If not, they were so at no time."""
        pairs = {(src, dst) for src, kind, dst in supports if kind == SAME}
        if not pairs:
            return True
        links = joining(self._reader.held({src for src, _ in pairs}, IDENTITY))
        return pairs <= {(link.src, link.dst) for link in links}

    # ── Edges ────────────────────────────────────────────────────────────────────────────────

    def _replace(
        self,
        changed: Iterable[_Edge],
        standing: Mapping[_Edge, Standing],
        concluded: Mapping[_Edge, Concluded],
        layer: str,
        ends: Mapping[_Edge, _End],
        uris: Mapping[int, Uri],
    ) -> None:
        """Let each edge live for as long as its derivations together do."""
        owner, document, begin = self._documents[self._document], self._document, self._rows
        for edge in changed:
            src, kind, dst = edge
            named, row, one = (uris[src], kind, uris[dst]), standing.get(edge), concluded.get(edge)
            if row is not None:
                end = ends.get(edge) or _End(self._now, "removed")
                if one is not None and edge not in ends:
                    # As much of it is so as before; only what is said of it is another.
                    end = _End(row.valid_from, "corrected")
                begin.end_edge(self._documents[row.key[3]], named, row, end.at, end.reason)
            if one is not None:
                begun = BegunEdge(one.valid_from, one.valid_to, False, layer, _told(one.about))
                begin.begin_edge(owner, document, (src, dst), named, begun)

    # ── What stands ──────────────────────────────────────────────────────────────────────────

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
        found: dict[_Name, Standing] = {}
        for src, kind, dst, document, digest, t_from, valid_from, valid_to, kept in self._standing(
            _STANDING_DERIVATIONS, fringe, starts, by_start
        ):
            key = (src, kind, dst, document, bytes(digest), t_from)
            name = (src, self._reader.kind(kind), dst, kept)
            found[name] = Standing(key, t_from, valid_from, valid_to, False, kept)
        return found

    def _standing_edges(
        self, fringe: Collection[int], starts: set[int], by_start: bool
    ) -> dict[_Edge, Standing]:
        """Which edges did the rule conclude before for these?"""
        found: dict[_Edge, Standing] = {}
        for src, kind, dst, document, t_from, valid_from, valid_to, layer, about in self._standing(
            _STANDING_EDGES, fringe, starts, by_start
        ):
            key = (src, kind, dst, document, t_from)
            word = schema.LAYERS[layer]
            found[src, self._reader.kind(kind), dst] = Standing(
                key, t_from, valid_from, valid_to, False, about, word
            )
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
#: Which lives did the edges of a kind have that begin at these, by whatever claim?
_LIVES = """
    SELECT src, dst, t_to, ended_at, reason FROM edge_out WHERE kind = ? AND src {among}
"""


def _last(ends: Sequence[_End]) -> _End:
    """Return how an edge ends of which these derivations do: it was so while one of them was."""
    lived = [end for end in ends if end.reason != "corrected"]
    return max(lived or ends, key=lambda end: (end.at, end.reason))


def _kept(supports: Sequence[Support]) -> str:
    """Return supports as they lie in a row: JSON, as `facts.supports_of` reads it."""
    return msgspec.json.encode(supports).decode()


def _told(about: Mapping[str, Json] | None) -> str | None:
    return digests.canonical(about) if about else None


def _digest(supports: Iterable[tuple[Uri, str, Uri]]) -> bytes:
    """Return what tells derivations of one edge apart, on every database alike."""
    told = "\n".join(["\n".join(support) for support in supports])
    return blake2b(told.encode(), digest_size=16).digest()

"""What rules conclude, worked out from the rows by the plainest means: nothing here is shared.

Every way along a pattern is tried, one after another, from every thing. Patterns are written here
anew, as Python, so that neither the reading nor the order of rules is believed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: An edge, since when and until when it is so.
Span = tuple[int, int | None]
Found = dict[tuple[str, str, str], tuple[Span, int]]

LAYERS = ("declared", "observed", "inferred", "suggested")
ALWAYS = -(1 << 62)


@dataclass(frozen=True)
class Hop:
    """Edges to go over: of which kinds, which way, how often, to what types."""

    kinds: tuple[str, ...]
    forward: bool
    types: tuple[str, ...]
    least: int = 1
    most: int = 1
    #: The attributes of both sides that are equal, instead of edges.
    equal: tuple[str, str] | None = None
    layers: tuple[str, ...] = ("declared", "observed", "inferred")
    #: Whether a claim counts, by what it says of the edge.
    fits: Callable[[Mapping[str, Any]], bool] | None = None


@dataclass(frozen=True)
class Absent:
    """A path that there must not be: from which place, over what, and perhaps to which place."""

    place: int
    hops: tuple[Hop, ...]
    end: int | None = None
    #: At which place that stands which its end must be another thing than.
    other: int | None = None
    #: The types of the thing it begins at; None: any.
    types: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Pattern:
    """A rule, in this file's own words."""

    name: str
    types: tuple[str, ...]
    hops: tuple[Hop, ...]
    gives: str
    #: From the things of a way to the start and the end of the edge.
    ends: tuple[int, int]
    #: From the things of a way, and what is said of them, to whether it counts.
    where: Callable[[Sequence[str], Mapping[str, Mapping[str, Any]]], bool] | None = None
    unless: tuple[Absent, ...] = ()


@dataclass
class Rows:
    """The rows of a database, by name."""

    #: Claims that are held: (start, kind, end) to [(since, until, layer, source, what it says)].
    held: dict[tuple[str, str, str], list[tuple[int, int | None, str, str, Any]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    said: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    heard: dict[str, int] = field(default_factory=dict)
    #: How many derivations of each edge are kept, by rule.
    derivations: dict[tuple[str, tuple[str, str, str]], int] = field(
        default_factory=lambda: defaultdict(int)
    )


def read_rows(driver: Any) -> Rows:
    """Read what is held, by plain statements."""
    rows = Rows()
    names = dict(driver.rows("SELECT key, uri FROM entity"))
    kinds = dict(driver.rows("SELECT id, text FROM term"))
    sources = dict(driver.rows("SELECT id, source FROM document"))
    for src, kind, dst, document, since, until, layer, said in driver.rows(
        "SELECT src, kind, dst, document, valid_from, valid_to, layer, attributes FROM edge_out"
        " WHERE t_to IS NULL"
    ):
        edge = (names[src], kinds[kind], names[dst])
        told = json.loads(said or "{}")
        rows.held[edge].append((since, until, LAYERS[layer], sources[document], told))
    for key, body in driver.rows("SELECT key, body FROM record WHERE t_to IS NULL"):
        rows.said[names[key]].update(json.loads(body) or {})
    for src, kind, dst, document in driver.rows(
        "SELECT src, kind, dst, document FROM derivation WHERE t_to IS NULL"
    ):
        edge = (names[src], kinds[kind], names[dst])
        rows.derivations[sources[document], edge] += 1
    for uri, instant in driver.rows(
        "SELECT entity.uri, tx.instant FROM entity JOIN tx ON tx.t = entity.t_from"
    ):
        rows.heard[uri] = instant
    return rows


class Reference:
    """Concludes one pattern after another, each over what those before it gave."""

    def __init__(self, rows: Rows, natures: Callable[[str, str, str], str]) -> None:
        self._rows, self._natures = rows, natures
        self._said_edges = {
            edge: [one for one in claims if not one[3].startswith("rule:")]
            for edge, claims in rows.held.items()
        }
        self._given: dict[tuple[str, str, str], Span] = {}
        self._group = self._groups()

    def conclude(self, pattern: Pattern) -> Found:
        """Return what follows by a pattern: edges, when they are so, and by how many ways."""
        found: dict[tuple[str, str, str], set[tuple[Any, ...]]] = defaultdict(set)
        spans: dict[tuple[str, str, str], list[Span]] = defaultdict(list)
        for uri in sorted(self._rows.heard):
            if type_of(uri) not in pattern.types:
                continue
            for things, edges, since, until in self._ways(pattern.hops, uri):
                if pattern.where is not None and not pattern.where(things, self._seen(things)):
                    continue
                if any(self._is_there(absent, things) for absent in pattern.unless):
                    continue
                start, end = (things[at] for at in pattern.ends)
                if start == end:
                    continue
                edge = (start, pattern.gives, end)
                if edges not in found[edge]:
                    found[edge].add(edges)
                    spans[edge].append((since, until))
        told = {}
        for edge, some in spans.items():
            ends = [until for _, until in some if until is not None]
            last = max(ends) if len(ends) == len(some) else None
            told[edge] = ((min(since for since, _ in some), last), len(found[edge]))
        return told

    def add(self, found: Found) -> None:
        """Count what a pattern gave among the edges for those that come after."""
        for edge, (span, _) in found.items():
            known = self._given.get(edge)
            self._given[edge] = span if known is None else hull(known, span)

    # ── Ways ─────────────────────────────────────────────────────────────────────────────────

    def _ways(
        self, hops: Sequence[Hop], start: str
    ) -> Iterator[tuple[tuple[str, ...], tuple[Any, ...], int, int | None]]:
        waiting: list[tuple[tuple[str, ...], tuple[Any, ...], int, int | None]] = [
            ((start,), (), ALWAYS, None)
        ]
        for place, hop in enumerate(hops):
            waiting = [
                ((*things, other), edges_, since_, until_)
                for things, edges, since, until in waiting
                for other, edges_, since_, until_ in self._over(
                    hop, things[-1], edges, (since, until), first=place == 0
                )
                if type_of(other) in hop.types
            ]
        yield from waiting

    def _over(
        self, hop: Hop, at: str, edges: tuple[Any, ...], span: Span, *, first: bool
    ) -> Iterator[tuple[str, tuple[Any, ...], int, int | None]]:
        if hop.equal is not None:
            yield from self._equal(hop.equal, at, edges, span)
            return
        if hop.least == 0:
            yield at, edges, *span
        heads = [(at, edges, span)]
        for step in range(1, hop.most + 1):
            onward = []
            for here, gone, (since, until) in heads:
                names = {here} if first and step == 1 else self._group.get(here, {here})
                for edge, (begun, ended) in self._edges(hop):
                    near, far = (edge[0], edge[2]) if hop.forward else (edge[2], edge[0])
                    if near not in names or edge in gone:
                        continue
                    start = max(since, begun)
                    end = min((one for one in (until, ended) if one is not None), default=None)
                    if end is None or start < end:
                        onward.append((far, (*gone, edge), (start, end)))
            heads = onward
            if step >= hop.least:
                for far, gone, reached in heads:
                    yield far, gone, *reached

    def _edges(self, hop: Hop) -> Iterator[tuple[tuple[str, str, str], Span]]:
        """Yield the edges of these kinds that are believed, over all the time of their claims."""
        for edge in {*self._said_edges, *self._given}:
            if edge[1] not in hop.kinds:
                continue
            spans = [
                (since, until)
                for since, until, layer, _, said in self._said_edges.get(edge, ())
                if layer in hop.layers and (hop.fits is None or hop.fits(said))
            ]
            given = edge in self._given and "inferred" in hop.layers
            if given and (hop.fits is None or hop.fits({})):
                spans.append(self._given[edge])
            if not spans:
                continue
            whole = spans[0]
            for span in spans[1:]:
                whole = hull(whole, span)
            if self._natures(edge[1], type_of(edge[0]), type_of(edge[2])) == "event":
                whole = (whole[0], None)
            yield edge, whole

    def _equal(
        self, names: tuple[str, str], at: str, edges: tuple[Any, ...], span: Span
    ) -> Iterator[tuple[str, tuple[Any, ...], int, int | None]]:
        mine = self._rows.said.get(at, {}).get(names[0])
        for other, said in self._rows.said.items():
            if mine is not None and other != at and said.get(names[1]) == mine:
                since = max(span[0], self._rows.heard[at], self._rows.heard[other])
                yield other, (*edges, (at, names, other)), since, span[1]

    def _is_there(self, absent: Absent, things: Sequence[str]) -> bool:
        """Is there such a path, whenever its edges are so?"""
        if absent.types is not None and type_of(things[absent.place]) not in absent.types:
            return False
        at = {things[absent.place]}
        for hop in absent.hops:
            reached = set[str]()
            heads = set(at)
            if hop.least == 0:
                reached |= heads
            for step in range(1, hop.most + 1):
                names = {name for one in heads for name in self._group.get(one, {one})}
                heads = {
                    edge[2] if hop.forward else edge[0]
                    for edge, _ in self._edges(hop)
                    if (edge[0] if hop.forward else edge[2]) in names
                }
                if step >= hop.least:
                    reached |= heads
            at = {one for one in reached if type_of(one) in hop.types}
        if absent.other is not None:
            return bool(at - self._names(things[absent.other]))
        if absent.end is not None:
            return bool(at & self._names(things[absent.end]))
        return bool(at)

    def _names(self, thing: str) -> set[str]:
        return self._group.get(thing, {thing})

    # ── Names ────────────────────────────────────────────────────────────────────────────────

    def _groups(self) -> dict[str, set[str]]:
        apart = {
            frozenset(e[::2])
            for e, claims in self._rows.held.items()
            if e[1] == "not_same_as" and claims
        }
        group: dict[str, set[str]] = {}
        for edge, claims in self._rows.held.items():
            if edge[1] != "same_as" or not claims or frozenset(edge[::2]) in apart:
                continue
            one = group.get(edge[0], {edge[0]}) | group.get(edge[2], {edge[2]})
            for name in one:
                group[name] = one
        return group

    def _seen(self, things: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return what is said of things under all their names, first under their own."""
        found = {}
        for thing in things:
            said: dict[str, Any] = {}
            for name in sorted(self._group.get(thing, {thing}) - {thing}, reverse=True):
                said.update(self._rows.said.get(name, {}))
            found[thing] = {**said, **self._rows.said.get(thing, {})}
        return found


def hull(one: Span, other: Span) -> Span:
    ends = None if one[1] is None or other[1] is None else max(one[1], other[1])
    return min(one[0], other[0]), ends


def type_of(uri: str) -> str:
    return uri.split("/")[2]

"""Everything that can be read, at one basis and one moment, in one snapshot.

Each query is named for what it answers. A row is read when we held it at the asked ``t`` (or had
ended it without calling it wrong) and it was so at the asked instant; every query says so.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from lineal.lineage import Link
from lineal.model import (
    Claim,
    Entity,
    Instant,
    Json,
    Layer,
    Said,
    State,
    Uri,
    Viewer,
)
from lineal.store import observed, schema, text
from lineal.store.basis import Basis
from lineal.store.facts import TOMBSTONE, response_of, supports_of, together
from lineal.store.slices import SLICE, slices
from lineal.store.text import Wanted


@dataclass(frozen=True, slots=True)
class Derived:
    """One way in which a rule concluded an edge: the edges it rests on, and the reason in words."""

    source: str
    version: str
    why: str
    supports: tuple[tuple[int, str, int], ...]


class Reader:
    """What was so at one moment, as we knew it at another."""

    def __init__(self, connection: sa.Connection, viewer: Viewer, basis: Basis) -> None:
        if not isinstance(viewer, Viewer):
            raise TypeError("Nothing is read without a viewer.")
        self._connection = connection
        self.viewer = viewer
        self.basis = basis
        self._uris: dict[int, Uri] = {}
        self._registered: dict[tuple[str, str], str] | None = None

    def _alive(self, table: sa.Table) -> sa.ColumnElement[bool]:
        """The rows that were so at the moment; the basis is part of every query of facts."""
        t, valid_at = self.basis.t, self.basis.valid_at
        row = table.c
        held = sa.or_(row.t_to.is_(None), row.t_to > t)
        stayed = sa.and_(row.reason != "corrected", row.ended_at > valid_at)
        return sa.and_(
            row.t_from <= t,
            row.valid_from <= valid_at,
            sa.or_(row.valid_to.is_(None), row.valid_to > valid_at),
            sa.or_(held, stayed),
        )

    # ── Names ────────────────────────────────────────────────────────────────────────────────

    def keys(self, uris: Iterable[Uri]) -> dict[Uri, int]:
        """Which of these are known, and under which key?"""
        found: dict[Uri, int] = {}
        for some in slices(uris):
            query = sa.select(schema.uri.c.uri, schema.uri.c.key).where(schema.uri.c.uri.in_(some))
            found.update((Uri(row.uri), row.key) for row in self._connection.execute(query))
        for uri, key in found.items():
            self._uris[key] = uri
        return found

    def uris(self, keys: Iterable[int]) -> dict[int, Uri]:
        """What are the URIs of these keys?"""
        wanted = set(keys)
        table = schema.entity
        for some in slices(wanted - self._uris.keys()):
            query = sa.select(table.c.key, table.c.uri).where(table.c.key.in_(some))
            for row in self._connection.execute(query):
                self._uris[row.key] = str.__new__(Uri, row.uri)
        return {key: self._uris[key] for key in wanted}

    def known(self, keys: Iterable[int]) -> set[int]:
        """Which of these did we know of by then?"""
        table, found = schema.entity, set[int]()
        for some in slices(keys):
            query = sa.select(table.c.key).where(
                table.c.key.in_(some), table.c.t_from <= self.basis.t
            )
            found.update(self._connection.scalars(query))
        return found

    def first_recorded(self, key: int) -> tuple[int, Instant]:
        """In which transaction, and when, was this thing first spoken of?"""
        return observed.first_recorded(self._connection, key)

    def alike(self, uri: Uri, limit: int = 3) -> tuple[Uri, ...]:
        """Which known URIs of the same type end like this one?"""
        table, folded = schema.search_name, uri.name.casefold()
        query = (
            sa.select(schema.entity.c.uri)
            .join(table, table.c.key == schema.entity.c.key)
            .where(schema.entity.c.type == uri.type, schema.entity.c.t_from <= self.basis.t)
            .where(table.c.folded >= folded[:3], table.c.folded < folded[:3] + "\U0010ffff")
            .order_by(table.c.folded)
            .limit(200)
        )
        names = [Uri(text) for text in self._connection.scalars(query)]
        return tuple(_nearest(uri, names, limit))

    def of_types(self, types: Collection[str]) -> list[int]:
        """Which things of these types did we know by then?"""
        table = schema.entity
        query = sa.select(table.c.key).where(
            table.c.type.in_(sorted(types)), table.c.t_from <= self.basis.t
        )
        return list(self._connection.scalars(query.order_by(table.c.key)))

    def counts(self) -> dict[str, int]:
        """How many things of each type did we know by then?"""
        table = schema.entity
        query = sa.select(table.c.type, sa.func.count()).where(table.c.t_from <= self.basis.t)
        return {row[0]: row[1] for row in self._connection.execute(query.group_by(table.c.type))}

    # ── Links ────────────────────────────────────────────────────────────────────────────────

    def outward(self, keys: Iterable[int], kinds: Collection[str]) -> list[Link]:
        """Which edges of these kinds begin at these things?"""
        return self._links(schema.edge_out, schema.edge_out.c.src, keys, kinds)

    def inward(self, keys: Iterable[int], kinds: Collection[str]) -> list[Link]:
        """Which edges of these kinds end at these things?"""
        return self._links(schema.edge_in, schema.edge_in.c.dst, keys, kinds)

    def _links(
        self, table: sa.Table, end: sa.Column[Any], keys: Iterable[int], kinds: Collection[str]
    ) -> list[Link]:
        row = table.c
        found: list[Link] = []
        for some in slices(keys):
            query = (
                sa.select(
                    row.src,
                    row.kind,
                    row.dst,
                    row.layer,
                    row.document,
                    row.valid_from,
                    row.valid_to,
                )
                .where(end.in_(some), row.kind.in_(sorted(kinds)), self._alive(table))
                .order_by(end, row.kind, row.src, row.dst, row.document)
            )
            found.extend(Link(*line) for line in self._connection.execute(query))
        return found

    def groups(self, keys: Collection[int]) -> dict[int, frozenset[int]]:
        """Which things are the same thing under other names? Every key has at least itself."""
        joined: dict[int, set[int]] = {key: {key} for key in keys}
        frontier: set[int] = set(keys)
        while frontier:
            links = self.outward(frontier, ("same_as",)) + self.inward(frontier, ("same_as",))
            frontier = set()
            for link in links:
                frontier |= {link.src, link.dst} - joined.keys()
                _join(joined, link.src, link.dst)
        frozen = {id(group): frozenset(group) for group in joined.values()}
        return {key: frozen[id(joined[key])] for key in joined}

    def fine_documents(self, documents: Iterable[int]) -> set[int]:
        """Which of these documents state edges of columns or features?"""
        table = schema.document
        found: set[int] = set()
        for some in slices(documents):
            query = sa.select(table.c.id).where(table.c.id.in_(some), table.c.fine)
            found.update(self._connection.scalars(query))
        return found

    # ── Search ───────────────────────────────────────────────────────────────────────────────

    def candidates(self, wanted: Wanted) -> list[tuple[int, int]]:
        """What fits a search, and how well? Text is of now."""
        return text.candidates(self._connection, wanted)

    def facet_counts(self, keys: Sequence[int], names: Sequence[str]) -> dict[str, dict[str, int]]:
        """How many of these have which value of these facets? Of now."""
        return text.facet_counts(self._connection, keys, names)

    def people_called(self, name: str) -> set[int]:
        """Which people and teams have this name, id or e-mail address?"""
        table, entity = schema.search_name, schema.entity
        folded = name.casefold().removeprefix("team-")
        named = sa.select(table.c.key).where(table.c.folded.in_((name.casefold(), folded)))
        query = sa.select(entity.c.key, entity.c.uri).where(entity.c.type.in_(("user", "team")))
        found = set(
            self._connection.scalars(
                sa.select(entity.c.key).where(
                    entity.c.key.in_(named), entity.c.type.in_(("user", "team"))
                )
            )
        )
        for suffix in {name, folded}:
            ends = query.where(entity.c.uri.endswith("/" + suffix, autoescape=True))
            found |= {row.key for row in self._connection.execute(ends)}
        if name.startswith("mlg://"):
            found |= set(self.keys([Uri(name)]).values())
        return found

    def described_by(self, sources: Collection[str]) -> set[int]:
        """Which things do these sources describe?"""
        table, document = schema.record, schema.document
        query = (
            sa.select(table.c.key)
            .join(document, document.c.id == table.c.document)
            .where(document.c.source.in_(sorted(sources)), self._alive(table))
        )
        return set(self._connection.scalars(query))

    # ── What is said ─────────────────────────────────────────────────────────────────────────

    def said(self, keys: Iterable[int]) -> dict[int, list[Said]]:
        """What does each document say of these things?"""
        table = schema.record
        found: dict[int, list[Said]] = defaultdict(list)
        for some in slices(keys):
            query = _with_document(table).where(
                table.c.key.in_(some), table.c.body != TOMBSTONE, self._alive(table)
            )
            for row in self._connection.execute(query):
                found[row.key].append(_said(row, self.basis.t))
        return found

    def attributes(self, keys: Iterable[int]) -> dict[int, dict[str, Json]]:
        """What do all sources together say of these things, the strongest word first?"""
        wanted = list(keys)
        uris, said = self.uris(wanted), self.said(wanted)
        return {
            key: together(one.attributes for one in self._ranked(uris[key], said.get(key, ())))
            for key in wanted
        }

    def _ranked(self, uri: Uri, said: Sequence[Said]) -> list[Said]:
        """
        Order words by strength: registered source, later valid time, then the source's name.

        The last is of two words of one document that overlap: the later recorded counts.
        """
        first = self.registered().get((uri.type, uri.platform))
        return sorted(
            said,
            key=lambda one: (
                one.source != first,
                -one.valid_from,
                one.source,
                one.document,
                -one.t_from,
            ),
        )

    def registered(self) -> Mapping[tuple[str, str], str]:
        """Which source is registered to describe which type on which platform?"""
        if self._registered is None:
            rows = self._connection.execute(sa.select(schema.registered))
            self._registered = {(row.type, row.platform): row.source for row in rows}
        return self._registered

    def entities(self, keys: Iterable[int]) -> dict[int, Entity]:
        """What are these things, as all their sources together say?"""
        wanted = sorted(set(keys))
        uris, said = self.uris(wanted), self.said(wanted)
        confirmed, absent = self._confirmed(wanted), self._absent(wanted)
        silent = [key for key in wanted if key not in said and key not in absent]
        unobserved = observed.unobserved(self._connection, self.basis, silent)
        found: dict[int, Entity] = {}
        for key in wanted:
            ranked = self._ranked(uris[key], said.get(key, ()))
            state = State.HYDRATED if ranked else absent.get(key, State.REFERENCED)
            if self._withdrawn(uris[key], ranked, absent.get(key)):
                state = State.DELETED
            if key in unobserved:
                state = State.NOT_OBSERVED
            at, failing = confirmed.get(key, (None, False))
            if state is State.HYDRATED and failing:
                state = State.STALE
            attributes = together(one.attributes for one in ranked)
            found[key] = Entity(uris[key], state, attributes, tuple(ranked), (), at)
        return found

    def _withdrawn(self, uri: Uri, ranked: Sequence[Said], absent: State | None) -> bool:
        """The source registered for a platform has the last word on what exists there."""
        first = self.registered().get((uri.type, uri.platform))
        if absent is not State.DELETED or first is None:
            return False
        return all(one.source != first for one in ranked)

    def _absent(self, keys: Collection[int]) -> dict[int, State]:
        """Which of these did a source withdraw (deleted), or never have (missing)?"""
        found: dict[int, State] = {}
        table = schema.record
        for some in slices(keys):
            stones = sa.select(table.c.key).where(
                table.c.key.in_(some), table.c.body == TOMBSTONE, self._alive(table)
            )
            found.update((key, State.MISSING) for key in self._connection.scalars(stones))
            ended = sa.select(table.c.key).where(
                table.c.key.in_(some),
                table.c.body != TOMBSTONE,
                table.c.reason.in_(("deleted", "removed")),
                table.c.t_to <= self.basis.t,
                table.c.ended_at <= self.basis.valid_at,
            )
            found.update((key, State.DELETED) for key in self._connection.scalars(ended))
        return found

    def last_words(self, keys: Iterable[int]) -> dict[int, dict[str, Json]]:
        """What was last said of things that are gone?"""
        table, found = schema.record, dict[int, dict[str, Json]]()
        for some in slices(keys):
            query = (
                sa.select(table.c.key, table.c.body)
                .where(table.c.key.in_(some), table.c.body != TOMBSTONE)
                .where(table.c.t_from <= self.basis.t, table.c.reason != "corrected")
                .order_by(table.c.t_to, table.c.document)
            )
            for key, body in self._connection.execute(query):
                found[key] = msgspec.json.decode(body)
        return found

    def _confirmed(self, keys: Collection[int]) -> dict[int, tuple[Instant | None, bool]]:
        """
        When did a source last confirm these, and is asking it failing now?

        What is confirmed and what fails is of now. About the past: when their words, as known by
        then, were last recorded; that never changes.
        """
        if not self.basis.is_now:
            recorded = observed.last_recorded(self._connection, keys, self._alive(schema.record))
            return {key: (at, False) for key, at in recorded.items()}
        watch, document, record = schema.watch, schema.document, schema.record
        same = sa.and_(watch.c.source == document.c.source, watch.c.document == document.c.name)
        said = record.join(document, document.c.id == record.c.document).join(watch, same)
        about = document.join(watch, same)
        found: dict[int, tuple[Instant | None, bool]] = {}
        for some in slices(keys):
            for key, tables in ((document.c.subject, about), (record.c.key, said)):
                query = sa.select(key, watch.c.confirmed_at, watch.c.error).select_from(tables)
                if key is record.c.key:
                    query = query.where(self._alive(record))
                query = query.order_by(key, document.c.source, document.c.name)
                for line in self._connection.execute(query.where(key.in_(some))):
                    found[line[0]] = (line[1], line[2] is not None)
        return found

    # ── Why and since when ───────────────────────────────────────────────────────────────────

    def claims(
        self, edges: Collection[tuple[int, str, int]]
    ) -> dict[tuple[int, str, int], list[Claim]]:
        """Who says that these edges are so?"""
        return self._claims(edges, self._alive(schema.edge_out))

    def claim_history(self, key: int) -> dict[tuple[int, str, int], list[Claim]]:
        """Which edges did this thing ever have, living and ended, as known by then?"""
        found: dict[tuple[int, str, int], list[Claim]] = defaultdict(list)
        row = schema.edge_out.c
        ends = {(key, link.kind, link.dst) for link in self._ever(schema.edge_out, row.src, key)}
        ends |= {
            (link.src, link.kind, key)
            for link in self._ever(schema.edge_in, schema.edge_in.c.dst, key)
        }
        found.update(self._claims(ends, schema.edge_out.c.t_from <= self.basis.t))
        return found

    def _ever(self, table: sa.Table, end: sa.Column[Any], key: int) -> list[Any]:
        query = sa.select(table.c.src, table.c.kind, table.c.dst).distinct()
        return list(
            self._connection.execute(query.where(end == key, table.c.t_from <= self.basis.t))
        )

    def _claims(
        self, edges: Collection[tuple[int, str, int]], condition: sa.ColumnElement[bool]
    ) -> dict[tuple[int, str, int], list[Claim]]:
        found: dict[tuple[int, str, int], list[Claim]] = defaultdict(list)
        row, wanted = schema.edge_out.c, set(edges)
        kinds = sorted({kind for _, kind, _ in wanted})
        for some in slices(src for src, _, _ in wanted):
            own = set(some)
            targets = {dst for src, _, dst in wanted if src in own}
            query = _with_document(schema.edge_out).where(
                row.src.in_(some), row.kind.in_(kinds), condition
            )
            if len(targets) <= SLICE:
                query = query.where(row.dst.in_(sorted(targets)))
            for line in self._connection.execute(query):
                name = (line.src, line.kind, line.dst)
                if name in wanted:
                    found[name].append(self._claim(line))
        for claims in found.values():
            claims.sort(key=lambda claim: (claim.source, claim.document, -claim.t_from))
        return found

    def _claim(self, line: Any) -> Claim:
        known = line.t_to is not None and line.t_to <= self.basis.t
        return Claim(
            line.source,
            line.name,
            Layer(line.layer),
            line.t_from,
            line.t_to if known else None,
            line.valid_from,
            _until(line, known),
            bool(line.valid_said),
            msgspec.json.decode(line.attributes),
            line.reason if known else None,
        )

    def responses(self, edge: tuple[int, str, int]) -> list[tuple[Claim, Any]]:
        """Which answers of sources does an edge rest on?"""
        row = schema.edge_out.c
        query = (
            _with_document(schema.edge_out)
            .where(
                row.src == edge[0],
                row.kind == edge[1],
                row.dst == edge[2],
                self._alive(schema.edge_out),
            )
            .order_by(schema.document.c.source, schema.document.c.name, row.t_from.desc())
        )
        return [
            (self._claim(line), response_of(line.response))
            for line in self._connection.execute(query)
        ]

    def derivations(self, edge: tuple[int, str, int]) -> list[Derived]:
        """Which rules concluded this edge, from which supporting edges?"""
        table, document = schema.derivation, schema.document
        query = (
            sa.select(document.c.source, document.c.name, table.c.why, table.c.supports)
            .join(table, document.c.id == table.c.document)
            .where(table.c.src == edge[0], table.c.kind == edge[1], table.c.dst == edge[2])
            .where(self._alive(table))
            .order_by(document.c.source, table.c.digest)
        )
        return [
            Derived(source, version, why, tuple(supports_of(kept)))
            for source, version, why, kept in self._connection.execute(query)
        ]

    def record_history(self, key: int) -> list[Said]:
        """What did each document ever say of this thing, as known by then, oldest first?"""
        table = schema.record
        query = (
            _with_document(table)
            .where(table.c.key == key, table.c.t_from <= self.basis.t)
            .where(table.c.body != TOMBSTONE)
            .order_by(table.c.t_from, schema.document.c.source, schema.document.c.name)
        )
        return [_said(row, self.basis.t) for row in self._connection.execute(query)]

    def transactions(self, ts: Iterable[int]) -> dict[int, tuple[Instant, str, str]]:
        """When, by whom and why were these transactions made?"""
        table = schema.tx
        found: dict[int, tuple[Instant, str, str]] = {}
        for some in slices(ts):
            query = sa.select(table.c.t, table.c.instant, table.c.actor, table.c.cause)
            for t, at, actor, cause in self._connection.execute(query.where(table.c.t.in_(some))):
                found[t] = (at, actor, cause)
        return found


def _with_document(table: sa.Table) -> sa.Select[Any]:
    document = schema.document
    return sa.select(table, document.c.source, document.c.name).join(
        document, document.c.id == table.c.document
    )


def _until(line: Any, known: bool) -> Instant | None:
    if not known or line.ended_at is None:
        return None if line.valid_to is None else int(line.valid_to)
    ends = [int(at) for at in (line.valid_to, line.ended_at) if at is not None]
    return min(ends)


def _said(line: Any, t: int) -> Said:
    known = line.t_to is not None and line.t_to <= t
    return Said(
        line.source,
        line.name,
        msgspec.json.decode(line.body),
        line.t_from,
        line.t_to if known else None,
        line.valid_from,
        _until(line, known),
        bool(line.valid_said),
        response_of(line.response),
        line.reason if known else None,
    )


def _join(joined: dict[int, set[int]], one: int, other: int) -> None:
    """Make one group of the groups of two keys."""
    merged = joined.get(one, {one}) | joined.get(other, {other})
    for key in merged:
        joined[key] = merged


def _nearest(uri: Uri, names: Sequence[Uri], limit: int) -> list[Uri]:
    close = difflib.get_close_matches(str(uri), [str(name) for name in names], limit, cutoff=0.5)
    return [Uri(text) for text in close]

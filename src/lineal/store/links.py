"""Edges as they were so at one moment: who claims them, since when, why, and under which names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec
import sqlalchemy as sa

from lineal.lineage import IDENTITY, Joints, Link, joining
from lineal.model import (
    Claim,
    Instant,
    Json,
    Layer,
)
from lineal.store import schema
from lineal.store.facts import response_of, supports_of
from lineal.store.slices import SLICE, slices
from lineal.store.snapshots import Snapshot, alive_text, until, with_document

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def _codes(layers: Collection[str]) -> str:
    """Return layers as the numbers under which they lie."""
    return ", ".join(str(schema.LAYERS.index(name)) for name in sorted(layers)) or "NULL"


def _decoded(attributes: str | None) -> dict[str, Json]:
    return {} if attributes is None else msgspec.json.decode(attributes)


@dataclass(frozen=True, slots=True)
class Derived:
    """One way in which a rule concluded an edge: the edges it rests on, and the reason in words."""

    source: str
    version: str
    why: str
    supports: tuple[tuple[int, str, int], ...]


class _Last(NamedTuple):
    """What tells until when a claim was so."""

    valid_from: Instant
    valid_to: Instant | None
    t_to: int | None
    ended_at: Instant | None
    reason: int | None


class Links(Snapshot):
    """The edges of a snapshot, and the names that are one thing."""

    # ── Links ────────────────────────────────────────────────────────────────────────────────

    def outward(
        self, keys: Iterable[int], kinds: Collection[str], most: int | None = None
    ) -> list[Link]:
        """Which edges of these kinds begin at these things? At most *most* and one more."""
        return self._links("edge_out", "src", keys, kinds, most)

    def inward(
        self, keys: Iterable[int], kinds: Collection[str], most: int | None = None
    ) -> list[Link]:
        """Which edges of these kinds end at these things? At most *most* and one more."""
        return self._links("edge_in", "dst", keys, kinds, most)

    def count_at(
        self, keys: Iterable[int], outward: Collection[str], inward: Collection[str]
    ) -> int:
        """How many claims of edges begin or end at these things, by these kinds?"""
        found = 0
        sides = (
            (schema.edge_out, schema.edge_out.c.src, outward),
            (schema.edge_in, schema.edge_in.c.dst, inward),
        )
        for table, end, kinds in sides:
            numbers = self.kinds(kinds)
            for some in slices(keys) if numbers else ():
                query = sa.select(sa.func.count()).where(
                    end.in_(some), table.c.kind.in_(numbers), self._believed(table)
                )
                found += self._counted(query)
        return found

    def _believed(self, table: sa.Table) -> sa.ColumnElement[bool]:
        """The rows that were so at the moment, of the layers that are read."""
        if self.layers is None:
            return self._alive(table)
        return sa.and_(self._alive(table), table.c.layer.in_(sorted(self.layers)))

    def _links(
        self, table: str, end: str, keys: Iterable[int], kinds: Collection[str], most: int | None
    ) -> list[Link]:
        wanted, found = list(slices(keys)), list[Link]()
        numbers = self.kinds(kinds) if wanted else []
        if not numbers:
            return found
        layers = "" if self.layers is None else f" AND layer IN ({_codes(self.layers)})"
        text = (
            f"SELECT src, kind, dst, layer, document, valid_from, valid_to FROM {table}"
            f" WHERE {alive_text(table)}{layers} AND kind IN ({', '.join(map(str, numbers))})"
            f" AND {end} {{among}} ORDER BY {end}, kind, src, dst, document"
        )
        for some in wanted:
            left = None if most is None else most + 1 - len(found)
            rows = self._driver.some(text, some, *self._when, most=left)
            found += [
                Link(src, self.kind(kind), dst, schema.LAYERS[layer], document, since, ends)
                for src, kind, dst, layer, document, since, ends in rows
            ]
            if most is not None and len(found) > most:
                break
        return found

    def said_of_edges(self, keys: Iterable[int], kind: str) -> list[tuple[int, dict[str, Json]]]:
        """What is said of each claim of an edge of this kind that begins at one of these things?"""
        found = list[tuple[int, dict[str, Json]]]()
        layers = "" if self.layers is None else f" AND layer IN ({_codes(self.layers)})"
        for number in self.kinds((kind,)):
            text = (
                f"SELECT src, attributes FROM edge_out WHERE {alive_text('edge_out')}{layers}"
                f" AND kind = {number} AND src {{among}}"
            )
            for some in slices(keys):
                rows = self._driver.some(text, some, *self._when)
                found += [(src, _decoded(body)) for src, body in rows]
        return found

    # ── What rules look at ───────────────────────────────────────────────────────────────────

    def claimed(
        self,
        kind: str,
        keys: Collection[int],
        *,
        outward: bool,
        layers: Collection[str],
        fits: Callable[[str, Mapping[str, Json]], bool] | None = None,
    ) -> list[tuple[int, int, Instant, Instant | None]]:
        """
        Which edges of a kind and of these layers begin (or end) at these things, as held now?

        As (start, end, since, until), whenever that is; several claims of one edge count once,
        over all the time that any of them covers. With *fits* only those claims count of which it
        says so, by their layer and what they say of the edge.
        """
        numbers = self.kinds((kind,))
        if not numbers or not keys:
            return []
        text = _CLAIMED[outward] if fits is None else _SAYING[outward]
        found: dict[tuple[int, int], tuple[Instant, Instant | None]] = {}
        codes = {schema.LAYERS.index(layer) for layer in layers}
        for src, dst, layer, since, ends, *said in self._driver.among(text, keys, *numbers):
            if layer in codes and (fits is None or fits(schema.LAYERS[layer], _decoded(*said))):
                known = found.get((src, dst))
                found[src, dst] = (since, ends) if known is None else _hull(known, (since, ends))
        for link in self._without:
            if link.kind == kind:
                found.pop((link.src, link.dst), None)
        for link in self._supposed:
            near = link.src if outward else link.dst
            if link.kind != kind or link.layer not in layers or near not in keys:
                continue
            if fits is None or fits(link.layer, {}):
                found[link.src, link.dst] = (link.valid_from, link.valid_to)
        return [(*ends, *span) for ends, span in found.items()]

    @property
    def supposes(self) -> bool:
        """Is this a reader for a preview, to whom claims are held that are not, or the reverse?"""
        return bool(self._supposed or self._without)

    def arrows(
        self, kind: str, keys: NDArray[np.int64], *, outward: bool, layers: Collection[str]
    ) -> NDArray[np.int64]:
        """
        Which edges of a kind and of these layers lead from (or to) these things, as held now?

        In rows of near end, far end, since and until (`NEVER` where it is not over), each claim
        one. As `claimed`, for very many things; nothing is supposed.
        """
        # NumPy is imported where there is much to read.
        from lineal.store import arrows  # noqa: PLC0415

        codes = _codes(layers)
        return arrows.arrows(self._driver, self.kinds((kind,)), keys, codes, outward=outward)

    def only(self, keys: Collection[int], types: Collection[str]) -> list[int]:
        """Which of these things are of one of these types?"""
        if not keys or not types:
            return []
        marks = ", ".join("?" * len(types))
        text = f"SELECT key FROM entity WHERE type IN ({marks}) AND key {{among}}"
        return [key for (key,) in self._driver.among(text, keys, *types)]

    def are(self, keys: NDArray[np.int64], types: frozenset[str]) -> NDArray[np.bool_]:
        """Which of these things are of one of these types? As `only`, for very many, sorted."""
        known = self._of_types.get(types)
        if known is None:
            from lineal.store import arrows  # noqa: PLC0415

            known = self._of_types[types] = arrows.OfTypes(self._driver, self.only, types)
        return known.are(keys)

    def claimed_page(
        self, kind: str, keys: Collection[int], *, outward: bool, after: int, most: int
    ) -> list[int]:
        """Which things come next, by key, at the other ends of such edges? At most *most*."""
        numbers = self.kinds((kind,))
        if not numbers or not keys:
            return []
        other, end, table = ("dst", "src", "edge_out") if outward else ("src", "dst", "edge_in")
        rows = self._driver.among(
            f"SELECT DISTINCT {other} FROM {table} WHERE kind = ? AND t_to IS NULL AND {other} > ?"
            f" AND {end} {{among}} ORDER BY {other} LIMIT {most}",
            keys, *numbers, after,
        )  # fmt: skip
        supposed = {
            link.dst if outward else link.src
            for link in self._supposed
            if link.kind == kind and (link.src if outward else link.dst) in keys
        }
        near = {row[0] for row in rows} | {key for key in supposed if key > after}
        return sorted(near)[:most]

    # ── One thing under several names ────────────────────────────────────────────────────────

    def held(self, keys: Iterable[int], kinds: Collection[str]) -> list[Link]:
        """Which claims of these kinds, at either end of these things, did we hold by then?

        Whenever what they say was so: with today's knowledge, names that are one always were.
        """
        found: set[Link] = set()
        wanted, driver = set(keys), self._driver
        numbers = self.kinds(kinds) if wanted else []
        for number in numbers:
            for query in (_HELD_OUT, _HELD_IN):
                rows = driver.among(query, wanted, number, self.basis.t, self.basis.t)
                for src, dst, layer, document, valid_from, valid_to in rows:
                    word, name = self.kind(number), schema.LAYERS[layer]
                    found.add(Link(src, word, dst, name, document, valid_from, valid_to))
        found -= self._without
        supposed = (one for one in self._supposed if one.kind in kinds)
        found.update(one for one in supposed if one.src in wanted or one.dst in wanted)
        return sorted(found, key=lambda one: (one.src, one.kind, one.dst, one.document))

    def supposing(self, links: Iterable[Link], without: Iterable[Link] = ()) -> Self:
        """Return a reader to whom these claims are held too, or not held: for previews."""
        other = type(self)(self._connection, self.viewer, self.basis, self._terms, meter=self.meter)
        other._supposed = (*self._supposed, *links)
        other._without = self._without | frozenset(without)
        return other

    def joins(self, keys: Iterable[int]) -> list[Link]:
        """Which claims join these things to other names of them, and those to others again?"""
        if not self._supposed and not self.kinds(IDENTITY):
            # Nothing was ever said to be one with another.
            return []
        seen = set(keys)
        frontier, found = set(seen), set[Link]()
        while frontier:
            links = joining(self.held(frontier, IDENTITY))
            found.update(links)
            frontier = {end for link in links for end in (link.src, link.dst)} - seen
            seen |= frontier
        return sorted(found, key=lambda one: (one.src, one.dst, one.document))

    def groups(self, keys: Collection[int]) -> dict[int, frozenset[int]]:
        """Which things are the same thing under other names? Every key has at least itself."""
        links = self.joins(keys)
        joints = Joints(links, self.uris({end for one in links for end in (one.src, one.dst)}))
        return {key: joints.group(key) for key in keys}

    def claims_held(
        self, edges: Collection[tuple[int, str, int]]
    ) -> dict[tuple[int, str, int], list[Claim]]:
        """Who said by then that these edges are so, whenever they were?"""
        row, t = schema.edge_out.c, self.basis.t
        return self._claims(
            edges, sa.and_(row.t_from <= t, sa.or_(row.t_to.is_(None), row.t_to > t))
        )

    def newest(self, types: Collection[str], limit: int) -> list[int]:
        """Which things of these types came last?"""
        table = schema.entity
        query = sa.select(table.c.key).where(
            table.c.type.in_(sorted(types)), table.c.t_from <= self.basis.t
        )
        return list(self._connection.scalars(query.order_by(table.c.key.desc()).limit(limit)))

    def documents_of(self, source: str) -> set[int]:
        """Which documents are of this source, or rule (``rule:<name>``)?"""
        table = schema.document
        query = sa.select(table.c.id).where(table.c.source == source)
        return set(self._connection.scalars(query))

    def fine_documents(self, documents: Iterable[int]) -> set[int]:
        """Which of these documents state edges of columns or features?"""
        text, found = "SELECT id FROM document WHERE fine AND id {among}", set[int]()
        for some in slices(documents):
            found.update(number for (number,) in self._driver.among(text, some))
        return found

    # ── Why and since when ───────────────────────────────────────────────────────────────────

    def claims(
        self, edges: Collection[tuple[int, str, int]]
    ) -> dict[tuple[int, str, int], list[Claim]]:
        """Who says that these edges are so?"""
        return self._claims(edges, self._alive(schema.edge_out))

    def claim_history(
        self, key: int, most: int
    ) -> tuple[dict[tuple[int, str, int], list[Claim]], bool]:
        """
        Which edges did this thing ever have, living and ended, as known by then?

        At most *most* of them at either end; whether there are more is the second value.
        """
        found: dict[tuple[int, str, int], list[Claim]] = defaultdict(list)
        begun = self._ever(schema.edge_out, schema.edge_out.c.src, key, most)
        ended = self._ever(schema.edge_in, schema.edge_in.c.dst, key, most)
        ends = {(key, self.kind(link.kind), link.dst) for link in begun[:most]}
        ends |= {(link.src, self.kind(link.kind), key) for link in ended[:most]}
        found.update(self._claims(ends, schema.edge_out.c.t_from <= self.basis.t))
        return found, len(begun) > most or len(ended) > most

    def last(
        self, keys: Iterable[int], outward: Collection[str], inward: Collection[str]
    ) -> list[tuple[int, int, Instant]]:
        """
        Until when is it known that these things had edges of these kinds, and to what?

        As (thing, other end, instant), each claim one: until it ended, as far as that is known by
        then, else since when it is so. What was only corrected never was.
        """
        found: list[tuple[int, int, Instant]] = []
        t = self.basis.t
        for outwards, kinds in ((True, outward), (False, inward)):
            numbers = self.kinds(kinds)
            text = _EVER[outwards].format(kinds=", ".join(map(str, numbers)))
            for some in slices(keys) if numbers else ():
                for key, other, *line in self._driver.some(text, some, t):
                    last = _Last(*line)
                    known = last.t_to is not None and last.t_to <= t
                    if not known or last.reason != _CORRECTED:
                        found.append((key, other, until(last, known) or last.valid_from))
        return found

    def _ever(self, table: sa.Table, end: sa.Column[Any], key: int, most: int) -> list[Any]:
        query = sa.select(table.c.src, table.c.kind, table.c.dst).distinct()
        found = self._found(query.where(end == key, table.c.t_from <= self.basis.t), most + 1)
        return list(found)

    def _claims(
        self, edges: Collection[tuple[int, str, int]], condition: sa.ColumnElement[bool]
    ) -> dict[tuple[int, str, int], list[Claim]]:
        found: dict[tuple[int, str, int], list[Claim]] = defaultdict(list)
        row, wanted = schema.edge_out.c, set(edges)
        kinds = self.kinds({kind for _, kind, _ in wanted})
        for some in slices(src for src, _, _ in wanted):
            own = set(some)
            targets = {dst for src, _, dst in wanted if src in own}
            query = with_document(schema.edge_out).where(
                row.src.in_(some), row.kind.in_(kinds), condition
            )
            if len(targets) <= SLICE:
                query = query.where(row.dst.in_(sorted(targets)))
            for line in self._found(query):
                name = (line.src, self.kind(line.kind), line.dst)
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
            until(line, known),
            bool(line.valid_said),
            _decoded(line.attributes),
            line.reason if known else None,
        )

    def responses(self, edge: tuple[int, str, int]) -> list[tuple[Claim, Any]]:
        """Which answers of sources does an edge rest on?"""
        row = schema.edge_out.c
        query = (
            with_document(schema.edge_out)
            .where(
                row.src == edge[0],
                row.kind.in_(self.kinds((edge[1],))),
                row.dst == edge[2],
                self._alive(schema.edge_out),
            )
            .order_by(schema.document.c.source, schema.document.c.name, row.t_from.desc())
        )
        return [(self._claim(line), response_of(line.response)) for line in self._found(query)]

    def derivations(self, edge: tuple[int, str, int]) -> list[Derived]:
        """Which rules concluded this edge, from which supporting edges?"""
        table, document = schema.derivation, schema.document
        query = (
            sa.select(document.c.source, document.c.name, table.c.why, table.c.supports)
            .join(table, document.c.id == table.c.document)
            .where(table.c.src == edge[0], table.c.dst == edge[2])
            .where(table.c.kind.in_(self.kinds((edge[1],))))
            .where(self._alive(table))
            .order_by(document.c.source, table.c.digest)
        )
        return [
            Derived(source, version, why, tuple(supports_of(kept)))
            for source, version, why, kept in self._found(query)
        ]

    def concluded(self, documents: Collection[int], most: int) -> list[tuple[int, str, int, str]]:
        """Which edges stand by these documents of rules, each with a reason? At most *most*."""
        row = schema.derivation.c
        edge = (row.src, row.kind, row.dst)
        query = sa.select(*edge, sa.func.min(row.why)).where(
            row.document.in_(sorted(documents)), self._alive(schema.derivation)
        )
        found = self._found(query.group_by(*edge).order_by(*edge), most)
        return [(src, self.kind(kind), dst, why) for src, kind, dst, why in found]

    def behind(self) -> tuple[int, int] | None:
        """Through which transaction have rules concluded all, and how much waits? None: all is."""
        ((pieces, since),) = self._driver.rows(_BEHIND)
        return (int(since) - 1, int(pieces)) if pieces else None

    def count_concluded(self, documents: Collection[int]) -> int:
        """How many edges stand by these documents of rules?"""
        row = schema.derivation.c
        query = sa.select(row.src, row.kind, row.dst).where(
            row.document.in_(sorted(documents)), self._alive(schema.derivation)
        )
        return self._counted(sa.select(sa.func.count()).select_from(query.distinct().subquery()))

    def transactions(self, ts: Iterable[int]) -> dict[int, tuple[Instant, str, str]]:
        """When, by whom and why were these transactions made?"""
        table = schema.tx
        found: dict[int, tuple[Instant, str, str]] = {}
        for some in slices(ts):
            query = sa.select(table.c.t, table.c.instant, table.c.actor, table.c.cause)
            for t, at, actor, cause in self._connection.execute(query.where(table.c.t.in_(some))):
                found[t] = (at, actor, cause)
        return found


def _hull(
    one: tuple[Instant, Instant | None], other: tuple[Instant, Instant | None]
) -> tuple[Instant, Instant | None]:
    """Return all the time that two claims cover, and what lies between them."""
    ends = None if one[1] is None or other[1] is None else max(one[1], other[1])
    return min(one[0], other[0]), ends


#: How much do rules have still to do, and since which transaction?
_BEHIND = "SELECT count(*), min(t) FROM rule_work WHERE error IS NULL"
#: Which claims of a kind begin, or end, at these things? By whether they begin.
_CLAIMED = {
    outward: (
        f"SELECT src, dst, layer, valid_from, valid_to FROM {table}"
        f" WHERE kind = ? AND t_to IS NULL AND {end} {{among}}"
    )
    for outward, table, end in ((True, "edge_out", "src"), (False, "edge_in", "dst"))
}
#: The same with what each says of the edge, which stands in one of its two copies.
_SAYING = {
    True: """
        SELECT src, dst, layer, valid_from, valid_to, attributes FROM edge_out
        WHERE kind = ? AND t_to IS NULL AND src {among}
    """,
    False: """
        SELECT one.src, one.dst, one.layer, one.valid_from, one.valid_to, one.attributes
        FROM edge_in AS other JOIN edge_out AS one ON one.src = other.src
            AND one.kind = other.kind AND one.dst = other.dst
            AND one.document = other.document AND one.t_from = other.t_from
        WHERE other.kind = ? AND other.t_to IS NULL AND other.dst {among}
    """,
}
#: Which claims did things ever have that begin, or end, at them? By whether they begin.
_EVER = {
    outward: (
        f"SELECT {end}, {other}, valid_from, valid_to, t_to, ended_at, reason FROM {table}"
        f" WHERE kind IN ({{kinds}}) AND t_from <= ? AND {end} {{{{among}}}}"
    )
    for outward, table, end, other in (
        (True, "edge_out", "src", "dst"), (False, "edge_in", "dst", "src"),
    )
}  # fmt: skip
_CORRECTED = schema.REASONS.index("corrected")
#: Which claims of a kind that begin, or end, at these things did we hold by then?
_HELD_OUT = """
    SELECT src, dst, layer, document, valid_from, valid_to FROM edge_out
    WHERE kind = ? AND t_from <= ? AND (t_to IS NULL OR t_to > ?) AND src {among}
"""
_HELD_IN = """
    SELECT src, dst, layer, document, valid_from, valid_to FROM edge_in
    WHERE kind = ? AND t_from <= ? AND (t_to IS NULL OR t_to > ?) AND dst {among}
"""

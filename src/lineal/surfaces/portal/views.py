"""What a page shows of an answer: grouped, in order, with its sources. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lineal.model import Entity, Instant, Json, Uri

if TYPE_CHECKING:
    from lineal.query import Arrow, Brief, Differences, Happening, Lineage, Neighbour, Node
    from lineal.query.diff import (
        AttributeChange,
        Because,
        ClaimChange,
        EdgeChange,
        NameChange,
        ThingChange,
    )
    from lineal.shapes import Shapes

#: What a thing's page shows at a place of its own, so that the relations need not.
ELSEWHERE = ("owned_by", "in_domain", "same_as", "not_same_as")

# ── Attributes ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Fact:
    """One attribute of a thing, who says so, and who says otherwise."""

    name: str
    #: One of the types of attributes; ``text`` where nothing is declared.
    type: str
    description: str
    value: Json
    sources: tuple[str, ...]
    #: Other sources, and what they say instead.
    others: tuple[tuple[str, Json], ...]


def facts(entity: Entity, shapes: Shapes) -> list[Fact]:
    """Return a thing's attributes: the declared in their order, then the others."""
    shape = shapes.types.get(entity.type)
    declared = {one.name: one for one in shape.attributes} if shape else {}
    order = {name: place for place, name in enumerate(declared)}
    names = sorted(entity.attributes, key=lambda name: (order.get(name, len(order)), name))
    found = []
    for name in names:
        value, attribute = entity.attributes[name], declared.get(name)
        agree, differ = _sources(entity, name, value)
        kind = attribute.type if attribute else "text"
        meaning = attribute.description if attribute else ""
        found.append(Fact(name, kind, meaning, value, agree, differ))
    return found


def _sources(
    entity: Entity, name: str, value: Json
) -> tuple[tuple[str, ...], tuple[tuple[str, Json], ...]]:
    said = [(one.source, one.attributes[name]) for one in entity.said if name in one.attributes]
    agree, differ = [], []
    for source, word in said:
        part = isinstance(value, list) and isinstance(word, list)
        if word == value or part:
            agree.append(source)
        else:
            differ.append((source, word))
    return tuple(dict.fromkeys(agree)), tuple(differ)


# ── Relations ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Relation:
    """All that a thing is joined to by one relation."""

    name: str
    description: str
    neighbours: tuple[Neighbour, ...]


def relations(neighbours: Iterable[Neighbour], shapes: Shapes) -> list[Relation]:
    """Group what a thing is joined to: by data and serving first, by names and people last."""
    groups: dict[str, list[Neighbour]] = defaultdict(list)
    for one in neighbours:
        groups[one.relation].append(one)
    found = []
    for name, some in groups.items():
        kind, _ = shapes.kind_of(name)
        found.append(Relation(name, kind.description, tuple(some)))
    return sorted(found, key=lambda one: (_rank(one.name, shapes), one.name))


def _rank(relation: str, shapes: Shapes) -> int:
    order = ("data", "serve", "level", "feedback", "control", "none", "identity")
    kind, _ = shapes.kind_of(relation)
    return order.index(kind.class_) if kind.class_ in order else len(order)


def joined(neighbours: Iterable[Neighbour], relation: str) -> list[Neighbour]:
    """Return what a thing is joined to by one relation."""
    return [one for one in neighbours if one.relation == relation]


def wholes(neighbours: Iterable[Neighbour], entity: Entity, shapes: Shapes) -> list[Uri]:
    """Return the wholes that a thing is a part of."""
    kinds = shapes.whole_kinds(entity.type) if entity.type in shapes.types else ()
    return [one.other.uri for one in neighbours if one.relation in kinds]


# ── Lineage ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a lineage: how far it is shown, and how much more there is."""

    #: ``up`` or ``down``, as in the address.
    name: str
    steps: int
    #: How many things are within the steps, and how many there are.
    shown: int
    total: int
    #: Steps to show, and how many things they would add; the last is all.
    offers: tuple[tuple[int | str, str, int], ...]
    #: The walk itself was cut, so that there may be still more.
    cut: bool


def side(lineage: Lineage, name: str, steps: int, *, cut: bool) -> Side:
    """Return how far one side is shown, and what more can be shown."""
    sign = -1 if name == "up" else 1
    depths = [node.depth * sign for node in lineage.nodes if node.depth * sign > 0]
    shown = sum(depth <= steps for depth in depths)
    deepest = max(depths, default=0)
    offers: list[tuple[int | str, str, int]] = []
    for more in (1, 2):
        if steps + more < deepest or (more == 1 and steps + 1 <= deepest):
            added = sum(steps < depth <= steps + more for depth in depths)
            offers.append((steps + more, f"+{more}", added))
    if deepest > steps + 1:
        offers.append(("all", "all", len(depths) - shown))
    return Side(name, min(steps, max(deepest, 1)), shown, len(depths), tuple(offers), cut)


def within(lineage: Lineage, up: int, down: int) -> list[Node]:
    """Return the things within so many steps, nearest first."""
    inside = [node for node in lineage.nodes if -up <= node.depth <= down]
    return sorted(inside, key=lambda node: (abs(node.depth), node.thing.uri))


def nearest(lineage: Lineage, many: int) -> set[Uri]:
    """Return the start and at most *many* things of each side, nearest first."""
    ordered = within(lineage, 20, 20)
    ups = [node.thing.uri for node in ordered if node.depth < 0]
    downs = [node.thing.uri for node in ordered if node.depth > 0]
    return {node.thing.uri for node in ordered if node.depth == 0} | {*ups[:many], *downs[:many]}


@dataclass(frozen=True, slots=True)
class Row:
    """A thing in the list of a lineage, with the steps that leave it."""

    node: Node
    arrows: tuple[tuple[Arrow, str, Brief | None], ...]


def rows(lineage: Lineage, nodes: Sequence[Node], labels: dict[Arrow, str]) -> list[Row]:
    """Return a lineage as a list: what is farthest upstream first."""
    briefs = {node.thing.uri: node.thing for node in lineage.nodes}
    inside = {node.thing.uri for node in nodes}
    leaving: dict[Uri, list[tuple[Arrow, str, Brief | None]]] = defaultdict(list)
    for arrow in lineage.arrows:
        if arrow.start in inside and (arrow.end in inside or arrow.feedback):
            leaving[arrow.start].append((arrow, labels[arrow], briefs.get(arrow.end)))
    ordered = sorted(nodes, key=lambda node: (node.depth, node.thing.type, node.thing.name))
    return [Row(node, tuple(leaving[node.thing.uri])) for node in ordered]


# ── History ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Turn:
    """What one transaction did to a thing."""

    t: int
    at: Instant
    actor: str
    cause: str
    happenings: tuple[Happening, ...]


def turns(happenings: Iterable[Happening]) -> list[Turn]:
    """Group what happened by transaction, newest first."""
    groups: dict[int, list[Happening]] = defaultdict(list)
    for one in happenings:
        groups[one.t].append(one)
    return [
        Turn(t, some[0].at, some[0].actor, some[0].cause, tuple(some))
        for t, some in sorted(groups.items(), reverse=True)
    ]


# ── What changed ─────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Cause:
    """What differs for one reason."""

    because: Because
    names: list[NameChange] = field(default_factory=list)
    #: Each thing with those of its attributes that this changed.
    things: list[tuple[ThingChange, list[AttributeChange]]] = field(default_factory=list)
    edges: list[tuple[EdgeChange, list[ClaimChange]]] = field(default_factory=list)


def causes(differences: Differences) -> list[Cause]:
    """Group what differs by what made it differ: the last transaction first."""
    found: dict[Because, Cause] = {}

    def of(because: Because) -> Cause:
        return found.setdefault(because, Cause(because))

    for name in differences.names:
        of(name.because).names.append(name)
    for thing in differences.things:
        apart: dict[Because, list[AttributeChange]] = {thing.because: []}
        for change in thing.changes:
            apart.setdefault(change.because, []).append(change)
        for because, changes in apart.items():
            of(because).things.append((thing, changes))
    for edge in differences.edges:
        parts: dict[Because, list[ClaimChange]] = {edge.because: []}
        for claim in edge.claims:
            parts.setdefault(claim.because, []).append(claim)
        if edge.what != "changed":
            parts = {edge.because: list(edge.claims)}
        for because, claims in parts.items():
            of(because).edges.append((edge, claims))
    return sorted(found.values(), key=lambda one: (-(one.because.t or 0), one.because.how))

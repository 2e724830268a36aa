"""What may be wrong with a thing: edges of kinds that are findings, each with its reasons."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from lineal.model import Cut, Entity
from lineal.query.things import Brief, Things

#: How many findings of a thing are told with their reasons.
TOLD = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that may be wrong, as an edge says it of both its ends."""

    start: Brief
    kind: str
    end: Brief
    #: What edges of this kind say.
    meaning: str
    #: The reasons of the rules that concluded it; none where a source states it.
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Described(Entity):
    """A thing as all its sources together say, and what may be wrong with it."""

    findings: tuple[Finding, ...] = ()


def findings(things: Things, group: Collection[int]) -> tuple[tuple[Finding, ...], list[Cut]]:
    """Return what may be wrong with a thing of these names, and whether there is more."""
    kinds = frozenset(name for name, kind in things.shapes.kinds.items() if kind.finding)
    reader, most = things.reader, things.budget.edges
    links = [*reader.outward(group, kinds, most), *reader.inward(group, kinds, most)]
    edges = {(link.src, link.kind, link.dst) for link in links}
    if not edges:
        return (), []
    uris = reader.uris({end for src, _, dst in edges for end in (src, dst)})
    ordered = sorted(edges, key=lambda edge: (edge[1], uris[edge[0]], uris[edge[2]]))
    chosen = ordered[:TOLD]
    briefs = things.briefs({end for src, _, dst in chosen for end in (src, dst)})
    told = [
        Finding(
            briefs[src],
            kind,
            briefs[dst],
            things.shapes.kinds[kind].description,
            tuple(one.why for one in reader.derivations((src, kind, dst))),
        )
        for src, kind, dst in chosen
    ]
    cut = (
        []
        if len(ordered) == len(told)
        else [Cut("list", "findings", len(told), total=len(ordered))]
    )
    return tuple(told), cut


def described(things: Things, key: int) -> tuple[Described, list[Cut]]:
    """Return a thing with what may be wrong with it, and whether there is more of that."""
    value = things.merged([key])[key]
    found, cut = findings(things, things.groups([key])[key])
    entity = Described(
        value.uri, value.state, value.attributes, value.said, value.also, value.confirmed_at, found
    )
    return entity, cut

"""One thing at a time: what it is, what it is joined to, and how it came to be so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lineal.lineage import IDENTITY
from lineal.model import (
    Answer,
    Claim,
    Cut,
    Edge,
    Entity,
    Instant,
    Json,
    Said,
    iso,
)
from lineal.query.findings import Described, described
from lineal.query.things import Brief, Things, answer, plain


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Something that a thing is joined to."""

    #: The relation as read from the thing: the kind, or its inverse.
    relation: str
    other: Brief
    edge: Edge


@dataclass(frozen=True, slots=True)
class Happening:
    """One change in the life of a thing."""

    t: int
    at: Instant
    actor: str
    cause: str
    #: ``said``, ``changed``, ``removed``, ``corrected``, ``deleted``, ``joined``,
    #: ``parted``, ``forgotten``.
    what: str
    source: str
    #: Attribute to (before, after); for edges the relation and the other end.
    details: dict[str, tuple[Json, Json]]
    other: Brief | None = None


def entity(things: Things, key: int) -> Answer[Described]:
    """Return a thing as all its names and sources together say, and what may be wrong with it."""
    value, cut = described(things, key)
    group = things.groups([key])[key]
    notes = [told for member in group for told in _forgotten(things, member)]
    if things.reader.basis.is_now:
        notes += _unfit(things, group, value)
    return answer(things.reader, value, why=cut, total=1, fresh_at=value.confirmed_at, notes=notes)


def _unfit(things: Things, group: Iterable[int], value: Entity) -> list[str]:
    """Say what of a thing's documents does not fit, and what became of them."""
    documents = {(one.source, one.document) for one in value.said}
    found = things.reader.unfit(things.reader.uris(group).values(), documents)
    told = []
    for one in found:
        some = " ".join(f"{each.name}: {each.text}" for each in one.findings[:UNFIT])
        more = len(one.findings) - UNFIT
        rest = f" And {more} more." if more > 0 else ""
        told.append(f"{one.source}, {one.document}: {some}{rest}{_BECAME[one.policy]}")
    return told


#: So many findings of one document are named.
UNFIT = 3
_BECAME = {
    "store": "",
    "quarantine": " So its last word was put aside, and is not in this.",
    "reject": " So its last word was refused, and is not in this.",
}


def _forgotten(things: Things, key: int) -> list[str]:
    """Say that a thing was forgotten on purpose, when, by whom and why."""
    found = things.reader.forgotten([key]).get(key)
    if found is None:
        return []
    t, how, reason = found
    at, actor, _ = things.reader.transactions([t]).get(t, (0, "", ""))
    what = "Its values were removed" if how == "excised" else "It was dropped"
    return [f"{what} on purpose in transaction {t} ({iso(at)}) by {actor}: {reason}."]


def neighbours(things: Things, key: int, *, limit: int) -> Answer[tuple[Neighbour, ...]]:
    """Return what a thing is joined to by any kind, under all its names."""
    reader, kinds = things.reader, frozenset(things.shapes.kinds)
    group = things.groups([key])[key]
    most = things.budget.edges
    claims_of = reader.outward(group, kinds, most)[:most]
    left = most - len(claims_of)
    claims_of += reader.inward(group, kinds, left)[: left + 1]
    every = None if len(claims_of) <= most else reader.count_at(group, kinds, kinds)
    links = {(link.src, link.kind, link.dst) for link in claims_of[:most]}
    uris = reader.uris({end for src, _, dst in links for end in (src, dst)})
    # By what all databases agree on: keys differ from one to the other.
    chosen = sorted(links, key=lambda link: (uris[link[0]], link[1], uris[link[2]]))[:limit]
    claims = reader.claims(chosen)
    briefs = things.briefs({end for src, _, dst in chosen for end in (src, dst)})
    found = []
    for src, kind, dst in chosen:
        outward = src in group
        relation = kind if outward else things.shapes.kinds[kind].inverse
        other = briefs[dst if outward else src]
        if kind in IDENTITY:
            other = plain(things, dst if src == key else src)
        edge = Edge(uris[src], kind, uris[dst], tuple(claims[(src, kind, dst)]))
        found.append(Neighbour(relation, other, edge))
    found.sort(key=lambda one: (one.relation, one.other.name, one.other.uri))
    why = [Cut("list", done=limit, total=len(links))] if len(links) > limit else []
    if every is not None:
        why.append(Cut("edges", "claims", done=most, most=most, total=every))
    return answer(reader, tuple(found), why=why, total=None if every else len(links))


# ── History ──────────────────────────────────────────────────────────────────────────────────────


def history(things: Things, key: int, *, limit: int) -> Answer[tuple[Happening, ...]]:
    """Return all that happened to a thing, newest first: words said, edges begun and ended."""
    events: list[Happening] = []
    cut: list[Cut] = []
    for member in things.groups([key])[key]:
        events.extend(_said_events(things.reader.record_history(member)))
        events.extend(_edge_events(things, member, cut))
        events.extend(_forgetting_events(things, member))
    when = things.reader.transactions({event.t for event in events})
    dated = [_dated(event, when) for event in events]
    dated.sort(key=_place)
    why = [Cut("list", done=limit, total=len(dated))] if len(dated) > limit else []
    total = None if cut else len(dated)
    return answer(things.reader, tuple(dated[:limit]), why=[*why, *cut], total=total)


def _forgetting_events(things: Things, key: int) -> list[Happening]:
    found = things.reader.forgotten([key]).get(key)
    if found is None:
        return []
    t, how, reason = found
    return [Happening(t, 0, "", "", "forgotten", how, {"reason": (None, reason)})]


def _place(event: Happening) -> tuple[int, str, str, str, str]:
    """Newest first; what happened at once always in the same order."""
    other = "" if event.other is None else str(event.other.uri)
    return -event.t, event.source, event.what, str(event.details), other


def _dated(event: Happening, when: dict[int, tuple[Instant, str, str]]) -> Happening:
    at, actor, cause = when.get(event.t, (0, "", ""))
    return Happening(
        event.t, at, actor, cause, event.what, event.source, event.details, event.other
    )


def _said_events(said: Sequence[Said]) -> list[Happening]:
    events: list[Happening] = []
    before: dict[tuple[str, str], Said] = {}
    for one in said:
        name = (one.source, one.document)
        old = before.get(name)
        same_moment = old is not None and old.t_to == one.t_from
        past = dict(old.attributes) if old is not None and same_moment else {}
        details = {
            key: (past.get(key), one.attributes.get(key))
            for key in sorted(past.keys() | one.attributes.keys())
            if past.get(key) != one.attributes.get(key)
        }
        what = "changed" if same_moment else "said"
        events.append(Happening(one.t_from, 0, "", "", what, one.source, details))
        if one.t_to is not None and one.ended in ("removed", "deleted"):
            events.append(Happening(one.t_to, 0, "", "", one.ended, one.source, {}))
        before[name] = one
    return events


def _edge_events(things: Things, key: int, cut: list[Cut]) -> list[Happening]:
    events: list[Happening] = []
    most = things.budget.edges
    found, more = things.reader.claim_history(key, most)
    if more:
        cut.append(Cut("edges", "history", done=most, most=most))
    briefs = things.briefs({end for src, _, dst in found for end in (src, dst)})
    for (src, kind, dst), claims in found.items():
        relation = kind if src == key else things.shapes.kinds[kind].inverse
        other = briefs[dst if src == key else src]
        by_document: dict[tuple[str, str], list[Claim]] = defaultdict(list)
        for claim in claims:
            by_document[(claim.source, claim.document)].append(claim)
        for some in by_document.values():
            events.extend(_claim_events(relation, other, some))
    return events


def _claim_events(relation: str, other: Brief, claims: Sequence[Claim]) -> list[Happening]:
    events = []
    began = {claim.t_from for claim in claims}
    ended = {claim.t_to for claim in claims}
    for claim in claims:
        detail: dict[str, tuple[Json, Json]] = {relation: (None, other.name)}
        if claim.t_from not in ended:
            events.append(Happening(claim.t_from, 0, "", "", "joined", claim.source, detail, other))
        if claim.t_to is not None and claim.t_to not in began:
            gone: dict[str, tuple[Json, Json]] = {relation: (other.name, None)}
            what = "corrected" if claim.ended == "corrected" else "parted"
            events.append(Happening(claim.t_to, 0, "", "", what, claim.source, gone, other))
    return events

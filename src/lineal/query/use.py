"""What is used: which assets most live consumers share, and which nothing uses any more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from lineal.errors import InvalidQuery
from lineal.lineage import Walk
from lineal.model import Answer, Cut, Instant
from lineal.query.reaching import reached
from lineal.query.things import Brief, Things, answer
from lineal.query.thirteen import RETIRABLE, idle_among, live_things, owned_by
from lineal.query.walks import Ask

#: What is counted as an asset unless other types are asked for.
ASSETS = ("dataset", "feature", "feature-set", "feature-service", "pipeline")
#: How many consumers of an asset are named.
NAMED = 10
DAY = 86_400_000_000
#: How long something counts as in use after it was last taken from, in days.
RECENT = 90


@dataclass(frozen=True, slots=True)
class Asset:
    """Something that live consumers rest on: how many, and of how many teams."""

    thing: Brief
    #: Deployments with traffic and running A/B tests that are made from it.
    consumers: int
    teams: int
    #: The first of them, by URI.
    consumed_by: tuple[Brief, ...]
    of_teams: tuple[Brief, ...]


@dataclass(frozen=True, slots=True)
class Unused:
    """Something from which nothing live is made, and nothing was taken of late."""

    thing: Brief
    #: Since when nothing is taken from it: when that last happened, or it was first recorded.
    since: Instant
    #: When something was last known to take from it, and what; None where nothing ever was.
    last_used_at: Instant | None
    last_used_by: Brief | None
    owners: tuple[Brief, ...]


# ── Shared ───────────────────────────────────────────────────────────────────────────────────────


def shared(
    things: Things, *, types: Collection[str] | None, ask: Ask, limit: int
) -> Answer[tuple[Asset, ...]]:
    """Return the assets that most live consumers rest on, of the most teams."""
    wanted = _declared(things, types or ASSETS)
    consumers = live_things(things)
    teams = _teams(things, consumers)
    rest: dict[int, set[int]] = defaultdict(set)
    why: list[Cut] = []
    logical = Ask(ask.budget, "logical", ask.kinds, ask.layers, types=wanted)
    for at, consumer in enumerate(consumers):
        if things.out_of_time(ask.budget)():
            why.append(Cut("time", "looked at", done=at, total=len(consumers)))
            break
        walked = reached(things, [consumer], upstream=True, ask=logical)
        why.extend(walked.why)
        for key in _of_types(things, walked, wanted):
            rest[key].add(consumer)
    uris = things.reader.uris(rest)
    owning = {key: {team for one in some for team in teams[one]} for key, some in rest.items()}
    ordered = sorted(rest, key=lambda key: (-len(rest[key]), -len(owning[key]), uris[key]))
    told = []
    for key in ordered[:limit]:
        named = things.unique(rest[key])
        briefs = things.briefs({key, *named[:NAMED], *owning[key]})
        told.append(
            Asset(
                briefs[key],
                len(rest[key]),
                len(owning[key]),
                tuple(briefs[one] for one in named[:NAMED]),
                tuple(sorted(briefs[team] for team in owning[key])),
            )
        )
    total = len(ordered) if not why else None
    if len(ordered) > limit:
        why.append(Cut("list", done=limit, total=len(ordered)))
    return answer(things.reader, tuple(told), why=why, total=total, inferred=ask.infers)


def _declared(things: Things, types: Iterable[str]) -> frozenset[str]:
    return frozenset(things.shapes.type(name).name for name in types)


def _teams(things: Things, keys: Sequence[int]) -> dict[int, set[int]]:
    """Return the teams that own each thing, or the person where no team is known."""
    owners = things.owners(keys)
    teams = things.teams(sorted({owner for some in owners.values() for owner in some}))
    return {
        key: {team for owner in owners[key] for team in (teams[owner] or [owner])} for key in keys
    }


def _of_types(things: Things, walked: Walk, types: Collection[str]) -> set[int]:
    uris = things.reader.uris(walked.reached)
    found = [key for key, at in walked.reached.items() if at.depth and uris[key].type in types]
    return set(things.one(found).values())


# ── Unused ───────────────────────────────────────────────────────────────────────────────────────


def unused(
    things: Things,
    owner: int | None,
    *,
    types: Collection[str] | None,
    days: int,
    ask: Ask,
    limit: int,
) -> Answer[tuple[Unused, ...]]:
    """
    Return what nothing live is made from and nothing took from for so many days, oldest first.

    Of one owner (a person, or a team and its people), or of everybody.
    """
    wanted = _declared(things, types or RETIRABLE)
    idle, why = idle_among(things, _candidates(things, owner, wanted), ask)
    found: list[Unused] = []
    before = things.reader.basis.valid_at - days * DAY
    for at, key in enumerate(idle):
        if at and things.must_end():
            why.append(Cut("time", "since", done=at, total=len(idle)))
            break
        used = _last_used(things, key)
        if used is None or used[0] <= before:
            found.append(_told(things, key, used))
    found.sort(key=lambda one: (one.since, one.thing.uri))
    reasons = list(dict.fromkeys(why))
    total = None if reasons else len(found)
    if len(found) > limit:
        reasons.append(Cut("list", done=limit, total=len(found)))
    return answer(
        things.reader, tuple(found[:limit]), why=reasons, total=total, inferred=ask.infers
    )


def _candidates(things: Things, owner: int | None, types: Collection[str]) -> list[int]:
    """Return the things of these types, of one owner or of all, that are there."""
    reader = things.reader
    if owner is None:
        keys: Iterable[int] = reader.of_types(types)
    else:
        uri = reader.uris([owner])[owner]
        if uri.type not in ("team", "user"):
            raise InvalidQuery(f"A {uri.type} owns nothing.", fix="Ask of a team or person.")
        keys = owned_by(things, owner)
    ordered = things.unique(list(keys))
    uris, entities = reader.uris(ordered), things.merged(ordered)
    return [key for key in ordered if uris[key].type in types and entities[key].said]


def _last_used(things: Things, key: int) -> tuple[Instant, int] | None:
    """When did anything last take from a thing, its parts or its whole, and what was it?"""
    reader, shapes = things.reader, things.shapes
    group = set(things.groups([key])[key])
    level = frozenset(shapes.level_kinds)
    names = group | {link.src for link in reader.inward(group, level)}
    names |= {link.dst for link in reader.outward(group, level)}
    flowing = shapes.kinds_in(("data", "serve"))
    taken: list[tuple[Instant, int]] = []
    for name in sorted(names):
        ended, _ = reader.claim_history(name, things.budget.edges)
        for (src, kind, dst), claims in ended.items():
            flow = shapes.flows(kind) if kind in flowing else 0
            other = src if (flow < 0 and dst == name) else dst if flow > 0 and src == name else None
            if other is None:
                continue
            for claim in claims:
                if claim.ended != "corrected":
                    taken.append((claim.valid_to or claim.valid_from, other))
    jobs = {other for _, other in taken}
    taken += [(run.valid_from, run.dst) for run in reader.inward(jobs, ("run_of",))]
    return max(taken, default=None)


def _told(things: Things, key: int, used: tuple[Instant, int] | None) -> Unused:
    owners = things.owners([key])[key]
    briefs = things.briefs([key, *owners, *(() if used is None else (used[1],))])
    since = used[0] if used is not None else things.reader.first_recorded(key)[1]
    return Unused(
        briefs[key],
        since,
        None if used is None else used[0],
        None if used is None else briefs[used[1]],
        tuple(briefs[owner] for owner in owners),
    )

"""What is used: which assets most live consumers share, and which nothing uses any more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from lineal.errors import InvalidQuery
from lineal.model import Answer, Cut, Instant
from lineal.query.reaching import live_things, of_types
from lineal.query.things import Brief, Things, answer
from lineal.query.thirteen import RETIRABLE, idle_among, in_use, owned_by
from lineal.query.walks import SLICE, Ask, compiled_of

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
        found, cut = of_types(
            things, [consumer], wanted, upstream=True, ask=logical, compiled=compiled_of(ask)
        )  # fmt: skip
        why.extend(cut)
        for key in found - {consumer}:
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
    used, every = in_use(things, ask), _candidates(things, owner, wanted)
    before, why = things.reader.basis.valid_at - days * DAY, list(used.why)
    found: list[Unused] = []
    seen: set[int] = set()
    for done in range(0, len(every), SLICE):
        if done and things.must_end():
            why.append(Cut("time", "since", done=done, total=len(every)))
            break
        some = set(things.one(every[done : done + SLICE]).values()) - seen
        seen |= some
        idle, cut = idle_among(things, sorted(some), used, ask)
        why += cut
        found += _since(things, _said(things, idle, wanted), before)
    found.sort(key=lambda one: (one.since, one.thing.uri))
    reasons = list(dict.fromkeys(why))
    total = None if reasons else len(found)
    if len(found) > limit:
        reasons.append(Cut("list", done=limit, total=len(found)))
    return answer(
        things.reader, tuple(found[:limit]), why=reasons, total=total, inferred=ask.infers
    )


def _candidates(things: Things, owner: int | None, types: Collection[str]) -> list[int]:
    """Return the things of these types, of one owner or of all, the first recorded first."""
    if owner is None:
        return things.reader.of_types(types)
    uri = things.reader.uris([owner])[owner]
    if uri.type not in ("team", "user"):
        raise InvalidQuery(f"A {uri.type} owns nothing.", fix="Ask of a team or person.")
    owned = owned_by(things, owner)
    uris = things.reader.uris(owned)
    return sorted(key for key in owned if uris[key].type in types)


def _said(things: Things, keys: Collection[int], types: Collection[str]) -> list[int]:
    """Return those of these types of which anything is said."""
    uris, entities = things.reader.uris(keys), things.merged(keys)
    return [key for key in keys if uris[key].type in types and entities[key].said]


def _since(things: Things, keys: Collection[int], before: Instant) -> list[Unused]:
    """Tell of those from which nothing was taken after *before*."""
    last = _last_used(things, keys)
    idle = [key for key in keys if key not in last or last[key][0] <= before]
    owners = things.owners(idle)
    named = {owner for some in owners.values() for owner in some}
    briefs = things.briefs({*idle, *named, *(last[key][1] for key in idle if key in last)})
    told = []
    for key in idle:
        at, by = last.get(key, (None, None))
        since = things.reader.first_recorded(key)[1] if at is None else at
        of = tuple(briefs[owner] for owner in owners[key])
        told.append(Unused(briefs[key], since, at, None if by is None else briefs[by], of))
    return told


def _last_used(things: Things, keys: Collection[int]) -> dict[int, tuple[Instant, int]]:
    """When did anything last take from these things, their parts or their wholes, and what?"""
    reader, shapes = things.reader, things.shapes
    level, flowing = frozenset(shapes.level_kinds), shapes.kinds_in(("data", "serve"))
    groups = things.groups(keys)
    #: For which things each name counts.
    of: dict[int, set[int]] = defaultdict(set)
    for key in keys:
        for member in groups[key]:
            of[member].add(key)
    links = [(one.dst, one.src) for one in reader.inward(list(of), level)]
    links += [(one.src, one.dst) for one in reader.outward(list(of), level)]
    for near, other in links:
        of[other] |= {key for key in of[near] if near in groups[key]}
    found: dict[int, tuple[Instant, int]] = {}

    def take(key: int, at: Instant, by: int) -> None:
        found[key] = max(found.get(key, (at, by)), (at, by))

    takers: dict[int, set[int]] = defaultdict(set)
    giving = [kind for kind in flowing if shapes.flows(kind) > 0]
    taking = [kind for kind in flowing if shapes.flows(kind) < 0]
    for name, other, at in reader.last(list(of), giving, taking):
        takers[other] |= of[name]
        for key in of[name]:
            take(key, at, other)
    for run in reader.inward(list(takers), ("run_of",)):
        for key in takers[run.dst]:
            take(key, run.valid_from, run.dst)
    return found

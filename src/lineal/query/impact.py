"""What a change would touch: what is live first, by which way, why, and who must be told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lineal.model import Answer, Cut, Json
from lineal.query.changing import Change, checked, consequence
from lineal.query.things import Brief, Things, answer
from lineal.query.touching import Everything, Share, Touch, everything
from lineal.query.walks import SLICE, Ask, impossible
from lineal.query.words import STRENGTH, in_words

#: Where an owner says how to be reached.
CONTACTS = ("channel", "email", "on_call")


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that a change would touch."""

    thing: Brief
    depth: int
    #: The weakest layer on the way to it.
    layer: str
    #: True where something live depends on it, or it is live itself.
    live: bool
    #: True where it is in use itself: a deployment with traffic, a running A/B test.
    in_use: bool
    possible: bool
    owners: tuple[Brief, ...]
    path: str
    #: What the change does to it: ``breaks``, ``may break``, ``changes``; empty where it is not
    #: said what changes.
    effect: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Touched:
    """An owner, and what of theirs is touched; None: what nobody owns."""

    owner: Brief | None
    #: Where they say that they can be reached.
    contacts: tuple[str, ...]
    #: How many things, how many of them live, and how many of each type.
    count: int
    live: int
    by_type: dict[str, int]
    #: The first of them, worst first.
    things: tuple[Brief, ...]


@dataclass(frozen=True, slots=True)
class Impact:
    """What a change of some things would touch, worst first, and who must be told."""

    starts: tuple[Brief, ...]
    change: Change | None
    #: The worst; the counts are of all.
    hits: tuple[Hit, ...]
    by_type: dict[str, int]
    #: Those with live things first.
    by_owner: tuple[Touched, ...]
    live: int
    in_use: int
    #: How many things there are of each effect, where it is said what changes.
    by_effect: dict[str, int]


def impact(
    things: Things, keys: Collection[int], *, ask: Ask, limit: int, change: Change | None = None
) -> Answer[Impact]:
    """Return what a change of these things would touch, worst first."""
    if change is not None:
        change = checked(things, keys, change)
    every = everything(things, keys, ask=ask, change=change, limit=limit)
    told = _readable(things, every, every.worst[:limit])
    why = list(every.why)
    if every.count > len(told):
        why.append(Cut("list", "counted", done=len(told), total=every.count))
    value = Impact(
        tuple(sorted(set(things.briefs(keys).values()))),
        change,
        tuple(_hit(things, every, one, change) for one in told),
        every.by_type,
        _by_owner(things, every.shares),
        every.live,
        every.in_use,
        every.by_effect,
    )
    logical = Ask(ask.budget, "logical", ask.kinds, ask.layers, types=ask.types)
    notes = impossible(things, keys, upstream=False, ask=logical)
    if change is not None:
        notes += consequence(things, keys, change)
    total = every.count if every.is_whole else None
    return answer(things.reader, value, why=why, total=total, notes=notes, inferred=ask.infers)


def _readable(things: Things, every: Everything, touched: Sequence[Touch]) -> Sequence[Touch]:
    """Read what is told of things and of the ways to them; return those there was time for."""
    walked = every.walked
    for first in range(0, len(touched), SLICE):
        if first and things.must_end():
            return touched[:first]
        some = touched[first : first + SLICE]
        wanted = {one.key for one in some}
        wanted |= {owner for one in some for owner in every.owners.get(one.key, ())}
        for one in some:
            if one.key in walked.reached:
                for step in walked.way_to(one.key):
                    wanted |= {step.start, step.end}
        things.briefs(wanted)
    return touched


def _hit(things: Things, every: Everything, one: Touch, change: Change | None) -> Hit:
    walked, owners = every.walked, every.owners.get(one.key, ())
    steps = walked.way_to(one.key) if one.key in walked.reached else []
    briefs = things.briefs([one.key, *owners])
    return Hit(
        briefs[one.key],
        one.depth,
        STRENGTH[one.layer],
        one.live,
        one.in_use,
        one.possible,
        tuple(briefs[owner] for owner in owners),
        in_words(things, steps, upstream=False),
        one.effect,
        "" if change is None else change.reason(one.uri.type, one.depth, possible=one.possible),
    )


def _by_owner(things: Things, shares: Sequence[Share]) -> tuple[Touched, ...]:
    """Tell what of each owner is touched, those first who own what is live."""
    owners = [share.owner for share in shares if share.owner is not None]
    briefs = things.briefs({key for share in shares for key in share.worst}.union(owners))
    said = things.reader.attributes(owners)
    found = [
        Touched(
            None if share.owner is None else briefs[share.owner],
            () if share.owner is None else _contacts(said[share.owner]),
            share.count,
            share.live,
            share.by_type,
            tuple(briefs[key] for key in share.worst),
        )
        for share in shares
    ]
    return tuple(
        sorted(
            found,
            key=lambda one: (not one.live, -one.count, one.owner.uri if one.owner else "~"),
        )
    )


def _contacts(said: dict[str, Json]) -> tuple[str, ...]:
    return tuple(value for name in CONTACTS if isinstance(value := said.get(name), str) and value)

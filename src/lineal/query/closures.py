"""All that a walk comes to: counted by type, stage and owner over all of it, and told page by page.

Unlike a lineage it tells no steps, so that it can be asked of a hub: the counts come from columns
beside the compiled rows, and only the things of the page are read.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lineal.model import Answer, Budget, Cut, Entity
from lineal.query.things import Brief, Things, answer
from lineal.query.walks import Ask, grain_of, impossible

if TYPE_CHECKING:
    from lineal.query.counting import Far

#: A closure is counted whole: it may reach what a lineage would be cut at.
WHOLE = Budget(depth=100_000, nodes=2_000_000, edges=10_000_000)
#: How many owners are named.
OWNERS = 20


@dataclass(frozen=True, slots=True)
class Member:
    """A thing of a closure, with all that is said of it."""

    entity: Entity
    depth: int
    possible: bool
    approximate: bool
    live: bool


@dataclass(frozen=True, slots=True)
class Closure:
    """What a walk comes to on one side."""

    starts: tuple[Brief, ...]
    upstream: bool
    grain: str
    #: The page: nearest first, and of those the first recorded.
    members: tuple[Member, ...]
    #: Counts of all, not of the page. What has no stage is counted under "".
    by_type: dict[str, int]
    by_stage: dict[str, int]
    by_depth: dict[int, int]
    #: Those who own most first; None: what nobody owns. A thing may be of several owners.
    by_owner: tuple[tuple[Brief | None, int], ...]
    #: How many owners there are, of whom the first are named.
    owners: int
    #: How many are live by themselves.
    live: int


def closure(
    things: Things, keys: Collection[int], *, upstream: bool, ask: Ask, limit: int, offset: int
) -> Answer[Closure]:
    """Return all that things were made from, or that is made from them: counts and a page."""
    # NumPy is imported where a closure is asked for, and not with every question.
    from lineal.lineage.engine.columns import Unsound  # noqa: PLC0415

    try:
        return _closure(things, keys, upstream=upstream, ask=ask, limit=limit, offset=offset)
    except Unsound:
        things.leave_index()
        return _closure(things, keys, upstream=upstream, ask=ask, limit=limit, offset=offset)


def _closure(
    things: Things, keys: Collection[int], *, upstream: bool, ask: Ask, limit: int, offset: int
) -> Answer[Closure]:
    from lineal.query.counting import reached  # noqa: PLC0415

    counting, why = reached(things, keys, upstream=upstream, ask=ask)
    counting.keep(things.one(list(keys)).values(), ask)
    members = _members(things, *counting.page(limit, offset))
    every = len(counting)
    total = None if why else every
    why += counting.ask_store()
    if len(members) < every:
        why.append(Cut("list", "counted", done=len(members), total=every))
    owned = counting.by_owner()
    briefs = things.briefs([*keys, *(key for key, _ in owned[:OWNERS] if key is not None)])
    value = Closure(
        tuple(sorted({briefs[key] for key in keys})),
        upstream,
        grain_of(things, keys, ask.grain),
        members,
        counting.by_type(),
        counting.by_stage(),
        counting.by_depth(),
        tuple((None if key is None else briefs[key], count) for key, count in owned[:OWNERS]),
        len(owned) - sum(key is None for key, _ in owned),
        counting.live(),
    )
    notes = impossible(things, keys, upstream=upstream, ask=ask)
    return answer(things.reader, value, why=why, total=total, notes=notes, inferred=ask.infers)


def _members(things: Things, page: Far, live: Collection[int]) -> tuple[Member, ...]:
    """Read the things of a page."""
    keys = page.keys.tolist()
    entities = things.merged(keys)
    columns = (keys, page.depths.tolist(), page.possible.tolist(), page.approximate.tolist())
    return tuple(
        Member(entities[key], depth, possible, approximate, key in live)
        for key, depth, possible, approximate in zip(*columns, strict=True)
    )

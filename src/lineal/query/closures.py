"""All that a walk comes to: counted over the whole of it, and told page by page.

Counted by type, stage, owner, domain, distance and use; narrowed to some of these where asked for.

Unlike a lineage it tells no steps, so that it can be asked of a hub: the counts come from columns
beside the compiled rows, and only the things of the page are read.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lineal.model import Answer, Budget, Cut, Entity, Uri
from lineal.query.things import Brief, Things, answer
from lineal.query.walks import Ask, grain_of, impossible

if TYPE_CHECKING:
    from lineal.query.counting import Far

#: A closure is counted whole: it may reach what a lineage would be cut at.
WHOLE = Budget(depth=100_000, nodes=2_000_000, edges=10_000_000)
#: How many owners, and how many domains, are named.
OWNERS = 20
#: Asks for what has no stage, no owner, or no domain.
WITHOUT = "-"


@dataclass(frozen=True, slots=True)
class Among:
    """Which of what is reached is counted and told: what fits all that is said here."""

    #: A stage, or `WITHOUT`.
    stage: str | None = None
    #: The URI of an owner or domain, or `WITHOUT`.
    owner: str | None = None
    domain: str | None = None
    #: In steps from the nearest start.
    distance: int | None = None
    #: Whether it is live by itself.
    live: bool | None = None


#: All of it.
ALL = Among()


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
    #: Those who own most first, of them the first recorded; None: what nobody owns. A thing may be
    #: of several owners.
    by_owner: tuple[tuple[Brief | None, int], ...]
    #: How many owners there are, of whom the first are named.
    owners: int
    #: Those that hold most first; None: what is in none. A thing may be in several domains.
    by_domain: tuple[tuple[Brief | None, int], ...]
    domains: int
    #: How many are live by themselves.
    live: int


def closure(
    things: Things,
    keys: Collection[int],
    *,
    upstream: bool,
    ask: Ask,
    among: Among = ALL,
    limit: int,
    offset: int,
) -> Answer[Closure]:
    """
    Return all that things were made from, or that is made from them: counts and a page.

    With *among* both are of what fits; what there was no time to look at fits nothing, and the
    answer says that there was none.
    """
    # NumPy is imported where a closure is asked for, and not with every question.
    from lineal.lineage.engine.columns import Unsound  # noqa: PLC0415

    try:
        return _closure(things, keys, upstream, ask, among, limit, offset)
    except Unsound:
        things.leave_index()
        return _closure(things, keys, upstream, ask, among, limit, offset)


def _closure(
    things: Things,
    keys: Collection[int],
    upstream: bool,
    ask: Ask,
    among: Among,
    limit: int,
    offset: int,
) -> Answer[Closure]:
    from lineal.query.counting import reached  # noqa: PLC0415

    ends = _ends(things, among)
    counting, why = reached(things, keys, upstream=upstream, ask=ask)
    counting.keep(things.one(list(keys)).values(), ask)
    if among != ALL:
        why += counting.ask_store()
        counting.narrow(
            stage="" if among.stage == WITHOUT else among.stage,
            distance=among.distance, live=among.live, ends=ends,
        )  # fmt: skip
    members = _members(things, *counting.page(limit, offset))
    every = len(counting)
    total = None if why else every
    if among == ALL:
        why += counting.ask_store()
    if len(members) < every:
        why.append(Cut("list", "counted", done=len(members), total=every))
    owned, held = counting.by_owner(), counting.by_domain()
    named = [key for key, _ in (*owned[:OWNERS], *held[:OWNERS]) if key is not None]
    briefs = things.briefs([*keys, *named])
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
        tuple((None if key is None else briefs[key], count) for key, count in held[:OWNERS]),
        len(held) - sum(key is None for key, _ in held),
        counting.live(),
    )
    notes = impossible(things, keys, upstream=upstream, ask=ask)
    return answer(things.reader, value, why=why, total=total, notes=notes, inferred=ask.infers)


def _ends(things: Things, among: Among) -> dict[str, int | None]:
    """Return where edges of a kind must lead; raises `NotFound` of what is not known."""
    found: dict[str, int | None] = {}
    for kind, end in (("owned_by", among.owner), ("in_domain", among.domain)):
        if end is not None:
            key = None if end == WITHOUT else things.key(Uri(end))
            found[kind] = None if key is None else things.one([key])[key]
    return found


def _members(things: Things, page: Far, live: Collection[int]) -> tuple[Member, ...]:
    """Read the things of a page."""
    keys = page.keys.tolist()
    entities = things.merged(keys)
    columns = (keys, page.depths.tolist(), page.possible.tolist(), page.approximate.tolist())
    return tuple(
        Member(entities[key], depth, possible, approximate, key in live)
        for key, depth, possible, approximate in zip(*columns, strict=True)
    )

"""What a change would touch: what is live first, by which way, and who must be told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from lineal.lineage import Step, Walk
from lineal.model import Answer
from lineal.query.things import Brief, Things, answer
from lineal.query.walks import Ask, go
from lineal.query.words import STRENGTH, in_words, weakest


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that a change would touch."""

    thing: Brief
    depth: int
    layer: str
    #: True where something live depends on it, or it is live itself.
    live: bool
    possible: bool
    owners: tuple[Brief, ...]
    path: str


@dataclass(frozen=True, slots=True)
class Impact:
    """What a change of some things would touch, worst first, and who must be told."""

    starts: tuple[Brief, ...]
    hits: tuple[Hit, ...]
    by_type: dict[str, int]
    #: Each owner with what of theirs is touched, those with live things first.
    by_owner: tuple[tuple[Brief | None, tuple[Brief, ...]], ...]
    live: int


def impact(things: Things, keys: Collection[int], *, ask: Ask, limit: int) -> Answer[Impact]:
    """Return what a change of these things would touch, worst first."""
    logical = Ask(ask.budget, "logical", ask.kinds, ask.layers)
    walked = go(things, keys, upstream=False, ask=logical)
    own = {member for group in things.groups(keys).values() for member in group}
    uris = things.reader.uris(walked.reached)
    hidden = {key for key, uri in uris.items() if uri.type == "column"}
    touched = [
        key for key, at in walked.reached.items() if at.depth > 0 and key not in own | hidden
    ]
    wanted = things.unique(touched)
    used = _used(things, walked)
    owners = things.owners(wanted)
    hits = [_hit(things, walked, key, used, owners[key]) for key in wanted if key in walked.reached]
    hits.sort(key=lambda hit: (not hit.live, hit.depth, STRENGTH.index(hit.layer), hit.thing.uri))
    value = Impact(
        tuple(sorted(set(things.briefs(keys).values()))),
        tuple(hits[:limit]),
        _counts(hit.thing.type for hit in hits),
        _by_owner(hits),
        sum(hit.live for hit in hits),
    )
    why = list(walked.why)
    if len(hits) > limit:
        why.append(f"list: {limit} of {len(hits)} are listed; counts are of all")
    return answer(things.reader, value, why=why, total=len(hits) if not walked.why else None)


def _hit(things: Things, walked: Walk, key: int, used: set[int], owners: Sequence[int]) -> Hit:
    steps = walked.way_to(key)
    reached = walked.reached[key]
    briefs = things.briefs([key, *owners])
    return Hit(
        briefs[key],
        reached.depth,
        weakest(steps),
        key in used,
        reached.possible,
        tuple(briefs[owner] for owner in owners),
        in_words(things, steps, upstream=False),
    )


def _used(things: Things, walked: Walk) -> set[int]:
    """Which of the reached things are live, or lead to something live?"""
    live = things.live(list(walked.reached))
    back: dict[int, set[int]] = defaultdict(set)
    for step in _all_steps(walked):
        back[step.end].add(step.start)
    used, frontier = set(live), set(live)
    while frontier:
        frontier = {key for end in frontier for key in back[end]} - used
        used |= frontier
    return used


def _counts(types: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for name in types:
        counts[name] += 1
    return dict(sorted(counts.items()))


def _by_owner(hits: Sequence[Hit]) -> tuple[tuple[Brief | None, tuple[Brief, ...]], ...]:
    owned: dict[Brief | None, list[Hit]] = defaultdict(list)
    for hit in hits:
        for owner in hit.owners or (None,):
            owned[owner].append(hit)
    ordered = sorted(
        owned.items(),
        key=lambda item: (
            not any(hit.live for hit in item[1]),
            -len(item[1]),
            item[0].uri if item[0] else "~",
        ),
    )
    return tuple((owner, tuple(hit.thing for hit in some)) for owner, some in ordered)


def _all_steps(walked: Walk) -> list[Step]:
    """Steps, and the going between part and whole that costs none."""
    contained = [
        Step(part, kind, whole, "declared", True, (part, kind, whole))
        for part, kind, whole in walked.contained
    ]
    return [*walked.steps.values(), *contained]

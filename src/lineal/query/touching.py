"""What a change touches: all of it counted, and the worst of it with the ways that lead there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lineal.lineage import Walk
from lineal.model import Cut, Uri
from lineal.query.changing import Change
from lineal.query.things import Things
from lineal.query.walks import SLICE, Ask, compiled_of, go
from lineal.query.words import STRENGTH

#: How many things are named of what is counted for an owner.
NAMED = 20


@dataclass(frozen=True, slots=True)
class Touch:
    """What is known of a thing that is touched, before it is told."""

    key: int
    uri: Uri
    depth: int
    layer: int
    #: Does anything live rest on it, and is it live by itself?
    live: bool
    in_use: bool
    possible: bool
    effect: str

    @property
    def place(self) -> tuple[bool, bool, int, int, str]:
        """In use first, then what leads to it, then what is near, then what is sure."""
        return not self.in_use, not self.live, self.depth, self.layer, self.uri


@dataclass(frozen=True, slots=True)
class Share:
    """What of an owner is touched; None: what nobody owns."""

    owner: int | None
    count: int
    live: int
    by_type: dict[str, int]
    #: The keys of the worst.
    worst: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Everything:
    """All that is touched: counted, and the worst of it."""

    #: Worst first, at least as many as are told; who owns them; the ways to them.
    worst: Sequence[Touch]
    owners: Mapping[int, Sequence[int]]
    walked: Walk
    count: int
    live: int
    in_use: int
    by_type: dict[str, int]
    by_effect: dict[str, int]
    shares: Sequence[Share]
    why: list[Cut]
    #: Is it known how much there is?
    is_whole: bool


def everything(
    things: Things, keys: Collection[int], *, ask: Ask, change: Change | None, limit: int
) -> Everything:
    """Return all that is made from things, at the logical grain; at most *limit* will be told."""
    logical = replace(ask, grain="logical", columns=False)
    # In the past no columns tell of what is reached.
    is_counted = things.index is not None and things.reader.basis.is_now
    if not is_counted or compiled_of(ask) is None:
        walked = go(things, keys, upstream=False, ask=towards(things, logical))
        return of_walk(things, walked, keys, logical, change)
    # NumPy is imported where there is an index.
    from lineal.lineage.engine.columns import Unsound  # noqa: PLC0415
    from lineal.query import beyond  # noqa: PLC0415

    try:
        return beyond.everything(things, keys, ask=logical, change=change, limit=limit)
    except Unsound:
        things.leave_index()
        return everything(things, keys, ask=ask, change=change, limit=limit)


def towards(things: Things, ask: Ask) -> Ask:
    """Ask also for what may be in use: it may rest on what is told, and be of another type."""
    if ask.types is None:
        return ask
    live = {name for name, shape in things.shapes.types.items() if shape.live}
    return replace(ask, types=ask.types | live)


# ── By a walk ────────────────────────────────────────────────────────────────────────────────────


def of_walk(
    things: Things, walked: Walk, keys: Collection[int], ask: Ask, change: Change | None
) -> Everything:
    """Return what a walk came to."""
    touched = _touched(things, walked, keys, ask, change)
    why = list(walked.why)
    owners: dict[int, list[int]] = {}
    for first in range(0, len(touched), SLICE):
        if first and things.must_end():
            why.append(Cut("time", "owners", done=len(owners), total=len(touched)))
            break
        owners.update(things.owners([one.key for one in touched[first : first + SLICE]]))
    return Everything(
        touched,
        owners,
        walked,
        len(touched),
        sum(one.live for one in touched),
        sum(one.in_use for one in touched),
        counts(one.uri.type for one in touched),
        counts(one.effect for one in touched if one.effect),
        _shares(touched, owners),
        why,
        not walked.why,
    )


def _touched(
    things: Things, walked: Walk, keys: Collection[int], ask: Ask, change: Change | None
) -> list[Touch]:
    """Return all that is touched, under one name a thing, worst first."""
    own = {member for group in things.groups(keys).values() for member in group}
    uris = things.reader.uris(walked.reached)
    wanted = [
        key for key, at in walked.reached.items()
        if at.depth > 0 and key not in own and uris[key].type != "column"
        if ask.types is None or uris[key].type in ask.types
    ]  # fmt: skip
    one = things.one(wanted)
    live = things.live(list(walked.reached))
    used, layers = _used(walked, live), layers_of(walked)
    found: dict[int, Touch] = {}
    named = things.reader.uris(set(one.values()))
    for key in wanted:
        shown, at = one[key], walked.reached[key]
        touch = Touch(
            shown,
            named[shown],
            at.depth,
            layers[key],
            key in used,
            key in live,
            at.possible,
            effect_of(change, at.depth, at.possible),
        )
        known = found.get(shown)
        if known is None or touch.place < known.place:
            found[shown] = touch
    return sorted(found.values(), key=lambda one: one.place)


def _used(walked: Walk, live: Collection[int]) -> set[int]:
    """Which of the reached things are live, or lead to something live?"""
    back: dict[int, list[int]] = defaultdict(list)
    for step in walked.steps.values():
        back[step.end].append(step.start)
    for part, _, whole in walked.contained:
        back[whole].append(part)
    used, frontier = set(live), list(live)
    while frontier:
        for key in back[frontier.pop()]:
            if key not in used:
                used.add(key)
                frontier.append(key)
    return used


def layers_of(walked: Walk) -> dict[int, int]:
    """Return for each thing the place of the weakest layer on the way to it."""
    found: dict[int, int] = {}
    ordered = sorted(
        walked.reached.values(), key=lambda one: (one.depth, one.step is None, one.key)
    )
    for at in ordered:
        if at.step is not None:
            before = found.get(at.step.start, 0)
            found[at.key] = max(STRENGTH.index(at.step.layer), before)
        elif at.through is not None:
            found[at.key] = found.get(at.through, 0)
        else:
            found[at.key] = 0
    return found


def _shares(touched: Sequence[Touch], owners: Mapping[int, Sequence[int]]) -> list[Share]:
    """Count by owner; one thing may be of several."""
    owned: dict[int | None, list[Touch]] = defaultdict(list)
    for one in touched:
        if one.key in owners:
            for owner in owners[one.key] or (None,):
                owned[owner].append(one)
    return [
        Share(
            owner,
            len(some),
            sum(one.live for one in some),
            counts(one.uri.type for one in some),
            tuple(one.key for one in some[:NAMED]),
        )
        for owner, some in owned.items()
    ]


def effect_of(change: Change | None, depth: int, possible: bool) -> str:
    """Return what a change does to a thing so far away; empty where it is not said what changes."""
    return "" if change is None else change.effect(depth, possible=possible)


def counts(names: Iterable[str]) -> dict[str, int]:
    """Return how often there is each name."""
    return dict(sorted(Counter(names).items()))

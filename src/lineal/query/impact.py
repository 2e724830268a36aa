"""What a change would touch: what is live first, by which way, why, and who must be told."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lineal.lineage import Walk
from lineal.model import Answer, Cut, Json, Uri
from lineal.query.changing import Change, checked, consequence
from lineal.query.things import Brief, Things, answer
from lineal.query.walks import SLICE, Ask, go, impossible
from lineal.query.words import STRENGTH, in_words

#: How many things are named of what is counted for an owner.
NAMED = 20
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


@dataclass(frozen=True, slots=True)
class _Reach:
    """What is known of all that is touched, before any of it is told."""

    key: int
    uri: Uri
    depth: int
    layer: int
    live: bool
    in_use: bool
    possible: bool
    effect: str

    @property
    def place(self) -> tuple[bool, bool, int, int, str]:
        """In use first, then what leads to it, then what is near, then what is sure."""
        return not self.in_use, not self.live, self.depth, self.layer, self.uri


def impact(
    things: Things, keys: Collection[int], *, ask: Ask, limit: int, change: Change | None = None
) -> Answer[Impact]:
    """Return what a change of these things would touch, worst first."""
    if change is not None:
        change = checked(things, keys, change)
    logical = Ask(ask.budget, "logical", ask.kinds, ask.layers, types=ask.types)
    walked = go(things, keys, upstream=False, ask=logical)
    touched = _touched(things, walked, keys, ask, change)
    owners, unread = _owners(things, touched)
    why = list(walked.why)
    if unread:
        why.append(Cut("time", "owners", done=len(touched) - unread, total=len(touched)))
    told = _readable(things, walked, touched[:limit], owners)
    if len(touched) > len(told):
        why.append(Cut("list", "counted", done=len(told), total=len(touched)))
    value = Impact(
        tuple(sorted(set(things.briefs(keys).values()))),
        change,
        tuple(_hit(things, walked, one, owners.get(one.key, ()), change) for one in told),
        _counts(one.uri.type for one in touched),
        _by_owner(things, touched, owners),
        sum(one.live for one in touched),
        sum(one.in_use for one in touched),
        _counts(one.effect for one in touched if one.effect),
    )
    notes = impossible(things, keys, upstream=False, ask=logical)
    if change is not None:
        notes += consequence(things, keys, change)
    total = len(touched) if not walked.why else None
    return answer(things.reader, value, why=why, total=total, notes=notes, inferred=ask.infers)


# ── All that is touched ──────────────────────────────────────────────────────────────────────────


def _touched(
    things: Things, walked: Walk, keys: Collection[int], ask: Ask, change: Change | None
) -> list[_Reach]:
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
    used, layers = _used(walked, live), _layers(walked)
    found: dict[int, _Reach] = {}
    named = things.reader.uris(set(one.values()))
    for key in wanted:
        shown, at = one[key], walked.reached[key]
        reach = _Reach(
            shown,
            named[shown],
            at.depth,
            layers[key],
            key in used,
            key in live,
            at.possible,
            "" if change is None else change.effect(at.depth, possible=at.possible),
        )
        known = found.get(shown)
        if known is None or reach.place < known.place:
            found[shown] = reach
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


def _layers(walked: Walk) -> dict[int, int]:
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


def _owners(things: Things, touched: Sequence[_Reach]) -> tuple[dict[int, list[int]], int]:
    """Return who owns what is touched, worst first, and of how many things it was not read."""
    found: dict[int, list[int]] = {}
    for first in range(0, len(touched), SLICE):
        if first and things.must_end():
            break
        found.update(things.owners([one.key for one in touched[first : first + SLICE]]))
    return found, len(touched) - len(found)


def _readable(
    things: Things, walked: Walk, touched: Sequence[_Reach], owners: Mapping[int, list[int]]
) -> Sequence[_Reach]:
    """Read what is told of things and of the ways to them; return those there was time for."""
    for first in range(0, len(touched), SLICE):
        if first and things.must_end():
            return touched[:first]
        some = touched[first : first + SLICE]
        wanted = {one.key for one in some}
        wanted |= {owner for one in some for owner in owners.get(one.key, ())}
        for one in some:
            if one.key in walked.reached:
                for step in walked.way_to(one.key):
                    wanted |= {step.start, step.end}
        things.briefs(wanted)
    return touched


# ── What is told of it ───────────────────────────────────────────────────────────────────────────


def _hit(
    things: Things, walked: Walk, one: _Reach, owners: Iterable[int], change: Change | None
) -> Hit:
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


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _by_owner(
    things: Things, touched: Sequence[_Reach], owners: dict[int, list[int]]
) -> tuple[Touched, ...]:
    """Group by owner, those first who own what is live; one thing may be of several owners."""
    owned: dict[int | None, list[_Reach]] = defaultdict(list)
    for one in touched:
        if one.key in owners:
            for owner in owners[one.key] or (None,):
                owned[owner].append(one)
    named = {one.key for some in owned.values() for one in some[:NAMED]}
    briefs = things.briefs(named | {owner for owner in owned if owner is not None})
    said = things.reader.attributes([owner for owner in owned if owner is not None])
    found = [
        Touched(
            None if owner is None else briefs[owner],
            () if owner is None else _contacts(said[owner]),
            len(some),
            sum(one.live for one in some),
            _counts(one.uri.type for one in some),
            tuple(briefs[one.key] for one in some[:NAMED]),
        )
        for owner, some in owned.items()
    ]
    return tuple(
        sorted(
            found,
            key=lambda one: (not one.live, -one.count, one.owner.uri if one.owner else "~"),
        )
    )


def _contacts(said: dict[str, Json]) -> tuple[str, ...]:
    return tuple(value for name in CONTACTS if isinstance(value := said.get(name), str) and value)

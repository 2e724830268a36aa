"""Lineage, paths and impact: walks, shown under one name a thing and in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from lineal.lineage import Reached, Step, Walk, Way, shortest_paths, walk
from lineal.model import Answer, Budget, Uri
from lineal.query.things import Brief, Things, answer, deadline, spoken


@dataclass(frozen=True, slots=True)
class Node:
    """A thing in a lineage: where it stands, and how sure that is."""

    thing: Brief
    #: Steps from the start, negative upstream; 0 is a start, or a whole of it.
    depth: int
    possible: bool = False
    approximate: bool = False
    live: bool = False
    #: Where a cycle puts it on both sides: the steps on the side that is farther.
    other_depth: int | None = None

    @property
    def depths(self) -> tuple[int, ...]:
        """The steps on every side on which it is."""
        return (self.depth,) if self.other_depth is None else (self.depth, self.other_depth)


@dataclass(frozen=True, slots=True)
class Arrow:
    """A step as it is shown: in the direction in which data goes."""

    start: Uri
    kind: str
    end: Uri
    layer: str
    possible: bool = False
    #: A loop that is shown but was not entered.
    feedback: bool = False
    #: The ends of the edge itself; they differ where it stands for an edge of a part.
    edge: tuple[Uri, str, Uri] | None = None


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a thing was made from and what is made from it."""

    starts: tuple[Brief, ...]
    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]
    grain: str
    #: How many things of each type, per side.
    upstream: dict[str, int]
    downstream: dict[str, int]


@dataclass(frozen=True, slots=True)
class Path:
    """One way from a thing to another, also in words."""

    arrows: tuple[Arrow, ...]
    words: str
    #: The weakest layer on the way.
    weakest: str


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


@dataclass(frozen=True, slots=True)
class Ask:
    """How a walk is asked for."""

    budget: Budget = field(default_factory=Budget)
    grain: str | None = None
    kinds: frozenset[str] | None = None
    layers: frozenset[str] = frozenset({"declared", "observed", "inferred"})
    columns: bool = False


def grain_of(things: Things, keys: Collection[int], asked: str | None) -> str:
    """Return the grain of a walk: as asked, else exact if it starts at runs and versions only."""
    if asked is not None:
        return asked
    types = {uri.type for uri in things.reader.uris(keys).values()}
    grains = {things.shapes.types[name].grain for name in types if name in things.shapes.types}
    return "exact" if grains == {"exact"} else "logical"


def go(things: Things, keys: Collection[int], *, upstream: bool, ask: Ask) -> Walk:
    """Walk from things in one direction."""
    logical = grain_of(things, keys, ask.grain) == "logical"
    way = Way(upstream, logical, layers=ask.layers, kinds=ask.kinds)
    return walk(things.graph, things.shapes, sorted(keys), way, ask.budget, deadline(ask.budget))


# ── Lineage ──────────────────────────────────────────────────────────────────────────────────────


def lineage(
    things: Things, keys: Collection[int], *, up: int, down: int, ask: Ask
) -> Answer[Lineage]:
    """Return the lineage of things, *up* and *down* steps far."""
    sides: list[tuple[Walk, int]] = []
    for steps, sign in ((up, -1), (down, 1)):
        if steps > 0:
            budget = _at_depth(ask.budget, steps)
            side = Ask(budget, ask.grain, ask.kinds, ask.layers, ask.columns)
            sides.append((go(things, keys, upstream=sign < 0, ask=side), sign))
    shown = _Shown(things, sides, columns=ask.columns)
    nodes, arrows = shown.nodes(keys), shown.arrows()
    why = [
        _side(sign) + reason
        for walked, sign in sides
        for reason in walked.why
        if not reason.startswith("depth")
    ]
    deeper = [
        f"{_side(sign)}shown {ask_depth} steps deep; there is more"
        for (walked, sign), ask_depth in zip(sides, _depths(up, down), strict=True)
        if any(reason.startswith("depth") for reason in walked.why)
    ]
    starts = tuple(sorted(set(things.briefs(keys).values())))
    value = Lineage(
        starts,
        nodes,
        arrows,
        grain_of(things, keys, ask.grain),
        _by_type(node for node in nodes if min(node.depths) < 0),
        _by_type(node for node in nodes if max(node.depths) > 0),
    )
    total = None if why or deeper else len(nodes)
    fresh = shown.fresh_at()
    return answer(things.reader, value, why=[*why, *deeper], total=total, fresh_at=fresh)


def _depths(up: int, down: int) -> list[int]:
    return [steps for steps in (up, down) if steps > 0]


def _side(sign: int) -> str:
    return "upstream " if sign < 0 else "downstream "


def _at_depth(budget: Budget, depth: int) -> Budget:
    return Budget(min(depth, budget.depth), budget.nodes, budget.edges, budget.milliseconds)


def _by_type(nodes: Iterable[Node]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for node in nodes:
        counts[node.thing.type] += 1
    return dict(sorted(counts.items()))


class _Shown:
    """Walks as they are shown: one name a thing, columns as their data sets."""

    def __init__(self, things: Things, sides: Sequence[tuple[Walk, int]], *, columns: bool) -> None:
        self._things, self._sides = things, sides
        keys = {key for walked, _ in sides for key in walked.reached}
        keys |= {
            end for walked, _ in sides for step in walked.feedback for end in (step.start, step.end)
        }
        uris = things.reader.uris(keys)
        stands = {key: key for key in keys}
        if not columns:
            for walked, _ in sides:
                stands.update(
                    (part, whole)
                    for part, _, whole in walked.contained
                    if uris[part].type == "column"
                )
        one = things.one(sorted(set(stands.values())))
        self._stands = {key: one[stands[key]] for key in keys}
        self._briefs = things.briefs(sorted(set(self._stands.values())))

    def nodes(self, starts: Collection[int]) -> tuple[Node, ...]:
        """Return every thing once, nearest first."""
        live = self._things.live(sorted(self._briefs))
        sides: dict[int, dict[int, Node]] = defaultdict(dict)
        for walked, sign in self._sides:
            for key, reached in walked.reached.items():
                shown = self._stands[key]
                node = self._node(shown, reached, sign, shown in live)
                known = sides[shown].get(sign)
                sides[shown][sign] = node if known is None else _nearest(known, node)
        found = {key: _both(list(some.values())) for key, some in sides.items()}
        for key in self._things.one(list(starts)).values():
            found[key] = Node(self._things.briefs([key])[key], 0, live=key in live)
        return tuple(sorted(found.values(), key=lambda node: (node.depth, node.thing.uri)))

    def _node(self, key: int, reached: Reached, sign: int, live: bool) -> Node:
        depth = sign * reached.depth
        return Node(self._briefs[key], depth, reached.possible, reached.approximate, live)

    def arrows(self) -> tuple[Arrow, ...]:
        """Return every step once, in the direction of the data."""
        found: dict[tuple[Uri, str, Uri], Arrow] = {}
        for walked, sign in self._sides:
            for step in walked.steps.values():
                self._add(found, step, sign, feedback=False)
            for step in walked.feedback:
                self._add(found, step, sign, feedback=True)
            for part, kind, whole in walked.contained:
                if part in self._stands and whole in self._stands:
                    step = Step(part, kind, whole, "declared", False, (part, kind, whole))
                    self._add(found, step, 1, feedback=False)
        return tuple(found[name] for name in sorted(found))

    def _add(
        self, found: dict[tuple[Uri, str, Uri], Arrow], step: Step, sign: int, *, feedback: bool
    ) -> None:
        ends = (self._stands[step.start], self._stands[step.end])
        if ends[0] == ends[1]:
            return
        start, end = (self._briefs[key].uri for key in (ends if sign > 0 else ends[::-1]))
        uris = self._things.reader.uris([step.edge[0], step.edge[2]])
        edge = (uris[step.edge[0]], step.edge[1], uris[step.edge[2]])
        arrow = Arrow(start, step.kind, end, step.layer, step.possible, feedback, edge)
        found.setdefault((start, step.kind, end), arrow)

    def fresh_at(self) -> int | None:
        """When was the least recently confirmed of these things confirmed?"""
        entities = self._things.entities(sorted(self._briefs))
        times = [one.confirmed_at for one in entities.values() if one.confirmed_at is not None]
        return min(times) if times else None


def _nearest(one: Node, other: Node) -> Node:
    """One thing under several names or parts on one side: the nearest, possible if all are."""
    nearer = min(one, other, key=lambda node: (node.depth == 0, abs(node.depth)))
    return replace(nearer, possible=one.possible and other.possible)


def _both(sides: Sequence[Node]) -> Node:
    """A thing on both sides stands on the nearer one, and says so."""
    steps = sorted((node for node in sides if node.depth != 0), key=lambda node: abs(node.depth))
    if not steps:
        return sides[0]
    return steps[0] if len(steps) == 1 else replace(steps[0], other_depth=steps[1].depth)


# ── Words ────────────────────────────────────────────────────────────────────────────────────────


def in_words(things: Things, steps: Sequence[Step], *, upstream: bool) -> str:
    """Tell a way as a sentence, each step in the words of its kind."""
    briefs = things.briefs([key for step in steps for key in (step.start, step.end)])
    if not steps:
        return ""
    told = [_called(briefs[steps[0].start])]
    for step in steps:
        kind = things.shapes.kinds[step.kind]
        forward = (things.shapes.flows(step.kind) > 0) != upstream
        word = spoken(kind.name if forward else kind.inverse)
        told.append(f"{word} {_called(briefs[step.end])}")
    return ", ".join([" ".join(told[:2]), *(f"which {part}" for part in told[2:])])


def _called(thing: Brief) -> str:
    return f"{thing.type.replace('-', ' ')} {thing.name}"


_STRENGTH = ("declared", "observed", "inferred", "suggested")


def weakest(steps: Iterable[Step]) -> str:
    """Return the weakest layer among steps."""
    return max((step.layer for step in steps), key=_STRENGTH.index, default="declared")


# ── Paths ────────────────────────────────────────────────────────────────────────────────────────


def paths(things: Things, start: int, end: int, *, k: int, ask: Ask) -> Answer[tuple[Path, ...]]:
    """Return up to *k* shortest ways from one thing to another, whichever way the data goes."""
    found: list[tuple[list[Step], bool]] = []
    why: list[str] = []
    ends = things.one([start, end])
    for upstream in (False, True):
        walked = go(things, [start], upstream=upstream, ask=ask)
        steps = _under_one_name(things, _all_steps(walked))
        ways, complete = shortest_paths(steps, ends[start], ends[end], k)
        found.extend((way, upstream) for way in ways)
        why.extend(() if ways else walked.why)
        why.extend(() if complete else ["paths: too many ways to look at all of them"])
    found.sort(key=lambda item: (len(item[0]), in_words(things, item[0], upstream=item[1])))
    told = tuple(_path(things, steps, upstream) for steps, upstream in found[:k])
    return answer(things.reader, told, why=why, total=len(told) if not why else None)


def _under_one_name(things: Things, steps: Sequence[Step]) -> list[Step]:
    """Let the steps go between the names that stand for the things."""
    one = things.one(sorted({key for step in steps for key in (step.start, step.end)}))
    return [replace(step, start=one[step.start], end=one[step.end]) for step in steps]


def _all_steps(walked: Walk) -> list[Step]:
    """Steps, and the going between part and whole that costs none."""
    contained = [
        Step(part, kind, whole, "declared", True, (part, kind, whole))
        for part, kind, whole in walked.contained
    ]
    return [*walked.steps.values(), *contained]


def _path(things: Things, steps: Sequence[Step], upstream: bool) -> Path:
    shown = []
    uris = things.reader.uris([key for step in steps for key in (step.start, step.end)])
    briefs = things.briefs(list(uris))
    for step in steps:
        ends = (step.start, step.end) if not upstream else (step.end, step.start)
        start, end = (briefs[key].uri for key in ends)
        shown.append(Arrow(start, step.kind, end, step.layer, step.possible))
    return Path(tuple(shown), in_words(things, steps, upstream=upstream), weakest(steps))


# ── Impact ───────────────────────────────────────────────────────────────────────────────────────


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
    hits.sort(key=lambda hit: (not hit.live, hit.depth, _STRENGTH.index(hit.layer), hit.thing.uri))
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

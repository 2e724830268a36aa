"""A walk as a question: what is reached from things, shown under one name a thing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Sequence
from dataclasses import dataclass, field, replace

from lineal.errors import OutOfTime
from lineal.lineage import Reached, Step, Walk, Way, reachable, rings, walk
from lineal.lineage.laws import BELIEVED
from lineal.model import Answer, Budget, Cut, Uri
from lineal.query.things import Brief, Things, answer
from lineal.query.words import along
from lineal.shapes import Shapes


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
    #: Where data goes round: each was walked once.
    cycles: tuple[Cycle, ...] = ()


@dataclass(frozen=True, slots=True)
class Cycle:
    """Things that feed each other."""

    #: A shortest way round, in the direction of the data; the last feeds the first.
    things: tuple[Brief, ...]
    words: str
    #: How many things feed each other here, these among them.
    size: int
    #: True where only a feedback loop closes it.
    feedback: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """How a walk is asked for."""

    budget: Budget = field(default_factory=Budget)
    grain: str | None = None
    kinds: frozenset[str] | None = None
    #: Of which layers edges are looked at.
    layers: frozenset[str] = BELIEVED
    columns: bool = False
    #: Only things of these types are told; None: of all.
    types: frozenset[str] | None = None

    @property
    def infers(self) -> bool:
        """Whether what rules conclude may be in the answer."""
        return bool(self.layers & {"inferred", "suggested"})


def grain_of(things: Things, keys: Collection[int], asked: str | None) -> str:
    """Return the grain of a walk: as asked, else exact if it starts at runs and versions only."""
    if asked is not None:
        return asked
    types = {uri.type for uri in things.reader.uris(keys).values()}
    grains = {things.shapes.types[name].grain for name in types if name in things.shapes.types}
    return "exact" if grains == {"exact"} else "logical"


def go(
    things: Things,
    keys: Collection[int],
    *,
    upstream: bool,
    ask: Ask,
    share: float = 1.0,
    among: Container[int] | None = None,
) -> Walk:
    """
    Walk from things in one direction, on what the walks before have left of the budget.

    *share* is the part of that which this walk may use; the limits that are told are the whole's.
    With *among* no step leads to anything else.
    """
    way = way_of(things, keys, upstream=upstream, ask=ask)
    budget = things.left(ask.budget, share)
    with things.finding():
        late = things.out_of_time(ask.budget)
        walked = walk(things.graph, things.shapes, sorted(keys), way, budget, late, among)
        _say_how_many(things, walked, keys, way)
    if among is None:
        _say_of_how_many(things, walked, keys, way, ask.budget.depth)
    whole = {"nodes": ask.budget.nodes, "edges": ask.budget.edges}
    walked.why[:] = [replace(cut, most=whole.get(cut.limit, cut.most)) for cut in walked.why]
    things.reached += len(walked.reached)
    things.scanned += walked.scanned
    return walked


def way_of(things: Things, keys: Collection[int], *, upstream: bool, ask: Ask) -> Way:
    """Return which edges a walk goes over, at which grain and towards what."""
    logical = grain_of(things, keys, ask.grain) == "logical"
    return Way(upstream, logical, layers=ask.layers, kinds=ask.kinds, towards=ask.types)


def _say_how_many(things: Things, walked: Walk, keys: Collection[int], way: Way) -> None:
    """Where the very first step has too many edges, say how many there are."""
    cut = [at for at, why in enumerate(walked.why) if why.limit == "edges"]
    if not cut or any(at.depth > 1 for at in walked.reached.values()):
        return
    kinds = things.shapes.kinds_in(way.classes)
    kinds = kinds if way.kinds is None else kinds & way.kinds
    towards = -1 if way.upstream else 1
    outward = [kind for kind in kinds if things.shapes.flows(kind) == towards]
    inward = [kind for kind in kinds if things.shapes.flows(kind) == -towards]
    try:
        every = things.reader.count_at(keys, outward, inward)
    except OutOfTime:
        return
    if every > walked.scanned:
        walked.why[cut[0]] = replace(walked.why[cut[0]], what="first step", total=every)


#: How far compiled rows are walked where it is only counted or chosen what is reached: over a
#: million things takes no longer than to read a few hundred.
COMPILED = Budget(depth=100_000, nodes=2_000_000, edges=10_000_000)


def compiled_of(ask: Ask) -> Budget | None:
    """Return how far compiled rows may be walked for a question; None: as far as it asks."""
    asked, usual = ask.budget, Budget()
    # Who asks for less than is usual is told no more, and no farther.
    less = (
        asked.depth < usual.depth or asked.nodes < usual.nodes or asked.edges < usual.edges
    )  # fmt: skip
    return None if less else COMPILED


def _say_of_how_many(
    things: Things, walked: Walk, keys: Collection[int], way: Way, depth: int
) -> None:
    """Where a walk was cut, say how many things there are in all, if the index knows."""
    cut = [at for at, why in enumerate(walked.why) if why.limit in ("nodes", "edges", "time")]
    if not cut or things.index is None or walked.why[cut[0]].what:
        return
    # Of the past its rows may have to be compiled first, for which there is no time any more.
    if not things.reader.basis.is_now:
        return
    found = things.index.reach(things.reader, keys, way, replace(COMPILED, depth=depth))
    if found is not None and len(found[0]) > len(walked.reached):
        walked.why[cut[0]] = replace(walked.why[cut[0]], what="of all", total=len(found[0]))


# ── Lineage ──────────────────────────────────────────────────────────────────────────────────────


def lineage(
    things: Things, keys: Collection[int], *, up: int, down: int, ask: Ask
) -> Answer[Lineage]:
    """Return the lineage of things, *up* and *down* steps far."""
    sides = _sides(things, keys, [(steps, sign) for steps, sign in ((up, -1), (down, 1))], ask)
    shown = Shown(things, sides, columns=ask.columns, types=ask.types)
    nodes, arrows = shown.nodes(keys), shown.arrows()
    why = [
        cut.of(_side(sign)) for walked, sign in sides for cut in walked.why if cut.limit != "depth"
    ]
    deeper = [
        cut.of(_side(sign)) for walked, sign in sides for cut in walked.why if cut.limit == "depth"
    ]
    starts = tuple(sorted(set(things.briefs(keys).values())))
    value = Lineage(
        starts,
        nodes,
        arrows,
        grain_of(things, keys, ask.grain),
        _by_type(node for node in nodes if min(node.depths) < 0),
        _by_type(node for node in nodes if max(node.depths) > 0),
        cycles(things.shapes, nodes, arrows),
    )
    every = [*why, *deeper, *shown.why()]
    total = None if every else len(nodes)
    fresh = shown.fresh_at()
    notes = [
        note for _, sign in sides for note in impossible(things, keys, upstream=sign < 0, ask=ask)
    ]
    return answer(
        things.reader,
        value,
        why=every,
        total=total,
        fresh_at=fresh,
        notes=notes,
        inferred=ask.infers,
    )


def _sides(
    things: Things, keys: Collection[int], asked: Sequence[tuple[int, int]], ask: Ask
) -> list[tuple[Walk, int]]:
    """
    Walk to each side that is asked for, on one budget.

    Each may use half of it; what the second leaves, the first may have if it had too little.
    """
    wanted = [(steps, sign) for steps, sign in asked if steps > 0]
    sides: list[tuple[Walk, int]] = []
    for at, (steps, sign) in enumerate(wanted):
        side = replace(ask, budget=_at_depth(ask.budget, steps))
        share = 0.5 if at + 1 < len(wanted) else 1.0
        sides.append((go(things, keys, upstream=sign < 0, ask=side, share=share), sign))
    if len(sides) == 2 and any(cut.limit in ("nodes", "edges") for cut in sides[0][0].why):
        first, sign = sides[0]
        left = things.left(ask.budget)
        if left.nodes and left.edges and not things.out_of_time(ask.budget)():
            things.reached -= len(first.reached)
            things.scanned -= first.scanned
            side = replace(ask, budget=_at_depth(ask.budget, wanted[0][0]))
            sides[0] = (go(things, keys, upstream=sign < 0, ask=side), sign)
    return sides


def impossible(things: Things, keys: Collection[int], *, upstream: bool, ask: Ask) -> list[str]:
    """Say of which asked types there can be nothing, by what the shapes declare."""
    if ask.types is None:
        return []
    starts = {uri.type for uri in things.reader.uris(keys).values()}
    way = way_of(things, keys, upstream=upstream, ask=ask)
    within = reachable(things.shapes, way, starts)
    unknown = sorted(ask.types - (things.shapes.types.keys() if within is None else within))
    return [
        f"No {_spoken(name)} can be {_side(-1 if upstream else 1)} of "
        f"{_one_of(starts)}: no declared kind of relation leads there"
        f"{'' if ask.kinds is None else ' by the kinds asked for'}."
        for name in unknown
    ]


def _spoken(name: str) -> str:
    return name.replace("-", " ")


def _one_of(types: Collection[str]) -> str:
    names = [_spoken(name) for name in sorted(types)]
    return " or ".join(f"{'an' if name[0] in 'aeiou' else 'a'} {name}" for name in names)


def cycles(shapes: Shapes, nodes: Iterable[Node], arrows: Sequence[Arrow]) -> tuple[Cycle, ...]:
    """Return where data goes round among these arrows; going between part and whole is no step."""
    level = frozenset(shapes.level_kinds)
    between = {
        (arrow.start, arrow.end): arrow for arrow in reversed(arrows) if arrow.kind not in level
    }
    briefs = {node.thing.uri: node.thing for node in nodes}
    inside = {ends for ends in between if ends[0] in briefs and ends[1] in briefs}
    plain = rings(ends for ends in inside if not between[ends].feedback)
    found = [(ring, False) for ring in plain]
    found += [
        (ring, True)
        for ring in rings(inside)
        if not any(ring.members == other.members for other in plain)
        and any(
            between[(start, end)].feedback
            for start, end in inside
            if start in ring.members and end in ring.members
        )
    ]
    told = []
    for ring, feedback in found:
        way = [between[ends] for ends in zip(ring.way, (*ring.way[1:], ring.way[0]), strict=True)]
        told.append(
            Cycle(
                tuple(briefs[uri] for uri in ring.way),
                along(shapes, briefs, way),
                len(ring.members),
                feedback,
            )
        )
    return tuple(told)


def _side(sign: int) -> str:
    return "upstream" if sign < 0 else "downstream"


def _at_depth(budget: Budget, depth: int) -> Budget:
    return replace(budget, depth=min(depth, budget.depth))


def _by_type(nodes: Iterable[Node]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for node in nodes:
        counts[node.thing.type] += 1
    return dict(sorted(counts.items()))


#: How many things are told of before it is asked whether there is time for more.
SLICE = 200


class Shown:
    """Walks as they are shown: one name a thing, columns as their data sets."""

    def __init__(
        self,
        things: Things,
        sides: Sequence[tuple[Walk, int]],
        *,
        columns: bool,
        types: Collection[str] | None = None,
    ) -> None:
        """Take walks, each with -1 for upstream or 1 for downstream; *types* are those told of."""
        self._things, self._sides = things, sides
        self._types = types
        self._wholes = {} if columns else self._wholes_of_columns()
        #: Each thing that is told, by each of its keys: the one under which it is shown.
        self._stands: dict[int, int] = {}
        self._briefs: dict[int, Brief] = {}
        self._every = self._tell()

    def _wholes_of_columns(self) -> dict[int, int]:
        """Return as which data set each column is shown."""
        contained = [pair for walked, _ in self._sides for pair in walked.contained]
        uris = self._things.reader.uris({part for part, _, _ in contained})
        return {part: whole for part, _, whole in contained if uris[part].type == "column"}

    def _tell(self) -> int:
        """Read what is told, nearest first, a slice at a time while there is time."""
        depths: dict[int, int] = {}
        for walked, _ in self._sides:
            for key, at in walked.reached.items():
                depths[key] = min(depths.get(key, at.depth), at.depth)
            for step in walked.feedback:
                depths.setdefault(step.start, 1 << 30)
                depths.setdefault(step.end, 1 << 30)
        uris = self._things.reader.uris(depths)
        ordered = sorted(depths, key=lambda key: (depths[key], uris[key]))
        for first in range(0, len(ordered), SLICE):
            if first and self._things.must_end():
                break
            some = ordered[first : first + SLICE]
            stands = {key: self._wholes.get(key, key) for key in some}
            one = self._things.one(sorted(set(stands.values())))
            shown = {key: one[stands[key]] for key in some}
            self._stands.update(shown)
            named = self._things.reader.uris(shown.values())
            wanted = {
                shown[key] for key in some
                if self._types is None or depths[key] == 0 or named[shown[key]].type in self._types
            }  # fmt: skip
            new = sorted(key for key in wanted if key not in self._briefs)
            self._briefs.update(self._things.briefs(new))
        return len(depths)

    def why(self) -> list[Cut]:
        """Say how many things are not told of, because the time was used up."""
        told = len(self._stands)
        if told == self._every:
            return []
        return [Cut("time", "told", done=told, total=self._every)]

    def nodes(self, starts: Collection[int]) -> tuple[Node, ...]:
        """Return every thing once, nearest first."""
        live = self._things.live(sorted(self._briefs))
        sides: dict[int, dict[int, Node]] = defaultdict(dict)
        for walked, sign in self._sides:
            for key, reached in walked.reached.items():
                shown = self._stands.get(key, -1)
                if shown not in self._briefs:
                    continue
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
        every: list[tuple[Step, int, bool]] = []
        for walked, sign in self._sides:
            every += [(step, sign, False) for step in walked.steps.values()]
            every += [(step, sign, True) for step in walked.feedback]
            every += [
                (Step(part, kind, whole, "declared", False, (part, kind, whole)), 1, False)
                for part, kind, whole in sorted(walked.contained)
            ]
        told = [
            (*((start, end) if sign > 0 else (end, start)), step, feedback)
            for step, sign, feedback in every
            if (start := self._stands.get(step.start, -1)) in self._briefs
            and (end := self._stands.get(step.end, -1)) in self._briefs
            and start != end
        ]
        uris = self._things.reader.uris(end for _, _, step, _ in told for end in step.edge[::2])
        found: dict[tuple[Uri, str, Uri], Arrow] = {}
        for first, last, step, feedback in told:
            name = (self._briefs[first].uri, step.kind, self._briefs[last].uri)
            if name not in found:
                edge = (uris[step.edge[0]], step.edge[1], uris[step.edge[2]])
                found[name] = Arrow(*name, step.layer, step.possible, feedback, edge)
        return tuple(found[name] for name in sorted(found))

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

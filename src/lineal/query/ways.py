"""Between things: the shortest ways from one to another, all that lies on any, what all share."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from lineal.lineage import Reached, Step, Walk, Ways, components
from lineal.model import Answer, Cut, Uri
from lineal.query.things import Brief, Things, answer
from lineal.query.walks import (
    Arrow,
    Ask,
    Lineage,
    Node,
    cycles,
    go,
    grain_of,
    impossible,
)
from lineal.query.words import in_words, weakest, weakest_link


@dataclass(frozen=True, slots=True)
class Path:
    """One way from a thing to another, also in words."""

    #: In the direction of the data, from the thing that feeds the other.
    arrows: tuple[Arrow, ...]
    words: str
    #: The weakest layer on the way.
    weakest: str
    #: The arrow that is believed least: by its layer, then by whether it is only possible.
    weakest_link: Arrow | None


@dataclass(frozen=True, slots=True)
class Shared:
    """Something that several things have in common, upstream or downstream."""

    thing: Brief
    #: How many steps from each start, in the order of the starts; 0 where it is that start.
    depths: tuple[int, ...]
    possible: bool
    live: bool
    #: True where no other common thing lies between it and the starts.
    nearest: bool


@dataclass(frozen=True, slots=True)
class Common:
    """What several things have in common on one side, nearest first."""

    starts: tuple[Brief, ...]
    upstream: bool
    things: tuple[Shared, ...]
    by_type: dict[str, int]


# ── Paths ────────────────────────────────────────────────────────────────────────────────────────


def paths(things: Things, start: int, end: int, *, k: int, ask: Ask) -> Answer[tuple[Path, ...]]:
    """Return up to *k* shortest ways from one thing to another, whichever way the data goes."""
    one = things.one([start, end])
    if one[start] == one[end]:
        return answer(things.reader, (), total=0, notes=["Both are names of the same thing."])
    found: list[tuple[list[Step], bool]] = []
    walks: list[tuple[Walk, bool]] = []
    why: list[Cut] = []
    notes: list[str] = []
    asked = _towards(things, start, end, ask)
    for share, upstream in ((0.5, False), (1.0, True)):
        never = impossible(things, [start], upstream=upstream, ask=asked)
        notes.extend(never)
        if never:
            continue
        walked = go(things, [start], upstream=upstream, ask=asked, share=share)
        walks.append((walked, upstream))
        ways = _ways(things, walked, upstream=upstream)
        late = things.out_of_time(ask.budget)
        some, complete = ways.shortest(one[start], one[end], k, out_of_time=late)
        if not some and end in walked.reached and walked.way_to(end):
            some = [walked.way_to(end)]
        found.extend((way, upstream) for way in some)
        if not complete:
            why.append(Cut("paths"))
    found.sort(key=lambda item: (_steps(things, item[0]), in_words_of(things, item)))
    told = tuple(path(things, steps, upstream=upstream) for steps, upstream in found[:k])
    deep = len(found) < k or any(_steps(things, way)[0] > ask.budget.depth for way, _ in found[:k])
    for walked, upstream in walks:
        # Of ways that are no longer than the walk was deep, it knows all.
        cuts = _cuts(things, walked, asked, start, upstream=upstream) if deep else walked.why
        why.extend(cut for cut in cuts if deep or cut.limit != "depth")
    reasons = list(dict.fromkeys(why))
    # What only one direction rules out is no news where the other one leads there.
    said = notes if len(notes) == 2 else []
    total = len(told) if not reasons else None
    return answer(things.reader, told, why=reasons, total=total, notes=said, inferred=ask.infers)


def _cuts(things: Things, walked: Walk, ask: Ask, start: int, *, upstream: bool) -> list[Cut]:
    """
    Return what was cut of a walk from a thing to find ways.

    A walk is done where one more step leads to nothing new; a longer way may yet go there.
    """
    depth = ask.budget.depth
    last = [key for key, at in walked.reached.items() if at.depth == depth]
    if walked.why or not last:
        return walked.why
    grain = grain_of(things, [start], ask.grain)
    further = replace(ask, grain=grain, budget=replace(ask.budget, depth=1))
    onward = go(things, last, upstream=upstream, ask=further)
    return [Cut("depth", done=depth)] if onward.steps else []


def _towards(things: Things, start: int, end: int, ask: Ask) -> Ask:
    """
    Ask for things of the type of the end only: the walk goes on from nothing else.

    Where either of the two is a run or a version, it is the walk from that one, read back.
    """
    types = {uri.type for uri in things.reader.uris(things.groups([end])[end]).values()}
    exact = "exact" in (grain_of(things, [key], None) for key in (start, end))
    grain = ask.grain or ("exact" if exact else None)
    return replace(ask, types=frozenset(types), grain=grain)


def _ways(things: Things, walked: Walk, *, upstream: bool) -> Ways:
    """Return the ways of a walk between the names that stand for the things."""
    keys = {key for step in walked.steps.values() for key in (step.start, step.end)}
    keys |= {key for part, _, whole in walked.contained for key in (part, whole)}
    one = things.one(sorted(keys))
    return Ways(walked, things.shapes, lambda key: one[key], upstream=upstream)


def _steps(things: Things, way: Sequence[Step]) -> tuple[int, int]:
    """Return how long a way is: in steps, then with the going between part and whole."""
    level = frozenset(things.shapes.level_kinds)
    return sum(step.kind not in level for step in way), len(way)


def in_words_of(things: Things, way: tuple[Sequence[Step], bool]) -> str:
    """Tell a way that was gone in one direction."""
    return in_words(things, way[0], upstream=way[1])


def path(things: Things, steps: Sequence[Step], *, upstream: bool) -> Path:
    """Return a way with its words and its weakest link."""
    arrows = tuple(_arrow(things, step, upstream=upstream) for step in steps)
    at = weakest_link(arrows)
    ordered = arrows[::-1] if upstream else arrows
    return Path(
        ordered,
        in_words(things, steps, upstream=upstream),
        weakest(steps),
        None if at is None else arrows[at],
    )


def _arrow(things: Things, step: Step, *, upstream: bool) -> Arrow:
    """Return a step of a way in the direction of the data."""
    within = step.kind in things.shapes.level_kinds
    ends = (step.end, step.start) if upstream and not within else (step.start, step.end)
    briefs = things.briefs(ends)
    uris = things.reader.uris([step.edge[0], step.edge[2]])
    edge = (uris[step.edge[0]], step.edge[1], uris[step.edge[2]])
    start, end = (briefs[key].uri for key in ends)
    return Arrow(start, step.kind, end, step.layer, step.possible, edge=edge)


# ── Between ──────────────────────────────────────────────────────────────────────────────────────


def between(things: Things, start: int, end: int, *, ask: Ask) -> Answer[Lineage]:
    """
    Return everything on some way between two things, whichever feeds the other.

    The first start of the answer is the one that feeds the other; where each feeds the other, it is
    the one that was named first, and what lies on the way back is in it too.
    """
    one = things.one([start, end])
    if one[start] == one[end]:
        same = _lying(things, [start], {}, [], ask)
        return answer(things.reader, same, total=1, notes=["Both are names of the same thing."])
    asked, why = _towards(things, start, end, ask), list[Cut]()
    notes, found = list[str](), list[tuple[list[Step], Walk, bool]]()
    for share, upstream in ((0.5, False), (1.0, True)):
        never = impossible(things, [start], upstream=upstream, ask=asked)
        notes.extend(never)
        if never:
            continue
        walked = go(things, [start], upstream=upstream, ask=asked, share=share)
        why.extend(_cuts(things, walked, asked, start, upstream=upstream))
        steps = _ways(things, walked, upstream=upstream).between(one[start], one[end])
        if steps:
            found.append((steps, walked, upstream))
    ends = [start, end] if not found or not found[0][2] else [end, start]
    arrows: list[Arrow] = []
    reached: dict[int, Reached] = {}
    for steps, walked, upstream in found:
        arrows += [_arrow(things, step, upstream=upstream) for step in steps]
        for key in {key for step in steps for key in (step.start, step.end)}:
            at, known = walked.reached[key], reached.get(key)
            if known is None or (known.possible and not at.possible):
                reached[key] = at
    value = _lying(things, ends, reached, arrows, asked)
    total = len(value.nodes) if not why else None
    said = notes if len(notes) == 2 else []
    return answer(
        things.reader, value, why=dict.fromkeys(why), total=total, notes=said, inferred=ask.infers
    )


def _lying(
    things: Things,
    ends: Sequence[int],
    reached: Mapping[int, Reached],
    arrows: Sequence[Arrow],
    ask: Ask,
) -> Lineage:
    """Return what lies between two things as a lineage of the one that feeds the other."""
    briefs, one = things.briefs({*reached, *ends}), things.one({*reached, *ends})
    live = things.live(sorted(set(one.values())))
    first, last = briefs[ends[0]].uri, briefs[ends[-1]].uri
    inside = {
        (arrow.start, arrow.kind, arrow.end): arrow for arrow in arrows if arrow.start != arrow.end
    }
    drawn = tuple(inside[name] for name in sorted(inside))
    depths = _depths(first, drawn, frozenset(things.shapes.level_kinds))
    nodes: dict[Uri, Node] = {}
    for key in ends:
        nodes[briefs[key].uri] = Node(briefs[key], depths.get(briefs[key].uri, 0))
    for key, at in reached.items():
        uri = briefs[key].uri
        nodes[uri] = Node(
            briefs[key], depths.get(uri, 0), at.possible, at.approximate, one[key] in live
        )
    ordered = tuple(sorted(nodes.values(), key=lambda node: (node.depth, node.thing.uri)))
    by_type = Counter(uri.type for uri in nodes if uri not in (first, last))
    return Lineage(
        tuple(briefs[key] for key in ends),
        ordered,
        drawn,
        ask.grain or grain_of(things, ends, None),
        {},
        dict(sorted(by_type.items())),
        cycles(things.shapes, ordered, drawn),
    )


def _depths(first: Uri, arrows: Sequence[Arrow], within: Collection[str]) -> dict[Uri, int]:
    """Return how many steps each thing is from the first; *within* a whole there is none."""
    onward: dict[Uri, list[Arrow]] = defaultdict(list)
    for arrow in arrows:
        onward[arrow.start].append(arrow)
    depths = {first: 0}
    queue = deque([first])
    while queue:
        here = queue.popleft()
        for arrow in onward[here]:
            far = depths[here] + (arrow.kind not in within)
            if far < depths.get(arrow.end, far + 1):
                depths[arrow.end] = far
                (queue.append if far > depths[here] else queue.appendleft)(arrow.end)
    return depths


# ── Common ───────────────────────────────────────────────────────────────────────────────────────


def common(
    things: Things, keys: Sequence[int], *, upstream: bool, ask: Ask, limit: int
) -> Answer[Common]:
    """
    Return what all of these things have in common on one side, nearest first.

    One of the things themselves is common where all others have it on that side.
    """
    one = things.one(keys)
    starts = list(dict.fromkeys(one[key] for key in keys))
    depths: list[dict[int, int]] = []
    sure: dict[int, bool] = defaultdict(lambda: True)
    onward: dict[int, set[int]] = defaultdict(set)
    why: list[Cut] = []
    notes = list(
        dict.fromkeys(
            note for key in starts for note in impossible(things, [key], upstream=upstream, ask=ask)
        )
    )
    for at, start in enumerate(starts):
        share = 1 / (len(starts) - at)
        walked = go(things, [start], upstream=upstream, ask=ask, share=share)
        why.extend(walked.why)
        far, possible = _far(things, walked, start)
        depths.append(far)
        for key, doubt in possible.items():
            sure[key] = sure[key] and not doubt
        _lead(things, walked, onward)
    both = set(depths[0]).intersection(*depths[1:])
    uris = things.reader.uris(both)
    both = {
        key for key in both
        if uris[key].type != "column" or ask.columns or key in starts
        if ask.types is None or uris[key].type in ask.types
    }  # fmt: skip
    nearest = both - _beyond(both, onward)
    ordered = sorted(
        both,
        key=lambda key: (
            key not in nearest,
            max(far[key] for far in depths),
            sum(far[key] for far in depths),
            uris[key],
        ),
    )
    live = things.live(ordered)
    by_type: dict[str, int] = defaultdict(int)
    for key in ordered:
        by_type[uris[key].type] += 1
    told = ordered[:limit]
    briefs = things.briefs(told)
    value = Common(
        tuple(things.briefs([key])[key] for key in starts),
        upstream,
        tuple(
            Shared(
                briefs[key],
                tuple(far[key] for far in depths),
                not sure[key],
                key in live,
                key in nearest,
            )
            for key in told
        ),
        dict(sorted(by_type.items())),
    )
    reasons = list(dict.fromkeys(why))
    total = None if reasons else len(ordered)
    if len(ordered) > limit:
        reasons.append(Cut("list", "counted", done=limit, total=len(ordered)))
    return answer(things.reader, value, why=reasons, total=total, notes=notes, inferred=ask.infers)


def _far(things: Things, walked: Walk, start: int) -> tuple[dict[int, int], dict[int, bool]]:
    """Return how far each thing is from the start, and whether it is only possibly there."""
    one = things.one(sorted(walked.reached))
    far: dict[int, int] = {}
    doubt: dict[int, bool] = {}
    for key, at in walked.reached.items():
        shown = one[key]
        # Its own whole is not on its side; it itself is, for the others.
        if shown != start and at.depth == 0:
            continue
        far[shown] = min(far.get(shown, at.depth), at.depth)
        doubt[shown] = doubt.get(shown, True) and at.possible
    return far, doubt


def _lead(things: Things, walked: Walk, onward: dict[int, set[int]]) -> None:
    """Add to *onward* which thing leads to which by a step of a walk."""
    ends = [(step.start, step.end) for step in walked.steps.values()]
    ends += [(part, whole) for part, _, whole in walked.contained]
    one = things.one(sorted({key for pair in ends for key in pair}))
    for start, end in ends:
        if one[start] != one[end]:
            onward[one[start]].add(one[end])


def _beyond(both: Collection[int], onward: Mapping[int, Collection[int]]) -> set[int]:
    """Return those common things that lie beyond another one; of a ring none is nearer."""
    groups = components(onward)
    place = {key: at for at, group in enumerate(groups) for key in group}
    after = set[int]()
    found = set[int]()
    # What leads on comes last in the list of groups, and is looked at first.
    for at in range(len(groups) - 1, -1, -1):
        common = groups[at] & set(both)
        if at in after:
            found |= common
        if common or at in after:
            after.update(place[end] for key in groups[at] for end in onward.get(key, ()))
            after.discard(at)
    return found

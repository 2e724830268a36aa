"""Which column each thing stands in, and where links that pass a column bend."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

#: A column with more nodes than this passes its loose ends on to the next one.
TALLEST = 24
#: Above this many bends the longest links run around the picture instead of through it.
MOST_BENDS = 3000

Neighbours = list[list[int]]
Trunk = tuple[str, int, tuple[str, bool]]


class Arc(NamedTuple):
    """A link between two nodes, each known by its number."""

    start: int
    end: int
    #: Long links of one bundle that leave one node, or reach one, share their way.
    bundle: tuple[str, bool]
    #: It has no say in where its ends stand.
    loose: bool


@dataclass(frozen=True, slots=True)
class Grid:
    """Nodes and bends in columns. Nodes come first, so a number past them is a bend."""

    nodes: int
    column_of: list[int]
    ups: Neighbours
    downs: Neighbours
    columns: list[list[int]]
    #: The bends of each arc that runs through the grid; the other arcs run around it.
    bends: dict[int, list[int]]


def arrange(nodes: int, arcs: Sequence[Arc]) -> Grid:
    """Give *nodes* their columns: each right of what feeds it, cycles broken."""
    turned = _closing(nodes, arcs)
    forward = [
        number
        for number, arc in enumerate(arcs)
        if number not in turned and not arc.loose and arc.start != arc.end
    ]
    ups, downs = _neighbours(nodes, [arcs[number] for number in forward])
    levels = _levels(nodes, ups, downs)
    levels = _wrapped(levels, ups, downs)
    levels = [-level for level in _wrapped([-level for level in levels], downs, ups)]
    lowest = min(levels, default=0)
    return _bend([level - lowest for level in levels], arcs, forward)


def _neighbours(nodes: int, arcs: Sequence[Arc]) -> tuple[Neighbours, Neighbours]:
    ups: Neighbours = [[] for _ in range(nodes)]
    downs: Neighbours = [[] for _ in range(nodes)]
    for start, end in sorted({(arc.start, arc.end) for arc in arcs}):
        downs[start].append(end)
        ups[end].append(start)
    return ups, downs


def _closing(nodes: int, arcs: Sequence[Arc]) -> set[int]:
    """Return the arcs that close a cycle when one walks from the sources on."""
    firm = [arc for arc in arcs if not arc.loose and arc.start != arc.end]
    ups, downs = _neighbours(nodes, firm)
    done: set[int] = set()
    closing: set[tuple[int, int]] = set()
    for root in sorted(range(nodes), key=lambda node: (bool(ups[node]), node)):
        if root not in done:
            closing |= _walk(root, downs, done)
    return {
        number
        for number, arc in enumerate(arcs)
        if not arc.loose and (arc.start, arc.end) in closing
    }


def _walk(root: int, downs: Neighbours, done: set[int]) -> set[tuple[int, int]]:
    """Walk everything below *root*, and return the pairs that lead back onto the path."""
    back: set[tuple[int, int]] = set()
    path = {root}
    stack = [(root, iter(downs[root]))]
    while stack:
        node, rest = stack[-1]
        following = next(rest, None)
        if following is None:
            stack.pop()
            path.discard(node)
            done.add(node)
        elif following in path:
            back.add((node, following))
        elif following not in done:
            path.add(following)
            stack.append((following, iter(downs[following])))
    return back


def _levels(nodes: int, ups: Neighbours, downs: Neighbours) -> list[int]:
    """Layer by longest path, then pull what mostly feeds others close to what it feeds."""
    levels = [0] * nodes
    waiting = [len(above) for above in ups]
    order = [node for node in range(nodes) if not waiting[node]]
    for node in order:
        for below in downs[node]:
            levels[below] = max(levels[below], levels[node] + 1)
            waiting[below] -= 1
            if not waiting[below]:
                order.append(below)
    for node in reversed(order):
        if len(downs[node]) > len(ups[node]):
            levels[node] = min(levels[below] for below in downs[node]) - 1
    return levels


def _wrapped(levels: list[int], ups: Neighbours, downs: Neighbours) -> list[int]:
    """Pass loose ends of overfull levels on, so that a wide fan becomes a block of columns."""
    levels = levels.copy()
    members: dict[int, list[int]] = {}
    for node, level in enumerate(levels):
        members.setdefault(level, []).append(node)
    level = min(members, default=0)
    while level in members:
        here = members[level]
        blocks = -(-len(here) // TALLEST)
        ends = [node for node in here if not downs[node]]
        ends.sort(key=lambda node: (ups[node][:1], node))
        surplus = min(len(here) - -(-len(here) // max(blocks, 1)), len(ends))
        for node in ends[len(ends) - surplus :]:
            levels[node] = level + 1
            here.remove(node)
            members.setdefault(level + 1, []).append(node)
        level += 1
    return levels


def _bend(levels: list[int], arcs: Sequence[Arc], forward: list[int]) -> Grid:
    """Put a bend into every column that a long arc passes."""
    nodes, column_of = len(levels), levels.copy()
    shared: dict[tuple[Trunk, int], int] = {}
    trunks = _trunks(arcs, forward)
    bends: dict[int, list[int]] = {}
    steps: set[tuple[int, int]] = set()
    forward = sorted(forward, key=lambda n: (levels[arcs[n].end] - levels[arcs[n].start], n))
    for number in forward:
        start, end = arcs[number].start, arcs[number].end
        between = range(levels[start] + 1, levels[end])
        if len(between) + len(column_of) - nodes > MOST_BENDS:
            continue
        bends[number] = []
        for column in between:
            bend = shared.setdefault((trunks[number], column), len(column_of))
            if bend == len(column_of):
                column_of.append(column)
            bends[number].append(bend)
        way = [start, *bends[number], end]
        steps.update(pairwise(way))
    return _grid(nodes, column_of, steps, bends)


def _trunks(arcs: Sequence[Arc], forward: list[int]) -> dict[int, Trunk]:
    """Return with which others each arc shares its way: those of its busier end."""
    chosen = [(number, arcs[number]) for number in forward]
    leaving = Counter((arc.start, arc.bundle) for _, arc in chosen)
    reaching = Counter((arc.end, arc.bundle) for _, arc in chosen)
    return {
        number: ("to", arc.end, arc.bundle)
        if reaching[arc.end, arc.bundle] > leaving[arc.start, arc.bundle]
        else ("from", arc.start, arc.bundle)
        for number, arc in chosen
    }


def _grid(
    nodes: int, column_of: list[int], steps: set[tuple[int, int]], bends: dict[int, list[int]]
) -> Grid:
    ups: Neighbours = [[] for _ in column_of]
    downs: Neighbours = [[] for _ in column_of]
    for start, end in sorted(steps):
        downs[start].append(end)
        ups[end].append(start)
    columns: list[list[int]] = [[] for _ in range(max(column_of, default=-1) + 1)]
    for item in _family_order(downs, column_of):
        columns[column_of[item]].append(item)
    return Grid(nodes, column_of, ups, downs, columns, bends)


def _family_order(downs: Neighbours, column_of: list[int]) -> list[int]:
    """Return all items so that each comes right before what hangs on it."""
    seen: dict[int, None] = {}
    for root in sorted(range(len(downs)), key=lambda item: (column_of[item], item)):
        stack = [root]
        while stack:
            item = stack.pop()
            if item not in seen:
                seen[item] = None
                stack.extend(reversed(downs[item]))
    return list(seen)

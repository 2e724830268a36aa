"""The order of things within their columns, and how high each stands."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from itertools import pairwise
from math import inf

from lineal.surfaces.drawing.columns import Grid, Neighbours

HEIGHT = 48.0
#: Free space between two nodes, and between a node or bend and a bend.
NODE_GAP = 24.0
BEND_GAP = 14.0
#: How far a block moves to make the link of a node level; for a bend, three times as far.
_SNAP = 24.0

Columns = list[list[int]]


def untangle(grid: Grid) -> Columns:
    """Return the columns reordered so that few links cross: medians, then swaps of neighbours."""
    columns = [column.copy() for column in grid.columns]
    best, fewest = columns, _crossings(columns, grid.downs)
    rounds = max(5, min(14, 6000 // max(len(grid.column_of), 1)))
    for turn in range(rounds):
        if not fewest and turn > 3:
            break
        columns = [column.copy() for column in columns]
        if turn % 2:
            _sort_by_side(columns[::-1], grid.downs)
        else:
            _sort_by_side(columns, grid.ups)
        _swap(columns, grid)
        crossings = _crossings(columns, grid.downs)
        if crossings <= fewest:
            best, fewest = [column.copy() for column in columns], crossings
    return best


def _sort_by_side(columns: Columns, sides: Neighbours) -> None:
    """Sort each column in place by the mean position of its neighbours in the one before."""
    for before, column in pairwise(columns):
        at = {item: position for position, item in enumerate(before)}
        scale = len(before) / len(column)
        wish = {}
        for position, item in enumerate(column):
            near = sides[item]
            wish[item] = (
                sum([at[other] for other in near]) / len(near) if near else position * scale
            )
        column.sort(key=wish.__getitem__)


def _crossings(columns: Columns, downs: Neighbours) -> int:
    """Count how many pairs of steps cross between neighbouring columns."""
    total = 0
    for column, after in pairwise(columns):
        at = {item: position for position, item in enumerate(after)}
        seen: list[int] = []
        for item in column:
            ends = sorted([at[other] for other in downs[item]])
            total += sum([len(seen) - bisect_right(seen, end) for end in ends])
            for end in ends:
                insort(seen, end)
    return total


def _swap(columns: Columns, grid: Grid) -> None:
    """Exchange neighbours in place wherever that removes crossings."""
    at = {item: place for column in columns for place, item in enumerate(column)}
    for number, column in enumerate(columns):
        sides = [
            {item: sorted([at[other] for other in near[item]]) for item in column}
            for near, exists in ((grid.ups, number), (grid.downs, number + 1 < len(columns)))
            if exists
        ]
        for _ in range(3):
            if not _swap_once(column, sides):
                break
        for place, item in enumerate(column):
            at[item] = place


def _swap_once(column: list[int], sides: Sequence[dict[int, list[int]]]) -> bool:
    changed = False
    for place in range(len(column) - 1):
        upper, lower = column[place], column[place + 1]
        if sum([_gain(side[upper], side[lower]) for side in sides]) > 0:
            column[place], column[place + 1] = lower, upper
            changed = True
    return changed


def _gain(upper: list[int], lower: list[int]) -> int:
    """Return how many crossings vanish when *lower* goes above *upper*; both are sorted."""
    if not upper or not lower or upper[-1] < lower[0]:
        return -len(upper) * len(lower)
    before = sum([len(upper) - bisect_right(upper, end) for end in lower])
    after = sum([bisect_left(upper, end) for end in lower])
    return before - after


def settle(grid: Grid, columns: Columns, focus: int | None) -> list[float]:
    """Return the height of every item: in order, clear of each other, links nearly level."""
    heights = [0.0] * len(grid.column_of)
    for column in columns:
        _spread(column, grid, heights, dict.fromkeys(column, (0.0, 1.0)))
    everything = range(len(columns))
    middle = grid.column_of[focus] if focus is not None else len(columns) // 2
    for _ in range(5 if len(heights) < 1200 else 2):
        _relax(everything, grid.ups, grid, columns, heights)
        _relax(everything[::-1], grid.downs, grid, columns, heights)
    _relax(everything, grid.ups, grid, columns, heights)
    _relax(everything[: middle + 1][::-1], grid.downs, grid, columns, heights)
    _relax(everything[middle + 1 :], grid.ups, grid, columns, heights)
    return _close_bands(heights, grid.nodes)


def _close_bands(heights: list[float], nodes: int) -> list[float]:
    """Take out bands in which no column has anything, down to the usual space."""
    closed, lowest, taken_out = heights.copy(), -inf, 0.0
    half = [HEIGHT / 2 if item < nodes else 0.0 for item in range(len(heights))]
    for item in sorted(range(len(heights)), key=lambda item: heights[item] - half[item]):
        if lowest > -inf:
            taken_out += max(heights[item] - half[item] - lowest - NODE_GAP, 0.0)
        lowest = max(lowest, heights[item] + half[item])
        closed[item] = heights[item] - taken_out
    return closed


def _relax(
    numbers: Sequence[int], sides: Neighbours, grid: Grid, columns: Columns, heights: list[float]
) -> None:
    """Move each column in turn towards its neighbours on one side."""
    for number in numbers:
        wishes = {}
        for item in columns[number]:
            near = sides[item]
            if near:
                weight = 8.0 if item >= grid.nodes else 1.0
                wishes[item] = (_median([heights[other] for other in near]), weight)
            else:
                wishes[item] = (heights[item], 0.05)
        _spread(columns[number], grid, heights, wishes)


def _median(values: list[float]) -> float:
    values.sort()
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def _spread(
    column: list[int], grid: Grid, heights: list[float], wishes: dict[int, tuple[float, float]]
) -> None:
    """Set the heights of *column* closest to the wishes (height, weight) without overlaps.

    Taking off what must lie between makes this a regression that may only rise: neighbours
    that are in each other's way are merged into a block, which stands at their mean.
    """
    offsets, blocks = _offsets(column, grid.nodes), list[tuple[float, float, int]]()
    levels: list[tuple[float, float]] = []
    for item, offset in zip(column, offsets, strict=True):
        wish, weight = wishes[item]
        levels.append((wish - offset, _SNAP * min(weight, 3.0)))
        block = ((wish - offset) * weight, weight, 1)
        while blocks and blocks[-1][0] * block[1] > block[0] * blocks[-1][1]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    place, above = 0, -inf
    for number, (total, weight, count) in enumerate(blocks):
        below = blocks[number + 1][0] / blocks[number + 1][1] if number + 1 < len(blocks) else inf
        above = _snap(total / weight, levels[place : place + count], above, below)
        for at in range(place, place + count):
            heights[column[at]] = above + offsets[at]
        place += count


def _snap(mean: float, levels: list[tuple[float, float]], above: float, below: float) -> float:
    """Return a level near *mean* at which one member, best a bend, stands as it wishes."""
    near = [
        (-reach, abs(level - mean), level)
        for level, reach in levels
        if abs(level - mean) < reach and above <= level <= below
    ]
    return min(near)[2] if near else mean


def _offsets(column: list[int], nodes: int) -> list[float]:
    """Return how far each item must at least be below the first."""
    offsets, at = [], 0.0
    for place, item in enumerate(column):
        if place:
            bent = (column[place - 1] >= nodes) + (item >= nodes)
            at += (HEIGHT + NODE_GAP, HEIGHT / 2 + BEND_GAP, BEND_GAP)[bent]
        offsets.append(at)
    return offsets

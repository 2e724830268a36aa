"""The shortest ways between two things."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from lineal.lineage.graph import Step


def shortest_paths(
    steps: Iterable[Step], start: int, end: int, k: int, limit: int = 20_000
) -> tuple[list[list[Step]], bool]:
    """
    Return up to *k* shortest ways from *start* to *end* without a repeated thing.

    Breadth first over the ways themselves; the second value is False where *limit* ways were
    looked at before all were found.
    """
    onward: dict[int, list[Step]] = defaultdict(list)
    for step in sorted(steps, key=lambda one: (one.start, one.end, one.kind)):
        onward[step.start].append(step)
    found: list[list[Step]] = []
    ways: list[list[Step]] = [[]]
    looked = 0
    while ways and len(found) < k:
        longer = []
        for way in ways:
            here = way[-1].end if way else start
            seen = {start, *(step.end for step in way)}
            for step in onward[here]:
                looked += 1
                if looked > limit:
                    return found, False
                if step.end == end:
                    found.append([*way, step])
                elif step.end not in seen:
                    longer.append([*way, step])
        ways = longer
    return found[:k], True

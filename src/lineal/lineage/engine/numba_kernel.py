"""The walk, compiled: chosen where numba is installed (the extra ``fast``).

Breadth first over a queue. Compiled at the first walk and kept on disk by numba; nothing here is
imported before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])

    def njit(**options: Any) -> Callable[[Function], Function]:
        """Compile a function."""
else:
    from numba import njit


@njit(cache=True, nogil=True)
def levels(
    first: Any,
    last: Any,
    targets: Any,
    codes: Any,
    allowed: Any,
    masked: bool,
    seen: Any,
    queue: Any,
    bounds: Any,
    parent: Any,
    edge: Any,
    traced: bool,
    state: Any,
    limits: Any,
) -> int:
    """
    Walk level after level; return 0 if nothing is left, 1 to 3 for a limit hit, 4 to pause.

    *limits* are depth, nodes, edges, and how many edges to look at before time is looked at. What
    was seen is forgotten at the end, but not at a pause.
    """
    low, high, depth, scanned = state[0], state[1], state[2], state[3]
    pause = scanned + limits[3]
    outcome = 0
    while low < high:
        if depth >= limits[0]:
            outcome = 1
            break
        if high >= limits[1]:
            outcome = 2
            break
        if scanned >= limits[2]:
            outcome = 3
            break
        if scanned >= pause:
            outcome = 4
            break
        count = high
        for at in range(low, high):
            node = queue[at]
            begin, end = first[node], last[node]
            scanned += end - begin
            for place in range(begin, end):
                if masked and not allowed[codes[place]]:
                    continue
                target = targets[place]
                if seen[target] == 0:
                    seen[target] = 1
                    queue[count] = target
                    if traced:
                        parent[count] = at
                        edge[count] = place
                    count += 1
        low, high = high, count
        depth += 1
        bounds[depth + 1] = high
    state[0], state[1], state[2], state[3] = low, high, depth, scanned
    if outcome != 4:
        for at in range(high):
            seen[queue[at]] = 0
    return outcome


@njit(cache=True, nogil=True)
def meet(
    first: Any,
    last: Any,
    targets: Any,
    codes: Any,
    back_first: Any,
    back_last: Any,
    back_targets: Any,
    back_codes: Any,
    allowed: Any,
    masked: bool,
    seen: Any,
    queue: Any,
    back_queue: Any,
    parent: Any,
    back_parent: Any,
    edge: Any,
    back_edge: Any,
    state: Any,
    limit: int,
) -> int:
    """
    Walk from two sides, the smaller level first, until they meet; return the place of the meeting.

    ``seen`` holds 1 or 2 for the side that came to a node. *state* takes the place on each side and
    the edge between; -1 is returned where there is no way, -2 where *limit* edges were looked at.
    """
    low = np.zeros(2, np.int64)
    high = np.array((state[0], state[1]), np.int64)
    scanned = 0
    while low[0] < high[0] and low[1] < high[1]:
        side = 0 if high[0] - low[0] <= high[1] - low[1] else 1
        count = high[side]
        for at in range(low[side], high[side]):
            if side == 0:
                node = queue[at]
                begin, end = first[node], last[node]
            else:
                node = back_queue[at]
                begin, end = back_first[node], back_last[node]
            scanned += end - begin
            if scanned > limit:
                state[0], state[1] = high[0], high[1]
                if side == 0:
                    state[0] = count
                else:
                    state[1] = count
                return -2
            for place in range(begin, end):
                if side == 0:
                    if masked and not allowed[codes[place]]:
                        continue
                    target = targets[place]
                else:
                    if masked and not allowed[back_codes[place]]:
                        continue
                    target = back_targets[place]
                mark = seen[target]
                if mark == 0:
                    seen[target] = side + 1
                    if side == 0:
                        queue[count], parent[count], edge[count] = target, at, place
                    else:
                        back_queue[count], back_parent[count], back_edge[count] = target, at, place
                    count += 1
                elif mark != side + 1:
                    state[0], state[1] = high[0], high[1]
                    if side == 0:
                        state[0] = count
                    else:
                        state[1] = count
                    state[2], state[3], state[4], state[5] = side, at, target, place
                    return 1
        low[side], high[side] = high[side], count
    state[0], state[1] = high[0], high[1]
    return -1

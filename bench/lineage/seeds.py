"""Which things are asked about, and how far each reaches: found by a plain walk over levels.

The walk is the reference of the benchmark: every engine's answer is checked against it, so it
shares no code with any of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.lineage.graph import STAGES, TYPES, Bytes, Edges, Estate, Ints, Longs

#: How many are asked of each sort; paths and upstream walks as many as typical ones. A processor
#: learns the branches of twenty small walks by heart: C takes 2.8 µs for them, 6.1 for a hundred.
TYPICAL, HUBS = 100, 3
#: What counts as a typical closure and as a hub's, by the number of things.
_BANDS = {2_000: (20, 200, 500), 10_000: (50, 500, 3_000)}
_BAND = (100, 1_000, 100_000)


@dataclass(frozen=True, slots=True)
class Reached:
    """What a walk reached, without its start and sorted; how deep; and the edges it looked at."""

    ids: Ints
    depths: Ints
    scanned: int

    def __len__(self) -> int:
        return len(self.ids)


class Reference:
    """Edges in rows, walked level by level with NumPy."""

    def __init__(self, starts: Ints, ends: Ints, codes: Bytes, things: int) -> None:
        order = np.argsort(starts, kind="stable")
        self.pointers = np.zeros(things + 1, dtype=np.int64)
        np.cumsum(np.bincount(starts, minlength=things), out=self.pointers[1:])
        self.others, self.codes = ends[order], codes[order]
        self._depths = np.full(things, -1, dtype=np.int32)

    @classmethod
    def down(cls, edges: Edges, things: int) -> Reference:
        """Walk with the flow of data."""
        return cls(edges.starts, edges.ends, edges.codes, things)

    @classmethod
    def up(cls, edges: Edges, things: int) -> Reference:
        """Walk against the flow of data."""
        return cls(edges.ends, edges.starts, edges.codes, things)

    def rows(self, things: Ints) -> Longs:
        """Return where the edges of *things* stand."""
        first = self.pointers[things]
        count = self.pointers[things + 1] - first
        ends = np.cumsum(count)
        return np.repeat(first - (ends - count), count) + np.arange(int(count.sum()))

    def reached(
        self, start: int, *, hops: int = 1 << 30, mask: NDArray[np.bool_] | None = None
    ) -> Reached:
        """Return what is reached from *start* in at most *hops* steps."""
        level = np.array([start], dtype=np.int32)
        self._depths[start] = 0
        levels, scanned = [level], 0
        while len(level) and len(levels) <= hops:
            places = self.rows(level)
            scanned += len(places)
            if mask is not None:
                places = places[mask[self.codes[places]]]
            level = np.unique(self.others[places])
            level = level[self._depths[level] < 0]
            self._depths[level] = len(levels)
            levels.append(level)
        found = np.concatenate(levels)
        ids = np.sort(found[found != start])
        depths = self._depths[ids].copy()
        self._depths[found] = -1
        return Reached(ids, depths, scanned)


@dataclass(frozen=True, slots=True)
class Seeds:
    """Whom the questions are about; *sizes* are the starts of the picture, the smallest first."""

    typical: list[int]
    hub: list[int]
    mega: list[int]
    models: list[int]
    paths: list[tuple[int, int]]
    hub_paths: list[tuple[int, int]]
    sizes: list[int]
    #: How many are reached, and edges scanned, by the median walk of each sort.
    measured: Mapping[str, tuple[int, int]]


def choose(estate: Estate, seed: int = 11) -> Seeds:
    """Choose whom to ask about: the same for the same estate."""
    dice = np.random.default_rng(seed)
    walked = estate.walked()
    down = Reference.down(walked, len(estate))
    count = min(TYPICAL, len(estate) // 100)
    least, most, wide = _BANDS.get(len(estate), _BAND)
    out = np.diff(down.pointers)
    mega = int(np.argmax(out))
    tables = dice.permutation(np.flatnonzero((estate.types == 0) & (out > 0)))
    typical, tried = _some(down, tables, count, least, most)
    # Hubs come from the most used tables, whatever their number.
    ranked = np.argsort(-out, kind="stable")[:: max(1, len(estate) // 1_000_000)][:120]
    near = {int(one): len(down.reached(int(one))) for one in ranked}
    hub = sorted(near, key=lambda one: abs(near[one] - wide))[:HUBS]
    mega = max(near, key=lambda one: near[one])
    up = Reference.up(walked, len(estate))
    versions = np.flatnonzero(estate.types == TYPES.index("model-version"))
    fed = versions[np.diff(up.pointers)[versions] > 0]
    models = [int(one) for one in dice.permutation(fed)[:count]]
    reach = {**tried, **near}
    return Seeds(
        typical, hub, [mega], models,
        [(start, _far(down, start, dice)) for start in typical],
        [(start, _far(down, start, dice)) for start in hub * (count // HUBS)],
        _spread(reach),
        {
            "typical": _middle(down, typical), "hub": _middle(down, hub),
            "mega": _middle(down, [mega]), "up": _middle(up, models),
            "hops": _middle(down, typical, hops=3),
        },
    )  # fmt: skip


def _some(
    walk: Reference, things: Iterable[int], count: int, least: int, most: int
) -> tuple[list[int], dict[int, int]]:
    found, tried = [], {}
    for thing in things:
        tried[int(thing)] = reach = len(walk.reached(int(thing)))
        if least <= reach <= most:
            found.append(int(thing))
        if len(found) == count:
            break
    return found, tried


def _far(walk: Reference, start: int, dice: np.random.Generator) -> int:
    """Return something that *start* feeds over several steps."""
    reached = walk.reached(start)
    deep = reached.ids[reached.depths >= max(1, int(reached.depths.max()) - 2)]
    return int(dice.choice(deep))


def _spread(reach: Mapping[int, int]) -> list[int]:
    """Choose starts for the picture: two or three for each third of a decade of size."""
    bins: dict[int, list[int]] = {}
    for thing in sorted(reach, key=lambda one: reach[one]):
        if reach[thing]:
            bins.setdefault(int(3 * np.log10(reach[thing])), []).append(thing)
    return [thing for some in bins.values() for thing in some[:: max(1, len(some) // 2)][:3]]


def _middle(walk: Reference, starts: Iterable[int], hops: int = 1 << 30) -> tuple[int, int]:
    found = [walk.reached(start, hops=hops) for start in starts]
    return (
        int(np.median([len(one) for one in found])),
        int(np.median([one.scanned for one in found])),
    )


def services(estate: Estate, reached: Ints) -> Ints:
    """Return the production services among *reached*."""
    live = estate.stages[reached] == STAGES.index("production")
    found: Ints = reached[live & (estate.types[reached] == TYPES.index("service"))]
    return found

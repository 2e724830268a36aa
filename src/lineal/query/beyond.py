"""What a change touches where that is more than a walk may go through.

Step by step a walk is cut in the order of distance, and what is in use may lie beyond. So all of it
is found over compiled rows and counted by columns, and only the ways to the worst are gone step by
step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from lineal.lineage import Walk
from lineal.lineage.engine.adjacency import Bools, Longs
from lineal.model import Cut
from lineal.query.changing import Change
from lineal.query.counting import Counting, counted
from lineal.query.reaching import of_types
from lineal.query.things import Things
from lineal.query.touching import (
    NAMED,
    Everything,
    Share,
    Touch,
    effect_of,
    layers_of,
    of_walk,
    towards,
)
from lineal.query.walks import COMPILED, Ask, go


def everything(
    things: Things, keys: Collection[int], *, ask: Ask, change: Change | None, limit: int
) -> Everything:
    """Return all that is made from things: by a walk where that goes through all of it."""
    way = towards(things, ask)
    known = counted(things, keys, upstream=False, ask=way, budget=COMPILED)
    if known is not None and known.has_columns and len(known) > ask.budget.nodes:
        return _of_columns(things, known, keys, ask, change, limit)
    walked = go(things, keys, upstream=False, ask=way)
    cut = any(one.limit in ("nodes", "edges") for one in walked.why)
    if cut and known is not None and known.has_columns:
        return _of_columns(things, known, keys, ask, change, limit)
    return of_walk(things, walked, keys, ask, change)


def _of_columns(
    things: Things,
    known: Counting,
    keys: Collection[int],
    ask: Ask,
    change: Change | None,
    limit: int,
) -> Everything:
    every = set(known.far.keys.tolist())
    anyhow = replace(ask, types=None)
    why = known.ask_store()
    # What is in use may be of other types than are told.
    resting, cut = _used(things, known, anyhow)
    why += cut
    known.keep(things.one(list(keys)).values(), ask)
    far, alive = known.far, known.alive()
    used = np.isin(far.keys, resting)
    order = np.lexsort((far.keys, far.depths, ~used, ~alive))
    worst = far.keys[order[:limit]].tolist()
    deepest = int(far.depths[order[:limit]].max(initial=0))
    walked, cut = _ways(things, keys, worst, every, replace(
        anyhow, budget=replace(COMPILED, depth=deepest, milliseconds=ask.budget.milliseconds)
    ))  # fmt: skip
    why += cut
    uris, layers, owners = things.reader.uris(worst), layers_of(walked), things.owners(worst)
    touched = [
        Touch(
            key, uris[key], depth, layers.get(key, 0), live, in_use, possible,
            effect_of(change, depth, possible),
        )
        for key, depth, live, in_use, possible in zip(
            worst,
            *(column[order[:limit]].tolist() for column in (far.depths, used, alive, far.possible)),
            strict=True,
        )
    ]  # fmt: skip
    effects: Counter[str] = Counter()
    if change is not None:
        pairs, many = np.unique(far.depths << 1 | far.possible, return_counts=True)
        for pair, count in zip(pairs.tolist(), many.tolist(), strict=True):
            effects[change.effect(pair >> 1, possible=bool(pair & 1))] += count
    return Everything(
        sorted(touched, key=lambda one: one.place),
        owners,
        walked,
        len(known),
        int(used.sum()),
        int(alive.sum()),
        known.by_type(),
        dict(sorted(effects.items())),
        _shares_of(known, order, used),
        why,
        is_whole=True,
    )


def _used(things: Things, known: Counting, ask: Ask) -> tuple[Longs, list[Cut]]:
    """
    Return which things are live, or anything live rests on, or are a part of what is so.

    And what was cut of that.
    """
    keys, alive = known.far.keys, known.alive()
    if not alive.any():
        return keys[alive], []
    above, why = of_types(
        things, keys[alive].tolist(), None, upstream=True, ask=ask, compiled=COMPILED
    )  # fmt: skip
    used: Bools = alive | np.isin(keys, sorted(above))
    parts, wholes = known.wholes()
    while True:
        more = parts[np.isin(wholes, keys[used]) & ~used[parts]]
        if not more.size:
            return keys[used], why
        used[more] = True


def _ways(
    things: Things, keys: Collection[int], ends: Sequence[int], every: Collection[int], ask: Ask
) -> tuple[Walk, list[Cut]]:
    """Walk to these ends, only over what lies between; return the walk and what was cut."""
    above, why = of_types(things, ends, None, upstream=True, ask=ask, compiled=COMPILED)
    between = above.intersection(every) | set(ends)
    walked = _between(things, keys, between, ask)
    if all(key in walked.reached for key in ends):
        return walked, why + walked.why
    # A whole may be come to by a part of it alone, which nothing leads back to.
    level = frozenset(things.shapes.level_kinds)
    parts = {link.src for link in things.graph.inward(between, level)}.intersection(every)
    walked = _between(things, keys, between | parts, ask)
    return walked, why + walked.why


def _between(things: Things, keys: Collection[int], between: Collection[int], ask: Ask) -> Walk:
    groups = things.groups(between)
    among = {member for key in between for member in groups[key]}
    return go(things, keys, upstream=False, ask=ask, among=among)


def _shares_of(known: Counting, order: Longs, used: Bools) -> list[Share]:
    """Count by owner, from the columns."""
    codes, names = known.types
    rank = np.empty(len(known), np.int64)
    rank[order] = np.arange(len(known))
    places, ends = known.owned()
    nobody = np.setdiff1d(np.arange(len(known)), places)
    # What nobody owns comes last, under a number that is no key.
    places = np.append(places, nobody)
    ends = np.append(ends, np.full(nobody.size, -1))
    by_owner = np.lexsort((rank[places], ends))
    places, ends = places[by_owner], ends[by_owner]
    first = np.flatnonzero(np.append(True, ends[1:] != ends[:-1])[: ends.size]).tolist()
    found = []
    for begin, end in pairwise([*first, ends.size]):
        some = places[begin:end]
        many = np.bincount(codes[some], minlength=len(names)).tolist()
        owner = int(ends[begin])
        found.append(
            Share(
                None if owner < 0 else owner,
                int(some.size),
                int(used[some].sum()),
                {name: count for name, count in sorted(zip(names, many, strict=True)) if count},
                tuple(known.far.keys[some[:NAMED]].tolist()),
            )
        )
    return found

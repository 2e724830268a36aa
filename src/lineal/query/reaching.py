"""What a walk comes to, for questions that ask what and how far, and not by which steps."""

from __future__ import annotations

from collections.abc import Collection

from lineal.lineage import Reached, Walk, Way
from lineal.query.things import Things
from lineal.query.walks import Ask, go, grain_of


def reached(things: Things, keys: Collection[int], *, upstream: bool, ask: Ask) -> Walk:
    """
    Walk from things in one direction; the walk that is returned may know no steps.

    From the compiled rows of the index where they answer it whole, else step by step.
    """
    if things.index is not None:
        logical = grain_of(things, keys, ask.grain) == "logical"
        way = Way(upstream, logical, layers=ask.layers, kinds=ask.kinds)
        found = things.index.reach(things.reader, keys, way, ask.budget)
        if found is not None:
            reach, names = found
            columns = (reach.things, reach.depths, reach.possible, reach.approximate)
            walked = Walk(scanned=reach.scanned)
            for thing, depth, possible, approximate in zip(
                *(column.tolist() for column in columns), strict=True
            ):
                for name in names(thing):
                    walked.reached[name] = Reached(name, depth, possible, approximate, None)
            return walked
    return go(things, keys, upstream=upstream, ask=ask)

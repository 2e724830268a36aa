"""What a walk comes to, for questions that ask what and how far, and not by which steps."""

from __future__ import annotations

from collections.abc import Collection

from lineal.lineage import Reached, Walk
from lineal.model import Budget, Cut
from lineal.query.things import Things
from lineal.query.walks import Ask, go, way_of

#: How far compiled rows are walked for things of one type: over a million of them takes no longer
#: than to read a few hundred things.
COMPILED = Budget(depth=100_000, nodes=2_000_000, edges=10_000_000)


def of_type(
    things: Things, keys: Collection[int], kind: str, *, upstream: bool, ask: Ask
) -> tuple[list[int], list[Cut]]:
    """
    Return what of one type things lead to, in the order of URIs, and what was cut.

    Over compiled rows the walk goes as far as it goes; step by step as far as its budget.
    """
    if things.index is None:
        walked = go(things, keys, upstream=upstream, ask=ask)
        uris, why = things.reader.uris(walked.reached), walked.why
        found = [key for key in walked.reached if uris[key].type == kind]
    else:
        # NumPy is imported where there is an index.
        from lineal.lineage.engine.columns import Unsound  # noqa: PLC0415
        from lineal.query import counting  # noqa: PLC0415

        try:
            counted, why = counting.reached(
                things, keys, upstream=upstream, ask=ask, compiled=COMPILED
            )
            found = counted.of_type(kind)
        except Unsound:
            things.leave_index()
            return of_type(things, keys, kind, upstream=upstream, ask=ask)
    own = set(things.one(list(keys)).values())
    return [key for key in things.unique(found) if key not in own], why


def reached(things: Things, keys: Collection[int], *, upstream: bool, ask: Ask) -> Walk:
    """
    Walk from things in one direction; the walk that is returned may know no steps.

    From the compiled rows of the index where they answer it whole, else step by step.
    """
    if things.index is not None:
        way = way_of(things, keys, upstream=upstream, ask=ask)
        found = things.index.reach(things.reader, keys, way, things.left(ask.budget))
        if found is not None:
            reach, names = found
            columns = (reach.things, reach.depths, reach.possible, reach.approximate)
            walked = Walk(scanned=reach.scanned)
            for thing, depth, possible, approximate in zip(
                *(column.tolist() for column in columns), strict=True
            ):
                for name in names(thing):
                    walked.reached[name] = Reached(name, depth, possible, approximate, None)
            things.reached += len(walked.reached)
            things.scanned += walked.scanned
            return walked
    return go(things, keys, upstream=upstream, ask=ask)

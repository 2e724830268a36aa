"""What a walk comes to, for questions that ask what and how far, and not by which steps.

Where there is an index they are answered from its compiled rows and from the columns beside them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from lineal.lineage import Reached, Walk
from lineal.model import Budget, Cut
from lineal.query.things import Things
from lineal.query.walks import Ask, go, way_of


def of_types(
    things: Things,
    keys: Collection[int],
    types: Collection[str] | None,
    *,
    upstream: bool,
    ask: Ask,
    compiled: Budget | None = None,
) -> tuple[set[int], list[Cut]]:
    """
    Return what things lead to, themselves too, of some types or of all, and what was cut.

    Each is told under the name that stands for it. *compiled*: how far over compiled rows, which
    then takes nothing from the budget; None: as far as is left of that.
    """
    if things.index is None:
        walked = go(things, keys, upstream=upstream, ask=ask)
        found, why = list(walked.reached), list(walked.why)
        if types is not None:
            uris = things.reader.uris(found)
            found = [key for key in found if uris[key].type in types]
        return set(things.one(found).values()), why
    # NumPy is imported where there is an index.
    from lineal.lineage.engine.columns import Unsound  # noqa: PLC0415
    from lineal.query import counting  # noqa: PLC0415

    try:
        left = ask if compiled is not None else replace(ask, budget=things.left(ask.budget))
        counted, why = counting.reached(
            things, keys, upstream=upstream, ask=left, compiled=compiled
        )
        return set(counted.of_types(types)), why
    except Unsound:
        things.leave_index()
        return of_types(things, keys, types, upstream=upstream, ask=ask)


def live_things(things: Things) -> list[int]:
    """Return what is in use by itself, each under one name, in the order of URIs."""
    types = [name for name, shape in things.shapes.types.items() if shape.live]
    if things.index is not None:
        from lineal.lineage.engine.columns import Unsound  # noqa: PLC0415
        from lineal.query.traits import live_of  # noqa: PLC0415

        try:
            known = things.index.known(things.reader)
            if known is not None:
                return things.unique(live_of(things, known, types))
        except Unsound:
            things.leave_index()
    return things.unique(things.live(things.reader.of_types(types)))


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

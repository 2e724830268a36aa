"""What the index knows of things by which walks are counted: their types, stages, owners, use."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from lineal.lineage.engine.adjacency import Bools, Longs, distinct
from lineal.lineage.engine.claims import Numbers
from lineal.lineage.engine.held import Shelves
from lineal.lineage.engine.traits import ASK, Traits
from lineal.query.things import Things
from lineal.shapes import Shapes
from lineal.store import Reader
from lineal.store.slices import slices


def traits_of(reader: Reader, shapes: Shapes, numbers: Numbers) -> Traits:
    """Read the traits of all things at a reader's moment."""
    stages, turning = reader.stages()
    live = set[int]()
    in_use = [name for name, shape in shapes.types.items() if shape.live]
    for some in slices(reader.of_types(in_use)):
        live |= Things(reader, shapes).live(some)
    number = numbers.number
    return Traits.of(
        {at: stage for key, stage in stages.items() if (at := number(key)) is not None},
        {at for key in turning if (at := number(key)) is not None},
        {at for key in live if (at := number(key)) is not None},
        numbers.things,
    )


@dataclass(frozen=True, slots=True)
class Known:
    """What is known at a moment without asking the store, and of which things."""

    shelves: Shelves
    traits: Traits
    changed: Collection[int]

    def sure(self, keys: Longs) -> Bools:
        """Of which of these things, each under its own name alone, is all known?"""
        picture = self.shelves.picture
        numbers = picture.numbers
        found: Bools = (
            keys < numbers.things if numbers.keys is None else np.isin(keys, numbers.keys)
        )
        for others in (self.changed, self.shelves.members):
            if others:
                found &= ~np.isin(keys, np.fromiter(others, np.int64, len(others)))
        places = numbers.each(keys[found])
        known = self.traits.stages[places] != ASK
        if picture.partial is not None:
            known &= ~picture.partial[places]
        found[found] = known
        return found

    def types(self, keys: Longs) -> tuple[Longs, tuple[str, ...]]:
        """Return the type of each of these things, as a place in names."""
        picture = self.shelves.picture
        return picture.types[picture.numbers.each(keys)].astype(np.int64), picture.type_names

    def of_types(self, names: Collection[str]) -> Longs:
        """Return the things that are of these types, but for what is new."""
        picture = self.shelves.picture
        wanted = np.array([name in names for name in picture.type_names], np.bool_)
        found: Longs = picture.numbers.key(np.flatnonzero(wanted[picture.types])).astype(np.int64)
        return found

    def stages(self, keys: Longs) -> tuple[Longs, tuple[str, ...]]:
        """Return the stage of each of these things, as a place in names; "" is none."""
        places = self.shelves.picture.numbers.each(keys)
        return self.traits.stages[places].astype(np.int64), self.traits.stage_names

    def live(self, keys: Longs) -> Bools:
        """Which of these things are live by themselves?"""
        found: Bools = self.traits.live[self.shelves.picture.numbers.each(keys)]
        return found

    def joined(
        self, keys: Longs, kinds: Collection[str], layers: Collection[str] | None
    ) -> tuple[Longs, Longs]:
        """
        Return the edges of these kinds that begin at things: places among *keys*, and their ends.

        In no order; each pair is told once.
        """
        picture = self.shelves.picture
        places, ends = self.shelves.joined(
            picture.numbers.each(keys),
            kinds,
            None if layers is None else np.array([one in layers for one in picture.layer_names]),
        )
        ends = picture.numbers.key(ends).astype(np.int64)
        return once(places, ends)


def live_of(things: Things, known: Known, types: Collection[str]) -> set[int]:
    """Return which things of these types are live; the store is asked where it must be."""
    keys = known.of_types(types)
    sure = known.sure(keys)
    certain = keys[sure]
    found: set[int] = set(certain[known.live(certain)].tolist())
    changed = things.reader.types(known.changed)
    asked = {key for key, name in changed.items() if name in types} | set(keys[~sure].tolist())
    return found | things.live(asked)


def once(places: Longs, ends: Longs) -> tuple[Longs, Longs]:
    """Return pairs each once, in no order: only those of places that come again are sorted."""
    again = np.bincount(places)[places] > 1
    if not again.any():
        return places, ends
    pairs = distinct(places[again] << 32 | ends[again])
    return (
        np.append(places[~again], pairs >> 32),
        np.append(ends[~again], pairs & 0xFFFF_FFFF),
    )

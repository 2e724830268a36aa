"""What the lineage index stands on: built from the store, or taken from a file beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from lineal.lineage.engine.held import Shelves
from lineal.lineage.engine.overlay import Overlay
from lineal.lineage.engine.packing import (
    pack_graph,
    pack_legend,
    pack_shelves,
    pack_traits,
    unpack_graph,
    unpack_legend,
    unpack_shelves,
    unpack_traits,
)
from lineal.lineage.engine.spoiled import Spoiled
from lineal.lineage.engine.thinning import Rule
from lineal.lineage.engine.traits import Traits
from lineal.lineage.engine.walkgraph import WalkGraph
from lineal.model import Instant
from lineal.query.moments import Moments
from lineal.query.traits import traits_of
from lineal.shapes import Shapes
from lineal.store import Reader, derived

log = structlog.get_logger("lineal")

#: The way in which the arrays are made: a file of another is of no use.
_MADE = 8


@dataclass(frozen=True, slots=True)
class Standing:
    """The arrays at one transaction, and what has changed since, up to another."""

    built: int
    shelves: Shelves
    graphs: tuple[WalkGraph, WalkGraph]
    #: The claims that begin or end to be so by themselves, the next one first.
    turns: tuple[tuple[Instant, int, str, int], ...]
    since: Instant
    #: How far the feed was followed, and up to which instant the turns.
    t: int
    turned: int
    changed: frozenset[int]
    spoiled: tuple[Spoiled, Spoiled]
    #: The rows made anew of each grain since it last changed; made when they are first needed.
    overlays: tuple[Overlay, Overlay]
    #: What things are counted by.
    traits: Traits
    #: The compiled graphs of moments in the past.
    moments: Moments
    #: The file it comes from, as long as that was not looked through.
    mapped: derived.Mapped | None = None

    @property
    def nbytes(self) -> int:
        """How much memory the arrays take."""
        rows = sum(graph.nbytes for graph in self.graphs)
        return self.shelves.nbytes + rows + self.traits.nbytes


def built(
    reader: Reader, shapes: Shapes, memory: int, rule: Rule, past: Instant
) -> Standing | None:
    """
    Read the store at a reader's moment; None where the arrays would be too large.

    *past*: how long ago what ended is held, if there is room for it.
    """
    try:
        since = reader.basis.valid_at - past
        picture = reader.picture(shapes, timed=True, rule=rule, since=since)
        shelves = Shelves(picture)
        if shelves.nbytes > memory // 2:
            shelves = Shelves(replace(picture, past=None))
        if shelves.nbytes > memory:
            raise OverflowError(f"It would take {shelves.nbytes} bytes and more.")
        graphs = (
            WalkGraph.of(picture, shapes, logical=True),
            WalkGraph.of(picture, shapes, logical=False),
        )
        # Which key stands for a thing hangs on no grain.
        for graph in graphs:
            graph.stands = shelves.stands
    except OverflowError as error:
        log.warning("walks go through the store", why=str(error))
        return None
    basis = reader.basis
    turns = tuple(reader.turns())
    traits = traits_of(reader, shapes, picture.numbers)
    standing = _fresh(basis.t, shelves, graphs, turns, basis.valid_at, traits, shapes, memory)
    if standing.nbytes > memory:
        log.warning("walks go through the store", why=f"It takes {standing.nbytes} bytes.")
        return None
    return standing


def keep(file: Path, standing: Standing, reader: Reader, shapes: Shapes) -> None:
    """Write what the index stands on to a file; a disk that refuses costs only time."""
    arrays, facts = pack_shelves(standing.shelves)
    graphs = []
    for name, graph in zip(_NAMES, standing.graphs, strict=True):
        more, about = pack_graph(graph, name)
        arrays |= more
        graphs.append(about)
    more, named = pack_traits(standing.traits)
    arrays |= more
    about = {
        "made": _MADE, "traits": named, "t": standing.built, "hash": reader.chained(standing.built),
        "shapes": shapes.version, "since": standing.since, "turns": standing.turns,
        "shelves": facts, "graphs": graphs, "legend": pack_legend(standing.graphs[0].legend),
    }  # fmt: skip
    try:
        derived.save(file, arrays, about)
    except OSError as error:
        log.warning("the lineage index is not kept", file=str(file), why=str(error))


def recalled(file: Path, reader: Reader, shapes: Shapes, memory: int) -> Standing | None:
    """Return what a file holds, if it is of this very history and of these shapes."""
    mapped = derived.load(file)
    if mapped is None:
        return None
    about = mapped.about
    t = about["t"]
    same = (about["made"], about["shapes"]) == (_MADE, shapes.version)
    if not same or t > reader.basis.t or not about["hash"]:
        return None
    if about["hash"] != reader.chained(t) or about["since"] > reader.basis.valid_at:
        return None
    shelves, graphs = _unpacked(mapped.columns(), about, shapes)
    turns = tuple((at, src, kind, dst) for at, src, kind, dst in about["turns"])
    traits = unpack_traits(mapped.columns(), about["traits"])
    standing = _fresh(t, shelves, graphs, turns, about["since"], traits, shapes, memory)
    return replace(standing, mapped=mapped) if standing.nbytes <= memory else None


def _unpacked(
    arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any], shapes: Shapes
) -> tuple[Shelves, tuple[WalkGraph, WalkGraph]]:
    shelves = unpack_shelves(arrays, about["shelves"])
    numbers, stands = shelves.picture.numbers, shelves.stands
    legend = unpack_legend(about["legend"])
    logical, exact = (
        unpack_graph(arrays, facts, name, shapes, numbers, stands, legend)
        for name, facts in zip(_NAMES, about["graphs"], strict=True)
    )
    return shelves, (logical, exact)


def settled(standing: Standing, shapes: Shapes) -> Standing | None:
    """Look through all of the file; return the same on plain arrays, or None if it is damaged."""
    if standing.mapped is None:
        return standing
    arrays = None if standing.shelves.unsound else standing.mapped.arrays()
    if arrays is None:
        return None
    shelves, graphs = _unpacked(arrays, standing.mapped.about, shapes)
    first, second = (replace(one, flags=np.asarray(one.flags)) for one in standing.spoiled)
    traits = unpack_traits(arrays, standing.mapped.about["traits"])
    return replace(
        standing, shelves=shelves, graphs=graphs, traits=traits, mapped=None,
        spoiled=(first, second),
        overlays=overlays(graphs, (first, second), shapes),
    )  # fmt: skip


def _fresh(
    t: int,
    shelves: Shelves,
    graphs: tuple[WalkGraph, WalkGraph],
    turns: tuple[tuple[Instant, int, str, int], ...],
    since: Instant,
    traits: Traits,
    shapes: Shapes,
    memory: int,
) -> Standing:
    """Return arrays at one transaction, since which nothing has changed."""
    spoiled = Spoiled.none(graphs[0]), Spoiled.none(graphs[1])
    left = memory - shelves.nbytes - sum(graph.nbytes for graph in graphs)
    return Standing(
        t, shelves, graphs, turns, since, t, 0, frozenset(), spoiled,
        overlays(graphs, spoiled, shapes), traits, Moments(t, shapes, left),
    )  # fmt: skip


def overlays(
    graphs: tuple[WalkGraph, WalkGraph], spoiled: tuple[Spoiled, Spoiled], shapes: Shapes
) -> tuple[Overlay, Overlay]:
    """Return what rows are made anew in, of each grain."""
    return (
        Overlay(graphs[0], shapes, spoiled[0]), Overlay(graphs[1], shapes, spoiled[1]),
    )  # fmt: skip


_NAMES = ("logical", "exact")

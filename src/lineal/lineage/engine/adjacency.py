"""A graph as arrays: for every thing where it leads, both ways, with the kind of each step.

Compressed rows (CSR): the targets of all rows lie one after another, and two small arrays say where
each row begins and ends. A row says first what is walked by default and is *certain*, then what is
walked by default and only *possible*, then the rest (control, feedback, suggestions), so that the
usual walks look at no edge's kind at all. Built in bulk, by sorting and counting.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lineal.lineage.engine.columns import Column
from lineal.lineage.engine.scratch import Scratch

Ints: TypeAlias = "NDArray[np.int32]"
Longs: TypeAlias = "NDArray[np.int64]"
Bools: TypeAlias = "NDArray[np.bool_]"
Codes: TypeAlias = "NDArray[np.unsignedinteger[Any]]"
#: How much shorter than it is each row is walked; None where all are walked to their ends.
Less: TypeAlias = "NDArray[np.unsignedinteger[Any]] | None"

#: How many bits of a packed edge hold an end, and how many its code.
_NODE, _CODE = 27, 10
LARGEST, CODES = 1 << _NODE, 1 << _CODE


@dataclass(frozen=True, slots=True)
class Code:
    """What one byte beside an edge stands for."""

    kind: str
    layer: str
    #: Goes between a part and its whole: not all of it need come from there.
    possible: bool = False
    #: Left the exact part for the whole.
    approximate: bool = False
    #: Walked unless something else is asked for.
    default: bool = True

    @property
    def segment(self) -> int:
        """Which part of a row such edges lie in."""
        return 2 if not self.default else int(self.possible or self.approximate)


@dataclass(frozen=True, slots=True)
class Rows:
    """
    The rows of one direction.

    Row *n* lies in ``targets[first[n]:end[n]]``; but for ``rest[n]`` at its end it is walked by
    default, but for ``unsure[n]`` it is that and certain. Most are few, and take one byte.
    """

    first: Ints
    end: Ints
    rest: Less
    unsure: Less
    targets: Ints
    codes: Codes
    #: The rows that these are but for some nodes, and those, where they are like others.
    like: tuple[Rows, Ints] | None = field(default=None, repr=False, compare=False)
    #: What compiled loops know of them; see `jobs.bound`.
    bound: dict[int, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def nbytes(self) -> int:
        """How much memory the arrays take."""
        parts: list[NDArray[Any]] = [self.first, self.targets, self.codes]
        # Where the next row begins is where one ends: then both are views of one array.
        if self.end.base is None or self.end.base is not self.first.base:
            parts.append(self.end)
        parts += {id(part): part for part in (self.rest, self.unsure) if part is not None}.values()
        return sum(part.nbytes for part in parts)

    @property
    def unread(self) -> bool:
        """Do they lie in a file of which not all was looked through?"""
        return isinstance(self.first, Column)

    def lasts(self, nodes: Ints, less: Less) -> Ints:
        """Return where the rows of nodes end, each so much shorter."""
        ends: Ints = self.end.take(nodes)
        if less is not None:
            ends -= less.take(nodes)
        return ends


def few(counts: NDArray[Any]) -> Less:
    """Return numbers in as few bytes as they need; None if none is above zero."""
    most = int(counts.max(initial=0))
    if not most:
        return None
    size = np.uint8 if most < 1 << 8 else np.uint16 if most < 1 << 16 else np.uint32
    return counts.astype(size)


def pack(sources: NDArray[Any], codes: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.uint64]:
    """Pack edges into one number each, that sorts them by source, then code, then target."""
    packed = sources.astype(np.uint64)
    packed <<= np.uint64(_CODE)
    packed |= codes.astype(np.uint64)
    packed <<= np.uint64(_NODE)
    packed |= targets.astype(np.uint64)
    return packed


def distinct(numbers: NDArray[Any]) -> NDArray[Any]:
    """Return numbers in order, each once: few of them, for which NumPy need import nothing."""
    ordered = np.sort(numbers)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if ordered.size else ordered


#: Up to how many numbers are put in order rather than written to a place for each node.
FEW = 2_000


def firsts(numbers: NDArray[Any]) -> Bools:
    """Return which of few numbers are the first of their kind."""
    order = np.argsort(numbers, kind="stable")
    ordered, found = numbers[order], np.ones(numbers.size, np.bool_)
    found[order[1:][ordered[1:] == ordered[:-1]]] = False
    return found


def unique(packed: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Sort packed edges in place, and return each once."""
    packed.sort()
    if not packed.size:
        return packed
    fresh = np.empty(packed.size, np.bool_)
    fresh[0] = True
    np.not_equal(packed[1:], packed[:-1], out=fresh[1:])
    return packed[fresh]


def rows_of(packed: NDArray[np.uint64], nodes: int, legend: Collection[Code]) -> Rows:
    """
    Return the rows of packed edges that are sorted and unique.

    *legend* says what each code stands for; codes of a lower segment must come first.
    """
    segments = np.array([code.segment for code in legend], np.int8)
    if np.any(np.diff(segments) < 0):
        raise ValueError("The codes must be in the order of their segments.")
    targets = (packed & np.uint64(LARGEST - 1)).astype(np.int32)
    head = packed >> np.uint64(_NODE)
    numbers = (head & np.uint64((1 << _CODE) - 1)).astype(np.int32)
    small = len(legend) <= 256
    codes: Codes = numbers.astype(np.uint8) if small else numbers.astype(np.uint16)
    sources = (head >> np.uint64(_CODE)).astype(np.int64)
    of = segments[numbers] if len(legend) else np.zeros(0, np.int8)
    counts = [np.bincount(sources[of == n], minlength=nodes) for n in range(3)]
    bounds = np.zeros(nodes + 1, np.int32)
    np.cumsum(counts[0] + counts[1] + counts[2], out=bounds[1:])
    rest = few(counts[2])
    unsure = few(counts[1] + counts[2]) if counts[1].any() else rest
    return Rows(bounds[:-1], bounds[1:], rest, unsure, targets, codes)


@dataclass(slots=True)
class Adjacency:
    """
    A graph that closures are asked of: rows both ways, and small columns of its nodes.

    Nodes are numbers from 0; columns are arrays of small numbers by node, such as ``type``.
    """

    nodes: int
    #: Where data goes, and where it comes from.
    down: Rows
    up: Rows
    legend: tuple[Code, ...]
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    _free: list[Scratch] = field(default_factory=list, repr=False)

    @classmethod
    def of(
        cls,
        sources: NDArray[Any],
        targets: NDArray[Any],
        kinds: NDArray[Any] | None = None,
        layers: NDArray[Any] | None = None,
        columns: Mapping[str, NDArray[Any]] | None = None,
        *,
        nodes: int | None = None,
        kind_names: Collection[str] = ("edge",),
        layer_names: Collection[str] = ("declared", "observed", "inferred", "suggested"),
        default: Collection[str] | None = None,
    ) -> Adjacency:
        """
        Build from edges in the direction of the data: parallel arrays of nodes and small numbers.

        *kinds* and *layers* index their names. Walked by default are the kinds of *default* (all,
        if None) in all layers but ``suggested``. The same edge said again counts once.

        >>> import numpy as np
        >>> chain = Adjacency.of(np.array([0, 1]), np.array([1, 2]))
        >>> chain.down.targets.tolist(), chain.up.targets.tolist()
        ([1, 2], [0, 1])
        """
        count = int(max(sources.max(), targets.max())) + 1 if sources.size else 0
        nodes = count if nodes is None else nodes
        if nodes > LARGEST or count > nodes:
            raise ValueError(f"{max(nodes, count)} nodes are too many.")
        walked = set(kind_names) if default is None else set(default)
        legend = [
            Code(kind, layer, default=kind in walked and layer != "suggested")
            for kind in kind_names
            for layer in layer_names
        ]
        order = sorted(range(len(legend)), key=lambda at: legend[at].segment)
        place = np.empty(len(legend), np.int64)
        place[order] = np.arange(len(legend))
        none = np.zeros(sources.size, np.int64)
        asked = (none if kinds is None else kinds.astype(np.int64)) * len(layer_names)
        codes = place[asked + (none if layers is None else layers)]
        ordered = tuple(legend[at] for at in order)
        return cls(
            nodes,
            rows_of(unique(pack(sources, codes, targets)), nodes, ordered),
            rows_of(unique(pack(targets, codes, sources)), nodes, ordered),
            ordered,
            dict(columns or {}),
        )

    def rows(self, *, upstream: bool) -> Rows:
        """Return the rows of one direction."""
        return self.up if upstream else self.down

    def mask(
        self, kinds: Collection[str] | None = None, layers: Collection[str] | None = None
    ) -> Bools | None:
        """
        Return which codes a walk over these kinds and layers goes by; None is the default walk.

        Of kinds that are named, all layers but ``suggested`` are meant, unless those are named.
        """
        if kinds is None and layers is None:
            return None
        return np.array(
            [
                (code.default or kinds is not None)
                and (kinds is None or code.kind in kinds)
                and (code.layer != "suggested" if layers is None else code.layer in layers)
                for code in self.legend
            ],
            np.bool_,
        )

    @property
    def nbytes(self) -> int:
        """How much memory the graph takes."""
        columns = sum(column.nbytes for column in self.columns.values())
        return self.down.nbytes + self.up.nbytes + columns

    def borrow(self) -> Scratch:
        """Take a clean set of scratch arrays; `give_back` it, clean."""
        try:
            return self._free.pop()
        except IndexError:
            return Scratch(self.nodes)

    def give_back(self, scratch: Scratch) -> None:
        """Let the next walk use these arrays."""
        self._free.append(scratch)

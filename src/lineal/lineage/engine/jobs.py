"""The job that a compiled loop is given: numbers, and addresses of arrays that were checked.

A compiled loop reads and writes wherever it is told to. So rows are looked through once, before
the first walk over them: every row lies within its targets, every target is a node. The arrays of
which a job holds the addresses are held here as well, for as long as it does.
"""

from __future__ import annotations

import ctypes
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lineal import __version__
from lineal.lineage.engine.scratch import AHEAD, Ints, Scratch

if TYPE_CHECKING:
    from lineal.lineage.engine.adjacency import Rows

# What stands where in a job. First the addresses: of the rows, and of what a walk writes.
FIRST, LAST, TARGETS, CODES, ALLOWED, QUEUE, DEPTHS, BITS, PARENT, EDGE = range(10)
# Then what is asked: is there a mask, has a code two bytes, are ways kept; the limits.
MASKED, WIDE, TRACED, DEEP, NODES, EDGES, PAUSED_AT = range(10, 17)
# Where the walk stands: the level in the queue, how deep that is, how many edges were looked at.
LOW, HIGH, DEPTH, SCANNED = range(17, 21)
# Where two walks met: the place in the queue, the edge, the node.
MET_AT, MET_OVER, MET = range(21, 24)
# Which version of all this a job is of.
LAYOUT = 24
SIZE = 25

#: How many codes there may be.
MOST_CODES = 1 << 16
_EVERY = [(name, at) for name, at in vars().items() if name.isupper()]
#: The version: another one for any other order, and for any other release.
VERSION = zlib.crc32(repr((__version__, AHEAD, _EVERY)).encode())


class Bound:
    """The rows of one direction up to one end of each, checked, and their addresses."""

    __slots__ = ("_kept", "addresses", "nodes", "wide")

    def __init__(self, rows: Rows, last: Ints) -> None:
        """
        Check rows.

        Raises:
            ValueError: a row does not lie within the targets, or a target is no node.
        """
        first, ends, targets = (_plain(part, np.int32) for part in (rows.first, last, rows.targets))
        codes = _plain(rows.codes, np.uint8 if rows.codes.dtype == np.uint8 else np.uint16)
        nodes = self.nodes = first.size
        if ends.size != nodes or codes.size != targets.size:
            raise ValueError(
                f"Rows do not fit together: {nodes} begin and {ends.size} end,"
                f" {targets.size} targets have {codes.size} codes."
            )
        if nodes and not (
            (first <= ends).all() and first.min() >= 0 and ends.max() <= targets.size
        ):
            raise ValueError(f"A row does not lie within its {targets.size} targets.")
        # What is negative is very large without its sign.
        if targets.size and int(targets.view(np.uint32).max()) >= nodes:
            raise ValueError(f"A row leads to what is none of its {nodes} nodes.")
        self.wide = codes.dtype != np.uint8
        parts = (first, ends, targets, codes)
        self.addresses = tuple(part.ctypes.data for part in parts)
        # The array of which the rows are known is kept too: no other can come to have its number.
        self._kept = (*parts, last)


def bound(rows: Rows, last: Ints) -> Bound:
    """Return the rows up to *last*, an array of theirs: checked the first time."""
    found: Bound | None = rows.bound.get(id(last))
    if found is None:
        found = rows.bound[id(last)] = Bound(rows, last)
    return found


def _plain(part: NDArray[Any], kind: Any) -> NDArray[Any]:
    """Return an array as C reads it: without gaps, where numbers of its kind may lie."""
    return np.require(part, kind, ["C_CONTIGUOUS", "ALIGNED"])


class Desk:
    """The job of one set of scratch arrays."""

    __slots__ = ("_allowed", "_bound", "_kept", "address", "bits", "job", "queue")

    def __init__(self, scratch: Scratch) -> None:
        """Lay out a job over these arrays, which are kept."""
        numbers = np.zeros(SIZE, np.int64)
        self.bits = np.zeros((scratch.nodes >> 6) + 1, np.uint64)
        self._allowed = np.zeros(MOST_CODES, np.bool_)
        parent, edge = scratch.traces(True)
        arrays = (self._allowed, scratch.queue, scratch.depths, self.bits, parent, edge)
        numbers[ALLOWED : EDGE + 1] = [part.ctypes.data for part in arrays]
        numbers[LAYOUT] = VERSION
        self._kept = (numbers, *arrays)
        self._bound: Bound | None = None
        self.job, self.queue = numbers.data, scratch.queue.data
        self.address = ctypes.c_void_p(numbers.ctypes.data)

    def lay(self, rows: Bound, mask: NDArray[np.bool_] | None) -> None:
        """Let the job be about some rows, and about those codes only that a mask allows."""
        job = self.job
        if self._bound is not rows:
            job[FIRST], job[LAST], job[TARGETS], job[CODES] = rows.addresses
            job[WIDE] = rows.wide
            self._bound = rows
        job[MASKED] = mask is not None
        if mask is not None:
            self._allowed[: mask.size] = mask


def desk_of(scratch: Scratch) -> Desk:
    """Return the job of scratch arrays; it is laid out once."""
    desk = scratch.desk
    if desk is None:
        desk = scratch.desk = Desk(scratch)
    return desk

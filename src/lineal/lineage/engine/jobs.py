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
from lineal.lineage.engine.scratch import AHEAD, Scratch

if TYPE_CHECKING:
    from lineal.lineage.engine.adjacency import Less, Rows

# What stands where in a job. First the addresses: of the rows, and of what a walk writes.
FIRST, END, LESS, TARGETS, CODES, ALLOWED, QUEUE, DEPTHS, BITS, PARENT, EDGE = range(11)
# Then what is asked: is there a mask, has a code two bytes, how many has each number of how much
# less of a row is walked (none: to its end), are ways kept; the limits.
MASKED, WIDE, SHORT, TRACED, DEEP, NODES, EDGES, PAUSED_AT = range(11, 19)
# Where the walk stands: the level in the queue, how deep that is, how many edges were looked at.
LOW, HIGH, DEPTH, SCANNED = range(19, 23)
# Where two walks met: the place in the queue, the edge, the node.
MET_AT, MET_OVER, MET = range(23, 26)
# Which version of all this a job is of.
LAYOUT = 26
SIZE = 27

#: How many codes there may be.
MOST_CODES = 1 << 16
_EVERY = [(name, at) for name, at in vars().items() if name.isupper()]
#: The version: another one for any other order, and for any other release.
VERSION = zlib.crc32(repr((__version__, AHEAD, _EVERY)).encode())


class Bound:
    """The rows of one direction up to one end of each, checked, and their addresses."""

    __slots__ = ("_kept", "addresses", "nodes", "short", "wide")

    def __init__(self, rows: Rows, less: Less) -> None:
        """
        Check rows; of those that are like others, which were checked, only what is not.

        Raises:
            ValueError: a row does not lie within the targets, or a target is no node.
        """
        first, ends, targets = (
            _plain(part, np.int32) for part in (rows.first, rows.end, rows.targets)
        )
        none, of = np.zeros(0, np.uint8), less
        less = none if less is None else _plain(less, less.dtype)
        self.short = less.itemsize if less.size else 0
        codes = _plain(rows.codes, np.uint8 if rows.codes.dtype == np.uint8 else np.uint16)
        nodes = self.nodes = first.size
        if {ends.size, less.size or nodes} != {nodes} or codes.size != targets.size:
            raise ValueError(
                f"Rows do not fit together: {nodes} begin and {ends.size} end,"
                f" {targets.size} targets have {codes.size} codes."
            )
        if rows.like is None:
            _check(first, ends, less, targets.size)
            led = targets
        else:
            base, other = rows.like
            same = None if of is None else base.rest if of is rows.rest else base.unsure
            # Targets are only ever added.
            if bound(base, same).nodes > nodes or base.targets.size > targets.size:
                raise ValueError("Rows are not like those that they should be like.")
            _check(first[other], ends[other], less[other] if less.size else less, targets.size)
            led = targets[base.targets.size :]
        # What is negative is very large without its sign.
        if led.size and int(led.view(np.uint32).max()) >= nodes:
            raise ValueError(f"A row leads to what is none of its {nodes} nodes.")
        self.wide = codes.dtype != np.uint8
        parts = (first, ends, less, targets, codes)
        self.addresses = tuple(part.ctypes.data for part in parts)
        # The array of which the rows are known is kept too: no other can come to have its number.
        self._kept = (*parts, of)


def _check(first: NDArray[Any], ends: NDArray[Any], less: NDArray[Any], targets: int) -> None:
    lasts = ends - less if less.size else ends
    if first.size and not ((first <= lasts).all() and first.min() >= 0 and ends.max() <= targets):
        raise ValueError(f"A row does not lie within its {targets} targets.")


def bound(rows: Rows, less: Less) -> Bound:
    """Return the rows but for *less*, an array of theirs, or all of them: checked once."""
    found: Bound | None = rows.bound.get(id(less))
    if found is None:
        found = rows.bound[id(less)] = Bound(rows, less)
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
        # The array of which the rows are known is kept too: no other can come to have its number.
        self._kept = (numbers, *arrays)
        self._bound: Bound | None = None
        self.job, self.queue = numbers.data, scratch.queue.data
        self.address = ctypes.c_void_p(numbers.ctypes.data)

    def lay(self, rows: Bound, mask: NDArray[np.bool_] | None) -> None:
        """Let the job be about some rows, and about those codes only that a mask allows."""
        job = self.job
        if self._bound is not rows:
            job[FIRST], job[END], job[LESS], job[TARGETS], job[CODES] = rows.addresses
            job[WIDE], job[SHORT] = rows.wide, rows.short
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

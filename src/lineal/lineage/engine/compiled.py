"""The compiled kernel as walks call it: what is asked is put in a job, and the loops are called.

They run without the lock of the interpreter.
"""

from __future__ import annotations

import ctypes
import time

from lineal.lineage.engine.adjacency import Bools, Less, Rows
from lineal.lineage.engine.jobs import (
    DEEP,
    DEPTH,
    EDGES,
    HIGH,
    LOW,
    NODES,
    PAUSED_AT,
    SCANNED,
    TRACED,
    VERSION,
    Desk,
    bound,
    desk_of,
)  # fmt: skip
from lineal.lineage.engine.kernels import BEYOND, LATE, PAUSE, PAUSED
from lineal.lineage.engine.numba_kernel import loops
from lineal.lineage.engine.reached import Found
from lineal.lineage.engine.scratch import Scratch
from lineal.model import Budget

_loops = loops(VERSION)
_walk = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(_loops[0].address)
_meet = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(_loops[1].address)

_OTHER = (
    "The compiled walk on this machine was kept by another release of Lineal. Remove the files"
    " numba_kernel.*.nbi beside it, or in numba's cache folder, and start again."
)


def levels(
    rows: Rows,
    less: Less,
    mask: Bools | None,
    scratch: Scratch,
    count: int,
    limits: Budget,
    depth: int,
    traced: bool,
) -> tuple[int, int, int]:
    """Walk level after level; see `kernels.Levels`."""
    desk = _ready(rows, less, mask, scratch)
    job, timed = desk.job, limits.milliseconds < BEYOND
    job[LOW] = job[DEPTH] = job[SCANNED] = 0
    job[HIGH], job[TRACED] = count, traced
    job[DEEP], job[NODES], job[EDGES] = depth, limits.nodes, limits.edges
    job[PAUSED_AT] = PAUSE if timed else BEYOND
    until = time.monotonic() + limits.milliseconds / 1e3 if timed else 0.0
    ended: int = _walk(desk.address)
    while ended == PAUSED:
        if time.monotonic() > until:
            desk.bits[scratch.queue[: job[HIGH]] >> 6] = 0
            ended = LATE
        else:
            job[PAUSED_AT] = job[SCANNED] + PAUSE
            ended = _walk(desk.address)
    if ended < 0:
        raise RuntimeError(_OTHER)
    return job[HIGH], job[SCANNED], ended


def meet(
    there: tuple[Rows, Less],
    back: tuple[Rows, Less],
    mask: Bools | None,
    ends: tuple[int, int],
    scratch: tuple[Scratch, Scratch],
    edges: int,
) -> Found | None:
    """Walk from two sides until they meet; see `kernels.Meet`."""
    one, other = _ready(*there, mask, scratch[0]), _ready(*back, mask, scratch[1])
    if there[0].first.size != back[0].first.size:
        sizes = there[0].first.size, back[0].first.size
        raise ValueError(f"{sizes[0]} nodes lead forward and {sizes[1]} back.")
    for desk, end in zip((one, other), ends, strict=True):
        desk.queue[0] = end
        job = desk.job
        job[LOW] = job[SCANNED] = 0
        job[HIGH], job[EDGES] = 1, edges
    steps = _meet(one.address, other.address)
    if steps == -2:
        raise OverflowError(f"More than {edges} edges were looked at.")
    if steps == -1:
        return None
    if steps < 0:
        raise RuntimeError(_OTHER)
    nodes, codes = scratch[0].depths[: steps + 1], scratch[1].depths[:steps]
    return Found(tuple(nodes.tolist()), tuple(codes.tolist()))


def _ready(rows: Rows, less: Less, mask: Bools | None, scratch: Scratch) -> Desk:
    """Return a job over rows that were checked, as large as the scratch arrays allow."""
    checked = bound(rows, less)
    if checked.nodes > scratch.nodes:
        raise ValueError(
            f"Scratch arrays for {scratch.nodes} nodes are too small for rows of {checked.nodes}."
        )
    desk = scratch.desk or desk_of(scratch)
    desk.lay(checked, mask)
    return desk

"""The limit in C, called through ctypes with arguments made before and results copied out."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.lineage.arrays import Arrays
from bench.lineage.graph import STAGES, TYPES, Edges, default_mask, kinds_mask
from bench.lineage.worker import Query

_SOURCE = Path(__file__).with_name("loop.c")
_FLAGS = ("-O3", "-march=native", "-shared", "-fPIC")
_FAR = (1 << 31) - 1


def compiler() -> str | None:
    """Return a C compiler, if there is one."""
    return next((found for name in ("gcc", "cc", "clang") if (found := shutil.which(name))), None)


def compiled(folder: Path) -> ctypes.CDLL:
    """Compile the loops into *folder* and load them."""
    found = compiler()
    if found is None:
        raise RuntimeError("There is no C compiler (gcc, cc or clang).")
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "loop.so"
    subprocess.run([found, *_FLAGS, str(_SOURCE), "-o", str(library)], check=True, timeout=120)
    return ctypes.CDLL(str(library))


class _Rows(ctypes.Structure):
    _fields_ = (
        ("pointers", ctypes.c_void_p), ("others", ctypes.c_void_p), ("codes", ctypes.c_void_p),
    )  # fmt: skip


class Rows:
    """Edges in rows; the arrays are kept as long as C may read them."""

    def __init__(self, starts: NDArray[Any], ends: NDArray[Any], edges: Edges, things: int) -> None:
        order = np.argsort(starts, kind="stable")
        self.pointers = np.zeros(things + 1, dtype=np.int32)
        np.cumsum(np.bincount(starts, minlength=things), out=self.pointers[1:])
        self.others, self.codes = ends[order].copy(), edges.codes[order].copy()
        self.struct = _Rows(
            self.pointers.ctypes.data, self.others.ctypes.data, self.codes.ctypes.data
        )
        self.argument = ctypes.byref(self.struct)

    @classmethod
    def down(cls, edges: Edges, things: int) -> Rows:
        """Return the rows of a walk with the flow of data."""
        return cls(edges.starts, edges.ends, edges, things)

    @classmethod
    def up(cls, edges: Edges, things: int) -> Rows:
        """Return the rows of a walk against it."""
        return cls(edges.ends, edges.starts, edges, things)


class _Scratch:
    """An array and the address of it."""

    def __init__(self, kind: Any, size: int) -> None:
        self.array = np.zeros(size, dtype=kind)
        self.address = ctypes.c_void_p(self.array.ctypes.data)


class Loop:
    """Plain C with a stamp for each thing."""

    def load(self, arrays: Arrays) -> dict[str, Any]:
        """Compile, and sort the edges into rows."""
        about = arrays.about()
        things = int(about["things"])
        self.c = compiled(arrays.folder / "c")
        walked, current = arrays.edges("walked"), arrays.edges("current")
        self.down, self.up = Rows.down(walked, things), Rows.up(walked, things)
        self.all = Rows.down(current, things)
        self.then = Rows.down(arrays.edges("then_recent"), things)
        self.old = Rows.down(arrays.edges("then_old"), things)
        self.more = Rows.down(arrays.edges("overlay"), things)
        self.stamp = 0
        ints = ("ids", "depths", "parents", "more_parents", "queue", "more_queue")
        self.at = {name: _Scratch(np.int32, things + 1) for name in ints}
        self.at |= {name: _Scratch(np.uint32, things) for name in ("stamps", "more_stamps")}
        self.at |= {"bits": _Scratch(np.uint64, things // 64 + 1)}
        self.masks = {}
        for name, allowed in (("default", default_mask()), ("kinds", kinds_mask())):
            self.masks[name] = scratch = _Scratch(np.uint8, 256)
            scratch.array[:] = allowed
        self.types = _Scratch(np.uint8, things)
        self.types.array[:] = arrays["types"]
        self.stages = _Scratch(np.uint8, things)
        self.stages.array[:] = arrays["stages"]
        found = subprocess.run(
            [str(compiler()), "--version"], capture_output=True, text=True, check=True, timeout=60
        )
        size = sum(one.nbytes for row in (self.down, self.up) for one in (row.pointers, row.others))
        return {"version": found.stdout.splitlines()[0], "bytes": size}

    def _closure(self, rows: Rows, start: int, hops: int = _FAR) -> tuple[Any, Any]:
        at = self.at
        self.stamp += 1
        count = self.c.closure(
            rows.argument, start, hops, at["stamps"].address, self.stamp,
            at["ids"].address, at["depths"].address,
        )  # fmt: skip
        return at["ids"].array[1:count].copy(), at["depths"].array[1:count].copy()

    def _masked(self, mask: str, start: int) -> tuple[Any, Any]:
        at = self.at
        self.stamp += 1
        count = self.c.closure_masked(
            self.all.argument, start, _FAR, self.masks[mask].address, at["stamps"].address,
            self.stamp, at["ids"].address, at["depths"].address,
        )  # fmt: skip
        return at["ids"].array[1:count].copy(), at["depths"].array[1:count].copy()

    def _services(self, start: int) -> Any:
        at = self.at
        self.stamp += 1
        count = self.c.filtered(
            self.down.argument, start, self.types.address, self.stages.address,
            TYPES.index("service"), STAGES.index("production"), at["stamps"].address, self.stamp,
            at["ids"].address, at["depths"].address,
        )  # fmt: skip
        return at["depths"].array[:count].copy()

    def _path(self, start: int, end: int) -> Any:
        at = self.at
        self.stamp += 1
        count = self.c.path(
            self.down.argument, self.up.argument, start, end, at["stamps"].address,
            at["more_stamps"].address, at["parents"].address, at["more_parents"].address,
            self.stamp, at["queue"].address, at["more_queue"].address, at["ids"].address,
        )  # fmt: skip
        return at["ids"].array[:count].copy()

    def queries(self) -> dict[str, Query]:
        """Return what it can answer."""
        both = _both
        return {
            "down": Query(lambda start: self._closure(self.down, start), both),
            "up": Query(lambda start: self._closure(self.up, start), both),
            "hops": Query(lambda start: self._closure(self.down, start, 3), both),
            "masked": Query(lambda start: self._masked("default", start), both),
            "kinds": Query(lambda start: self._masked("kinds", start), both),
            "then_recent": Query(lambda start: self._closure(self.then, start), both),
            "then_old": Query(lambda start: self._closure(self.old, start), both),
            "overlay": Query(lambda start: self._closure(self.more, start), both),
            "services": Query(self._services, lambda found: (found, None)),
            "path": Query(self._path, lambda found: (found, None)),
        }


class Bits(Loop):
    """C with one bit for each thing and rows fetched ahead: what closer work on the loop gives."""

    def _closure(self, rows: Rows, start: int, hops: int = _FAR) -> tuple[Any, Any]:
        at = self.at
        count = self.c.closure_bits(
            rows.argument, start, hops, at["bits"].address, at["ids"].address, at["depths"].address
        )
        return at["ids"].array[1:count].copy(), at["depths"].array[1:count].copy()

    def queries(self) -> dict[str, Query]:
        """Return what it can answer."""
        every = super().queries()
        return {name: every[name] for name in ("down", "up", "hops")}


def _both(found: tuple[Any, Any]) -> tuple[Any, Any]:
    return found

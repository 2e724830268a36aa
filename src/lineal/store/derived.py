"""A file of arrays beside a database: derived from it, mapped into memory, and never trusted.

It says of itself what it was made from; whoever reads it compares. It is written under another name
and put in place whole. Before use its length, its head and the sums of its blocks are looked at,
which is quick; each block, when it is first read (`Column`). A file that was cut or damaged is no
file. To delete it costs time, never an answer.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from lineal.lineage.engine.columns import BLOCK, Blocks, Column, Unsound, sums_of
from lineal.points import reached

_MAGIC = b"lineal-arrays-2\n"
_ALIGNED = 64

Arrays = Mapping[str, NDArray[Any]]


class _Head(msgspec.Struct):
    """What stands at the beginning of the file, as JSON."""

    #: Of each array its type, its shape, and where it begins in the body.
    arrays: dict[str, tuple[str, tuple[int, ...], int]]
    about: dict[str, Any]
    #: How many bytes the body has, of whole blocks; behind it lies the sum of each.
    size: int
    #: One number for all sums.
    sums: int


_DECODER = msgspec.json.Decoder(_Head)


class Mapped:
    """The arrays of a file, mapped."""

    def __init__(self, head: _Head, blocks: Blocks) -> None:
        self.about = head.about
        self._blocks = blocks
        self._columns = {
            name: Column(blocks, np.dtype(kind), tuple(shape), at)
            for name, (kind, shape, at) in head.arrays.items()
        }

    def columns(self) -> dict[str, Any]:
        """Return the arrays as they are looked at when they are read; raise `Unsound` then."""
        return dict(self._columns)

    def arrays(self) -> dict[str, NDArray[Any]] | None:
        """Look through all, and return the arrays; None if a block is not as it was written."""
        try:
            self._blocks.see_between(0, self._blocks.body.size)
        except Unsound:
            return None
        return {name: column.whole() for name, column in self._columns.items()}


def save(path: Path, arrays: Arrays, about: Mapping[str, Any]) -> None:
    """Write arrays and what they are about in the place of what was there: all or nothing."""
    places: dict[str, tuple[str, tuple[int, ...], int]] = {}
    size = 0
    for name, array in arrays.items():
        places[name] = (array.dtype.str, array.shape, size)
        size += -(-array.nbytes // _ALIGNED) * _ALIGNED
    body = np.zeros(-(-size // BLOCK) * BLOCK, np.uint8)
    for name, array in arrays.items():
        at = places[name][2]
        body[at : at + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    sums = sums_of(body.view(np.uint64))
    head = msgspec.json.encode(_Head(places, dict(about), body.size, _one(sums)))
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_MAGIC + len(head).to_bytes(8, "little"))
            file.write(zlib.crc32(head).to_bytes(8, "little") + head)
            file.write(bytes(-file.tell() % _ALIGNED))
            file.write(body.data)
            file.write(sums.data)
            file.flush()
            os.fsync(file.fileno())
        reached("arrays-written")
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def load(path: Path) -> Mapped | None:
    """Map what `save` wrote; None where there is nothing that is whole, with a sound head."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC) + 16)
            length = int.from_bytes(start[len(_MAGIC) : -8], "little")
            if not start.startswith(_MAGIC) or length > path.stat().st_size:
                return None
            text = file.read(length)
            begin = -(-file.tell() // _ALIGNED) * _ALIGNED
            if file.read(begin - file.tell()).strip(b"\0"):
                return None
            if zlib.crc32(text) != int.from_bytes(start[-8:], "little"):
                return None
            head = _DECODER.decode(text)
            if path.stat().st_size != begin + head.size + head.size // BLOCK * 8:
                return None
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        body = np.frombuffer(mapped, np.uint8, head.size, begin)
        sums = np.frombuffer(mapped, np.uint64, head.size // BLOCK, begin + head.size)
    except (OSError, ValueError, msgspec.MsgspecError):
        return None
    return Mapped(head, Blocks(body, sums)) if _one(sums) == head.sums else None


def _one(sums: NDArray[np.uint64]) -> int:
    """Return one number for all sums, in which each counts by its place."""
    places = np.arange(1, sums.size + 1, dtype=np.uint64)
    return int((sums * (places * np.uint64(2) + np.uint64(1))).sum(dtype=np.uint64))

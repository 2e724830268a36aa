"""A file of arrays beside a database: derived from it, mapped into memory, and never trusted.

It says of itself what it was made from; whoever reads it compares. It is written under another name
and put in place whole. Before use its length and its sums are looked at: a file that was cut or
damaged is no file. To delete it costs time, never an answer.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from lineal.points import reached

_MAGIC = b"lineal-arrays-1\n"
_ALIGNED = 64
#: How many bytes one sum is of.
_BLOCK = 1 << 16

Arrays = Mapping[str, NDArray[Any]]


class _Head(msgspec.Struct):
    """What stands at the beginning of the file, as JSON."""

    #: Of each array its type, its shape, and where it begins after the head.
    arrays: dict[str, tuple[str, tuple[int, ...], int]]
    about: dict[str, Any]
    size: int
    sums: int


def save(path: Path, arrays: Arrays, about: Mapping[str, Any]) -> None:
    """Write arrays and what they are about in the place of what was there: all or nothing."""
    places: dict[str, tuple[str, tuple[int, ...], int]] = {}
    size = 0
    for name, array in arrays.items():
        places[name] = (array.dtype.str, array.shape, size)
        size += -(-array.nbytes // _ALIGNED) * _ALIGNED
    body = np.zeros(-(-size // _BLOCK) * _BLOCK, np.uint8)
    for name, array in arrays.items():
        at = places[name][2]
        body[at : at + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    head = msgspec.json.encode(_Head(places, dict(about), body.size, _sums(body)))
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_MAGIC + len(head).to_bytes(8, "little"))
            file.write(zlib.crc32(head).to_bytes(8, "little") + head)
            file.write(bytes(-file.tell() % _ALIGNED))
            file.write(body.data)
            file.flush()
            os.fsync(file.fileno())
        reached("arrays-written")
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def load(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
    """Map what `save` wrote; None where there is nothing that is whole and sound."""
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
        head = msgspec.json.decode(text, type=_Head)
        if path.stat().st_size != begin + head.size:
            return None
        body = (
            np.memmap(path, np.uint8, "r", begin, (head.size,)) if head.size else np.zeros(0, "u1")
        )
    except (OSError, ValueError, msgspec.MsgspecError):
        return None
    if _sums(body) != head.sums:
        return None
    found = {}
    for name, (kind, shape, at) in head.arrays.items():
        count = int(np.prod(shape))
        found[name] = np.frombuffer(body, kind, count, at).reshape(shape)
    return found, head.about


def _sums(body: NDArray[np.uint8]) -> int:
    """Return one number for all blocks: each is summed as words, which takes a tenth of a CRC."""
    words = body.view(np.uint64).reshape(-1, _BLOCK // 8)
    return zlib.crc32(words.sum(axis=1, dtype=np.uint64).tobytes())

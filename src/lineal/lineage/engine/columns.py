"""Arrays in a file that nobody looked through yet: what of them is read is looked at first.

A file may be damaged, and to look through all of it takes time that grows with the graph. So each
block of it has a sum, and a block is held against its sum when something in it is first read. What
is not known how to be read in part is looked through whole: nothing is read unseen.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: How many bytes one sum is of: a walk reads a few bytes here and a few there.
BLOCK = 1 << 13
_SHIFT, _WORDS = 13, 1 << 10


class Unsound(Exception):
    """What was read is not what was written: whoever asked must ask elsewhere."""


class Blocks:
    """The bytes of a file, and which blocks of them were held against their sums."""

    def __init__(self, body: NDArray[np.uint8], sums: NDArray[np.uint64]) -> None:
        """*body* is of whole blocks; there is a sum for each, that is known to be right."""
        self.body = body
        self._words, self._sums = body.view(np.uint64).reshape(-1, _WORDS), sums
        self._known = np.zeros(sums.size, np.bool_)

    def see(self, blocks: NDArray[Any]) -> None:
        """Hold blocks against their sums; raises `Unsound` where one differs."""
        unseen = blocks[~self._known[blocks]]
        if not unseen.size:
            return
        # Again and again the same: each is summed once.
        few = np.sort(unseen)
        few = few[np.append(True, few[1:] != few[:-1])]
        if not np.array_equal(sums_of(self._words[few]), self._sums[few]):
            raise Unsound("A block of the file is not as it was written.")
        self._known[few] = True

    def see_between(self, begin: int, end: int) -> None:
        """Hold all blocks from one byte to another against their sums."""
        first, last = begin >> _SHIFT, (end + BLOCK - 1) >> _SHIFT
        if self._known[first:last].all():
            return
        if not np.array_equal(sums_of(self._words[first:last]), self._sums[first:last]):
            raise Unsound("A block of the file is not as it was written.")
        self._known[first:last] = True


def sums_of(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the sum of each block of words: takes a tenth of the time of a CRC."""
    found: NDArray[np.uint64] = words.reshape(-1, _WORDS).sum(axis=1, dtype=np.uint64)
    return found


class Column:
    """
    An array in `Blocks`, read like one of NumPy.

    Numbers at some places, and parts from one place to another, are looked at alone; for whatever
    else is done with it (also by NumPy, which asks for an array), it is looked through first.
    """

    __slots__ = ("_begin", "_blocks", "_plain", "base", "dtype", "nbytes", "shape", "size")

    def __init__(
        self,
        blocks: Blocks,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        begin: int,
        base: Column | None = None,
    ) -> None:
        """Take *shape* numbers of *dtype* from a byte on, which is a multiple of their size."""
        #: What this is a part of.
        self.base = base
        self.dtype, self.shape = dtype, shape
        self.size = math.prod(shape)
        self.nbytes = self.size * dtype.itemsize
        self._blocks, self._begin = blocks, begin
        self._plain = np.frombuffer(blocks.body, dtype, self.size, begin).reshape(shape)

    def whole(self) -> NDArray[Any]:
        """Return it as an array, looked through."""
        self._blocks.see_between(self._begin, self._begin + self.nbytes)
        return self._plain

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.whole(), dtype, copy=copy)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole(), name)

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, places: NDArray[Any]) -> NDArray[Any]:
        """Return the numbers at some places, none of which is negative."""
        if len(self.shape) > 1:
            return self.whole().take(places)
        at = np.asarray(places, np.int64)
        if at.size and (int(at.min()) < 0 or int(at.max()) >= self.size):
            raise IndexError(f"There is no number at one of {places}.")
        self._blocks.see((at * self.dtype.itemsize + self._begin) >> _SHIFT)
        return self._plain.take(at)

    def __getitem__(self, where: Any) -> Any:
        if len(self.shape) == 1:
            if isinstance(where, slice) and where.step is None:
                return self._part(*where.indices(self.size)[:2])
            if isinstance(where, np.ndarray) and where.dtype.kind in "iu":
                return self.take(where)
            if isinstance(where, int | np.integer) and where >= 0:
                return self.take(np.array([where]))[0]
        return self.whole()[where]

    def _part(self, first: int, last: int) -> Column:
        """Return what lies from one place to another, which is not looked at yet."""
        begin = self._begin + first * self.dtype.itemsize
        return Column(self._blocks, self.dtype, (max(0, last - first),), begin, self.base or self)

    def searchsorted(
        self, values: Any, side: str = "left", sorter: NDArray[Any] | None = None
    ) -> Any:
        """Return where values belong among numbers that ascend: only what decides it is read."""
        if sorter is not None:
            return self.whole().searchsorted(values, side, sorter)  # type: ignore[call-overload]  # "left" or "right"
        wanted = np.atleast_1d(np.asarray(values))
        low, high = np.zeros(wanted.size, np.int64), np.full(wanted.size, self.size)
        while (open_ := np.flatnonzero(low < high)).size:
            middle = (low[open_] + high[open_]) >> 1
            found = self.take(middle)
            below = found < wanted[open_] if side == "left" else found <= wanted[open_]
            low[open_[below]] = middle[below] + 1
            high[open_[~below]] = middle[~below]
        return low if np.ndim(values) else low[0]

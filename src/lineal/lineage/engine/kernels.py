"""Which kernel walks: the compiled one where it can be had, else NumPy. Both answer alike."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from lineal.lineage.engine.adjacency import Bools, Less, Rows
    from lineal.lineage.engine.reached import Found
    from lineal.lineage.engine.scratch import Scratch
    from lineal.model import Budget

#: What ended a walk, by the number that kernels say it with: nothing, or the limit that was hit.
ENDS: tuple[tuple[str, ...], ...] = ((), ("depth",), ("nodes",), ("edges",), (), ("time",))
#: To look at the clock, and then to go on.
PAUSED, LATE = 4, 5
#: After how many edges a walk looks at the clock.
PAUSE = 1_000_000
#: A limit that no walk reaches.
BEYOND = 1 << 60

#: Walks from the nodes that the queue begins with: so many. Takes the rows, how much less of each
#: is walked, the mask, scratch arrays, how many starts, the limits, how deep, and if ways are kept.
#: Returns how many were reached, how many edges were looked at, and what ended it.
Levels: TypeAlias = (
    "Callable[[Rows, Less, Bools | None, Scratch, int, Budget, int, bool], tuple[int, int, int]]"
)
#: Walks from two sides until they meet. Takes the rows of each, with how much less is walked; the
#: mask, both ends, scratch arrays for each side, and how many edges may be looked at. Returns None
#: where there is no way, and raises `OverflowError` where it would have to look at more edges.
Meet: TypeAlias = (
    "Callable[[tuple[Rows, Less], tuple[Rows, Less], Bools | None, tuple[int, int],"
    " tuple[Scratch, Scratch], int], Found | None]"
)


class Kernel(NamedTuple):
    """The functions that walk."""

    name: str
    levels: Levels
    meet: Meet


@cache
def kernel_of(name: str | None) -> Kernel:
    """
    Return the kernel of this name; the fastest that is installed, if None.

    The compiler is imported here, at the first walk that wants it, and not before.
    """
    if name is None:
        name = "numba" if compiled_is_there() else "numpy"
    if name == "numba":
        from lineal.lineage.engine import compiled  # noqa: PLC0415  # only if asked

        return Kernel(name, compiled.levels, compiled.meet)
    if name != "numpy":
        raise ValueError(f"There is no kernel {name!r}.")
    from lineal.lineage.engine import numpy_kernel as plain  # noqa: PLC0415  # beside the other

    return Kernel(name, plain.levels, plain.meet)


def compiled_is_there() -> bool:
    """Tell whether the compiler is installed, without importing it."""
    return importlib.util.find_spec("numba") is not None

"""Which kernel walks: the compiled one where it can be had, else NumPy. Both answer alike."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any, NamedTuple


class Kernel(NamedTuple):
    """The functions that walk."""

    name: str
    levels: Any
    meet: Any


@cache
def kernel_of(name: str | None) -> Kernel:
    """
    Return the kernel of this name; the fastest that is installed, if None.

    The compiler is imported here, at the first walk that wants it, and not before.
    """
    if name is None:
        name = "numba" if compiled_is_there() else "numpy"
    if name == "numba":
        from lineal.lineage.engine import numba_kernel as compiled  # noqa: PLC0415  # only if asked

        return Kernel(name, compiled.levels, compiled.meet)
    if name != "numpy":
        raise ValueError(f"There is no kernel {name!r}.")
    from lineal.lineage.engine import numpy_kernel as plain  # noqa: PLC0415  # beside the other

    return Kernel(name, plain.levels, plain.meet)


def compiled_is_there() -> bool:
    """Tell whether the compiler is installed, without importing it."""
    return importlib.util.find_spec("numba") is not None

"""The collector of cycles, out of the way of what makes very many values and no cycle."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected(*, remembered: bool = False) -> Iterator[None]:
    """
    Keep the collector off.

    *remembered*: what was made is held for long, and is not gone through at later collections
    either, which would stop a process for seconds where it is millions of names.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            if remembered:
                gc.freeze()
            gc.enable()

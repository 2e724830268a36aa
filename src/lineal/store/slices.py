"""Keys some hundreds at a time: how many one statement asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

SLICE = 500


def slices(keys: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield *keys* once each, sorted, some hundreds at a time."""
    ordered = sorted(set(keys))
    for at in range(0, len(ordered), SLICE):
        yield ordered[at : at + SLICE]

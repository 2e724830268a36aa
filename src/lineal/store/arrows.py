"""Edges of very many things at once, as columns of numbers: what whole rules are computed from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from lineal.store.driver import Driver
from lineal.store.links import NEVER


def arrows(
    driver: Driver,
    kinds: Sequence[int],
    keys: Collection[int],
    layers: str,
    *,
    outward: bool,
    types: Collection[str] | None,
) -> NDArray[np.int64]:
    """Return the edges of a kind, by its number, at these things; see `Links.arrows`."""
    if not kinds or types == frozenset():
        return np.zeros((0, 4), np.int64)
    near, far, table = ("src", "dst", "edge_out") if outward else ("dst", "src", "edge_in")
    other = typed = ""
    if types is not None:
        # The edges come first, whatever the planner thinks of the index by type.
        other = " CROSS JOIN entity AS other"
        typed = f" AND other.key = {far} AND other.type IN ({', '.join('?' * len(types))})"
    text = (
        f"SELECT {near}, {far}, valid_from, coalesce(valid_to, {NEVER}) FROM {table}{other}"
        f" WHERE kind = ? AND t_to IS NULL AND layer IN ({layers}){typed} AND {near} {{among}}"
    )
    rows = driver.among(text, keys, kinds[0], *(types or ()))
    flat = np.fromiter(chain.from_iterable(rows), np.int64, 4 * len(rows))
    return flat.reshape(-1, 4)

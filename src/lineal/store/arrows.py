"""Edges of very many things at once, as columns of numbers: what whole rules are computed from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import chain
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lineal.store.driver import Driver
from lineal.store.schema import NEVER

#: Which of some things are of some types?
_Only: TypeAlias = "Callable[[Collection[int], Collection[str]], list[int]]"

#: From how many things on that were asked for those of a type are read in its order, and how many
#: of them at most for each that was asked for.
_MANY, _FOR_EACH = 5_000, 4


def arrows(
    driver: Driver, kinds: Sequence[int], keys: NDArray[np.int64], layers: str, *, outward: bool
) -> NDArray[np.int64]:
    """Return the edges of a kind, by its number, at these things; see `Links.arrows`."""
    if not kinds or not len(keys):
        return np.zeros((0, 4), np.int64)
    near, far, table = ("src", "dst", "edge_out") if outward else ("dst", "src", "edge_in")
    text = (
        f"SELECT {near}, {far}, valid_from, coalesce(valid_to, {NEVER}) FROM {table}"
        f" WHERE kind = ? AND t_to IS NULL AND layer IN ({layers}) AND {near} {{among}}"
    )
    rows = driver.among(text, keys.tolist(), kinds[0])
    flat = np.fromiter(chain.from_iterable(rows), np.int64, 4 * len(rows))
    return flat.reshape(-1, 4)


class OfTypes:
    """
    Which things are of some types, for one who asks for very many.

    A few are looked up. Who asks for many is likely to go on, in the order of keys: what things
    there are of the types is then read from an index, which takes a fifth of the time for each,
    but never much more than was asked for.
    """

    def __init__(self, driver: Driver, only: _Only, types: frozenset[str]) -> None:
        """*only* looks up a few."""
        self._driver, self._only, self._types = driver, only, types
        self._asked = 0
        #: The things of these types, sorted: all up to a key.
        self._known = np.zeros(0, np.int64)
        self._upto = -1

    def are(self, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say of each of these things, which are sorted, whether it is of one of the types."""
        if not len(keys):
            return np.zeros(0, bool)
        self._asked += len(keys)
        if self._asked >= _MANY and keys[-1] > self._upto:
            self._read_on()
        read = int(np.searchsorted(keys, self._upto, "right"))
        fits = among(keys, self._known)
        if read < len(keys):
            found = np.array(self._only(keys[read:].tolist(), self._types), np.int64)
            found.sort()
            fits[read:] = among(keys[read:], found)
        return fits

    def _read_on(self) -> None:
        """Read what there is of the types after what was read, in bounds."""
        room = _FOR_EACH * self._asked - len(self._known)
        if room < _MANY or len(self._types) > 1:
            return
        text = "SELECT key FROM entity WHERE type = ? AND key > ? ORDER BY key LIMIT ?"
        rows = self._driver.rows(text, *self._types, self._upto, room)
        more = np.fromiter(chain.from_iterable(rows), np.int64, len(rows))
        self._known = np.concatenate((self._known, more))
        self._upto = NEVER if len(more) < room else int(more[-1])


def among(keys: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say of each of these keys whether it is among others, which are sorted."""
    if not len(known):
        return np.zeros(len(keys), bool)
    at = np.searchsorted(known, keys)
    at[at == len(known)] = 0
    same: NDArray[np.bool_] = known[at] == keys
    return same

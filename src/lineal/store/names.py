"""The keys of URIs, remembered: a key never changes its URI, so what is known stays known.

Keys are the integers under which a thing lies in every row. They never leave the store and the
walks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from lineal.model import Uri
from lineal.store.driver import Driver

#: How many names are remembered before all are forgotten and it begins anew.
LIMIT = 200_000


class Names:
    """What one store has met of the two tables of names."""

    def __init__(self, known: Mapping[Uri, int] | None = None) -> None:
        """Begin with some names that are *known*, and remember `LIMIT` more."""
        self._keys: dict[Uri, int] = dict(known or {})
        self._uris: dict[int, Uri] = {key: uri for uri, key in self._keys.items()}
        self._limit = len(self._keys) + LIMIT

    def learn(self, keys: Mapping[Uri, int]) -> None:
        """Remember names that are committed."""
        if len(self._keys) + len(keys) > self._limit:
            self._keys.clear()
            self._uris.clear()
        self._keys.update(keys)
        self._uris.update(zip(keys.values(), keys, strict=True))

    def keys(self, driver: Driver, uris: Collection[Uri]) -> dict[Uri, int]:
        """Which of these are known, and under which key?"""
        known = self._keys
        found = {uri: known[uri] for uri in uris if uri in known}
        missing = set(uris) - found.keys()
        if missing:
            for uri, key in driver.among("SELECT uri, key FROM uri WHERE uri {among}", missing):
                found[str.__new__(Uri, uri)] = key
        return found

    def uris(self, driver: Driver, keys: Iterable[int]) -> dict[int, Uri]:
        """What are the URIs of these keys?"""
        known = self._uris
        wanted = set(keys)
        found = {key: known[key] for key in wanted if key in known}
        missing = wanted - found.keys()
        if missing:
            for key, uri in driver.among("SELECT key, uri FROM entity WHERE key {among}", missing):
                found[key] = str.__new__(Uri, uri)
        return found

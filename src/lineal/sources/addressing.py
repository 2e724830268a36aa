"""Where a document is asked for: what an id may do to an address is decided here.

It becomes one encoded segment or argument, or nothing.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from lineal.errors import Invalid
from lineal.sources import Key
from lineal.sources.plan import MET, FetchPlan, SourcePlan

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Addresses:
    """The addresses of one source's documents."""

    def __init__(self, plan: SourcePlan) -> None:
        self._plan = plan
        #: Those of keys that were met: an event's is looked at twice, and then asked.
        self._met: dict[Key, tuple[FetchPlan, str, dict[str, str]]] = {}

    def of(self, key: Key) -> tuple[FetchPlan, str, dict[str, str]]:
        """Return how *key* is fetched, its path and its arguments; raises `Invalid`."""
        if (met := self._met.get(key)) is not None:
            return met
        resource = self._plan.resources.get(key.resource)
        if resource is None or resource.fetch is None:
            raise Invalid(f"The source {self._plan.name} cannot fetch a {key.resource!r}.")
        fetch, parts = resource.fetch, resource.key.parts(key.id)
        segments = {name: segment(parts[name]) for name in fetch.path.names}
        params = {name: text.filled(parts) for name, text in fetch.params.items()}
        if len(self._met) >= MET:
            self._met.clear()
        found = self._met[key] = fetch, fetch.path.filled(segments), params
        return found


def segment(part: str) -> str:
    """
    Return an id as one segment of a path.

    >>> segment("a/b c")
    'a%2Fb%20c'

    Raises:
        Invalid: it could be taken for something else than one segment.
    """
    if part in (".", "..") or not part.strip():
        raise Invalid(f"{part!r} cannot be a part of an address.")
    if _CONTROL.search(part):
        raise Invalid(f"{part[:80]!r} holds a control character.")
    if unquote(part) != part:
        raise Invalid(f"{part[:80]!r} is already encoded: it would mean two things.")
    return quote(part, safe="-._~")

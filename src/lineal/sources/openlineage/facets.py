"""Facets: named pieces of metadata, each said anew as a whole, the latest word counting.

Facets that no module here reads are kept under ``facets`` as they came, but for what may hold
secrets or code: those are left out, and values under secret-sounding keys are masked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from lineal import normalise
from lineal.model import Instant, Json

#: Facets that are never stored: they hold secrets, code, or what a tool could not name.
PRIVATE = frozenset({"environmentVariables", "sourceCode", "unknownSourceAttribute"})
#: The longest facet that is kept verbatim, in bytes of JSON.
LIMIT = 32_768

_WRAPPING = ("_producer", "_schemaURL")
_SECRET = re.compile(
    r"pass(?:word|wd|phrase)|secret|token|credential|api[-_.]?key|private[-_.]?key|"
    r"access[-_.]?key|authorization|cookie",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Facet:
    """The latest word of a facet, and since when it has been said without change."""

    value: Mapping[str, Json]
    since: Instant

    def text(self, key: str) -> str | None:
        """Return the text under *key*, None if there is none."""
        return normalise.text(self.value.get(key))


NOTHING = Facet({}, 0)


def fold(said: Iterable[tuple[Instant, Json]]) -> dict[str, Facet]:
    """Fold facets that were said in this order; ``_deleted`` removes one."""
    folded: dict[str, Facet] = {}
    for at, facets in said:
        for name, value in normalise.mapping(facets).items():
            if not isinstance(value, Mapping):
                continue
            before = folded.get(name)
            if value.get("_deleted") is True:
                folded.pop(name, None)
            elif before and _content(before.value) == _content(value):
                folded[name] = Facet(value, before.since)
            else:
                folded[name] = Facet(value, at)
    return folded


def words(facets: Json) -> Iterator[tuple[str, dict[str, Json] | None]]:
    """Go through facets with what counts of each; None: it is removed."""
    for name, value in normalise.mapping(facets).items():
        if isinstance(value, Mapping):
            yield name, None if value.get("_deleted") is True else _content(value)


def _content(value: Mapping[str, Json]) -> dict[str, Json]:
    return {key: part for key, part in value.items() if key not in _WRAPPING}


def since(facets: Mapping[str, Facet], first: Instant) -> Instant:
    """Return since when all of *facets* have been as they are; *first* if there are none."""
    return max((facet.since for facet in facets.values()), default=first)


def kept(facets: Mapping[str, Facet], known: Collection[str]) -> dict[str, Json]:
    """Return what is kept of the facets that are not *known*."""
    return {
        name: masked(facet.value) if _fits(facet) else {"omitted": "too long"}
        for name, facet in sorted(facets.items())
        if name not in known and name not in PRIVATE
    }


def _fits(facet: Facet) -> bool:
    return len(json.dumps(facet.value)) <= LIMIT


def masked(value: Mapping[str, Json]) -> dict[str, Json]:
    """Return *value* with the texts under secret-sounding keys masked."""
    return {
        key: "***" if _SECRET.search(key) and isinstance(item, str) else _masked_inside(item)
        for key, item in value.items()
    }


def _masked_inside(value: Json) -> Json:
    if isinstance(value, list):
        return [_masked_inside(item) for item in value]
    return masked(value) if isinstance(value, Mapping) else value


def operation(facets: Mapping[str, Facet]) -> str | None:
    """Return what was done to a data set as a whole, such as ``create`` or ``overwrite``."""
    change = facets.get("lifecycleStateChange", NOTHING).text("lifecycleStateChange")
    return change.lower() if change else None


def clipped(text: str | None, limit: int) -> str | None:
    """Return *text* cut to *limit* characters."""
    return text if text is None or len(text) <= limit else text[:limit] + "…"


def tags(facet: Facet, field: str | None = None) -> list[str]:
    """
    Return the tags of a tags facet: those of the whole, or those of its *field*.

    Source: https://openlineage.io/spec/facets/1-0-0/TagsDatasetFacet.json.
    """
    found = set()
    for item in normalise.mappings(facet.value.get("tags")):
        key, value = normalise.text(item.get("key")), normalise.text(item.get("value"))
        if key and normalise.text(item.get("field")) == field:
            found.add(normalise.tag(key, None if value in (None, "true") else value))
    return sorted(found)

"""What of a thing can be found: its names, its words, its facets. Pure.

Which attributes are found is declared by the shapes: the text of those marked `search` is among
the words, each value of those marked `facet` is a facet under the attribute's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf

from lineal.model import Json, Uri
from lineal.shapes import Attribute, EntityType, Shapes
from lineal.store import Describe, SearchRow
from lineal.store.text import held

#: Attributes that are facets of everything, whatever its type says of them.
OF_ALL = ("status", "domain", "environment", "stage")
#: Attributes by whose value one thing is found to be what another speaks of.
MARKS = ("artifact_uri", "dataset_digest", "digest", "image_digest")
#: So many characters of one attribute are searched; of a description all.
LONGEST_TEXT = 10_000
#: A value that is longer is no facet: nobody counts by it, and its words may still be searched.
LONGEST_FACET = 100

_NONE: frozenset[str] = frozenset()
#: What parts a value into its key and the rest.
_PART = "::"


@dataclass(frozen=True, slots=True)
class _Marked:
    """What can be found of the things of one type: attributes, by each name that they may have."""

    texts: tuple[str, ...]
    #: Attribute to facet, and how long a value of it may be.
    facets: Mapping[str, tuple[str, float]]


@lru_cache(maxsize=8)
def describing(shapes: Shapes) -> Describe:
    """Return what makes the search row of a thing from its URI, attributes and whether deleted."""
    marked = {name: _marked(shapes[name].attributes) for name in shapes}
    unknown = _marked(())

    def describe(uri: Uri, attributes: Mapping[str, Json], deleted: bool) -> SearchRow:
        name, said = attributes.get("name"), attributes.get("description")
        kind, platform, *segments = uri.parts
        called = name if isinstance(name, str) and name else segments[-1]
        parts = " ".join((platform, *segments))
        found = marked.get(kind, unknown)
        # Most ids and names have no humps to part words at.
        if not (parts.islower() and called.islower()):
            parts = " ".join((parts, *_inner_words(parts), *_inner_words(called)))
        for key in found.texts:
            value = attributes.get(key)
            if value is not None:
                text = value if isinstance(value, str) else " ".join(_texts(value))
                if text != called and text not in segments:
                    parts = f"{parts} {text[:LONGEST_TEXT]}"
        tags = attributes.get("tags")
        facets = {
            "type": frozenset((kind,)),
            "platform": frozenset((held(platform),)),
            "tag": _several(tags, inf) if tags else _NONE,
        }
        for key in found.facets.keys() & attributes.keys():
            facet, longest = found.facets[key]
            value = attributes[key]
            if isinstance(value, str) and _PART not in value:
                values = frozenset((held(value),)) if value and len(value) <= longest else _NONE
            else:
                values = _several(value, longest)
            if values:
                facets[facet] = facets[facet] | values if facet in facets else values
        description = said if isinstance(said, str) else ""
        return SearchRow(called, parts, description, facets, deleted)

    return describe


def facets_of(found: EntityType) -> tuple[str, ...]:
    """Return the facets that a type declares, as its attributes are called; tags are for all."""
    return tuple(one.name for one in found.attributes if one.facet and one.name != "tags")


def _marked(attributes: Sequence[Attribute]) -> _Marked:
    """Look up once what a type marks."""
    texts = [
        name
        for one in attributes
        if one.search and one.name not in ("name", "description")
        for name in (one.name, *one.aliases)
    ]
    facets: dict[str, tuple[str, float]] = {name: (name, inf) for name in (*OF_ALL, *MARKS)}
    for one in attributes:
        if one.facet and one.name != "tags":
            facet = facets.setdefault(one.name, (one.name, LONGEST_FACET))
            for alias in one.aliases:
                facets.setdefault(alias, facet)
    return _Marked(tuple(texts), facets)


def _texts(value: Json) -> Iterator[str]:
    """Go through the texts and numbers of a value, however deep they lie; of a map by its keys."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            waiting.extend(reversed(one))
        elif isinstance(one, dict):
            waiting.extend(one[key] for key in sorted(one, reverse=True))
        elif one is not None and not isinstance(one, bool):
            yield _number(one)


def _several(value: Json, longest: float) -> frozenset[str]:
    """Return the values of a facet; one that is ``key::value`` is found by its key too."""
    found = []
    for one in value if isinstance(value, list) else (value,):
        told = one if isinstance(one, str) else _told(one)
        if told and len(told) <= longest:
            found.append(held(told))
            if _PART in told:
                found.append(held(told.partition(_PART)[0]))
    return frozenset(found)


def _told(value: Json) -> str:
    """Return a truth or a number as one writes it in a filter; nothing of anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _number(value) if isinstance(value, int | float) else ""


def _number(value: int | float) -> str:
    """Return a number without a fraction that is none."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def _inner_words(text: str) -> Iterable[str]:
    """Yield the words inside of words: ``playsPerDay`` is found by ``day`` too."""
    if not text.islower():
        for word in text.split():
            parts = _HUMP.sub(" ", word)
            if parts != word:
                yield parts

"""What of a thing can be found: its names, its words, its facets. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from lineal.model import Json, Uri
from lineal.store import SearchRow

#: Attributes whose text is found but counts less than the name.
_TEXTS = ("description",)
#: Attributes by whose value things are filtered and counted.
_FACETS = ("status", "domain", "environment", "stage", "kind")
#: Attributes by whose value one thing is found to be what another speaks of.
_MARKS = ("artifact_uri", "dataset_digest", "digest", "image_digest")
_KEPT = (*_FACETS, *_MARKS)


def describe(uri: Uri, attributes: Mapping[str, Json], deleted: bool) -> SearchRow:
    """Return the search row of a thing."""
    name = attributes.get("name")
    kind, platform, *segments = uri.parts
    called = name if isinstance(name, str) and name else segments[-1]
    ids = " ".join((platform, *segments))
    description = " ".join(
        [value for key in _TEXTS if isinstance(value := attributes.get(key), str)]
    )
    tags = attributes.get("tags")
    facets = {
        "type": frozenset((kind,)),
        "platform": frozenset((platform,)),
        "tag": frozenset(_tags(tags)) if tags else _NONE,
    }
    for facet in _KEPT:
        value = attributes.get(facet)
        if value and isinstance(value, str):
            facets[facet] = frozenset((value,))
    # Most ids and names have no humps to part words at.
    parts = ids
    if not (ids.islower() and called.islower()):
        parts = " ".join((ids, *_inner_words(ids), *_inner_words(called)))
    return SearchRow(called, parts, description, facets, deleted)


_NONE: frozenset[str] = frozenset()


def _tags(tags: Json) -> Iterable[str]:
    """A tag is found whole and by its key."""
    for tag in tags if isinstance(tags, list) else ():
        yield str(tag)
        key, found, _ = str(tag).partition("::")
        if found:
            yield key


_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def _inner_words(text: str) -> Iterable[str]:
    """Yield the words inside of words: ``playsPerDay`` is found by ``day`` too."""
    if not text.islower():
        for word in text.split():
            parts = _HUMP.sub(" ", word)
            if parts != word:
                yield parts

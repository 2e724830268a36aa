"""The query language, the same on every surface.

``type:model-version owner:team-rank -tag:deprecated "weekly ranking" v5``: words that must all
occur (each may be the beginning of one), quoted phrases, ``filter:value`` pairs, and ``-`` before
a filter for what must not hold. In quotes, two quotation marks are one of the value. A ``filter:``
twice means one or the other. Every attribute that the shapes mark `facet` is a filter under its own
name.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from types import MappingProxyType

from lineal.errors import InvalidQuery
from lineal.search.rows import facets_of
from lineal.shapes import Shapes
from lineal.store.text import NUL

#: The filters of every type, and what each asks for.
FILTERS = {
    "type": "the type of thing",
    "owner": "who owns it: a person or team, by name, id or e-mail address",
    "tag": "a tag, as key::value or the key alone",
    "status": "its status, such as running",
    "domain": "its domain",
    "platform": "the platform that names it",
    "environment": "the environment of its source",
    "stage": "its lifecycle stage, such as production",
    "source": "a source that describes it",
    "artifact_uri": "where its files are stored: the whole URI",
    "dataset_digest": "the hash of the data it was measured with",
    "digest": "the hash of its files or its content",
    "image_digest": "the container image it is packed in or runs",
}

_TOKEN = re.compile(
    r"""\s*(?P<minus>-)?(?:(?P<name>[a-z][a-z0-9_]*):(?!:|//))?"""
    r"""(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^\s"]+))"""
)
#: What stands before a colon and is no filter: ``sha256:…``, ``dbfs:/…``.
_TEXT = re.compile(r"[a-z_]*[0-9].*|.*:/.*")


@dataclass(frozen=True, slots=True)
class Query:
    """A search text, understood."""

    text: str
    #: What is left without the filters, as it was written.
    rest: str
    #: Words, and phrases of several words, that must all occur.
    words: tuple[str, ...]
    wanted: Mapping[str, frozenset[str]]
    unwanted: Mapping[str, frozenset[str]]


@lru_cache(maxsize=8)
def filters_of(shapes: Shapes) -> Mapping[str, str]:
    """Return every filter, and what it asks for: those of all types, then the facets of some."""
    types: dict[str, list[str]] = defaultdict(list)
    for found in shapes.types.values():
        for name in facets_of(found):
            if name not in FILTERS:
                types[name].append(found.name)
    told = {name: f"an attribute of {', '.join(types[name])}" for name in sorted(types)}
    return MappingProxyType({**FILTERS, **told})


def parse(text: str, shapes: Shapes) -> Query:
    """
    Understand a search text.

    Raises:
        InvalidQuery: a quotation is not closed, or a filter does not exist.
    """
    filters = filters_of(shapes)
    wanted: dict[str, set[str]] = defaultdict(set)
    unwanted: dict[str, set[str]] = defaultdict(set)
    words: list[str] = []
    rest: list[str] = []
    at = 0
    # As it lies in indexes.
    trimmed = text.replace("\0", NUL).strip()
    while at < len(trimmed):
        token = _TOKEN.match(trimmed, at)
        if token is None:
            raise InvalidQuery(
                f"The quotation at character {at + 1} of {text!r} is not closed.",
                fix='Close it with ".',
            )
        at = token.end()
        name = token["name"]
        is_quoted = token["quoted"] is not None
        value = token["quoted"].replace('""', '"') if is_quoted else token["plain"]
        if name is not None and name not in filters and _TEXT.fullmatch(f"{name}:{value}"):
            name, value = None, f"{name}:{value}"
        if name is None:
            found = _words(value, minus=bool(token["minus"]))
            words.extend([" ".join(found)] if is_quoted and found else found)
            rest.append(value)
        elif name not in filters:
            raise _unknown(name, value, filters)
        else:
            (unwanted if token["minus"] else wanted)[name].add(value)
    return Query(trimmed, " ".join(rest), tuple(words), _frozen(wanted), _frozen(unwanted))


def _unknown(name: str, value: str, filters: Collection[str]) -> InvalidQuery:
    """Say that there is no such filter, which one may be meant, and how to find it as text."""
    close = get_close_matches(name, filters, n=1)
    meant = f"Did you mean {close[0]!r}? " if close else ""
    return InvalidQuery(
        f"There is no filter {name!r}.",
        fix=f"{meant}Filters are {', '.join(sorted(filters))}. "
        f'As text it is found in quotes: "{name}:{value}".',
    )


def _words(value: str, *, minus: bool) -> list[str]:
    if minus:
        raise InvalidQuery(
            f"-{value}: only filters can be excluded.", fix=f"Write -tag:{value}, for example."
        )
    return [word for word in re.split(r"[^\w]+", value) if word]


def _frozen(values: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {name: frozenset(some) for name, some in values.items()}

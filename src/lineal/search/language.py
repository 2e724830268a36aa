"""The query language, the same on every surface.

``type:model-version owner:team-rank -tag:deprecated "weekly ranking" v5``: words that must all
occur (each may be the beginning of one), quoted phrases, ``filter:value`` pairs, and ``-`` before
a filter for what must not hold. A ``filter:`` twice means one or the other.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from lineal.errors import InvalidQuery

#: The filters, and what each asks for.
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
}

_TOKEN = re.compile(
    r"""\s*(?P<minus>-)?(?:(?P<name>[a-z]+):(?!:|//))?(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]+))"""
)


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


def parse(text: str) -> Query:
    """
    Understand a search text.

    Raises:
        InvalidQuery: a quotation is not closed, or a filter does not exist.
    """
    wanted: dict[str, set[str]] = defaultdict(set)
    unwanted: dict[str, set[str]] = defaultdict(set)
    words: list[str] = []
    rest: list[str] = []
    at = 0
    trimmed = text.strip()
    while at < len(trimmed):
        token = _TOKEN.match(trimmed, at)
        if token is None:
            raise InvalidQuery(
                f"The quotation at character {at + 1} of {text!r} is not closed.",
                fix='Close it with ".',
            )
        at = token.end()
        name = token["name"]
        value = token["quoted"] if token["quoted"] is not None else token["plain"]
        if name is None:
            found = _words(value, minus=bool(token["minus"]))
            words.extend([" ".join(found)] if token["quoted"] is not None and found else found)
            rest.append(value)
        elif name not in FILTERS:
            raise InvalidQuery(
                f"There is no filter {name!r}.", fix=f"Filters are {', '.join(sorted(FILTERS))}."
            )
        else:
            (unwanted if token["minus"] else wanted)[name].add(value)
    return Query(trimmed, " ".join(rest), tuple(words), _frozen(wanted), _frozen(unwanted))


def _words(value: str, *, minus: bool) -> list[str]:
    if minus:
        raise InvalidQuery(
            f"-{value}: only filters can be excluded.", fix=f"Write -tag:{value}, for example."
        )
    return [word for word in re.split(r"[^\w]+", value) if word]


def _frozen(values: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {name: frozenset(some) for name, some in values.items()}

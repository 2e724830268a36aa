"""The text of a search, changed by a click, and what to do when nothing is found."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from lineal.search import Query

if TYPE_CHECKING:
    from lineal.model import Answer
    from lineal.query import Brief, Found

#: Searches a text: the whole answer for at most so many hits.
Search = Callable[[str, int], "Answer[Found]"]


def written(name: str, value: str, *, minus: bool = False) -> str:
    """
    Return a filter as it is written.

    >>> written("tag", "tier::1"), written("owner", "Data Platform"), written("tag", '7" disk')
    ('tag:tier::1', 'owner:"Data Platform"', 'tag:"7"" disk"')
    """
    told = _quoted(value) if re.search(r'[\s"]', value) or not value else value
    return f"{'-' if minus else ''}{name}:{told}"


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def adding(text: str, name: str, value: str) -> str:
    """Return a search text with one filter more."""
    return f"{text.strip()} {written(name, value)}".strip()


def without(text: str, name: str, value: str) -> str:
    """
    Return a search text without a filter, however it was quoted.

    >>> without('ranking type:"model" v5', "type", "model")
    'ranking v5'
    """
    plain, quoted = re.escape(value), re.escape(_quoted(value))
    found = re.sub(rf"(?:^|(?<=\s))-?{re.escape(name)}:(?:{quoted}|{plain})(?=\s|$)", "", text)
    return re.sub(r"\s+", " ", found).strip()


def filters(query: Query) -> list[tuple[str, str, bool]]:
    """Return the filters of a query: name, value, and whether it excludes."""
    found = [(name, value, False) for name, some in query.wanted.items() for value in some]
    found += [(name, value, True) for name, some in query.unwanted.items() for value in some]
    return sorted(found)


@dataclass(frozen=True, slots=True)
class Help:
    """What to do when nothing was found."""

    #: A filter, the text without it, and how much that would find.
    blockers: tuple[tuple[str, str, int], ...]
    nearest: tuple[Brief, ...]


def helped(text: str, query: Query, search: Search) -> Help:
    """Say which filter removed everything, and which names are near."""
    blockers = []
    for name, value, minus in filters(query):
        less = without(text, name, value)
        answer = search(less, 1) if less != text else None
        if answer is not None and answer.value.hits:
            total = answer.total or len(answer.value.hits)
            blockers.append((written(name, value, minus=minus), less, total))
    return Help(tuple(blockers), () if blockers else _nearest(query, search))


def _nearest(query: Query, search: Search) -> tuple[Brief, ...]:
    """Shorten the words from behind until something begins like them."""
    words = [word.casefold() for word in query.words if len(word) > 2]
    for word in sorted(words, key=len, reverse=True)[:3]:
        for size in sorted({len(word) - 1, len(word) * 2 // 3, 3, 2}, reverse=True):
            hits = search(word[:size], 100).value.hits if size > 1 else ()
            names = {hit.name.casefold(): hit for hit in hits}
            close = get_close_matches(" ".join(words), list(names), 5, cutoff=0.3)
            if close:
                return tuple(names[name] for name in close)
    return ()

"""The search rows of what a transaction changed, read from the transaction itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from lineal.model import Json, Record, Removal, State, Uri
from lineal.store.driver import Driver
from lineal.store.facts import TOMBSTONE, together
from lineal.store.reading import Reader
from lineal.store.text import Describe, SearchRow

#: What is said of these things now, and by whom?
_SAID = """
    SELECT record.key, record.body, document.source, document.name, record.valid_from
    FROM record JOIN document ON document.id = record.document
    WHERE record.t_to IS NULL AND record.body <> 'null' AND record.key {among}
"""
assert TOMBSTONE == "null"


def said_alone(
    words: Iterable[Record | Removal], new: Collection[Uri]
) -> dict[Uri, Mapping[str, Json]]:
    """Return what is said of new things of which one statement, or none, speaks."""
    alone: dict[Uri, Mapping[str, Json]] = {uri: {} for uri in new}
    met: set[Uri] = set()
    for word in words:
        for statement in word.statements if isinstance(word, Record) else ():
            if statement.uri in met:
                alone.pop(statement.uri, None)
            elif statement.uri in alone:
                alone[statement.uri] = statement.attributes
            met.add(statement.uri)
    return alone


def search_rows(
    driver: Driver,
    reader: Reader,
    describe: Describe,
    keys: Mapping[Uri, int],
    *,
    alone: Mapping[Uri, Mapping[str, Json]],
    before: Mapping[Uri, str],
) -> dict[int, SearchRow]:
    """
    Return the search row of each of these things that may have another, as it is now.

    *alone* is what is said of things that are new, *before* what was said of those of which one
    statement was replaced.
    """
    rows = {
        keys[uri]: describe(uri, attributes, False)
        for uri, attributes in alone.items()
        if uri in keys
    }
    others = {uri: key for uri, key in keys.items() if key not in rows}
    if not others:
        return rows
    said, single = _said(driver, reader, others)
    for uri, attributes in said.items():
        row = describe(uri, attributes, False)
        old = before.get(uri) if uri in single else None
        if old is None or describe(uri, together([msgspec.json.decode(old)]), False) != row:
            rows[others[uri]] = row
    rest = [key for uri, key in others.items() if uri not in said]
    rows.update(_looked_up(reader, describe, rest))
    return rows


def _said(
    driver: Driver, reader: Reader, keys: Mapping[Uri, int]
) -> tuple[dict[Uri, dict[str, Json]], set[Uri]]:
    """
    What is said of things that certainly are there: their first source speaks of them.

    Beside it, of which of them one statement alone speaks.
    """
    by_key = {key: uri for uri, key in keys.items()}
    found: dict[Uri, list[tuple[tuple[bool, int, str, str], str]]] = {}
    registered = reader.registered()
    for key, body, source, name, valid_from in driver.among(_SAID, by_key):
        uri = by_key[key]
        first = registered.get((uri.type, uri.platform)) if registered else None
        rank = (source != first, -valid_from, source, name)
        found.setdefault(uri, []).append((rank, body))
    said: dict[Uri, dict[str, Json]] = {}
    for uri, some in found.items():
        some.sort()
        expected = registered.get((uri.type, uri.platform)) if registered else None
        if expected is None or not some[0][0][0]:
            said[uri] = together(msgspec.json.decode(body) for _, body in some)
    return said, {uri for uri in said if len(found[uri]) == 1}


def _looked_up(reader: Reader, describe: Describe, keys: list[int]) -> dict[int, SearchRow]:
    """The search rows of things that may be gone: they are found by what was last said."""
    if not keys:
        return {}
    entities = reader.entities(keys)
    gone = [key for key in keys if entities[key].state is State.DELETED]
    last = reader.last_words(gone)
    return {
        key: describe(entities[key].uri, last.get(key, entities[key].attributes), key in last)
        for key in keys
    }

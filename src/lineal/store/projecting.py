"""The search rows of what a transaction changed, read from the transaction itself."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import sqlalchemy as sa

from lineal.model import Json, Record, Removal, State, Uri, Viewer
from lineal.shapes import Shapes
from lineal.store import schema, text
from lineal.store.basis import latest
from lineal.store.batches import Surroundings
from lineal.store.driver import Driver
from lineal.store.facts import TOMBSTONE, together
from lineal.store.ledger import Ledger
from lineal.store.reading import Reader
from lineal.store.terms import Terms
from lineal.store.text import Describe, SearchRow

#: What is said of these things now, and by whom?
_SAID = """
    SELECT record.key, record.body, document.source, document.name, record.valid_from
    FROM record JOIN document ON document.id = record.document
    WHERE record.t_to IS NULL AND record.body <> 'null' AND record.key {among}
"""
assert TOMBSTONE == "null"


#: In which way search rows are made. Raise it with a change of `describe` or of the tokens: every
#: database is projected again when it is next opened.
VERSION = 4
#: How many things one commit of a new projection takes.
STEP = 2_000


@lru_cache(maxsize=8)
def way_of(shapes: Shapes) -> int:
    """Return one number for the way in which search rows are made under these shapes."""
    marked = sorted(
        (found.name, one.name, one.aliases, one.search, one.facet)
        for found in shapes.types.values()
        for one in found.attributes
        if one.search or one.facet
    )
    return zlib.crc32(repr((VERSION, marked)).encode()) >> 1


def is_complete(driver: Driver, way: int) -> bool:
    """Were all search rows made in this way?"""
    return driver.row(_COMPLETE, way, DONE) is not None


def project_some(connection: sa.Connection, around: Surroundings, describe: Describe) -> bool:
    """Make some search rows anew, where they were made in another way; is there more to do?"""
    ledger = Ledger(Driver(connection))
    driver, table, way = ledger.driver, schema.projection, way_of(around.grammar.shapes)
    if is_complete(driver, way):
        return False
    # Facets are numbered under the clock, and a commit may be writing the same search rows.
    ledger.hold_clock()
    known = ledger.find(table, "name = 'search'")
    if known and known[0][1:] == (way, DONE):
        return False
    if not known:
        ledger.insert(table, [("search", way, 1)])
        known = ledger.find(table, "name = 'search'")
    start = known[0][2] if known[0][1] == way else 1
    rows = driver.rows(_NEXT, start, STEP)
    keys = {str.__new__(Uri, uri): key for key, uri in rows}
    project(ledger, around.terms, around.facets, describe, keys)
    onward = max(keys.values()) + 1 if rows else DONE
    ledger.change(table, [(known[0], {"version": way, "next_key": onward})])
    ledger.write()
    return onward != DONE


def project(
    ledger: Ledger, terms: Terms, facets: text.Facets, describe: Describe, keys: Mapping[Uri, int]
) -> None:
    """Make the search rows of these things anew; the clock is held."""
    connection = ledger.driver.connection
    reader = Reader(connection, Viewer("system"), latest(connection), terms)
    made = search_rows(ledger.driver, reader, describe, keys, alone={}, before={})
    text.write_rows(ledger, facets, made.rows)


def begin_again(ledger: Ledger) -> None:
    """Have all search rows made anew, by `project_some`."""
    known = ledger.find(schema.projection, "name = 'search'")
    ledger.change(schema.projection, [(row, {"next_key": 1}) for row in known])


#: Where a projection stands that is complete.
DONE = -1
#: Were all search rows made in this way?
_COMPLETE = "SELECT 1 FROM projection WHERE name = 'search' AND version = ? AND next_key = ?"
#: Which things come next that can be found?
_NEXT = """
    SELECT key, uri FROM entity WHERE key >= ?
    AND NOT EXISTS (SELECT 1 FROM forgotten WHERE forgotten.key = entity.key
        AND forgotten.how = 'retention'
        AND NOT EXISTS (SELECT 1 FROM record WHERE record.key = entity.key))
    ORDER BY key LIMIT ?
"""


def said_alone(
    words: Iterable[Record | Removal], new: Collection[Uri], known: Collection[Uri]
) -> dict[Uri, Mapping[str, Json]]:
    """
    Return what is said of things of which one statement speaks, or none of what is *new*.

    Of what is *known* no document says anything but these, not even that it is gone.
    """
    alone: dict[Uri, Mapping[str, Json]] = {uri: {} for uri in new}
    met: set[Uri] = set()
    for word in words:
        if isinstance(word, Removal):
            # Whoever deletes a thing may be its first source.
            alone.pop(word.subject, None)
            met.add(word.subject)
            continue
        for statement in word.statements:
            if statement.uri in met:
                alone.pop(statement.uri, None)
            elif statement.uri in alone or statement.uri in known:
                alone[statement.uri] = statement.attributes
            met.add(statement.uri)
    return alone


@dataclass(frozen=True, slots=True)
class Projected:
    """Search rows as they are now, and as they were where that is known."""

    rows: dict[int, SearchRow]
    old: dict[int, SearchRow]


def search_rows(
    driver: Driver,
    reader: Reader,
    describe: Describe,
    keys: Mapping[Uri, int],
    *,
    alone: Mapping[Uri, Mapping[str, Json]],
    before: Mapping[Uri, str],
) -> Projected:
    """
    Return the search row of each of these things that may have another, as it is now.

    *alone* is what is said of things of which nothing else is said, *before* what was said of those
    of which one statement was replaced.
    """
    said: dict[Uri, Mapping[str, Json]] = {uri: alone[uri] for uri in alone if uri in keys}
    others, single = {uri: key for uri, key in keys.items() if uri not in said}, set(said)
    if others:
        read, singly = _said(driver, reader, others)
        said.update(read)
        single |= singly
    made = Projected({}, {})
    for uri, attributes in said.items():
        key, row = keys[uri], describe(uri, attributes, False)
        if uri in single and uri in before:
            told = together([msgspec.json.decode(before[uri])])
            made.old[key] = describe(uri, told, False)
        if made.old.get(key) != row:
            made.rows[key] = row
    rest = [key for uri, key in others.items() if uri not in said]
    made.rows.update(_looked_up(reader, describe, rest))
    return made


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

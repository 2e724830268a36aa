"""Search rows on disk: how a thing can be found by name, by words and by facet.

Rows are written in the order of their keys: out of order, FTS5 flushes at each row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from lineal.model import Json, Uri
from lineal.store import schema
from lineal.store.slices import slices

_SEARCH = sa.table(
    "search", sa.column("rowid"), *(sa.column(name) for name in schema.SEARCH_COLUMNS)
)


@dataclass(frozen=True, slots=True)
class SearchRow:
    """What can be found of a thing by text and by facet."""

    name: str
    words: str
    description: str
    facets: Mapping[str, frozenset[str]]
    deleted: bool = False


#: Makes the search row of a thing from its URI, its attributes, and whether it is deleted.
Describe = Callable[[Uri, Mapping[str, Json], bool], SearchRow]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search asks for, in terms of rows."""

    #: Words that must all occur; each may be the beginning of one that does.
    words: tuple[str, ...] = ()
    #: The whole text, folded, to find by exact name and by its beginning.
    text: str = ""
    #: Facets that must hold: name to values of which one must.
    facets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    without: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: Only these things, where given.
    among: frozenset[int] | None = None
    not_among: frozenset[int] = frozenset()


def write_rows(connection: sa.Connection, rows: Mapping[int, SearchRow]) -> None:
    """Replace the search rows of these things."""
    ordered = sorted(rows)
    for some in slices(ordered):
        connection.execute(sa.delete(_SEARCH).where(_SEARCH.c.rowid.in_(some)))
        for table in (schema.search_name, schema.facet):
            connection.execute(sa.delete(table).where(table.c.key.in_(some)))
    names = [
        {"key": key, "folded": rows[key].name.casefold(), "deleted": rows[key].deleted}
        for key in ordered
    ]
    texts = [
        {
            "rowid": key,
            "name": rows[key].name,
            "words": rows[key].words,
            "description": rows[key].description,
        }
        for key in ordered
    ]
    facets = [
        {"key": key, "name": name, "value": value}
        for key in ordered
        for name in sorted(rows[key].facets)
        for value in sorted(rows[key].facets[name])
    ]
    connection.execute(sa.insert(schema.search_name), names)
    connection.execute(sa.insert(_SEARCH), texts)
    if facets:
        connection.execute(sa.insert(schema.facet), facets)


def tidy(connection: sa.Connection) -> None:
    """Merge some segments of the full-text index: work put off by every commit."""
    connection.exec_driver_sql("INSERT INTO search (search, rank) VALUES ('merge', 500)")


# ── Finding ──────────────────────────────────────────────────────────────────────────────────────

#: How many candidates are ranked; more are said to be more.
CANDIDATES = 1_000


def candidates(connection: sa.Connection, wanted: Wanted) -> list[tuple[int, int]]:
    """Return (key, class of match) of what fits, best class first: 0 exact, 1 prefix, 2 words."""
    found: dict[int, int] = {}
    steps: list[sa.Select[Any]] = []
    name = schema.search_name
    if wanted.text:
        end = wanted.text + "\U0010ffff"
        steps.append(sa.select(name.c.key).where(name.c.folded == wanted.text))
        steps.append(sa.select(name.c.key).where(name.c.folded >= wanted.text, name.c.folded < end))
    if wanted.words:
        steps.extend(_by_words(wanted.words))
    if not steps:
        steps.append(sa.select(name.c.key))
    for rank, step in enumerate(steps):
        limited = _filtered(step, wanted).limit(CANDIDATES + 1)
        for key in connection.scalars(limited):
            found.setdefault(key, rank if wanted.text or wanted.words else 3)
        if len(found) > CANDIDATES:
            break
    return sorted(found.items(), key=lambda item: (item[1], item[0]))


def _by_words(words: Sequence[str]) -> Iterable[sa.Select[Any]]:
    terms = " AND ".join('"' + word.replace('"', '""') + '"*' for word in words)
    matching: sa.ColumnElement[str] = sa.literal_column("search")
    for phrase in (f"name : ({terms})", terms):
        yield sa.select(_SEARCH.c.rowid.label("key")).where(
            matching.op("MATCH")(sa.literal(phrase))
        )


def _filtered(step: sa.Select[Any], wanted: Wanted) -> sa.Select[Any]:
    inner = step.subquery()
    key = inner.c[0]
    query = sa.select(key)
    for name, values in sorted(wanted.facets.items()):
        query = query.where(_having(key, name, values))
    for name, values in sorted(wanted.without.items()):
        query = query.where(~_having(key, name, values))
    if wanted.among is not None:
        query = query.where(key.in_(sorted(wanted.among)))
    if wanted.not_among:
        query = query.where(key.not_in(sorted(wanted.not_among)))
    return query


def _having(key: Any, name: str, values: frozenset[str]) -> sa.ColumnElement[bool]:
    facet = schema.facet
    return sa.exists().where(
        facet.c.key == key, facet.c.name == name, facet.c.value.in_(sorted(values))
    )


def facet_counts(
    connection: sa.Connection, keys: Sequence[int], names: Sequence[str]
) -> dict[str, dict[str, int]]:
    """How many of these things have which value of these facets?"""
    facet, found = schema.facet, {name: dict[str, int]() for name in names}
    for some in slices(keys):
        query = (
            sa.select(facet.c.name, facet.c.value, sa.func.count())
            .where(facet.c.key.in_(some), facet.c.name.in_(sorted(names)))
            .group_by(facet.c.name, facet.c.value)
        )
        for name, value, count in connection.execute(query):
            found[name][value] = found[name].get(value, 0) + count
    return found

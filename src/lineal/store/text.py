"""Search rows on disk: how a thing can be found by name, by words and by facet.

Texts are broken into tokens here, once, so that both databases find the same. Rows are written in
the order of their keys: out of order, FTS5 flushes at each row.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSQUERY

from lineal.model import Json, Uri
from lineal.store import schema
from lineal.store.driver import Driver
from lineal.store.ledger import Ledger
from lineal.store.slices import slices

#: Full text: on SQLite an FTS5 table, on PostgreSQL tokens with an inverted index.
_SEARCH = sa.table("search", sa.column("rowid"), sa.column("key"), sa.column("tokens"))


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


#: Comes after every text.
LAST = "\U0010ffff"

# ── Tokens ───────────────────────────────────────────────────────────────────────────────────────

_WORD = re.compile(r"[^\W_]+")


def tokens(text: str) -> list[str]:
    """
    Return the words of a text as they are compared: folded, without accents, letters and digits.

    >>> tokens("Größe der user_plays (7d)")
    ['grosse', 'der', 'user', 'plays', '7d']
    """
    if not text.isascii():
        parts = unicodedata.normalize("NFKD", text)
        text = "".join(part for part in parts if not unicodedata.combining(part)).casefold()
    return _WORD.findall(text.lower())


def _texts(row: SearchRow) -> tuple[str, str, str]:
    """Return the tokens of name, words and description, as FTS5 holds them."""
    name, words, description = (
        " ".join(tokens(text)) for text in (row.name, row.words, row.description)
    )
    return name, words, description


def _vector(row: SearchRow) -> str:
    """Return the tokens as a tsvector: those of the name weigh A, and phrases end with a text."""
    places: list[str] = []
    at = 0
    for text, weight in ((row.name, "A"), (row.words, ""), (row.description, "")):
        for token in tokens(text):
            at += 1
            places.append(f"'{token}':{min(at, _FARTHEST)}{weight}")
        at += 2
    return " ".join(places)


#: The last position that a tsvector tells apart.
_FARTHEST = 16_383

# ── Writing ──────────────────────────────────────────────────────────────────────────────────────


class Facets:
    """The numbers of facets: pairs of a name and a value, as they are met."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}

    def forget(self) -> None:
        """Forget all: a transaction that may have added some was undone."""
        self._numbers.clear()

    def numbers(
        self, ledger: Ledger, wanted: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], int]:
        """Return the number of each of these, a new one where it has none; the clock is held."""
        asked = set(wanted)
        missing = asked - self._numbers.keys()
        if missing:
            self._numbers.update(_known_facets(ledger.driver, missing))
            self._numbers.update(_new_facets(ledger, missing - self._numbers.keys()))
        return {pair: self._numbers[pair] for pair in asked}


def _known_facets(driver: Driver, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    found = {}
    by_name: dict[str, set[str]] = {}
    for name, value in pairs:
        by_name.setdefault(name, set()).add(value)
    for name, values in sorted(by_name.items()):
        rows = driver.among(
            "SELECT value, id FROM facet_value WHERE name = ? AND value {among}", values, name
        )
        found.update({(name, value): int(number) for value, number in rows})
    return found


def _new_facets(ledger: Ledger, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    ordered = sorted(pairs)
    row = ledger.driver.row("SELECT coalesce(max(id), 0) FROM facet_value")
    assert row is not None
    found = {pair: int(row[0]) + at for at, pair in enumerate(ordered, 1)}
    ledger.insert(schema.facet_value, [(found[pair], *pair) for pair in ordered])
    return found


#: Facets that are read from the thing itself and not kept again.
_OWN = frozenset({"type"})


#: What parts the key of a value from the rest: who asks for ``team`` finds ``team::rank`` too.
_PART = "::"


def _pairs(row: SearchRow) -> list[tuple[str, str]]:
    """Return the facets that are kept: a key whose values are kept is found by them."""
    found = []
    for name, values in row.facets.items():
        if name in _OWN:
            continue
        keys = {value.partition(_PART)[0] for value in values if _PART in value}
        found += [(name, value) for value in values if value not in keys]
    return found


def write_rows(
    ledger: Ledger,
    facets: Facets,
    rows: Mapping[int, SearchRow],
    *,
    new: Iterable[int] = (),
    old: Mapping[int, SearchRow] | None = None,
) -> None:
    """
    Replace the search rows of these things.

    *new* are those that have none yet, *old* the rows of those of which that is known: what is
    the same in them is left alone.
    """
    before, fresh = old or {}, set(new)
    for what, write in (
        (_name_of, _write_names),
        (_texts, _write_texts),
        (_pairs, partial(_write_facets, facets)),
    ):
        moved = [
            key for key in sorted(rows) if key not in before or what(before[key]) != what(rows[key])
        ]
        write(ledger, {key: rows[key] for key in moved}, set(moved) - fresh)


def _name_of(row: SearchRow) -> tuple[str, bool]:
    return row.name.casefold(), row.deleted


def _write_names(ledger: Ledger, rows: Mapping[int, SearchRow], stale: Collection[int]) -> None:
    _delete(ledger.driver, "search_name", "key", stale)
    ledger.driver.insert(schema.search_name, [(key, *_name_of(row)) for key, row in rows.items()])


def _write_texts(ledger: Ledger, rows: Mapping[int, SearchRow], stale: Collection[int]) -> None:
    driver = ledger.driver
    _delete(driver, "search", "rowid" if driver.is_sqlite else "key", stale)
    if driver.is_sqlite:
        driver.many(_INSERT_TEXT, [(key, *_texts(row)) for key, row in rows.items()])
    else:
        driver.many(_INSERT_VECTOR, [(key, _vector(row)) for key, row in rows.items()])


def _write_facets(
    facets: Facets, ledger: Ledger, rows: Mapping[int, SearchRow], stale: Collection[int]
) -> None:
    _delete(ledger.driver, "facet", "key", stale)
    pairs = {key: _pairs(row) for key, row in rows.items()}
    numbers = facets.numbers(ledger, {pair for some in pairs.values() for pair in some})
    ledger.driver.insert(
        schema.facet,
        [(key, at) for key, some in pairs.items() for at in sorted(map(numbers.__getitem__, some))],
    )


def _delete(driver: Driver, table: str, column: str, keys: Collection[int]) -> None:
    if keys:
        driver.run(f"DELETE FROM {table} WHERE {column} {{among}}", driver.keys(keys))


_INSERT_TEXT = "INSERT INTO search (rowid, name, words, description) VALUES (?, ?, ?, ?)"
_INSERT_VECTOR = "INSERT INTO search (key, tokens) VALUES (?, CAST(? AS tsvector))"


# ── Checking ─────────────────────────────────────────────────────────────────────────────────────


def differing(driver: Driver, rows: Mapping[int, SearchRow]) -> dict[int, str]:
    """Which of these things have search rows other than these? Key to the table that differs."""
    found: dict[int, str] = {}
    names = driver.among("SELECT key, folded, deleted FROM search_name WHERE key {among}", rows)
    stored = {key: (folded, bool(deleted)) for key, folded, deleted in names}
    for key, row in rows.items():
        if stored.get(key) != (row.name.casefold(), row.deleted):
            found[key] = "search_name"
    pairs: dict[int, set[tuple[str, str]]] = {key: set() for key in rows}
    for key, name, value in driver.among(_STORED_FACETS, rows):
        pairs[key].add((name, value))
    found.update({key: "facet" for key, row in rows.items() if pairs[key] != set(_pairs(row))})
    found.update(dict.fromkeys(_differing_texts(driver, rows), "search"))
    return found


_STORED_FACETS = """
    SELECT facet.key, facet_value.name, facet_value.value
    FROM facet LEFT JOIN facet_value ON facet_value.id = facet.facet WHERE facet.key {among}
"""


def _differing_texts(driver: Driver, rows: Mapping[int, SearchRow]) -> set[int]:
    if driver.is_sqlite:
        stored = {
            row[0]: row[1:]
            for row in driver.among(
                "SELECT rowid, name, words, description FROM search WHERE rowid {among}", rows
            )
        }
        return {key for key, row in rows.items() if stored.get(key) != _texts(row)}
    keys = sorted(rows)
    same = driver.rows(
        "SELECT search.key FROM search JOIN unnest(CAST(? AS bigint[]), CAST(? AS text[]))"
        " AS wanted (key, tokens) ON wanted.key = search.key"
        " WHERE search.tokens = CAST(wanted.tokens AS tsvector)",
        keys,
        [_vector(rows[key]) for key in keys],
    )
    return rows.keys() - {row[0] for row in same}


# ── Finding ──────────────────────────────────────────────────────────────────────────────────────

#: How many candidates are ranked; more are said to be more.
CANDIDATES = 1_000


def candidates(connection: sa.Connection, wanted: Wanted) -> list[tuple[int, int]]:
    """Return (key, class of match) of what fits, best class first: 0 exact, 1 prefix, 2 words."""
    found: dict[int, int] = {}
    steps: list[sa.Select[Any]] = []
    name = schema.search_name
    if wanted.text:
        end = wanted.text + LAST
        steps.append(sa.select(name.c.key).where(name.c.folded == wanted.text))
        steps.append(sa.select(name.c.key).where(name.c.folded >= wanted.text, name.c.folded < end))
    if wanted.words:
        steps.extend(_by_words(connection.dialect.name, wanted.words))
    if not steps:
        steps.append(sa.select(name.c.key))
    for rank, step in enumerate(steps):
        limited = _filtered(step, wanted).limit(CANDIDATES + 1)
        for key in connection.scalars(limited):
            found.setdefault(key, rank if wanted.text or wanted.words else 3)
        if len(found) > CANDIDATES:
            break
    return sorted(found.items(), key=lambda item: (item[1], item[0]))


def _by_words(dialect: str, words: Sequence[str]) -> Iterable[sa.Select[Any]]:
    """Things in whose name, then things anywhere in whose texts, each of these words begins."""
    phrases = [found for word in words if (found := tokens(word))]
    if not phrases:
        return
    if dialect == "sqlite":
        terms = " AND ".join(f'"{" ".join(phrase)}"*' for phrase in phrases)
        table: sa.ColumnElement[str] = sa.literal_column("search")
        for asked in (f"name : ({terms})", terms):
            match = table.op("MATCH")(sa.literal(asked))
            yield sa.select(_SEARCH.c.rowid.label("key")).where(match)
        return
    for weight in ("A", ""):
        terms = " & ".join(_phrase(phrase, weight) for phrase in phrases)
        match = _SEARCH.c.tokens.op("@@")(sa.cast(sa.literal(terms), TSQUERY))
        yield sa.select(_SEARCH.c.key).where(match)


def _phrase(phrase: Sequence[str], weight: str) -> str:
    """Tokens that follow each other, the last of which may go on."""
    exact = f":{weight}" if weight else ""
    told = [f"'{token}'{exact}" for token in phrase[:-1]]
    told.append(f"'{phrase[-1]}':*{weight}")
    return f"({' <-> '.join(told)})"


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
    entity, facet, value = schema.entity, schema.facet, schema.facet_value
    if name in _OWN:
        return sa.exists().where(entity.c.key == key, entity.c.type.in_(sorted(values)))
    fits = [
        sa.and_(value.c.value >= one + _PART, value.c.value < one + _PART + LAST) for one in values
    ]
    fits.append(value.c.value.in_(sorted(values)))
    wanted = sa.select(value.c.id).where(value.c.name == name, sa.or_(*fits))
    return sa.exists().where(facet.c.key == key, facet.c.facet.in_(wanted))


def facet_counts(
    connection: sa.Connection, keys: Sequence[int], names: Sequence[str]
) -> dict[str, dict[str, int]]:
    """How many of these things have which value of these facets?"""
    facet, value, entity = schema.facet, schema.facet_value, schema.entity
    found = {name: dict[str, int]() for name in names}
    for some in slices(keys):
        kept = (
            sa.select(facet.c.key, value.c.name, value.c.value)
            .join(facet, facet.c.facet == value.c.id)
            .where(facet.c.key.in_(some), value.c.name.in_(sorted(names)))
        )
        own = sa.select(entity.c.key, sa.literal("type"), entity.c.type).where(
            entity.c.key.in_(some)
        )
        held = {
            (key, name, each)
            for query in (kept, own)
            for key, name, called in connection.execute(query)
            for each in (called, called.partition(_PART)[0])
        }
        for _, name, called in held:
            if name in found:
                found[name][called] = found[name].get(called, 0) + 1
    return found

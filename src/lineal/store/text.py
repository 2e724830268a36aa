"""Search rows on disk: how a thing can be found by name, by words and by facet.

Texts are broken into tokens here, once, so that both databases find the same. Facets lie beside
them as numbers in the same inverted index: a list of them in order costs a byte or two a thing.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY

from lineal.model import Json, Uri
from lineal.store import schema
from lineal.store.driver import Driver
from lineal.store.ledger import Ledger
from lineal.store.slices import slices

#: Full text and facets: on SQLite an FTS5 table, on PostgreSQL columns with inverted indexes.
_SEARCH = sa.table(
    "search", sa.column("rowid"), sa.column("key"), sa.column("tokens"), sa.column("facets")
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
    return _told(row.name), _told(row.words), _told(row.description)


def _told(text: str) -> str:
    return " ".join(tokens(text))


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
    before, fresh, driver = old or {}, set(new), ledger.driver
    ordered = sorted(rows)
    named = [
        key for key in ordered if key not in before or _name_of(rows[key]) != _name_of(before[key])
    ]
    lines = [(key, *_name_of(rows[key])) for key in named]
    if fresh.issuperset(named):
        driver.insert(schema.search_name, lines)
    else:
        driver.many(_REPLACE_NAME, lines)
    pairs = {key: _pairs(rows[key]) for key in ordered}
    numbers = facets.numbers(ledger, {pair for some in pairs.values() for pair in some})
    found = {key: sorted(numbers[pair] for pair in some) for key, some in pairs.items()}
    texts = {key: _texts(rows[key]) for key in ordered}
    moved = [
        key
        for key in ordered
        if key not in before
        or texts[key] != _texts(before[key])
        or set(pairs[key]) != set(_pairs(before[key]))
    ]
    if driver.is_sqlite:
        # Out of the order of their keys, or one half before the other, FTS5 flushes at each row.
        text = _INSERT_TEXT if fresh.issuperset(moved) else _REPLACE_TEXT
        driver.many(text, [(key, _listed(found[key]), *texts[key]) for key in moved])
    else:
        driver.many(_REPLACE_VECTOR, [(key, _vector(rows[key]), found[key]) for key in moved])


def _name_of(row: SearchRow) -> tuple[str, bool]:
    return row.name.casefold(), row.deleted


def _listed(facets: Iterable[int]) -> str:
    """Return the numbers of facets as FTS5 holds them."""
    return " ".join(map(str, facets))


_REPLACE_NAME = (
    "INSERT INTO search_name (key, folded, deleted) VALUES (?, ?, ?) ON CONFLICT (key)"
    " DO UPDATE SET folded = excluded.folded, deleted = excluded.deleted"
)
_INSERT_TEXT = "INSERT INTO search (rowid, facets, name, words, description) VALUES (?, ?, ?, ?, ?)"
_REPLACE_TEXT = _INSERT_TEXT.replace("INSERT", "INSERT OR REPLACE")
_REPLACE_VECTOR = (
    "INSERT INTO search (key, tokens, facets) VALUES (?, CAST(? AS tsvector), ?)"
    " ON CONFLICT (key) DO UPDATE SET tokens = excluded.tokens, facets = excluded.facets"
)


# ── Checking ─────────────────────────────────────────────────────────────────────────────────────


def differing(driver: Driver, rows: Mapping[int, SearchRow]) -> dict[int, str]:
    """Which of these things have search rows other than these? Key to the table that differs."""
    found: dict[int, str] = {}
    names = driver.among("SELECT key, folded, deleted FROM search_name WHERE key {among}", rows)
    stored = {key: (folded, bool(deleted)) for key, folded, deleted in names}
    for key, row in rows.items():
        if stored.get(key) != _name_of(row):
            found[key] = "search_name"
    found.update(dict.fromkeys(_differing_facets(driver, rows), "search"))
    found.update(dict.fromkeys(_differing_texts(driver, rows), "search"))
    return found


def _differing_facets(driver: Driver, rows: Mapping[int, SearchRow]) -> set[int]:
    query = "SELECT key, facets FROM search WHERE key {among}"
    if driver.is_sqlite:
        query = query.replace("key", "rowid")
    kept = {key: _numbers(facets) for key, facets in driver.among(query, rows)}
    every = {number for some in kept.values() for number in some}
    pairs = {
        number: (name, value)
        for number, name, value in driver.among(
            "SELECT id, name, value FROM facet_value WHERE id {among}", every
        )
    }
    return {
        key
        for key, row in rows.items()
        if sorted(map(str, map(pairs.get, kept.get(key, ())))) != sorted(map(str, _pairs(row)))
    }


def _numbers(facets: str | Sequence[int]) -> Sequence[int]:
    """Return the numbers of facets as they lie in either database; 0, which is none, for others."""
    if not isinstance(facets, str):
        return facets
    return [int(part) if part.isdecimal() else 0 for part in facets.split()]


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
    having = [
        _facets_called(connection, name, values)
        for name, values in sorted(wanted.facets.items())
        if name not in _OWN
    ]
    if not all(having):
        return []
    lacking = {
        number
        for name, values in sorted(wanted.without.items())
        if name not in _OWN
        for number in _facets_called(connection, name, values)
    }
    sqlite = connection.dialect.name == "sqlite"
    finding = (_InFts5 if sqlite else _InVectors)(having, sorted(lacking))
    found: dict[int, int] = {}
    for rank, step in enumerate(_steps(wanted, finding)):
        limited = _filtered(step, wanted).limit(CANDIDATES + 1)
        for key in connection.scalars(limited):
            found.setdefault(key, rank if wanted.text or wanted.words else 3)
        if len(found) > CANDIDATES:
            break
    return sorted(found.items(), key=lambda item: (item[1], item[0]))


def _steps(wanted: Wanted, finding: _Finding) -> Iterable[sa.Select[Any]]:
    """The queries whose results are candidates, best first."""
    name = schema.search_name
    if wanted.text:
        end = wanted.text + LAST
        fits = finding.named(name.c.key, wanted.text)
        yield sa.select(name.c.key).where(name.c.folded == wanted.text, *fits)
        within = (name.c.folded >= wanted.text, name.c.folded < end)
        yield sa.select(name.c.key).where(*within, *fits)
    phrases = [found for word in wanted.words if (found := tokens(word))]
    if phrases:
        yield finding.worded(phrases, in_name=True)
        yield finding.worded(phrases, in_name=False)
    if not wanted.text and not wanted.words:
        yield finding.faceted()


def _facets_called(connection: sa.Connection, name: str, values: Iterable[str]) -> list[int]:
    """Return the numbers of a facet's values; ``team`` is any of ``team::…`` too."""
    value, ordered = schema.facet_value, sorted(values)
    fits = [
        sa.and_(value.c.value >= one + _PART, value.c.value < one + _PART + LAST) for one in ordered
    ]
    fits.append(value.c.value.in_(ordered))
    query = sa.select(value.c.id).where(value.c.name == name, sa.or_(*fits))
    return sorted(connection.scalars(query))


class _Finding(Protocol):
    """How one database finds rows by words and facets."""

    def named(self, key: sa.Column[int], text: str) -> list[sa.ColumnElement[bool]]:
        """Return the conditions on things whose name begins with *text*."""

    def worded(self, phrases: Sequence[Sequence[str]], *, in_name: bool) -> sa.Select[Any]:
        """Find the things in whose name, or any text, each phrase stands; its last word begun."""

    def faceted(self) -> sa.Select[Any]:
        """Find the things that have the facets, whatever their texts are."""


@dataclass(frozen=True, slots=True)
class _InFts5:
    """Finds by one match of the full-text table: the facets are its first column."""

    #: Of each group one must be had, and none of the others.
    having: Sequence[Sequence[int]]
    lacking: Sequence[int]

    def named(self, key: sa.Column[int], text: str) -> list[sa.ColumnElement[bool]]:
        asked = tokens(text)
        named = [f"name : ({self._phrase(asked)})"] if asked else []
        return self._fitting(key, named)

    def worded(self, phrases: Sequence[Sequence[str]], *, in_name: bool) -> sa.Select[Any]:
        where = "name" if in_name else "{name words description}"
        terms = f"{where} : ({' AND '.join(map(self._phrase, phrases))})"
        return self._matching([terms, *self._facets()], self.lacking)

    def faceted(self) -> sa.Select[Any]:
        if self.having:
            return self._matching(self._facets(), self.lacking)
        name = schema.search_name
        return sa.select(name.c.key).where(*self._fitting(name.c.key, []))

    def _fitting(self, key: sa.Column[int], terms: list[str]) -> list[sa.ColumnElement[bool]]:
        fits: list[sa.ColumnElement[bool]] = []
        if self.having:
            fits.append(key.in_(self._matching([*terms, *self._facets()])))
        if self.lacking:
            fits.append(key.not_in(self._matching([self._any_of(self.lacking)])))
        return fits

    def _facets(self) -> list[str]:
        return [self._any_of(numbers) for numbers in self.having]

    @staticmethod
    def _any_of(numbers: Sequence[int]) -> str:
        return f"facets : ({' OR '.join(map(str, numbers))})"

    def _matching(self, terms: Sequence[str], lacking: Sequence[int] = ()) -> sa.Select[Any]:
        asked = " AND ".join(terms)
        if lacking:
            asked = f"({asked}) NOT {self._any_of(lacking)}"
        match = sa.literal_column("search").op("MATCH")(sa.literal(asked))
        return sa.select(_SEARCH.c.rowid.label("key")).where(match)

    @staticmethod
    def _phrase(phrase: Sequence[str]) -> str:
        return f'"{" ".join(phrase)}"*'


@dataclass(frozen=True, slots=True)
class _InVectors:
    """Finds by the tokens of a row and by the array of its facets, each with an index."""

    having: Sequence[Sequence[int]]
    lacking: Sequence[int]

    def named(self, key: sa.Column[int], text: str) -> list[sa.ColumnElement[bool]]:
        if not self.having and not self.lacking:
            return []
        return [sa.exists().where(_SEARCH.c.key == key, *self._fitting())]

    def worded(self, phrases: Sequence[Sequence[str]], *, in_name: bool) -> sa.Select[Any]:
        terms = " & ".join(self._phrase(phrase, "A" if in_name else "") for phrase in phrases)
        match = _SEARCH.c.tokens.op("@@")(sa.cast(sa.literal(terms), TSQUERY))
        return sa.select(_SEARCH.c.key).where(match, *self._fitting())

    def faceted(self) -> sa.Select[Any]:
        return sa.select(_SEARCH.c.key).where(*self._fitting())

    def _fitting(self) -> list[sa.ColumnElement[bool]]:
        fits = [self._any_of(numbers) for numbers in self.having]
        return [*fits, *([~self._any_of(self.lacking)] if self.lacking else [])]

    @staticmethod
    def _any_of(numbers: Sequence[int]) -> sa.ColumnElement[bool]:
        wanted = sa.cast(list(numbers), ARRAY(sa.Integer))
        return _SEARCH.c.facets.bool_op("&&")(wanted)

    @staticmethod
    def _phrase(phrase: Sequence[str], weight: str) -> str:
        """Tokens that follow each other, the last of which may go on."""
        exact = f":{weight}" if weight else ""
        told = [f"'{token}'{exact}" for token in phrase[:-1]]
        told.append(f"'{phrase[-1]}':*{weight}")
        return f"({' <-> '.join(told)})"


def _filtered(step: sa.Select[Any], wanted: Wanted) -> sa.Select[Any]:
    """Keep those of the asked types, and of the things asked among."""
    key = step.subquery().c[0]
    query = sa.select(key)
    if "type" in wanted.facets:
        query = query.where(_of_type(key, wanted.facets["type"]))
    if "type" in wanted.without:
        query = query.where(~_of_type(key, wanted.without["type"]))
    if wanted.among is not None:
        query = query.where(key.in_(sorted(wanted.among)))
    if wanted.not_among:
        query = query.where(key.not_in(sorted(wanted.not_among)))
    return query


def _of_type(key: Any, types: frozenset[str]) -> sa.ColumnElement[bool]:
    entity = schema.entity
    return sa.exists().where(entity.c.key == key, entity.c.type.in_(sorted(types)))


def facet_counts(
    connection: sa.Connection, keys: Sequence[int], names: Sequence[str]
) -> dict[str, dict[str, int]]:
    """How many of these things have which value of these facets?"""
    key = _SEARCH.c.rowid if connection.dialect.name == "sqlite" else _SEARCH.c.key
    value, entity = schema.facet_value, schema.entity
    held: Counter[tuple[str, str]] = Counter()
    for some in slices(keys):
        types = sa.select(entity.c.type, sa.func.count()).where(entity.c.key.in_(some))
        for called, count in connection.execute(types.group_by(entity.c.type)):
            held["type", called] += count
        kept = connection.scalars(sa.select(_SEARCH.c.facets).where(key.in_(some)))
        things = [_numbers(facets) for facets in kept]
        every = {number for numbers in things for number in numbers}
        pairs = {
            number: (name, called)
            for part in slices(every)
            for number, name, called in connection.execute(
                sa.select(value.c.id, value.c.name, value.c.value).where(
                    value.c.id.in_(part), value.c.name.in_(sorted(names))
                )
            )
        }
        for numbers in things:
            had = {pairs[number] for number in numbers if number in pairs}
            # A tag counts whole and under its key.
            held.update(had | {(name, called.partition(_PART)[0]) for name, called in had})
    found: dict[str, dict[str, int]] = {name: {} for name in names}
    for (name, called), count in sorted(held.items()):
        if name in found:
            found[name][called] = count
    return found

"""Search rows found: what fits words and facets, and how many have which facet.

Each database finds in its own way; what is found is the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY

from lineal.store import schema
from lineal.store.driver import Driver
from lineal.store.slices import slices
from lineal.store.text import LONGEST_HELD, OWN, PART, held, numbers_of, tokens

#: Full text and facets: on SQLite an FTS5 table, on PostgreSQL columns with inverted indexes.
_SEARCH = sa.table(
    "search", sa.column("rowid"), sa.column("key"), sa.column("tokens"), sa.column("facets")
)

#: Comes after every text.
LAST = "\U0010ffff"


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
    #: Only what one of these sources describes, where any is named; and nothing that those do.
    sources: frozenset[str] = frozenset()
    not_sources: frozenset[str] = frozenset()


#: How many candidates are ranked; more are said to be more.
CANDIDATES = 1_000


def candidates(
    connection: sa.Connection, wanted: Wanted, alive: sa.ColumnElement[bool]
) -> list[tuple[int, int]]:
    """
    Return (key, class of match) of what fits, best class first: 0 exact, 1 prefix, 2 words.

    *alive* says of which records it counts who describes what.
    """
    having = [
        _facets_called(connection, name, values)
        for name, values in sorted(wanted.facets.items())
        if name not in OWN
    ]
    if not all(having):
        return []
    lacking = {
        number
        for name, values in sorted(wanted.without.items())
        if name not in OWN
        for number in _facets_called(connection, name, values)
    }
    sqlite = connection.dialect.name == "sqlite"
    finding = (_InFts5 if sqlite else _InVectors)(having, sorted(lacking))
    found: dict[int, int] = {}
    for rank, step in enumerate(_steps(wanted, finding)):
        limited = _filtered(step, wanted, alive, sqlite=sqlite).limit(CANDIDATES + 1)
        for key in connection.scalars(limited):
            found.setdefault(key, rank if wanted.text or wanted.words else 3)
        if len(found) > CANDIDATES:
            break
    return sorted(found.items(), key=lambda item: (item[1], item[0]))


def _steps(wanted: Wanted, finding: _Finding) -> Iterable[sa.Select[Any]]:
    """The queries whose results are candidates, best first."""
    name = schema.search_name
    if wanted.text:
        text = held(wanted.text)
        fits = finding.named(name.c.key, text)
        yield sa.select(name.c.key).where(name.c.folded == text, *fits)
        within = (name.c.folded >= text, name.c.folded < text + LAST)
        yield sa.select(name.c.key).where(*within, *fits)
    phrases = [found for word in wanted.words if (found := tokens(word))]
    if phrases:
        yield finding.worded(phrases, in_name=True)
        yield finding.worded(phrases, in_name=False)
    if not wanted.text and not wanted.words:
        yield finding.faceted()


def _facets_called(connection: sa.Connection, name: str, values: Iterable[str]) -> list[int]:
    """Return the numbers of a facet's values; ``team`` is any of ``team::…`` too."""
    value, ordered = schema.facet_value, sorted(map(held, values))
    fits = [
        sa.and_(value.c.value >= one + PART, value.c.value < one + PART + LAST) for one in ordered
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
        # Of a long one the end is a digest, and in no text.
        asked = tokens(text[: LONGEST_HELD // 2])
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


def _filtered(
    step: sa.Select[Any], wanted: Wanted, alive: sa.ColumnElement[bool], *, sqlite: bool
) -> sa.Select[Any]:
    """Keep those of the asked types and sources, and of the things asked among."""
    key = step.subquery().c[0]
    query = sa.select(key)
    if "type" in wanted.facets:
        query = query.where(_of_type(key, wanted.facets["type"]))
    if "type" in wanted.without:
        query = query.where(~_of_type(key, wanted.without["type"]))
    if wanted.sources:
        query = query.where(_described(key, wanted.sources, alive))
    if wanted.not_sources:
        query = query.where(~_described(key, wanted.not_sources, alive))
    listed = _in_json if sqlite else _in_array
    if wanted.among is not None:
        query = query.where(listed(key, wanted.among))
    if wanted.not_among:
        query = query.where(~listed(key, wanted.not_among))
    return query


def _in_json(key: Any, keys: Collection[int]) -> sa.ColumnElement[bool]:
    """Is it one of these? They are one value of the statement, however many they are."""
    listed = sa.func.json_each(msgspec.json.encode(sorted(keys)).decode()).table_valued("value")
    found: sa.ColumnElement[bool] = key.in_(sa.select(listed.c.value))
    return found


def _in_array(key: Any, keys: Collection[int]) -> sa.ColumnElement[bool]:
    """Is it one of these? As `_in_json`; joined to, so that very many are not looked through."""
    listed = sa.func.unnest(sa.literal(sorted(keys), ARRAY(sa.BigInteger))).column_valued("listed")
    return sa.select(listed).where(listed == key).exists()


def _described(
    key: Any, sources: frozenset[str], alive: sa.ColumnElement[bool]
) -> sa.ColumnElement[bool]:
    """Is it described by one of these sources?"""
    record, document = schema.record, schema.document
    return sa.exists().where(
        record.c.key == key, document.c.id == record.c.document,
        document.c.source.in_(sorted(sources)), alive,
    )  # fmt: skip


def _of_type(key: Any, types: frozenset[str]) -> sa.ColumnElement[bool]:
    entity = schema.entity
    return sa.exists().where(entity.c.key == key, entity.c.type.in_(sorted(types)))


def having(driver: Driver, name: str, values: Collection[str]) -> set[int]:
    """Return the things that have one of these values of a facet, as their search rows say."""
    query = "SELECT id FROM facet_value WHERE name = ? AND value {among}"
    rows, found = driver.among(query, set(map(held, values)), name), set[int]()
    for (number,) in rows:
        if driver.is_sqlite:
            found.update(key for (key,) in driver.rows(_FACETED, f"facets : ({number})"))
        else:
            found.update(key for (key,) in driver.rows(_FACETED_IN_ARRAY, [number]))
    return found


_FACETED = "SELECT rowid FROM search WHERE search MATCH ?"
_FACETED_IN_ARRAY = "SELECT key FROM search WHERE facets && ?::integer[]"


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
        things = [numbers_of(facets) for facets in kept]
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
            held.update(had | {(name, called.partition(PART)[0]) for name, called in had})
    found: dict[str, dict[str, int]] = {name: {} for name in names}
    for (name, called), count in sorted(held.items()):
        if name in found:
            found[name][called] = count
    return found

"""Search rows on disk: how a thing can be found by name, by words and by facet.

Texts are broken into tokens here, once, so that both databases find the same. Facets lie beside
them as numbers in the same inverted index: a list of them in order costs a byte or two a thing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from lineal.model import Json, Uri
from lineal.store import schema
from lineal.store.driver import Driver
from lineal.store.ledger import Ledger


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


# ── Tokens ───────────────────────────────────────────────────────────────────────────────────────

_WORD = re.compile(r"[^\W_]+")
#: So much of a word is compared: PostgreSQL takes none of more than 2,046 bytes.
_LONGEST = 255
#: Of ASCII, what stands for each byte: letters are small, and what is in no word is a space.
_FOLDED = bytes(
    ord(chr(byte).lower()) if byte < 128 and chr(byte).isalnum() else ord(" ")
    for byte in range(256)
)


def tokens(text: str) -> list[str]:
    """
    Return the words of a text as they are compared: folded, without accents, letters and digits.

    >>> tokens("Größe der user_plays (7d)")
    ['grosse', 'der', 'user', 'plays', '7d']
    """
    if text.isascii():
        found = text.encode().translate(_FOLDED).decode().split()
    else:
        parts = unicodedata.normalize("NFKD", text)
        plain = "".join(part for part in parts if not unicodedata.combining(part)).casefold()
        # One letter may stand for many.
        return [word[:_LONGEST] for word in _WORD.findall(plain.lower())]
    return found if len(text) <= _LONGEST else [word[:_LONGEST] for word in found]


def texts_of(row: SearchRow) -> tuple[str, ...]:
    """Return the tokens of name, words and description, as FTS5 holds them."""
    return told(row.name, row.words, row.description)


def told(*texts: str) -> tuple[str, ...]:
    """Return the tokens of the texts of one row as FTS5 holds them."""
    return tuple(" ".join(some) for some in _tokens_of(*texts))


def _tokens_of(*texts: str) -> list[list[str]]:
    """Return the tokens of the texts of one row: as many as either database takes of it."""
    found = [tokens(text) for text in texts]
    if sum(map(len, texts)) > _SURELY:
        room = _ROOM
        for some in found:
            for at, token in enumerate(some):
                room -= len(token.encode()) + _PLACE
                if room < 0:
                    del some[at:]
                    break
    return found


def _vector(row: SearchRow) -> str:
    """Return the tokens as a tsvector: those of the name weigh A, and phrases end with a text."""
    places: list[str] = []
    at = 0
    texts = _tokens_of(row.name, row.words, row.description)
    for some, weight in zip(texts, ("A", "", ""), strict=True):
        for token in some:
            at += 1
            places.append(f"'{token}':{min(at, _FARTHEST)}{weight}")
        at += 2
    return " ".join(places)


#: The last position that a tsvector tells apart.
_FARTHEST = 16_383
#: So many bytes of tokens are found of one thing, each with its place: a tsvector takes 1,048,575.
#: Texts of so few characters have fewer, whatever is in them.
_ROOM, _PLACE, _SURELY = 1_000_000, 8, 15_000


# ── Values ───────────────────────────────────────────────────────────────────────────────────────

#: So many characters of a value or a name lie in an index as they are: PostgreSQL takes no entry of
#: more than 2,704 bytes.
LONGEST_HELD = 500
#: What stands for a NUL, which is no text to PostgreSQL.
NUL = "\N{SYMBOL FOR NULL}"


def held(value: str) -> str:
    r"""
    Return a value as indexes hold it: of one that is very long its beginning and a digest.

    What is held so already stays as it is.

    >>> held("gold"), held("a\0b"), len(held("x" * 9_000))
    ('gold', 'a␀b', 500)
    """
    if "\0" in value:
        value = value.replace("\0", NUL)
    if len(value) <= LONGEST_HELD:
        return value
    digest = blake2b(value.encode(errors="surrogatepass"), digest_size=16).hexdigest()
    return f"{value[: LONGEST_HELD - len(digest) - 1]}…{digest}"


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
        known, asked = self._numbers, set(wanted)
        # Looked for one by one: to take all that is known from a set goes through all of it.
        missing = {pair for pair in asked if pair not in known}
        if missing:
            found = _known_facets(ledger.driver, missing)
            known.update(found)
            known.update(_new_facets(ledger, missing - found.keys()))
        return {pair: known[pair] for pair in asked}


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
    if not ordered:
        return {}
    row = ledger.driver.row("SELECT coalesce(max(id), 0) FROM facet_value")
    assert row is not None
    found = {pair: int(row[0]) + at for at, pair in enumerate(ordered, 1)}
    ledger.insert(schema.facet_value, [(found[pair], *pair) for pair in ordered])
    return found


#: Facets that are read from the thing itself and not kept again.
OWN = frozenset({"type"})


#: What parts the key of a value from the rest: who asks for ``team`` finds ``team::rank`` too.
PART = "::"


def pairs_of(row: SearchRow) -> list[tuple[str, str]]:
    """Return the facets that are kept: a key whose values are kept is found by them."""
    found = []
    for name, values in row.facets.items():
        if name in OWN:
            continue
        if len(values) == 1:
            # Nothing else is there of which it could be the key.
            (value,) = values
            found.append((name, value))
            continue
        keys = {value.partition(PART)[0] for value in values if PART in value}
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
        key for key in ordered if key not in before or name_of(rows[key]) != name_of(before[key])
    ]
    lines = [(key, *name_of(rows[key])) for key in named]
    if fresh.issuperset(named):
        driver.insert(schema.search_name, lines)
    else:
        driver.many(_REPLACE_NAME, lines)
    pairs = {key: pairs_of(rows[key]) for key in ordered}
    numbers = facets.numbers(ledger, {pair for some in pairs.values() for pair in some})
    listed = {key: sorted(numbers[pair] for pair in some) for key, some in pairs.items()}
    texts = {key: texts_of(rows[key]) for key in ordered}
    moved = [
        key
        for key in ordered
        if key not in before
        or _is_other_text(rows[key], before[key], texts[key])
        or set(pairs[key]) != set(pairs_of(before[key]))
    ]
    if driver.is_sqlite:
        # Out of the order of their keys, or one half before the other, FTS5 flushes at each row.
        text = INSERT_TEXT if fresh.issuperset(moved) else _REPLACE_TEXT
        driver.many(text, [(key, told_facets(listed[key]), *texts[key]) for key in moved])
    else:
        driver.many(_REPLACE_VECTOR, [(key, _vector(rows[key]), listed[key]) for key in moved])


def _is_other_text(row: SearchRow, old: SearchRow, texts: tuple[str, ...]) -> bool:
    """Are the tokens of a row, which are *texts*, other than those of another?"""
    told = (row.name, row.words, row.description)
    return told != (old.name, old.words, old.description) and texts != texts_of(old)


def name_of(row: SearchRow) -> tuple[str, bool]:
    """Return by which name a thing is found, and whether it is deleted."""
    return held(row.name.casefold()), row.deleted


def told_facets(facets: Iterable[int]) -> str:
    """Return the numbers of facets as FTS5 holds them."""
    return " ".join(map(str, facets))


_REPLACE_NAME = (
    "INSERT INTO search_name (key, folded, deleted) VALUES (?, ?, ?) ON CONFLICT (key)"
    " DO UPDATE SET folded = excluded.folded, deleted = excluded.deleted"
)
INSERT_TEXT = "INSERT INTO search (rowid, facets, name, words, description) VALUES (?, ?, ?, ?, ?)"
_REPLACE_TEXT = INSERT_TEXT.replace("INSERT", "INSERT OR REPLACE")
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
        if stored.get(key) != name_of(row):
            found[key] = "search_name"
    found.update(dict.fromkeys(_differing_facets(driver, rows), "search"))
    found.update(dict.fromkeys(_differing_texts(driver, rows), "search"))
    return found


def _differing_facets(driver: Driver, rows: Mapping[int, SearchRow]) -> set[int]:
    query = "SELECT key, facets FROM search WHERE key {among}"
    if driver.is_sqlite:
        query = query.replace("key", "rowid")
    kept = {key: numbers_of(facets) for key, facets in driver.among(query, rows)}
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
        if sorted(map(str, map(pairs.get, kept.get(key, ())))) != sorted(map(str, pairs_of(row)))
    }


def numbers_of(facets: str | Sequence[int]) -> Sequence[int]:
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
        return {key for key, row in rows.items() if stored.get(key) != texts_of(row)}
    keys = sorted(rows)
    same = driver.rows(
        "SELECT search.key FROM search JOIN unnest(CAST(? AS bigint[]), CAST(? AS text[]))"
        " AS wanted (key, tokens) ON wanted.key = search.key"
        " WHERE search.tokens = CAST(wanted.tokens AS tsvector)",
        keys,
        [_vector(rows[key]) for key in keys],
    )
    return rows.keys() - {row[0] for row in same}

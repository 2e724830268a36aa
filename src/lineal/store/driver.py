"""Plain SQL on the driver's own cursor: one text for two databases, for what must be quick.

A commit is some fifteen statements. Built and compiled by SQLAlchemy each costs more than it
takes the database to answer it, so the write path speaks to the driver, inside the transaction
that SQLAlchemy opened. A text says ``?`` for a value and ``{among}`` for "is one of these keys".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, count
from typing import Any, TypeAlias

import msgspec
import sqlalchemy as sa

Row: TypeAlias = "tuple[Any, ...]"

#: The numbers of cursors: several may be open at once.
_cursors = count()
#: From how many rows on PostgreSQL takes them faster as one COPY.
_COPY_FROM = 20
#: So many rows are one statement to SQLite: after each, Python lets other threads go first.
_TOGETHER = 32
#: Up to how many keys are written out in a query.
_FEW = 8


class Driver:
    """The cursor of one open transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.is_sqlite = connection.dialect.name == "sqlite"
        raw: Any = connection.connection.driver_connection
        self._raw = raw
        self._cursor = raw.cursor()

    def rows(self, text: str, *values: object) -> list[Row]:
        """Return the rows that a query finds."""
        found: list[Row] = self._cursor.execute(_text(text, self.is_sqlite), values).fetchall()
        return found

    def each(self, text: str, *values: object) -> Iterator[Row]:
        """Yield the rows that a query finds, without holding all of them."""
        name = () if self.is_sqlite else (f"each_{next(_cursors)}",)
        cursor = self._raw.cursor(*name)
        try:
            yield from cursor.execute(_text(text, self.is_sqlite), values)
        finally:
            cursor.close()

    def numbers(self, text: str, *values: object) -> Iterator[int]:
        """Yield the values of all rows that an SQLite query finds, one after another."""
        return chain.from_iterable(self._raw.execute(_text(text, True), values))

    def binary(self, text: str) -> bytes:
        """Return what a query finds as PostgreSQL's binary copy, which only it can make."""
        with self._raw.cursor().copy(f"COPY ({text}) TO STDOUT (FORMAT BINARY)") as copy:
            return b"".join(copy)

    def copied(self, text: str, size: int) -> Iterator[bytes]:
        """Yield PostgreSQL's binary copy of what a query finds, at least *size* bytes at a time."""
        with self._raw.cursor().copy(f"COPY ({text}) TO STDOUT (FORMAT BINARY)") as copy:
            parts: list[bytes] = []
            held = 0
            for part in copy:
                parts.append(bytes(part))
                held += len(part)
                if held >= size:
                    yield b"".join(parts)
                    parts, held = [], 0
            yield b"".join(parts)

    def row(self, text: str, *values: object) -> Row | None:
        """Return the first row that a query finds."""
        found: Row | None = self._cursor.execute(_text(text, self.is_sqlite), values).fetchone()
        return found

    def among(self, text: str, keys: Iterable[int] | Iterable[str], *values: object) -> list[Row]:
        """Return the rows of a query in which ``{among}`` comes last, after *values*."""
        if self.is_sqlite:
            ordered: list[Any] = sorted(keys)
            if 0 < len(ordered) <= _FEW:
                # To open a list as a table costs more than to look for a few keys. They are
                # filled up to a power of two, so that there are few texts to prepare.
                room = 1 << (len(ordered) - 1).bit_length()
                ordered += ordered[-1:] * (room - len(ordered))
                return self.rows(_for_few(text, room), *values, *map(_plain, ordered))
        return self.rows(text, *values, self.keys(keys))

    def some(
        self, text: str, keys: Iterable[int], *values: object, most: int | None = None
    ) -> list[Row]:
        """
        Return the rows of a query of ``{among}`` these keys, at most *most*, as far as one may.

        ``{among}`` comes after all other values; what follows it has none.
        """
        if most is None:
            return self.among(text, keys, *values)
        return self.rows(f"{text} LIMIT ?", *values, self.keys(keys), most)

    def keys(self, keys: Iterable[int] | Iterable[str]) -> object:
        """Return keys as the one value that ``{among}`` takes."""
        ordered = sorted(keys)
        return msgspec.json.encode(ordered, enc_hook=str).decode() if self.is_sqlite else ordered

    def run(self, text: str, *values: object) -> int:
        """Run a statement; return how many rows it changed."""
        self._cursor.execute(_text(text, self.is_sqlite), values)
        return int(self._cursor.rowcount)

    def many(self, text: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement once for each row."""
        if rows:
            self._cursor.executemany(_text(text, self.is_sqlite), rows)

    def insert(self, table: sa.Table, rows: Sequence[Sequence[object]]) -> None:
        """Insert rows that hold a value for each column of a table, in its order."""
        if not rows:
            return
        if self.is_sqlite or len(rows) < _COPY_FROM:
            together = len(rows) - len(rows) % _TOGETHER if self.is_sqlite else 0
            for at in range(0, together, _TOGETHER):
                some = rows[at : at + _TOGETHER]
                self._cursor.execute(_insertion(table, _TOGETHER), [*chain.from_iterable(some)])
            rest = rows[together:] if together else rows
            self._cursor.executemany(_text(_insertion(table), self.is_sqlite), rest)
            return
        with self._cursor.copy(f"COPY {_columns(table)} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


@lru_cache(maxsize=512)
def _for_few(text: str, count: int) -> str:
    return text.replace("{among}", f"IN ({', '.join('?' * count)})")


def _plain(key: int | str) -> int | str:
    """A URI is text to the driver, which is slow to find out."""
    return str(key) if isinstance(key, str) else key


@lru_cache(maxsize=512)
def _text(text: str, is_sqlite: bool) -> str:
    if is_sqlite:
        return text.replace("{among}", "IN (SELECT value FROM json_each(?))")
    return text.replace("{among}", "= ANY(?)").replace("%", "%%").replace("?", "%s")


@lru_cache(maxsize=64)
def _columns(table: sa.Table) -> str:
    return f'"{table.name}" ({", ".join(column.name for column in table.columns)})'


@lru_cache(maxsize=128)
def _insertion(table: sa.Table, rows: int = 1) -> str:
    marks = ", ".join("?" for _ in table.columns)
    return f"INSERT INTO {_columns(table)} VALUES {', '.join([f'({marks})'] * rows)}"

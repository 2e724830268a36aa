"""Counts and sums of the tables that change in place, kept in the transaction that changes them.

Facts are sealed by their transaction (`lineal.store.seals`). What is still to do, what a document
last said, and the like are updated and deleted; for each such table one row here says how many
rows it has, and the sum of their seals. `Store.verify` counts again.

Locks are taken in one order, so that no two transactions ever wait for each other: the clock,
then the marks, then the counts of what came in (`lineal.store.flow`), then the rows of this table,
each in the order of their names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from lineal.store.driver import Driver, Row
from lineal.store.flow import Flow
from lineal.store.seals import row_seal

_MASK = (1 << 63) - 1


class Ledger:
    """
    The changes of one transaction, written down at the end of the block.

    All changes of the tables in `schema.IN_PLACE` go through it.
    """

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        #: What came in and what became of it, by this transaction.
        self.flow = Flow()
        self._rows: dict[str, int] = {}
        self._sums: dict[str, int] = {}
        self._holds_marks = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.write()

    def added(self, table: sa.Table, rows: Iterable[Sequence[object]]) -> None:
        """Count rows that came; each holds a value for each column, in the table's order."""
        self._count(table.name, rows, 1)

    def taken(self, table: sa.Table, rows: Iterable[Sequence[object]]) -> None:
        """Count rows that went, as they were."""
        self._count(table.name, rows, -1)

    def _count(self, name: str, rows: Iterable[Sequence[object]], sign: int) -> None:
        count = total = 0
        for row in rows:
            count += 1
            total += row_seal(row)
        self._rows[name] = self._rows.get(name, 0) + sign * count
        self._sums[name] = (self._sums.get(name, 0) + sign * total) & _MASK

    # ── Changing ─────────────────────────────────────────────────────────────────────────────

    def insert(self, table: sa.Table, rows: Sequence[Sequence[object]]) -> None:
        """Insert rows, and count them."""
        self.driver.insert(table, rows)
        self.added(table, rows)

    def insert_new(self, table: sa.Table, row: Sequence[object]) -> bool:
        """Insert a row unless one of its key is there; return whether it was inserted."""
        marks = ", ".join("?" for _ in row)
        text = f"INSERT INTO {table.name} ({_columns(table)}) VALUES ({marks})"
        if self.driver.run(f"{text} ON CONFLICT DO NOTHING", *row) == 0:
            return False
        self.added(table, [row])
        return True

    def insert_numbered(self, table: sa.Table, row: Sequence[object]) -> None:
        """Insert a row without its first column, which the database numbers."""
        found = self.driver.row(_numbering(table), *row)
        assert found is not None
        self.added(table, [(found[0], *row)])

    def find(self, table: sa.Table, where: str, *values: object) -> list[Row]:
        """Return whole rows, to be changed or deleted; on PostgreSQL nobody else may till then."""
        return self.driver.rows(f"{_selection(table)} {where}{self._hold}", *values)

    def find_among(
        self, table: sa.Table, where: str, keys: Collection[int] | Collection[str], *values: object
    ) -> list[Row]:
        """Return whole rows as `find` does, by a condition in which ``{among}`` *keys* is last."""
        if not keys:
            return []
        return self.driver.among(f"{_selection(table)} {where}{self._hold}", keys, *values)

    @property
    def _hold(self) -> str:
        return "" if self.driver.is_sqlite else " FOR UPDATE"

    def delete(self, table: sa.Table, rows: Sequence[Row]) -> None:
        """Delete rows that were found."""
        keys = [_key(table, row) for row in rows]
        self.driver.many(f"DELETE FROM {table.name} WHERE {_by_key(table)}", keys)
        self.taken(table, rows)

    def change(
        self, table: sa.Table, rows: Iterable[tuple[Row, Mapping[str, object]]]
    ) -> list[Row]:
        """Change rows that were found: each with the columns that get new values."""
        places, pairs = _places(table), []
        for row, values in rows:
            new = list(row)
            for name, value in values.items():
                new[places[name]] = value
            pairs.append((row, tuple(new)))
        self.replace(table, pairs)
        return [new for _, new in pairs]

    def replace(self, table: sa.Table, pairs: Sequence[tuple[Row, Row]]) -> None:
        """Put new rows of the same keys in the place of rows that were found."""
        pairs = [(old, new) for old, new in pairs if old != new]
        if not pairs:
            return
        # To name a column is to write its indexes anew, whether or not its value is another.
        changed = [
            place for place in range(len(table.columns))
            if any(old[place] != new[place] for old, new in pairs)
        ]  # fmt: skip
        lines = [
            (*[new[place] for place in changed], *_key(table, old)) for old, new in pairs
        ]  # fmt: skip
        self.driver.many(_updating(table, tuple(changed)), lines)
        self.taken(table, [old for old, _ in pairs])
        self.added(table, [new for _, new in pairs])

    # ── Holding ──────────────────────────────────────────────────────────────────────────────

    def hold_clock(self) -> None:
        """Wait until nobody commits, and let nobody till the end, without drawing a number."""
        if not self.driver.is_sqlite:
            self.driver.row("SELECT 1 FROM clock FOR UPDATE")

    def hold_marks(self) -> None:
        """
        Let nobody else change marks, kept entries and dead letters till the end.

        They are touched many at a time and in any order; two that did so at once would wait for
        each other. Whoever needs the clock too takes it first.
        """
        if not self._holds_marks:
            self._hold_row("watch")
            self._holds_marks = True

    def _hold_row(self, name: str) -> None:
        """Hold what is written down of a table; there is a row afterwards."""
        text = f"SELECT 1 FROM ledger WHERE name = ?{self._hold}"
        if self.driver.row(text, name) is None:
            # Two may be the first; one of them inserts it, and both find it.
            self.driver.run("INSERT INTO ledger VALUES (?, 0, 0) ON CONFLICT DO NOTHING", name)
            self.driver.row(text, name)

    # ── Writing down ─────────────────────────────────────────────────────────────────────────

    def write(self) -> None:
        """Write the changes down, in the order of names, so that no two wait for each other."""
        self.flow.write(self)
        for name in sorted(self._rows):
            if not self._rows[name] and not self._sums[name]:
                continue
            room = _MASK - self._sums[name]
            values = (self._rows[name], room, room, self._sums[name], name)
            if not self.driver.run(_WRITE, *values):
                self._hold_row(name)
                self.driver.run(_WRITE, *values)
        self._rows.clear()
        self._sums.clear()


#: Add to what is written down; a sum that no longer fits begins anew, as in `_MASK`.
_WRITE = """
    UPDATE ledger SET rows = rows + ?,
        seal = CASE WHEN seal > ? THEN seal - ? - 1 ELSE seal + ? END
    WHERE name = ?
"""


def recounted(driver: Driver, table: sa.Table) -> tuple[int, int]:
    """Count a table anew: how many rows, and the sum of their seals."""
    count = total = 0
    for row in driver.rows(f"SELECT {_columns(table)} FROM {table.name}"):
        count += 1
        total = (total + row_seal(row)) & _MASK
    return count, total


def kept(driver: Driver) -> dict[str, tuple[int, int]]:
    """Return what is written down of each table."""
    return {row[0]: (row[1], row[2]) for row in driver.rows("SELECT name, rows, seal FROM ledger")}


@lru_cache(maxsize=64)
def _columns(table: sa.Table) -> str:
    return ", ".join(column.name for column in table.columns)


@lru_cache(maxsize=64)
def _numbering(table: sa.Table) -> str:
    names = [column.name for column in list(table.columns)[1:]]
    marks = ", ".join("?" for _ in names)
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks}) RETURNING id"


@lru_cache(maxsize=64)
def _selection(table: sa.Table) -> str:
    return f"SELECT {_columns(table)} FROM {table.name} WHERE"


@lru_cache(maxsize=64)
def _by_key(table: sa.Table) -> str:
    return " AND ".join(f"{column.name} = ?" for column in table.primary_key)


@lru_cache(maxsize=64)
def _places(table: sa.Table) -> dict[str, int]:
    return {column.name: place for place, column in enumerate(table.columns)}


@lru_cache(maxsize=256)
def _updating(table: sa.Table, places: tuple[int, ...]) -> str:
    names = [column.name for column in table.columns]
    sets = ", ".join(f"{names[place]} = ?" for place in places)
    return f"UPDATE {table.name} SET {sets} WHERE {_by_key(table)}"


@lru_cache(maxsize=64)
def _key_places(table: sa.Table) -> tuple[int, ...]:
    places = _places(table)
    return tuple(places[column.name] for column in table.primary_key)


def _key(table: sa.Table, row: Sequence[object]) -> tuple[object, ...]:
    return tuple([row[place] for place in _key_places(table)])

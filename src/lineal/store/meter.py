"""What one question may read: how many rows, and for how long; kept in the database itself.

A statement that runs too long is stopped where it runs: on SQLite by its progress handler, on
PostgreSQL by its own limit of time. Rows are limited in the statement, and counted as they come.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import sqlalchemy as sa

from lineal.errors import OutOfTime
from lineal.model import Budget, Cut
from lineal.store.driver import Driver, Row

#: After how many of its own steps SQLite asks whether to go on: some 50 µs.
_STEPS = 4_000
#: The part of the time in which things are found; the rest is for telling of them.
FINDING = 0.7
#: By how much the time may be exceeded before a question is given up: a part, and at least (s).
OVER, AT_LEAST = 0.1, 0.1
#: What PostgreSQL calls a statement that was stopped by its limit of time, and every later one of
#: the same transaction, where somebody went on after that.
_STOPPED = ("57014", "25P02")


class Trial:
    """Whether something could be read as a whole."""

    #: The limit that was in the way; empty if none was.
    limit = ""


class Meter:
    """What is left of a question's budget."""

    def __init__(self, connection: sa.Connection, budget: Budget) -> None:
        self._connection = connection
        self._raw: Any = connection.connection.driver_connection
        self._is_sqlite = connection.dialect.name == "sqlite"
        self.budget = budget
        self._begun = time.monotonic()
        span = budget.milliseconds / 1_000
        self._end = self._begun + span + max(span * OVER, AT_LEAST)
        self._until = self._end
        #: Whether nothing may be read any more once that is over, however quick.
        self._strict = False
        self.rows = 0
        #: How many rows may be read; less than the budget allows while it is tried to find things.
        self._most = budget.rows
        #: What was cut and why.
        self.why: list[Cut] = []

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Stop what runs too long in the block."""
        self._limit(self._end)
        try:
            yield
        finally:
            if self._is_sqlite:
                self._raw.set_progress_handler(None, 0)

    @contextlib.contextmanager
    def finding(self, share: float = 1.0) -> Iterator[None]:
        """
        Give the block a share of the time to find things, and after it the connection back whole.

        A statement in it that is stopped raises `OutOfTime`, and does not end the snapshot.
        """
        now, end = time.monotonic(), self._begun + self.budget.milliseconds / 1_000 * FINDING
        if not self._is_sqlite:
            # Where an earlier statement was stopped outside such a block, this is refused too.
            with self.translating():
                self._connection.exec_driver_sql("SAVEPOINT finding")
        self._limit(now + (end - now) * share)
        strict, self._strict = self._strict, True
        try:
            with self.translating():
                yield
        finally:
            self._strict = strict
            if not self._is_sqlite:
                self._connection.exec_driver_sql("ROLLBACK TO SAVEPOINT finding")
            self._limit(self._end)

    @contextlib.contextmanager
    def translating(self) -> Iterator[None]:
        """Raise `OutOfTime` where a statement of the block, metered or not, is stopped."""
        try:
            yield
        except (sa.exc.DBAPIError, sqlite3.Error) as error:
            raise self.translated(error) from error

    @contextlib.contextmanager
    def telling(self) -> Iterator[None]:
        """Raise `OutOfTime` in the block where the time of the whole question is used up."""
        strict, self._strict = self._strict, True
        try:
            with self.translating():
                yield
        finally:
            self._strict = strict

    def check(self) -> None:
        """
        Raise `OutOfTime` where the time is used up and nothing may be read any more.

        Many quick statements are stopped by this: a database only stops a slow one.
        """
        if self._strict and time.monotonic() > self._until:
            raise self._late()

    @contextlib.contextmanager
    def trying(self) -> Iterator[Trial]:
        """
        Try to read what is only of use as a whole, in the time and rows to find things.

        What is cut in the block is not cut from the answer: the block's trial says that it failed.
        """
        said, self._most, trial = len(self.why), round(self.budget.rows * FINDING), Trial()
        try:
            with self.finding():
                yield trial
        except OutOfTime:
            trial.limit = "time"
        else:
            trial.limit = "rows" if len(self.why) > said else ""
        finally:
            self._most = self.budget.rows
            del self.why[said:]

    def _limit(self, until: float) -> None:
        self._until = until
        if self._is_sqlite:
            self._raw.set_progress_handler(self._is_late, _STEPS)
            return
        left = max(1, round((until - time.monotonic()) * 1_000))
        self._connection.exec_driver_sql(f"SET LOCAL statement_timeout = {left}")

    def _is_late(self) -> int:
        return int(time.monotonic() > self._until)

    def out_of_time(self) -> bool:
        """Tell whether the time to find things is used up."""
        return time.monotonic() > self._begun + self.budget.milliseconds / 1_000 * FINDING

    def out_of_share(self, share: float) -> Callable[[], str]:
        """Return a function that tells which limit a share of what is left to find things is at."""
        now, end = time.monotonic(), self._begun + self.budget.milliseconds / 1_000 * FINDING
        until, rows = now + max(0.0, end - now) * share, self.rows
        most = rows + max(0.0, self.budget.rows * FINDING - rows) * share
        return lambda: "rows" if self.rows > most else "time" * (time.monotonic() > until)

    def must_end(self) -> bool:
        """Tell whether it is time to tell no more than what is told already."""
        return time.monotonic() > self._begun + self.budget.milliseconds / 1_000

    @property
    def left(self) -> int:
        """How many rows may still be read."""
        return max(0, self._most - self.rows)

    def read(self, query: sa.Select[Any], most: int | None = None) -> list[Any]:
        """Return the rows that a query finds, at most *most*, and as far as the budget goes."""
        left = self.left
        wanted = left + 1 if most is None else min(most, left + 1)
        self.check()
        with self.translating():
            rows = list(self._connection.execute(query.limit(wanted)))
        self.rows += min(len(rows), left)
        if len(rows) > left:
            self.cut(Cut("rows", done=self.rows, most=self.budget.rows))
            del rows[left:]
        return rows

    def count(self, query: sa.Select[Any]) -> int:
        """
        Return the one number that a query finds: it costs hardly any rows.

        It is asked even where the time to find things is just over: it says how much was not.
        """
        self.rows += 1
        with self.translating():
            return int(self._connection.execute(query).scalar_one())

    def translated(self, error: Exception) -> Exception:
        """Return `OutOfTime` for an error that says that a statement was stopped, else itself."""
        found = getattr(error, "orig", None) or error
        stopped = getattr(found, "sqlstate", None) in _STOPPED or str(found) == "interrupted"
        if not stopped:
            return error
        return self._late()

    def _late(self) -> OutOfTime:
        return OutOfTime(
            f"The question took longer than {self.budget.milliseconds} ms.",
            fix="Ask for less, or give it more time.",
        )

    def cut(self, why: Cut) -> None:
        """Say once that something was cut."""
        if why not in self.why:
            self.why.append(why)


class MeteredDriver(Driver):
    """The cursor of a transaction in which a question is asked: its rows count too."""

    def __init__(self, connection: sa.Connection, meter: Meter) -> None:
        super().__init__(connection)
        self._meter = meter

    def rows(self, text: str, *values: object) -> list[Row]:
        """Return the rows that a query finds."""
        self._meter.check()
        try:
            found = super().rows(text, *values)
        except Exception as error:
            raise self._meter.translated(error) from error
        self._meter.rows += len(found)
        return found

    def some(
        self, text: str, keys: Iterable[int], *values: object, most: int | None = None
    ) -> list[Row]:
        """Return the rows of a query of ``{among}`` these keys, as far as the budget goes."""
        meter = self._meter
        left = meter.left
        wanted = left + 1 if most is None else min(most, left + 1)
        found = self.rows(f"{text} LIMIT ?", *values, self.keys(keys), wanted)
        if len(found) > left:
            meter.rows -= 1
            meter.cut(Cut("rows", done=meter.rows, most=meter.budget.rows))
            del found[left:]
        return found


#: How many rows may be read for what is kept for whoever asks next: some 100 MB of them.
WHOLE = 300_000


class WholeDriver(MeteredDriver):
    """
    The same for what is kept for whoever asks next: of a half, nobody would know that it is one.

    What it reads counts, and is stopped when the question's time is over; but no row is left unread
    because the question may read no more. Where it would be very many, `OverflowError` is raised.
    """

    def __init__(self, connection: sa.Connection, meter: Meter) -> None:
        super().__init__(connection, meter)
        self._left = WHOLE

    def some(
        self, text: str, keys: Iterable[int], *values: object, most: int | None = None
    ) -> list[Row]:
        """Return the rows of a query of ``{among}`` these keys, at most *most*."""
        wanted = self._left + 1 if most is None else min(most, self._left + 1)
        found = self.rows(f"{text} LIMIT ?", *values, self.keys(keys), wanted)
        self._left -= len(found)
        if self._left < 0:
            raise OverflowError(f"More than {WHOLE} rows would have to be read.")
        return found

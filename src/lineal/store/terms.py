"""The kinds of edges as the small numbers under which they lie in rows.

The database hands the numbers out, under the clock row's lock; a number never changes its word.
They never leave the store.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from lineal.store import schema
from lineal.store.driver import Driver
from lineal.store.ledger import Ledger


class Terms:
    """The words that one database knows, remembered as they are met."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._words: dict[int, str] = {}

    def load(self, connection: sa.Connection) -> dict[int, str]:
        """Read the words that were added since; return all."""
        rows = connection.execute(sa.select(schema.term.c.id, schema.term.c.text))
        found: dict[int, str] = {row.id: row.text for row in rows}
        for number, word in found.items():
            self._remember(word, number)
        return found

    def catch_up(self, driver: Driver) -> None:
        """Read the words that were added since, if any were."""
        (last,) = driver.row("SELECT coalesce(max(id), 0) FROM term") or (0,)
        if last > len(self._words):
            self.load(driver.connection)

    def forget(self) -> None:
        """Forget all: a transaction that may have added some was undone."""
        self._numbers.clear()
        self._words.clear()

    def _remember(self, word: str, number: int) -> None:
        self._numbers[word] = number
        self._words[number] = word

    def word(self, connection: sa.Connection, number: int) -> str:
        """Return the word of a number."""
        found = self._words.get(number)
        # Another thread may forget between two looks.
        return self.load(connection)[number] if found is None else found

    def known(self, words: Collection[str]) -> list[int]:
        """Return the numbers of those words that have one, as far as was read."""
        numbers = self._numbers
        return sorted([numbers[word] for word in words if word in numbers])

    def number(self, ledger: Ledger, word: str) -> int:
        """
        Return the number of a word, a new one where it has none; the clock must be held.

        Whoever undoes the transaction must `forget`.
        """
        found = self._numbers.get(word)
        if found is not None:
            return found
        row = ledger.driver.row("SELECT id FROM term WHERE text = ?", word)
        if row is None:
            row = ledger.driver.row("SELECT coalesce(max(id), 0) + 1 FROM term")
            assert row is not None
            ledger.insert(schema.term, [(row[0], word)])
        self._remember(word, row[0])
        return int(row[0])

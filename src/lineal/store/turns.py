"""One turn of the clock: a number is drawn under its lock, and published with what was written.

The number is drawn by the first statement of a transaction and held to its commit, so that the
order of numbers is the order of commits, on every database; a turn in which nothing changed gives
its number back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from lineal.model import Instant, Uri
from lineal.store import schema, seals
from lineal.store.driver import Driver
from lineal.store.ledger import Ledger
from lineal.store.rows import pack_feed


class Turn:
    """The number and label of one transaction, on a connection that holds the clock's row."""

    def __init__(self, driver: Driver, now: Callable[[], Instant]) -> None:
        self._driver, self._now = driver, now
        self.ledger = Ledger(driver)
        if not driver.is_sqlite:
            # SQLite has one writer; on a server others wait here, and then see what was published.
            driver.row("SELECT 1 FROM clock WHERE id = 1 FOR UPDATE")
        row = driver.row(_LOOK)
        assert row is not None
        self.t: int = row[0] + 1
        #: When this transaction began, and once it is published its label; it never runs backwards,
        #: whatever the wall clock does.
        self.instant: Instant = max(now(), row[1] + 1)
        self.next_key: int = row[2]
        self.next_document: int = row[3]
        self._before: bytes = seals.GENESIS if row[4] is None else bytes(row[4])
        #: Was anything ever forgotten on purpose, and is any answer of a source kept?
        self.forgot: bool = bool(row[5])
        self.keeps_raws: bool = bool(row[6])
        #: The seal of the rules that are kept up: under the same one they are the same.
        self.rules: int | None = row[7]
        #: Have rules anything still to do, and did any of them fail?
        self.rules_wait: bool = bool(row[8])

    def publish(
        self,
        *,
        actor: str,
        cause: str,
        token: str | None,
        leaves: seals.Leaves,
        changed: Mapping[Uri, int],
        named: Iterable[Uri] = (),
        others: Sequence[str] = (),
    ) -> None:
        """Write the feed, the cause and the seals, and let everybody see it: the same commit."""
        # Whoever read meanwhile at an instant that was over by then saw nothing of this, and never
        # will: the label is of the end.
        self.instant = max(self.instant, self._now())
        told = [*others, seals.feed_line(changed)]
        root = seals.root(leaves.salt, leaves.sums(), named, told)
        head = (self.t, self.instant, actor, cause, token)
        feed = pack_feed(changed.values())
        row = (*head, feed, leaves.salt, root, seals.chained(self._before, *head, root))
        self._driver.insert(schema.tx, [row])
        self.ledger.write()
        self._driver.run(_PUBLISH, self.t, self.t, self.instant, self.next_key, self.next_document)

    def give_back(self) -> None:
        """Nothing changed, and the number is free again; documents may still have moved on."""
        self.ledger.write()


#: How does the clock stand, and what else has every commit to know? Whoever asks holds it. Whether
#: there is any row is asked by the key: the first one answers.
_LOOK = """
    SELECT t, instant, next_key, next_document,
        (SELECT hash FROM tx WHERE tx.t = clock.t),
        EXISTS (SELECT 1 FROM forgotten WHERE key > 0),
        EXISTS (SELECT 1 FROM raw WHERE source > ''),
        (SELECT seal FROM ledger WHERE name = 'rule'),
        EXISTS (SELECT 1 FROM rule_work WHERE rule > '')
    FROM clock WHERE id = 1
"""
_PUBLISH = """
    UPDATE clock SET t = ?, published = ?, instant = ?, next_key = ?, next_document = ?
    WHERE id = 1
"""

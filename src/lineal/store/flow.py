"""What came in and what became of it: counts kept in the very commits in which it happened.

A *notice* is what one event says of one document. Every notice that was accepted is applied,
superseded by a later one, put aside (dead), thrown away by a person (purged), or still pending:
`accepted = applied + superseded + dead + purged + pending`, always. What is dead or pending is
counted where it lies, so that the law can be broken, and a break is seen.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lineal.model import Instant
from lineal.store import schema
from lineal.store.driver import Driver

if TYPE_CHECKING:
    from lineal.store.ledger import Ledger

#: What is counted. ``bytes`` is how much the inbox holds, and goes down too.
WHAT = ("accepted", "applied", "bytes", "confirmed", "events", "purged", "superseded")


class Flow:
    """The counts of one transaction, written down at its end in one order."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._at: dict[tuple[str, str], Instant] = {}

    def add(self, source: str, what: str, count: int, at: Instant | None = None) -> None:
        """Count something; *at* says when it happened."""
        if count:
            self._counts[(source, what)] += count
            if at is not None:
                self._at[(source, what)] = max(at, self._at.get((source, what), at))

    def write(self, ledger: Ledger) -> None:
        """Write the counts down, in the order of their names: no two wait for each other."""
        for (source, what), count in sorted(self._counts.items()):
            self._write(ledger, source, what, count, self._at.get((source, what)))
        self._counts.clear()
        self._at.clear()

    @staticmethod
    def _write(ledger: Ledger, source: str, what: str, count: int, at: Instant | None) -> None:
        rows = ledger.find(schema.flow, "source = ? AND what = ?", source, what)
        if not rows:
            if ledger.insert_new(schema.flow, (source, what, count, at)):
                return
            # Another process was the first just now.
            rows = ledger.find(schema.flow, "source = ? AND what = ?", source, what)
        values: dict[str, object] = {"count": rows[0][2] + count}
        if at is not None and (rows[0][3] is None or at > rows[0][3]):
            values["at"] = at
        ledger.change(schema.flow, [(rows[0], values)])


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the notices of one source."""

    source: str
    #: How many events came, and how many notices they were.
    events: int = 0
    accepted: int = 0
    applied: int = 0
    superseded: int = 0
    dead: int = 0
    purged: int = 0
    pending: int = 0
    #: When the last event came, when the last notice was applied, and when the source last
    #: confirmed or changed anything.
    heard_at: Instant | None = None
    applied_at: Instant | None = None
    confirmed_at: Instant | None = None

    @property
    def missing(self) -> int:
        """How many notices are unaccounted for: 0, or the law is broken."""
        told = self.applied + self.superseded + self.dead + self.purged + self.pending
        return self.accepted - told


_PENDING = """
    SELECT source, sum(notices) FROM (
        SELECT source, notices FROM inbox
        UNION ALL
        SELECT source, told - settled FROM watch WHERE dirty_at IS NOT NULL
    ) AS open GROUP BY source
"""


def accounts(driver: Driver) -> dict[str, Account]:
    """What became of all notices, by source? In one snapshot."""
    counted: dict[str, dict[str, tuple[int, Instant | None]]] = {}
    for source, what, count, at in driver.rows("SELECT source, what, count, at FROM flow"):
        counted.setdefault(source, {})[what] = (int(count), at)
    pending = {row[0]: int(row[1]) for row in driver.rows(_PENDING)}
    buried = "SELECT source, sum(notices) FROM dead_letter GROUP BY source"
    dead = {row[0]: int(row[1]) for row in driver.rows(buried)}
    none = (0, None)
    found = {}
    for source in sorted(counted.keys() | pending.keys() | dead.keys()):
        of = counted.get(source, {})
        found[source] = Account(
            source,
            events=of.get("events", none)[0],
            accepted=of.get("accepted", none)[0],
            applied=of.get("applied", none)[0],
            superseded=of.get("superseded", none)[0],
            dead=dead.get(source, 0),
            purged=of.get("purged", none)[0],
            pending=pending.get(source, 0),
            heard_at=of.get("events", none)[1],
            applied_at=of.get("applied", none)[1],
            confirmed_at=of.get("confirmed", none)[1],
        )
    return found


def depth(driver: Driver) -> tuple[int, int]:
    """How many events wait in the inbox, and how many bytes are they?"""
    rows = driver.row("SELECT rows FROM ledger WHERE name = 'inbox'")
    size = driver.row("SELECT sum(count) FROM flow WHERE what = 'bytes'")
    return int(rows[0]) if rows else 0, int((size and size[0]) or 0)


def pending(driver: Driver, source: str) -> int:
    """How many notices of a source wait that were accepted, by what is counted of it?"""
    of = {
        row[0]: int(row[1])
        for row in driver.rows("SELECT what, count FROM flow WHERE source = ?", source)
    }
    dead = driver.row("SELECT sum(notices) FROM dead_letter WHERE source = ?", source)
    gone = sum(of.get(what, 0) for what in ("applied", "superseded", "purged"))
    return of.get("accepted", 0) - gone - int((dead and dead[0]) or 0)

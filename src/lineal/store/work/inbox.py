"""The inbox: events that are kept, and not yet understood."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from lineal.digests import canonical
from lineal.model import Event
from lineal.store import schema
from lineal.store.driver import Row
from lineal.store.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event in the inbox, and how many notices it counts for."""

    event: Event
    notices: int
    #: As it lies there.
    row: Row


def receive(ledger: Ledger, events: Iterable[Event], notices: Sequence[int] | None = None) -> int:
    """Keep events until they are understood; each is one notice or more. Returns their bytes."""
    sums: dict[str, list[int]] = {}
    for place, event in enumerate(events):
        worth = 1 if notices is None else notices[place]
        body = canonical(event.body)
        row = (event.source, event.received_at, worth, body)
        ledger.insert_numbered(schema.inbox, row)
        of = sums.setdefault(event.source, [0, 0, 0, 0])
        of[0], of[1], of[2] = of[0] + 1, of[1] + worth, of[2] + len(body)
        of[3] = max(of[3], event.received_at)
    for source, (events_, accepted, size, at) in sums.items():
        ledger.flow.add(source, "events", events_, at)
        ledger.flow.add(source, "accepted", accepted, at)
        ledger.flow.add(source, "bytes", size)
    return sum(size for _, _, size, _ in sums.values())


def waiting(ledger: Ledger, limit: int) -> list[Waiting]:
    """Which events have waited longest? They are this transaction's to take out of the inbox."""
    # Whoever else would understand the same events waits here, and finds them gone.
    ledger.hold_marks()
    rows = ledger.find(schema.inbox, "1 = 1 ORDER BY id LIMIT ?", limit)
    return [
        Waiting(Event(row[1], msgspec.json.decode(row[4]), row[2]), row[3], row) for row in rows
    ]


def done(ledger: Ledger, some: Sequence[Waiting]) -> None:
    """Take events out of the inbox: what they asked for is marked, kept or dead."""
    ledger.delete(schema.inbox, [one.row for one in some])
    for one in some:
        ledger.flow.add(one.event.source, "bytes", -len(one.row[4]))

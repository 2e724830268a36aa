"""What messages of a bus say, kept for good: in the inbox, or as a dead letter.

A bus asks for each message whether it may forget it. It may once everything the message says is
durable: what a source understands waits in the inbox, what nobody understands lies among the dead
letters with the reason, and neither holds up its neighbours. There is room for as many dead letters
as for events that wait; beyond that nothing is taken from who brings more of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec
import structlog

from lineal.errors import Invalid, InvalidEvent, LinealError, Overloaded
from lineal.ingest import Ingest
from lineal.model import Event, Json
from lineal.store import Store, work

log = structlog.get_logger("lineal")

#: For so long (seconds) it is believed how many events lie among the dead letters: to know it is to
#: go through them all. And for so long a door is to wait where no more may.
BELIEVED, PAUSE = 60.0, 5.0


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a message: its own fields, and what the envelope around it says."""

    #: Who sends it, where the door or the envelope says so.
    source: str | None
    data: Mapping[str, Json]
    #: Fields of the envelope (type, subject, time), which stand beside those of the data.
    around: Mapping[str, Json] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Json]:
        """The event as sources see it; where both name a field, the data's counts."""
        return {**self.around, **self.data}


@dataclass(frozen=True, slots=True)
class Unread:
    """A message that is no event: what it holds, as JSON, and why it is none."""

    body: Mapping[str, Json]
    reason: str


@dataclass(frozen=True, slots=True)
class Taken:
    """How many events are kept, and how many lie among the dead letters."""

    kept: int
    dead: int


_Dead: TypeAlias = tuple[str, Mapping[str, Json], Exception]


@dataclass(slots=True)
class _Room:
    """How many events, and how many bytes of them, may lie among the dead letters."""

    store: Store
    most: int
    most_bytes: int
    _events: int = 0
    _bytes: int = 0
    #: Until when that is believed.
    _until: float = 0.0

    def refuse_if_full(self, count: int, size: int) -> None:
        """Raise `Overloaded` where there is no room for so many more."""
        if time.monotonic() >= self._until or not self._has(count, size):
            with self.store.looking() as driver:
                self._events, self._bytes = work.dead_events(driver)
            self._until = time.monotonic() + BELIEVED
        if not self._has(count, size):
            raise Overloaded(
                f"{self._events:,} events ({self._bytes:,} bytes) that nobody understands lie "
                "among the dead letters; no more may.",
                retry_after=PAUSE,
                fix="See with `lineal dead list` what they are, then replay or purge them.",
            )

    def _has(self, count: int, size: int) -> bool:
        # What is more than there is room for at all must get in some time.
        fits = self._events + count <= self.most and self._bytes + size <= self.most_bytes
        return fits or not self._events

    def taken(self, count: int, size: int) -> None:
        """Remember that so many more lie there."""
        self._events, self._bytes = self._events + count, self._bytes + size


@dataclass(frozen=True, slots=True)
class _Refused:
    """What was offered in vain, and how much of it nobody understands."""

    items: Sequence[Told | Unread]
    count: int
    size: int


class Taking:
    """
    Keeps what messages say; *logs* are the sources whose events are kept as they are.

    At most *most* events, of at most *most_bytes*, may lie among the dead letters.
    """

    def __init__(
        self,
        ingest: Ingest,
        store: Store,
        *,
        fetched: frozenset[str],
        logs: frozenset[str],
        most: int,
        most_bytes: int,
    ) -> None:
        self._ingest, self._store = ingest, store
        self._logs, self._known = logs, fetched | logs
        self._room, self._burying = _Room(store, most, most_bytes), threading.Lock()
        #: What each door offered last, if there was no room for it.
        self._refused: dict[str, _Refused] = {}

    def take(self, door: str, items: Sequence[Told | Unread]) -> Taken:
        """
        Keep all of *items*; when this returns, they are durable.

        Raises:
            LinealError: nothing more can be kept for now. What was kept before that is kept: the
                same items may be given again.
        """
        before = self._refused.get(door)
        if before is not None and before.items is items:
            # What of it can be kept is kept: each time anew it would be work for its source.
            with self._burying:
                self._room.refuse_if_full(before.count, before.size)
        dead: list[_Dead] = []
        by_source: dict[str | None, list[Mapping[str, Json]]] = {}
        for item in items:
            if isinstance(item, Unread):
                dead.append((f"door:{door}", item.body, InvalidEvent(item.reason)))
                continue
            source = item.source if item.source in self._known else None
            by_source.setdefault(source, []).append(self.worded(source, item))
        for source, bodies in by_source.items():
            name = source or f"door:{door}"
            dead += [(name, body, error) for body, error in self._keep(source, bodies)]
        self._bury(door, items, dead)
        return Taken(len(items) - len(dead), len(dead))

    def worded(self, source: str | None, told: Told) -> Mapping[str, Json]:
        """Return an event as its source sees it."""
        # The entry of a log is the truth itself: an envelope is no part of it.
        return told.data if source in self._logs else told.body

    def _keep(
        self, source: str | None, bodies: Sequence[Mapping[str, Json]]
    ) -> list[tuple[Mapping[str, Json], Exception]]:
        """Put events in the inbox; returns those that nobody can make sense of."""
        try:
            self._ingest.receive(source, bodies)
            return []
        except Invalid as error:
            reason: Exception = error
        except LinealError:
            raise
        except Exception as error:  # a fault of ours over one event must not stop the others
            log.exception("an event cannot be received", source=source)
            reason = error
        if len(bodies) == 1:
            return [(bodies[0], reason)]
        middle = len(bodies) // 2
        return self._keep(source, bodies[:middle]) + self._keep(source, bodies[middle:])

    def _bury(self, door: str, items: Sequence[Told | Unread], dead: Sequence[_Dead]) -> None:
        self._refused.pop(door, None)
        if not dead:
            return
        count, size = len(dead), sum(len(msgspec.json.encode(body)) for _, body, _ in dead)
        with self._burying:
            try:
                self._room.refuse_if_full(count, size)
            except Overloaded:
                self._refused[door] = _Refused(items, count, size)
                raise
            now = self._store.now()
            with self._store.working() as ledger:
                for source, body, error in dead:
                    work.bury_event(ledger, Event(source, body, now), error, now)
            self._room.taken(count, size)

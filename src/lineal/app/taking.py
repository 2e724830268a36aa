"""What messages of a bus say, kept for good: in the inbox, or as a dead letter.

A bus asks for each message whether it may forget it. It may once everything the message says is
durable: what a source understands waits in the inbox, what nobody understands lies among the dead
letters with the reason, and neither holds up its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import structlog

from lineal.errors import Invalid, InvalidEvent, LinealError
from lineal.ingest import Ingest
from lineal.model import Event, Json
from lineal.store import Store, work

log = structlog.get_logger("lineal")


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


class Taking:
    """Keeps what messages say; *logs* are the sources whose events are kept as they are."""

    def __init__(
        self, ingest: Ingest, store: Store, *, fetched: frozenset[str], logs: frozenset[str]
    ) -> None:
        self._ingest, self._store = ingest, store
        self._logs, self._known = logs, fetched | logs

    def take(self, door: str, items: Sequence[Told | Unread]) -> Taken:
        """
        Keep all of *items*; when this returns, they are durable.

        Raises:
            LinealError: nothing more can be kept for now. What was kept before that is kept: the
                same items may be given again.
        """
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
        self._bury(dead)
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

    def _bury(self, dead: Sequence[_Dead]) -> None:
        if not dead:
            return
        now = self._store.now()
        with self._store.working() as ledger:
            for source, body, error in dead:
                work.bury_event(ledger, Event(source, body, now), error, now)

"""Receiving: events are kept in the inbox, those of many senders in one commit.

Senders come at once, and each waits until its events are durable. Whoever gets to write first
writes for all that wait by then: a commit of many costs hardly more than a commit of one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from lineal.errors import Overloaded, StoreError
from lineal.model import Event
from lineal.points import reached
from lineal.store import Ledger, Store, work

#: A commit is of the events of at most so many senders.
SENDERS = 500


@dataclass(slots=True, eq=False)
class _Waiting:
    """The events of one sender, until they are kept or refused."""

    events: Sequence[Event]
    notices: Sequence[int]
    is_done: bool = False
    refused: Overloaded | None = None


@dataclass(slots=True)
class Receiving:
    """Keeps the events of all senders of one installation."""

    store: Store
    #: So many events, and so many bytes of them, may wait in the inbox.
    most: int
    most_bytes: int
    #: So long (seconds) a sender is told to wait where no more may.
    pause: float
    #: Whether the last that came in was refused for want of room.
    is_full: bool = False
    _queue: deque[_Waiting] = field(default_factory=deque)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def refuse_if_full(self, count: int) -> None:
        """Raise `Overloaded` where the last was refused, and there is still no room for so many."""
        if self.is_full:
            with self.store.looking() as driver:
                refused = self._refused(work.depth(driver), count)
            if refused is not None:
                raise refused

    def _refused(self, depth: tuple[int, int], count: int) -> Overloaded | None:
        waiting, size = depth
        # What is more than there is room for at all must get in some time.
        self.is_full = waiting > 0 and (waiting + count > self.most or size >= self.most_bytes)
        if not self.is_full:
            return None
        return Overloaded(
            f"{waiting:,} events ({size:,} bytes) wait to be taken in; no more may.",
            retry_after=self.pause,
            fix="Send them again later; nothing of this was kept.",
        )

    def receive(self, events: Sequence[Event], notices: Sequence[int]) -> None:
        """
        Keep events; when this returns, they are durable.

        Raises:
            Overloaded: too much waits already; then none of these is kept.
        """
        own = _Waiting(events, notices)
        self._queue.append(own)
        with self._writing:
            # Whoever wrote while we waited for our turn may have written ours.
            while not own.is_done:
                self._write(own)
        if own.refused is not None:
            raise own.refused

    def _write(self, own: _Waiting) -> None:
        """Write what waits by now, up to a limit, the oldest first; raises what *own* meets."""
        some = [self._queue.popleft() for _ in range(min(len(self._queue), SENDERS))]
        try:
            self._commit(some)
        except BaseException as error:
            # Nothing of it is kept. The others try for themselves.
            self._queue.extendleft(one for one in reversed(some) if one is not own)
            if own in self._queue:
                self._queue.remove(own)
            if isinstance(error, StoreError) or not isinstance(error, Exception):
                raise
            # It may be another's events that cannot be kept.
            self._commit([own])

    def _commit(self, some: Sequence[_Waiting]) -> None:
        with self.store.working() as ledger:
            self._keep(ledger, some)
            reached("inbox-written")
        for one in some:
            one.is_done = True

    def _keep(self, ledger: Ledger, some: Sequence[_Waiting]) -> None:
        waiting, size = work.depth(ledger.driver)
        for one in some:
            one.refused = self._refused((waiting, size), len(one.events))
            if one.refused is None:
                size += work.receive(ledger, one.events, one.notices)
                waiting += len(one.events)

"""Folding: what the documents of a log source say, from the entries that still matter.

An entry whose every word was outdone by later ones says nothing any more, whatever comes after
them. So a document of many entries has a checkpoint: those before it that still matter are read,
and those since. The newest stay open, so that what comes a little late is only one more of them;
what is older than the checkpoint has all entries read again, and gives a new one.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from lineal.errors import LinealError
from lineal.ingest.asking import Answers, Asked, in_our_words
from lineal.model import Instant
from lineal.sources import Fetched, Key, LogSource
from lineal.store import Store, work
from lineal.store.driver import Driver
from lineal.store.work import Dirty, Kept, Reading, Settled

#: So many documents of a log source are folded in one turn.
FOLDED = 500
#: So many of a document's newest entries stay open; of one whose entries come late more, but no
#: more than so many.
OPEN, MOST = 64, 1_024


class Fold:
    """The way to a log source: its answers are folded from what is kept, here and now."""

    places, batch, asked, appetite, is_busy = 1, FOLDED, 0, 1, False
    asking: tuple[Dirty, ...] = ()

    def __init__(self, source: LogSource, answers: Answers, store: Store) -> None:
        self._source, self._answers, self._store = source, answers, store

    def ask(self, some: Sequence[Dirty], most: int) -> list[Dirty]:
        """Fold documents; their answers are there at once."""
        settled = list[Settled]()
        self._answers.put([Asked(dirty, self._one(dirty, settled)) for dirty in some])
        if settled:
            with self._store.working() as ledger:
                for one in settled:
                    work.settle(ledger, one)
        return []

    def _one(self, dirty: Dirty, settled: list[Settled]) -> Fetched | LinealError:
        """Fold a document; if it is time for a checkpoint, add that to those to be written."""
        key = Key.of(dirty.document)
        try:
            with self._store.looking() as driver:
                reading = self._reading(driver, dirty)
            record = self._source.fold(key, reading.bodies, observed_at=self._store.now())
            if len(reading.since) > 2 * OPEN:
                settled += self._settled(dirty, reading)
        except Exception as error:
            return in_our_words(error, dirty)
        return Fetched(key, record)

    def _reading(self, driver: Driver, dirty: Dirty) -> Reading:
        """Read the entries that matter, if they are enough; else all."""
        found = work.recent(driver, dirty.source, dirty.document, self._source.way)
        if found is not None and self._is_enough(Key.of(dirty.document), found):
            return found
        return work.entries(driver, dirty.source, dirty.document)

    def _is_enough(self, key: Key, found: Reading) -> bool:
        order = self._source.order
        last = max(order(one.body) for one in found.lasting)
        is_late = any(order(one.body) < last for one in found.since)
        return not is_late and not self._source.needs_all(key, found.bodies)

    def _settled(self, dirty: Dirty, reading: Reading) -> list[Settled]:
        """Return the next checkpoint of a document, none while too few entries are open."""
        key, source = Key.of(dirty.document), self._source
        since = sorted(reading.since, key=lambda one: source.order(one.body))
        room = _room(since[-MOST:])
        if len(since) <= 2 * room or source.needs_all(key, reading.bodies):
            return []
        closed = [*reading.lasting, *since[:-room]]
        places = source.lasting(key, [one.body for one in closed])
        # The last one says where the checkpoint is.
        lasting = [closed[place].digest for place in sorted({*places, len(closed) - 1})]
        return [
            Settled(
                dirty.source, dirty.document, source.way, reading.checkpoint,
                read=frozenset(one.digest for one in reading.since), lasting=tuple(lasting),
                since=frozenset(one.digest for one in since[-room:]),
            )
        ]  # fmt: skip

    def close(self, until: float) -> list[Dirty]:
        """Nothing is open."""
        return []


def _room(newest: Sequence[Kept]) -> int:
    """How many entries stay open? Twice as many as had been let past by any that came just now."""
    just_now = sorted(one.came for one in newest)[-2 * OPEN :][0]
    late, came = 0, list[Instant]()
    for one in reversed(newest):
        if one.came >= just_now:
            late = max(late, bisect_left(came, one.came))
        insort(came, one.came)
    return max(OPEN, min(MOST, 2 * late))

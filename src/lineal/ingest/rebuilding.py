"""Rebuilding: documents are worded anew from what was kept of them; no source is asked.

For when the words change: a map in a source's file, or our own rules of naming. What an event
marks meanwhile is asked for as always, and counts: its answer is the later one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lineal.errors import NotFound
from lineal.ingest.asking import in_our_words
from lineal.ingest.examining import Examining
from lineal.ingest.judging import Dead, Word, accepted
from lineal.ingest.tally import Progress
from lineal.ingest.understanding import BATCH
from lineal.points import reached
from lineal.sources import FetchedSource, Key, LogSource
from lineal.store import Store, work
from lineal.store.work import Dirty, Raw

#: For so long nobody else may ask for what is being worded anew, in microseconds.
LEASE = 60_000_000


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did: how many were worded anew, and how many only their source can word."""

    reworded: int
    #: Nothing was kept of them, or it does not fit the map any more: then they are asked for.
    left: int


class Rebuilding:
    """Words the documents of one installation's sources anew."""

    def __init__(
        self,
        store: Store,
        fetched: Mapping[str, FetchedSource],
        logs: Mapping[str, LogSource],
        holder: str,
        examining: Examining,
    ) -> None:
        self._store, self._fetched, self._logs, self._holder = store, fetched, logs, holder
        self._examining = examining

    def rebuild(
        self, name: str, write: Callable[[list[Word | Dead]], None], progress: Progress | None
    ) -> Rebuilt:
        """
        Word every document of a source anew, and hand the words on to be written.

        Raises:
            NotFound: there is no such source.
        """
        if name in self._logs:
            with self._store.working() as ledger:
                work.unsettle_all(ledger, name)
                return Rebuilt(work.mark_all(ledger, name, self._store.now()), 0)
        if name not in self._fetched:
            known = ", ".join(sorted({*self._fetched, *self._logs})) or "none"
            raise NotFound(f"There is no source {name!r}.", fix=f"Sources are {known}.")
        with self._store.looking() as driver:
            living = work.count_living(driver, name)
        reworded, after = 0, ""
        while True:
            with self._store.looking() as driver:
                some = work.kept_raws(driver, name, after, BATCH)
            if not some:
                return Rebuilt(reworded, max(0, living - reworded))
            after = some[-1].document
            words = self._words(self._fetched[name], some)
            write(words)
            reworded += len(words)
            if progress is not None:
                progress(reworded, living, f"worded anew of {name}")

    def _words(self, source: FetchedSource, some: list[Raw]) -> list[Word | Dead]:
        now = self._store.now()
        with self._store.working() as ledger:
            taken = work.claim(
                ledger, source.name, [one.document for one in some],
                now=now, holder=self._holder, lease=LEASE,
            )  # fmt: skip
        reached("rewording")
        kept = {one.document: one for one in some}
        words, unfit = list[Word | Dead](), list[Dirty]()
        for dirty, due_at in taken:
            raw = kept[dirty.document]
            try:
                record = source.reword(Key.of(dirty.document), raw.body, raw.at)
            except Exception as error:
                # What is no word of the source's but a fault of its code is logged.
                in_our_words(error, dirty)
                unfit.append(dirty)
                continue
            fence = dirty.fence(etag=dirty.etag)._replace(
                asked=False,
                look_in=None if due_at is None else max(0, due_at - now),
                looks=None if due_at is None else dirty.looks,
            )
            # Of its fields that nothing maps, nothing is kept: what was found of them stays.
            words.append(accepted(dirty, record, fence, self._examining.examined(record, None)))
        if unfit:
            # They are due now: the source is asked, and says what fits its map.
            with self._store.working() as ledger:
                work.hand_back(ledger, unfit)
        return words

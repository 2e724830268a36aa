"""Understanding: whose an event is, and which documents it marks as changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

import structlog

from lineal.errors import InvalidEvent
from lineal.model import Event, Instant, Json
from lineal.points import reached
from lineal.sources import FetchedSource, LogSource, Marked
from lineal.store import Ledger, Store, work
from lineal.store.work import DeadLetter, Dirty, Taking, Waiting

log = structlog.get_logger("lineal.ingest")

Item = TypeVar("Item")

#: How many events are understood in one transaction.
BATCH = 500


class Marks:
    """What the events of one transaction mark: one mark a document, however many say so."""

    def __init__(self, ledger: Ledger, now: Instant) -> None:
        self._ledger, self._now = ledger, now
        self._found: dict[tuple[str, str], tuple[int, Marked]] = {}

    def add(self, source: str, marked: Marked) -> None:
        """Add what one event says of one document."""
        name = (source, marked.key.document)
        count, before = self._found.get(name, (0, marked))
        versions = [one for one in (before.version, marked.version) if one is not None]
        version = max(versions, default=None)
        self._found[name] = (count + 1, Marked(marked.key, marked.deleted, version))

    def write(self, taking: Taking | None = None) -> list[Dirty]:
        """Mark the documents; return those that were taken at once."""
        some = [
            work.Mark(source, document, marked.deleted, count, marked.version)
            for (source, document), (count, marked) in self._found.items()
        ]
        return work.mark_several(self._ledger, some, self._now, taking) if some else []


class Understanding:
    """Tells what events mean, by the sources that they are of."""

    def __init__(
        self,
        store: Store,
        fetched: Mapping[str, FetchedSource],
        logs: Mapping[str, LogSource],
    ) -> None:
        self._store, self._fetched, self._logs = store, fetched, logs

    def addressed(self, source: str | None, event: Mapping[str, Json]) -> tuple[str, int]:
        """Return the source that an event is of and how many notices; raises `InvalidEvent`."""
        if source is not None:
            return source, len(_understood(self._of(source), event)) or 1
        takers = {
            name: count
            for name in sorted(self._fetched)
            if (count := self._count(name, event)) is not None
        }
        if len(takers) != 1:
            who = f"several sources ({', '.join(takers)})" if takers else "no source"
            raise InvalidEvent(
                f"This event makes sense to {who}.", fix="Name its source by ?source=NAME."
            )
        return next(iter(takers.items()))

    def _of(self, source: str) -> FetchedSource | LogSource:
        found = self._fetched.get(source) or self._logs.get(source)
        if found is None:
            known = ", ".join(sorted(self._fetched)) or "none"
            raise InvalidEvent(f"There is no source {source!r}.", fix=f"Sources are {known}.")
        return found

    def _count(self, name: str, event: Mapping[str, Json]) -> int | None:
        try:
            return len(_understood(self._fetched[name], event)) or 1
        except InvalidEvent:
            return None

    # ── From the inbox ───────────────────────────────────────────────────────────────────────

    def understand(self, ledger: Ledger, taking: Taking) -> tuple[int, list[Dirty]]:
        """
        Turn waiting events into marks, or into dead letters; all of them leave the inbox.

        Returns how many, and which documents were marked and taken.
        """
        waiting = work.waiting(ledger, BATCH)
        if not waiting:
            return 0, []
        now = self._store.now()
        marks = Marks(ledger, now)
        for one in waiting:
            self._one(ledger, marks, one, now)
        taken = marks.write(taking)
        work.done(ledger, waiting)
        reached("events-marked")
        return len(waiting), taken

    def _one(self, ledger: Ledger, marks: Marks, waiting: Waiting, now: Instant) -> None:
        event = waiting.event
        try:
            read = self._read(event.source, event.body)
        except InvalidEvent as error:
            work.bury_waiting(ledger, waiting, error, now)
            return
        self._take(ledger, marks, event, read, waiting.notices, now)

    def _read(self, name: str, body: Mapping[str, Json]) -> _Read:
        """Return what an event says to its source; raises `InvalidEvent`."""
        source = self._of(name)
        found = _understood(source, body)
        if not found or name not in self._logs:
            return _Read(found, None)
        return _Read(found, _asked(name, self._logs[name].entry_hash, body))

    def _take(
        self,
        ledger: Ledger,
        marks: Marks,
        event: Event,
        read: _Read,
        notices: int,
        now: Instant,
    ) -> None:
        """Keep the entry of a log, and add the marks; account for each notice."""
        found = read.marks
        flow, worth = ledger.flow, len(found) or 1
        # The file of the source may be another one since the event was accepted.
        flow.add(event.source, "accepted", worth - notices)
        if not found:
            flow.add(event.source, "applied", 1, now)
            return
        if read.entry is not None:
            documents = [marked.key.document for marked in found]
            if not work.keep(ledger, event.source, read.entry, event.body, documents, now):
                flow.add(event.source, "superseded", worth, now)
                return
            reached("entry-kept")
        for marked in found:
            marks.add(event.source, marked)

    # ── Logs ─────────────────────────────────────────────────────────────────────────────────

    def take_log(
        self, name: str, events: Iterable[Mapping[str, Json]]
    ) -> Iterator[InvalidEvent | None]:
        """Take entries of a log in bulk; yields for each None, or why it was refused."""
        for some in chunks(iter(events), BATCH):
            outcomes: list[InvalidEvent | None] = []
            with self._store.working() as ledger:
                now = self._store.now()
                marks = Marks(ledger, now)
                for body in some:
                    try:
                        read = self._read(name, body)
                    except InvalidEvent as error:
                        outcomes.append(error)
                        continue
                    ledger.flow.add(name, "events", 1, now)
                    self._take(ledger, marks, Event(name, body, now), read, 0, now)
                    outcomes.append(None)
                marks.write()
            yield from outcomes

    # ── Dead letters ─────────────────────────────────────────────────────────────────────────

    def replay(self, chosen: Callable[[Ledger], list[tuple[work.Row, DeadLetter]]]) -> int:
        """
        Take up dead letters again, as they are; return how many of them left.

        A document is asked for again, and its letter goes when the answer is written. An event is
        understood again: if it still makes no sense, its letter stays, tried once more. What came
        with a file cannot be asked for: its letter stays until the file is imported again.
        """
        left = 0
        with self._store.working() as ledger:
            now = self._store.now()
            marks = Marks(ledger, now)
            for row, letter in chosen(ledger):
                if letter.document is not None:
                    left += work.replay_document(ledger, row, letter, now)
                    continue
                try:
                    source = self._addressee(letter)
                    event = Event(source, letter.json, letter.first_at)
                    read = self._read(source, event.body)
                except InvalidEvent as error:
                    work.again(ledger, row, letter, error, now)
                    continue
                work.drop(ledger, row)
                notices = letter.notices
                if source != letter.source:
                    # What a door took for nobody is now its source's to account for.
                    ledger.flow.add(letter.source, "superseded", notices, now)
                    notices = 0
                self._take(ledger, marks, event, read, notices, now)
                left += 1
            marks.write()
            reached("letters-replayed")
        return left

    def _addressee(self, letter: DeadLetter) -> str:
        """Return whose a letter is; of one that no source was found for, try again to find it."""
        if letter.source in self._fetched or letter.source in self._logs:
            return letter.source
        source, _ = self.addressed(None, letter.json)
        return source


class _Read(NamedTuple):
    """What an event says to its source: what it marks, and where it is an entry of a log, which."""

    marks: Sequence[Marked]
    entry: str | None


def _understood(source: FetchedSource | LogSource, body: Mapping[str, Json]) -> Sequence[Marked]:
    """Return what an event marks: where a source's own code fails, the event makes no sense."""
    return _asked(source.name, source.understand, body)


def _asked(name: str, ask: Callable[[Mapping[str, Json]], Item], body: Mapping[str, Json]) -> Item:
    """Return what a source's own code says of an event; raises `InvalidEvent` where it fails."""
    try:
        return ask(body)
    except InvalidEvent:
        raise
    except Exception as error:
        log.exception("understanding failed", source=name)
        raise InvalidEvent(
            f"{name} fails to understand this event: {error!r}.",
            fix="The log tells where. Mend the source; the event can be replayed then.",
        ) from error


def chunks(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    """Yield items so many at a time."""
    while chunk := list(islice(items, size)):
        yield chunk

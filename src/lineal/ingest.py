"""THE WRITE PATH: from an event to a committed fact.

    event ─▶ inbox (durable, then ack) ─▶ mark ─▶ fetch ─▶ normalise ─▶ commit

An event only marks a document as changed; the truth is fetched from the source (or folded from
the kept entries of a log source). A fetch takes the mark's number before it asks, and its answer
counts only if no later answer was written: so order, repetition and overlap change nothing, and a
sweep finds what no event told. An error of a source never removes anything.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

import structlog

from lineal.errors import (
    InvalidEvent,
    LinealError,
    NotFound,
    Overloaded,
    SourceDown,
    SourceGarbled,
    SourceGone,
    StoreError,
)
from lineal.model import Event, Instant, Json, Record, Removal, Uri
from lineal.sources import FetchedSource, Key, LogSource, Refused
from lineal.store import Batch, Committed, Fence, Ledger, Store, work
from lineal.store.work import Dirty

Item = TypeVar("Item")

log = structlog.get_logger("lineal.ingest")

Progress = Callable[[int, "int | None", str], None]

#: A document that answers 404 is believed gone after this long, in microseconds.
GRACE = 60_000_000
#: How often a garbled answer is asked for again before it becomes a dead letter.
TRIES = 5
#: The longest wait between two tries, in microseconds.
LONGEST_WAIT = 300_000_000
#: Of a source's living documents, a sweep removes at most this share, and this many, unasked.
HELD_SHARE, HELD_COUNT, HELD_FLOOR = 0.10, 1_000, 10
BATCH = 500
#: So many events may wait in the inbox, and so long (seconds) a sender is told to wait then.
INBOX, PAUSE = 100_000, 5.0


@dataclass(slots=True)
class Tally:
    """What came of some work, added up."""

    read: int = 0
    documents: Counter[str] = field(default_factory=Counter)
    begun: int = 0
    ended: int = 0
    refused: list[Refused] = field(default_factory=list)
    #: How many documents a snapshot lacked, but too many at once to believe it.
    held: int = 0

    def add(self, committed: Committed) -> None:
        """Add what a commit did."""
        self.documents.update(committed.documents)
        self.begun += committed.begun
        self.ended += committed.ended


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found: how much a source listed, what was marked, what was held back."""

    source: str
    listed: int
    marked: int
    absent: int
    #: True where so much was absent that nothing is removed until an operator says so.
    held: bool


@dataclass(frozen=True, slots=True)
class Room:
    """How much more may be taken in now; where nothing, *wait* says for how many seconds."""

    events: int
    wait: float = 0.0

    def __bool__(self) -> bool:
        return self.events > 0


class Ingest:
    """The write path of one installation."""

    def __init__(
        self,
        store: Store,
        fetched: Mapping[str, FetchedSource],
        logs: Mapping[str, LogSource],
        *,
        workers: int = 8,
        inbox: int = INBOX,
    ) -> None:
        self._store, self._fetched, self._logs = store, dict(fetched), dict(logs)
        self._inbox = inbox
        self._known: set[tuple[str, str]] = set()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="fetch")
        self._turn = threading.Lock()
        self._recovered = False
        self._by_platform = {
            pair: source for source in fetched.values() for pair in source.platforms
        }

    # ── The story ────────────────────────────────────────────────────────────────────────────

    def receive(self, source: str | None, events: Sequence[Mapping[str, Json]]) -> int:
        """
        Check events and keep them; when this returns, they are durable.

        Raises:
            InvalidEvent: one of them makes no sense to its source; then none is kept.
            Overloaded: too many wait already; then none is kept, and the error says when to
                send them again.
        """
        now = self._store.now()
        addressed = [Event(self._addressee(source, body), body, now) for body in events]
        with self._store.working() as ledger:
            waiting = work.depth(ledger.driver)
            # What is more than there is room for at all must get in some time.
            if waiting and waiting + len(addressed) > self._inbox:
                raise Overloaded(
                    f"{waiting:,} events wait to be taken in; at most {self._inbox:,} may.",
                    retry_after=PAUSE,
                    fix="Send them again later; nothing of this was kept.",
                )
            return work.receive(ledger, addressed)

    def room(self) -> Room:
        """Return how many events may be sent now; a consumer pauses where there is no room."""
        with self._store.looking() as driver:
            left = self._inbox - work.depth(driver)
        return Room(left) if left > 0 else Room(0, PAUSE)

    def turn(self, tally: Tally | None = None) -> int:
        """Do one turn: understand what waits, fetch what is due, commit; returns how much."""
        with self._turn:
            self._recover()
            understood = self._understand()
            with self._store.looking() as driver:
                due = work.due(driver, self._store.now(), BATCH)
            if due:
                self._take(due, tally or Tally())
            return understood + len(due)

    def _take(self, due: Sequence[Dirty], tally: Tally) -> None:
        """Fetch documents, all at once, and commit their answers together."""
        words: list[tuple[Dirty, Record | Removal, str | None]] = []
        for dirty, outcome in zip(due, self._pool.map(self._ask, due), strict=True):
            word = self._outcome(dirty, outcome)
            if word is not None:
                words.append((dirty, *word))
        if words:
            self._commit(words, tally)
            self._refer([word for _, word, _ in words])

    # ── Understanding ────────────────────────────────────────────────────────────────────────

    def _addressee(self, source: str | None, event: Mapping[str, Json]) -> str:
        """Return the source that an event is from; raises `InvalidEvent`."""
        if source is not None:
            if source not in self._fetched and source not in self._logs:
                known = ", ".join(sorted(self._fetched)) or "none"
                raise InvalidEvent(f"There is no source {source!r}.", fix=f"Sources are {known}.")
            (self._fetched.get(source) or self._logs[source]).understand(event)
            return source
        takers = [name for name in sorted(self._fetched) if self._makes_sense(name, event)]
        if len(takers) != 1:
            who = f"several sources ({', '.join(takers)})" if takers else "no source"
            raise InvalidEvent(
                f"This event makes sense to {who}.", fix="Name its source by ?source=NAME."
            )
        return takers[0]

    def _makes_sense(self, name: str, event: Mapping[str, Json]) -> bool:
        try:
            self._fetched[name].understand(event)
        except InvalidEvent:
            return False
        return True

    def _understand(self) -> int:
        """Turn waiting events into marks, or into dead letters; all of them leave the inbox."""
        with self._store.working() as ledger:
            waiting = work.waiting(ledger, BATCH)
            for one in waiting:
                self._mark(ledger, one.event)
            work.done(ledger, [one.id for one in waiting])
        return len(waiting)

    def _mark(self, ledger: Ledger, event: Event) -> None:
        now = self._store.now()
        source = self._fetched.get(event.source) or self._logs.get(event.source)
        try:
            if source is None:
                raise InvalidEvent(f"There is no source {event.source!r} any more.")
            marks = source.understand(event.body)
        except InvalidEvent as error:
            work.bury_event(ledger, event, error, now)
            return
        if event.source in self._logs:
            digest = self._logs[event.source].entry_hash(event.body)
            documents = [mark.key.document for mark in marks]
            if not work.keep(ledger, event.source, digest, event.body, documents, now):
                return
        for mark in marks:
            work.mark(ledger, event.source, mark.key.document, deleted=mark.deleted, due_at=now)

    # ── Fetching ─────────────────────────────────────────────────────────────────────────────

    def _ask(self, dirty: Dirty) -> tuple[Record | None, str | None] | LinealError:
        """Ask for one document: the record (None: unchanged) and its etag, or what went wrong."""
        key = Key.of(dirty.document)
        try:
            if dirty.source in self._logs:
                with self._store.looking() as driver:
                    entries = work.entries(driver, dirty.source, dirty.document)
                now = self._store.now()
                record = self._logs[dirty.source].fold(key, entries, observed_at=now)
                return record, None
            if dirty.source not in self._fetched:
                return SourceDown(f"The source {dirty.source!r} is not configured.")
            answer = self._fetched[dirty.source].fetch(key, dirty.etag)
            return answer.record, answer.etag
        except LinealError as error:
            return error
        except Exception as error:  # a fault of ours must not stop the other documents
            log.exception("fetch failed", source=dirty.source, document=dirty.document)
            return SourceGarbled(f"{dirty.source} {dirty.document}: {error!r}.")

    def _outcome(
        self, dirty: Dirty, outcome: tuple[Record | None, str | None] | LinealError
    ) -> tuple[Record | Removal, str | None] | None:
        """Return the word to commit, or note why there is none."""
        if isinstance(outcome, SourceGone):
            return self._gone(dirty, outcome)
        if isinstance(outcome, LinealError):
            self._failed(dirty, outcome)
            return None
        record, etag = outcome
        if record is None:
            with self._store.working() as ledger:
                work.confirm(ledger, dirty, self._store.now())
            return None
        return record, etag

    def _gone(self, dirty: Dirty, error: SourceGone) -> tuple[Removal, None] | None:
        """Believe a 404 if an event said so, if it stays, or if there is nothing to lose."""
        now = self._store.now()
        with self._store.looking() as driver:
            living = work.is_living(driver, dirty.source, dirty.document)
        waited = dirty.gone_since is not None and now - dirty.gone_since >= GRACE
        if living and not dirty.deleted and not waited:
            with self._store.working() as ledger:
                since = dirty.gone_since or now
                work.put_off(
                    ledger, dirty, due_at=since + GRACE, error=str(error), gone_since=since
                )
            return None
        key = Key.of(dirty.document)
        subject = self._fetched[dirty.source].subject(key)
        return Removal(dirty.source, dirty.document, subject, now), None

    def _failed(self, dirty: Dirty, error: LinealError) -> None:
        """Try again later; what is garbled again and again becomes a dead letter."""
        now = self._store.now()
        wait = min(1_000_000 * 2**dirty.attempts, LONGEST_WAIT)
        if isinstance(error, SourceDown) and error.retry_after is not None:
            wait = max(wait, int(error.retry_after * 1_000_000))
        with self._store.working() as ledger:
            if not isinstance(error, SourceDown) and dirty.attempts + 1 >= TRIES:
                work.bury_document(ledger, dirty, error, now)
                work.give_up(ledger, dirty, str(error))
                return
            work.put_off(ledger, dirty, due_at=now + wait, error=str(error))
        log.warning(
            "source failed",
            source=dirty.source,
            document=dirty.document,
            error=str(error),
            code=error.code,
        )

    # ── Committing ───────────────────────────────────────────────────────────────────────────

    def _commit(
        self, words: Sequence[tuple[Dirty, Record | Removal, str | None]], tally: Tally
    ) -> None:
        """Commit together; if something in it cannot be, halve until only that is left out."""
        batch = Batch(
            [word for _, word, _ in words],
            actor="ingest",
            cause=_cause(words),
            fences=[
                Fence(dirty.source, dirty.document, dirty.seq, etag) for dirty, _, etag in words
            ],
        )
        try:
            tally.add(self._store.commit(batch))
        except StoreError:
            raise
        except Exception as error:
            if len(words) > 1:
                middle = len(words) // 2
                self._commit(words[:middle], tally)
                self._commit(words[middle:], tally)
                return
            dirty = words[0][0]
            log.exception("commit failed", source=dirty.source, document=dirty.document)
            with self._store.working() as ledger:
                work.bury_document(ledger, dirty, error, self._store.now())
                work.give_up(ledger, dirty, str(error))

    def _recover(self) -> None:
        """Once after a start: ask for what an earlier process only had time to refer to."""
        if not self._recovered:
            with self._store.looking() as driver:
                stubs = [Uri(text) for text in work.undescribed(driver)]
            self._ask_for(stubs)
            self._recovered = True

    def _refer(self, words: Iterable[Record | Removal]) -> None:
        """Ask for what is only referred to."""
        self._ask_for(_mentioned(words))

    def _ask_for(self, uris: Iterable[Uri]) -> None:
        """Mark these, where a source is registered to describe them and was never asked."""
        wanted = set()
        for uri in uris:
            source = self._by_platform.get((uri.type, uri.platform))
            key = source.key_of(uri) if source is not None else None
            if source is not None and key is not None:
                wanted.add((source.name, key.document))
        unseen = sorted(wanted - self._known)
        if unseen:
            with self._store.working() as ledger:
                work.mark_unknown(ledger, unseen, self._store.now())
            self._known.update(unseen)

    # ── Whole sources ────────────────────────────────────────────────────────────────────────

    def sweep(self, name: str) -> Swept:
        """
        List everything a source has and mark what differs: what no event told is found here.

        Absence counts only after the last page; what is absent is asked for once more before it
        is removed. Where too much is absent, nothing is.

        Raises:
            NotFound: there is no such source. SourceDown, SourceGarbled: it could not be listed.
        """
        source = self._fetched.get(name)
        if source is None:
            raise NotFound(
                f"There is no source {name!r} that can be swept.",
                nearest=tuple(sorted(self._fetched)),
            )
        with self._store.looking() as driver:
            generation = work.next_generation(driver, name)
        listed = marked = 0
        for lines in _chunks(source.list(), BATCH):
            listed += len(lines)
            with self._store.working() as ledger:
                marked += work.listed(
                    ledger,
                    name,
                    [(line.key.document, line.version) for line in lines],
                    generation=generation,
                    now=self._store.now(),
                )
        return self._absent(name, generation, listed, marked)

    def _absent(self, name: str, generation: int, listed: int, marked: int) -> Swept:
        """Ask once more for what was absent; for what was listed before, a 404 is then believed."""
        with self._store.working() as ledger:
            absent = work.unlisted(ledger.driver, name, generation)
            gone = sum(absent.values())
            living = len(work.living(ledger.driver, name))
            held = _too_many(gone, living)
            now = self._store.now()
            for document, was_listed in absent.items():
                if not (held and was_listed):
                    work.mark(ledger, name, document, deleted=was_listed, due_at=now)
        if held:
            log.warning("removals held", source=name, absent=gone, living=living)
        return Swept(name, listed, marked, gone, held)

    def take_log(
        self, name: str, events: Iterable[Mapping[str, Json]]
    ) -> Iterator[InvalidEvent | None]:
        """Take entries of a log in bulk; yields for each None, or why it was refused."""
        source = self._logs[name]
        for some in _chunks(iter(events), BATCH):
            outcomes: list[InvalidEvent | None] = []
            with self._store.working() as ledger:
                for body in some:
                    try:
                        source.understand(body)
                        self._mark(ledger, Event(name, body, self._store.now()))
                        outcomes.append(None)
                    except InvalidEvent as error:
                        outcomes.append(error)
            yield from outcomes

    def snapshot(
        self,
        source: str,
        items: Iterable[Record | Refused],
        tally: Tally,
        *,
        cause: str,
        scope: str | None,
        said_at: Instant | None = None,
        removing: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """
        Commit everything that a snapshot says; what it does not say any more is removed.

        *scope* is the beginning of the names of the documents that the snapshot covers; None
        where it covers nothing whole. Nothing is removed where an item was refused, and a
        snapshot that is older than what we have of its scope says nothing. Where it lacks too
        much of what was there (`HELD_SHARE`), nothing is removed unless *removing* says so: a
        file that was cut short looks just like that.
        """
        if scope is not None and self._is_past(source, scope, said_at):
            items, scope = self._superseded(items, tally), None
        seen: set[str] = set()
        before = len(tally.refused)
        for some in _chunks(iter(items), BATCH):
            records = [item for item in some if isinstance(item, Record)]
            tally.refused.extend(item for item in some if isinstance(item, Refused))
            tally.read += len(some)
            seen.update(record.document for record in records)
            tally.add(self._store.commit(Batch(records, actor="import", cause=cause)))
            if progress is not None:
                progress(tally.read, None, source)
        if scope is not None and len(tally.refused) == before:
            self._remove_absent(source, scope, seen, tally, cause, said_at, removing=removing)

    def _is_past(self, source: str, scope: str, said_at: Instant | None) -> bool:
        with self._store.looking() as driver:
            newest = work.newest(driver, source, scope)
        return newest is not None and said_at is not None and said_at < newest

    @staticmethod
    def _superseded(items: Iterable[Record | Refused], tally: Tally) -> Iterator[Refused]:
        """Count what an older snapshot says, and hand on only what of it was refused."""
        for item in items:
            if isinstance(item, Refused):
                yield item
            else:
                tally.read += 1
                tally.documents["superseded"] += 1

    def _remove_absent(
        self,
        source: str,
        scope: str,
        seen: set[str],
        tally: Tally,
        cause: str,
        said_at: Instant | None,
        *,
        removing: bool,
    ) -> None:
        with self._store.looking() as driver:
            living = work.living(driver, source, scope)
            absent = [name for name in living if name not in seen]
            subjects = work.subjects(driver, source, absent)
        if not removing and _too_many(len(absent), len(living)):
            tally.held += len(absent)
            log.warning("removals held", source=source, absent=len(absent), living=len(living))
            return
        now = self._store.now()
        removals = [Removal(source, name, Uri(subjects[name]), now, said_at) for name in absent]
        for some in _chunks(iter(removals), BATCH):
            tally.add(self._store.commit(Batch(some, actor="import", cause=cause)))

    def close(self) -> None:
        """Stop fetching."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for source in self._fetched.values():
            source.close()


def _too_many(absent: int, living: int) -> bool:
    """Is so much absent that a fault is likelier than a removal?"""
    return absent > max(HELD_FLOOR, min(HELD_COUNT, int(living * HELD_SHARE)))


def _cause(words: Sequence[tuple[Dirty, Record | Removal, str | None]]) -> str:
    names = [f"{dirty.source} {dirty.document}" for dirty, _, _ in words[:3]]
    more = f" and {len(words) - 3} more" if len(words) > 3 else ""
    return f"fetched {', '.join(names)}{more}"


def _mentioned(words: Iterable[Record | Removal]) -> set[Uri]:
    found: set[Uri] = set()
    for word in words:
        if isinstance(word, Record):
            for edge in word.edges:
                found |= {edge.start, edge.end}
    return found


def _chunks(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while chunk := list(islice(items, size)):
        yield chunk

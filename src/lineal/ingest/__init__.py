"""THE WRITE PATH: from an event to a committed fact.

    event ─▶ inbox (durable, then ack) ─▶ mark ─▶ fetch ─▶ normalise ─▶ commit

An event only marks a document as changed; the truth is fetched from the source (or folded from
the kept entries of a log source). A fetch takes the mark's number before it asks, and its answer
counts only if no later answer was written: so order, repetition and overlap change nothing, and a
sweep finds what no event told. An error of a source never removes anything.

The rooms: `understanding` of events, `asking` of sources, `judging` and `settling` of answers,
`patience` with sources that fail, `referring` to what nobody described, `sweeping`, the `guard`
against mass removal, `loading` of snapshots, `rebuilding` from what was kept.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import structlog

from lineal.errors import InvalidEvent, Overloaded, StoreError
from lineal.ingest.asking import Answers, Fold, Lane, Workers, threads
from lineal.ingest.guard import HELD_COUNT, HELD_FLOOR, HELD_SHARE
from lineal.ingest.judging import GRACE, TRIES, Word
from lineal.ingest.loading import Loading
from lineal.ingest.patience import FAILURES, SECOND, open_places, state
from lineal.ingest.rebuilding import Rebuilding, Rebuilt
from lineal.ingest.referring import References
from lineal.ingest.settling import Settling
from lineal.ingest.sweeping import Stopped, Sweeps
from lineal.ingest.tally import Progress, Room, Swept, Tally
from lineal.ingest.understanding import BATCH, Understanding
from lineal.model import Event, Instant, Json, Record
from lineal.points import reached
from lineal.sources import FetchedSource, LogSource, Refused
from lineal.store import Ledger, Store, work
from lineal.store.work import DeadLetter, Dirty, Standing

__all__ = [
    "FAILURES",
    "GRACE",
    "HELD_COUNT",
    "HELD_FLOOR",
    "HELD_SHARE",
    "TRIES",
    "Ingest",
    "Progress",
    "Rebuilt",
    "Room",
    "Stopped",
    "Swept",
    "Tally",
    "state",
]

log = structlog.get_logger("lineal.ingest")

#: So many events, and so many bytes of them, may wait in the inbox; so many notices of a log
#: source may wait to be folded; and so long (seconds) a sender is told to wait then.
INBOX, INBOX_BYTES, FOLDING, PAUSE = 100_000, 256_000_000, 100_000, 5.0
#: A turn waits for so many seconds for more answers, if there are less than so many.
GATHER, TOGETHER = 0.005, 32
#: For so many seconds answers on their way are waited for at the end.
CLOSING = 8.0
#: Later than every clock.
NEVER = 1 << 62
#: A lease outlives the longest request by so much, in microseconds.
LEASE = 60 * SECOND


class Ingest:
    """The write path of one installation."""

    def __init__(
        self,
        store: Store,
        fetched: Mapping[str, FetchedSource],
        logs: Mapping[str, LogSource],
        *,
        inbox: int = INBOX,
        inbox_bytes: int = INBOX_BYTES,
        folding: int = FOLDING,
        chance: Callable[[], float] = random.random,
        workers: Workers = threads,
        gather: float = GATHER,
    ) -> None:
        """
        Begin with what the store holds.

        *chance* gives a number from 0 to 1; *workers* makes what carries a lane's questions;
        *gather* is for how many seconds a turn waits for more answers to commit together.
        """
        self._store, self._fetched, self._logs = store, dict(fetched), dict(logs)
        self._inbox, self._inbox_bytes, self._folding = inbox, inbox_bytes, folding
        self._gather, self._holder = gather, uuid.uuid4().hex
        self._understanding = Understanding(store, self._fetched, self._logs)
        self._settling = Settling(store, self._fetched, self._logs, chance)
        self._references = References(store, self._fetched)
        self._sweeps = Sweeps(store, self._fetched, self._holder)
        self._loading = Loading(store)
        self._rebuilding = Rebuilding(store, self._fetched, self._logs, self._holder)
        self._answers = Answers()
        self._lanes: dict[str, Lane | Fold] = {
            **{name: Lane(one, self._answers, workers) for name, one in self._fetched.items()},
            **{name: Fold(one, self._answers, store) for name, one in self._logs.items()},
        }
        self._turn = threading.Lock()
        #: What time it was in the last turn; before the first one nothing is known.
        self._looked: Instant = NEVER
        #: Whether the last that came in was refused for want of room.
        self._is_full = False

    # ── The story ────────────────────────────────────────────────────────────────────────────

    def receive(self, source: str | None, events: Sequence[Mapping[str, Json]]) -> int:
        """
        Check events and keep them; when this returns, they are durable.

        Raises:
            InvalidEvent: one of them makes no sense to its source; then none is kept.
            Overloaded: too much waits already; then none is kept, and the error says when to
                send them again.
        """
        if self._is_full:
            # To understand what will be refused would take the time of what was accepted.
            self._refuse_overload(self._depth(), len(events))
        now = self._store.now()
        of = [self._understanding.addressed(source, body) for body in events]
        addressed = [Event(name, body, now) for (name, _), body in zip(of, events, strict=True)]
        reached("event-addressed")
        with self._store.working() as ledger:
            self._refuse_overload(work.depth(ledger.driver), len(addressed))
            count = work.receive(ledger, addressed, [notices for _, notices in of])
            reached("inbox-written")
        reached("inbox-committed")
        self._answers.stir()
        return count

    def turn(self, tally: Tally | None = None) -> int:
        """
        Do one turn: understand what waits, ask for what is due, commit what was answered.

        Returns how much was done. It waits for no source: what is asked for now is answered in
        some later turn, unless `is_busy` says that nothing is on its way.
        """
        with self._turn:
            self._follow_clock()
            self._references.recover()
            understood = self._understanding.understand()
            asked = self._ask()
            if self.is_busy and self._answers.waiting < TOGETHER:
                # A commit of several costs hardly more than a commit of one.
                time.sleep(self._gather)
            answered = self._answers.taken(BATCH)
            if answered:
                words = self._settling.settle(answered, tally or Tally())
                self._references.follow(words)
            return understood + asked + len(answered)

    def _follow_clock(self) -> None:
        """Where the clock was set back, also before a start, wait for nothing that it once said."""
        now = self._store.now()
        if now >= self._looked:
            self._looked = now
            return
        with self._store.working() as ledger:
            count = work.bring_back(ledger, now)
            for name, known in work.standings(ledger.driver).items():
                if known.down_since is not None and known.down_since > now:
                    work.stand(ledger, name, down_since=now, closed_until=None)
        if count:
            log.warning(
                "the clock was set back: what was marked after that is due now", count=count
            )
        self._looked = now

    def _ask(self) -> int:
        """Take what is due, of each source as much as may be asked now, and ask for it."""
        now = self._store.now()
        with self._store.looking() as driver:
            standings = work.standings(driver)
            most = {
                name: count
                for name, lane in self._lanes.items()
                if (count := _questions(lane, standings.get(name), now)) > 0
            }
            ready = work.ready(driver, sorted(most), now, self._holder)
        if not ready:
            return 0
        with self._store.working() as ledger:
            wanted = {name: most[name] * self._lanes[name].batch for name in ready}
            taken = work.take(ledger, wanted, now=now, holder=self._holder, lease=self._lease())
            reached("lease-written")
        reached("lease-committed")
        too_much: list[Dirty] = []
        for name in ready:
            some = [dirty for dirty in taken if dirty.source == name]
            if some:
                too_much += self._lanes[name].ask(some, most[name])
        if too_much:
            with self._store.working() as ledger:
                work.hand_back(ledger, too_much)
        return len(taken) - len(too_much)

    # ── Room ─────────────────────────────────────────────────────────────────────────────────

    def room(self, source: str | None = None) -> Room:
        """Return how many events may be sent now; a consumer pauses where there is no room."""
        if source in self._logs:
            with self._store.looking() as driver:
                left = self._folding - work.pending(driver, source)
        else:
            events, size = self._depth()
            left = self._inbox - events if size < self._inbox_bytes else 0
        return Room(left) if left > 0 else Room(0, PAUSE)

    def _refuse_overload(self, depth: tuple[int, int], count: int) -> None:
        events, size = depth
        # What is more than there is room for at all must get in some time.
        self._is_full = events > 0 and (events + count > self._inbox or size >= self._inbox_bytes)
        if self._is_full:
            raise Overloaded(
                f"{events:,} events ({size:,} bytes) wait to be taken in; no more may.",
                retry_after=PAUSE,
                fix="Send them again later; nothing of this was kept.",
            )

    def _depth(self) -> tuple[int, int]:
        with self._store.looking() as driver:
            return work.depth(driver)

    # ── Asking ───────────────────────────────────────────────────────────────────────────────

    @property
    def is_busy(self) -> bool:
        """Whether an answer is on its way, or waits for the next turn."""
        return bool(self._answers.waiting) or any(lane.is_busy for lane in self._lanes.values())

    def rest(self, seconds: float) -> None:
        """Wait until an event or an answer comes, at most so long."""
        self._answers.wait(seconds)

    def stir(self) -> None:
        """Wake whoever rests."""
        self._answers.stir()

    def _lease(self) -> Instant:
        longest = max((one.habits.timeout for one in self._fetched.values()), default=0.0)
        return int(longest * SECOND) + LEASE

    # ── Whole sources ────────────────────────────────────────────────────────────────────────

    def sweep(self, name: str, progress: Progress | None = None) -> Swept:
        """List everything a source has and mark what differs; see `sweeping`."""
        swept = self._sweeps.sweep(name, progress)
        self._answers.stir()
        return swept

    def release(self, name: str, *, actor: str, reason: str) -> int:
        """Let the removals go that are held back of a source; see `sweeping`."""
        return self._sweeps.release(name, actor=actor, reason=reason)

    def rebuild(self, name: str, tally: Tally, progress: Progress | None = None) -> Rebuilt:
        """Word every document of a source anew, without asking it; see `rebuilding`."""

        def write(words: list[Word]) -> None:
            with self._turn:
                self._settling.write(words, tally)
                self._references.follow(words)

        return self._rebuilding.rebuild(name, write, progress)

    def take_log(
        self, name: str, events: Iterable[Mapping[str, Json]]
    ) -> Iterator[InvalidEvent | None]:
        """Take entries of a log in bulk; yields for each None, or why it was refused."""
        yield from self._understanding.take_log(name, events)

    def receive_log(
        self, name: str, events: Sequence[Mapping[str, Json]]
    ) -> list[InvalidEvent | None]:
        """
        Keep entries of a log, if there is room; when this returns, they are durable.

        Returns for each None, or why it was refused. Raises `Overloaded` where none was kept.
        """
        room = self.room(name)
        if not room:
            raise Overloaded(
                f"{self._folding:,} events of {name} wait to be worked on; no more may.",
                retry_after=room.wait,
                fix="Send them again later; nothing of this was kept.",
            )
        outcomes = list(self.take_log(name, events))
        self._answers.stir()
        return outcomes

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
        """Commit everything that a snapshot says; see `loading`."""
        self._loading.snapshot(
            source, items, tally, cause=cause, scope=scope, said_at=said_at, removing=removing,
            progress=progress,
        )  # fmt: skip

    # ── Dead letters ─────────────────────────────────────────────────────────────────────────

    def replay(
        self, *, ids: Sequence[int] | None = None, source: str | None = None, actor: str
    ) -> tuple[int, int]:
        """Take up dead letters again, these or all of a source; return how many of how many."""
        chosen: list[tuple[work.Row, DeadLetter]] = []

        def choose(ledger: Ledger) -> list[tuple[work.Row, DeadLetter]]:
            chosen.extend(work.chosen(ledger, ids=ids, source=source))
            self._noted(ledger, chosen, "replay", actor, "")
            return chosen

        left = self._understanding.replay(choose)
        self._answers.stir()
        return left, len(chosen)

    def purge(
        self, *, ids: Sequence[int] | None = None, source: str | None = None, actor: str,
        reason: str,
    ) -> int:  # fmt: skip
        """Throw dead letters away for good, these or all of a source; return how many."""
        with self._store.working() as ledger:
            chosen = work.chosen(ledger, ids=ids, source=source)
            work.purge(ledger, chosen, self._store.now())
            self._noted(ledger, chosen, "purge", actor, reason)
            reached("letters-purged")
        return len(chosen)

    def _noted(
        self,
        ledger: Ledger,
        chosen: Sequence[tuple[work.Row, DeadLetter]],
        what: str,
        actor: str,
        reason: str,
    ) -> None:
        for name in sorted({letter.source for _, letter in chosen}):
            count = sum(letter.source == name for _, letter in chosen)
            work.note(
                ledger, at=self._store.now(), actor=actor, what=what, source=name, reason=reason,
                count=count,
            )  # fmt: skip

    def close(self, until: float | None = None) -> None:
        """
        Stop asking; what was not answered is due again at once, for whoever comes next.

        Answers on their way are waited for until then, by the steady clock.
        """
        until = time.monotonic() + CLOSING if until is None else until
        left = [dirty for lane in self._lanes.values() for dirty in lane.close(until)]
        left += [asked.dirty for asked in self._answers.taken(len(self._lanes) * BATCH)]
        if left:
            try:
                with self._store.working() as ledger:
                    work.hand_back(ledger, left)
                    reached("handed-back")
            except StoreError as error:
                log.warning("leases run out by themselves", error=str(error), count=len(left))


def _questions(lane: Lane | Fold, known: Standing | None, now: Instant) -> int:
    """How many more questions may a source be asked now?"""
    places = lane.places if known is None else open_places(known, now, lane.places)
    return lane.appetite if places == lane.places else places - lane.asked

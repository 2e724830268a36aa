"""THE WRITE PATH: from an event to a committed fact.

    event ─▶ inbox (durable, then ack) ─▶ mark ─▶ fetch ─▶ normalise ─▶ commit

An event only marks a document as changed; the truth is fetched from the source (or folded from
the kept entries of a log source). A fetch takes the mark's number before it asks, and its answer
counts only if no later answer was written: so order, repetition and overlap change nothing, and a
sweep finds what no event told. An error of a source never removes anything.

The rooms: `receiving` and `understanding` of events, `asking` of sources, `folding` of
logs, `judging` and `settling` of answers, `examining` of what does not fit, `patience` with sources
that fail, `referring` to what nobody described, `sweeping`, the `guard` against mass removal,
`loading` of snapshots, `rebuilding` from what was kept.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import structlog

from lineal.errors import InvalidEvent, Overloaded, StoreError
from lineal.ingest.asking import Answers, Lane, Workers, threads
from lineal.ingest.examining import Examining
from lineal.ingest.folding import Fold
from lineal.ingest.guard import HELD_COUNT, HELD_FLOOR, HELD_SHARE
from lineal.ingest.judging import GRACE, TRIES, Dead, Word
from lineal.ingest.loading import Loading, Snapshot
from lineal.ingest.patience import FAILURES, SECOND, state
from lineal.ingest.rebuilding import Rebuilding, Rebuilt
from lineal.ingest.receiving import Receiving
from lineal.ingest.referring import References
from lineal.ingest.settling import Settling
from lineal.ingest.sweeping import Stopped, Sweeps
from lineal.ingest.tally import Progress, Room, Swept, Tally
from lineal.ingest.understanding import BATCH, Understanding
from lineal.model import Event, Instant, Json
from lineal.points import reached
from lineal.sources import FetchedSource, LogSource
from lineal.store import Ledger, Store, work
from lineal.store.work import DeadLetter, Dirty, Taking

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
    "Snapshot",
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
#: Where turns take longer than that, it waits for as long as the last one took, at most so long.
GATHERED = 0.04
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
        self._folding = folding
        self._receiving = Receiving(store, inbox, inbox_bytes, PAUSE)
        self._gather, self._holder = gather, uuid.uuid4().hex
        self._understanding = Understanding(store, self._fetched, self._logs)
        examining = Examining(store.shapes, self._fetched)
        self._settling = Settling(store, self._fetched, self._logs, chance, examining)
        self._references = References(store, self._fetched)
        self._sweeps = Sweeps(store, self._fetched, self._holder, self._write, examining)
        self._loading = Loading(store, examining)
        self._rebuilding = Rebuilding(
            store, self._fetched, self._logs, self._holder, examining
        )  # fmt: skip
        self._answers = Answers()
        self._lanes: dict[str, Lane | Fold] = {
            **{name: Lane(one, self._answers, workers) for name, one in self._fetched.items()},
            **{name: Fold(one, self._answers, store) for name, one in self._logs.items()},
        }
        self._turn = threading.Lock()
        #: How long (seconds) it took last to commit what was answered.
        self._cost = 0.0
        #: What time it was in the last turn; before the first one nothing is known.
        self._looked: Instant = NEVER
        #: True if an earlier process, or a turn that broke off, may have left work lying.
        self._left_lying = True

    # ── The story ────────────────────────────────────────────────────────────────────────────

    def receive(self, source: str | None, events: Sequence[Mapping[str, Json]]) -> int:
        """
        Check events and keep them; when this returns, they are durable.

        Raises:
            InvalidEvent: one of them makes no sense to its source; then none is kept.
            Overloaded: too much waits already; then none is kept, and the error says when to
                send them again.
        """
        # To understand what will be refused would take the time of what was accepted.
        self._receiving.refuse_if_full(len(events))
        now = self._store.now()
        of = [self._understanding.addressed(source, body) for body in events]
        addressed = [Event(name, body, now) for (name, _), body in zip(of, events, strict=True)]
        reached("event-addressed")
        self._receiving.receive(addressed, [notices for _, notices in of])
        reached("inbox-committed")
        self._answers.stir()
        return len(addressed)

    def receive_each(
        self, events: Sequence[tuple[str | None, Mapping[str, Json]]]
    ) -> list[InvalidEvent | None]:
        """
        Keep those events of several sources that make sense; when this returns, they are durable.

        Returns for each None, or why it was refused. Raises `Overloaded` where none was kept.
        """
        self._receiving.refuse_if_full(len(events))
        now = self._store.now()
        outcomes, kept, notices = list[InvalidEvent | None](), list[Event](), list[int]()
        for source, body in events:
            try:
                name, worth = self._understanding.addressed(source, body)
            except InvalidEvent as error:
                outcomes.append(error)
                continue
            outcomes.append(None)
            kept.append(Event(name, body, now))
            notices.append(worth)
        if kept:
            self._receiving.receive(kept, notices)
            self._answers.stir()
        return outcomes

    def turn(self, tally: Tally | None = None) -> int:
        """
        Do one turn: understand what waits, ask for what is due, commit what was answered.

        Returns how much was done. It waits for no source: what is asked for now is answered in
        some later turn, unless `is_busy` says that nothing is on its way.
        """
        with self._turn:
            self._take_up()
            self._left_lying = True
            self._follow_clock()
            began = time.monotonic()
            understood, taken = self._take()
            asked = self._ask(taken)
            cost = self._cost + time.monotonic() - began
            if self._gather and self._answers.waiting < TOGETHER:
                # A commit of several costs hardly more than a commit of one: where turns are
                # dear, the more answers are waited for.
                self._answers.gather(self._more, max(self._gather, min(cost, GATHERED)))
            answered, began = self._answers.taken(BATCH), time.monotonic()
            if answered:
                words = self._settling.settle(answered, tally or Tally())
                self._references.follow(words)
            self._cost = time.monotonic() - began
            self._left_lying = False
            return understood + asked + len(answered)

    def _take_up(self) -> None:
        """
        Take up what was left lying: leases that nobody is at, and references not followed.

        Of a commit whose acknowledgement was lost nobody here knows whether it happened: what it
        took would else be held for ever.
        """
        if not self._left_lying:
            return
        at_work = [dirty for lane in self._lanes.values() for dirty in lane.asking]
        at_work += self._answers.dirty()
        with self._store.working() as ledger:
            work.free(ledger, self._holder, but={(one.source, one.document) for one in at_work})
        self._references.recover()

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

    def _take(self) -> tuple[int, list[tuple[Lane | Fold, int, list[Dirty]]]]:
        """
        Understand what waits, and take what is due, of each source as much as may be asked now.

        In one transaction; returns how many events were understood, and for each lane how many
        questions it may ask, and for what.
        """
        now, taken = self._store.now(), list[Dirty]()
        with self._store.looking() as driver:
            waiting = work.depth(driver)[0]
            states = {name: state(one, now) for name, one in work.standings(driver).items()}
            most = {
                name: count
                for name, lane in self._lanes.items()
                if (count := _questions(lane, states.get(name, "closed"))) > 0
            }
            ready = work.ready(driver, sorted(most), now, self._holder)
        if not waiting and not ready:
            return 0, []
        wants = {name: count * self._lanes[name].batch for name, count in most.items()}
        with self._store.working() as ledger:
            # Where nothing has waited longer, what is marked now is next.
            waited = {name: wants.pop(name) for name in ready}
            trying = {name for name in ready if states.get(name) == "half-open"}
            taken = work.take(
                ledger, waited, now=now, holder=self._holder, lease=self._lease(), trying=trying
            )
            taking = Taking(self._holder, self._lease(), wants)
            understood, more = self._understanding.understand(ledger, taking)
            reached("lease-written")
        reached("lease-committed")
        of: dict[str, list[Dirty]] = {}
        for dirty in (*taken, *more):
            of.setdefault(dirty.source, []).append(dirty)
        return understood, [(self._lanes[name], most[name], some) for name, some in of.items()]

    def _ask(self, taken: Iterable[tuple[Lane | Fold, int, list[Dirty]]]) -> int:
        """Ask for what was taken; return for how many documents."""
        asked, too_much = 0, list[Dirty]()
        for lane, questions, some in taken:
            too_much += lane.ask(some, questions)
            asked += len(some)
        if too_much:
            with self._store.working() as ledger:
                work.hand_back(ledger, too_much)
        return asked - len(too_much)

    # ── Room ─────────────────────────────────────────────────────────────────────────────────

    def room(self, source: str | None = None) -> Room:
        """Return how many events may be sent now; a consumer pauses where there is no room."""
        if source in self._logs:
            with self._store.looking() as driver:
                left = self._folding - work.pending(driver, source)
        else:
            events, size = self._depth()
            receiving = self._receiving
            left = receiving.most - events if size < receiving.most_bytes else 0
        return Room(left) if left > 0 else Room(0, PAUSE)

    def _depth(self) -> tuple[int, int]:
        with self._store.looking() as driver:
            return work.depth(driver)

    # ── Asking ───────────────────────────────────────────────────────────────────────────────

    @property
    def is_busy(self) -> bool:
        """Whether an answer is on its way, or waits for the next turn."""
        return bool(self._answers.waiting) or self._more()

    def _more(self) -> bool:
        """Is an answer on its way?"""
        return any(lane.is_busy for lane in self._lanes.values())

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
        return self._rebuilding.rebuild(name, lambda words: self._write(words, tally), progress)

    def _write(self, verdicts: list[Word | Dead], tally: Tally | None = None) -> None:
        """Commit words that no lane was asked for, and put aside what may not be taken in."""
        words = [one for one in verdicts if isinstance(one, Word)]
        with self._turn:
            self._take_up()
            self._left_lying = True
            self._settling.write(words, tally or Tally())
            self._settling.put_aside([one for one in verdicts if isinstance(one, Dead)])
            self._references.follow(words)
            self._left_lying = False

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
        snapshot: Snapshot,
        tally: Tally,
        *,
        removing: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Commit everything that a snapshot says; see `loading`."""
        self._loading.snapshot(snapshot, tally, removing=removing, progress=progress)

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


def _questions(lane: Lane | Fold, how: str) -> int:
    """How many more questions may a source be asked now, by the state of its breaker?"""
    if how == "closed":
        return lane.appetite
    return 1 - lane.asked if how == "half-open" else 0

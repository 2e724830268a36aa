"""What a source said, told again through the write path: in every order, with every fault.

A history begins with what is there, then documents change, come, go and come back, and an event
tells of each. The same history is played plainly and once for each way of meddling; when all is
healed and swept, the graphs must be equal. Clock, dice and databases are the run's own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Literal, ParamSpec, TypeAlias, TypeVar

from lineal.app.conformance.checks import Findings, dice
from lineal.app.conformance.looking import Heard, Naming
from lineal.errors import InvalidEvent, SourceDown, SourceError, SourceGarbled, SourceGone
from lineal.ingest import Ingest
from lineal.model import Instant, Json, Record, Uri
from lineal.shapes import Shapes
from lineal.sources import Fetched, Habits, Key, Listed, Marked
from lineal.store import Store, work

Way: TypeAlias = Literal[
    "plain", "replays", "reorders", "drops", "duplicates", "delays", "deletes", "garbles", "all"
]
WORDS: dict[Way, str] = {
    "replays": "Every event told once more at the end",
    "reorders": "Events told in another order",
    "drops": "Four of ten events lost",
    "duplicates": "Events told up to four times",
    "delays": "Events late, and answers older than they",
    "deletes": "Documents gone without an event, and back",
    "garbles": "Answers that are errors, broken, or none",
    "all": "All of it together",
}
P = ParamSpec("P")
T = TypeVar("T")
#: In these ways, answers are not what they should be.
_MEDDLING: frozenset[Way] = frozenset({"delays", "garbles", "all"})
_SECOND = 1_000_000
#: So many documents of a source take part.
_PLAYERS = 60
#: So many of them go: fewer than what a sweep holds back.
_GOING = 4
#: An empty database, of which each play gets a copy.
EMPTY = "empty.db"
_BEGIN: Instant = 1_770_000_000 * _SECOND


class Clock:
    """A time that goes on only when it is told to."""

    def __init__(self) -> None:
        self.at = _BEGIN

    def __call__(self) -> Instant:
        """Return the time."""
        return self.at

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.at += int(seconds * _SECOND)


@dataclass(frozen=True, slots=True)
class Change:
    """A document is of another version from now on; None: it is gone."""

    key: Key
    record: Record | None


@dataclass(frozen=True, slots=True)
class History:
    """What is there at first, and what changes."""

    begin: Mapping[Key, Record]
    changes: tuple[Change, ...]


class Told:
    """
    A source that is only what a history says, and may be in trouble. Asked from several threads.

    What becomes of an answer hangs on the document and on how often it was asked for, not on who
    asks first: so a seed repeats a run.
    """

    def __init__(self, naming: Naming, clock: Clock, way: Way, seed: int) -> None:
        self._naming, self._clock = naming, clock
        self._way, self._seed = way, seed
        self.now: dict[Key, tuple[int, Record]] = {}
        self._before: dict[Key, tuple[int, Record]] = {}
        self._count = 0
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()
        #: How often of ten an answer is an error, or an older one; in trouble, lists fail.
        self.troubled = self.lagging = 0
        #: How often that came about.
        self.meddled = 0
        self.habits = _habits(naming)

    @property
    def name(self) -> str:
        """The source's name."""
        return self._naming.name

    @property
    def platforms(self) -> frozenset[tuple[str, str]]:
        """The (type, platform) pairs that it describes."""
        return self._naming.platforms

    def key_of(self, uri: Uri) -> Key | None:
        """Return the document that describes *uri*."""
        return self._naming.key_of(uri)

    def subject(self, key: Key) -> Uri:
        """Return the thing that a document is about."""
        return self._naming.subject(key)

    def become(self, change: Change) -> None:
        """Let a change be so."""
        before = self.now.pop(change.key, None)
        if before is not None:
            self._before[change.key] = before
        if change.record is not None:
            self._count += 1
            self.now[change.key] = (self._count, change.record)

    def heal(self) -> None:
        """Be in no trouble any more."""
        self.troubled = self.lagging = 0

    def understand(self, body: Mapping[str, Json]) -> tuple[Marked, ...]:
        """Return the document that one of the history's events marks."""
        document = body.get("document")
        if not isinstance(document, str):
            raise InvalidEvent("It names no document.")
        return (Marked(Key.of(document), deleted=body.get("gone") is True),)

    def fetch(self, key: Key, etag: str | None = None) -> Fetched:
        """Answer as the history and its troubles say."""
        thrown = self._thrown(key.document)
        if thrown.randrange(10) < self.troubled:
            self.meddled += 1
            raise thrown.choice(_TROUBLES)()
        held = self.now.get(key)
        if thrown.randrange(10) < self.lagging and key in self._before:
            self.meddled += 1
            held = self._before[key]
        if held is None:
            raise SourceGone(f"There is no {key.document}.")
        number, record = held
        tag = f'"{number}"'
        if etag == tag:
            return Fetched(key, None, tag)
        return Fetched(key, replace(record, observed_at=self._clock()), tag)

    def fetch_many(self, keys: Sequence[Key]) -> Mapping[Key, Fetched | SourceGarbled]:
        """Answer nothing: it is asked for one at a time."""
        return {}

    def reword(self, key: Key, raw: Mapping[str, Json], at: Instant) -> Record:
        """Word nothing anew: nothing is kept of its answers."""
        raise SourceGarbled(f"Nothing is kept of {key.document}.")

    def list(self) -> Iterator[Listed]:
        """List what is there now, in any order; in trouble, half of it."""
        listed = list(self.now.items())
        self._thrown("the list").shuffle(listed)
        for at, (key, (number, _)) in enumerate(listed):
            if self.troubled and at == len(listed) // 2:
                raise SourceDown("The list ends in the middle.")
            yield Listed(key, str(number))

    def _thrown(self, what: str) -> Random:
        with self._lock:
            self._asked[what] += 1
            return dice(self._seed, self._way, what, str(self._asked[what]))

    def close(self) -> None:
        """There is nothing to close."""


_TROUBLES: tuple[Callable[[], SourceError], ...] = (
    lambda: SourceDown("It does not answer."),
    lambda: SourceDown("Not now.", retry_after=7.0),
    lambda: SourceGarbled("It answers with nonsense."),
)


def _habits(naming: Naming) -> Habits:
    """Return the habits of a source that has some; it is asked for one document at a time."""
    habits = getattr(naming, "habits", None)
    return replace(habits if isinstance(habits, Habits) else Habits(), batches={}, sweep=None)


def play(naming: Naming, heard: Heard, findings: Findings, shapes: Shapes, *, seed: int) -> None:
    """Play one history plainly and in every other way, and compare the graphs."""
    records = heard.records
    why = "there are too few documents" if len(records) < 2 else ""
    if findings.is_broken("speaks our words"):
        why = "what it says cannot be kept"
    if why:
        for way, words in WORDS.items():
            findings.skipped(way, f"{words}: {why}.")
        return
    history = history_of(records, seed=seed)
    with folder_of(shapes) as folder:
        plain = Play(naming, history, folder, "plain", seed, shapes).digest()
        for way, words in WORDS.items():
            played = Play(naming, history, folder, way, seed, shapes)
            digest = played.digest()
            told = f"{words} ({played.told} events)"
            if way in _MEDDLING and not played.source.meddled:
                findings.skipped(way, f"{told}: too few answers to meddle with.")
            elif digest == plain:
                findings.kept(way, f"{told}: the same graph.")
            else:
                findings.broken(
                    way,
                    f"{told}: another graph than when all goes well.",
                    f"It comes again with --seed {seed}. Documents must not depend on each other, "
                    "and `said_at` must move with every change.",
                )


@contextlib.contextmanager
def folder_of(shapes: Shapes) -> Iterator[Path]:
    """Make a folder for databases that are thrown away: in memory, where the system has one."""
    memory = Path("/dev/shm")  # noqa: S108  # the folder in it is made safely, under its own name
    there = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="lineal-", dir=there) as name:
        Store(Path(name) / EMPTY, shapes=shapes).close()
        yield Path(name)


def history_of(records: Mapping[Key, Record], *, seed: int) -> History:
    """Invent what happens to documents: some change, some come, some go and come back."""
    thrown = dice(seed, "history")
    keys = thrown.sample(sorted(records), min(_PLAYERS, len(records)))
    going, coming = keys[:_GOING], keys[_GOING : _GOING + len(keys) // 4]
    changing = keys[_GOING + len(coming) :]
    begin = {key: records[key] for key in going}
    begin |= {key: earlier(records[key]) for key in changing}
    changes = [Change(key, records[key]) for key in (*changing, *coming)]
    thrown.shuffle(changes)
    back = [Change(key, records[key]) for key in going[: len(going) // 2]]
    gone = [Change(key, None) for key in going]
    middle = len(changes) // 2
    return History(begin, (*changes[:middle], *gone, *changes[middle:], *back))


def earlier(record: Record) -> Record:
    """Return what a document may have said before: less, and under other words."""
    statements = tuple(
        one._replace(
            attributes={
                name: f"{value} (before)" if name in ("name", "description") else value
                for name, value in one.attributes.items()
            },
        )
        for one in record.statements
    )
    return replace(record, statements=statements, edges=record.edges[:-1])


class _AtOnce(Executor):
    """Works before it returns, so that the dice fall in one order."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Do the work; return its outcome."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


class Play:
    """One history, played in one way."""

    def __init__(
        self, naming: Naming, history: History, folder: Path, way: Way, seed: int, shapes: Shapes
    ) -> None:
        self._history, self._way = history, way
        self._dice, self._clock = dice(seed, way), Clock()
        self.source = Told(naming, self._clock, way, seed)
        place = folder / f"{way}.db"
        shutil.copyfile(folder / EMPTY, place)
        self._store = Store(place, shapes=shapes, now=self._clock)
        self._ingest = Ingest(
            self._store,
            {naming.name: self.source},
            {},
            chance=self._dice.random,
            workers=lambda _name, _places: _AtOnce(),
        )
        self._waiting: list[dict[str, Json]] = []
        #: How many events were told.
        self.told = 0

    def digest(self) -> str:
        """Play it to its end; return the digest of the graph."""
        try:
            self._play()
            return self._store.digest()
        finally:
            self._ingest.close()
            self._store.close()

    def _play(self) -> None:
        for key, record in self._history.begin.items():
            self.source.become(Change(key, record))
        self._ingest.sweep(self.source.name)
        self._settle()
        for at, change in enumerate(self._history.changes):
            self._trouble()
            self.source.become(change)
            self._waiting += self._events(change)
            if self._way in ("plain", "delays") or at % 3 == 0:
                self._deliver()
                self._ingest.turn()
                self._clock.wait(1)
        self._end()

    def _end(self) -> None:
        """Heal everything, tell what is left, and sweep as a schedule would."""
        self.source.heal()
        self._deliver(everything=True)
        if self._way in ("replays", "all"):
            for change in self._history.changes:
                self._tell([_event(change)])
        self._settle()
        for _ in range(2):
            self._clock.wait(3_600)
            self._ingest.sweep(self.source.name)
            self._settle()

    def _trouble(self) -> None:
        if self._way in ("garbles", "all"):
            self.source.troubled = self._dice.choice((5, 9))
            if self._dice.random() < 0.2:
                self._try_to_sweep()
        if self._way in ("delays", "all"):
            self.source.lagging = self._dice.choice((5, 9))

    def _try_to_sweep(self) -> None:
        try:
            self._ingest.sweep(self.source.name)
        except (SourceDown, SourceGarbled):
            self.source.meddled += 1

    def _events(self, change: Change) -> list[dict[str, Json]]:
        event = _event(change)
        if self._way in ("drops", "all") and self._dice.random() < 0.4:
            return []
        if self._way in ("deletes", "all") and change.record is None and self._dice.random() < 0.5:
            return []
        if self._way in ("duplicates", "all"):
            return [event] * self._dice.randint(1, 4)
        return [event]

    def _deliver(self, *, everything: bool = False) -> None:
        """Tell what waits; in some ways not all of it, or not in its order."""
        if self._way in ("reorders", "all"):
            self._dice.shuffle(self._waiting)
        late = 0
        if self._way in ("reorders", "delays", "all") and not everything:
            late = self._dice.randint(0, len(self._waiting))
        count = len(self._waiting) - late
        told, self._waiting = self._waiting[:count], self._waiting[count:]
        self._tell(told)

    def _tell(self, events: Sequence[Mapping[str, Json]]) -> None:
        if events:
            self._ingest.receive(self.source.name, events)
            self.told += len(events)

    def _settle(self) -> None:
        """Work until nothing is due and nothing waits for its time."""
        for _ in range(10_000):
            if self._ingest.turn():
                continue
            with self._store.looking() as driver:
                if not any(one.waiting or one.dirty for one in work.health(driver)):
                    return
            self._clock.wait(30)
        raise AssertionError("the write path does not come to rest")


def _event(change: Change) -> dict[str, Json]:
    return {"document": change.key.document, "gone": change.record is None}

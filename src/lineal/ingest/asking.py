"""Asking: each source has a lane of its own, so that a slow one keeps no other waiting.

A lane has as many places as its source may be asked questions at once. Answers of all lanes come
together in one queue, in the order in which they come.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

import structlog

from lineal.errors import LinealError, SourceDown, SourceGarbled
from lineal.points import reached
from lineal.sources import Fetched, FetchedSource, Key
from lineal.store.work import Dirty

log = structlog.get_logger("lineal.ingest")

#: A lane holds questions for so many seconds, and at most so many for each place; what has waited
#: longer than `STALE` is given back.
AHEAD, MOST, STALE = 0.5, 32, 30.0

#: What failed so often together with others is asked for alone: one may fail for all.
TOGETHER = 2


@dataclass(frozen=True, slots=True)
class Asked:
    """A document that was asked for: its answer, what went wrong, or None: not asked after all."""

    dirty: Dirty
    outcome: Fetched | LinealError | None
    #: True where what went wrong is told already by another of those that were asked for together.
    is_told: bool = False


Workers: TypeAlias = Callable[[str, int], Executor]


def threads(source: str, places: int) -> Executor:
    """Return workers for the places of a source's lane."""
    return Askers(places, f"fetch-{source}")


class Askers(Executor):
    """
    Threads that ask, and that no process waits for when it ends.

    The standard library's are waited for then, and one whose source is silent may take minutes.
    """

    def __init__(self, places: int, name: str) -> None:
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._places, self._name, self._begun = places, name, 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have something done as soon as a thread is free; only one thread may ask for it."""
        future: Future[Any] = Future()
        self._tasks.put((future, partial(fn, *args, **kwargs)))
        if self._begun < self._places:
            name = f"{self._name}_{self._begun}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
            self._begun += 1
        return future

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, does = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(does())
            except BaseException as error:
                future.set_exception(error)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the threads end when they have done what waits, or at once what they are at."""
        if cancel_futures:
            with contextlib.suppress(Empty):
                while (task := self._tasks.get_nowait()) is not None:
                    task[0].cancel()
                    task[0].set_running_or_notify_cancel()
        for _ in range(self._begun):
            self._tasks.put(None)


class Answers:
    """The answers of all lanes; whoever waits for them is woken by other news too."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Asked] = SimpleQueue()
        self._news, self._come = threading.Event(), threading.Event()

    def put(self, some: Sequence[Asked]) -> None:
        """Hand in answers."""
        for one in some:
            self._queue.put(one)
        self.come()

    def come(self) -> None:
        """Say that a question is answered."""
        self._come.set()
        self._news.set()

    def taken(self, limit: int) -> list[Asked]:
        """Take the answers that are there."""
        found: list[Asked] = []
        try:
            while len(found) < limit:
                found.append(self._queue.get_nowait())
        except Empty:
            pass
        return found

    def dirty(self) -> list[Dirty]:
        """What are these answers to? Only whoever takes them may ask."""
        found = self.taken(self.waiting)
        for one in found:
            self._queue.put(one)
        return [one.dirty for one in found]

    @property
    def waiting(self) -> int:
        """How many answers are there."""
        return self._queue.qsize()

    def stir(self) -> None:
        """Wake whoever waits."""
        self._news.set()

    def gather(self, more: Callable[[], bool], seconds: float) -> None:
        """Wait for answers as long as there are *more* to come, at most so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._come.clear()
            if not more():
                return
            self._come.wait(left)

    def wait(self, seconds: float) -> None:
        """Wait until there is an answer or other news, at most so long."""
        self._news.wait(seconds)
        self._news.clear()


class Lane:
    """The way to one source."""

    def __init__(self, source: FetchedSource, answers: Answers, workers: Workers) -> None:
        self._source, self._answers, self._workers = source, answers, workers
        self._executor: Executor | None = None
        self._lock = threading.RLock()
        self._asking: dict[Dirty, None] = {}
        #: How long a question takes, in seconds, by the last ones.
        self._pace = AHEAD / 4
        #: True once the source was down, until it is asked again: the rest is given back.
        self._is_down = False
        self._tasks: set[Future[None]] = set()

    @property
    def places(self) -> int:
        """How many questions may be asked at once."""
        return self._source.habits.places

    @property
    def asked(self) -> int:
        """How many questions are on their way, or wait for a place."""
        with self._lock:
            return len(self._tasks)

    @property
    def appetite(self) -> int:
        """How many more questions should wait for a place, so that none stands empty."""
        held = self.places * max(1, min(MOST, int(AHEAD / self._pace)))
        asked = self.asked
        return held - asked if asked <= held // 2 else 0

    @property
    def batch(self) -> int:
        """How many documents one question may be for, at most."""
        return max(self._source.habits.batches.values(), default=1)

    @property
    def asking(self) -> list[Dirty]:
        """What is asked for, and is not yet among the answers."""
        with self._lock:
            return list(self._asking)

    @property
    def is_busy(self) -> bool:
        """Whether an answer is still to come."""
        with self._lock:
            return bool(self._tasks)

    def ask(self, some: Sequence[Dirty], most: int) -> list[Dirty]:
        """Ask for documents by at most so many questions; return what would need more."""
        if self._executor is None:
            self._executor = self._workers(self._source.name, self.places)
        questions, self._is_down = self._questions(some), False
        for together in questions[:most]:
            with self._lock:
                self._asking.update(dict.fromkeys(together))
                task = self._executor.submit(self._answer, together, time.monotonic())
                self._tasks.add(task)
            task.add_done_callback(self._done)
        return [dirty for together in questions[most:] for dirty in together]

    def _questions(self, some: Sequence[Dirty]) -> list[list[Dirty]]:
        """Put those together that one question may be for, those that waited longest first."""
        sizes, found = self._source.habits.batches, list[list[Dirty]]()
        open_: dict[str, list[Dirty]] = {}
        for dirty in some:
            if dirty.attempts >= TOGETHER:
                found.append([dirty])
                continue
            resource = Key.of(dirty.document).resource
            together = open_.get(resource)
            if together is None or len(together) >= sizes.get(resource, 1):
                together = open_[resource] = []
                found.append(together)
            together.append(dirty)
        return found

    def _done(self, task: Future[None]) -> None:
        with self._lock:
            self._tasks.discard(task)
        self._answers.come()

    def _answer(self, some: Sequence[Dirty], since: float) -> None:
        try:
            # Among the answers first: at every moment a document is at one of the two places.
            self._answers.put(self._answered(some, since))
        finally:
            with self._lock:
                for dirty in some:
                    self._asking.pop(dirty, None)

    def _answered(self, some: Sequence[Dirty], since: float) -> list[Asked]:
        began = time.monotonic()
        if self._is_down or began - since >= STALE:
            return [Asked(dirty, None) for dirty in some]
        reached("asking")
        answers = self._asked(some)
        reached("answered")
        self._pace += 0.2 * (max(1e-4, time.monotonic() - began) - self._pace)
        if any(isinstance(one.outcome, SourceDown) for one in answers):
            self._is_down = True
        return answers

    def _asked(self, some: Sequence[Dirty]) -> list[Asked]:
        found: Mapping[Key, Fetched | LinealError] = {}
        if len(some) > 1:
            try:
                found = self._source.fetch_many([Key.of(dirty.document) for dirty in some])
            except Exception as error:
                return [
                    Asked(dirty, in_our_words(error, dirty), is_told=dirty is not some[0])
                    for dirty in some
                ]
        return [
            Asked(dirty, found.get(Key.of(dirty.document)) or self._one(dirty)) for dirty in some
        ]

    def _one(self, dirty: Dirty) -> Fetched | LinealError:
        try:
            return self._source.fetch(Key.of(dirty.document), dirty.etag)
        except Exception as error:
            return in_our_words(error, dirty)

    def close(self, until: float) -> list[Dirty]:
        """Stop asking; wait for answers on their way until then; return what was not answered."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            with self._lock:
                tasks = list(self._tasks)
            wait(tasks, timeout=max(0.0, until - time.monotonic()))
        self._source.close()
        return self.asking


def in_our_words(error: Exception, dirty: Dirty) -> LinealError:
    """Return an error of ours: a fault must not stop the other documents."""
    if isinstance(error, LinealError):
        return error
    log.exception("source failed", source=dirty.source, document=dirty.document)
    return SourceGarbled(f"{dirty.source} {dirty.document}: {error!r}.")

"""The background work: threads that keep the graph up with its sources.

One does turn after turn. Others list whole sources, as planned, so that a long list keeps no
event waiting.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from lineal.app.schedule import due
from lineal.errors import LinealError
from lineal.ingest import Ingest, Stopped
from lineal.model import Instant
from lineal.sources import FetchedSource
from lineal.store.work import Standing

log = structlog.get_logger("lineal")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the background work rests, in seconds."""

    #: Where nothing is due, and at most after failures.
    idle: float = 0.5
    longest: float = 60.0
    #: Between two batches of what the configured retention drops.
    retention: float = 60.0
    #: Between two looks at which sweeps are due, and how many sources are listed at once.
    sweeps: float = 1.0
    listed: int = 4


#: The pace of an installation.
PACE = Pace()
#: The collector of cycles looks after so many more values than went.
COLLECTED = 50_000
#: So long (seconds) threads are waited for when they are to stop, where nobody says how long.
PATIENCE = 10.0


class Background:
    """Turn after turn in a thread of its own, from `start` to `stop`."""

    def __init__(
        self,
        ingest: Ingest,
        sources: Mapping[str, FetchedSource],
        *,
        now: Callable[[], Instant],
        standings: Callable[[], Mapping[str, Standing]],
        tidy: Callable[[], None],
        follow: Callable[[], bool],
        drop_some: Callable[[], None],
        pace: Pace,
    ) -> None:
        self._ingest, self._sources = ingest, sources
        self._now, self._standings = now, standings
        self._tidy, self._drop_some, self._pace = tidy, drop_some, pace
        self._follow = follow
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        #: The error of the last turn, and since when turns fail.
        self.failing: str | None = None
        self.failing_since: Instant | None = None
        #: Sources that are being listed, and when those that could not be are tried again.
        self._sweepers: dict[str, threading.Thread] = {}
        self._again: dict[str, float] = {}
        #: What somebody asked for, and the word to look at once what is due.
        self._wanted: set[str] = set()
        self._look = threading.Event()
        self._places = threading.BoundedSemaphore(pace.listed)

    @property
    def is_running(self) -> bool:
        """Whether the thread of turns was started and has not died."""
        return bool(self._threads) and self._threads[0].is_alive()

    @property
    def was_started(self) -> bool:
        """Whether it should be running."""
        return bool(self._threads)

    def start(self) -> None:
        """Begin, unless begun: follow what is due, list what was never listed or is planned."""
        if self._threads:
            return
        # What is loaded by now stays: the collector need not go through it again and again. And
        # a turn makes many values and hardly a cycle: it is looked for ever so often.
        gc.freeze()
        gc.set_threshold(COLLECTED, 20, 20)
        # Its own word to stop: a thread that was slow to end must not go on with the next.
        self._stopping = threading.Event()
        for name, task in (("ingest", self._work), ("sweeps", self._plan)):
            thread = threading.Thread(target=task, args=(self._stopping,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, until: float | None = None) -> None:
        """Stop after the turn that is being done; wait for it until then, by the steady clock."""
        threads, self._threads = self._threads, []
        self._stopping.set()
        self._look.set()
        self._ingest.stir()
        until = time.monotonic() + PATIENCE if until is None else until
        for thread in (*threads, *self._sweepers.values()):
            thread.join(timeout=max(0.0, until - time.monotonic()))

    def sweep_soon(self, name: str) -> None:
        """List a source now, planned or not; if it is being listed, once more after that."""
        self._again.pop(name, None)
        self._wanted.add(name)
        self._look.set()

    # ── Turns ────────────────────────────────────────────────────────────────────────────────

    def _work(self, stopping: threading.Event) -> None:
        """Turn after turn; a turn that fails is told and tried again after a while."""
        wait, untidy = self._pace.idle, False
        retire = time.monotonic() + self._pace.retention
        while not stopping.is_set():
            try:
                idle, wait = self._ingest.turn() == 0, self._pace.idle
                if self._follow():
                    # One piece of what rules have to do for each turn: neither waits for the other.
                    idle = False
                if idle and untidy:
                    self._tidy()
                if idle and time.monotonic() >= retire:
                    self._drop_some()
                    retire = time.monotonic() + self._pace.retention
                untidy = not idle
                self.failing = self.failing_since = None
            except Exception as error:
                log.exception("a turn failed", code=getattr(error, "code", "fault"))
                self.failing = str(error)
                self.failing_since = self.failing_since or self._now()
                idle, wait = True, min(wait * 2, self._pace.longest)
            if idle:
                self._ingest.rest(wait)

    # ── Sweeps ───────────────────────────────────────────────────────────────────────────────

    def _plan(self, stopping: threading.Event) -> None:
        """List each source when it is due, in a thread of its own."""
        while not stopping.is_set():
            try:
                for name in self._due():
                    self._sweepers[name] = threading.Thread(
                        target=self._list, args=(name, stopping), name=f"sweep-{name}", daemon=True
                    )
                    self._sweepers[name].start()
            except LinealError as error:
                log.warning("sweeps cannot be planned", error=str(error))
            self._look.wait(self._pace.sweeps)
            # Before it is looked again, so that nothing that is asked for then has to wait.
            self._look.clear()

    def _due(self) -> list[str]:
        now, standings = self._now(), self._standings()
        return [
            name
            for name, source in self._sources.items()
            if name not in self._sweepers
            and self._again.get(name, 0.0) <= time.monotonic()
            and (name in self._wanted or due(source.habits.sweep, standings.get(name), now))
        ]

    def _list(self, name: str, stopping: threading.Event) -> None:
        """List one source whole; a failure is tried again later."""

        def go_on(*_: object) -> None:
            if stopping.is_set():
                raise Stopped

        try:
            with self._places:
                go_on()
                self._wanted.discard(name)
                self._ingest.sweep(name, go_on)
            self._again.pop(name, None)
        except Stopped:
            pass
        except LinealError as error:
            log.warning("a source cannot be listed", source=name, error=str(error))
            self._again[name] = time.monotonic() + self._pace.longest
        except Exception:
            log.exception("a sweep failed", source=name)
            self._again[name] = time.monotonic() + self._pace.longest
        finally:
            del self._sweepers[name]

"""The background work: one thread that keeps the graph up with its sources."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from lineal.errors import LinealError
from lineal.ingest import Ingest

log = structlog.get_logger("lineal")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the background work rests, in seconds."""

    #: Where nothing is due, and at most after failures.
    idle: float = 0.5
    longest: float = 60.0
    #: Between two batches of what the configured retention drops.
    retention: float = 60.0


#: The pace of an installation.
PACE = Pace()


class Background:
    """Turn after turn in a thread of its own, from `start` to `stop`."""

    def __init__(
        self,
        ingest: Ingest,
        *,
        tidy: Callable[[], None],
        drop_some: Callable[[], None],
        pace: Pace,
    ) -> None:
        self._ingest, self._tidy, self._drop_some, self._pace = ingest, tidy, drop_some, pace
        self._thread: threading.Thread | None = None
        self._stopping, self._due = threading.Event(), threading.Event()
        self._unlisted: dict[str, float] = {}

    def start(self, unlisted: Iterable[str] = ()) -> None:
        """Begin, unless begun: list these sources whole first, then follow what is due."""
        if self._thread is not None:
            return
        # What is loaded by now stays: the collector need not go through it again and again.
        gc.freeze()
        self._unlisted = dict.fromkeys(unlisted, 0.0)
        # Its own word to stop: a thread that was slow to end must not go on with the next.
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._work, args=(self._stopping,), name="ingest", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop after the turn that is being done."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stopping.set()
            self._due.set()
            thread.join(timeout=30)

    def wake(self) -> None:
        """Say that something is due."""
        self._due.set()

    def _work(self, stopping: threading.Event) -> None:
        """Turn after turn; a turn that fails is told and tried again after a while."""
        wait, untidy = self._pace.idle, False
        retire = time.monotonic() + self._pace.retention
        while not stopping.is_set():
            listed = self._list_one()
            try:
                idle, wait = self._ingest.turn() == 0, self._pace.idle
                if idle and untidy:
                    self._tidy()
                if idle and time.monotonic() >= retire:
                    self._drop_some()
                    retire = time.monotonic() + self._pace.retention
                untidy = not idle
            except Exception as error:
                log.exception("a turn failed", code=getattr(error, "code", "fault"))
                idle, wait = True, min(wait * 2, self._pace.longest)
            if idle and not listed:
                self._due.wait(timeout=wait)
                self._due.clear()

    def _list_one(self) -> bool:
        """List one source whole, if one is due; a failure is tried again later."""
        now = time.monotonic()
        name = next((name for name, due in self._unlisted.items() if due <= now), None)
        if name is None:
            return False
        try:
            self._ingest.sweep(name)
            del self._unlisted[name]
        except LinealError as error:
            log.warning("a source cannot be listed", source=name, error=str(error))
            self._unlisted[name] = now + self._pace.longest
        return True

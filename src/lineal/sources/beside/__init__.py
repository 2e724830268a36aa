"""A long list: its pages are worded in a second process, while the first one commits.

Python does one thing at a time in a process. Where a list holds whole documents, half of the work
is to word them, and needs nothing but the source's plan; so that half is done beside the other.
The process begins when a list proves to be long, and ends with it. If it is lost, what it was
asked is worded here, and so is the rest: nothing depends on it but the time that a list takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, Pipe
from types import TracebackType
from typing import Self

import structlog

from lineal.errors import SourceError
from lineal.sources import Listed
from lineal.sources.beside import frames
from lineal.sources.beside.frames import Page
from lineal.sources.plan import SourcePlan
from lineal.sources.wording import Wording

log = structlog.get_logger("lineal.sources")

#: A list of more documents than that is long: before it would be at work, a shorter one is done.
LONG = 1_000
#: For so many seconds the words of one page are waited for, and the end of the process.
PATIENCE, ENDING = 60.0, 5.0


class Beside:
    """Words the lists of a source, the long ones beside. Leaving the ``with`` block ends it."""

    def __init__(self, plan: SourcePlan, wording: Wording) -> None:
        self._plan, self._wording = plan, wording
        self._hand: _Hand | None = None
        self._count = 0
        # One core has nothing left for another process.
        self._may_begin = os.name == "posix" and (os.cpu_count() or 1) > 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._hand is not None:
            self._hand.end()

    @property
    def is_ready(self) -> bool:
        """Whether the other process is there to be asked."""
        return self._hand is not None and self._hand.is_ready

    def listed(self, pages: Iterable[Page]) -> Iterator[Listed]:
        """
        Yield what pages of whole documents say, line by line.

        While one page is worded, the next is read and what came before is worked on. Raises what
        reading and wording raise.
        """
        coming, asked = iter(pages), None
        while True:
            try:
                page = next(coming, None)
            except SourceError:
                # What came before was read whole.
                yield from self._answered(asked)
                raise
            before = self._answered(asked)
            asked = page if page is not None and self._ask(page) else None
            yield from before
            if page is None:
                return
            if asked is None:
                yield from self._here(page)

    def _here(self, page: Page) -> Iterator[Listed]:
        self._count += len(page.items)
        return self._wording.listed(*page)

    def _ask(self, page: Page) -> bool:
        """Ask the other process to word a page, if it is there."""
        if self._count >= LONG and self._may_begin:
            self._may_begin = False
            self._begin()
        try:
            if self._hand is None or not self._hand.is_ready:
                return False
            self._hand.ask(frames.question(page))
        except (EOFError, OSError) as error:
            self._lose(error)
            return False
        return True

    def _answered(self, page: Page | None) -> Iterable[Listed]:
        """Return what a page says that the other process was asked for."""
        if page is None:
            return ()
        assert self._hand is not None
        try:
            answer = self._hand.answer()
        except (EOFError, OSError) as error:
            self._lose(error)
            return self._here(page)
        return frames.listed(answer, page, self._plan.name)

    def _begin(self) -> None:
        try:
            self._hand = _Hand(self._plan)
        except OSError as error:
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        """Go on without the other process."""
        log.warning(
            "a second process that words a long list was lost; it is gone on with in one",
            source=self._plan.name, error=str(error) or type(error).__name__,
        )  # fmt: skip
        if self._hand is not None:
            self._hand.end()
            self._hand = None


class _Hand:
    """The second process, seen from the first. It is asked one thing at a time."""

    def __init__(self, plan: SourcePlan) -> None:
        """Begin it, and wait for nothing; raises `OSError`."""
        self._end, theirs = Pipe()
        self._was_ready = False
        with theirs:
            self._process = _process(theirs)
        self._end.send_bytes(frames.beginning(plan))

    @property
    def is_ready(self) -> bool:
        """Whether the process has begun; raises `EOFError`, `OSError` where it ended instead."""
        if not self._was_ready and self._end.poll():
            self._end.recv_bytes()
            self._was_ready = True
        return self._was_ready

    def ask(self, question: bytes) -> None:
        """Ask a question; raises `OSError`."""
        self._end.send_bytes(question)

    def answer(self) -> bytes:
        """Wait for the answer to the last question; raises `EOFError`, `OSError`."""
        if not self._end.poll(PATIENCE):
            raise TimeoutError(f"It did not answer within {PATIENCE:g} s.")
        return self._end.recv_bytes()

    def end(self) -> None:
        """End the process, in good order where it can be."""
        self._end.close()
        try:
            self._process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _process(connection: Connection) -> subprocess.Popen[bytes]:
    """Begin a process that speaks over a connection; what it says otherwise is not for people."""
    number = connection.fileno()
    # What can be imported here can be imported there.
    path = os.pathsep.join(part for part in sys.path if part)
    return subprocess.Popen(
        [sys.executable, "-m", "lineal.sources.beside.hand", str(number)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
        pass_fds=[number],
    )


__all__ = ["LONG", "Beside", "Page"]

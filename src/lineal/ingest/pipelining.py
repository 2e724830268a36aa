"""Work that goes on beside other work: a list read ahead, and writing that is not waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Full, Queue
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")

#: How many items are read ahead.
AHEAD = 2
#: How often (seconds) who reads ahead looks whether anybody still wants it.
LOOK = 0.1


class _End:
    """Nothing follows; or what was raised instead."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(items: Iterable[Item], name: str) -> Generator[Item]:
    """
    Yield items that are read in a thread of their own, a few of them before they are wanted.

    What is raised while they are read is raised here, after those that came before.
    """
    ready: Queue[Item | _End] = Queue(AHEAD)
    unwanted = threading.Event()

    def put(item: Item | _End) -> bool:
        while not unwanted.is_set():
            try:
                ready.put(item, timeout=LOOK)
                return True
            except Full:
                continue
        return False

    def read() -> None:
        end = _End()
        try:
            for item in items:
                if not put(item):
                    return
        except BaseException as error:
            end = _End(error)
        put(end)

    thread = threading.Thread(target=read, name=name, daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        unwanted.set()
        thread.join()


class Behind(Generic[Item]):
    """Does one thing after another in a thread of its own; one may be at work, not more."""

    def __init__(self, do: Callable[[Item], None], name: str) -> None:
        self._do = do
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._last: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for what is at work; what it raises is raised, unless something was already."""
        self._executor.shutdown(wait=True)
        if error is None and self._last is not None:
            self._last.result()

    def put(self, item: Item) -> None:
        """Hand on an item once the one before is done; raises what that raised."""
        if self._last is not None:
            self._last.result()
        self._last = self._executor.submit(self._do, item)

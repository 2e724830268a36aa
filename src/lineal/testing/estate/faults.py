"""What can be wrong with a tool: it fails, it is slow, or it answers nonsense."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

from lineal.testing.estate.tools.tool import Reply


@dataclass
class Failure:
    """An answer that a tool gives instead of its own, a number of times or until healed."""

    status: int
    times: int | None
    retry_after: int | None


class Faults:
    """The faults of all tools, and how often each was asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[str, Failure] = {}
        self._delays: dict[str, float] = {}
        self._garbled: dict[str, int | None] = {}
        self._asked: Counter[str] = Counter()

    def fail(self, tool: str, failure: Failure) -> None:
        """Let *tool* answer with an error."""
        with self._lock:
            self._failures[tool] = failure

    def delay(self, tool: str, seconds: float) -> None:
        """Let *tool* take its time."""
        with self._lock:
            self._delays[tool] = seconds

    def garble(self, tool: str, times: int | None) -> None:
        """Let *tool* send half of what it means."""
        with self._lock:
            self._garbled[tool] = times

    def heal(self, tool: str | None) -> None:
        """Mend one tool, or all."""
        with self._lock:
            for ills in (self._failures, self._delays, self._garbled):
                if tool is None:
                    ills.clear()
                else:
                    ills.pop(tool, None)

    def asked(self) -> dict[str, int]:
        """Return how many requests each tool has had."""
        with self._lock:
            return dict(self._asked)

    def arrive(self, tool: str) -> tuple[float, Failure | None]:
        """Count a request; return how long it must wait, and the failure that answers it if any."""
        with self._lock:
            self._asked[tool] += 1
            failure = self._failures.get(tool)
            if failure and failure.times is not None:
                failure.times -= 1
                if failure.times <= 0:
                    del self._failures[tool]
            return self._delays.get(tool, 0.0), failure

    def spoil(self, tool: str, reply: Reply) -> Reply:
        """Return *reply*, or half of it with status 200 if the tool talks nonsense."""
        with self._lock:
            if tool not in self._garbled:
                return reply
            left = self._garbled[tool]
            if left is not None:
                self._garbled[tool] = left - 1
                if left <= 1:
                    del self._garbled[tool]
        return Reply(
            200, reply.body[: len(reply.body) // 2] + b'{"', {"Content-Type": "application/json"}
        )

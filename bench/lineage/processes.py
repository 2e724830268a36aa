"""Engines in processes of their own: started, asked over a pipe, and ended."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.lineage.peers import Player

ROOT = Path(__file__).parents[2]


class Failed(Exception):
    """An engine could not do what it was asked, and says why."""


class Running:
    """One engine at work. Leaving the ``with`` block ends it."""

    def __init__(self, player: Player, python: Path, folder: Path) -> None:
        self.player = player
        self._said = (folder / f"{player.made_by}.log").open("w+", encoding="utf-8")
        paths = [str(ROOT), str(ROOT / "src")]
        self._process = subprocess.Popen(
            [str(python), "-m", "bench.lineage.worker", player.module, player.made_by, str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )  # fmt: skip

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._said.close()

    def ask(self, do: str, *, limit: float = 600.0, **more: object) -> dict[str, Any]:
        """
        Send a command and return the reply.

        Raises:
            Failed: the engine says no, ends, or takes longer than *limit* seconds.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Failed(self._last()) from None
        reply: dict[str, Any] = json.loads(self._line(limit) or "null") or {"error": self._last()}
        if "error" in reply:
            raise Failed(str(reply["error"]))
        return reply

    def times(self, query: str, of: Sequence[Sequence[int]], **how: float) -> list[list[float]]:
        """Let the engine time itself; return times for each of whom it is asked about."""
        reply = self.ask("time", query=query, of=of, **how)
        times: list[list[float]] = reply["times"]
        return times

    def _line(self, limit: float) -> str:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            until = time.monotonic() + limit
            if not selector.select(until - time.monotonic()):
                self._process.kill()
                raise Failed(f"No answer within {limit:.0f} s.")
        return self._process.stdout.readline()

    def _last(self) -> str:
        """Return the last line that the engine complained in."""
        self._process.wait(timeout=20)
        self._said.flush()
        self._said.seek(0)
        lines = [line.strip() for line in self._said if line.strip()]
        return (lines or [f"It ended with {self._process.returncode}."])[-1][:300]

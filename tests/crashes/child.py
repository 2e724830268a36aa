"""A process that is made to be killed: `lineal` as users run it, and somebody who listens.

What it passed is counted in a file that is mapped into memory, so that the counts outlive a kill.
It is forked from a process that has imported everything, so that to begin again costs little.
"""

from __future__ import annotations

import importlib
import mmap
import multiprocessing
import os
import signal
import struct
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path

from lineal import points

#: What children need of us, imported once by the process that they are forked from.
IMPORTED = ("pytest", "tests.crashes.child", "tests.crashes.warm")
_SIZE = struct.calcsize("q")


@dataclass(frozen=True)
class Strike:
    """Where a child kills itself: at the n-th time that it reaches a point."""

    point: str
    nth: int = 1


@dataclass(frozen=True)
class Errand:
    """What a child is to do: the command line's arguments, or a function of a module."""

    arguments: Sequence[str]
    counts: Path
    log: Path
    strike: Strike | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Instead of the command line: `module:function`, given the arguments.
    function: str = ""


class Counts:
    """How often each point was passed, in a file; kept by the kernel when the process is killed."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_SIZE * len(points.POINTS)))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._at = {name: number * _SIZE for number, name in enumerate(points.POINTS)}
        self._lock = threading.Lock()

    def add(self, point: str) -> None:
        """Count one more."""
        with self._lock:
            (count,) = struct.unpack_from("q", self._map, self._at[point])
            struct.pack_into("q", self._map, self._at[point], count + 1)

    def read(self) -> dict[str, int]:
        """Return the counts by point."""
        return {name: struct.unpack_from("q", self._map, at)[0] for name, at in self._at.items()}

    def close(self) -> None:
        """Let the file go."""
        self._map.close()


def context() -> ForkServerContext:
    """Return what starts children."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(list(IMPORTED))
    return found


def run(errand: Errand) -> None:
    """Be the child."""
    log = os.open(errand.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.environ.update(errand.environment)
    counts, left = Counts(errand.counts), [errand.strike.nth if errand.strike else 0]
    lock = threading.Lock()

    def listener(point: str) -> None:
        counts.add(point)
        if errand.strike is not None and errand.strike.point == point:
            with lock:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

    points.listen(listener)
    if errand.function:
        module, _, name = errand.function.partition(":")
        getattr(importlib.import_module(module), name)(*errand.arguments)
        return
    from lineal.surfaces.cli import main  # noqa: PLC0415  # counted from its first statement

    sys.argv = ["lineal", *errand.arguments]
    main(list(errand.arguments), prog_name="lineal")

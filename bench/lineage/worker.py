"""One engine in a process of its own: loads the graph, answers, and times itself.

It reads a command as a line of JSON and writes one line back. Times are taken here, around one
call that ends with its answer in Python, so that the pipe is not in them.
"""

from __future__ import annotations

import contextlib
import cProfile
import gc
import importlib
import json
import os
import pstats
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bench.lineage.arrays import Arrays

#: Calls that take longer are not repeated to warm up.
_QUICK = 0.05


@dataclass(frozen=True, slots=True)
class Query:
    """A question that an engine answers, and how its answer is read: ids and depths, or a path."""

    ask: Callable[..., Any]
    read: Callable[[Any], tuple[Any, Any]]


class Engine(Protocol):
    """What the worker needs of an engine."""

    def load(self, arrays: Arrays) -> dict[str, Any]:
        """Take in the graph; return what is worth telling: versions, sizes."""

    def queries(self) -> dict[str, Query]:
        """Return what it can answer."""


def serve(engine: Engine, arrays: Arrays) -> None:
    """Obey until there are no more commands."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What a library prints must not mix with our lines.
    for line in sys.stdin:
        command = json.loads(line)
        try:
            reply = _obey(engine, arrays, command)
        except Exception as problem:
            traceback.print_exc()
            reply = {"error": f"{type(problem).__name__}: {problem}"[:500]}
        out.write(json.dumps(reply) + "\n")
        out.flush()


def _obey(engine: Engine, arrays: Arrays, command: dict[str, Any]) -> dict[str, Any]:
    match command["do"]:
        case "load":
            return _load(engine, arrays)
        case "answer":
            return _answer(engine.queries()[command["query"]], command["of"], command["into"])
        case "time":
            query = engine.queries()[command["query"]]
            how = {name: command[name] for name in ("seconds", "most", "first")}
            return {"times": timed(query.ask, command["of"], **how)}
        case "profile":
            query = engine.queries()[command["query"]]
            return {"shares": profiled(query.ask, command["of"], command["seconds"])}
    raise ValueError(command["do"])


def _load(engine: Engine, arrays: Arrays) -> dict[str, Any]:
    gc.collect()
    before, began = _resident(), time.perf_counter()
    told = engine.load(arrays)
    seconds = time.perf_counter() - began
    gc.collect()
    gc.freeze()
    return {
        "seconds": seconds,
        "resident": _resident() - before,
        "queries": sorted(engine.queries()),
        **told,
    }


def _answer(query: Query, of: Sequence[int], into: str) -> dict[str, Any]:
    began = time.perf_counter()
    answer = query.ask(*of)
    seconds = time.perf_counter() - began
    ids, depths = query.read(answer)
    ids = np.asarray(ids, dtype=np.int32)
    if depths is not None:
        np.save(f"{into}.depths.npy", np.asarray(depths, dtype=np.int32))
    np.save(f"{into}.ids.npy", ids)
    return {"seconds": seconds, "depths": depths is not None}


def timed(
    ask: Callable[..., Any],
    of: Sequence[Sequence[int]],
    *,
    seconds: float,
    most: float,
    first: float,
) -> list[list[float]]:
    """
    Ask about everyone in *of*, in turn and again, for about *seconds*; return times for each.

    The first turn warms up and is not counted, unless calls take long. It ends where a call took
    longer than *most* (who is asked last reaches most) or all took more than *first*; nobody
    further is asked about then.
    """
    ask(*of[0])
    times: list[list[float]] = [[] for _ in of]
    warm: list[float] = []
    for who in of:
        began = time.perf_counter()
        ask(*who)
        warm.append(time.perf_counter() - began)
        if warm[-1] > most or sum(warm) > first:
            break
    slow = statistics.median(warm) > _QUICK
    for at, taken in enumerate(warm):
        if slow or taken > _QUICK:
            times[at].append(taken)
    until = time.perf_counter() + seconds - (sum(warm) if slow else 0.0)
    while time.perf_counter() < until:
        for at in range(len(warm)):
            began = time.perf_counter()
            ask(*of[at])
            now = time.perf_counter()
            times[at].append(now - began)
            if slow and now > until:
                break
    return times


def profiled(
    ask: Callable[..., Any], of: Sequence[Sequence[Any]], seconds: float
) -> list[tuple[str, float]]:
    """Return which functions an engine's own time goes to, as shares of it, the largest first."""
    profile = cProfile.Profile()
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        profile.enable()
        for whom in of:
            ask(*whom)
        profile.disable()
    return shares_of(profile)


def shares_of(profile: cProfile.Profile, *, without: str | None = None) -> list[tuple[str, float]]:
    """Return which functions the time goes to, but for that in *without*, the largest first."""
    profiles = {
        name: one for name, one in pstats.Stats(profile).get_stats_profile().func_profiles.items()
        if without is None or without not in name
    }  # fmt: skip
    whole = sum(one.tottime for one in profiles.values()) or 1.0
    shares = [
        (f"{Path(one.file_name).stem}.{name}" if one.line_number else name, one.tottime / whole)
        for name, one in profiles.items()
    ]
    return sorted(shares, key=lambda share: -share[1])[:8]


def _resident() -> int:
    with contextlib.suppress(OSError):
        fields = Path("/proc/self/statm").read_text("ascii").split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


if __name__ == "__main__":
    module, name, folder = sys.argv[1:4]
    made: Engine = getattr(importlib.import_module(f"bench.lineage.engines.{module}"), name)()
    serve(made, Arrays(Path(folder)))

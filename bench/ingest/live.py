"""What is measured: rates of the live and the bulk path, and how soon a change is visible."""

from __future__ import annotations

import contextlib
import sqlite3
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bench.ingest.running import Failed, Observer, Server, Tool, reader, rows, settled, waited

Progress = Callable[[str], None]

#: So many events go in by one request, and so many may be on their way at most.
ARRAY, OUTSTANDING = 50, 4_000
#: So many requests are on their way at once: a sender waits until its events are durable.
SENDERS = 16
#: So many questions at once, with and without batch reads.
PLACES, SINGLE_PLACES = 4, 8


@dataclass(frozen=True)
class Rate:
    """How many a second, over how many seconds; and what it cost."""

    count: int
    seconds: float
    #: Seconds of a processor that the server, and the tool, used meanwhile.
    server: float
    tool: float

    @property
    def per_second(self) -> float:
        """Return how many a second."""
        return self.count / self.seconds


# ── The bulk path ────────────────────────────────────────────────────────────────────────────────

_KNOWN = "SELECT count(*) FROM document WHERE live AND source = 'registry'"


def bulk(server: Server, tool: Tool, db: Path, wanted: int) -> Rate:
    """List a tool whose items are whole documents, until all are facts."""
    with contextlib.closing(reader(db)) as connection:
        ((before,),) = rows(connection, _KNOWN)
        began, cpu = time.monotonic(), (server.cpu, tool.cpu)
        server.sweep()
        while True:
            ((known,),) = rows(connection, _KNOWN)
            if known >= wanted:
                break
            if time.monotonic() - began > 600:
                raise Failed(f"Only {known} of {wanted} are known.")
            time.sleep(0.01)
        seconds = time.monotonic() - began
    return Rate(known - before, seconds, server.cpu - cpu[0], tool.cpu - cpu[1])


# ── The live path ────────────────────────────────────────────────────────────────────────────────


def sustained(
    server: Server,
    tool: Tool,
    db: Path,
    *,
    seconds: float,
    dice: Random,
    array: int = ARRAY,
    senders: int = SENDERS,
) -> Rate:
    """Send as many events as are taken in, each of another changed thing; return the rate."""
    order = list(range(tool.things))
    dice.shuffle(order)
    sent = at = 0
    crowd = ThreadPoolExecutor(senders)
    began = time.monotonic()
    with contextlib.closing(reader(db)) as connection:
        base = settled(connection)
        warm, first, cpu = began + seconds / 5, 0, (server.cpu, tool.cpu)
        while (now := time.monotonic()) < began + seconds:
            done = settled(connection) - base
            if not first and now >= warm:
                first, warm, cpu = done, now, (server.cpu, tool.cpu)
            if sent - done > OUTSTANDING:
                time.sleep(0.002)
                continue
            count = array * senders
            some = [f"v{order[(at + one) % len(order)]}" for one in range(count)]
            at += count
            tool.change("versions", some)
            parts = [some[start : start + array] for start in range(0, count, array)]
            for _ in crowd.map(lambda part: server.send("version", part), parts):
                pass
            sent += count
        # However short the run is, it is one of something that was done.
        waited(connection, base + first + 1)
        done, ended = settled(connection) - base, time.monotonic()
        used = (server.cpu - cpu[0], tool.cpu - cpu[1])
        waited(connection, base + sent)
    crowd.shutdown()
    return Rate(done - first, ended - warm, *used)


@dataclass(frozen=True)
class Delays:
    """How long it took from an event's sending until what it told was visible, in milliseconds."""

    of: tuple[float, ...]

    def at(self, share: float) -> float:
        """Return the delay that this share of events did not exceed."""
        ordered = sorted(self.of)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    @property
    def median(self) -> float:
        """Return the middle delay."""
        return statistics.median(self.of)


def delays(
    server: Server, tool: Tool, db: Path, *, rate: float, seconds: float, dice: Random, array: int
) -> tuple[Delays, Delays]:
    """
    Send events at a rate, each tenth of a run; return the delays of versions and of what follows.

    An array is sent when it is due by the clock, whatever became of those before; from then on
    its delay is counted, however late it went.
    """
    order = list(range(tool.things))
    dice.shuffle(order)
    sent: list[tuple[str, float]] = []
    crowd, tasks = ThreadPoolExecutor(SENDERS), list[Future[None]]()

    def tell(kind: str, some: list[str]) -> None:
        tool.change(f"{kind}s", some)
        server.send(kind, some)

    with contextlib.closing(reader(db)) as connection, Observer(db).looking() as observer:
        base = settled(connection)
        ((start,),) = rows(connection, "SELECT published FROM clock")
        began = time.monotonic()
        for turn in range(int(rate * seconds / array)):
            due = began + turn * array / rate
            time.sleep(max(0.0, due - time.monotonic()))
            kind = "run" if turn % 10 == 4 else "version"
            some = [f"{kind[0]}{order[(turn * array + one) % len(order)]}" for one in range(array)]
            tasks.append(crowd.submit(tell, kind, some))
            sent += [(ident, due) for ident in some]
        for task in tasks:
            task.result()
        waited(connection, base + len(sent))
        time.sleep(0.1)
        versions, runs = _revised(connection, start), _inferred(connection, start)
    told = [(ident, at) for ident, at in sent if ident[0] == "v"]
    moved = [(ident, at) for ident, at in sent if ident[0] == "r"]
    return _delays(told, versions, observer), _delays(moved, runs, observer)


def _revised(connection: sqlite3.Connection, start: int) -> dict[str, list[int]]:
    """In which transactions did each version change, of those after *start*?"""
    found: dict[str, list[int]] = defaultdict(list)
    text = (
        "SELECT entity.uri, record.t_from FROM record JOIN entity ON entity.key = record.key"
        " WHERE record.t_from > ? AND entity.type = 'model-version' ORDER BY record.t_from"
    )
    for uri, t in rows(connection, text, start):
        found[str(uri).rpartition("/")[2]].append(t)
    return found


def _inferred(connection: sqlite3.Connection, start: int) -> dict[str, list[int]]:
    """In which transactions did the inferred edge of each run's version change?"""
    found: dict[str, list[int]] = defaultdict(list)
    text = (
        "SELECT entity.uri, derivation.t_from FROM derivation"
        " JOIN entity ON entity.key = derivation.src"
        " WHERE derivation.t_from > ? ORDER BY derivation.t_from"
    )
    for uri, t in rows(connection, text, start):
        found["r" + str(uri).rpartition("/")[2][1:]].append(t)
    return found


def _delays(
    sent: list[tuple[str, float]], changed: dict[str, list[int]], observer: Observer
) -> Delays:
    """
    Return the delay of each event.

    Each thing is told of once, so that its one change is the event's; a thing that did not change
    was not told of, and that is a failure.
    """
    found = []
    for ident, at in sent:
        if ident not in changed:
            raise Failed(f"The change of {ident} is not visible.")
        found.append((observer.visible(changed[ident][0]) - at) * 1_000)
    return Delays(tuple(found))

"""Small questions beside large ones: how long one waits while very many ask for very much.

The server, those who crowd it, and whoever asks for one thing are processes of their own. The
ratio is of one run: the same question to the same server, first alone and then in the crowd.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx2

from bench.ingest.running import Server, python
from lineal.app import Lineal
from lineal.config import Config
from lineal.model import EdgeStatement, Record, Statement, Uri
from lineal.store import Batch

#: Things that the largest question is about; and events in one request.
THINGS, ARRAY = 400, 50
#: So many seconds the crowd has to come in; so often (seconds) one thing is asked for.
COMING, PAUSE = 5.0, 0.05


@dataclass(frozen=True)
class Crowded:
    """What small questions took, in milliseconds, and what else was answered meanwhile."""

    clients: int
    senders: int
    seconds: float
    alone: tuple[float, float]
    crowded: tuple[float, float]
    #: How many small questions were answered in the crowd.
    small: int
    #: Large answers and requests with events a second.
    large: float
    told: float

    @property
    def ratio(self) -> float:
        """Return how many times as long the slowest in a hundred took as alone."""
        return self.crowded[1] / self.alone[1]


def measure(clients: int, senders: int, seconds: float) -> Crowded:
    """Ask for one thing alone and in a crowd."""
    with tempfile.TemporaryDirectory() as name:
        db = Path(name) / "graph.db"
        _fill(db)
        with Server(db) as server:
            url = str(server.http.base_url).rstrip("/")
            alone = _asked(url, seconds / 2)
            words = [url, str(clients), str(senders), str(seconds + COMING)]
            crowd = python("-m", "bench.crowding", *words)
            time.sleep(COMING)
            crowded = _asked(url, seconds)
            said = crowd.communicate()[0].split()
    large, told = (int(one) / (seconds + COMING) for one in said)
    return Crowded(
        clients, senders, seconds, _quantiles(alone), _quantiles(crowded), len(crowded), large, told
    )


def text(found: Crowded) -> str:
    """Return what was found in words."""
    return (
        f"{found.clients} clients ask for {THINGS} things each, {found.senders} tell of events, "
        f"for {found.seconds:g} s.\n"
        f"One thing, alone: p50 {found.alone[0]:.1f} ms, p99 {found.alone[1]:.1f} ms.\n"
        f"One thing, in the crowd: p50 {found.crowded[0]:.1f} ms, p99 {found.crowded[1]:.1f} ms, "
        f"{found.small} times; p99 is {found.ratio:.1f} times that of alone.\n"
        f"Meanwhile {found.large:.1f} large answers and {found.told:.1f} arrays of events a second."
    )


def _uri(number: int) -> Uri:
    return Uri.of("dataset", "lake", f"t{number}")


def _fill(db: Path) -> None:
    records = [
        Record(
            "lake", f"t{number}", _uri(number), (Statement(_uri(number), {"rows": number}),),
            (EdgeStatement(_uri(number), "derived_from", _uri((number - 1) // 2)),)[:number], 1_000,
        )
        for number in range(THINGS)
    ]  # fmt: skip
    with Lineal.open(Config(db=db)) as lineal:
        lineal.store.commit(Batch(records, "bench", "a tree"))


def _asked(url: str, seconds: float) -> list[float]:
    """Ask for one thing again and again; return how long each took, in seconds."""
    took, until = list[float](), time.monotonic() + seconds
    with httpx2.Client(timeout=60, trust_env=False) as http:
        while time.monotonic() < until:
            began = time.monotonic()
            asked = http.get(f"{url}/api/v1/entities", params={"uri": _uri(7)})
            took.append(time.monotonic() - began)
            asked.raise_for_status()
            time.sleep(PAUSE)
    return took


def _quantiles(took: list[float]) -> tuple[float, float]:
    ordered = sorted(took)
    return 1e3 * ordered[len(took) // 2], 1e3 * ordered[int(len(took) * 0.99)]


# ── The crowd ────────────────────────────────────────────────────────────────────────────────────


def _crowd(url: str, clients: int, senders: int, seconds: float) -> None:
    """Be the crowd; say in the end how many large answers and arrays of events there were."""
    until, counts, lock = time.monotonic() + seconds, Counter[str](), threading.Lock()

    def ask() -> None:
        with httpx2.Client(timeout=120, trust_env=False) as http:
            while time.monotonic() < until:
                http.get(f"{url}/api/v1/lineage", params={"uri": _uri(0)}).raise_for_status()
                with lock:
                    counts["large"] += 1

    def tell() -> None:
        with httpx2.Client(timeout=120, trust_env=False) as http:
            while time.monotonic() < until:
                events = [_event() for _ in range(ARRAY)]
                answer = http.post(f"{url}/api/v1/lineage/batch", json=events)
                if answer.status_code == 503:
                    time.sleep(0.02)
                with lock:
                    counts["told"] += 1

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    threads += [threading.Thread(target=tell) for _ in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(counts["large"], counts["told"])


def _event() -> dict[str, object]:
    run = uuid.uuid4()
    return {
        "eventType": "COMPLETE", "eventTime": "2026-01-02T03:04:05Z", "run": {"runId": str(run)},
        "job": {"namespace": "etl", "name": f"job{run.int % 200}"},
        "producer": "https://example.com/bench",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
    }  # fmt: skip


if __name__ == "__main__":
    _crowd(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))

"""More than a Lineal can take: senders that never wait, and clients that ask for very much.

A process of its own, so that what it does is not taken for what the server does.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from pathlib import Path

import httpx2

#: How many events go in one request.
BATCH = 100


def blast(url: str, seconds: str, senders: str, clients: str, things: str, out: str) -> None:
    """Send and ask for so many seconds; write down what came of it."""
    until, counts, lock = time.monotonic() + float(seconds), Counter[str](), threading.Lock()

    def count(**more: int) -> None:
        with lock:
            counts.update(more)

    def send(number: int) -> None:
        events = [
            {"event_type": "changed", "id": f"t{(number * BATCH + at) % int(things)}"}
            for at in range(BATCH)
        ]
        with httpx2.Client(timeout=30, trust_env=False) as http:
            while time.monotonic() < until:
                try:
                    answer = http.post(f"{url}/api/v1/events?source=faulty", json=events)
                except httpx2.HTTPError:
                    count(broken=BATCH)
                    continue
                if answer.status_code == 202:
                    count(accepted=BATCH)
                else:
                    assert answer.status_code == 503, answer.text
                    assert int(answer.headers["retry-after"]) > 0
                    count(refused=BATCH)
                    # Nobody keeps to what it says; but there must be room for others' requests.
                    time.sleep(0.02)

    def ask(_: int) -> None:
        with httpx2.Client(timeout=60, trust_env=False) as http:
            while time.monotonic() < until:
                try:
                    answer = http.get(
                        f"{url}/api/v1/lineage", params={"uri": "mlg://dataset/faulty/t0"}
                    )
                except httpx2.HTTPError:
                    count(unanswered=1)
                    continue
                count(**{f"asked_{answer.status_code}": 1})
                time.sleep(0.1)

    tasks = [(send, int(senders)), (ask, int(clients))]
    threads = [
        threading.Thread(target=task, args=(number,))
        for task, many in tasks
        for number in range(many)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    Path(out).write_text(json.dumps(counts), "utf-8")

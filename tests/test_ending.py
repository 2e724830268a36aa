"""A server that is asked to end has ended soon, whatever hangs (P21); what it took in is there."""

from __future__ import annotations

import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.crashes.checker import look
from tests.crashes.rounds import DRAINED, Runner
from tests.promises.recording import found
from tests.test_crashes import SHM

EVENTS = 30


@pytest.fixture
def runner() -> Iterator[Runner]:
    """Yield what begins servers on an empty file; nobody sends anything yet."""
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as name:
        found = Runner(Path(name), Path(name) / "graph.db", 1, whole=True)
        with found.open():
            found.senders.close()
            yield found


def half_a_request(url: str) -> socket.socket:
    """Begin to send an event, and stop in the middle of it."""
    parts = urlsplit(url)
    wire = socket.create_connection((str(parts.hostname), int(parts.port or 0)))
    head = "POST /api/v1/events?source=faulty HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    wire.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
    return wire


def waiting(url: str) -> socket.socket:
    """Be connected, and ask nothing."""
    parts = urlsplit(url)
    return socket.create_connection((str(parts.hostname), int(parts.port or 0)))


@pytest.mark.promise("P21")
@pytest.mark.timeout(120)
def test_what_hangs_does_not_keep_a_server_from_ending(runner: Runner) -> None:
    """A source is silent for a minute, to questions and to a sweep; a sender stopped halfway."""
    with runner.tool.suffering("silence"):
        running = runner.begun(None)
        assert running.url is not None
        with httpx2.Client(trust_env=False) as http, half_a_request(running.url), \
                waiting(running.url):  # fmt: skip
            for number in range(EVENTS):
                event = {"event_type": "changed", "id": f"t{number % 24}"}
                answer = http.post(f"{running.url}/api/v1/events?source=faulty", json=event)
                assert answer.status_code == 202
            until = time.monotonic() + 30
            while runner.tool.asked < 4 and time.monotonic() < until:
                time.sleep(0.01)
            took = running.end(signal.SIGTERM)
    seen = look(runner.place)

    found(end_in_seconds=round(took, 2))
    assert runner.tool.asked >= 4, "as many as may be asked at once"
    assert running.process.exitcode == 0, running.said
    assert took <= DRAINED
    assert seen.pending == {f"t{number}" for number in range(24)}
    assert seen.missing == {}

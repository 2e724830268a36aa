"""Ten times more than can be taken, for ten minutes (P12): it gets slower, and loses nothing.

In every change for some seconds. How quick reads are meanwhile is recorded and not asserted.
"""

from __future__ import annotations

import json
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from lineal.model import Json
from tests.crashes.blast import BATCH
from tests.crashes.checker import look
from tests.crashes.child import Errand, context, run
from tests.crashes.rounds import Runner, Running
from tests.promises.recording import SOAK, found, ran
from tests.test_crashes import SHM

#: How long, how many senders and how many clients that ask for very much.
SECONDS, SENDERS, CLIENTS = (600, 8, 100) if SOAK else (6, 6, 6)
#: Things of the source; and what may wait in the inbox.
THINGS, INBOX = 400, 300
#: No server of such a graph may take more memory than this, in megabytes.
CAP = 700
#: After this long (seconds) an event is worked on as before.
NORMAL = 60.0


@pytest.fixture
def runner() -> Iterator[Runner]:
    """Yield what begins servers; its own senders are silent."""
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as name:
        found = Runner(Path(name), Path(name) / "graph.db", 1, whole=True)
        for number in range(THINGS):
            found.tool.change(f"t{number}", [f"t{number // 2}"] if number else [])
        with found.open():
            found.senders.close()
            yield found


class Watching:
    """Looks at a server from outside, again and again: its memory, its inbox, its reads."""

    def __init__(self, running: Running) -> None:
        self._running, self._over = running, threading.Event()
        self.megabytes, self.depth, self.reads = 0.0, 0, list[float]()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        status = Path(f"/proc/{self._running.process.pid}/status")
        with httpx2.Client(timeout=60, trust_env=False) as http:
            while not self._over.wait(0.05):
                lines = status.read_text("utf-8").splitlines()
                size = next(line for line in lines if line.startswith("VmRSS"))
                self.megabytes = max(self.megabytes, int(size.split()[1]) / 1_000)
                began = time.monotonic()
                http.get(
                    f"{self._running.url}/api/v1/entities",
                    params={"uri": "mlg://dataset/faulty/t7"},
                ).raise_for_status()
                self.reads.append(time.monotonic() - began)
                inbox = http.get(f"{self._running.url}/api/v1/health").json()["inbox"]
                self.depth = max(self.depth, inbox["events"])

    def close(self) -> None:
        """Look away."""
        self._over.set()
        self._thread.join()

    @property
    def p99(self) -> float:
        """The 99th percentile of small reads, in milliseconds."""
        return round(1_000 * sorted(self.reads)[int(len(self.reads) * 0.99)], 1)


def visible(runner: Runner, url: str) -> float:
    """Change a thing and tell so; return after how many seconds it is seen."""
    version = runner.tool.change("t7", ["t3"])
    began = time.monotonic()
    with httpx2.Client(timeout=60, trust_env=False) as http:
        event = {"event_type": "changed", "id": "t7"}
        while http.post(f"{url}/api/v1/events?source=faulty", json=event).status_code != 202:
            time.sleep(0.05)
        while time.monotonic() - began < 2 * NORMAL:
            asked = http.get(f"{url}/api/v1/entities", params={"uri": "mlg://dataset/faulty/t7"})
            value: Json = asked.json()["value"]
            assert isinstance(value, dict)
            if int(str(value["attributes"]["rows"])) >= version:  # type: ignore[index,call-overload]  # an answer of ours
                break
            time.sleep(0.01)
    return time.monotonic() - began


def settled(url: str, things: int) -> None:
    """Wait until all that is known of the source is worked on."""
    until = time.monotonic() + 60
    with httpx2.Client(timeout=60, trust_env=False) as http:
        while time.monotonic() < until:
            (source,) = [
                one for one in http.get(f"{url}/api/v1/health").json()["value"]
                if one["source"] == "faulty"
            ]  # fmt: skip
            if source["documents"] >= things and source["waiting"] + source["dirty"] <= 1:
                return
            time.sleep(0.05)
    raise AssertionError(f"it does not settle: {source}")


@pytest.mark.promise("P12")
@pytest.mark.timeout(0 if SOAK else 200)
def test_much_too_much_slows_it_down_and_loses_nothing(runner: Runner) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("no /proc: the memory of another process cannot be looked at")
    runner.environment = {**runner.environment, "LINEAL_INBOX": f"{INBOX}/64", "LINEAL_INDEX": "on"}
    runner.tool.heal()
    running = runner.begun(None)
    url = running.url
    assert url is not None
    settled(url, THINGS)
    idle = Watching(running)
    quick = min(visible(runner, url) for _ in range(5))
    idle.close()

    out, began = runner.folder / "blasted", time.monotonic()
    watching = Watching(running)
    words = (url, str(SECONDS), str(SENDERS), str(CLIENTS), str(THINGS), str(out))
    errand = Errand(words, runner.folder / "others", runner.folder / "blast-log",
                    function="tests.crashes.blast:blast")  # fmt: skip
    process = context().Process(target=run, args=(errand,))
    process.start()
    process.join()
    took = time.monotonic() - began
    watching.close()
    assert process.exitcode == 0, (runner.folder / "blast-log").read_text("utf-8")
    blasted = json.loads(out.read_text("utf-8"))
    seen = look(runner.place)
    over, back = time.monotonic(), 0.0
    while (last := visible(runner, url)) > max(1.0, 3 * quick):
        assert time.monotonic() - over < NORMAL, f"still {last:.1f} s"
    back = time.monotonic() - over
    settled(url, THINGS)
    running.end(signal.SIGTERM)

    accepted, refused = blasted["accepted"], blasted.get("refused", 0)
    waiting = INBOX + BATCH
    sustained = max(1.0, (accepted - waiting) / took)
    ran("P12", "seconds of overload", SECONDS)
    ran("P12", "clients that ask meanwhile", CLIENTS)
    ran("P12", "times what it can take", int((accepted + refused) / took / sustained))
    found(sent_a_second=int((accepted + refused) / took), taken_a_second=int(sustained),
          refused=refused, most_megabytes=int(watching.megabytes),
          idle_p99_ms=idle.p99, loaded_p99_ms=watching.p99,
          seconds_till_normal=round(back, 1))  # fmt: skip
    assert refused > 0, "it was not too much"
    assert blasted.get("broken", 0) == blasted.get("unanswered", 0) == 0
    assert seen.missing == {}
    assert watching.depth <= INBOX
    assert watching.megabytes <= CAP
    assert runner.settle() == runner.from_scratch()
    assert told(runner) >= accepted


def told(runner: Runner) -> int:
    """Return how many events of the source were ever accepted, by what the database counts."""
    with runner.opened() as lineal:
        (account,) = [one.account for one in lineal.health() if one.source == "faulty"]
    return account.accepted

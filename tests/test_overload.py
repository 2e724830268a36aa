"""More than can be taken in slows senders down and loses nothing (P12); a killed load goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from lineal.app import Lineal
from lineal.config import Config
from lineal.errors import Overloaded
from lineal.model import Json
from lineal.store import work
from lineal.testing.estate.server import Estate
from tests.estate import SOURCES
from tests.test_client import serving

ROOMS, SENDERS, EACH = 40, 8, 60


@pytest.mark.promise("P12")
def test_senders_that_are_too_many_are_told_to_wait_and_lose_nothing(tmp_path: Path) -> None:
    """Eight senders, an inbox of forty; each goes on only when its event is acknowledged."""
    with Estate(seed=7, scale=0.1) as estate:
        config = Config(
            db=tmp_path / "graph.db", sources=(SOURCES / "registry.yaml",),
            variables={"ESTATE_URL": estate.url}, inbox=ROOMS, index=False,
        )  # fmt: skip
        idents = sorted(estate.world.instances)
        with Lineal.open(config) as lineal, serving(lineal) as url:
            most, refused = [0], [0] * SENDERS
            over = threading.Event()

            def look() -> None:
                while not over.is_set():
                    with lineal.store.looking() as driver:
                        most[0] = max(most[0], work.depth(driver)[0])
                    time.sleep(0.002)

            def send(number: int) -> int:
                sent = 0
                with httpx2.Client(base_url=url) as http:
                    while sent < EACH:
                        ident = idents[(number * EACH + sent) % len(idents)]
                        event = {"event_type": "model_instance_updated", "instance_id": ident}
                        answer = http.post("/api/v1/events?source=registry", json=event)
                        if answer.status_code == 503:
                            assert answer.json()["code"] == "overloaded"
                            assert int(answer.headers["retry-after"]) > 0
                            refused[number] += 1
                            # As long as it says would make a slow test; the work goes on now.
                            lineal.ingest.turn()
                            continue
                        assert answer.status_code == 202
                        sent += 1
                return sent

            looking = threading.Thread(target=look)
            looking.start()
            with ThreadPoolExecutor(SENDERS) as pool:
                sent = sum(pool.map(send, range(SENDERS)))
            over.set()
            looking.join()
            assert lineal.drain(timeout=60).complete
            with lineal.store.looking() as driver:
                account = work.accounts(driver)["registry"]

    assert sent == SENDERS * EACH == account.events == account.accepted
    assert account.applied + account.superseded == sent
    assert (account.dead, account.pending) == (0, 0)
    assert sum(refused) > 0
    assert most[0] <= ROOMS


def test_a_log_that_is_ahead_of_its_folding_is_told_to_wait(tmp_path: Path) -> None:
    with Lineal.open(Config(db=tmp_path / "graph.db")) as lineal:
        lineal.ingest._folding = 3

        def event(number: int) -> dict[str, Json]:
            return {
                "eventTime": f"2026-01-01T00:00:{number:02}Z", "producer": "https://x.example",
                "dataset": {"namespace": "ns", "name": f"t{number}"},
            }  # fmt: skip

        lineal.receive_log([event(1), event(2), event(3)])
        with pytest.raises(Overloaded) as refused:
            lineal.receive_log([event(4)])
        assert lineal.drain().complete
        receipt = lineal.receive_log([event(4)])
        assert lineal.drain().complete

    assert refused.value.retry_after > 0
    assert receipt.accepted == 1


# ── A first load ─────────────────────────────────────────────────────────────────────────────────


def loading(db: Path, url: str) -> subprocess.Popen[str]:
    """Begin to load a source whole, in a process of its own."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "lineal.surfaces.cli", "source", "sweep", "registry"),
            *("--db", str(db), "--source", str(SOURCES)),
        ],
        env={**os.environ, "ESTATE_URL": url, "PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.promise("P1")
def test_a_first_load_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    """What was fetched before the kill is not asked for again; the graph ends as the source is."""
    db = tmp_path / "graph.db"
    with Estate(seed=7, scale=0.5) as estate:
        there = len(estate.world.instances) + len(estate.world.models)
        killed = loading(db, estate.url)
        while estate.requests.get("registry", 0) < there // 3:
            assert killed.poll() is None, killed.communicate()
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        before = estate.requests["registry"]
        goes_on = loading(db, estate.url)
        out, err = goes_on.communicate(timeout=120)
        asked = estate.requests["registry"]
        digest = digest_of(db)
        whole = loading(tmp_path / "whole.db", estate.url)
        whole.communicate(timeout=120)
        alone = estate.requests["registry"] - asked

        assert goes_on.returncode == 0, err
        assert "listed" in out
        assert 0 < before < alone
        assert asked - before < alone, "it did not begin from nothing"
        assert digest == digest_of(tmp_path / "whole.db")


def digest_of(db: Path) -> str:
    with Lineal.open(Config(db=db), writable=False) as lineal:
        return lineal.store.digest()

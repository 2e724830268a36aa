"""Whoever asks for one thing need not wait for all those who ask for very much (P12)."""

from __future__ import annotations

import asyncio
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import httpx2
import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute

from lineal.app import Lineal
from lineal.config import Config
from lineal.model import EdgeStatement, Record, Statement, Uri
from lineal.store import Batch
from lineal.surfaces import portal, rest_walks
from lineal.surfaces.crowding import WALKS, FewAtOnce
from tests.promises.recording import found
from tests.test_client import running, serving

#: Things in the graph, clients that ask for all of it, and small questions meanwhile.
THINGS, CLIENTS, READS = 300, 60, 40
#: More than there are threads to answer in.
MANY = 90


def uri(number: int) -> Uri:
    return Uri.of("dataset", "lake", f"t{number}")


@pytest.fixture
def lineal(tmp_path: Path) -> Iterator[Lineal]:
    """Yield a graph in which everything comes from one thing."""
    records = [
        Record(
            "lake", f"t{number}", uri(number), (Statement(uri(number), {"rows": number}),),
            (EdgeStatement(uri(number), "derived_from", uri((number - 1) // 2)),)[:number], 1_000,
        )
        for number in range(THINGS)
    ]  # fmt: skip
    with Lineal.open(Config(db=tmp_path / "graph.db", index=False)) as lineal:
        lineal.store.commit(Batch(records, "test", "a tree"))
        yield lineal


@contextmanager
def asking(url: str, answered: list[int]) -> Iterator[None]:
    """Let many clients ask for everything, and note each answer, until the end of the block."""
    over = threading.Event()

    def ask() -> None:
        with httpx2.Client(timeout=120, trust_env=False) as http:
            while not over.is_set():
                asked = http.get(f"{url}/api/v1/lineage", params={"uri": uri(0)})
                answered.append(asked.status_code)

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.promise("P12")
def test_a_small_question_waits_for_few_large_ones(lineal: Lineal) -> None:
    """It is counted how many large answers come in while a small one is waited for."""
    answered, meanwhile = list[int](), list[int]()
    with (
        serving(lineal) as url,
        asking(url, answered),
        httpx2.Client(timeout=120, trust_env=False) as http,
    ):
        while len(answered) < CLIENTS:
            http.get(f"{url}/healthz")
        for number in range(READS):
            began = len(answered)
            asked = http.get(f"{url}/api/v1/entities", params={"uri": uri(number)})
            assert asked.json()["value"]["attributes"]["rows"] == number
            meanwhile.append(len(answered) - began)
    found(large_answers_meanwhile=max(meanwhile))

    assert set(answered) == {200}
    assert statistics.median(meanwhile) <= 4 * WALKS


def test_so_many_are_answered_at_once_and_the_others_hold_no_thread() -> None:
    """Also where one of them fails; a small question is answered while all places are taken."""
    few, at_once, most = FewAtOnce(3), count(), [0, 0]
    lock, go = threading.Lock(), threading.Event()
    api = APIRouter(dependencies=[Depends(few, scope="function")])

    @api.get("/large")
    def large(fails: bool = False) -> str:
        with lock:
            most[0] += 1
            most[1] = max(most)
        go.wait(30)
        with lock:
            most[0] -= 1
        if fails:
            raise RuntimeError("a fault")
        return "much"

    app = FastAPI()
    app.include_router(api)

    @app.get("/small")
    def small() -> int:
        return next(at_once)

    async def all_of_it() -> list[int]:
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
            asked = [
                asyncio.create_task(http.get("/large", params={"fails": number % 3 == 0}))
                for number in range(MANY)
            ]
            while most[0] < 3:
                await asyncio.sleep(0.001)
            for _ in range(20):
                assert (await http.get("/small")).status_code == 200
            assert not any(one.done() for one in asked)
            go.set()
            return [(await one).status_code for one in asked]

    codes = asyncio.run(all_of_it())

    assert sorted(codes) == [200] * (MANY - MANY // 3) + [500] * (MANY // 3)
    assert most == [0, 3]


def test_a_question_of_which_nobody_waits_for_the_answer_is_not_answered() -> None:
    """Clients that give up leave no work behind: the places are for those who still wait."""
    few, asked, go = FewAtOnce(1), count(), threading.Event()
    api = APIRouter(dependencies=[Depends(few, scope="function")])

    @api.get("/large")
    def large() -> int:
        number = next(asked)
        if not number:
            go.wait(30)
        return number

    app = FastAPI()
    app.include_router(api)

    async def told(url: str) -> tuple[int, int]:
        at = f"{url}/large"
        async with httpx2.AsyncClient(timeout=60, trust_env=False) as http:
            first = asyncio.create_task(http.get(at))
            while not few.is_full:
                await asyncio.sleep(0.01)
            for _ in range(20):
                with pytest.raises(httpx2.ReadTimeout):
                    await http.get(at, timeout=0.05)
            last = asyncio.create_task(http.get(at))
            await asyncio.sleep(0.1)
            go.set()
            return (await first).json(), (await last).json()

    with running(app) as url:
        assert asyncio.run(told(url)) == (0, 1)


def test_whatever_walks_far_is_behind_one_door(lineal: Lineal) -> None:
    few = FewAtOnce()
    walking = [*rest_walks.router(lineal, few).routes, *portal.Portal(lineal, few).router().routes]
    waits = {
        one.path
        for one in walking
        if isinstance(one, APIRoute) and any(each.dependency is few for each in one.dependencies)
    }

    assert {
        "/api/v1/lineage", "/api/v1/closure", "/api/v1/impact", "/api/v1/diff/lineage",
        "/api/v1/shared", "/lineage", "/impact", "/alike",
    } <= waits  # fmt: skip
    assert waits.isdisjoint({"/", "/search", "/entity", "/source", "/static/{name}"})

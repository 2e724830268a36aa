"""What buses bring and nobody understands is bounded, by count and bytes, on each database."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from starlette.testclient import TestClient

from lineal.app import Lineal
from lineal.app.taking import Told, Unread
from lineal.config import Config
from lineal.errors import Overloaded
from lineal.store import work
from lineal.surfaces import server
from lineal.surfaces.events.doors import Doors, Inbox
from tests.databases import fresh

SOURCES = """
source: tool
platform: tool
base_url: http://127.0.0.1:9/api
events:
  - {match: {type: changed}, resource: model, key: id}
resources:
  model:
    subject: {type: model}
    fetch: {path: "/models/{id}"}
"""
MOST, MOST_BYTES = 20, 2_000


@pytest.fixture
def lineal(engine: str, tmp_path: Path) -> Iterator[Lineal]:
    (tmp_path / "tool.yaml").write_text(SOURCES, "utf-8")
    with fresh(engine, tmp_path) as place:
        config = Config(
            db=place, sources=(tmp_path / "tool.yaml",), inbox=MOST, inbox_bytes=MOST_BYTES,
            index=False,
        )  # fmt: skip
        with Lineal.open(config) as opened:
            yield opened


def odd(number: int, size: int = 1) -> Told:
    return Told(None, {"what": number, "x": "y" * size})


def good(number: int) -> Told:
    return Told("tool", {"type": "changed", "id": f"m{number}"})


def dead(lineal: Lineal) -> int:
    return len(lineal.dead_letters(limit=1_000))


def kept(lineal: Lineal) -> Counter[str]:
    """Return how often each model waits in the inbox."""
    with lineal.store.looking() as driver:
        bodies = [json.loads(row[0]) for row in driver.rows("SELECT body FROM inbox")]
    return Counter(body["id"] for body in bodies)


def accounted(lineal: Lineal) -> bool:
    with lineal.store.looking() as driver:
        accounts = work.accounts(driver)
    return not any(one.missing for one in accounts.values())


def take(lineal: Lineal, *items: Told | Unread, door: str = "bus") -> bool:
    """Offer items once; return whether they were kept."""
    try:
        lineal.take(door, items)
    except Overloaded:
        return False
    return True


def fill(lineal: Lineal) -> None:
    assert take(lineal, *map(odd, range(MOST)))


def test_a_door_on_a_wrong_topic_brings_no_more_than_there_is_room_for(lineal: Lineal) -> None:
    taken = [take(lineal, odd(number)) for number in range(MOST + 5)]

    assert taken == [True] * MOST + [False] * 5
    assert dead(lineal) == MOST
    assert accounted(lineal)
    assert lineal.store.verify().sound


def test_few_that_are_long_are_no_more_than_there_is_room_for_either(lineal: Lineal) -> None:
    assert [take(lineal, odd(number, 900)) for number in range(3)] == [True, True, False]
    assert not take(lineal, Unread({"unread": "z" * 900}, "This is not JSON."))
    assert dead(lineal) == 2


def test_what_is_more_than_there_is_room_for_at_all_gets_in_some_time(lineal: Lineal) -> None:
    assert take(lineal, *map(odd, range(MOST + 1)))
    assert not take(lineal, odd(99))


def test_there_is_room_again_when_somebody_has_looked_at_them(lineal: Lineal) -> None:
    fill(lineal)
    lineal.purge(source="door:bus", actor="ann", reason="a wrong topic")

    assert take(lineal, odd(2))
    assert dead(lineal) == 1
    assert accounted(lineal)


def test_what_another_process_brought_counts_too(lineal: Lineal) -> None:
    fill(lineal)
    again = Lineal(lineal.config, lineal.store, ())

    assert not take(again, odd(99))


def test_other_doors_go_on_and_what_was_kept_is_not_kept_each_time(lineal: Lineal) -> None:
    fill(lineal)
    items = [good(1), odd(2)]
    for _ in range(5):
        with pytest.raises(Overloaded, match="dead letters; no more may"):
            lineal.take("bus", items)

    assert take(lineal, good(2), door="other")
    assert take(lineal, good(3))
    assert kept(lineal) == {"m1": 1, "m2": 1, "m3": 1}


class Bus:
    """A door as far as its inbox knows it."""

    name, bus = "bus", "kafka"

    def listen(self, inbox: Inbox, stopping: Any) -> None:
        """Nothing comes by itself."""


def test_the_door_is_shown_as_paused_and_why(lineal: Lineal) -> None:
    fill(lineal)
    doors = Doors([Bus()], lineal)
    inbox = doors._inboxes["bus"]

    assert inbox.offer([odd(2)])

    with TestClient(server.create(lineal, doors), base_url="http://127.0.0.1") as client:
        (told,) = client.get("/api/v1/doors").json()["doors"]
        assert client.get("/readyz").status_code == 200
    assert told["state"] == "paused"
    assert "dead letters; no more may" in told["reason"]
    assert "lineal dead list" in told["reason"]
    assert REGISTRY.get_sample_value("lineal_door_paused", {"door": "bus"}) == 1
    lineal.purge(source="door:bus", actor="ann", reason="a wrong topic")
    assert inbox.offer([odd(2)]) is None
    assert inbox.standing.state == "open"

"""The write path in bulk: many senders in one commit, and lists whose items are whole documents."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from lineal.errors import Overloaded, SourceDown, SourceGarbled
from lineal.ingest.pipelining import Behind, ahead
from lineal.ingest.receiving import Receiving
from lineal.model import Event, Instant
from lineal.shapes import Shapes
from lineal.sources import Fetched, Key, Listed
from lineal.store import Store, work
from tests.databases import ENGINES, fresh
from tests.simulated import Rig, Tool

# ── Receiving ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with fresh(request.param, tmp_path) as place:
        store = Store(place, shapes=Shapes.builtin())
        yield store
        store.close()


def kept(store: Store) -> list[str]:
    with store.looking() as driver:
        return [row[0] for row in driver.rows("SELECT source FROM inbox ORDER BY source")]


def sent(receiving: Receiving, name: str, count: int, outcomes: dict[str, object]) -> None:
    events = [Event(name, {"id": str(number)}, 1) for number in range(count)]
    try:
        receiving.receive(events, [1] * count)
        outcomes[name] = "kept"
    except Exception as error:
        outcomes[name] = error


def test_what_several_senders_send_at_once_is_kept_in_one_commit(store: Store) -> None:
    receiving, outcomes = Receiving(store, 1_000, 1_000_000, 5.0), dict[str, object]()
    threads = [
        threading.Thread(target=sent, args=(receiving, f"s{number}", 3, outcomes))
        for number in range(8)
    ]
    with receiving._writing:
        # Nobody may write yet: all of them wait together.
        for thread in threads:
            thread.start()
        while len(receiving._queue) < len(threads):
            time.sleep(0.001)
    for thread in threads:
        thread.join()

    assert outcomes == {f"s{number}": "kept" for number in range(8)}
    assert kept(store) == sorted(f"s{number}" for number in range(8) for _ in range(3))
    with store.looking() as driver:
        assert sum(one.accepted for one in work.accounts(driver).values()) == 24
    assert store.verify().disagreements == ()


def test_of_several_senders_only_those_without_room_are_refused(store: Store) -> None:
    receiving, outcomes = Receiving(store, 10, 1_000_000, 5.0), dict[str, object]()
    for name, count in (("first", 6), ("big", 5), ("small", 4)):
        sent(receiving, name, count, outcomes)

    assert (outcomes["first"], outcomes["small"]) == ("kept", "kept")
    assert isinstance(outcomes["big"], Overloaded)
    assert len(kept(store)) == 10


def test_events_that_cannot_be_kept_are_their_own_senders_trouble(store: Store) -> None:
    receiving, outcomes = Receiving(store, 1_000, 1_000_000, 5.0), dict[str, object]()

    def broken() -> None:
        try:
            receiving.receive([Event("bad", {"id": "\ud800"}, 1)], [1])
        except Exception as error:
            outcomes["bad"] = error

    threads = [
        threading.Thread(target=broken),
        *(threading.Thread(target=sent, args=(receiving, name, 2, outcomes)) for name in "ab"),
    ]
    with receiving._writing:
        for thread in threads:
            thread.start()
        while len(receiving._queue) < len(threads):
            time.sleep(0.001)
    for thread in threads:
        thread.join()

    assert isinstance(outcomes.pop("bad"), Exception)
    assert outcomes == {"a": "kept", "b": "kept"}
    assert kept(store) == ["a", "a", "b", "b"]


# ── Lists of whole documents ─────────────────────────────────────────────────────────────────────


@dataclass
class Whole(Tool):
    """A source whose list holds whole documents, as they are when its page is asked for."""

    #: What happens after a page was asked for and before it is read.
    meanwhile: object = None
    clock: object = None
    #: Things whose item on the list cannot be read.
    spoilt: tuple[str, ...] = ()

    def list(self) -> Iterator[Listed]:
        """List everything, each with what it says now."""
        self._fail()
        assert callable(self.clock)
        at: Instant = self.clock()
        page = [(ident, thing, self._answer(Key("thing", ident), thing, None))
                for ident, thing in sorted(self.things.items())]  # fmt: skip
        if callable(self.meanwhile):
            self.meanwhile()
        for ident, thing, fetched in page:
            yield Listed(Key("thing", ident), f"v{thing.version}", partial(self._read, fetched), at)

    def _read(self, fetched: Fetched) -> Fetched:
        if fetched.key.id in self.spoilt:
            raise SourceGarbled("It cannot be read.")
        return fetched


@pytest.fixture(params=ENGINES)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with fresh(request.param, tmp_path) as place:
        tool = Whole()
        rig = Rig(place, tool)
        tool.clock = rig.clock
        yield rig
        rig.close()


def test_what_a_list_tells_whole_is_not_asked_for(rig: Rig) -> None:
    for number in range(1_200):
        rig.tool.put(f"t{number}", number)

    swept = rig.ingest.sweep("tool")
    rig.work()

    assert (swept.listed, swept.marked, rig.tool.asked) == (1_200, 1_200, [])
    assert rig.known() == {f"t{number}": number for number in range(1_200)}
    rig.clock.wait(60)
    rig.tool.put("t7", -7)
    assert rig.ingest.sweep("tool").marked == 1
    rig.work()
    assert (rig.value("t7"), rig.tool.asked) == (-7, [])
    assert rig.store.verify().disagreements == ()


def test_what_was_told_or_answered_since_the_page_was_asked_for_is_asked_for(rig: Rig) -> None:
    """An old page never replaces a newer answer: neither one that is in, nor one to come."""
    tool = rig.tool
    assert isinstance(tool, Whole)
    for ident in ("a", "b", "c"):
        tool.put(ident, 1)
    rig.tell("a", "b", "c")
    rig.work()
    tool.asked.clear()
    rig.clock.wait(60)
    for ident in ("a", "b", "c"):
        tool.put(ident, 2)

    def meanwhile() -> None:
        rig.clock.wait(1)
        tool.put("a", 3)
        tool.put("b", 3)
        rig.tell("a")
        rig.work()
        rig.tell("b")

    tool.meanwhile = meanwhile
    rig.ingest.sweep("tool")
    assert rig.value("a") == 3
    rig.work()

    assert rig.known() == {"a": 3, "b": 3, "c": 2}
    assert ("c",) not in tool.asked


def test_an_item_that_cannot_be_read_is_asked_for(rig: Rig) -> None:
    tool = rig.tool
    assert isinstance(tool, Whole)
    tool.put("a", 1)
    tool.put("b", 2)
    tool.spoilt = ("b",)

    rig.ingest.sweep("tool")
    rig.work()

    assert rig.known() == {"a": 1, "b": 2}
    assert tool.asked == [("b",)]


def test_a_list_that_breaks_off_removes_nothing_and_keeps_what_came(rig: Rig) -> None:
    for number in range(600):
        rig.tool.put(f"t{number}", number)
    tool = rig.tool
    assert isinstance(tool, Whole)
    lists = tool.list

    def broken() -> Iterator[Listed]:
        for at, line in enumerate(lists()):
            if at == 550:
                raise SourceDown("It broke off.")
            yield line

    tool.list = broken  # type: ignore[method-assign]
    with pytest.raises(SourceDown):
        rig.ingest.sweep("tool")
    rig.work()

    assert len(rig.known()) == 500


# ── Beside other work ────────────────────────────────────────────────────────────────────────────


def test_what_is_raised_while_reading_ahead_comes_after_what_came_before() -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise SourceDown("It broke off.")

    found: list[int] = []
    with pytest.raises(SourceDown):
        found.extend(ahead(items(), "test"))
    assert found == [0, 1, 2, 3, 4]


def test_reading_ahead_ends_where_nobody_wants_more() -> None:
    read = []

    def items() -> Iterator[int]:
        for number in range(1_000):
            read.append(number)
            yield number

    lines = ahead(items(), "test")
    assert next(lines) == 0
    lines.close()
    assert len(read) < 10
    assert not [one for one in threading.enumerate() if one.name == "test"]


def test_work_behind_is_done_in_order_and_its_faults_are_raised() -> None:
    done = []

    def do(item: int) -> None:
        if item == 3:
            raise ValueError("three")
        done.append(item)

    def all_of_it() -> None:
        with Behind(do, "test") as behind:
            for item in range(6):
                behind.put(item)

    with pytest.raises(ValueError, match="three"):
        all_of_it()
    assert done == [0, 1, 2]

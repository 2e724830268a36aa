"""Hydration (H1 to H12): leases, second looks, lagging answers, breakers, sweeps, the guard."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lineal import points
from lineal.errors import (
    Invalid,
    InvalidEvent,
    SourceDown,
    SourceGarbled,
    SourceMoved,
    Unreachable,
)
from lineal.ingest import FAILURES, GRACE, TRIES, state
from lineal.model import Event, Statement
from lineal.sources import Habits
from lineal.store import schema, work
from tests.databases import ENGINES, fresh
from tests.promises.recording import ran
from tests.simulated import SECOND, Clock, Held, Here, Rig, Tool

DOWN = SourceDown("down")


@pytest.fixture(params=ENGINES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    with fresh(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path | str]:
    with fresh("sqlite", tmp_path) as found:
        yield found


@contextmanager
def rigged(place: Path | str, *tools: Tool, **options: Any) -> Iterator[Rig]:
    rig = Rig(place, *tools, **options)
    try:
        yield rig
    finally:
        rig.close()


def watched(rig: Rig, ident: str, *names: str) -> tuple[Any, ...]:
    (row,) = rig.rows(f"SELECT {', '.join(names)} FROM watch WHERE document = ?", f"thing:{ident}")
    return row


def standing(rig: Rig, tool: str = "tool") -> work.Standing:
    with rig.store.looking() as driver:
        return work.standing(driver, tool)


# ── Leases ───────────────────────────────────────────────────────────────────────────────────────


def test_two_processes_never_ask_for_one_thing_at_once(tmp_path: Path) -> None:
    """H1: the lease is a row, so it holds between processes; SQLite has but one."""
    with fresh("postgres", tmp_path) as url:
        tool, clock, held = Tool(), Clock(), [Held(), Held()]
        with (
            rigged(url, tool, clock=clock, executor=lambda: held[0]) as one,
            rigged(url, tool, clock=clock, executor=lambda: held[1]) as other,
        ):
            tool.put("a", 1)
            tool.put("b", 1)
            one.tell("a", "b")
            one.ingest.turn()
            other.ingest.turn()

            assert (len(held[0].questions), len(held[1].questions)) == (2, 0)

            tool.put("a", 2)
            other.tell("a")
            other.ingest.turn()
            assert held[1].questions == [], "marked again, and still somebody else's to ask for"

            held[0].carry()
            one.ingest.turn()
            other.ingest.turn()
            assert len(held[1].questions) == 1
            held[1].carry()
            other.ingest.turn()
            assert other.value("a") == 2


def test_the_lease_of_a_dead_process_runs_out(tmp_path: Path) -> None:
    with fresh("postgres", tmp_path) as url:
        tool, clock, dead = Tool(), Clock(), Held()
        with rigged(url, tool, clock=clock) as other:
            one = Rig(url, tool, clock=clock, executor=lambda: dead)
            tool.put("a", 1)
            one.tell("a")
            one.ingest.turn()
            assert len(dead.questions) == 1
            # It dies here: nothing is answered, and nothing given back.
            other.work()
            assert other.value("a") is None

            with other.store.working() as ledger:
                rows = ledger.find(schema.watch, "leased_until IS NOT NULL")
                long_ago: dict[str, object] = {"leased_until": 1}
                ledger.change(schema.watch, [(row, long_ago) for row in rows])
            other.work()
            assert other.value("a") == 1
            one.store.close()


def test_what_one_asks_for_is_not_asked_for_twice_though_its_lease_ran_out(
    file: Path | str,
) -> None:
    """The source takes longer to answer than any lease; two answers at once would be too many."""
    held = Held()
    with rigged(file, executor=lambda: held) as rig:
        rig.tool.put("a", 1)
        rig.tell("a")
        rig.ingest.turn()
        rig.clock.wait(86_400)
        rig.ingest.turn()

        assert len(held.questions) == 1
        held.carry()
        rig.work()
        assert rig.value("a") == 1


@pytest.mark.promise("P20")
def test_a_lease_is_of_the_clock_of_the_server(tmp_path: Path) -> None:
    """P20: a process whose clock is a day ahead believes no lease to have run out."""
    with fresh("postgres", tmp_path) as url:
        tool, held = Tool(), [Held(), Held()]
        ahead = Clock()
        ahead.wait(86_400)
        with (
            rigged(url, tool, clock=Clock(), executor=lambda: held[0]) as one,
            rigged(url, tool, clock=ahead, executor=lambda: held[1]) as other,
        ):
            tool.put("a", 1)
            one.tell("a")
            one.ingest.turn()
            other.ingest.turn()

            assert (len(held[0].questions), len(held[1].questions)) == (1, 0)


def test_what_a_killed_process_was_asking_for_is_asked_for_by_the_next(file: Path | str) -> None:
    tool, clock, held = Tool(), Clock(), Held()
    tool.put("a", 1)
    killed = Rig(file, tool, clock=clock, executor=lambda: held)
    killed.tell("a")
    killed.ingest.turn()
    killed.store.close()

    with rigged(file, tool, clock=clock) as rig:
        rig.work()

        assert rig.value("a") == 1


def test_what_is_asked_for_at_the_end_is_due_at_once_for_the_next(place: Path | str) -> None:
    tool, clock, held = Tool(), Clock(), Held()
    tool.put("a", 1)
    with rigged(place, tool, clock=clock, executor=lambda: held) as before:
        before.tell("a")
        before.ingest.turn()

    with rigged(place, tool, clock=clock) as after:
        assert watched(after, "a", "leased_by", "leased_until") == (None, None)
        after.work()
        assert after.value("a") == 1


@pytest.mark.promise("P1")
def test_wherever_a_turn_breaks_off_the_next_takes_up_what_it_left(place: Path | str) -> None:
    """As when a connection is lost: nobody here knows whether what was written is committed."""
    tool, passed = Tool(), list[str]()
    tool.put("a", 1, "b")
    tool.put("b", 1)
    with rigged(place, tool) as rig:
        points.listen(passed.append)
        try:
            rig.tell("a")
            rig.work()
        finally:
            points.listen(None)
        places = passed[passed.index("inbox-committed") + 1 :]
        for at in range(len(places)):
            left = at

            def break_off(point: str) -> None:
                nonlocal left
                left -= 1
                if left == -1:
                    raise Unreachable(point)

            tool.put("a", at + 2, "b")
            rig.tell("a")
            points.listen(break_off)
            with contextlib.suppress(Unreachable):
                rig.work()
            points.listen(None)
            rig.work()

            assert rig.value("a") == at + 2, places[at]
            assert watched(rig, "a", "leased_by") == (None,), places[at]
        assert {"lease-committed", "transaction-committed", "judged"} - {*places} == set()


# ── Coalescing ───────────────────────────────────────────────────────────────────────────────────


def test_events_during_a_question_cost_one_more_question(place: Path | str) -> None:
    """H12: however many there are."""
    held = Held()
    with rigged(place, executor=lambda: held) as rig:
        rig.tool.put("hot", 0)
        rig.tell("hot")
        rig.ingest.turn()
        for value in range(1, 50):
            rig.tool.put("hot", value)
            rig.tell("hot")
            rig.ingest.turn()
        while held.questions:
            held.carry()
            rig.ingest.turn()
            rig.ingest.turn()

        assert len(rig.tool.asked) == 2
        assert rig.value("hot") == 49
        account = rig.accounts()["tool"]
        assert (account.events, account.applied, account.superseded) == (50, 2, 48)


# ── Second looks ─────────────────────────────────────────────────────────────────────────────────

LOOKS = Habits(looks=(30.0, 300.0), sweep=None)


def test_a_source_that_lags_is_looked_at_again(place: Path | str) -> None:
    """H2: the answer was that of before the event; no further event comes."""
    with rigged(place, Tool(habits=LOOKS)) as rig:
        rig.tool.put("a", 1)
        rig.tool.replica = dict(rig.tool.things)
        rig.tool.put("a", 2)
        rig.tell("a")
        rig.work()
        at_first = rig.value("a")
        rig.tool.replica = None
        rig.wait_and_work(29)
        before_the_look = rig.value("a")
        rig.wait_and_work(1)

        assert (at_first, before_the_look, rig.value("a")) == (1, 1, 2)


def test_looks_come_as_often_as_planned_and_ask_only_what_changed(place: Path | str) -> None:
    with rigged(place, Tool(habits=LOOKS)) as rig:
        rig.tool.put("a", 1)
        rig.tell("a")
        rig.work()
        digest = rig.store.digest()
        times = []
        for _ in range(100):
            asked = len(rig.tool.asked)
            rig.wait_and_work(10)
            if len(rig.tool.asked) > asked:
                times.append((rig.clock.at - Clock().at) // SECOND)

        assert times == [30, 330]
        assert rig.store.digest() == digest
        assert rig.rows("SELECT count(*) FROM tx") == [(1,)], "unchanged since the ETag"
        assert watched(rig, "a", "due_at", "dirty_at", "looks") == (None, None, None)


def test_an_event_begins_the_looks_anew(file: Path | str) -> None:
    with rigged(file, Tool(habits=LOOKS)) as rig:
        rig.tool.put("a", 1)
        rig.tell("a")
        rig.work()
        rig.wait_and_work(30)
        rig.tell("a")
        rig.work()

        assert watched(rig, "a", "due_at", "looks") == (rig.clock.at + 30 * SECOND, 1)


def test_what_a_sweep_or_a_reference_marked_is_not_looked_at_again(file: Path | str) -> None:
    with rigged(file, Tool(habits=LOOKS)) as rig:
        rig.tool.put("a", 1, "b")
        rig.tool.put("b", 1)
        rig.ingest.sweep("tool")
        rig.work()

        assert rig.rows("SELECT count(*) FROM watch WHERE due_at IS NOT NULL") == [(0,)]


def test_what_a_sweep_finds_changed_is_looked_at_again(place: Path | str) -> None:
    """The list is of now, the answer of before: by the version in the list nobody would ask."""
    with rigged(place, Tool(habits=LOOKS)) as rig:
        rig.tool.put("a", 1)
        rig.ingest.sweep("tool")
        rig.work()
        rig.tool.replica = dict(rig.tool.things)
        rig.tool.put("a", 2)
        rig.ingest.sweep("tool")
        rig.work()
        at_first = rig.value("a")
        rig.tool.replica = None
        rig.ingest.sweep("tool")
        rig.work()
        of_the_same_version = rig.value("a")
        rig.wait_and_work(31)

        assert (at_first, of_the_same_version, rig.value("a")) == (1, 1, 2)


def test_what_is_listed_and_was_not_there_is_asked_for_by_the_next_sweep(
    place: Path | str,
) -> None:
    with rigged(place, Tool()) as rig:
        rig.tool.replica = {}
        rig.tool.put("a", 1)
        rig.ingest.sweep("tool")
        rig.work()
        at_first = rig.value("a")
        rig.tool.replica = None
        rig.clock.wait(1)
        rig.ingest.sweep("tool")
        rig.work()

        assert (at_first, rig.value("a")) == (None, 1)


def test_what_is_listed_as_it_was_is_not_believed_for_ever(place: Path | str) -> None:
    """However long a copy lagged: once a week or so, not all at once, it is asked anyway."""
    with rigged(place, Tool()) as rig:
        idents = [f"t{number}" for number in range(40)]
        for ident in idents:
            rig.tool.put(ident, 1)
        rig.tool.replica = dict(rig.tool.things)
        rig.tool.put("t7", 2)
        rig.ingest.sweep("tool")
        rig.work()
        at_first = rig.value("t7")
        rig.tool.replica = None
        asked = []
        for _ in range(20):
            before = len(rig.tool.asked)
            rig.clock.wait(86_400 / 2)
            rig.ingest.sweep("tool")
            rig.work()
            asked.append(len(rig.tool.asked) - before)

        assert (at_first, rig.value("t7")) == (1, 2)
        assert asked[:10] == [0] * 10, "for five days a list is believed"
        assert sum(asked) == len(idents)
        assert max(asked) < len(idents) / 2, asked


def test_what_waits_or_was_put_aside_is_not_hurried_by_a_sweep(file: Path | str) -> None:
    """Though it is long since it was answered for: its next try, or a person, comes first."""
    with rigged(file, Tool()) as rig:
        for ident in ("a", "b"):
            rig.tool.put(ident, 1)
        rig.ingest.sweep("tool")
        rig.work()
        rig.tool.fault = SourceGarbled("garbled")
        rig.tell("a")
        for _ in range(TRIES + 1):
            rig.wait_and_work(400)
        assert watched(rig, "a", "buried") == (True,)
        rig.tool.fault = SourceDown("down", retry_after=86_400)
        rig.tell("b")
        rig.work()
        before = [watched(rig, ident, "due_at", "dirty_seq") for ident in ("a", "b")]
        rig.tool.fault = None
        rig.clock.wait(20 * 86_400)
        swept = rig.ingest.sweep("tool")

        assert (swept.listed, swept.marked) == (2, 0)
        assert [watched(rig, ident, "due_at", "dirty_seq") for ident in ("a", "b")] == before


def test_an_answer_older_than_its_event_is_not_believed(place: Path | str) -> None:
    """H2: the event says which version there is by now."""
    with rigged(place, Tool(habits=LOOKS, says_versions=True)) as rig:
        rig.tool.put("a", 1)
        rig.tell("a")
        rig.work()
        rig.tool.replica = dict(rig.tool.things)
        rig.tool.put("a", 2)
        rig.tell("a")
        rig.work()
        lagging = (rig.value("a"), watched(rig, "a", "dirty_at")[0] is not None)
        rig.tool.replica = None
        rig.wait_and_work(1)

        assert lagging == (1, True)
        assert rig.value("a") == 2
        assert watched(rig, "a", "due_at", "wanted") == (None, None), "it is as new as promised"


def test_an_event_that_promises_what_never_comes_is_not_waited_for_for_ever(
    file: Path | str,
) -> None:
    """An event's version may be wrong: what the source says is then taken as it is."""
    with rigged(file, Tool(habits=LOOKS, says_versions=True)) as rig:
        rig.tool.put("a", 1)
        rig.ingest.receive("tool", [{"id": "a", "version": 99}])
        for _ in range(TRIES + 1):
            rig.work()
            rig.clock.wait(300)

        assert rig.value("a") == 1


def test_a_late_event_of_an_old_version_asks_for_nothing_newer(file: Path | str) -> None:
    with rigged(file, Tool(says_versions=True)) as rig:
        rig.tool.put("a", 1)
        old = rig.tool.event("a")
        rig.tool.put("a", 2)
        rig.tell("a")
        rig.work()
        rig.ingest.receive("tool", [old])
        rig.work()

        assert (rig.value("a"), watched(rig, "a", "dirty_at", "wanted")) == (2, (None, None))


# ── Together ─────────────────────────────────────────────────────────────────────────────────────


def test_documents_are_asked_for_together_where_the_source_offers_it(file: Path | str) -> None:
    habits = Habits(places=2, batches={"thing": 10}, looks=(), sweep=None)
    with rigged(file, Tool(habits=habits)) as rig:
        names = [f"t{number:02}" for number in range(25)]
        for number, name in enumerate(names):
            rig.tool.put(name, number)
        rig.tell(*names)
        rig.work()

        assert sorted(map(len, rig.tool.asked)) == [5, 10, 10]
        assert rig.known() == {name: number for number, name in enumerate(names)}


def test_what_is_missing_from_an_answer_for_many_is_asked_for_alone(file: Path | str) -> None:
    """Only a source's own "no such thing" says that something is gone."""
    habits = Habits(places=1, batches={"thing": 10}, looks=(), sweep=None)
    with rigged(file, Tool(habits=habits)) as rig:
        for name in "abc":
            rig.tool.put(name, 1)
        rig.tell(*"abc")
        rig.work()
        del rig.tool.things["b"]
        rig.tool.asked.clear()
        rig.tell(*"abc")
        rig.work()

        assert rig.tool.asked == [("a", "b", "c"), ("b",)]
        assert rig.known() == {"a": 1, "c": 1}


# ── A source that is down ────────────────────────────────────────────────────────────────────────


def test_a_source_that_stays_down_is_left_alone_and_tried_by_one_question(
    place: Path | str,
) -> None:
    """Its backlog costs it nothing while it is down, and comes at once when it is up again."""
    with rigged(place) as rig:
        names = [f"t{number:02}" for number in range(40)]
        for name in names:
            rig.tool.put(name, 1)
        rig.tool.fault = DOWN
        rig.tell(*names)
        rig.work()
        at_first = len(rig.tool.asked)
        opened_at = state(standing(rig), rig.clock.at)
        rig.wait_and_work(240)
        tried = len(rig.tool.asked) - at_first
        rig.tool.fault = None
        rig.wait_and_work(300)

        assert at_first < FAILURES + rig.tool.habits.places
        assert opened_at == "open"
        assert tried <= 5
        assert rig.known() == dict.fromkeys(names, 1)
        assert standing(rig).failures == 0
        assert state(standing(rig), rig.clock.at) == "closed"


def test_a_source_that_is_left_alone_is_half_open_before_it_is_asked_again(
    file: Path | str,
) -> None:
    with rigged(file) as rig:
        for number in range(9):
            rig.tool.put(f"t{number}", 1)
        rig.tool.fault = DOWN
        rig.tell(*rig.tool.things)
        rig.work()
        until = standing(rig).closed_until
        assert until is not None
        states = [state(standing(rig), at) for at in (until - 1, until)]
        rig.clock.at = until
        asked = len(rig.tool.asked)
        rig.work()

        assert states == ["open", "half-open"]
        assert len(rig.tool.asked) == asked + 1


@pytest.mark.parametrize("seconds", [1, 77, 3_600])
@pytest.mark.promise("P10")
def test_a_source_that_says_when_to_come_again_is_left_alone_to_the_second(
    file: Path | str, seconds: int
) -> None:
    """P10: by every question, not only by the one that was refused."""
    with rigged(file) as rig:
        for number in range(9):
            rig.tool.put(f"t{number}", 1)
        rig.tool.faults = [SourceDown("too many", retry_after=seconds)]
        rig.tell(*rig.tool.things)
        rig.work()
        asked = len(rig.tool.asked)
        rig.wait_and_work(seconds - 0.001)
        before = len(rig.tool.asked)
        rig.wait_and_work(0.001)

        assert before == asked
        assert rig.known() == dict.fromkeys(rig.tool.things, 1)


def test_waits_differ_so_that_what_failed_together_does_not_come_together(
    file: Path | str,
) -> None:
    dice = itertools.cycle([0.0, 0.25, 0.5, 1.0])
    with rigged(file, chance=lambda: next(dice)) as rig:
        for number in range(4):
            rig.tool.put(f"t{number}", 1)
        rig.tool.faults = [SourceGarbled("odd")] * 4
        rig.tell(*rig.tool.things)
        rig.work()
        waits = [row[0] - rig.clock.at for row in rig.rows("SELECT due_at FROM watch")]

        assert sorted(waits) == [500_000, 750_000, 875_000, SECOND]


@pytest.mark.promise("P10")
def test_one_slow_source_keeps_no_other_waiting(place: Path | str) -> None:
    """Its question is on its way, for hours; what others say is written meanwhile."""
    held = Held()
    slow, quick = Tool("slow"), Tool("quick")
    executors: Iterator[Executor] = iter([held, Here()])

    with rigged(place, slow, quick, executor=lambda: next(executors)) as rig:
        slow.put("s", 1)
        quick.put("q", 1)
        rig.tell("s", tool=slow)
        rig.ingest.turn()
        for value in range(1, 4):
            quick.put("q", value)
            rig.tell("q", tool=quick)
            for _ in range(3):
                rig.ingest.turn()
            assert rig.value("q") == value
        assert rig.value("s") is None
        held.carry()
        rig.work()
        assert rig.value("s") == 1


# ── Gone ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.promise("P10")
def test_where_too_many_answer_404_unasked_none_is_believed(place: Path | str) -> None:
    """H4, P10: a deploy that lost its database looks just like that."""
    with rigged(place) as rig:
        names = [f"t{number:02}" for number in range(40)]
        for name in names:
            rig.tool.put(name, 1)
        rig.tell(*names)
        rig.work()
        digest, there = rig.store.digest(), dict(rig.tool.things)
        rig.tool.things.clear()
        rig.ingest.receive("tool", [{"id": name} for name in names])
        for _ in range(8):
            rig.work()
            rig.clock.wait(GRACE / SECOND)
        held = standing(rig)
        rig.tool.things.update(there)
        rig.wait_and_work(300)

        assert held.held_at is not None
        assert held.held == 40
        assert rig.store.digest() == digest


def test_what_was_held_back_goes_when_a_person_lets_it(place: Path | str) -> None:
    with rigged(place) as rig:
        names = [f"t{number:02}" for number in range(40)]
        for name in names:
            rig.tool.put(name, 1)
        rig.ingest.sweep("tool")
        rig.work()
        for name in names[:20]:
            del rig.tool.things[name]
        swept = rig.ingest.sweep("tool")
        rig.work()
        before = rig.known()
        count = rig.ingest.release("tool", actor="ada", reason="the old lake was closed")
        rig.work()

        assert (swept.held, swept.absent, len(before)) == (True, 20, 40)
        assert count == 20
        assert sorted(rig.known()) == names[20:]
        assert standing(rig).held_at is None
        ((actor, what, reason, number),) = rig.rows("SELECT actor, what, reason, count FROM deed")
        assert (actor, what, reason, number) == ("ada", "release", "the old lake was closed", 20)


def test_what_is_released_is_asked_for_once_more(file: Path | str) -> None:
    """A person may be wrong too: what the source has after all stays."""
    with rigged(file) as rig:
        names = [f"t{number:02}" for number in range(40)]
        for name in names:
            rig.tool.put(name, 1)
        rig.ingest.sweep("tool")
        rig.work()
        there = dict(rig.tool.things)
        rig.tool.things.clear()
        rig.ingest.sweep("tool")
        rig.tool.things.update(there)
        rig.ingest.release("tool", actor="ada", reason="sure")
        rig.work()

        assert sorted(rig.known()) == names


def test_a_hold_ends_when_everything_is_listed_again(file: Path | str) -> None:
    with rigged(file) as rig:
        for number in range(40):
            rig.tool.put(f"t{number:02}", 1)
        rig.ingest.sweep("tool")
        rig.work()
        there = dict(rig.tool.things)
        rig.tool.things.clear()
        rig.ingest.sweep("tool")
        held = standing(rig).held
        rig.tool.things.update(there)
        rig.ingest.sweep("tool")

        assert (held, standing(rig).held, standing(rig).held_at) == (40, 0, None)


@pytest.mark.parametrize(("reason", "says"), [("so", "Nothing of tool"), (" ", "needs a reason")])
def test_a_release_needs_something_held_and_a_reason(
    file: Path | str, reason: str, says: str
) -> None:
    with rigged(file) as rig, pytest.raises(Invalid, match=says):
        rig.ingest.release("tool", actor="ada", reason=reason)


# ── Sweeps ───────────────────────────────────────────────────────────────────────────────────────


def filled(rig: Rig, count: int = 30) -> list[str]:
    names = [f"t{number:04}" for number in range(count)]
    for name in names:
        rig.tool.put(name, 1)
    rig.ingest.sweep("tool")
    rig.work()
    return names


def test_a_list_that_moves_away_is_begun_again(file: Path | str) -> None:
    """H5: the token of its next page has run out; half a list is never a whole one."""
    with rigged(file) as rig:
        names = filled(rig)
        before = standing(rig).generation
        rig.tool.broken_list = (25, SourceMoved("its token has run out"))
        swept = rig.ingest.sweep("tool")
        rig.work()

        assert (swept.listed, swept.absent) == (30, 0)
        assert standing(rig).generation == before + 2
        assert sorted(rig.known()) == names


def test_a_list_that_always_moves_away_removes_nothing(file: Path | str) -> None:
    class Moving(Tool):
        def list(self) -> Iterator[Any]:
            yield from itertools.islice(super().list(), 1 if self.moving else None)
            if self.moving:
                raise SourceMoved("again")

        moving = False

    with rigged(file, Moving()) as rig:
        names = filled(rig)
        rig.tool.moving = True  # type: ignore[attr-defined]
        with pytest.raises(SourceMoved):
            rig.ingest.sweep("tool")
        rig.work()

        assert sorted(rig.known()) == names
        assert standing(rig).sweep_error == "again"


def test_a_sweep_that_broke_off_does_not_ask_again_for_what_it_found(place: Path | str) -> None:
    """A first load that was killed goes on where it was, even of a list without versions."""
    tool, clock = Tool(lists_versions=False), Clock()
    with rigged(place, tool, clock=clock) as rig:
        for number in range(1_000):
            tool.put(f"t{number:04}", 1)
        tool.broken_list = (700, DOWN)
        with pytest.raises(SourceDown):
            rig.ingest.sweep("tool")
        clock.wait(1)
        rig.work()
        asked = len(tool.asked)
        swept = rig.ingest.sweep("tool")
        rig.work()

        assert asked == 500, "what had been listed by then, in whole chunks"
        assert (swept.listed, swept.marked) == (1_000, 500)
        assert len(tool.asked) == 1_000
        assert standing(rig).whole_at == Clock().at, "what it knows is of when it first began"


def whole(clock: Clock, **options: Any) -> Tool:
    """Return a tool that lists whole documents."""
    return Tool(lists_whole=clock, **options)


def test_what_a_list_tells_whole_is_not_asked_for(place: Path | str) -> None:
    clock = Clock()
    with rigged(place, whole(clock), clock=clock) as rig:
        rig.tool.put("a", 1, "b")
        rig.tool.put("b", 2)
        swept = rig.ingest.sweep("tool")
        rig.work()

        assert (swept.listed, swept.marked, rig.known()) == (2, 2, {"a": 1, "b": 2})
        assert rig.tool.asked == []
        columns = "dirty_seq", "clean_seq", "dirty_at", "due_at", "confirmed_at", "leased_by"
        assert watched(rig, "a", *columns) == (1, 1, None, None, clock(), None)
        assert watched(rig, "a", "version", "generation") == ("v1", swept.listed - 1)
        assert rig.rows("SELECT sum(count) FROM flow WHERE what = 'confirmed'") == [(2,)]


def test_what_is_known_of_a_list_is_not_worded_again(place: Path | str) -> None:
    clock, worded = Clock(), list[str]()
    with rigged(place, whole(clock, while_worded=worded.append), clock=clock) as rig:
        for ident in ("a", "b", "c"):
            rig.tool.put(ident, 1)
        rig.ingest.sweep("tool")
        clock.wait(60)
        rig.tool.put("b", 2)
        del rig.tool.things["c"]
        worded.clear()
        swept = rig.ingest.sweep("tool")

        assert worded == ["b"]
        assert (swept.listed, swept.marked, swept.absent) == (2, 1, 1)
        rig.work()
        assert (rig.known(), rig.tool.asked) == ({"a": 1, "b": 2}, [("c",)])


def test_what_is_told_while_a_list_is_worded_is_asked_for(place: Path | str) -> None:
    """H6: the page is older than the event, and what it says may be old."""
    clock = Clock()
    with rigged(place, whole(clock), clock=clock) as rig:

        def meanwhile(ident: str) -> None:
            if ident == "a":
                rig.tool.put("a", 2)
                rig.tell("a")
                rig.ingest.turn()

        rig.tool.put("a", 1)
        rig.tool.put("b", 1)
        rig.tool.while_worded = meanwhile
        rig.ingest.sweep("tool")
        rig.work()

        assert rig.known() == {"a": 2, "b": 1}
        assert {ident for some in rig.tool.asked for ident in some} == {"a"}
        rig.accounts()


def test_a_list_never_replaces_what_was_answered_since_it_was_asked_for(place: Path | str) -> None:
    clock = Clock()
    with rigged(place, whole(clock), clock=clock) as rig:

        def meanwhile(ident: str) -> None:
            rig.tool.put("a", 2)
            rig.tell("a")
            rig.work()
            assert rig.value("a") == 2

        rig.tool.put("a", 1)
        rig.tool.while_worded = meanwhile
        rig.ingest.sweep("tool")

        assert rig.value("a") == 2
        rig.work()
        assert rig.value("a") == 2


def test_what_cannot_be_read_in_a_list_is_asked_for(place: Path | str) -> None:
    clock = Clock()
    with rigged(place, whole(clock, unfit=(7,)), clock=clock) as rig:
        rig.tool.put("a", 1)
        rig.tool.put("b", 7)
        rig.ingest.sweep("tool")
        rig.work()

        assert (rig.known(), rig.tool.asked) == ({"a": 1, "b": 7}, [("b",)])


class Twice(Tool):
    """Its list tells everything twice."""

    def list(self) -> Iterator[Any]:
        for line in super().list():
            yield from (line, line)


def test_what_a_list_tells_twice_is_known_once(place: Path | str) -> None:
    clock = Clock()
    with rigged(place, Twice(lists_whole=clock), clock=clock) as rig:
        rig.tool.put("a", 1)
        rig.tool.put("b", 1)
        rig.ingest.sweep("tool")
        rig.work()

        assert rig.known() == {"a": 1, "b": 1}
        rig.accounts()


class Odd(Tool):
    """One of its things says what no database takes."""

    def _answer(self, key: Any, thing: Any, etag: str | None) -> Any:
        fetched = super()._answer(key, thing, etag)
        if key.id != "odd" or fetched.record is None:
            return fetched
        said = Statement(fetched.record.subject, {"name": "\ud800"})
        return replace(fetched, record=replace(fetched.record, statements=(said,)))


def test_of_a_list_only_what_cannot_be_written_is_put_aside(place: Path | str) -> None:
    clock = Clock()
    with rigged(place, Odd(lists_whole=clock), clock=clock) as rig:
        for ident in ("a", "b", "odd", "c"):
            rig.tool.put(ident, 1)
        rig.ingest.sweep("tool")
        rig.work()

        assert rig.known() == {"a": 1, "b": 1, "c": 1}
        assert rig.rows("SELECT document, stage FROM dead_letter") == [("thing:odd", "commit")]
        assert watched(rig, "odd", "buried", "dirty_at", "leased_by") == (True, None, None)
        rig.accounts()


def test_a_sweep_whose_process_was_killed_keeps_nobody_from_the_next(tmp_path: Path) -> None:
    """Of a file: nobody else can be at it."""
    tool, clock = Tool(), Clock()
    tool.put("a", 1)

    class Killed(Tool):
        def list(self) -> Iterator[Any]:
            yield from tool.list()
            raise KeyboardInterrupt

    before = Rig(tmp_path / "graph.db", Killed(), clock=clock)
    with pytest.raises(KeyboardInterrupt):
        before.ingest.sweep("tool")
    before.store.close()

    with rigged(tmp_path / "graph.db", tool, clock=clock) as rig:
        rig.ingest.sweep("tool")
        rig.work()

        assert rig.value("a") == 1


def test_two_processes_do_not_sweep_one_source_at_once(tmp_path: Path) -> None:
    with fresh("postgres", tmp_path) as url:
        tool, clock = Tool(), Clock()
        with rigged(url, tool, clock=clock) as other:
            tool.put("a", 1)
            refused: list[Exception] = []

            class Listing(Tool):
                def list(self) -> Iterator[Any]:
                    try:
                        other.ingest.sweep("tool")
                    except Exception as error:
                        refused.append(error)
                    yield from tool.list()

            with rigged(url, Listing(), clock=clock) as listing:
                listing.ingest.sweep("tool")

            assert "Another process" in str(refused[0])
            other.ingest.sweep("tool")


@pytest.mark.promise("P5")
def test_a_lost_event_costs_at_most_one_sweep(file: Path | str) -> None:
    """P5: for an hour every event is lost; one sweep finds all of it."""
    with rigged(file) as rig:
        names = filled(rig, 60)
        for minute in range(60):
            rig.clock.wait(60)
            rig.tool.put(names[minute], minute + 100)
            if minute % 7 == 0:
                del rig.tool.things[names[minute - 3]]
            rig.work()
        stale = rig.known()
        rig.ingest.sweep("tool")
        rig.work()

        assert stale == dict.fromkeys(names, 1)
        assert rig.known() == {name: thing.value for name, thing in rig.tool.things.items()}
        ran("P5", "minutes in which all is lost", 60)


# ── Dead letters ─────────────────────────────────────────────────────────────────────────────────


def letters(rig: Rig) -> list[work.DeadLetter]:
    with rig.store.looking() as driver:
        return work.dead_letters(driver)


def bury(rig: Rig, *names: str) -> None:
    """Let things be garbled until they are put aside."""
    for name in names:
        rig.tool.put(name, 1)
    rig.tool.fault = SourceGarbled("odd")
    rig.tell(*names)
    for _ in range(TRIES):
        rig.work()
        rig.clock.wait(300)
    rig.work()


def test_a_letter_that_no_source_was_found_for_is_replayed_to_the_one_that_is_there_now(
    place: Path | str,
) -> None:
    with rigged(place) as rig:
        rig.tool.put("a", 1)
        with rig.store.working() as ledger:
            for body in ({"id": "a"}, {"nobody": "knows"}):
                event = Event("door:bus", body, rig.clock())
                work.bury_event(ledger, event, InvalidEvent("Whose?"), rig.clock())

        assert rig.ingest.replay(actor="ada") == (1, 2)
        rig.work()

        assert rig.known() == {"a": 1}
        assert [letter.source for letter in letters(rig)] == ["door:bus"]
        door, tool = rig.accounts()["door:bus"], rig.accounts()["tool"]
        assert (door.accepted, door.superseded, door.dead, door.pending) == (2, 1, 1, 0)
        assert (tool.accepted, tool.applied, tool.pending) == (1, 1, 0)
        assert rig.store.verify().disagreements == ()


def test_a_letter_is_replayed_as_it_is_and_goes_when_the_answer_is_written(
    place: Path | str,
) -> None:
    with rigged(place) as rig:
        bury(rig, "a", "b")
        dead = rig.accounts()["tool"]
        in_vain = rig.ingest.replay(actor="ada")
        for _ in range(TRIES + 1):
            rig.work()
            rig.clock.wait(300)
        again = {letter.document: letter for letter in letters(rig)}
        rig.tool.fault = None
        left, of = rig.ingest.replay(source="tool", actor="ada")
        pending = rig.accounts()["tool"]
        rig.work()

        assert (dead.dead, dead.pending) == (2, 0)
        assert in_vain == (left, of) == (2, 2)
        assert again["thing:a"].attempts == 2 * TRIES
        assert again["thing:a"].last_at > again["thing:a"].first_at
        assert (pending.dead, pending.pending) == (0, 2)
        assert letters(rig) == []
        assert rig.known() == {"a": 1, "b": 1}
        assert rig.accounts()["tool"].applied == 2


def test_a_letter_is_out_of_date_when_its_document_is_answered_after_all(
    file: Path | str,
) -> None:
    with rigged(file) as rig:
        bury(rig, "a")
        rig.tool.fault = None
        rig.tell("a")
        rig.work()
        account = rig.accounts()["tool"]

        assert letters(rig) == []
        assert (account.accepted, account.applied, account.superseded) == (2, 1, 1)


def test_purged_letters_are_counted_for_ever(file: Path | str) -> None:
    with rigged(file) as rig:
        bury(rig, "a", "b", "c")
        (one, *_) = letters(rig)
        first = rig.ingest.purge(ids=[one.id], actor="ada", reason="a test")
        rest = rig.ingest.purge(actor="ada", reason="all of it")
        account = rig.accounts()["tool"]

        assert (first, rest, letters(rig)) == (1, 2, [])
        assert (account.accepted, account.purged, account.dead) == (3, 3, 0)
        assert [row[0] for row in rig.rows("SELECT count FROM deed ORDER BY id")] == [1, 2]


def test_an_event_that_made_no_sense_is_understood_when_its_source_is_mended(
    place: Path | str,
) -> None:
    """The file of the source was changed while the event lay in the inbox, and mended later."""

    class Changed(Tool):
        broken = False

        def understand(self, body: Any) -> Any:
            if self.broken:
                raise InvalidEvent("no rule for it")
            return super().understand(body)

    with rigged(place, Changed()) as rig:
        rig.tool.put("a", 1)
        rig.tell("a")
        rig.tool.broken = True  # type: ignore[attr-defined]
        rig.work()
        (letter,) = letters(rig)
        vain = rig.ingest.replay(ids=[letter.id], actor="ada")
        (tried,) = letters(rig)
        rig.accounts()
        rig.tool.broken = False  # type: ignore[attr-defined]
        done = rig.ingest.replay(actor="ada")
        rig.work()

        assert (letter.stage, letter.document, letter.json) == (
            "understand", None, {"id": "a", "gone": False},
        )  # fmt: skip
        assert (vain, tried.attempts) == ((0, 1), 2)
        assert (done, letters(rig), rig.value("a")) == ((1, 1), [], 1)
        assert rig.accounts()["tool"].applied == 1


def test_an_event_for_many_documents_counts_for_each(file: Path | str) -> None:
    with rigged(file) as rig:
        for name in "abc":
            rig.tool.put(name, 1)
        rig.ingest.receive("tool", [{"ids": ["a", "b", "c"]}, {"ids": ["a"]}, {"ids": []}])
        waiting = rig.accounts()["tool"]
        rig.work()
        done = rig.accounts()["tool"]

        assert (waiting.events, waiting.accepted, waiting.pending) == (3, 5, 5)
        assert (done.applied, done.superseded, done.pending) == (4, 1, 0)

"""Clocks may lie (P20): moments stay in order, and nothing is held by two.

The wall clock of the process steps, stands still, or is in a year in which many a clock overflows,
while everything else goes on: commits, questions about the past, and two processes that take work
from one database.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from lineal.access import LOCAL
from lineal.errors import SourceDown
from lineal.model import Moment
from lineal.query import Questions
from lineal.shapes import Shapes
from lineal.store import Batch, Store, work
from tests.databases import ENGINES, fresh
from tests.graphs import PLAYS, said
from tests.promises.recording import ran
from tests.simulated import SECOND, Clock, Held, Rig, Tool

HOUR, DAY = 3_600, 86_400
#: By how many seconds the clock goes on at each look, besides the hour at which it steps.
WAYS: dict[str, float] = {
    "a second ahead": 1, "a second back": -1, "an hour ahead": HOUR, "an hour back": -HOUR,
    "a day ahead": DAY, "a day back": -DAY,
}  # fmt: skip
#: The last moment of a clock of 32 bits, in 2038.
OVERFLOW = (1 << 31) * SECOND
STEPS = 30


def ticking(way: str) -> Clock:
    """Return a clock as it is before it lies."""
    return Clock(OVERFLOW - STEPS // 2 * SECOND) if way == "the year 2038" else Clock()


def tick(clock: Clock, way: str, step: int) -> None:
    """Let a second go by, as the lying clock tells it."""
    if way == "frozen":
        return
    clock.wait(1)
    if way in WAYS and step % 5 == 0:
        clock.wait(WAYS[way])


EVERY = [*WAYS, "frozen", "the year 2038"]


@pytest.mark.promise("P20")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("way", EVERY)
def test_moments_are_in_the_order_of_transactions_and_answer_as_they_do(
    way: str, engine: str, tmp_path: Path
) -> None:
    clock = ticking(way)
    with (
        fresh(engine, tmp_path) as place,
        closing(Store(place, shapes=Shapes.builtin(), now=clock)) as store,
    ):
        for rows in range(1, STEPS + 1):
            tick(clock, way, rows)
            store.commit(Batch([said(PLAYS, rows=rows, at=clock.at)], "test", "a look"))
        with store.looking() as driver:
            instants = [row[0] for row in driver.rows("SELECT instant FROM tx ORDER BY t")]
        ask = Questions(store)
        # Whatever the clock says now, what is known now is the last.
        now = ask.get(LOCAL, PLAYS)
        told = [
            (ask.get(LOCAL, PLAYS, Moment(known_t=t)), ask.get(LOCAL, PLAYS, Moment(known_at=at)))
            for t, at in enumerate(instants, 1)
        ]
        verdict = store.verify()

    assert verdict.sound, verdict.disagreements
    assert instants == sorted(set(instants))
    assert len(instants) == STEPS
    assert now.basis_t == STEPS
    for t, (by_number, by_time) in enumerate(told, 1):
        assert (by_number.basis_t, by_time.basis_t) == (t, t)
        assert by_number.value.attributes == by_time.value.attributes
    if engine == "sqlite":
        ran("P20", "ways of a clock", 1)


@pytest.mark.promise("P20")
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("engine", ENGINES)
def test_what_came_while_the_clock_was_ahead_does_not_wait_for_it(
    engine: str, restarted: bool, tmp_path: Path
) -> None:
    """A clock that was a day ahead is set right: marks and a source that was down are not late."""
    clock, tool, held = Clock(), Tool(), Held()
    with fresh(engine, tmp_path) as place:
        rig = Rig(place, tool, clock=clock, executor=lambda: held)
        clock.wait(DAY)
        tool.fault = SourceDown("down", retry_after=60)
        tool.put("a", 1)
        rig.tell("a")
        rig.ingest.turn()
        held.carry()
        rig.ingest.turn()
        tool.fault = None
        tool.put("b", 2)
        rig.tell("b")
        rig.ingest.turn()
        clock.wait(-DAY)
        if restarted:
            rig.close()
            rig = Rig(place, tool, clock=clock)
            rig.work()
        else:
            for _ in range(4):
                rig.ingest.turn()
                while held.questions:
                    held.carry()
        known = rig.known()
        rig.accounts()
        assert rig.store.verify().sound
        rig.close()

    assert known == {"a": 1, "b": 2}


@pytest.mark.promise("P20")
@pytest.mark.parametrize("way", EVERY)
def test_nothing_is_held_by_two_whatever_their_clocks_say(way: str, tmp_path: Path) -> None:
    """Two processes on one database; one clock lies, and a lease is shorter than its lies."""
    clock, held = ticking(way), dict[str, str]()
    with (
        fresh("postgres", tmp_path) as place,
        closing(Store(place, shapes=Shapes.builtin(), now=clock)) as one,
        closing(Store(place, shapes=Shapes.builtin())) as other,
    ):
        for step in range(STEPS):
            tick(clock, way, step)
            with one.working() as ledger:
                work.mark(ledger, "lake", f"d{step}", deleted=False, due_at=0, notices=1)
            takers = [("one", one), ("other", other)]
            for holder, store in takers if step % 2 else reversed(takers):
                with store.working() as ledger:
                    taken = work.take(ledger, {"lake": 2}, now=store.now(), holder=holder,
                                      lease=600 * SECOND)  # fmt: skip
                for dirty in taken:
                    assert dirty.document not in held, f"{holder} and {held[dirty.document]}"
                    held[dirty.document] = holder

    assert set(held) == {f"d{step}" for step in range(STEPS)}
    assert set(held.values()) == {"one", "other"}

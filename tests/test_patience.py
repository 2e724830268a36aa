"""Patience with sources: what one document, one question or one odd answer may not do to all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lineal.errors import InvalidEvent, SourceDown
from lineal.ingest import GRACE, TRIES, Tally, state
from lineal.ingest.patience import Breaker
from lineal.sources import Habits
from lineal.store import work
from tests.databases import ENGINES, fresh
from tests.simulated import SECOND, Rig, Tool


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


def standing(rig: Rig, tool: str = "tool") -> work.Standing:
    with rig.store.looking() as driver:
        return work.standing(driver, tool)


# ── The guard ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.promise("P10")
def test_where_too_many_second_looks_find_nothing_none_is_believed(place: Path | str) -> None:
    """What is looked at again has no mark of its own, and is counted by the guard all the same."""
    with rigged(place, Tool(habits=Habits(looks=(30.0,), sweep=None))) as rig:
        names = [f"t{number:02}" for number in range(40)]
        for name in names:
            rig.tool.put(name, 1)
        rig.tell(*names)
        rig.work()
        rig.tool.things.clear()
        rig.wait_and_work(31)
        in_doubt = rig.rows("SELECT count(*) FROM watch WHERE dirty_at IS NOT NULL")
        rig.wait_and_work(GRACE / SECOND + 1)

        assert in_doubt == [(40,)], "what is in doubt is seen as late, too"
        assert standing(rig).held == 40
        assert sorted(rig.known()) == names
        assert rig.accounts()["tool"].pending == 0


@pytest.mark.promise("P10")
def test_where_too_many_that_a_rebuild_asks_for_are_not_there_none_is_believed(
    place: Path | str,
) -> None:
    """What cannot be worded anew is asked for without a mark."""
    with rigged(place) as rig:
        names = [f"t{number:02}" for number in range(40)]
        for name in names:
            rig.tool.put(name, 1)
        rig.tell(*names)
        rig.work()
        rig.tool.unfit = (1,)
        rig.tool.things.clear()
        rig.ingest.rebuild("tool", Tally())
        rig.work()
        rig.wait_and_work(GRACE / SECOND + 1)

        assert standing(rig).held == 40
        assert sorted(rig.known()) == names


# ── What a source asks for ───────────────────────────────────────────────────────────────────────

DAY = 86_400


@pytest.mark.parametrize(
    ("seconds", "waits"),
    [(77, 77), (DAY + 1, DAY), (1_767_225_600, DAY), (1_767_225_600_000, DAY),
     (9.3e12, DAY), (float("inf"), DAY), (float("nan"), 1), (-7, 1)],
)  # fmt: skip
@pytest.mark.promise("P10")
def test_a_source_may_ask_to_be_left_alone_for_a_day_at_most(
    place: Path | str, seconds: float, waits: int
) -> None:
    """Who says more means something else; what others answer in the same turn is kept."""
    with rigged(place, Tool(), Tool("other")) as rig:
        odd, other = rig.tools.values()
        odd.faults = [SourceDown("too many", retry_after=seconds)]
        for tool, ident in ((odd, "a"), (other, "b")):
            tool.put(ident, 1)
            rig.tell(ident, tool=tool)
        rig.work()
        known = rig.known()
        rig.wait_and_work(waits - 0.5)
        too_early = rig.known()
        rig.wait_and_work(0.6)

        assert known == too_early == {"b": 1}
        assert rig.known() == {"a": 1, "b": 1}
        assert standing(rig).closed_until is None


def test_what_closes_a_source_for_longer_than_a_day_is_not_believed(file: Path | str) -> None:
    """As what was written down before there was a limit."""
    with rigged(file) as rig:
        with rig.store.working() as ledger:
            never = 1_700_000_000_000 * SECOND
            work.stand(ledger, "tool", failures=1, down_since=1, closed_until=never)
        rig.tool.put("a", 1)
        rig.tell("a")
        rig.work()

        assert rig.known() == {"a": 1}
        assert standing(rig).closed_until is None


# ── A source whose own code fails ────────────────────────────────────────────────────────────────


class Faulty(Tool):
    """A source written in Python, of which one part fails."""

    fails = ""

    def understand(self, body: Any) -> Any:
        self._may_fail("understand")
        return super().understand(body)

    def key_of(self, uri: Any) -> Any:
        self._may_fail("key_of")
        return super().key_of(uri)

    def subject(self, key: Any) -> Any:
        self._may_fail("subject")
        return super().subject(key)

    def _may_fail(self, part: str) -> None:
        if self.fails == part:
            raise KeyError(part)


def letters(rig: Rig) -> list[work.DeadLetter]:
    with rig.store.looking() as driver:
        return work.dead_letters(driver)


@pytest.mark.promise("P11")
def test_an_event_that_a_source_fails_to_understand_is_put_aside(place: Path | str) -> None:
    """By a fault of its code, not by a word of it; what others were told is done."""
    faulty, other = Faulty("faulty"), Tool("other")
    with rigged(place, faulty, other) as rig:
        for tool, ident in ((faulty, "a"), (other, "b")):
            tool.put(ident, 1)
            rig.tell(ident, tool=tool)
        faulty.fails = "understand"
        rig.work()
        (letter,) = letters(rig)
        known, accounts = rig.known(), rig.accounts()
        in_vain = rig.ingest.replay(actor="ada")
        faulty.fails = ""
        rig.ingest.replay(actor="ada")
        rig.work()

        assert known == {"b": 1}
        assert (letter.source, letter.stage, letter.error) == (
            "faulty", "understand", "invalid_event",
        )  # fmt: skip
        assert "KeyError('understand')" in letter.reason
        assert (accounts["faulty"].dead, accounts["other"].applied) == (1, 1)
        assert in_vain == (0, 1)
        assert (rig.known(), letters(rig)) == ({"a": 1, "b": 1}, [])


def test_an_event_is_refused_by_the_source_that_fails_to_understand_it(file: Path | str) -> None:
    """Also where it is asked only whether the event is its own."""
    faulty, other = Faulty("faulty"), Tool("other")
    with rigged(file, faulty, other) as rig:
        faulty.fails = "understand"
        other.put("b", 1)
        rig.ingest.receive(None, [{"id": "b"}])
        with pytest.raises(InvalidEvent, match="KeyError"):
            rig.ingest.receive("faulty", [{"id": "a"}])
        rig.work()

        assert rig.known() == {"b": 1}


def test_a_source_that_fails_to_tell_what_describes_a_thing_stops_no_other(
    place: Path | str,
) -> None:
    faulty, other = Faulty("faulty"), Tool("other")
    with rigged(place, faulty, other) as rig:
        faulty.fails = "key_of"
        other.put("a", 1, "b")
        other.put("b", 2)
        rig.tell("a", tool=other)
        rig.work()

        assert rig.known() == {"a": 1, "b": 2}


def test_a_source_that_fails_to_tell_what_a_document_is_about_stops_no_other(
    place: Path | str,
) -> None:
    """Only what is gone is asked for its subject: it stays, and is put aside."""
    faulty, other = Faulty("faulty"), Tool("other")
    with rigged(place, faulty, other) as rig:
        faulty.put("a", 1)
        rig.tell("a", tool=faulty)
        rig.work()
        del faulty.things["a"]
        faulty.fails = "subject"
        other.put("b", 1)
        rig.tell("a", tool=faulty)
        rig.tell("b", tool=other)
        for _ in range(TRIES):
            rig.work()
            rig.clock.wait(300)

        assert rig.known() == {"a": 1, "b": 1}
        assert [(one.document, one.stage) for one in letters(rig)] == [("thing:a", "fetch")]
        assert "KeyError('subject')" in letters(rig)[0].reason


# ── What counts as being down ────────────────────────────────────────────────────────────────────

DOWN = SourceDown("down")


def test_one_question_for_many_that_fails_counts_once(place: Path | str) -> None:
    habits = Habits(batches={"thing": 50}, looks=(), sweep=None)
    with rigged(place, Tool(habits=habits)) as rig:
        names = [f"t{number:02}" for number in range(50)]
        for name in names:
            rig.tool.put(name, 1)
        rig.tool.faults = [DOWN]
        rig.tell(*names)
        rig.work()
        down = standing(rig)
        rig.wait_and_work(1.1)

        assert (down.failures, state(down, rig.clock.at)) == (1, "closed")
        assert rig.known() == dict.fromkeys(names, 1)
        assert standing(rig).failures == 0


def test_a_source_that_answers_in_between_is_not_down() -> None:
    """Though its answers and its failures are noted together: they count in their order."""
    breaker = Breaker(work.Standing("tool"), 0, lambda: 0.0)
    for outcome in (DOWN, DOWN, DOWN, None, DOWN, DOWN, DOWN, None, DOWN):
        breaker.answered() if outcome is None else breaker.failed(outcome)

    assert (breaker.standing.failures, breaker.is_up_again) == (1, True)
    assert state(breaker.standing, 0) == "closed"


def test_what_a_source_asks_for_holds_though_another_question_is_answered() -> None:
    """That one was on its way already."""
    breaker = Breaker(work.Standing("tool"), 0, lambda: 0.0)
    breaker.failed(SourceDown("too many", retry_after=77))
    breaker.answered()
    while_it_waits = breaker.standing.closed_until
    breaker.now = 77 * SECOND
    breaker.answered()

    assert while_it_waits == 77 * SECOND
    assert breaker.standing == work.Standing("tool")

"""Patience with sources: what one document, one question or one odd answer may not do to all."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lineal.errors import InvalidEvent, SourceDown, SourceGarbled
from lineal.ingest import GRACE, TRIES, Ingest, Tally, state
from lineal.ingest.patience import WORN, Breaker
from lineal.model import Instant, Json, Record
from lineal.sources import Fetched, Habits, Key, Listed
from lineal.sources.openlineage import OpenLineage
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

    def list(self) -> Iterator[Listed]:
        self._may_fail("list")
        return super().list()

    def reword(self, key: Key, raw: Any, at: Instant) -> Record:
        self._may_fail("reword")
        return super().reword(key, raw, at)

    def _whole(self, key: Key, thing: Any) -> Fetched:
        self._may_fail("whole")
        return super()._whole(key, thing)

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


def test_a_list_that_a_source_fails_to_give_is_said_and_given_again(place: Path | str) -> None:
    with rigged(place, Faulty("faulty")) as rig:
        faulty = rig.tool
        faulty.put("a", 1)
        faulty.fails = "list"  # type: ignore[attr-defined]
        with pytest.raises(SourceGarbled, match="KeyError"):
            rig.ingest.sweep("faulty")
        said = standing(rig, "faulty").sweep_error or ""
        faulty.fails = ""  # type: ignore[attr-defined]
        rig.ingest.sweep("faulty")
        rig.work()

        assert "KeyError('list')" in said
        assert rig.known() == {"a": 1}
        assert standing(rig, "faulty").sweep_error is None


def test_what_a_source_fails_to_read_in_its_list_is_asked_for(place: Path | str) -> None:
    """Of what was not listed before, and of what was."""
    with rigged(place, Faulty("faulty")) as rig:
        faulty = rig.tool
        faulty.lists_whole = rig.clock
        faulty.fails = "whole"  # type: ignore[attr-defined]
        known = []
        for value in (1, 2):
            for ident in "ab":
                faulty.put(ident, value)
            rig.ingest.sweep("faulty")
            rig.work()
            known.append(rig.known())
            rig.clock.wait(60)

        assert known == [{"a": 1, "b": 1}, {"a": 2, "b": 2}]
        assert letters(rig) == []


def test_what_a_source_fails_to_word_anew_is_asked_for(place: Path | str) -> None:
    with rigged(place, Faulty("faulty")) as rig:
        faulty = rig.tool
        faulty.put("a", 1)
        rig.tell("a")
        rig.work()
        faulty.fails = "reword"  # type: ignore[attr-defined]
        done = rig.ingest.rebuild("faulty", Tally())
        faulty.put("a", 2)
        rig.work()

        assert (done.reworded, done.left) == (0, 1)
        assert rig.known() == {"a": 2}


class Unhashed(OpenLineage):
    """A log that cannot tell one of its entries from others."""

    def entry_hash(self, body: Any) -> str:
        if body["run"]["runId"].endswith("1"):
            raise KeyError("entry_hash")
        return super().entry_hash(body)


def test_an_entry_that_a_log_fails_to_tell_from_others_is_put_aside(place: Path | str) -> None:
    def event(run: int) -> dict[str, Json]:
        return {
            "eventTime": "2026-03-01T00:00:00Z",
            "run": {"runId": f"0198aaaa-0000-7000-8000-00000000000{run}"},
            "job": {"namespace": "etl", "name": "load"},
        }

    with rigged(place) as rig:
        ingest = Ingest(rig.store, {}, {"log": Unhashed("log")}, gather=0)
        ingest.receive("log", [event(0), event(1), event(2)])
        while ingest.turn():
            pass
        refused = list(ingest.take_log("log", [event(1)]))
        uris = {row[0] for row in rig.rows("SELECT uri FROM entity WHERE type = 'run'")}
        rig.accounts()
        ingest.close()

        assert {uri[-1] for uri in uris} == {"0", "2"}
        assert ["KeyError('entry_hash')" in one.reason for one in letters(rig)] == [True]
        assert isinstance(refused[0], InvalidEvent)


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
        breaker.answered() if outcome is None else breaker.failed(outcome, 0)

    assert (breaker.standing.failures, breaker.is_up_again) == (1, True)
    assert state(breaker.standing, 0) == "closed"


def test_what_a_source_asks_for_holds_though_another_question_is_answered() -> None:
    """That one was on its way already."""
    breaker = Breaker(work.Standing("tool"), 0, lambda: 0.0)
    breaker.failed(SourceDown("too many", retry_after=77), 0)
    breaker.answered()
    while_it_waits = breaker.standing.closed_until
    breaker.now = 77 * SECOND
    breaker.answered()

    assert while_it_waits == 77 * SECOND
    assert breaker.standing == work.Standing("tool")


# ── What one document may not do to all ──────────────────────────────────────────────────────────


class Partly(Tool):
    """It refuses to answer for some of its things, as one that forbids a folder does."""

    refused: Collection[str] = ()

    def fetch(self, key: Key, etag: str | None = None) -> Fetched:
        if key.id in self.refused:
            self.asked.append((key.id,))
            raise DOWN
        return super().fetch(key, etag)

    def fetch_many(self, keys: Sequence[Key]) -> dict[Key, Fetched | SourceGarbled]:
        if any(key.id in self.refused for key in keys):
            self.asked.append(tuple(key.id for key in keys))
            raise DOWN
        return super().fetch_many(keys)


def refusing(rig: Rig, count: int) -> list[str]:
    """Let a source tell of things, and then refuse to answer for them."""
    names = [f"bad{number:02}" for number in range(count)]
    assert isinstance(rig.tool, Partly)
    rig.tool.refused = names
    for name in names:
        rig.tool.put(name, 1)
    rig.tell(*names)
    return names


@pytest.mark.parametrize("count", [10, 60])
@pytest.mark.promise("P10")
def test_what_is_never_answered_keeps_no_other_waiting(place: Path | str, count: int) -> None:
    """A source that is only tried is not tried by the same few again and again."""
    with rigged(place, Partly()) as rig:
        refusing(rig, count)
        for _ in range(60):
            rig.wait_and_work(60)
        rig.tool.put("y", 1)
        rig.tell("y")
        for _ in range(10):
            rig.wait_and_work(60)

        assert rig.known() == {"y": 1}


def test_what_is_never_answered_while_others_are_is_put_aside(place: Path | str) -> None:
    """It is to blame itself: the source is not left alone for it, and it is not tried for ever."""
    dice = itertools.cycle([0.0, 0.9, 0.3, 0.7, 0.1, 0.5, 0.8])
    with rigged(place, Partly(), chance=lambda: next(dice)) as rig:
        bad, late = refusing(rig, 6), list[int]()
        for minute in range(240):
            rig.tool.put(f"y{minute % 7}", minute)
            rig.tell(f"y{minute % 7}")
            rig.wait_and_work(60)
            if rig.value(f"y{minute % 7}") != minute:
                late.append(minute)
        found, asked = letters(rig), len(rig.tool.asked)
        rig.wait_and_work(3_600)
        account = rig.accounts()["tool"]

        assert len(late) < 20
        assert max(late, default=0) < 60, "by then it is known whose fault it is"
        assert sorted(str(one.document) for one in found) == [f"thing:{name}" for name in bad]
        assert {(one.stage, one.error, one.reason) for one in found} == {
            ("fetch", "source_down", "down")
        }
        assert len(rig.tool.asked) == asked
        assert (account.dead, account.pending) == (len(bad), 0)
        assert state(standing(rig), rig.clock.at) == "closed"


def test_of_an_outage_no_more_than_its_first_failure_is_a_documents_own() -> None:
    """Else one that was tried long enough would be blamed while nobody else is asked for."""
    breaker, tries = Breaker(work.Standing("tool"), 0, lambda: 0.0), 0
    for _ in range(50):
        tries = breaker.failed(DOWN, tries)
    in_one_outage = tries
    breaker.answered()
    for _ in range(50):
        tries = breaker.failed(DOWN, tries)
    breaker.answered()
    told_when = breaker.failed(SourceDown("too many", retry_after=1), tries)

    assert (in_one_outage, tries, told_when) == (WORN, WORN + 1, WORN + 1)
    assert breaker.standing.failures == 1


@pytest.mark.promise("P10")
def test_no_document_is_put_aside_for_what_its_source_suffers(place: Path | str) -> None:
    """P10: however long it is down, and however often: what it answers once is only late."""
    with rigged(place) as rig:
        names = [f"t{number}" for number in range(4)]
        for outage in range(25):
            for name in names:
                rig.tool.put(name, outage)
            rig.tool.fault = DOWN
            rig.tell(*names)
            for _ in range(12 if outage else 150):
                rig.wait_and_work(300)
            # It is up for no more than a question or two.
            rig.tool.faults = [None] * (outage % 3)
            rig.wait_and_work(300)
        rig.tool.fault = None
        rig.tool.faults.clear()
        rig.wait_and_work(300)
        rig.wait_and_work(300)

        assert letters(rig) == []
        assert rig.known() == dict.fromkeys(names, 24)
        assert rig.accounts()["tool"].pending == 0


def test_one_that_is_never_answered_fails_for_none_that_it_is_asked_for_with(
    place: Path | str,
) -> None:
    habits = Habits(batches={"thing": 50}, looks=(), sweep=None)
    with rigged(place, Partly(habits=habits)) as rig:
        names = [f"t{number:02}" for number in range(30)]
        for name in names:
            rig.tool.put(name, 1)
        (bad,) = refusing(rig, 1)
        rig.tell(*names)
        for _ in range(8):
            rig.wait_and_work(1)

        assert rig.known() == dict.fromkeys(names, 1)
        assert rig.value(bad) is None


def test_a_source_that_was_listed_to_the_end_is_tried_at_once(place: Path | str) -> None:
    with rigged(place, Partly()) as rig:
        refusing(rig, 10)
        for _ in range(20):
            rig.wait_and_work(60)
        while state(standing(rig), rig.clock.at) != "open":
            rig.wait_and_work(1)
        rig.tool.put("y", 1)
        rig.ingest.sweep("tool")
        rig.work()

        assert rig.known() == {"y": 1}

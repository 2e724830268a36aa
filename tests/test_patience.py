"""Patience with sources: what one document, one question or one odd answer may not do to all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lineal.errors import SourceDown
from lineal.ingest import GRACE, Tally
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

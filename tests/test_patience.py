"""Patience with sources: what one document, one question or one odd answer may not do to all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lineal.ingest import GRACE, Tally
from lineal.sources import Habits
from lineal.store import work
from tests.databases import ENGINES, fresh
from tests.simulated import SECOND, Rig, Tool


@pytest.fixture(params=ENGINES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    with fresh(request.param, tmp_path) as found:
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

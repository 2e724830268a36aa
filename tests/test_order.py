"""Order does not matter (P3, small): shuffled, repeated and lost events end in the same graph."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineal.app import Lineal
from lineal.config import Config
from lineal.testing.estate.server import Estate
from tests.estate import SOURCES, Joined, joined

TOOLS = (
    "catalog",
    "experiments",
    "features",
    "identity",
    "orchestrator",
    "registry",
    "serving",
)

#: Changes at the sources that may happen between two deliveries.
CHANGES: tuple[Callable[[Estate], object], ...] = (
    lambda estate: estate.change.describe("model", "ranking-v5", "another description"),
    lambda estate: estate.change.retract_cells("train-weekly-ranking-20XX0101"),
    lambda estate: estate.change.end_test("12345"),
    lambda estate: estate.change.train("ranking-model-v5-20XX0101"),
)


def sweep_all(both: Joined) -> None:
    for tool in TOOLS:
        both.lineal.sweep(tool)
    assert both.lineal.drain(timeout=240).complete


@pytest.mark.promise("P3")
@settings(max_examples=4)
@given(seed=st.integers(0, 2**32), changes=st.permutations(range(len(CHANGES))))
def test_any_order_loss_and_repetition_give_one_digest(seed: int, changes: list[int]) -> None:
    """A third of the events is lost, a third comes twice; a sweep finds what nobody told."""
    dice = Random(seed)
    with (
        tempfile.TemporaryDirectory() as one,
        tempfile.TemporaryDirectory() as other,
        joined(Path(one)) as both,
    ):
        both.estate.announce()
        for change in changes:
            events = both.estate.drain()
            dice.shuffle(events)
            both.hand_over(one for one in events for _ in range(dice.choice((0, 1, 2))))
            both.lineal.ingest.turn()
            CHANGES[change](both.estate)
        both.estate.drain()
        sweep_all(both)
        digest = both.lineal.store.digest()
        fresh = joined_again(both.estate, Path(other))
    assert digest == fresh


def joined_again(estate: Estate, folder: Path) -> str:
    """Return the digest of a graph that was made from the sources as they are, by sweeps alone."""
    config = Config(db=folder / "x.db", sources=(SOURCES,), variables={"ESTATE_URL": estate.url})
    with Lineal.open(config) as lineal:
        sweep_all(Joined(estate, lineal))
        return lineal.store.digest()


def test_saying_the_same_again_writes_nothing(tmp_path: Path) -> None:
    with joined(tmp_path) as both:
        both.estate.announce()
        both.deliver()
        digest = both.lineal.store.digest()
        both.estate.announce()
        both.hand_over(both.estate.drain())

        again = both.lineal.drain(timeout=240)

        assert set(again.documents) <= {"same"}
        assert both.lineal.store.digest() == digest


def test_a_second_sweep_asks_for_nothing_that_its_list_says_is_the_same(tmp_path: Path) -> None:
    with joined(tmp_path) as both:
        sweep_all(both)
        before = both.estate.requests["registry"]

        again = both.lineal.sweep("registry")
        done = both.lineal.drain(timeout=60)

        assert again.listed > 600
        assert (again.marked, again.absent, again.held) == (0, 0, False)
        assert set(done.documents) <= {"same"}
        assert both.estate.requests["registry"] - before < 30

"""Dead letters: what is put aside, and what is not because somebody else has a say in it."""

from __future__ import annotations

import pytest

from lineal.errors import SourceGarbled
from lineal.store import Batch, work
from tests.graphs import PLAYS, Graph, said


def _taken(graph: Graph, holder: str) -> work.Dirty:
    """Take the one document that is due, also if another has it: its lease has run out."""
    with graph.store.working() as ledger:
        now = graph.clock.at
        (dirty,) = work.take(ledger, {"catalog": 1}, now=now, holder=holder, lease=0)
    return dirty


@pytest.mark.parametrize("is_before", [True, False], ids=["before it answers", "after"])
def test_who_has_lost_its_lease_puts_nothing_aside(graph: Graph, is_before: bool) -> None:
    """Both took it for the same mark; what the first was answered says nothing of the second."""
    with graph.store.working() as ledger:
        work.mark(ledger, "catalog", "doc:plays", deleted=False, due_at=0)
    first, second = _taken(graph, "first"), _taken(graph, "second")
    assert first.seq == second.seq

    def bury() -> None:
        with graph.store.working() as ledger:
            error = SourceGarbled("no JSON")
            assert not work.bury_document(ledger, first, error, graph.clock.at)

    if is_before:
        bury()
    graph.store.commit(Batch([said(PLAYS, rows=1)], "test", "x", fences=[second.fence()]))
    if not is_before:
        bury()

    assert graph.thing(PLAYS).attributes == {"rows": 1}
    with graph.store.looking() as driver:
        assert driver.row("SELECT count(*) FROM dead_letter") == (0,)
        assert work.due(driver, graph.clock.at, 10) == []
    assert graph.store.verify().sound


def test_who_still_has_its_lease_puts_aside(graph: Graph) -> None:
    with graph.store.working() as ledger:
        work.mark(ledger, "catalog", "doc:plays", deleted=False, due_at=0)
    mine = _taken(graph, "mine")

    with graph.store.working() as ledger:
        assert work.bury_document(ledger, mine, SourceGarbled("no JSON"), graph.clock.at)

    with graph.store.looking() as driver:
        assert driver.row("SELECT count(*) FROM dead_letter") == (1,)
        assert work.due(driver, graph.clock.at, 10) == []

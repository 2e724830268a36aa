"""A comparison of two moments for which there is no time: it tells what it found, and says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lineal.access import LOCAL
from lineal.errors import OutOfTime
from lineal.model import Budget, Cut, Moment, Uri
from lineal.query import Ask, diff
from lineal.query.diff.causes import NOT_SOUGHT, Causes
from lineal.query.diff.comparing import Aliases
from lineal.query.diff.scenes import Side
from lineal.query.things import Things
from lineal.store import Between, Reader
from tests.graphs import TEAM, Graph, said

#: How many tables come, and in which order their columns change.
MANY = 12
TABLES = [Uri(f"mlg://dataset/lake/t{at:02}") for at in range(MANY)]
FIRST = Moment(known_t=1)
USUAL = Budget()


@pytest.fixture
def tables(graph: Graph) -> Graph:
    """Return a graph in which each table came in a transaction of its own, and has an owner."""
    graph.say(said(TEAM))
    for table in TABLES:
        graph.say(said(table, [(table, "owned_by", TEAM)], at=graph.clock.at, rows=1))
    return graph


def _stopped(reader: Reader) -> None:
    """Have the database stop a statement that takes too long."""
    if reader._driver.is_sqlite:
        while True:
            reader._driver.rows("SELECT count(*) FROM entity AS a, entity AS b, entity AS c")
    reader._driver.rows("SELECT pg_sleep(60)")


@pytest.fixture
def searched_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it take too long to find more than the first things that may differ."""
    real = Between.changed

    def some(between: Between, kind: str, **how: Any) -> Iterator[list[int]]:
        every = sorted({key for some in real(between, kind, **how) for key in some})
        yield every[:5]
        _stopped(between.after)

    monkeypatch.setattr(Between, "changed", some)


CUT = Cut("time", "candidates")


@pytest.mark.usefixtures("searched_long")
def test_what_was_found_to_differ_in_time_is_told(tables: Graph) -> None:
    begun = time.monotonic()
    answer = tables.ask.diff_type(LOCAL, "dataset", FIRST, ask=Ask(Budget(milliseconds=2_000)))

    assert time.monotonic() - begun < 2.0 * 1.1 + 1
    assert [one.thing.uri for one in answer.value.things] == TABLES[:5]
    assert {one.because.how for one in answer.value.things} == {"recorded"}
    assert answer.value.counts["edges"]["appeared"] == 5
    assert answer.why == (CUT,)
    assert (answer.complete, answer.total) == (False, None)


@pytest.mark.usefixtures("searched_long")
def test_schema_changes_stop_at_a_type_that_could_not_be_searched(tables: Graph) -> None:
    answer = tables.ask.schema_changes(LOCAL, FIRST, ask=Ask(Budget(milliseconds=2_000)))

    assert [one.thing.uri for one in answer.value.changes] == TABLES[:5]
    assert answer.why == (CUT.of("dataset"),)


def _late(monkeypatch: pytest.MonkeyPatch, reading: Callable[[Causes], Reader]) -> None:
    """Let a statement be stopped where causes are sought."""

    def stopped(causes: Causes, differences: object) -> None:
        _stopped(reading(causes))

    monkeypatch.setattr(Causes, "of", stopped)


def test_what_differs_is_told_without_causes_where_there_is_no_time_for_them(
    tables: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second slice too, though the database takes no more statements after the first."""
    monkeypatch.setattr(diff, "SLICE", 5)
    _late(monkeypatch, lambda causes: causes._between.after)
    answer = tables.ask.diff_type(LOCAL, "dataset", FIRST, ask=Ask(Budget(milliseconds=1_000)))

    assert [one.thing.uri for one in answer.value.things] == TABLES
    assert [one.start.uri for one in answer.value.edges] == TABLES
    assert all(one.claims for one in answer.value.edges)
    causes = [one.because for one in answer.value.things]
    causes += [one.because for one in answer.value.edges]
    assert causes == [NOT_SOUGHT] * 2 * MANY
    assert f"The causes of {2 * MANY} differences were not sought: that cost too much." in (
        answer.notes
    )
    assert "told of" not in {cut.what for cut in answer.why}


def test_edges_are_told_as_far_as_what_is_said_of_them_could_be_read(
    tables: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And things all the same."""
    monkeypatch.setattr(diff, "SLICE", 5)
    learn, asked = Side.learn_claims, list[int]()

    def once(side: Side, edges: Any) -> None:
        wanted = set(edges)
        if side.things.reader.basis.t > 1 and wanted - side._claims.keys():
            asked.append(len(wanted))
            if len(asked) > 1:
                _stopped(side.things.reader)
        learn(side, wanted)

    monkeypatch.setattr(Side, "learn_claims", once)
    answer = tables.ask.diff_type(LOCAL, "dataset", FIRST, ask=Ask(Budget(milliseconds=1_000)))

    assert [one.thing.uri for one in answer.value.things] == TABLES
    assert [one.start.uri for one in answer.value.edges] == TABLES[:5]
    assert Cut("time", "told of", done=5, total=MANY) in answer.why


def test_names_that_could_not_be_read_are_read_when_asked_again(
    tables: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Uri("mlg://dataset/s3/t00")
    tables.say(said(other, [(other, "same_as", TABLES[0])], source="person"))
    groups, stopped = Things.groups, [True]

    def once(things: Things, keys: Any) -> Any:
        if stopped.pop():
            raise OutOfTime("The question took longer than 5000 ms.")
        stopped.append(False)
        return groups(things, keys)

    with tables.store.read(LOCAL) as reader:
        aliases = Aliases([Side(Things(reader, tables.store.shapes))])
        keys = reader.keys([TABLES[0], other])
        monkeypatch.setattr(Things, "groups", once)
        with pytest.raises(OutOfTime):
            aliases.learn(keys.values())
        stopped.append(False)
        aliases.learn(keys.values())

        assert aliases[keys[other]] == frozenset(keys.values())


def test_that_the_first_moment_is_the_later_one_is_said(tables: Graph) -> None:
    early, late = Moment(valid_at=2_000), Moment(valid_at=tables.clock.at)
    back = tables.ask.diff_type(LOCAL, "dataset", late, early)
    on = tables.ask.diff_type(LOCAL, "dataset", early, late)

    gone = [(one.thing.uri, one.what) for one in back.value.things]
    assert gone == [(table, "vanished") for table in TABLES[1:]]
    assert [note for note in back.notes if note.startswith("The first moment is the later one")]
    assert {one.what for one in on.value.things} == {"appeared"}
    assert not [note for note in on.notes if "later" in note]

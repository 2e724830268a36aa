"""What changed lately: transactions, newest first, each with what it changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lineal.access import LOCAL
from lineal.model import EdgeStatement, Moment, Record, Statement, Uri
from lineal.query import Questions
from lineal.shapes import Shapes
from lineal.store import Batch, Store
from tests.databases import ENGINES, fresh

PLAYS, TITLES = (Uri.of("dataset", "here", name) for name in ("plays", "titles"))
COLUMN = Uri.of("column", "here", "plays", "day")


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with fresh(request.param, tmp_path) as place:
        store = Store(place, shapes=Shapes.builtin(), now=lambda: 1_000)
        yield store
        store.close()


def say(store: Store, cause: str, uri: Uri, *edges: EdgeStatement, **said: str) -> None:
    name = "/".join(uri.segments)
    word = Record("tool", name, uri, (Statement(uri, dict(said)),), edges, 1_000)
    store.commit(Batch([word], "ann", cause))


def told(store: Store, moment: Moment | None = None) -> list[tuple[int, str, int, list[str]]]:
    answer = Questions(store).recent(LOCAL, moment or Moment())
    return [
        (one.t, one.cause, one.changed, [brief.name for brief in one.things])
        for one in answer.value
    ]


def test_the_last_transactions_are_told_newest_first(store: Store) -> None:
    say(store, "a table", PLAYS, name="plays")
    say(store, "another", TITLES, EdgeStatement(TITLES, "derived_from", PLAYS), name="titles")
    say(store, "nothing new", PLAYS, name="plays")
    say(store, "a column", COLUMN, EdgeStatement(COLUMN, "column_of", PLAYS), name="day")
    say(store, "its type", COLUMN, EdgeStatement(COLUMN, "column_of", PLAYS), data_type="date")

    column, of_table, another, table = told(store)
    assert table == (1, "a table", 1, ["plays"])
    # The newest comes first: it is what the edge was said of.
    assert another == (2, "another", 2, ["titles", "plays"])
    # A column is named where nothing else changed.
    assert of_table == (3, "a column", 2, ["plays"])
    assert column == (4, "its type", 1, ["day"])


def test_of_a_moment_only_what_was_recorded_by_then_is_told(store: Store) -> None:
    say(store, "one", PLAYS, name="plays")
    say(store, "two", PLAYS, name="views")

    assert told(store, Moment(known_t=1)) == [(1, "one", 1, ["plays"])]
    assert told(store, Moment(known_t=0)) == []


def test_that_there_were_more_is_told(store: Store) -> None:
    for number in range(3):
        say(store, f"change {number}", PLAYS, name=f"plays {number}")

    answer = Questions(store).recent(LOCAL, limit=2)
    assert [one.cause for one in answer.value] == ["change 2", "change 1"]
    assert [(cut.limit, cut.what, cut.done) for cut in answer.why] == [("list", "transactions", 2)]
    assert answer.total is None

"""A search among very many things: more than a statement of a database takes values."""

from __future__ import annotations

import pytest

from lineal.access import LOCAL
from lineal.store import Wanted
from tests.graphs import PLAYS, TEAM, TITLES, Graph, said

#: PostgreSQL takes 65,535 values in a statement, SQLite as it is shipped up to 250,000.
MANY = 300_000


@pytest.fixture
def keys(graph: Graph) -> dict[str, int]:
    graph.say(said(PLAYS, source="lake"), said(TITLES, [(TITLES, "owned_by", TEAM)]))
    with graph.store.read(LOCAL) as reader:
        return {uri.name: key for uri, key in reader.keys([PLAYS, TITLES]).items()}


def test_it_may_be_asked_among_very_many_things_or_all_but_those(
    graph: Graph, keys: dict[str, int]
) -> None:
    plays, titles = keys["plays"], keys["titles"]
    many = frozenset(range(1_000, 1_000 + MANY))
    with graph.store.read(LOCAL) as reader:
        for words in (("p",), ()):
            among = reader.candidates(Wanted(words, among=many | {plays}))
            but = reader.candidates(Wanted(words, not_among=many | {titles}))
            none = reader.candidates(Wanted(words, among=frozenset()))

            assert [key for key, _ in among] == [plays]
            assert plays in {key for key, _ in but}
            assert titles not in {key for key, _ in but}
            assert none == []


def test_who_describes_a_thing_is_asked_of_each_that_fits(
    graph: Graph, keys: dict[str, int]
) -> None:
    """And what a source has ceased to describe it does not."""
    lake, catalog = frozenset({"lake"}), frozenset({"catalog"})
    with graph.store.read(LOCAL) as reader:
        of = reader.candidates(Wanted(sources=lake))
        but = reader.candidates(Wanted(not_sources=lake))
        both = reader.candidates(Wanted(sources=lake | catalog, not_sources=catalog))

    assert [key for key, _ in of] == [key for key, _ in both] == [keys["plays"]]
    assert keys["titles"] in {key for key, _ in but}
    assert keys["plays"] not in {key for key, _ in but}
    assert graph.hits("source:lake") == [PLAYS]
    assert graph.hits("source:lake owner:data") == []
    assert graph.hits("source:catalog owner:data") == [TITLES]

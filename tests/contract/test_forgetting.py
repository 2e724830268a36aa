"""Excision and retention: what is forgotten on purpose, what stays, and who is told."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pytest

from lineal.access import LOCAL
from lineal.enrich.rules import RuleBook, builtin_rules
from lineal.errors import ConfigError, NotFound
from lineal.model import Json, Moment, Record, State, Statement, Uri
from lineal.shapes import Shapes
from lineal.store import Policy, work
from tests.graphs import PLAYS, RUN, TEAM, TITLES, Graph, new, said

ALICE = Uri("mlg://user/people/alice")
VERSION = Uri("mlg://model-version/registry/ranking/v5")
CELL = Uri("mlg://ab-cell/exp/12/1")
TEST = Uri("mlg://ab-test/exp/12")


def _told(graph: Graph) -> str:
    """Everything that the store holds as text, wherever it lies."""
    with graph.store.looking() as driver:
        tables = (
            "record",
            "edge_out",
            "search_name",
            "search",
            "log_body",
            "dead_letter",
            "raw",
            "facet_value",
        )
        return "\n".join(
            str(row) for name in tables for row in driver.rows(f"SELECT * FROM {name}")
        )


def test_what_is_excised_is_gone_from_now_and_from_the_past(graph: Graph) -> None:
    graph.say(said(ALICE, source="people", name="Alice Osei", email="alice@example.org"))
    graph.say(said(ALICE, source="people", name="Alice Osei-Bonsu", email="alice@example.org"))
    graph.say(said(PLAYS, [(PLAYS, "owned_by", ALICE)], rows=1))

    done = graph.store.excise([ALICE], reason="asked for it", actor="dpo")

    assert (done.t, done.things, done.rows) == (4, (ALICE,), 2)
    for moment in (Moment(), Moment(known_t=1), Moment(known_t=2)):
        thing = graph.thing(ALICE, moment)
        assert (thing.state, thing.attributes) == (State.FORGOTTEN, {})
    assert graph.edges(PLAYS) == {("owned_by", ALICE)}
    assert "Osei" not in _told(graph)
    assert "alice@" not in _told(graph)
    assert graph.hits("osei") == []


def test_nobody_is_found_by_what_was_forgotten_of_her(graph: Graph) -> None:
    """What is personal is found by its text, is no facet, and leaves the search rows too."""
    said_of_her: dict[str, Json] = {
        one.name: [f"mine-{one.name}"] if one.type == "list" else f"mine-{one.name}"
        for one in Shapes.builtin()["user"].attributes
        if one.personal and one.search
    }
    assert {"email", "other_emails", "handle", "other_names"} <= said_of_her.keys()
    graph.say(Record("people", "alice", ALICE, (Statement(ALICE, said_of_her),), (), 1_000))
    for name in said_of_her:
        assert graph.hits(f'"mine-{name}"') == [ALICE], name

    graph.store.excise([ALICE], reason="asked for it", actor="dpo")

    for name in said_of_her:
        assert graph.hits(f'"mine-{name}"') == [], name
    assert "mine" not in _told(graph)
    assert graph.store.verify().sound


def test_an_excision_says_when_by_whom_and_why(graph: Graph) -> None:
    graph.say(said(ALICE, source="people", name="Alice"))
    done = graph.store.excise([ALICE], reason="asked for it", actor="dpo")

    with graph.store.read(LOCAL) as reader:
        (key,) = reader.keys([ALICE]).values()
        assert reader.forgotten([key]) == {key: (done.t, "excised", "asked for it")}
        assert done.t is not None
        _, actor, cause = reader.transactions([done.t])[done.t]
    assert (actor, cause) == ("dpo", "excised 1 things: asked for it")


def test_the_chain_still_proves_the_rest(graph: Graph) -> None:
    graph.say(said(ALICE, source="people", name="Alice"), said(PLAYS, rows=1))
    before = graph.store.verify()
    graph.store.excise([ALICE], reason="asked for it", actor="dpo")
    graph.store.excise([PLAYS], reason="asked for it too", actor="dpo")

    verdict = graph.store.verify()
    assert verdict.sound, verdict.disagreements
    with graph.store.looking() as driver:
        rows = driver.rows("SELECT hash, salt FROM tx WHERE t = 1")
    assert bytes(rows[0][0]).hex() == before.hash
    assert bytes(rows[0][1]) == b""


def test_what_was_excised_is_not_taken_in_again(graph: Graph) -> None:
    graph.say(said(ALICE, source="people", name="Alice"))
    graph.store.excise([ALICE], reason="asked for it", actor="dpo")

    graph.say(said(ALICE, [(ALICE, "member_of", TEAM)], source="people", name="Alice again"))

    assert graph.thing(ALICE).attributes == {}
    assert graph.edges(ALICE) == {("member_of", TEAM)}
    assert graph.store.verify().sound


def test_nothing_is_left_in_what_documents_that_speak_of_it_were_worded_from(graph: Graph) -> None:
    """It is about a team; what it was worded from, and what failed later, names members."""
    raw: dict[str, Json] = {"members": [{"name": "Alice Osei"}]}
    spoken = [Statement(ALICE, {"name": "Alice Osei"})]
    graph.say(replace(said(TEAM, source="people", parts=spoken, name="Data"), raw=raw))
    graph.say(replace(said(PLAYS, source="lake", rows=1), raw={"rows": 1}))
    with graph.store.working() as ledger:
        work.mark(ledger, "people", "doc:data", deleted=False, due_at=0)
        (dirty,) = work.due(ledger.driver, graph.clock.at, 10)
        work.bury_document(ledger, dirty, ValueError("x"), graph.clock.at, raw=raw)

    graph.store.excise([ALICE], reason="asked for it", actor="dpo")

    out = BytesIO()
    graph.store.export(out)
    assert "Osei" not in _told(graph)
    assert b"Osei" not in out.getvalue()
    with graph.store.looking() as driver:
        assert driver.rows("SELECT source, document FROM raw") == [("lake", "doc:plays")]
    assert graph.thing(TEAM).attributes == {"name": "Data"}
    assert graph.store.verify().sound


def test_nothing_is_excised_if_one_of_them_is_not_known(graph: Graph) -> None:
    graph.say(said(ALICE, source="people", name="Alice"))

    with pytest.raises(NotFound):
        graph.store.excise([ALICE, PLAYS], reason="x", actor="dpo")
    assert graph.thing(ALICE).attributes == {"name": "Alice"}


def runs(graph: Graph, *names: str) -> list[Uri]:
    """Say that these runs of one pipeline were, one after the other."""
    pipeline = Uri("mlg://pipeline/orc/job")
    found = []
    for name in names:
        run = Uri.of("run", "orc", name)
        graph.say(
            said(run, [(run, "run_of", pipeline)], source="orc", at=graph.clock.at, name=name)
        )
        found.append(run)
    return found


def old(graph: Graph, *, keep: int = 0) -> Policy:
    return Policy(frozenset({"run"}), before=graph.clock.at + 10, keep=keep)


def test_old_runs_go_and_the_newest_of_each_pipeline_stay(graph: Graph) -> None:
    first, second, third = runs(graph, "one", "two", "three")

    done = graph.store.drop(old(graph, keep=1), actor="clock")

    assert set(done.things) == {first, second}
    assert graph.thing(first).state is State.FORGOTTEN
    assert graph.thing(third).state is State.HYDRATED
    assert graph.hits("three") == [third]
    assert graph.hits("two") == []
    assert graph.store.verify().sound


def test_what_a_kept_thing_refers_to_is_kept_and_what_that_refers_to(graph: Graph) -> None:
    parent, child, lone = runs(graph, "parent", "child", "lone")
    graph.say(said(child, [(child, "part_of", parent)], source="orc", document="tree"))
    graph.say(said(VERSION, [(VERSION, "produced_by", child)], source="registry"))

    done = graph.store.drop(old(graph), actor="clock")

    assert done.things == (lone,)


def test_what_a_conclusion_rests_on_is_kept(engine: str) -> None:
    with new(engine, rules=[RuleBook(builtin_rules())]) as graph:
        graph.say(
            said(VERSION, [(VERSION, "produced_by", RUN)], source="registry"),
            said(RUN, [(RUN, "executed_for", CELL)], source="orc"),
            said(CELL, [(CELL, "cell_of", TEST)], source="exp"),
        )
        done = graph.store.drop(old(graph), actor="clock")

        assert done.things == ()
        assert done.t is None
        assert ("trained_for", TEST) in graph.edges(VERSION)


def test_dropping_goes_in_bounded_batches_until_nothing_is_left(graph: Graph) -> None:
    every = runs(graph, *(f"run-{number}" for number in range(7)))

    sizes, more = [], True
    while more:
        done = graph.store.drop(old(graph), actor="clock", limit=3)
        sizes.append(len(done.things))
        more = done.more

    assert sizes == [3, 3, 1]
    assert all(graph.thing(run).state is State.FORGOTTEN for run in every)
    assert graph.store.verify().sound


def test_a_dropped_run_comes_back_when_it_is_said_again(graph: Graph) -> None:
    (run,) = runs(graph, "one")
    graph.store.drop(old(graph), actor="clock")

    graph.say(said(run, source="orc", name="one", status="failed"))

    assert graph.thing(run).attributes == {"name": "one", "status": "failed"}
    assert graph.hits("one") == [run]
    assert graph.store.verify().sound


def test_only_occurrences_can_be_dropped(graph: Graph) -> None:
    graph.say(said(TITLES, rows=1))

    with pytest.raises(ConfigError, match="dataset"):
        graph.store.drop(Policy(frozenset({"dataset"}), before=10**15), actor="clock")

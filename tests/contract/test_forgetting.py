"""Excision and retention: what is forgotten on purpose, what stays, and who is told."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
import sqlalchemy as sa
from psycopg.rows import tuple_row

from lineal.access import LOCAL
from lineal.enrich.rules import RuleBook, builtin_rules
from lineal.errors import ConfigError, NotFound
from lineal.model import (
    EdgeStatement,
    Json,
    Moment,
    Record,
    Response,
    State,
    Statement,
    Uri,
)
from lineal.shapes import Shapes
from lineal.store import Policy, work
from lineal.store.rows import unpack_feed
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


def test_what_was_excised_of_edges_is_not_taken_in_again(graph: Graph) -> None:
    """Of those that begin at the thing and of those that lead to it, whoever states them."""

    def stated(role: str) -> tuple[Record, Record]:
        own = EdgeStatement(ALICE, "member_of", TEAM, {"role": role})
        other = EdgeStatement(PLAYS, "owned_by", ALICE, {"since": role})
        return (
            replace(said(ALICE, source="people", name="Alice"), edges=(own,)),
            replace(said(PLAYS, rows=1), edges=(other,)),
        )

    graph.say(*stated("analyst"))
    graph.store.excise([ALICE], reason="asked for it", actor="dpo")
    again = graph.say(*stated("analyst"))
    graph.say(*stated("lead"))
    with graph.store.looking() as driver:
        kept = driver.rows("SELECT attributes FROM edge_out WHERE attributes IS NOT NULL")

    assert kept == []
    assert again.t is None
    assert graph.edges(ALICE) == {("member_of", TEAM), ("owns", PLAYS)}
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


# ── What is read for it ──────────────────────────────────────────────────────────────────────────


@contextmanager
def counting_rows() -> Iterator[Counter[str]]:
    """Count every row that the driver hands out."""
    count: Counter[str] = Counter()

    def of_sqlite(_: object, row: object) -> object:
        count["rows"] += 1
        return row

    def of_postgres(cursor: Any) -> Any:
        make = tuple_row(cursor)

        def counted(values: Any) -> Any:
            count["rows"] += 1
            return make(values)

        return counted

    def watch(raw: Any, *_: object) -> None:
        raw.row_factory = of_sqlite if isinstance(raw, sqlite3.Connection) else of_postgres

    sa.event.listen(sa.pool.Pool, "checkout", watch)
    try:
        yield count
    finally:
        sa.event.remove(sa.pool.Pool, "checkout", watch)


def _read_to_forget(engine: str, size: int) -> list[int]:
    """Return how many rows are read to excise a person, and to drop a run, beside so many."""
    with counting_rows() as count, new(engine) as graph:
        things = [Uri.of("dataset", "lake", f"d{number}") for number in range(size)]
        answer = Response("https://lake.example", "ab" * 32, 1_000)
        words = [
            replace(said(thing, [(thing, "derived_from", things[0])], rows=1), response=answer)
            for thing in things
        ]
        for at in range(0, size, 100):
            graph.say(*words[at : at + 100])
        graph.say(said(ALICE, source="people", name="Alice"))
        runs(graph, "one")
        count.clear()
        graph.store.excise([ALICE], reason="asked for it", actor="dpo")
        excised = count["rows"]
        count.clear()
        assert graph.store.drop(old(graph), actor="clock").things
        return [excised, count["rows"]]


def test_what_is_read_to_forget_does_not_grow_with_the_graph(engine: str) -> None:
    small, large = _read_to_forget(engine, 200), _read_to_forget(engine, 2_000)

    assert all(0 < one < 150 for one in small)
    assert large == small


def test_reasons_that_a_feed_does_not_tell_are_sealed_anew_too(engine: str) -> None:
    """Another reason for an edge that stands changes no thing, and is a row all the same."""
    second = Uri("mlg://ab-cell/exp/12/2")
    with new(engine, rules=[RuleBook(builtin_rules())]) as graph:
        graph.say(
            said(VERSION, [(VERSION, "produced_by", RUN)], source="registry"),
            said(RUN, [(RUN, "executed_for", CELL)], source="orc"),
            said(CELL, [(CELL, "cell_of", TEST)], source="exp"),
            said(second, [(second, "cell_of", TEST)], source="exp"),
        )
        both = [(RUN, "executed_for", CELL), (RUN, "executed_for", second)]
        t = graph.say(said(RUN, both, source="orc", status="done")).t
        with graph.store.looking() as driver:
            ((src,),) = driver.rows("SELECT src FROM derivation WHERE t_from = ?", t)
            ((feed,),) = driver.rows("SELECT changed FROM tx WHERE t = ?", t)
        assert src not in unpack_feed(bytes(feed)), "else this tries nothing"

        graph.store.excise([RUN], reason="asked for it", actor="dpo")

        verdict = graph.store.verify()
        assert verdict.sound, verdict.disagreements


def test_an_answer_outlives_all_that_was_read_from_it(graph: Graph) -> None:
    """Two runs of one transaction go one after the other; the answers of both stay sealed."""
    answer = Response("https://orc.example", "ab" * 32, 1_000)
    some = [Uri.of("run", "orc", name) for name in ("one", "two", "three")]
    graph.say(*(replace(said(run, source="orc", name=run.name), response=answer) for run in some))

    for _ in some:
        assert len(graph.store.drop(old(graph), actor="clock", limit=1).things) == 1
        verdict = graph.store.verify()
        assert verdict.sound, verdict.disagreements


def test_what_is_forgotten_twice_of_one_transaction_is_sealed_twice(graph: Graph) -> None:
    graph.say(
        said(ALICE, source="people", name="Alice"),
        said(PLAYS, [(PLAYS, "owned_by", ALICE)], rows=1),
        said(RUN, [(RUN, "reads", PLAYS)], source="orc", name="run"),
    )
    graph.say(said(PLAYS, [(PLAYS, "derived_from", TITLES)], rows=2))

    graph.store.drop(old(graph), actor="clock")
    graph.store.excise([ALICE], reason="asked for it", actor="dpo")
    graph.store.excise([PLAYS], reason="asked for it", actor="dpo")

    verdict = graph.store.verify()
    assert verdict.sound, verdict.disagreements


def test_history_that_was_spoilt_can_be_forgotten_from_too(graph: Graph) -> None:
    """What somebody has the right to see forgotten does not wait for a backup."""
    graph.say(said(ALICE, source="people", name="Alice"), said(PLAYS, rows=1))
    with graph.store.working() as ledger:
        ledger.driver.run("UPDATE tx SET root = ?", b"other")

    graph.store.excise([ALICE], reason="asked for it", actor="dpo")

    assert graph.thing(ALICE).attributes == {}
    assert not graph.store.verify().sound

"""Verification finds whatever disagrees, in every table there is."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from lineal.enrich.rules import RuleBook, builtin_rules
from lineal.model import EdgeStatement, Event, Json, Response, Statement, Uri
from lineal.shapes.examining import Finding
from lineal.store import Policy, concluding, digest, schema, work
from lineal.store.driver import Driver
from tests.graphs import PLAYS, RUN, TEAM, TITLES, Graph, gone, new, said

VERSION = Uri("mlg://model-version/registry/ranking/v5")
OLD_RUN = Uri("mlg://run/orc/run-0")
CELL = Uri("mlg://ab-cell/exp/12/1")
TEST = Uri("mlg://ab-test/exp/12")


def fill(graph: Graph) -> None:
    """Write something to every table."""
    graph.store.register({("dataset", "lake"): "lake"})
    graph.say(
        said(VERSION, [(VERSION, "produced_by", RUN)], source="registry"),
        said(RUN, [(RUN, "executed_for", CELL)], source="orc", status="succeeded"),
        said(CELL, [(CELL, "cell_of", TEST)], source="exp"),
        said(OLD_RUN, [(OLD_RUN, "reads", PLAYS)], source="orc", status="failed"),
    )
    answer = Response("https://lake.example/plays", "ab" * 32, 1_000)
    first = said(PLAYS, [(PLAYS, "owned_by", TEAM)], rows=1, tags=["gold", "a::b"])
    graph.say(replace(first, response=answer, raw={"rows": 1}))
    graph.say(replace(said(TITLES, source="orc", name="Titles"), raw={"name": "Titles"}))
    graph.say(said(PLAYS, [(PLAYS, "derived_from", TITLES)], rows=2, tags=["silver"]))
    graph.say(said(TITLES, rows=5), said(TITLES, source="lake", name="All titles"))
    graph.say(gone(said(TITLES)))
    body: dict[str, Json] = {"id": "x"}
    with graph.store.working() as ledger:
        work.receive(ledger, [Event("orc", body, 1), Event("orc", {"id": "y"}, 2)])
        for name in ("a", "b"):
            work.mark(ledger, "orc", name, deleted=False, due_at=0)
            work.keep(ledger, "log", name, {"entry": name}, [f"job:{name}"], 5)
            folded = work.Settled("log", f"job:{name}", "way", None, frozenset(), (), frozenset())
            work.settle(ledger, folded)
            work.bury_event(ledger, Event("orc", {"bad": name}, 1), ValueError(name), 3)
        work.stand(ledger, "orc", failures=2, reason="down")
        work.stand(ledger, "exp", held=3, held_at=5)
        for name in ("orc", "exp"):
            work.note(ledger, at=1, actor="dpo", what="release", source=name, reason="so", count=1)
            finding = Finding("fields", name, "Nothing maps it.")
            work.note_findings(ledger, {(name, "a"): work.Examined(PLAYS, (finding,))}, 7)
    graph.store.excise([TEAM], reason="left the company", actor="dpo")
    policy = Policy(frozenset({"run"}), before=10**15, keep=0)
    assert graph.store.drop(policy, actor="clock").things == (OLD_RUN,)
    # What a rule has still to do is a row as well.
    assert graph.store.switch_rule("trained_for", enabled=False)
    assert graph.store.switch_rule("trained_for", enabled=True)


@pytest.fixture
def full(engine: str) -> Iterator[Graph]:
    with new(engine, rules=[RuleBook(builtin_rules())]) as graph:
        fill(graph)
        yield graph


TABLES = sorted([*(table.name for table in schema.metadata.sorted_tables), "search"])


def columns(graph: Graph, table: str) -> list[str]:
    if table != "search":
        return [column.name for column in schema.metadata.tables[table].columns]
    if _is_file(graph):
        return ["rowid", "name", "words", "description", "facets"]
    return ["key", "tokens", "facets"]


def _is_file(graph: Graph) -> bool:
    with graph.store.looking() as driver:
        return driver.is_sqlite


def rows_of(driver: Driver, table: str, names: list[str]) -> list[tuple[object, ...]]:
    return driver.rows(f"SELECT {', '.join(names)} FROM {table}")


def key_of(table: str, names: list[str]) -> list[str]:
    """The columns that name a row."""
    if table == "search":
        return names[:1]
    return [column.name for column in schema.metadata.tables[table].primary_key]


def other(table: str, column: str, value: object) -> object:
    """Return another value that could stand there too."""
    if column == "tokens":
        return "'other':1A"
    if isinstance(value, list):
        return [*value, 0]
    kind = str if table == "search" else kind_of(schema.metadata.tables[table].columns[column].type)
    if kind is bool:
        return not value
    if kind is int:
        return 0 if value is None else int(str(value)) + 1
    if kind is bytes:
        whole = bytes(value) if isinstance(value, bytes | memoryview) else b""
        return whole[:-1] + bytes([whole[-1] ^ 1]) if whole else b"x"
    return f"{value or ''}x"


def kind_of(column: sa.types.TypeEngine[object]) -> type:
    """The Python type of what lies in a column; a coded word lies there as its number."""
    return int if isinstance(column, schema.Coded) else column.python_type


def test_a_sound_graph_is_found_sound(full: Graph) -> None:
    verdict = full.store.verify()

    assert verdict.disagreements == ()
    assert set(verdict.counts) == set(TABLES)
    assert verdict.digest == full.store.digest()
    assert all(verdict.counts[name] for name in TABLES), "a table is empty: nothing is tried on it"


def _by_one_of_two(graph: Graph) -> None:
    """Two documents speak of a thing, and one says something else."""
    graph.say(said(PLAYS, tags=["gold"]), said(PLAYS, source="lake", tags=["a::b"]))
    graph.say(said(PLAYS, tags=["silver"]))


def _by_another_document(graph: Graph) -> None:
    """A document says something else of what another one is about."""
    part = Statement(TITLES, {"name": "All titles"})
    graph.say(said(TITLES, tags=["gold"]), said(PLAYS, source="lake", parts=[part]))
    graph.say(said(PLAYS, source="lake", parts=[Statement(TITLES, {"name": "Some titles"})]))


def _after_its_first_source(graph: Graph) -> None:
    """The source that is to speak of a thing first has deleted it, and another says more."""
    graph.store.register({("dataset", "lake"): "lake"})
    graph.say(said(PLAYS, name="Plays"), said(PLAYS, source="lake", name="All plays"))
    graph.say(gone(said(PLAYS, source="lake")))
    graph.say(said(PLAYS, name="More plays"))


def _before_its_first_source(graph: Graph) -> None:
    """A source speaks of a thing that another one is to speak of first, and never did."""
    graph.say(said(PLAYS, name="Plays"))
    graph.store.register({("dataset", "lake"): "lake"})
    graph.say(said(PLAYS, name="More plays"))


def _from_hand_to_hand(graph: Graph) -> None:
    """In one transaction one document stops to speak of a thing, and another begins."""
    part = Statement(TITLES, {"name": "Titles"})
    graph.say(said(PLAYS, parts=[part]), said(RUN, source="orc"))
    other = Statement(TITLES, {"name": "All titles"})
    graph.say(said(PLAYS), said(RUN, source="orc", parts=[other]))
    graph.say(said(PLAYS, parts=[other]), said(RUN, source="orc", parts=[part]))


def _gone_by_one_and_said_by_another(graph: Graph) -> None:
    """In one transaction the first source of things deletes them, and another speaks of them."""
    graph.store.register({("dataset", "lake"): "lake"})
    graph.say(said(PLAYS, name="Plays"), said(PLAYS, source="lake", name="All plays"))
    graph.say(gone(said(PLAYS, source="lake")), said(PLAYS, name="More plays"))
    graph.say(gone(said(TITLES, source="lake")), said(TITLES, name="Titles"))


def _what_was_excised(graph: Graph) -> None:
    """A thing of which values were forgotten on purpose goes, and comes again."""
    graph.say(said(TEAM, name="Data people"))
    graph.store.excise([TEAM], reason="left the company", actor="dpo")
    graph.say(gone(said(TEAM)))
    graph.say(said(TEAM, name="Data people again"))


@pytest.mark.parametrize(
    "history",
    [
        _by_one_of_two, _by_another_document, _after_its_first_source, _before_its_first_source,
        _from_hand_to_hand, _gone_by_one_and_said_by_another, _what_was_excised,
    ],
)  # fmt: skip
def test_what_is_found_is_what_all_documents_together_say(
    graph: Graph, history: Callable[[Graph], None]
) -> None:
    history(graph)

    assert graph.store.verify().sound


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("seed", range(3))
def test_a_value_changed_by_hand_is_found(full: Graph, table: str, seed: int) -> None:
    dice = random.Random(f"{table}{seed}")
    names = columns(full, table)
    with full.store.working() as ledger:
        driver = ledger.driver
        rows = rows_of(driver, table, names)
        dice.shuffle(rows)
        keys = key_of(table, names)
        free = [name for name in names if name not in keys] or names
        row, column = dice.choice(rows), dice.choice(free)
        values = dict(zip(names, row, strict=True))
        where = " AND ".join(f"{name} = ?" for name in keys)
        cast = "CAST(? AS tsvector)" if column == "tokens" else "?"
        driver.run(
            f"UPDATE {table} SET {column} = {cast} WHERE {where}",
            other(table, column, values[column]),
            *(values[name] for name in keys),
        )

    assert not full.store.verify().sound, f"{table}.{column} of {values}"


@pytest.mark.parametrize("table", TABLES)
def test_a_row_dropped_by_hand_is_found(full: Graph, table: str) -> None:
    dice = random.Random(table)
    names = columns(full, table)
    with full.store.working() as ledger:
        row = dict(zip(names, dice.choice(rows_of(ledger.driver, table, names)), strict=True))
        keys = key_of(table, names)
        where = " AND ".join(f"{name} = ?" for name in keys)
        assert ledger.driver.run(f"DELETE FROM {table} WHERE {where}", *(row[k] for k in keys)) == 1

    verdict = full.store.verify()
    assert not verdict.sound, f"{table}: {row}"


@pytest.mark.parametrize("table", TABLES)
def test_a_row_doubled_by_hand_is_found(full: Graph, table: str) -> None:
    """No table takes the very same row twice; the double has another key."""
    dice = random.Random(table)
    names = columns(full, table)
    with full.store.working() as ledger:
        row = dict(zip(names, dice.choice(rows_of(ledger.driver, table, names)), strict=True))
        double = _double(table, row)
        marks = ", ".join("CAST(? AS tsvector)" if name == "tokens" else "?" for name in names)
        text = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"
        ledger.driver.run(text, *double.values())

    assert not full.store.verify().sound, f"{table}: {double}"


def _double(table: str, row: dict[str, object]) -> dict[str, object]:
    unique = {
        "tx": ("token",), "term": ("text",), "document": ("name",), "facet_value": ("value",),
    }  # fmt: skip
    if table == "search":
        key = next(iter(row))
        return {**row, key: 10**6}
    names = [column.name for column in schema.metadata.tables[table].primary_key]
    last = names[-1]
    double = {**row, last: _far(row[last])}
    for name in unique.get(table, ()):
        double[name] = f"{row[name]} again"
    return double


def _far(value: object) -> object:
    if isinstance(value, int):
        return value + 10**4
    return bytes(value) + b"x" if isinstance(value, bytes | memoryview) else f"{value} again"


@pytest.mark.parametrize("table", ["record", "edge_out", "derivation"])
def test_what_stands_twice_is_named(full: Graph, table: str) -> None:
    """Seals prove that Lineal wrote a row, and not that it was right to."""
    names = columns(full, table)
    with full.store.working() as ledger:
        rows = [dict(zip(names, row, strict=True)) for row in rows_of(ledger.driver, table, names)]
        row = next(row for row in rows if row["t_to"] is None)
        marks = ", ".join("?" for _ in names)
        ledger.driver.run(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})",
            *{**row, "t_from": 2 + int(str(row["t_from"]))}.values(),
        )

    told = [one.what for one in full.store.verify().disagreements if one.table == table]
    assert any("stands 2 times" in what for what in told), told


def test_a_notice_that_nobody_can_account_for_is_found(full: Graph) -> None:
    """P11: the counts agree with the ledger, but not with what lies there."""
    with full.store.working() as ledger:
        ledger.flow.add("orc", "accepted", 1)

    (found,) = full.store.verify().disagreements

    assert (found.table, "orc" in found.what, "1 notices" in found.what) == ("flow", True, True)


def test_every_table_of_the_schema_is_tried() -> None:
    assert set(TABLES) - {"search"} == set(schema.metadata.tables)
    assert all(isinstance(table, sa.Table) for table in schema.metadata.sorted_tables)


def test_reasons_that_come_in_a_piece_of_work_to_edges_that_stand_are_sealed(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an edge begins nor ends, and yet it is a transaction of its own."""
    monkeypatch.setattr(concluding, "MOST", 1)
    cells = [Uri.of("ab-cell", "exp", "12", str(number)) for number in (1, 2)]
    runs = [Uri.of("run", "orc", f"r{number}") for number in range(6)]
    made = [Uri.of("model-version", "registry", "ranking", f"v{run}") for run in range(6)]
    with new(engine, rules=[RuleBook(builtin_rules())]) as graph:
        for number, (run, version) in enumerate(zip(runs, made, strict=True)):
            graph.say(said(version, [(version, "produced_by", run)], source="registry"))
            both = [(run, "executed_for", cell) for cell in cells]
            graph.say(said(run, both, source="orc", status=f"{number}"))
        for cell in cells:
            graph.say(said(cell, [(cell, "cell_of", TEST)], source="exp"))
            with graph.store.looking() as driver:
                before = _counts(driver)
            while graph.store.follow_rules():
                pass
        with graph.store.looking() as driver:
            after = _counts(driver)

        # The second cell brought reasons, and no edges.
        assert before == {"edge_out": before["edge_out"], "derivation": 6}
        assert after == {"edge_out": before["edge_out"], "derivation": 12}
        assert graph.store.verify().sound
        # So it stays when more comes to the same things.
        graph.say(gone(said(cells[0], source="exp")))
        while graph.store.follow_rules():
            pass
        assert graph.store.verify().sound


def _peak(engine: str, documents: int) -> int:
    """Return how much memory a verification takes, of so many documents with 100 edges each."""
    note = "x" * 2_000
    with new(engine) as graph:
        for number in range(documents):
            thing = Uri.of("dataset", "lake", f"d{number}")
            edges = tuple(
                EdgeStatement(
                    thing, "derived_from", Uri.of("dataset", "lake", f"s{end}"), {"a": note}
                )
                for end in range(100)
            )
            graph.say(replace(said(thing), edges=edges))
        tracemalloc.start()
        assert graph.store.verify().sound
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak


def test_a_verification_does_not_hold_what_it_looks_at(engine: str) -> None:
    """Of 40,000 kB of edges it holds little more than of 10,000."""
    small, large = _peak(engine, 50), _peak(engine, 200)

    assert large - small < 10_000_000


def test_a_digest_is_the_same_however_much_is_sorted_at_once(
    full: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = full.store.digest()
    monkeypatch.setattr(digest, "PORTION", 300)
    monkeypatch.setattr(digest, "TOGETHER", 2)

    assert full.store.digest() == whole


def _counts(driver: Driver) -> dict[str, int]:
    found = {}
    for table in ("edge_out", "derivation"):
        row = driver.row(f"SELECT count(*) FROM {table} WHERE t_to IS NULL")
        assert row is not None
        found[table] = int(row[0])
    return found

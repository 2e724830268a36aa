"""A first load writes a new file beside the empty one: the same graph, or nothing at all."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from lineal.access import LOCAL
from lineal.enrich.identity import PartsFollow
from lineal.enrich.rules import RuleBook, builtin_rules
from lineal.errors import NotFound, StoreError
from lineal.model import (
    EdgeStatement,
    Event,
    Layer,
    Moment,
    Record,
    Response,
    Statement,
    Uri,
)
from lineal.query import Questions
from lineal.search import describing
from lineal.shapes import Shapes
from lineal.store import Batch, Rules, Store, work

SHAPES = Shapes.builtin()
SEEDS = range(4)
#: How many records are one transaction here.
SOME = 40
CELL, TEST = Uri("mlg://ab-cell/exp/x/1"), Uri("mlg://ab-test/exp/x")


@pytest.fixture(autouse=True)
def _few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lineal.store.LOADED", SOME)
    monkeypatch.setattr("lineal.store.first.LOADED", SOME)


def _store(path: Path) -> Store:
    rules: list[Rules] = [PartsFollow(SHAPES.level_kinds), RuleBook(builtin_rules())]
    return Store(path, shapes=SHAPES, rules=rules, describe=describing(SHAPES), now=lambda: 50_000)


def _table(number: int) -> Uri:
    return Uri(f"mlg://dataset/lake/t{number}")


def _edge(start: Uri, end: Uri) -> EdgeStatement:
    """What is said of an edge is the same whenever it is said."""
    dice = Random(f"{start} {end}")
    return EdgeStatement(
        start, "derived_from", end,
        {"via": "sql"} if dice.random() < 0.3 else {},
        dice.choice((Layer.DECLARED, Layer.OBSERVED)),
        dice.choice((None, 1_000)),
        dice.choice((None, None, 9_000)),
    )  # fmt: skip


def _estate(seed: int) -> list[Record]:
    """
    Records as estates have them, in no order.

    Things are named before they are described, several sources speak of one, documents come
    again, older or newer; edges are said twice, end, have attributes; a rule follows from some.
    """
    dice = Random(seed)
    found = []
    for number in range(150):
        table = _table(dice.randrange(80))
        edges = [_edge(table, _table(dice.randrange(80))) for _ in range(dice.randrange(4))]
        column = table.part("column", "amount")
        edges.append(EdgeStatement(column, "column_of", table))
        if dice.random() < 0.5:
            other = _table(dice.randrange(80)).part("column", "amount")
            edges.append(EdgeStatement(column, "derived_from", other))
        statements = [
            Statement(table, {"name": f"Table {number}", "tags": [f"tier::{number % 3}"]})
        ]
        if dice.random() < 0.5:
            statements.append(Statement(column, {"type": "int", "description": "Größe"}, 2_000))
        source = dice.choice(("lake", "catalog"))
        said_at = dice.choice((None, 5_000 + dice.randrange(100)))
        found.append(Record(
            source, str(table), table, tuple(statements), tuple(edges), 10_000 + number, said_at,
            Response("http://tool/x", "ab" * 32, 10_000) if dice.random() < 0.2 else None,
            {"amount": number} if dice.random() < 0.3 else None,
        ))  # fmt: skip
    for number in range(20):
        version, run = (
            Uri(f"mlg://model-version/registry/m{number}"), Uri(f"mlg://run/orc/r{number}"),
        )  # fmt: skip
        made = (EdgeStatement(version, "produced_by", run),)
        ran = (EdgeStatement(run, "executed_for", CELL),)
        found.append(Record("tool", str(version), version, (Statement(version, {}),), made, 11_000))
        found.append(Record("tool", str(run), run, (Statement(run, {}),), ran, 11_000))
    cell = (EdgeStatement(CELL, "cell_of", TEST),)
    found.append(Record("exp", "x", TEST, (Statement(TEST, {"status": "ACTIVE"}),), cell, 11_000))
    named = (EdgeStatement(_table(1), "same_as", _table(2)),)
    found.append(Record("people", "same", _table(1), (), named, 11_000))
    dice.shuffle(found)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_it_is_the_graph_that_commits_make(tmp_path: Path, seed: int) -> None:
    records = _estate(seed)
    told: list[int] = []
    with closing(_store(tmp_path / "a.db")) as loaded, closing(_store(tmp_path / "b.db")) as usual:
        for store in (loaded, usual):
            store.register({("dataset", "lake"): "lake"})
        done = loaded.load(iter(records), actor="a", cause="b", progress=told.append)
        assert done.count == len(records)
        for at in range(0, len(records), SOME):
            usual.commit(Batch(records[at : at + SOME], "a", "b"))

        assert loaded.verify().disagreements == ()
        assert loaded.digest() == usual.digest()
        with loaded.looking() as one, usual.looking() as other:
            text = "SELECT source, document, body FROM raw ORDER BY source, document"
            assert one.rows(text) == other.rows(text) != []
        assert told == sorted(told)
        assert told[-1] == len(records)
        for uri in (_table(1), _table(7), CELL, TEST, Uri("mlg://model-version/registry/m3")):
            ours, theirs = (Questions(store).get(LOCAL, uri).value for store in (loaded, usual))
            assert (ours.attributes, ours.state) == (theirs.attributes, theirs.state)
        for question in ("tag:tier", "table", "type:run r7"):
            found = [Questions(store).search(LOCAL, question).value for store in (loaded, usual)]
            assert {hit.uri for hit in found[0].hits} == {hit.uri for hit in found[1].hits} != set()
            assert found[0].facets == found[1].facets


def test_what_follows_is_explained_and_goes_with_its_reason(tmp_path: Path) -> None:
    version, run = Uri("mlg://model-version/registry/m3"), Uri("mlg://run/orc/r3")
    with closing(_store(tmp_path / "a.db")) as store:
        store.load(_estate(0), actor="a", cause="b")
        why = Questions(store).explain(LOCAL, version, "trained_for", TEST).value
        assert [reason.rule for reason in why.reasons] == ["trained_for"]

        store.commit(
            Batch([Record("tool", str(run), run, (Statement(run, {}),), (), 12_000)], "a", "b")
        )

        with pytest.raises(NotFound):
            Questions(store).explain(LOCAL, version, "trained_for", TEST)
        assert store.verify().disagreements == ()


def test_who_reads_goes_on_with_what_was(tmp_path: Path) -> None:
    with closing(_store(tmp_path / "a.db")) as store:
        with store.working() as ledger:
            work.receive(ledger, [Event("tool", {"id": "1"}, 1)])
        with store.read(LOCAL) as before:
            with store.working() as ledger:
                work.receive(ledger, [Event("tool", {"id": "2"}, 2)])
            store.load(_estate(0), actor="a", cause="b")
            assert before.keys([_table(1)]) == {}
        assert store.attributes(LOCAL, _table(1)) is not None
        assert store.verify().disagreements == ()


def test_what_was_waiting_is_still_there_and_reading_goes_over(tmp_path: Path) -> None:
    with closing(_store(tmp_path / "a.db")) as store:
        with store.working() as ledger:
            work.receive(ledger, [Event("tool", {"id": "1"}, 1)])
        assert store.attributes(LOCAL, _table(1)) is None
        store.load(_estate(0), actor="a", cause="b")

        assert store.attributes(LOCAL, _table(1)) is not None
        with store.working() as ledger:
            assert len(work.waiting(ledger, 10)) == 1
        with store.read(LOCAL, Moment(known_t=1)) as early:
            assert early.basis.t == 1
    with closing(_store(tmp_path / "a.db")) as again:
        assert again.verify().disagreements == ()


def test_a_source_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def some() -> Iterator[Record]:
        yield from _estate(0)
        raise RuntimeError("the source has gone")

    with closing(_store(tmp_path / "a.db")) as store:
        with pytest.raises(RuntimeError, match="gone"):
            store.load(some(), actor="a", cause="b")
        assert store.attributes(LOCAL, _table(1)) is None
        assert sorted(path.name for path in tmp_path.iterdir() if "part" in path.name) == []

        assert store.load(_estate(0), actor="a", cause="b").count == len(_estate(0))
        assert store.verify().disagreements == ()


def test_a_second_process_that_dies_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    if not children.exists():
        pytest.skip("The children of a process are not told by this system.")

    def kill(_: int) -> None:
        for child in children.read_text().split():
            if b"lineal.store.first.hand" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(int(child), signal.SIGKILL)

    with closing(_store(tmp_path / "a.db")) as store:
        with pytest.raises(StoreError, match="has gone"):
            store.load(_estate(0), actor="a", cause="b", progress=kill)
        assert store.attributes(LOCAL, _table(1)) is None
        assert sorted(path.name for path in tmp_path.iterdir() if "part" in path.name) == []

        store.load(_estate(0), actor="a", cause="b")
        assert store.verify().disagreements == ()


def test_a_value_that_no_row_can_hold_is_told(tmp_path: Path) -> None:
    wrong = Record("lake", "x", _table(1), (Statement(_table(1), {}, -(1 << 70)),), (), 10_000)
    with closing(_store(tmp_path / "a.db")) as store:
        with pytest.raises(StoreError, match="OverflowError"):
            store.load([*_estate(0), wrong], actor="a", cause="b")
        assert store.attributes(LOCAL, _table(1)) is None


def test_what_is_too_much_to_remember_is_committed_as_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = _estate(1)
    monkeypatch.setattr("lineal.store.first.MOST_NAMES", 60)
    with closing(_store(tmp_path / "a.db")) as store, closing(_store(tmp_path / "b.db")) as usual:
        assert store.load(records, actor="a", cause="b").count == len(records)
        usual.commit(Batch(records, "a", "b"))
        assert store.digest() == usual.digest()
        assert store.verify().disagreements == ()


def test_a_database_in_use_is_not_written_anew(tmp_path: Path) -> None:
    with closing(_store(tmp_path / "a.db")) as store:
        mine = Record("mine", "x", _table(99), (Statement(_table(99), {"name": "Mine"}),), (), 1)
        store.commit(Batch([mine], "me", "before"))
        store.load(_estate(2), actor="a", cause="b")
        assert store.attributes(LOCAL, _table(99)) is not None
        assert store.verify().disagreements == ()


# ── What rules conclude, once each ───────────────────────────────────────────────────────────────

MADE, MADE_BY, RAN = (
    Uri("mlg://model-version/registry/made"), Uri("mlg://run/orc/made"), Uri("mlg://run/lab/ran"),
)  # fmt: skip
OWNER, MODEL = Uri("mlg://team/people/owner"), Uri("mlg://model/registry/owned")
TAKEN, FED, MAKER = _table(900), _table(901), Uri("mlg://pipeline/orc/maker")


def _states(thing: Uri, *edges: tuple[Uri, str, Uri]) -> Record:
    stated = tuple(EdgeStatement(*edge) for edge in edges)
    return Record("tool", str(thing), thing, (Statement(thing, {}),), stated, 11_000)


def _trained() -> list[Record]:
    """A version was made by a run that is known by another name to have been for a cell."""
    return [
        *(_states(_table(number)) for number in range(2 * SOME)),
        _states(MADE, (MADE, "produced_by", MADE_BY)),
        _states(RAN, (RAN, "executed_for", CELL)),
        _states(TEST, (CELL, "cell_of", TEST)),
        _states(MADE_BY, (MADE_BY, "same_as", RAN)),
    ]


def _relying(taken: Uri = TAKEN) -> list[Record]:
    """A team owns a model that is trained on what a pipeline makes, perhaps by another name."""
    joined = [] if taken == TAKEN else [_states(taken, (taken, "same_as", TAKEN))]
    return [
        *(_states(_table(number)) for number in range(2 * SOME)),
        _states(MODEL, (MODEL, "owned_by", OWNER), (MODEL, "trained_on", taken)),
        _states(TAKEN, (TAKEN, "produced_by", MAKER)),
        *joined,
    ]


def _standing(store: Store, kind: str) -> int:
    """How many claims stand of a kind, and of how many derivations?"""
    with store.looking() as driver:
        counts = [
            driver.row(
                f"SELECT count(*) FROM {table} JOIN term ON term.id = {table}.kind"
                " WHERE term.text = ? AND t_to IS NULL",
                kind,
            )
            for table in ("edge_out", "derivation")
        ]
    assert counts[0] == counts[1]
    assert counts[0] is not None
    return int(counts[0][0])


@pytest.mark.parametrize(
    ("records", "kind", "count"),
    [(_trained(), "trained_for", 1), (_relying(FED), "relies_on", 0)],
    ids=["in use", "not in use"],
)
def test_names_that_are_joined_make_no_rule_conclude_twice_or_unasked(
    tmp_path: Path, records: list[Record], kind: str, count: int
) -> None:
    with closing(_store(tmp_path / "a.db")) as loaded, closing(_store(tmp_path / "b.db")) as usual:
        loaded.load(records, actor="a", cause="b")
        usual.commit(Batch(records, "a", "b"))

        assert [_standing(store, kind) for store in (loaded, usual)] == [count, count]
        assert loaded.digest() == usual.digest()
        for store in (loaded, usual):
            store.commit(Batch([_states(RAN)], "a", "b"))
            assert _standing(store, kind) == 0
            assert store.verify().disagreements == ()
        assert loaded.digest() == usual.digest()


@pytest.mark.parametrize(
    ("records", "kind", "enabled"),
    [(_trained(), "trained_for", False), (_relying(), "relies_on", True)],
    ids=["switched off", "switched on"],
)
def test_rules_conclude_as_they_were_switched_before_the_load(
    tmp_path: Path, records: list[Record], kind: str, enabled: bool
) -> None:
    with closing(_store(tmp_path / "a.db")) as store:
        assert store.switch_rule(kind, enabled=enabled)
        while store.follow_rules():
            pass
        assert store.is_blank()

        store.load(records, actor="a", cause="b")

        assert _standing(store, kind) == int(enabled)
        store.switch_rule(kind, enabled=not enabled)
        while store.follow_rules():
            pass
        assert _standing(store, kind) == int(not enabled)
        assert store.verify().disagreements == ()

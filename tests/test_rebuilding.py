"""Wording anew from what was kept, without asking: and what is kept at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.errors import NotFound
from lineal.ingest import Tally
from lineal.model import Json, Uri
from lineal.sources import Habits
from lineal.sources.allowed import allowed, fields_of
from lineal.sources.compiling import load
from lineal.sources.http import HttpSource
from lineal.store import work
from lineal.testing.estate.server import Estate
from tests.databases import ENGINES, fresh
from tests.estate import SOURCES
from tests.simulated import SECOND, Rig, Tool

MODEL = Uri("mlg://model/registry/ranking-v5")


@pytest.fixture(params=ENGINES)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    habits = Habits(looks=(30.0,), sweep=None)
    with fresh(request.param, tmp_path) as place:
        found = Rig(place, Tool(habits=habits))
        yield found
        found.close()


def rebuilt(rig: Rig) -> tuple[int, int]:
    done = rig.ingest.rebuild("tool", Tally())
    return done.reworded, done.left


def test_everything_is_worded_anew_and_nobody_is_asked(rig: Rig) -> None:
    for number in range(30):
        rig.tool.put(f"t{number:02}", number)
    rig.ingest.sweep("tool")
    rig.work()
    rig.tool.asked.clear()
    confirmed = rig.accounts()["tool"].confirmed_at
    rig.clock.wait(60)

    assert rebuilt(rig) == (30, 0)
    assert rig.known() == {f"t{number:02}": 2 * number for number in range(30)}
    assert rig.tool.asked == []
    assert rig.rows("SELECT count(*) FROM watch WHERE due_at IS NOT NULL") == [(0,)]
    assert rig.accounts()["tool"].confirmed_at == confirmed, "the source has confirmed nothing"
    assert rig.store.verify().sound


def test_saying_it_twice_changes_nothing_more(rig: Rig) -> None:
    rig.tool.put("a", 5)
    rig.tell("a")
    rig.work()
    rebuilt(rig)
    digest = rig.store.digest()

    assert rebuilt(rig) == (1, 0)
    assert rig.store.digest() == digest


def test_what_an_event_marked_is_asked_for_and_counts(rig: Rig) -> None:
    rig.tool.put("a", 5)
    rig.tool.put("b", 6)
    rig.tell("a", "b")
    rig.work()
    rig.tool.put("a", 7)
    rig.ingest.receive("tool", [rig.tool.event("a")])
    with rig.store.working() as ledger:
        rig.ingest._understanding.understand(ledger, work.Taking("", 0, {}))

    assert rebuilt(rig) == (1, 1)
    rig.work()
    assert rig.known() == {"a": 7, "b": 12}


def test_a_second_look_that_is_due_still_comes(rig: Rig) -> None:
    rig.tool.put("a", 5)
    rig.tell("a")
    rig.work()
    due = rig.clock.at + 30 * SECOND
    rig.clock.wait(10)
    rebuilt(rig)
    ((found, looks),) = rig.rows("SELECT due_at, looks FROM watch")

    assert (abs(found - due) < SECOND, looks) == (True, 1)


def test_what_does_not_fit_any_more_is_asked_for(rig: Rig) -> None:
    rig.tool.put("a", 5)
    rig.tool.put("b", 6)
    rig.tell("a", "b")
    rig.work()
    rig.tool.unfit = (5,)
    rig.tool.asked.clear()

    assert rebuilt(rig) == (1, 1)
    rig.work()
    assert rig.tool.asked == [("a",)]
    assert rig.known() == {"a": 5, "b": 12}


def test_of_what_was_forgotten_nothing_is_kept(rig: Rig) -> None:
    for name in "ab":
        rig.tool.put(name, 5)
    rig.tell("a", "b")
    rig.work()
    kept = rig.rows("SELECT document FROM raw ORDER BY document")
    rig.store.excise([Uri("mlg://dataset/sim/a")], reason="asked to", actor="dpo")
    gone = rig.rows("SELECT document FROM raw")
    rig.tool.put("a", 6)
    rig.tell("a")
    rig.work()

    assert kept == [("thing:a",), ("thing:b",)]
    assert gone == rig.rows("SELECT document FROM raw") == [("thing:b",)]


def test_of_what_is_gone_nothing_is_kept(rig: Rig) -> None:
    rig.tool.put("a", 5)
    rig.tell("a")
    rig.work()
    del rig.tool.things["a"]
    rig.tell("a")
    rig.work()

    assert rig.rows("SELECT count(*) FROM raw") == [(0,)]


def test_only_a_known_source_is_rebuilt(rig: Rig) -> None:
    with pytest.raises(NotFound, match="nobody"):
        rig.ingest.rebuild("nobody", Tally())


def test_a_log_is_folded_anew(tmp_path: Path) -> None:
    event: dict[str, Json] = {
        "eventTime": "2026-01-01T00:00:00Z", "producer": "https://x.example",
        "dataset": {"namespace": "ns", "name": "t"},
    }  # fmt: skip
    with Lineal.open(Config(db=tmp_path / "graph.db")) as lineal:
        lineal.receive_log([event])
        lineal.drain()
        done, _ = lineal.rebuild("openlineage")
        digest = lineal.store.digest()

        assert done.reworded > 0
        assert set(lineal.drain().documents) == {"same"}
        assert lineal.store.digest() == digest


def test_a_changed_map_is_seen_after_a_rebuild_while_the_source_is_gone(tmp_path: Path) -> None:
    """Over HTTP: the registry's file gives the objective another name; then the tool is off."""
    file = tmp_path / "registry.yaml"
    text = (SOURCES / "registry.yaml").read_text("utf-8")
    file.write_text(text, "utf-8")
    with Estate(seed=7, scale=0.1) as estate:
        variables = {"ESTATE_URL": estate.url}
        config = Config(db=tmp_path / "graph.db", sources=(file,), variables=variables)
        with Lineal.open(config) as lineal:
            event: dict[str, Json] = {"event_type": "model_updated", "model_id": "ranking-v5"}
            lineal.receive("registry", [event])
            lineal.drain()
            before = lineal.ask.get(LOCAL, MODEL).value.attributes
            with lineal.store.looking() as driver:
                rows = driver.rows("SELECT document, body FROM raw")
                bodies: dict[str, str] = {row[0]: row[1] for row in rows}
    file.write_text(text.replace("objective: objective", "task: objective"), "utf-8")
    with Lineal.open(config) as lineal:
        done, tally = lineal.rebuild("registry")
        after = lineal.ask.get(LOCAL, MODEL).value.attributes

    assert "objective" in before
    assert (done.reworded > 0, done.left, tally.documents["changed"] > 0) == (True, 0, True)
    assert after["task"] == before["objective"]
    assert "objective" not in after
    assert '"etag"' not in bodies["model:ranking-v5"], "what is not mapped is not kept"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("name", {"name"}),
        ("a.b.c", {"a"}),
        ("a[0].b", {"a"}),
        ("tables[?snapshot == `null`].id", {"tables"}),
        ("tables[].columns[].name", {"tables"}),
        ("labels.*", {"labels"}),
        ("{x: a, y: b.c}", {"a", "b"}),
        ("[a, b]", {"a", "b"}),
        ("a || b && !c", {"a", "b", "c"}),
        ("a | [0]", {"a"}),
        ("join('/', [a, b])", {"a", "b"}),
        ("if(a == 'x', b, `null`)", {"a", "b"}),
        ("$.a.b", {"a"}),
        ("list[?id == $.main]", {"list", "main"}),
        ("sort_by(items, &at)", {"items", "at"}),
        ("`1`", set()),
        ("entries(@)", None),
        ("hash($)", None),
        ("*", None),
        ("@.a", None),
        ("[0]", None),
    ],
)
def test_the_fields_an_expression_looks_at(text: str, found: set[str] | None) -> None:
    """Rather one too many, or none at all, than one too few: then it could not be worded anew."""
    assert fields_of(text) == found


@pytest.mark.parametrize("name", sorted(path.stem for path in SOURCES.glob("*.yaml")))
def test_what_is_kept_is_enough_to_word_every_document_of_the_estate(name: str) -> None:
    with Estate(seed=7, scale=0.05) as estate:
        plan = load(SOURCES / f"{name}.yaml", variables={"ESTATE_URL": estate.url})
        kept = {of: allowed(resource) for of, resource in plan.written.resources.items()}
        tool = HttpSource(plan)
        seen: dict[str, int] = {}
        for listed in tool.list():
            if seen.setdefault(listed.key.resource, 0) >= 5:
                continue
            seen[listed.key.resource] += 1
            record = tool.fetch(listed.key).record
            assert record is not None
            assert (record.raw is None) == (kept[listed.key.resource] is None)
            if record.raw is not None:
                anew = tool.reword(listed.key, record.raw, record.observed_at)
                assert without(anew) == without(record)
        tool.close()
    assert seen


def without(record: Any) -> Any:
    """Return a record without the answer that it was read from."""
    return replace(record, response=None)

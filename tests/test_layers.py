"""Every question is answered over the layers asked for, and unasked over no mere suggestion."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from starlette.testclient import TestClient

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.model import EdgeStatement, Layer, Record, Statement, Uri
from lineal.query import BELIEVED, SWEEP, Ask, Questions
from lineal.store import Batch
from lineal.surfaces.cli import main
from lineal.surfaces.server import create
from tests import world

MAYBE = frozenset({*BELIEVED, "suggested"})


def here(kind: str, name: str) -> Uri:
    return Uri.of(kind, "here", name)


DATA, SET, FEATURE = here("dataset", "d"), here("feature-set", "s"), here("feature", "s.f")
ONE, OTHER, LIVE, TEAM = (
    here("model", "one"), here("model", "other"), here("deployment", "live"), here("team", "t"),
)  # fmt: skip
#: All that is known: the first two are only suggested.
EDGES = [
    EdgeStatement(ONE, "consumes", SET, layer=Layer.SUGGESTED),
    EdgeStatement(ONE, "owned_by", TEAM, layer=Layer.SUGGESTED),
    EdgeStatement(OTHER, "consumes", SET),
    EdgeStatement(OTHER, "consumes", here("feature", "more")),
    EdgeStatement(FEATURE, "in_set", SET),
    EdgeStatement(SET, "derived_from", DATA),
    EdgeStatement(LIVE, "deploys", ONE),
]


@pytest.fixture(scope="module")
def lineal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lineal]:
    folder: Path = tmp_path_factory.mktemp("layers")
    clock = world.Clock(world.FIRST)
    with Lineal.open(Config(db=folder / "a.db"), clock=clock) as found:
        said = [
            Record("tool", f"edge {n}", one.start, (named(one.start),), (one,), world.FIRST)
            for n, one in enumerate(EDGES)
        ]
        serving = Statement(LIVE, {"status": "serving"})
        table = Statement(DATA, {"name": "d"})
        said.append(Record("tool", "live", LIVE, (serving,), (), world.FIRST))
        said.append(Record("tool", "data", DATA, (table,), (), world.FIRST))
        found.store.commit(Batch(said, "test", "test"))
        clock.at = world.NOW
        yield found


def named(uri: Uri) -> Statement:
    return Statement(uri, {"name": uri.name})


def uris(things: Collection[Any]) -> set[Uri]:
    return {one.uri for one in things}


Asked = Callable[[Questions, frozenset[str]], bool]
#: For each question, whether what is only suggested is in its answer.
QUESTIONS: dict[str, Asked] = {
    "neighbours": lambda ask, of: SET in uris(
        [one.other for one in ask.neighbours(LOCAL, ONE, layers=of).value]
    ),
    "lineage": lambda ask, of: DATA in uris(
        [one.thing for one in ask.lineage(LOCAL, [ONE], ask=Ask(layers=of)).value.nodes]
    ),
    "complete_lineage": lambda ask, of: DATA in uris(
        [one.thing for one in ask.complete_lineage(LOCAL, ONE, layers=of).value.nodes]
    ),
    "paths": lambda ask, of: bool(ask.paths(LOCAL, DATA, ONE, ask=Ask(layers=of)).value),
    "between": lambda ask, of: bool(ask.between(LOCAL, DATA, ONE, ask=Ask(layers=of)).value.arrows),
    "closure": lambda ask, of: ONE in uris(
        [one.entity for one in ask.closure(LOCAL, [DATA], ask=Ask(layers=of)).value.members]
    ),
    "common": lambda ask, of: bool(
        ask.common(LOCAL, [ONE, OTHER], ask=Ask(layers=of)).value.things
    ),
    "impact": lambda ask, of: ONE in uris(
        [one.thing for one in ask.impact(LOCAL, [DATA], ask=Ask(layers=of)).value.hits]
    ),
    "shared": lambda ask, of: bool(
        ask.shared(LOCAL, ask=Ask(SWEEP.budget, layers=of)).value
    ),
    "unused": lambda ask, of: not ask.unused(
        LOCAL, types=["dataset"], days=0, ask=Ask(SWEEP.budget, layers=of)
    ).value,
    "similar": lambda ask, of: bool(ask.similar(LOCAL, ONE, layers=of).value),
    "wanted": lambda ask, of: bool(ask.wanted(LOCAL, ONE, layers=of).value),
    "search": lambda ask, of: bool(ask.search(LOCAL, "owner:t", layers=of).value.hits),
    "feeds": lambda ask, of: bool(ask.feeds(LOCAL, ONE, layers=of).value.features),
    "data_behind": lambda ask, of: bool(ask.data_behind(LOCAL, ONE, layers=of).value),
    "models_downstream": lambda ask, of: ONE in uris(
        ask.models_downstream(LOCAL, DATA, layers=of).value
    ),
    "consumers": lambda ask, of: ONE in uris(
        [one.model for one in ask.consumers(LOCAL, FEATURE, layers=of).value]
    ),
    "sharers": lambda ask, of: bool(ask.sharers(LOCAL, ONE, layers=of).value),
    "owners_of_chain": lambda ask, of: any(
        one.owners for one in ask.owners_of_chain(LOCAL, ONE, layers=of).value
    ),
}  # fmt: skip
#: Those that are asked of what this small graph does not hold; that they take layers is seen below.
OTHERS = {
    *("data_pipelines", "tests_of", "versions_in", "data_under", "around", "retirable"),
}
#: Those that show edges of all layers, each with its layer; or none at all.
ALL = {
    *("get", "explain", "history", "recent", "names", "concluded", "counts", "diff"),
    *(
        "diff_lineage",
        "diff_type",
        "schema_changes",
        "preview_merge",
        "preview_split",
        "suggestions",
    ),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_suggestion_is_no_answer_unless_asked_for(name: str, lineal: Lineal) -> None:
    asked = QUESTIONS[name]

    assert not asked(lineal.ask, BELIEVED)
    assert asked(lineal.ask, MAYBE)
    assert not asked(lineal.ask, frozenset({"observed"}))


@pytest.mark.parametrize("name", QUESTIONS)
def test_memory_answers_over_the_same_layers(name: str, lineal: Lineal) -> None:
    from lineal.query.index import Index  # noqa: PLC0415

    index = Index(lineal.store)
    index.start()
    try:
        ask = Questions(lineal.store, index=index)
        for of in (BELIEVED, MAYBE):
            assert QUESTIONS[name](ask, of) == QUESTIONS[name](lineal.ask, of)
    finally:
        index.stop()


def test_every_question_takes_layers_or_shows_them() -> None:
    methods = {
        name: inspect.signature(method).parameters
        for name, method in inspect.getmembers(Questions, inspect.isfunction)
        if not name.startswith("_")
    }
    taking = {name for name, given in methods.items() if {"layers", "ask"} & set(given)}

    assert methods.keys() == QUESTIONS.keys() | OTHERS | ALL
    assert QUESTIONS.keys() | OTHERS <= taking
    for name in taking - ALL:
        given = methods[name]
        usual = given["layers"].default if "layers" in given else given["ask"].default.layers
        assert "suggested" not in usual, name


def test_every_surface_takes_them(lineal: Lineal) -> None:
    with TestClient(create(lineal), base_url="http://127.0.0.1:8585") as client:
        paths = client.get("/api/v1/openapi.json").json()["paths"]
        by_rest = client.get("/api/v1/search?q=owner:t&layers=suggested,declared").json()["total"]
        unknown = client.get(f"/api/v1/similar?uri={ONE}&layers=dreamt").json()["code"]
    asked = [
        *(
            "entities/neighbours",
            "search",
            "lineage",
            "paths",
            "between",
            "common",
            "closure",
            "impact",
        ),
        *(
            "shared",
            "unused",
            "similar",
            "wanted-features",
            *(f"questions/q{n}" for n in range(1, 14)),
        ),
    ]
    for name in asked:
        given = {one["name"] for one in paths[f"/api/v1/{name}"]["get"]["parameters"]}
        assert "layers" in given, name
    for name in ("neighbours", "search", "lineage", "path", "between", "common", "closure",
                 "impact", "shared", "unused", "similar", "wanted", "ask"):  # fmt: skip
        options = {one.name for one in main.commands[name].params if isinstance(one, click.Option)}
        assert "layers" in options, name
    assert by_rest == 1
    assert unknown == "invalid_query"

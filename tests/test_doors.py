"""A type and a kind declared in a user's file are found behind every door that exists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.model import Uri
from lineal.surfaces import server
from lineal.surfaces.cli import main

SHAPES = """
types:
  notebook:
    title: Notebook
    plural: notebooks
    domain: pipelines
    description: A page of code and words that somebody runs by hand.
    attributes:
      kernel: {type: text, search: true, facet: true, description: "What runs it."}
kinds:
  explored_in:
    inverse: explores
    description: Somebody looked at the data in the notebook.
    from: [dataset]
    to: [notebook]
    class: data
    nature: state
    flow: forth
"""
SOURCE = """
source: notebooks
files:
  - {path: notebooks.jsonl, resource: notebook}
resources:
  notebook:
    subject: {type: notebook, platform: hub}
    key: id
    map: {name: title, kernel: kernel}
    edges:
      - {kind: explores, each: data, to: {type: dataset, platform: wh, id: "@"}}
"""
NOTEBOOK = Uri("mlg://notebook/hub/churn-look")
ORDERS = Uri("mlg://dataset/wh/shop.orders")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shapes.yaml").write_text(SHAPES, encoding="utf-8")
    (tmp_path / "source.yaml").write_text(SOURCE, encoding="utf-8")
    line = {
        "id": "churn-look",
        "title": "A look at churn",
        "kernel": "python",
        "data": ["shop.orders"],
    }
    (tmp_path / "notebooks.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def lineal(folder: Path) -> Iterator[Lineal]:
    config = Config(db=folder / "graph.db", shapes=(folder / "shapes.yaml",))
    with Lineal.open(config) as lineal:
        imported = lineal.import_files(folder / "source.yaml", folder)
        assert (imported.read, imported.refused) == (1, ())
        yield lineal


def test_behind_the_questions(lineal: Lineal) -> None:
    """Found, filtered, walked (by the flow that the file declares) and explained."""
    found = lineal.ask.search(LOCAL, "type:notebook churn").value.hits
    lineage = lineal.ask.lineage(LOCAL, [NOTEBOOK]).value
    explained = lineal.ask.explain(LOCAL, NOTEBOOK, "explores", ORDERS).value

    assert [one.uri for one in found] == [NOTEBOOK]
    assert [(node.thing.uri, node.depth) for node in lineage.nodes] == [
        (ORDERS, -1),
        (NOTEBOOK, 0),
    ]
    assert explained.edge.kind == "explored_in"


def test_behind_rest(lineal: Lineal) -> None:
    with TestClient(server.create(lineal), base_url="http://127.0.0.1") as client:
        types = client.get("/api/v1/types").json()
        entity = client.get("/api/v1/entities", params={"uri": NOTEBOOK}).json()
        hits = client.get("/api/v1/search", params={"q": "type:notebook"}).json()
        impact = client.get("/api/v1/impact", params={"uri": ORDERS}).json()

    assert "notebook" in json.dumps(types)
    assert "explored_in" in json.dumps(types)
    assert entity["value"]["attributes"]["kernel"] == "python"
    assert [one["uri"] for one in hits["value"]["hits"]] == [NOTEBOOK]
    assert [one["uri"] for one in impact["value"]["hits"]] == [NOTEBOOK]


def test_behind_the_portal(lineal: Lineal) -> None:
    with TestClient(server.create(lineal), base_url="http://127.0.0.1") as client:
        home = client.get("/").text
        page = client.get("/entity", params={"uri": NOTEBOOK}).text
        drawn = client.get("/lineage", params={"uri": NOTEBOOK}).text

    assert "otebook" in home
    assert "A look at churn" in page
    assert "python" in page
    assert "shop.orders" in drawn


def test_behind_the_command_line(folder: Path) -> None:
    """Types are read from LINEAL_SHAPES; the rest from the database."""
    environment = {
        "LINEAL_DB": str(folder / "graph.db"),
        "LINEAL_SHAPES": str(folder / "shapes.yaml"),
    }

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(main, list(arguments), env=environment)
        assert result.exit_code == 0, result.output
        return result.output

    run("import", "files", str(folder / "source.yaml"), str(folder))

    assert "notebook" in run("types")
    assert "A look at churn" in run("search", "type:notebook")
    assert "python" in run("get", NOTEBOOK)
    assert "shop.orders" in run("lineage", NOTEBOOK)

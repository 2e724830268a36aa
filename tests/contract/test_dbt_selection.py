"""What dbt was told to leave out of a catalog or of freshness is not gone, on each database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lineal.app import Imported, Lineal
from lineal.config import Config
from lineal.store import work
from tests.databases import fresh

MODELS = ("model.shop.orders", "model.shop.customers")
SOURCES = ("source.shop.app.clicks", "source.shop.app.visits")
SOURCE = "dbt/shop"


class Project:
    """A project of dbt, and a graph that its artifacts are imported into."""

    def __init__(self, lineal: Lineal, folder: Path) -> None:
        self.lineal, self._folder, self._hour = lineal, folder, 0

    def brings(self, kind: str, version: int, **body: Any) -> Imported:
        """Import an artifact, an hour later than the last, beside the manifest that is there."""
        self._hour += 1
        about = {
            "dbt_schema_version": f"https://schemas.getdbt.com/dbt/{kind}/v{version}.json",
            "generated_at": f"2026-03-01T{self._hour:02}:00:00Z",
            "project_name": "shop", "adapter_type": "postgres",
        }  # fmt: skip
        (self._folder / f"{kind}.json").write_text(json.dumps({"metadata": about, **body}), "utf-8")
        return self.lineal.import_dbt([self._folder])

    def declares(self, *names: str) -> Imported:
        declared = {one: relation(one) for one in names}
        nodes = {one: said for one, said in declared.items() if one.startswith("model")}
        sources = {one: said for one, said in declared.items() if one.startswith("source")}
        return self.brings("manifest", 12, nodes=nodes, sources=sources)

    def catalogs(self, *names: str) -> Imported:
        columns = {"id": {"name": "id", "type": "bigint", "index": 1}}
        nodes = {one: {"metadata": relation(one), "columns": columns} for one in names}
        return self.brings("catalog", 1, nodes=nodes, sources={})

    def looks_at(self, *names: str) -> Imported:
        results = [
            {"unique_id": one, "status": "pass", "max_loaded_at": "2026-03-01"} for one in names
        ]
        return self.brings("sources", 3, results=results)

    def forgets(self, kind: str) -> None:
        (self._folder / f"{kind}.json").unlink()

    def told(self, prefix: str) -> set[str]:
        """Return of which nodes something is told by this kind of artifact."""
        with self.lineal.store.looking() as driver:
            names = work.living(driver, SOURCE, prefix)
        return {name.removeprefix(prefix) for name in names}


def relation(unique_id: str) -> dict[str, Any]:
    name = unique_id.rpartition(".")[2]
    return {
        "unique_id": unique_id, "name": name, "database": "db", "schema": "s",
        "type": "BASE TABLE", "package_name": "shop", "resource_type": unique_id.partition(".")[0],
    }  # fmt: skip


@pytest.fixture
def project(engine: str, tmp_path: Path) -> Iterator[Project]:
    (tmp_path / "target").mkdir()
    with fresh(engine, tmp_path) as place, Lineal.open(Config(db=place)) as lineal:
        yield Project(lineal, tmp_path / "target")


def test_what_was_not_selected_stays(project: Project) -> None:
    """``dbt docs generate --select …`` and ``dbt source freshness --select …``."""
    project.declares(*MODELS, *SOURCES)
    project.catalogs(*MODELS)
    project.looks_at(*SOURCES)

    project.catalogs(MODELS[0])
    project.looks_at(SOURCES[0])

    assert project.told("catalog:") == set(MODELS)
    assert project.told("freshness:") == set(SOURCES)


def test_a_catalog_without_anything_removes_nothing(project: Project) -> None:
    """``dbt docs generate --empty-catalog``, or one in which a model did not compile."""
    project.declares(*MODELS)
    project.catalogs(*MODELS)

    project.catalogs()

    assert project.told("catalog:") == set(MODELS)


def test_what_the_manifest_declares_no_more_is_gone_with_all_that_was_told_of_it(
    project: Project,
) -> None:
    project.declares(*MODELS, *SOURCES)
    project.catalogs(*MODELS)
    project.looks_at(*SOURCES)
    project.forgets("catalog")
    project.forgets("sources")

    project.declares(MODELS[0], SOURCES[0])

    assert project.told("manifest:") == {MODELS[0], SOURCES[0]}
    assert project.told("catalog:") == {MODELS[0]}
    assert project.told("freshness:") == {SOURCES[0]}
    assert project.lineal.store.verify().sound


def test_a_catalog_of_before_brings_nothing_back(project: Project) -> None:
    """It lies in the folder still, beside the manifest that declares its node no more."""
    project.declares(*MODELS)
    project.catalogs(*MODELS)

    for _ in range(2):
        project.declares(MODELS[0])
        assert project.told("catalog:") == {MODELS[0]}


def test_a_manifest_that_is_held_back_takes_nothing_with_it(project: Project) -> None:
    many = [f"model.shop.m{number}" for number in range(40)]
    project.declares(*many)
    project.catalogs(*many)
    project.forgets("catalog")

    assert project.declares(*many[:20]).held == 20
    assert project.told("catalog:") == set(many)

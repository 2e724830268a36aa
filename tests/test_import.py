"""Real files of real tools: what comes in, what is refused, and that twice is once."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineal.access import LOCAL
from lineal.app import Imported, Lineal
from lineal.config import Config
from lineal.model import Uri
from lineal.sources import Refused
from lineal.sources.openlineage.files import read_paths

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def lineal(tmp_path: Path) -> Iterator[Lineal]:
    with Lineal.open(Config(db=tmp_path / "graph.db")) as lineal:
        yield lineal


def changed_nothing(imported: Imported) -> bool:
    return imported.begun == imported.ended == 0 and set(imported.documents) <= {
        "same",
        "superseded",
    }


# ── OpenLineage ──────────────────────────────────────────────────────────────────────────────────


def events_of(folder: Path) -> list[dict[str, Any]]:
    items = list(read_paths([folder]))
    assert not [item for item in items if isinstance(item, Refused)]
    return [dict(item[2]) for item in items if not isinstance(item, Refused)]


@pytest.mark.data
def test_openlineage_scenarios_come_in_and_twice_is_once(lineal: Lineal, shared_data: Path) -> None:
    events = shared_data / "openlineage" / "events"

    first = lineal.import_openlineage([events])
    second = lineal.import_openlineage([events])

    assert first.read == 90
    assert first.refused == ()
    assert first.things["pipeline"] > 30
    assert changed_nothing(second)
    menus = Uri("mlg://pipeline/food_delivery/etl_menus")
    lineage = lineal.ask.lineage(LOCAL, [menus]).value
    assert {node.thing.type for node in lineage.nodes} >= {"dataset", "pipeline"}


@pytest.mark.data
def test_fragments_are_refused_with_reason_and_place(lineal: Lineal, shared_data: Path) -> None:
    imported = lineal.import_openlineage([shared_data / "openlineage" / "partial_expectations"])

    assert imported.read == len(imported.refused) == 124
    assert all(item.reason and Path(item.file).exists() for item in imported.refused)


def digest_of(files: list[list[dict[str, Any]]]) -> str:
    """Return the graph's digest after these files were imported, one after another."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Lineal.open(Config(db=folder / "graph.db")) as lineal:
            for index, events in enumerate(files):
                path = folder / f"{index}.jsonl"
                path.write_text("\n".join(map(json.dumps, events)), encoding="utf-8")
                assert lineal.import_openlineage([path]).refused == ()
            return lineal.store.digest()


@pytest.mark.data
@settings(max_examples=12)
@given(seed=st.integers(0, 2**32), parts=st.integers(1, 6))
def test_any_order_and_split_of_real_events_give_one_digest(
    shared_data: Path, seed: int, parts: int
) -> None:
    events = events_of(shared_data / "openlineage" / "events")
    shuffled = list(events)
    dice = Random(seed)
    dice.shuffle(shuffled)
    repeated = shuffled + dice.sample(shuffled, 10)

    assert digest_of([repeated[part::parts] for part in range(parts)]) == digest_of([events])


def test_a_broken_file_is_refused_and_the_rest_goes_in(lineal: Lineal, tmp_path: Path) -> None:
    good = {
        "eventTime": "2026-01-01T00:00:00Z",
        "eventType": "START",
        "producer": "https://x.example",
        "run": {"runId": "6f2c1f3a-1111-4222-8333-444455556666"},
        "job": {"namespace": "etl", "name": "load"},
        "inputs": [{"namespace": "postgres://db:5432", "name": "shop.public.orders"}],
    }
    (tmp_path / "a.json").write_text("{not json", encoding="utf-8")
    lines = [json.dumps(good), json.dumps({**good, "run": {}}), "[]"]
    (tmp_path / "b.jsonl").write_text("\n".join(lines), encoding="utf-8")

    imported = lineal.import_openlineage([tmp_path / "a.json", tmp_path / "b.jsonl"])

    assert imported.read == 4
    assert imported.things == {"dataset": 1, "pipeline": 1, "run": 1}
    places = {(Path(item.file).name, item.index) for item in imported.refused}
    assert places == {("a.json", 0), ("b.jsonl", 1), ("b.jsonl", 2)}
    (missing,) = [
        item for item in imported.refused if (item.index, item.file[-7:]) == (1, "b.jsonl")
    ]
    assert (missing.path, missing.reason) == ("run.runId", "missing")


def test_start_with_inputs_and_complete_without_keeps_the_inputs(
    lineal: Lineal, tmp_path: Path
) -> None:
    base = {
        "producer": "https://x.example",
        "job": {"namespace": "etl", "name": "load"},
        "run": {"runId": "6f2c1f3a-1111-4222-8333-444455556666"},
    }
    orders = [{"namespace": "postgres://db:5432", "name": "shop.public.orders"}]
    start = {**base, "eventTime": "2026-01-01T00:00:00Z", "eventType": "START", "inputs": orders}
    end = {**base, "eventTime": "2026-01-01T00:05:00Z", "eventType": "COMPLETE"}
    path = tmp_path / "events.jsonl"
    path.write_text(f"{json.dumps(end)}\n{json.dumps(start)}\n", encoding="utf-8")

    lineal.import_openlineage([path])

    run = Uri("mlg://run/etl/6f2c1f3a-1111-4222-8333-444455556666")
    reads = [one for one in lineal.ask.neighbours(LOCAL, run).value if one.relation == "reads"]
    assert [one.other.name for one in reads] == ["shop.public.orders"]
    assert lineal.ask.get(LOCAL, run).value.attributes["status"] == "succeeded"


# ── dbt ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.data
def test_dbt_projects_come_in_and_twice_is_once(lineal: Lineal, shared_data: Path) -> None:
    first = lineal.import_dbt([shared_data / "dbt"])
    second = lineal.import_dbt([shared_data / "dbt"])

    assert first.things["dataset"] > 500
    assert first.things["column"] > 5_000
    # One result of jaffle_shop names a model that its own manifest, which is not there, would know.
    assert [item.reason for item in first.refused] == [
        "model.jaffle_shop.customers: The manifest does not know it."
    ]
    assert changed_nothing(second)


@pytest.mark.data
def test_an_older_manifest_never_replaces_a_newer_one(tmp_path: Path, shared_data: Path) -> None:
    project = shared_data / "dbt" / "fivetran_ad_reporting"
    digests = []
    for name, order in (("a", ("2022-08-12", "2022-12-20")), ("b", ("2022-12-20", "2022-08-12"))):
        with Lineal.open(Config(db=tmp_path / f"{name}.db")) as lineal:
            for day in order:
                lineal.import_dbt([project / day / "manifest.json"])
            digests.append(lineal.store.digest())
            assert [one.documents for one in lineal.health()] == [390]

    assert digests[0] == digests[1]


# ── Declared files ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.data
def test_a_real_warehouse_loads_by_yaml_alone(lineal: Lineal, shared_data: Path) -> None:
    def load() -> Imported:
        return lineal.import_files(EXAMPLES / "mozilla.yaml", shared_data / "mozilla")

    seen: list[int] = []
    first = lineal.import_files(
        EXAMPLES / "mozilla.yaml",
        shared_data / "mozilla",
        progress=lambda done, total, what: seen.append(done),
    )

    assert first.refused == ()
    assert first.things["column"] == 25_129
    assert first.things["pipeline"] == 157
    assert seen == sorted(seen)
    with lineal.store.read(LOCAL) as reader:
        tables = [
            key
            for key, entity in reader.entities(reader.of_types(["dataset"])).items()
            if any("table" in said.document for said in entity.said)
        ]
        edges = reader.outward(reader.of_types(["dataset"]), ["derived_from"])
    assert len(tables) == 2_003
    assert len(edges) == 2_288
    assert changed_nothing(load())


@pytest.mark.data
def test_seventy_thousand_evaluations_load_by_yaml_alone(lineal: Lineal, shared_data: Path) -> None:
    imported = lineal.import_files(EXAMPLES / "mteb.yaml", shared_data / "mteb")

    assert imported.refused == ()
    assert imported.things["evaluation"] == 74_067
    models = lineal.ask.search(LOCAL, "type:model bge", limit=5).value.hits
    assert models
    with lineal.store.read(LOCAL) as reader:
        keys = reader.of_types(["model", "model-version"])
        assert len(reader.outward(keys, ["tuned_from"])) == 178
        assert len(reader.outward(keys, ["trained_on"])) > 1_000

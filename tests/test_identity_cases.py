"""The same thing under several names in real data: what the sources state, with known answers.

Every expected number is counted from the raw files by plain Python, without Lineal.
"""

from __future__ import annotations

import gzip
import json
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.model import EdgeStatement, Record, Uri
from lineal.shapes import Shapes
from lineal.sources import Refused, dbt
from lineal.sources.compiling import load
from lineal.sources.files import FileSource
from lineal.sources.openlineage import OpenLineage
from lineal.sources.openlineage.files import read_paths

pytestmark = pytest.mark.data

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def lineal(tmp_path: Path) -> Iterator[Lineal]:
    with Lineal.open(Config(db=tmp_path / "graph.db")) as lineal:
        yield lineal


def declared(name: str, folder: Path) -> list[Record]:
    """Return what an example says of the files in *folder*; nothing may be refused."""
    found = list(
        FileSource(load(EXAMPLES / f"{name}.yaml", shapes=Shapes.builtin())).snapshot(folder)
    )
    assert [item for item in found if isinstance(item, Refused)] == []
    return [item for item in found if isinstance(item, Record)]


def edges(records: Iterable[Record], kind: str) -> set[tuple[Uri, Uri]]:
    return {(e.start, e.end) for record in records for e in record.edges if e.kind == kind}


def stated(records: Iterable[Record]) -> list[EdgeStatement]:
    return [e for record in records for e in record.edges if e.kind == "same_as"]


def lines(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    return [json.loads(line) for line in text.splitlines()]


# ── dbt ──────────────────────────────────────────────────────────────────────────────────────────


def test_seeds_and_sources_of_one_relation_are_one_data_set(
    lineal: Lineal, shared_data: Path
) -> None:
    """Equal names need no edge: both documents speak of one URI, and both words stay."""
    folder = shared_data / "dbt" / "fivetran_hubspot"
    manifest = json.loads((folder / "manifest.json").read_text())
    by_relation = defaultdict(set)
    for section in ("nodes", "sources"):
        for name, node in manifest[section].items():
            if node.get("relation_name"):
                by_relation[node["relation_name"]].add(name)
    pairs = {name: ids for name, ids in by_relation.items() if len(ids) > 1}
    assert len(pairs) == 56
    assert {tuple(sorted(one.split(".")[0] for one in ids)) for ids in pairs.values()} == {
        ("seed", "source")
    }

    (snapshot,) = (s for s in dbt.read([folder], observed_at=1) if s.prefix == "manifest:")
    speakers = defaultdict(set)
    for record in snapshot.records:
        speakers[record.subject].add(record.document.removeprefix("manifest:"))
    lineal.import_dbt([folder])

    assert {frozenset(ids) for ids in speakers.values() if len(ids) > 1} == {
        frozenset(ids) for ids in pairs.values()
    }
    assert stated(snapshot.records) == []
    for relation, ids in pairs.items():
        uri = Uri.of("dataset", "postgres", relation.replace('"', "").lower())
        entity = lineal.ask.get(LOCAL, uri).value
        said = {one.document for one in entity.said if one.document.startswith("manifest:")}
        assert said == {f"manifest:{one}" for one in ids}
        assert entity.attributes["tool_ids"] == sorted(ids)


# ── OpenLineage ──────────────────────────────────────────────────────────────────────────────────


def folded(events: list[dict[str, Any]]) -> list[Record]:
    source = OpenLineage()
    of_key = defaultdict(list)
    for event in events:
        for marked in source.understand(event):
            of_key[marked.key].append(event)
    records = (source.fold(key, found, observed_at=1) for key, found in of_key.items())
    return [record for record in records if record is not None]


def test_spark_says_which_path_is_which_table_of_hive(shared_data: Path) -> None:
    """A facet is its latest word: the table of the metastore, not the name that was dropped."""
    events: list[dict[str, Any]] = [
        dict(item[2])
        for item in read_paths([shared_data / "openlineage" / "events"])
        if not isinstance(item, Refused)
    ]
    mentions = sorted(
        (event["eventTime"], thing["namespace"], thing["name"], link["namespace"], link["name"])
        for event in events
        for side in ("inputs", "outputs")
        for thing in event.get(side) or ()
        for link in (thing.get("facets") or {}).get("symlinks", {}).get("identifiers", ())
    )
    latest = {(space, name): link for _, space, name, *link in mentions}
    host, warehouse = "dataproc-producer-test-m", "/user/hive/warehouse"
    assert len(mentions) == 18
    assert latest == {
        (f"hdfs://{host}", f"{warehouse}/{table}"): [f"hive://{host}:9083", f"default.{table}"]
        for table in ("t1", "t2")
    }

    same = stated(folded(events))

    assert {(e.start, e.end) for e in same} == {
        (
            Uri.of("dataset", f"hdfs://{host}:8020", f"{warehouse}/{table}"),
            Uri.of("dataset", f"hive://{host}:9083", f"default.{table}"),
        )
        for table in ("t1", "t2")
    }
    assert {(e.attributes["evidence"], e.attributes["read_in"]) for e in same} == {
        ("symlink", "symlinks.identifiers[0]")
    }


def test_the_examples_of_the_specification_state_what_they_show(shared_data: Path) -> None:
    tests = shared_data / "openlineage" / "spec" / "tests"
    facets: dict[str, Any] = {}
    for name in ("SymlinksDatasetFacet", "LifecycleStateChangeDatasetFacet", "StorageDatasetFacet"):
        facets |= json.loads((tests / name / "1.json").read_text())
    event = {
        "eventTime": "2026-01-01T00:00:00Z",
        "producer": "https://x.example",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/DatasetEvent",
        "dataset": {"namespace": "file", "name": "/tmp/alter_test/new", "facets": facets},
    }

    same = stated(folded([event]))

    assert {(e.start.name, e.end, e.attributes["evidence"]) for e in same} == {
        (
            "/tmp/alter_test/new",
            "mlg://dataset/file/%2Ftmp%2Falter_test%2Falter_table_test",
            "rename",
        ),
        (
            "/tmp/alter_test/new",
            "mlg://dataset/file/%2Ftmp%2Falter_test%2Fdefault.alter_table_test_new",
            "symlink",
        ),
    }


# ── Mozilla ──────────────────────────────────────────────────────────────────────────────────────

#: A table in a query, in the way that most queries of metric-hub name one.
_TABLE = re.compile(r"(?:mozdata|moz-fx-[a-z0-9-]+)\.[A-Za-z0-9_]+\.[A-Za-z0-9_]+")
_SHARED = "moz-fx-data-shared-prod."


def bigquery(name: str) -> Uri:
    return Uri.of("dataset", "bigquery", name)


def test_experiments_join_the_warehouse_through_a_rewrite(
    lineal: Lineal, shared_data: Path
) -> None:
    hub = shared_data / "mozilla" / "metric_hub"
    warehouse = shared_data / "mozilla" / "bigquery_etl"
    queries = {
        (file.relative_to(hub).as_posix(), name): said["from_expression"]
        for file in sorted(hub.rglob("*.toml"))
        for name, said in tomllib.loads(file.read_text()).get("data_sources", {}).items()
        if "from_expression" in said
    }
    named = {key: set(_TABLE.findall(text)) for key, text in queries.items()}
    old = {name for names in named.values() for name in names if name.startswith("mozdata.")}
    tables = {row["id"] for row in lines(warehouse / "tables.jsonl.gz")}
    in_lineage = {
        row[end] for row in lines(warehouse / "lineage.jsonl") for end in ("source", "target")
    }
    joined = {
        name for name in old if _SHARED + name.removeprefix("mozdata.") in tables | in_lineage
    }
    assert (len(queries), len(old)) == (297, 44)
    assert len(joined) == 25
    assert old.isdisjoint(tables), "the warehouse never describes a table under its other name"

    records = declared("metric_hub", hub)
    same = stated(records)
    lineal.import_files(EXAMPLES / "mozilla.yaml", shared_data / "mozilla")
    lineal.import_files(EXAMPLES / "metric_hub.yaml", hub)

    assert {(e.start, e.end) for e in same} == {
        (bigquery(name), bigquery(_SHARED + name.removeprefix("mozdata."))) for name in old
    }
    assert {e.attributes["evidence"] for e in same} == {"rewrite"}
    assert edges(records, "derived_from") == {
        (Uri.of("dataset", "metric-hub", *key), bigquery(name))
        for key, names in named.items()
        for name in names
    }
    with lineal.store.read(LOCAL) as reader:
        keys = reader.keys([bigquery(_SHARED + name.removeprefix("mozdata.")) for name in joined])
        others = reader.keys([bigquery(name) for name in joined])
        pairs = {(link.src, link.dst) for link in reader.outward(others.values(), ["same_as"])}
    assert len(joined) == len(keys) == len(pairs) == len(others)


# ── MTEB ─────────────────────────────────────────────────────────────────────────────────────────


def test_tasks_of_one_data_set_are_derived_from_it_and_never_it(shared_data: Path) -> None:
    """``NQ`` and ``NQ-PL`` are cuts of one thing: they must not become one."""
    tasks = lines(shared_data / "mteb" / "tasks.jsonl")
    paths = {task["name"]: path for task in tasks if (path := task.get("dataset", {}).get("path"))}
    users = Counter(paths.values())
    shared = {path for path, count in users.items() if count > 1}

    found = [r for r in declared("mteb", shared_data / "mteb") if r.document.startswith("task:")]
    behind = {
        (start.name, end.name)
        for start, end in edges(found, "derived_from")
        if end.platform == "huggingface"
    }

    assert len(tasks) == 1_860
    assert (len(paths), len(shared)) == (1_719, 128)
    assert behind == set(paths.items())
    assert len({record.subject for record in found}) == len(tasks)
    assert Counter(end for _, end in behind) == users
    assert stated(found) == []


# ── HELM ─────────────────────────────────────────────────────────────────────────────────────────


def test_deployments_of_helm_reach_their_models(shared_data: Path) -> None:
    folder = shared_data / "helm"
    rows = yaml.safe_load((folder / "model_deployments.yaml").read_text())["model_deployments"]
    models = {
        row["name"]
        for row in yaml.safe_load((folder / "model_metadata.yaml").read_text())["models"]
    }
    pairs = [(row["name"], row.get("model_name") or row["name"]) for row in rows]
    assert (len(rows), sum(name != of for name, of in pairs)) == (618, 312)
    # Eighteen rows stand there twice, word for word of the same model.
    assert len(set(pairs)) == len({name for name, _ in pairs}) == 600

    records = declared("helm", folder)
    deploys = edges(records, "deploys")
    described = {r.subject.name for r in records if r.subject.type == "model"}

    assert {(start.name, end.name) for start, end in deploys} == set(pairs)
    assert described == models
    assert {end.name for _, end in deploys} <= described, "every deployment has its model"
    assert stated(records) == [], "a deployment is not its model"


# ── KServe ───────────────────────────────────────────────────────────────────────────────────────

_SERVING = ("InferenceService", "LLMInferenceService", "TrainedModel")


def manifests(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted(folder.rglob("*.yaml")):
        for manifest in yaml.safe_load_all(file.read_text()):
            if manifest:
                yield file.relative_to(folder).as_posix(), manifest


def addresses(found: Any) -> Iterator[str]:
    """Go through the addresses of models anywhere in a manifest, by the names of their fields."""
    if isinstance(found, dict):
        for key, value in found.items():
            if key in ("storageUri", "uri") and isinstance(value, str):
                yield value
            yield from addresses(value)
    elif isinstance(found, list):
        for value in found:
            yield from addresses(value)


def test_services_meet_at_the_model_that_they_share(lineal: Lineal, shared_data: Path) -> None:
    folder = shared_data / "kserve"
    kinds = Counter(manifest["kind"] for _, manifest in manifests(folder))
    served = {
        (file, manifest["kind"], manifest["metadata"]["name"], address.split("?")[0])
        for file, manifest in manifests(folder)
        if manifest["kind"] in _SERVING
        for address in addresses(manifest["spec"])
    }
    services = defaultdict(set)
    for *service, address in served:
        services[address].add(tuple(service))
    sharing = {frozenset(group) for group in services.values() if len(group) > 1}
    assert len(sorted(folder.rglob("*.yaml"))) == 76
    assert [kinds[kind] for kind in (*_SERVING, "InferenceGraph")] == [64, 14, 3, 4]
    assert (len(served), len(services), len(sharing)) == (72, 33, 14)
    assert len(services["gs://kfserving-examples/models/sklearn/1.0/model"]) == 8

    records = declared("kserve", folder)
    by_model = defaultdict(set)
    for start, end in edges(records, "deploys"):
        by_model[end].add(start.segments)
    lineal.import_files(EXAMPLES / "kserve.yaml", folder)

    assert sum(map(len, by_model.values())) == len(served)
    assert {frozenset(group) for group in by_model.values() if len(group) > 1} == sharing
    assert len(by_model) == len(services)
    assert {end.platform for end in by_model} >= {"gs", "s3", "huggingface", "pvc", "oci"}
    iris = Uri.of("model-version", "gs", "kfserving-examples", "models/sklearn/1.0/model")
    sharers = lineal.ask.neighbours(LOCAL, iris).value
    assert len([one for one in sharers if one.relation == "deployed_by"]) == 8

"""What the built-in readers write is declared: nothing of it is unknown or of another type."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from lineal.access import LOCAL
from lineal.model import Json, Record, Statement, Uri
from lineal.shapes import Shapes
from lineal.shapes.examining import Examiner
from lineal.sources import Key, Refused, datahub, dbt
from lineal.sources.compiling import load, parse
from lineal.sources.files import FileSource
from lineal.sources.openlineage import OpenLineage, read_paths
from lineal.sources.reviewers import CodeOwnersSource
from lineal.sources.starting import FORMS, starter
from tests import test_datahub, test_dbt
from tests.estate import SOURCES, joined
from tests.test_dbt import artifact, by_id, node
from tests.test_openlineage import END, FACETS, data_set, event, fold_all

EXAMPLES = Path(__file__).parent.parent / "examples"
SHAPES = Shapes.builtin()
EXAMINER = Examiner(SHAPES)


def unfit(records: Iterable[Record]) -> dict[str, int]:
    """Return what of *records* does not fit the shapes, each with how many records hold it."""
    found: Counter[str] = Counter()
    for record in records:
        for one in EXAMINER.examine(record):
            found[f"{record.source}: {one.name}: {one.text}"] += 1
    return dict(found)


def attributes(records: Iterable[Record]) -> set[str]:
    """Return what is said of things and of edges, as ``dataset.rows``."""
    found = set()
    for record in records:
        for statement in record.statements:
            found |= {f"{statement.uri.type}.{name}" for name in statement.attributes}
        for edge in record.edges:
            found |= {f"{edge.kind}.{name}" for name in edge.attributes}
    return found


def of(*names: str) -> set[str]:
    """Return attributes that are told as ``dataset: rows bytes``."""
    return {f"{kind}.{word}" for each in names for kind, words in [each.split(": ")]
            for word in words.split()}  # fmt: skip


def test_what_nobody_declared_and_what_is_of_another_type_are_told() -> None:
    said: dict[str, Json] = {"rows": "many", "shade": 3, "environment": "prod"}
    table = Uri.of("dataset", "wh", "t")

    assert unfit([Record("box", "t", table, (Statement(table, said),), (), 1)]) == {
        "box: dataset.rows: It is a text, not a number.": 1,
        "box: dataset.shade: No shape of dataset knows it.": 1,
    }


# ── dbt ──────────────────────────────────────────────────────────────────────────────────────────

DBT = [
    artifact(
        nodes=by_id(
            node(
                "model.shop.orders", original_file_path="models/orders.sql", version=2,
                language="sql", primary_key=["id"], deprecation_date="2027-01-01",
                columns={"id": {"name": "id", "data_type": "int", "tags": ["key"]}},
                config={"access": "public", "group": "sales", "meta": {"level": 2, "open": True}},
            ),
            node("model.shop.lines", version="beta", tags="hourly"),
            node(
                "test.shop.unique", attached_node="model.shop.orders", column_name="id",
                test_metadata={"name": "unique"},
            ),
        ),
        sources=by_id(
            node(
                "source.shop.app.raw", source_name="app", loader="a loader", loaded_at_field="at",
                freshness={"warn_after": {"count": 1, "period": "day"}, "error_after": {}},
            )
        ),
        metrics=by_id(
            node(
                "metric.shop.revenue", label="Revenue", type="simple", needs=["model.shop.orders"],
                type_params={"measure": {"name": "amount"}}, meta={"unit": "EUR"},
                config={"group": "sales"},
            ),
        ),
        exposures=by_id(*(
            node(
                f"exposure.shop.{kind}", type=kind, maturity="low", url="https://bi.example/1",
                needs=["metric.shop.revenue", "model.shop.orders"], meta={"team": "x"},
                original_file_path="models/uses.yml", owner={"email": "bo@shop.example"},
            )
            for kind in ("dashboard", "notebook", "analysis", "ml", "application")
        )),
    ),
    artifact(
        "catalog", 1,
        nodes={
            "model.shop.orders": {
                "metadata": {"type": "BASE TABLE", "owner": "loader", "comment": "All."},
                "columns": {"id": {"name": "id", "type": "bigint", "index": 1, "comment": "Key."}},
                "stats": {
                    "num_rows": {"value": 12.0}, "num_bytes": {"value": "4 MB"},
                    "last_modified": {"value": "2026-03-01 00:00UTC"},
                },
            }
        },
    ),
    test_dbt.RESULTS,
    artifact("sources", 3, results=[
        {"unique_id": "source.shop.app.raw", "status": "runtime error", "max_loaded_at": None},
    ]),
    artifact("sources", 3, metadata={"generated_at": "2026-03-02T12:00:00Z"}, results=[
        {"unique_id": "source.shop.app.raw", "status": "warn", "max_loaded_at": "2026-03-01"},
    ]),
]  # fmt: skip


def of_dbt(paths: Iterable[Path], **more: Any) -> Iterator[Record]:
    for snapshot in dbt.read(paths, observed_at=7, **more):
        yield from snapshot.records


def test_all_that_dbt_says_is_declared(tmp_path: Path) -> None:
    told: list[Record] = []
    for name, artifacts in {"full": DBT, "small": [test_dbt.PROJECT, test_dbt.RESULTS]}.items():
        for number, body in enumerate(artifacts):
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            (folder / f"{number}.json").write_text(json.dumps(body), "utf-8")
        told += of_dbt([tmp_path / name], repository="https://git.example/acme/shop")

    assert unfit(told) == {}
    assert attributes(told) >= of(
        "dataset: name description tool_ids code_path tags properties form subtypes materialized"
        " qualified_name group loader loaded_at_column freshness_limits access version"
        " deprecated_at code_language tests database_owner rows refreshed_at quality"
        " freshness_status",
        "column: name description data_type tags primary_key position",
        "metric: name tool_ids subtypes group expression properties",
        "dashboard: name tool_ids code_path properties form subtypes link maturity",
        "model: subtypes maturity code_path properties",
        "service: subtypes maturity code_path properties",
        "run: name status started_at ended_at engine command parameters results",
        "produced_by: rows",
    )


# ── DataHub ──────────────────────────────────────────────────────────────────────────────────────

DATAHUB = [
    test_datahub.proposal(test_datahub.ORDERS, "datasetProperties", {
        "qualifiedName": "DB.S.ORDERS", "description": "All.", "customProperties": {"tier": "1"},
        "externalUrl": "https://user:secret@catalog.example/orders?token=x",
    }),
    test_datahub.proposal(test_datahub.ORDERS, "subTypes", {"typeNames": ["External", "Table"]}),
    test_datahub.proposal(test_datahub.JOB, "dataJobInfo", {
        "name": "load", "qualifiedName": "etl.load", "customProperties": {"spark.master": "local"},
    }),
    test_datahub.proposal(test_datahub.JOB, "ownership", {
        "owners": [{"owner": test_datahub.ANN, "type": "DATAOWNER"}],
    }),
    test_datahub.proposal(test_datahub.JOB, "status", {"removed": True}),
    test_datahub.proposal(test_datahub.ANN, "corpUserInfo", {
        "displayName": "Ann", "email": "ann@shop.example", "title": "Analyst", "active": False,
    }),
    test_datahub.proposal("urn:li:corpGroup:data", "corpGroupInfo", {
        "displayName": "Data", "email": "Data@Shop.example", "description": "Who keeps it.",
    }),
    test_datahub.proposal("urn:li:domain:sales", "domainProperties", {
        "name": "Sales", "description": "What is sold.", "parentDomain": "urn:li:domain:all",
    }),
]  # fmt: skip


def of_datahub(*paths: Path) -> list[Record]:
    return [one for one in datahub.read(paths, observed_at=7) if isinstance(one, Record)]


def test_all_that_datahub_says_is_declared(tmp_path: Path) -> None:
    told = []
    for name, proposals in {"full": DATAHUB, "small": test_datahub.PROPOSALS}.items():
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(proposals), "utf-8")
        told += of_datahub(file)

    assert unfit(told) == {}
    assert attributes(told) >= of(
        "dataset: name qualified_name description link created_at properties subtypes form tags"
        " stage environment",
        "column: name data_type position nullable primary_key",
        "pipeline: name properties stage",
        "user: name email job_title status",
        "team: name email description",
        "domain: name description",
        "derived_from: transformation confidence",
        "same_as: evidence read_in",
        "owned_by: role",
    )


# ── OpenLineage ──────────────────────────────────────────────────────────────────────────────────

TABLE: dict[str, Any] = {
    "documentation": {"description": "All."},
    "datasetType": {"datasetType": "TABLE", "subType": "EXTERNAL"},
    "dataSource": {"name": "wh", "uri": "postgres://user:secret@host/db"},
    "storage": {"storageLayer": "iceberg", "fileFormat": "parquet", "location": "s3://b/orders"},
    "catalog": {"framework": "iceberg", "type": "rest", "name": "c", "warehouseUri": "s3://b/wh"},
    "hierarchy": {"hierarchy": [{"type": "DATABASE", "name": "db"}]},
    "lifecycleStateChange": {"lifecycleStateChange": "OVERWRITE"},
    "version": {"datasetVersion": "7"},
    "ownership": {"owners": [{"name": "team:rank", "type": "MAINTAINER"}]},
    "tags": {"tags": [{"key": "pii"}, {"key": "tier", "value": "1", "field": "id"}]},
    "schema": {"fields": [{"name": "id", "type": "int", "description": "Key."}]},
    "symlinks": {"identifiers": [
        {"namespace": "hive://ms:9083", "name": "db.orders", "type": "TABLE"},
        {"namespace": "hive://ms:9083", "name": "a\nb", "type": "TABLE"},
    ]},
    "columnLineage": {"fields": {"id": {"inputFields": [{
        "namespace": "bigquery", "name": "raw", "field": "id", "transformations": [
            {"type": "DIRECT", "subtype": "IDENTITY", "masking": True}
        ],
    }]}}},
    "dataQualityMetrics": {
        "rowCount": 3, "bytes": 9, "fileCount": 1, "lastUpdated": "2026-03-01T00:00:00Z",
        "columnMetrics": {"id": {"nullCount": 0}},
    },
    "dataQualityAssertions": {"assertions": [
        {"assertion": "not_null", "column": "id", "success": True},
    ]},
    "shop_extra": {"shelf": 3},
}  # fmt: skip
RUN: dict[str, Any] = {
    "nominalTime": {
        "nominalStartTime": "2026-03-01T00:00:00Z", "nominalEndTime": "2026-03-02T00:00:00Z",
    },
    "processing_engine": {"name": "spark", "version": "3.5"},
    "errorMessage": {"message": "no", "stackTrace": "at load", "programmingLanguage": "python"},
    "executionParameters": {"parameters": [{"key": "day", "value": 1}]},
    "externalQuery": {"externalQueryId": "q1", "source": "bigquery"},
    "test": {"tests": [{"name": "unique", "status": "pass"}]},
    "tags": {"tags": [{"key": "tier", "value": "1"}]},
    "parent": {"run": {"runId": "a\nb"}, "job": {"namespace": "airflow", "name": "shop"}},
    "jobDependencies": {"upstream": [{
        "job": {"namespace": "airflow", "name": "shop.before"},
        "dependency_type": "DIRECT_INVOCATION",
        "sequence_trigger_rule": "FINISH_TO_START", "status_trigger_rule": "EXECUTE_ON_SUCCESS",
    }]},
    "shop_extra": {"shelf": 3},
}  # fmt: skip
WORK: dict[str, Any] = {
    "documentation": {"description": "Loads."},
    "jobType": {"processingType": "BATCH", "integration": "AIRFLOW", "jobType": "TASK"},
    "sql": {"query": "x" * 20_000, "dialect": "bigquery"},
    "sourceCode": {"language": "python", "sourceCode": "pass"},
    "sourceCodeLocation": {
        "type": "git", "url": "https://git.example/org/shop/load.py", "path": "load.py",
        "repoUrl": "git@git.example:org/shop.git", "version": "abc", "branch": "main",
    },
    "ownership": {"owners": [{"name": "a\nb"}]},
    "tags": {"tags": [{"key": "tier", "value": "1"}]},
    "lineage": {"entries": [{
        "type": "JOB", "namespace": "airflow", "name": "shop.load",
        "inputs": [{"type": "JOB", "namespace": "airflow", "name": "shop.before"}],
    }]},
    "shop_extra": {"shelf": 3},
}  # fmt: skip
COUNTS = {"rowCount": 2, "size": 10, "fileCount": 1}


def events() -> list[dict[str, Any]]:
    """Return events that hold every facet that is read, of a table and then of a model."""
    told = []
    for kind in (TABLE["datasetType"], {"datasetType": "MODEL"}):
        facets = {**TABLE, "datasetType": kind}
        read = {**data_set("raw", **facets), "inputFacets": {"inputStatistics": COUNTS}}
        written = {**data_set("orders", **facets), "outputFacets": {"outputStatistics": COUNTS}}
        told.append(event(inputs=[read], outputs=[written], run=RUN, job=WORK, producer="a tool"))
        told.append({"eventTime": END, "dataset": written})
        told.append({key: value for key, value in told[-2].items() if key != "run"})
    return told


def test_all_that_openlineage_says_is_declared() -> None:
    source = OpenLineage(environment="prod")
    told = [
        record
        for some in (events()[:3], events()[3:])
        for record in fold_all(some, source).values()
    ]

    assert unfit(told) == {}
    assert attributes(told) >= of(
        "dataset: name namespace description subtypes form data_source format storage_layer"
        " catalog hierarchy last_operation rows bytes files refreshed_at quality tags facets"
        " unread environment",
        "model: name namespace description subtypes tags facets unread",
        "dataset-version: name version",
        "column: name data_type description position tags statistics",
        "run: name status ended_at scheduled_for scheduled_until engine engine_version error"
        " stack_trace parameters external_query external_system tests tags producer facets unread",
        "pipeline: name namespace description form subtypes processing engine query query_cut"
        " query_dialect repository link entry_point revision branch code_language tags facets"
        " unread",
        "reads: rows bytes files",
        "produced_by: rows bytes files operation",
        "derived_from: transformation transformations masking",
        "depends_on: dependency_type sequence_trigger_rule status_trigger_rule passes",
        "same_as: evidence read_in identifier_type",
        "owned_by: role",
    )


@given(FACETS, FACETS, FACETS)
def test_facets_of_any_content_give_values_of_the_right_types(
    run: dict[str, Any], job: dict[str, Any], facets: dict[str, Any]
) -> None:
    body = event(run=run, job=job, inputs=[{**data_set("a"), "facets": facets}])
    body["outputs"] = [{**data_set("b"), "facets": facets, "outputFacets": facets}]

    assert unfit(fold_all([body, {"eventTime": END, "dataset": body["outputs"][0]}]).values()) == {}


# ── The example estate ───────────────────────────────────────────────────────────────────────────


def test_all_that_the_tools_of_the_estate_say_is_declared(tmp_path: Path) -> None:
    """Its awkward names hold blanks, which no URI may: one thing of each sort is so called."""
    with joined(tmp_path) as both:
        both.estate.announce()
        both.deliver()
        things = sum(both.lineal.ask.counts(LOCAL).value.values())
        found = {
            (one.finding.name, one.finding.text, one.count)
            for source in both.lineal.sources
            for one in both.lineal.findings(source)
            if one.finding.sort != "fields"
        }

    assert things > 100
    assert found == {
        (name, "It is a text, not a URI.", 1)
        for name in (
            "dataset.location", "pipeline.repository", "model-version.artifact_uri",
            "model-version.source_link",
        )
    }  # fmt: skip


# ── CODEOWNERS and declared files ────────────────────────────────────────────────────────────────


def test_all_that_is_said_of_code_is_declared(tmp_path: Path) -> None:
    (tmp_path / "CODEOWNERS").write_text("^[Data] @acme/data\n/dags/\n", "utf-8")
    (tmp_path / "acme.yaml").write_text(
        "source: acme\nplatform: git.example\nenvironment: prod\n"
        "codeowners:\n  repository: https://git.example/acme/ml\n  file: CODEOWNERS\n"
        "  dialect: gitlab\n",
        "utf-8",
    )
    source = CodeOwnersSource(load(tmp_path / "acme.yaml", shapes=SHAPES))
    record = source.fetch(Key("code", "git.example/acme/ml/dags/a.py")).record

    assert record is not None
    assert unfit([record]) == {}
    assert attributes([record]) == of(
        "code: name path repository environment", "reviewed_by: pattern line section optional"
    )


def undeclared(text: str) -> list[str]:
    """Return the attributes that a source's file maps and no shape declares."""
    variables = {"ESTATE_URL": "http://127.0.0.1:1"}
    found = []
    plan = parse(text, "source.yaml", variables=variables, shapes=SHAPES)
    for resource in plan.written.resources.values():
        parts = [(part.as_.type or part.as_.part, part.map, part.edges) for part in resource.parts]
        for kind, mapped, edges in [(resource.subject.type, resource.map, resource.edges), *parts]:
            declared = SHAPES.type(str(kind))
            found += [f"{kind}.{name}" for name in mapped if declared.attribute(name) is None]
            for edge in edges:
                joined_by, _ = SHAPES.kind_of(edge.kind)
                found += [
                    f"{joined_by.name}.{name}"
                    for name in edge.attributes
                    if joined_by.attribute(name) is None
                ]
    return found


FILES = {
    **{file.name: file.read_text("utf-8") for file in sorted(EXAMPLES.glob("*.yaml"))},
    **{f"estate/{file.name}": file.read_text("utf-8") for file in sorted(SOURCES.glob("*.yaml"))},
    **{f"starter {form}": starter("lab", form) for form in FORMS},
}


@pytest.mark.parametrize("name", FILES)
def test_all_that_a_file_of_ours_maps_is_declared(name: str) -> None:
    assert undeclared(FILES[name]) == []


def test_what_a_file_maps_and_nobody_declared_is_told() -> None:
    text = starter("lab").replace("      name: name\n", "      name: name\n      shade: hue\n")

    assert undeclared(text) == ["model.shade"]


# ── Real data ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.data
def test_all_that_dbt_says_of_real_projects_is_declared(shared_data: Path) -> None:
    assert unfit(of_dbt([shared_data / "dbt"])) == {}


@pytest.mark.data
def test_all_that_datahub_says_of_a_real_catalogue_is_declared(shared_data: Path) -> None:
    assert unfit(of_datahub(shared_data / "datahub")) == {}


@pytest.mark.data
def test_all_that_openlineage_says_of_real_events_is_declared(shared_data: Path) -> None:
    bodies = [
        dict(found[2])
        for found in read_paths([shared_data / "openlineage"])
        if not isinstance(found, Refused)
    ]
    # The examples that the specification gives for its facets, one of each kind to an event.
    examples: dict[str, dict[str, Any]] = defaultdict(dict)
    for file in sorted((shared_data / "openlineage" / "spec" / "tests").rglob("?.json")):
        examples[file.stem].update(json.loads(file.read_text("utf-8")))
    for facets in examples.values():
        table = {**data_set("a", **facets), "inputFacets": facets, "outputFacets": facets}
        written = {**table, "name": "b"}
        bodies.append(event(inputs=[table], outputs=[written], run=facets, job=facets))

    assert len(bodies) > 90
    assert unfit(fold_all(bodies).values()) == {}


@pytest.mark.data
@pytest.mark.parametrize(
    ("example", "folder"),
    [
        ("mozilla", "mozilla"), ("metric_hub", "mozilla/metric_hub"), ("mteb", "mteb"),
        ("helm", "helm"), ("kserve", "kserve"),
    ],
)  # fmt: skip
def test_all_that_an_example_says_of_real_files_is_declared(
    example: str, folder: str, shared_data: Path
) -> None:
    source = FileSource(load(EXAMPLES / f"{example}.yaml", shapes=SHAPES))

    told = source.snapshot(shared_data / folder)

    assert unfit(one for one in told if isinstance(one, Record)) == {}

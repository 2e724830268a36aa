"""dbt artifacts: what a project declares and did, whatever version wrote it."""

import gzip
import json
import shutil
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from lineal.errors import Invalid
from lineal.model import Layer, Record, Uri
from lineal.normalise import Platforms
from lineal.sources.dbt import Snapshot, read

#: An artifact, or a part of one.
Body = dict[str, Any]

WH = "mlg://dataset/postgres/shop.public."


def node(unique_id: str, **more: Any) -> Body:
    """Return a node of the manifest, of the type that its id says."""
    kind, package, *names = unique_id.split(".")
    return {
        "resource_type": kind,
        "unique_id": unique_id,
        "package_name": package,
        "name": names[-1],
        "database": "shop",
        "schema": "public",
        "config": {"materialized": "table", **more.pop("config", {})},
        "depends_on": {"macros": ["macro.dbt.x"], "nodes": more.pop("needs", [])},
        **more,
    }


def by_id(*nodes: Body) -> Body:
    """Return nodes by their unique id."""
    return {each["unique_id"]: each for each in nodes}


def artifact(kind: str = "manifest", version: int = 12, **body: Any) -> Body:
    """Return an artifact of the project ``shop``."""
    about = {
        "dbt_schema_version": f"https://schemas.getdbt.com/dbt/{kind}/v{version}.json",
        "generated_at": "2026-03-01T12:00:00.5Z",
        "invocation_id": "inv-1",
    }
    if kind == "manifest":
        about |= {"project_name": "shop", "adapter_type": "postgres"}
    return {"metadata": about | body.pop("metadata", {}), **body}


EPHEMERAL = {"materialized": "ephemeral"}
KEY = {"name": "ID", "description": "key", "data_type": "int", "tags": ["pii"]}
PROJECT = artifact(
    nodes=by_id(
        node("seed.shop.raw_orders", relation_name='"shop"."public"."Raw_Orders"'),
        node(
            "model.shop.cleaned",
            needs=["source.shop.app.orders"],
            config={"materialized": "ephemeral"},
        ),
        node(
            "model.shop.orders",
            alias="orders_v2",
            needs=["model.shop.cleaned", "seed.shop.raw_orders", "test.shop.t", "operation.shop.o"],
            description="All orders.",
            original_file_path="models/orders.sql",
            tags=["daily", "tier:1"],
            meta={"owner": "ann@shop.example", "level": 2, "nested": {"x": 1}},
            group="sales",
            columns={
                "ID": {"name": "ID", "description": "key", "data_type": "int", "tags": ["pii"]}
            },
        ),
        node(
            "test.shop.unique_orders_id",
            attached_node="model.shop.orders",
            column_name="id",
            test_metadata={"name": "unique"},
            config={"severity": "WARN"},
            needs=["model.shop.orders"],
        ),
        node("test.shop.adds_up", needs=["model.shop.orders"]),
        node("analysis.shop.look", needs=["model.shop.orders"]),
    ),
    sources=by_id(node("source.shop.app.orders", identifier="raw_orders", source_name="app")),
    groups={
        "group.shop.sales": {
            "name": "sales",
            "resource_type": "group",
            "owner": {"name": "Sales crew", "email": None},
        }
    },
    semantic_models=by_id(node("semantic_model.shop.orders", needs=["model.shop.orders"])),
    metrics=by_id(
        node("metric.shop.revenue", label="Revenue", needs=["semantic_model.shop.orders"]),
        node("metric.shop.margin", needs=["metric.shop.revenue"], type="ratio"),
    ),
    exposures=by_id(
        node("exposure.shop.churn", type="ml", needs=["model.shop.orders"]),
        node(
            "exposure.shop.board",
            type="dashboard",
            needs=["metric.shop.margin"],
            url="https://bi.example/1?token=x",
            maturity="high",
            owner={"name": "Bo", "email": "bo@shop.example"},
        ),
        node("exposure.shop.app", type="application", needs=["seed.shop.raw_orders"]),
    ),
    macros={"macro.dbt.x": 12},
    docs="never parsed",
)


@pytest.fixture
def written(tmp_path):
    """Return a function that writes artifacts and reads their folder."""

    def write(*artifacts, **options):
        for number, each in enumerate(artifacts):
            (tmp_path / f"{number}.json").write_text(json.dumps(each))
        return read([tmp_path], observed_at=7, **options)

    return write


def records(*snapshots: Snapshot) -> dict[str, Record]:
    """Return all records by document."""
    return {record.document: record for each in snapshots for record in each.records}


def said(record: Record) -> Mapping[str, Any]:
    """Return what a record says of its subject."""
    return next(each.attributes for each in record.statements if each.uri == record.subject)


def edges(record: Record) -> set[tuple[str, Uri]]:
    """Return the edges, in short."""
    return {(edge.kind, edge.end) for edge in record.edges if edge.kind != "column_of"}


# ── The manifest ─────────────────────────────────────────────────────────────────────────────────


def test_every_node_that_is_something_here_has_its_document(written):
    (snapshot,) = written(PROJECT)

    assert (snapshot.source, snapshot.prefix) == ("dbt/shop", "manifest:")
    assert snapshot.complete
    assert {doc: record.subject for doc, record in records(snapshot).items()} == {
        "manifest:seed.shop.raw_orders": WH + "raw_orders",
        "manifest:source.shop.app.orders": WH + "raw_orders",
        "manifest:model.shop.cleaned": "mlg://dataset/dbt/model.shop.cleaned",
        "manifest:model.shop.orders": WH + "orders_v2",
        "manifest:metric.shop.revenue": "mlg://metric/dbt/shop/revenue",
        "manifest:metric.shop.margin": "mlg://metric/dbt/shop/margin",
        "manifest:exposure.shop.churn": "mlg://model/dbt/shop/churn",
        "manifest:exposure.shop.board": "mlg://dashboard/dbt/shop/board",
        "manifest:exposure.shop.app": "mlg://service/dbt/shop/app",
    }
    assert {record.said_at for record in snapshot.records} == {snapshot.said_at}


def test_a_model_tells_what_it_is(written):
    record = records(*written(PROJECT))["manifest:model.shop.orders"]

    assert said(record) == {
        "name": "orders",
        "description": "All orders.",
        "tool_ids": ["model.shop.orders"],
        "code_path": "models/orders.sql",
        "tags": ["daily", "tier::1"],
        "properties": {"owner": "ann@shop.example", "level": 2},
        "group": "sales",
        "form": "table",
        "subtypes": ["model"],
        "materialized": "table",
        "qualified_name": "shop.public.orders_v2",
        "tests": [
            {"name": "adds_up", "severity": "error"},
            {"name": "unique(id)", "column": "id", "severity": "warn"},
        ],
    }
    (column,) = [each for each in record.statements if each.uri.type == "column"]
    assert column.uri == "mlg://column/postgres/shop.public.orders_v2/id"
    assert column.attributes["description"] == "key"


def test_a_model_is_derived_from_data_and_owned_by_its_people_and_their_group(written):
    record = records(*written(PROJECT))["manifest:model.shop.orders"]

    assert edges(record) == {
        ("derived_from", "mlg://dataset/dbt/model.shop.cleaned"),
        ("derived_from", WH + "raw_orders"),
        ("owned_by", "mlg://user/email/ann@shop.example"),
        ("owned_by", "mlg://team/directory/sales-crew"),
    }
    assert {edge.layer for edge in record.edges} == {Layer.DECLARED}


HOME = "https://github.com/shop/data/tree/main/dbt"


def test_what_a_project_makes_is_defined_in_its_own_files(written):
    (snapshot,) = written(PROJECT, repository=HOME)
    record = records(snapshot)["manifest:model.shop.orders"]

    code = Uri("mlg://code/github.com/shop/data/dbt/models/orders.sql")
    assert ("defined_in", code) in edges(record)


def test_what_a_package_makes_or_another_tool_is_not_defined_in_the_project(written):
    other = node("model.tools.days", original_file_path="models/days.sql", package_name="tools")
    made = node("source.shop.app.orders", original_file_path="models/app.yml")
    project = artifact(nodes=by_id(other), sources=by_id(made))
    (snapshot,) = written(project, repository=HOME)

    kinds = {kind for record in snapshot.records for kind, _ in edges(record)}
    assert "defined_in" not in kinds


def test_an_address_that_is_none_of_a_repository_is_refused(written):
    with pytest.raises(Invalid, match="no address of a repository"):
        written(PROJECT, repository="/home/ann/shop")


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ("metric.shop.revenue", {("derived_from", WH + "orders_v2")}),
        ("metric.shop.margin", {("derived_from", "mlg://metric/dbt/shop/revenue")}),
        ("exposure.shop.churn", {("trained_on", WH + "orders_v2")}),
        ("exposure.shop.app", {("reads", WH + "raw_orders")}),
        (
            "exposure.shop.board",
            {
                ("reads", "mlg://metric/dbt/shop/margin"),
                ("owned_by", "mlg://user/email/bo@shop.example"),
            },
        ),
    ],
)
def test_metrics_and_exposures_rest_on_the_data_behind_them(written, document, found):
    assert edges(records(*written(PROJECT))[f"manifest:{document}"]) == found


def test_a_link_loses_its_secrets(written):
    assert said(records(*written(PROJECT))["manifest:exposure.shop.board"]) == {
        "name": "board",
        "tool_ids": ["exposure.shop.board"],
        "form": "dashboard",
        "subtypes": ["dashboard"],
        "link": "https://bi.example/1",
        "maturity": "high",
    }


@pytest.mark.parametrize(
    ("adapter", "options", "uri"),
    [
        ("snowflake", {}, "mlg://dataset/snowflake/SHOP.PUBLIC.RAW_ORDERS"),
        ("bigquery", {}, "mlg://dataset/bigquery/shop.public.Raw_Orders"),
        (None, {}, "mlg://dataset/dbt/shop.public.Raw_Orders"),
        (
            "postgres",
            {"namespace": "postgresql://DB"},
            "mlg://dataset/postgres:%2F%2Fdb:5432/shop.public.raw_orders",
        ),
        (
            "postgres",
            {"namespace": "postgres://db", "platforms": Platforms({"postgres://db:5432": "wh"})},
            "mlg://dataset/wh/shop.public.raw_orders",
        ),
    ],
)
def test_relations_are_named_as_their_warehouse_folds_them(written, adapter, options, uri):
    (snapshot,) = written(
        {**PROJECT, "metadata": {**PROJECT["metadata"], "adapter_type": adapter}}, **options
    )

    assert records(snapshot)["manifest:seed.shop.raw_orders"].subject == uri


def test_a_project_without_name_is_the_package_whose_hash_it_gives(written):
    """Manifests before v10 give only the MD5 of the name."""
    about = {"project_name": None, "project_id": "4cf832ee4b2f4b2c5c1d3f0d0e9bc9e3"}
    nodes = by_id(node("model.dbt_utils.a"), node("model.dbt_utils.b"), node("model.jaffle_shop.c"))
    old = artifact(version=4, nodes=nodes, metadata=about)
    old["metadata"]["project_id"] = "06e5b98c2db46f8a72cc4f66410e9b3b"

    assert written(old)[0].source == "dbt/jaffle_shop"


def test_a_generic_test_of_an_old_version_is_of_the_model_it_names(written):
    test = node(
        "test.shop.relationships",
        column_name="id",
        test_metadata={
            "name": "relationships",
            "kwargs": {"model": "{{ get_where_subquery(ref('b')) }}", "to": "ref('a')"},
        },
        needs=["model.shop.a", "model.shop.b"],
    )
    manifest = artifact(version=4, nodes=by_id(node("model.shop.a"), node("model.shop.b"), test))
    found = records(*written(manifest))

    assert "tests" not in said(found["manifest:model.shop.a"])
    assert said(found["manifest:model.shop.b"])["tests"][0]["name"] == "relationships(id)"


# ── What cannot be read ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("https://schemas.getdbt.com/dbt/manifest/v99.json", "manifest v99 is not known"),
        ("https://schemas.getdbt.com/dbt/semantic_manifest/v1.json", "is no artifact"),
        ("something", "is no artifact"),
    ],
)
def test_an_unknown_version_is_refused_with_a_reason(written, schema, reason):
    (snapshot,) = written({"metadata": {"dbt_schema_version": schema}})

    assert reason in snapshot.refused[0].reason
    assert snapshot.refused[0].path == "metadata.dbt_schema_version"
    assert not snapshot.complete


def test_one_broken_node_is_refused_and_nothing_counts_as_vanished(written):
    broken = {**PROJECT, "nodes": {**PROJECT["nodes"], "model.shop.bad": 3}}
    (snapshot,) = written(broken)

    assert [item.path for item in snapshot.refused] == ["nodes.model.shop.bad"]
    assert len(snapshot.records) == 9
    assert not snapshot.complete


def test_a_whole_manifest_says_what_it_covers(written):
    (snapshot,) = written(PROJECT)

    assert snapshot.complete
    assert snapshot.prefix == "manifest:"
    assert snapshot.along == ("catalog:", "freshness:")


def test_a_catalog_and_freshness_are_never_whole(written):
    """dbt writes there what was selected, and not that it was."""
    table = {"metadata": {"type": "VIEW", "database": "shop", "schema": "public", "name": "x"}}
    result = {"unique_id": "source.shop.app.orders", "status": "pass"}
    found = written(
        PROJECT,
        artifact("catalog", 1, nodes={"model.shop.orders": table}),
        artifact("sources", 3, results=[result]),
        RESULTS,
    )

    assert not any(each.refused for each in found)
    assert {each.prefix for each in found if each.complete} == {"manifest:", "run:inv-1"}
    assert {each.along for each in found if each.prefix != "manifest:"} == {()}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"metadata": 1}', b"\x1f\x8bxx"])
def test_a_named_file_that_is_no_artifact_is_refused(tmp_path, content):
    file = tmp_path / "manifest.json"
    file.write_bytes(content)
    (snapshot,) = read([file], observed_at=7)

    assert snapshot.refused[0].file == str(file)
    assert snapshot.records == ()


def test_other_files_in_a_folder_are_passed_over(tmp_path):
    (tmp_path / "package.json").write_text('{"name": "x"}')
    (tmp_path / "deep").mkdir()
    packed = gzip.compress(json.dumps(PROJECT).encode())
    (tmp_path / "deep" / "any-name.json.gz").write_bytes(packed)
    (snapshot,) = read([tmp_path], observed_at=7)

    assert len(snapshot.records) == 9


# ── Catalog, results, freshness ──────────────────────────────────────────────────────────────────


def test_a_catalog_adds_types_and_sizes_to_the_same_data_sets_and_columns(written):
    table = {
        "metadata": {"type": "BASE TABLE", "database": "shop", "schema": "public", "name": "x"},
        "columns": {"id": {"name": "id", "type": "bigint", "index": 1, "comment": None}},
        "stats": {"num_rows": {"id": "num_rows", "value": 12}},
    }
    catalog = artifact("catalog", 1, nodes={"model.shop.orders": table})
    found = records(*written(PROJECT, catalog))
    record = found["catalog:model.shop.orders"]

    assert record.subject == found["manifest:model.shop.orders"].subject
    assert said(record) == {"form": "table", "subtypes": ["base table"], "rows": 12}
    assert {each.uri for each in record.statements} == {
        each.uri for each in found["manifest:model.shop.orders"].statements
    }


RESULTS = artifact(
    "run-results",
    6,
    args={"which": "build", "select": ["+orders"]},
    results=[
        {
            "unique_id": "model.shop.orders",
            "status": "success",
            "timing": [
                {"name": "compile", "started_at": "2026-03-01T11:00:00Z", "completed_at": None},
                {"name": "execute", "completed_at": "2026-03-01T11:30:00Z"},
            ],
            "adapter_response": {"rows_affected": 5},
        },
        {"unique_id": "seed.shop.raw_orders", "status": "error"},
        {"unique_id": "test.shop.unique_orders_id", "status": "warn"},
        {"unique_id": "test.shop.adds_up", "status": "fail"},
        {"unique_id": "operation.shop.hook", "status": "success"},
    ],
)


def test_a_run_produced_what_it_built_and_tells_how_the_tests_went(written):
    found = records(*written(PROJECT, RESULTS))
    run, record = found["run:inv-1"], found["run:inv-1:model.shop.orders"]
    (edge,) = record.edges

    assert said(run)["status"] == "failed"
    assert said(run)["parameters"] == {"select": ["+orders"]}
    assert said(run)["results"] == {"error": 1, "fail": 1, "success": 2, "warn": 1}
    assert edges(run) == {("run_of", "mlg://pipeline/dbt/shop")}
    assert (edge.kind, edge.end, edge.layer) == ("produced_by", run.subject, Layer.OBSERVED)
    assert edge.attributes == {"rows": 5}
    assert said(record) == {
        "refreshed_at": "2026-03-01T11:30:00Z",
        "quality": {"adds_up": "failed", "unique(id)": "warned"},
    }
    assert set(found) - set(records(*written(PROJECT))) <= {"run:inv-1", record.document}


def test_a_command_that_only_compiles_builds_and_tests_nothing(written):
    """``dbt docs generate`` calls every node a success."""
    compiled = {**RESULTS, "args": {"which": "generate"}}
    runs = [doc for doc in records(*written(PROJECT, compiled)) if doc.startswith("run:")]

    assert runs == ["run:inv-1"]


def test_results_without_their_manifest_are_refused(written):
    (snapshot,) = written(RESULTS)

    assert "no manifest that fits" in snapshot.refused[0].reason


def test_a_catalog_alone_needs_to_know_where_its_tables_are(written):
    table = {"metadata": {"type": "VIEW", "database": "d", "schema": "s", "name": "X"}}
    catalog = artifact("catalog", 1, nodes={"model.shop.x": table})

    assert written(catalog)[0].refused
    (snapshot,) = written(catalog, namespace="snowflake://o-a")
    assert snapshot.records[0].subject == "mlg://dataset/snowflake:%2F%2Fo-a/D.S.X"


def test_freshness_tells_when_a_source_was_loaded(written):
    result = {
        "unique_id": "source.shop.app.orders",
        "status": "pass",
        "max_loaded_at": "2026-03-01",
    }
    fresh = artifact("sources", 3, results=[result])

    assert said(records(*written(PROJECT, fresh))["freshness:source.shop.app.orders"]) == {
        "refreshed_at": "2026-03-01T00:00:00Z",
        "freshness_status": "passed",
    }


def test_a_result_finds_the_manifest_of_its_own_invocation(written):
    """Of two manifests of one project, whichever is read first."""
    other = {
        **PROJECT,
        "metadata": {**PROJECT["metadata"], "invocation_id": "inv-0", "adapter_type": "snowflake"},
    }
    for pair in ((PROJECT, other), (other, PROJECT)):
        found = records(*(each for each in written(*pair, RESULTS) if each.prefix != "manifest:"))
        assert found["run:inv-1:model.shop.orders"].subject == WH + "orders_v2"


# ── Real projects ────────────────────────────────────────────────────────────────────────────────


def kinds(snapshot: Snapshot) -> dict[str, int]:
    """Count the documents of a snapshot by resource type."""
    return dict(Counter(record.document.split(":")[1].split(".")[0] for record in snapshot.records))


@pytest.mark.data
def test_hubspot_is_read_whole_and_its_seeds_and_sources_are_the_same_tables(shared_data):
    snapshots = read([shared_data / "dbt/fivetran_hubspot"], observed_at=7)
    manifest, catalog = snapshots
    documents: dict[Uri, list[str]] = {}
    for record in manifest.records:
        documents.setdefault(record.subject, []).append(record.document)

    assert not any(each.refused for each in snapshots)
    assert kinds(manifest) == {"model": 154, "source": 61, "seed": 56}
    assert kinds(catalog) == {"model": 150, "source": 56, "seed": 56}
    assert Counter(len(each) for each in documents.values()) == {1: 159, 2: 56}
    assert sum(len(said(record).get("tests", [])) for record in manifest.records) == 73


@pytest.mark.data
def test_every_version_of_the_manifest_is_read_without_a_refusal(shared_data):
    files = sorted((shared_data / "dbt/jaffle_shop/manifest").rglob("*.json"))
    snapshots = read(files, observed_at=7)

    assert len(snapshots) == len(files) == 16
    assert not any(each.refused for each in snapshots)
    assert {each.source for each in snapshots} == {"dbt/jaffle_shop"}
    assert all(each.records for each in snapshots)
    times = [each.said_at or 0 for each in snapshots]
    assert times == sorted(times)


@pytest.mark.data
def test_four_months_of_a_project_show_what_vanished(shared_data):
    snapshots = read([shared_data / "dbt/fivetran_ad_reporting"], observed_at=7)
    before, after = (each for each in snapshots if each.prefix == "manifest:")

    assert kinds(before) == {"model": 226, "seed": 58, "source": 79}
    assert kinds(after) == {"model": 223, "seed": 80, "source": 78, "metric": 9}
    names = [{record.document for record in each.records} for each in (before, after)]
    assert len(names[0] - names[1]) == 25
    assert not any(each.refused for each in snapshots)


@pytest.mark.data
def test_the_order_of_reading_changes_nothing(shared_data):
    files = sorted((shared_data / "dbt/fivetran_ad_reporting").rglob("*.json"))

    assert read(files, observed_at=7) == read(files[::-1], observed_at=7)


@pytest.mark.data
def test_a_dbt_node_is_the_data_set_that_its_openlineage_events_name(shared_data):
    folder = shared_data / "dbt/openlineage_postgres_sample"
    platforms = Platforms({"postgres://POSTGRES_HOST:1234": "wh"})
    snapshots = read(
        [folder / "target"],
        namespace="postgres://postgres_host:1234",
        platforms=platforms,
        observed_at=7,
    )
    events = json.loads((folder / "result.json").read_text())
    named = {
        each["name"] for event in events for side in ("inputs", "outputs") for each in event[side]
    }
    ours = {record.subject for record in snapshots[0].records}

    assert {Uri.of("dataset", "wh", each) for each in named} <= ours
    assert sum(edge.kind == "produced_by" for r in snapshots[1].records for edge in r.edges) == 5


@pytest.mark.data
def test_a_truncated_manifest_is_refused(shared_data, tmp_path):
    file = tmp_path / "manifest.json"
    shutil.copy(shared_data / "dbt/fivetran_hubspot/manifest.json", file)
    file.write_bytes(file.read_bytes()[:-100])
    (snapshot,) = read([file], observed_at=7)

    assert "not JSON" in snapshot.refused[0].reason

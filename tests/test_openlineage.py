"""OpenLineage: any order, any repetition, one record."""

import contextlib
import gzip
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineal.errors import InvalidEvent
from lineal.model import Layer, Record, Uri, iso
from lineal.normalise import Platforms, rewrites
from lineal.sources import Key, Refused
from lineal.sources.openlineage import OpenLineage, read_events, read_paths

#: An event, or a part of one.
Body = dict[str, Any]

RUN = "0198aaaa-0000-7000-8000-0000000000aa"
JOB = {"namespace": "airflow", "name": "shop.load"}
START = "2026-03-01T12:00:00Z"
END = "2026-03-01T12:05:00Z"


def event(
    state: str | None = "COMPLETE",
    at: str = END,
    *,
    inputs: Sequence[str | Body] = (),
    outputs: Sequence[str | Body] = (),
    run: Body | None = None,
    job: Body | None = None,
    **more: Any,
) -> Body:
    """Return a run event; data sets are names in the namespace ``bigquery``, or whole."""
    return {
        "eventTime": at,
        "eventType": state,
        "run": {"runId": RUN, "facets": run or {}},
        "job": {**JOB, "facets": job or {}},
        "inputs": [data_set(each) for each in inputs],
        "outputs": [data_set(each) for each in outputs],
        **more,
    }


def data_set(name: str | Body, **facets: Any) -> Body:
    """Return a data set as OpenLineage names it."""
    if isinstance(name, dict):
        return name
    return {"namespace": "bigquery", "name": name, "facets": facets}


def fold_all(events: Iterable[Body], source: OpenLineage | None = None) -> dict[str, Record]:
    """Return the records of all documents that *events* speak of, by document."""
    source = source or OpenLineage()
    kept: dict[Key, list[Body]] = defaultdict(list)
    for each in events:
        for mark in source.understand(each):
            kept[mark.key].append(each)
    folded = (source.fold(key, entries, observed_at=1) for key, entries in kept.items())
    return {record.document: record for record in folded if record is not None}


def run_of(*events: Body) -> Record:
    """Return the record of the run."""
    return fold_all(events)[f"run:airflow/{RUN}"]


def said(record: Record, uri: Uri | None = None) -> Mapping[str, Any]:
    """Return what *record* says of *uri*, its subject if none is given."""
    return next(s.attributes for s in record.statements if s.uri == (uri or record.subject))


def edges(record: Record, kind: str) -> set[tuple[Uri, Uri]]:
    """Return the ends of the edges of one kind."""
    return {(edge.start, edge.end) for edge in record.edges if edge.kind == kind}


def ends(record: Record, kind: str) -> set[str]:
    """Return what edges of one kind lead to, in short."""
    return {edge.end.name for edge in record.edges if edge.kind == kind}


# ── What is an event ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eventTime": None}, "eventTime: missing"),
        ({"eventTime": "soon"}, "eventTime: 'soon' is not a time."),
        ({"eventTime": 12}, "eventTime: text is needed, not a number"),
        ({"eventType": "PAUSE"}, "eventType: 'PAUSE' is none of"),
        ({"run": {}}, "run.runId: missing"),
        ({"run": {"runId": " "}}, "run.runId: empty"),
        ({"run": {"runId": 1}}, "run.runId: text is needed, not a number"),
        ({"run": []}, "run: an object is needed, not a list"),
        ({"run": {"runId": "."}}, "run: '.' cannot be a part of a URI."),
        ({"job": None}, "job: missing"),
        ({"job": {"namespace": "a"}}, "job.name: missing"),
        ({"job": {"namespace": "a", "name": "a\nb"}}, "job: 'a\\nb' holds a control"),
        ({"inputs": {}}, "inputs: a list is needed, not an object"),
        ({"inputs": [data_set("a"), {"name": "b"}]}, "inputs[1].namespace: missing"),
        ({"outputs": ["a"]}, "outputs[0]: an object is needed, not text"),
        ({"outputs": [{**data_set("a"), "facets": []}]}, "outputs[0].facets: an object"),
        ({"outputs": [data_set("x" * 3000)]}, "outputs[0]: The URI of this dataset would"),
        ({"run": None, "job": None}, "neither run, job nor dataset"),
    ],
)
def test_an_invalid_event_is_refused_with_path_and_reason(change, message):
    with pytest.raises(InvalidEvent) as refusal:
        OpenLineage().understand({**event(), **change})
    assert str(refusal.value).startswith(message)


def test_an_event_marks_its_run_its_job_and_its_data_sets():
    lineage = {"fields": {"c": {"inputFields": [{**data_set("referred"), "field": "d"}]}}}
    body = event(inputs=["a"], outputs=[data_set("b", columnLineage=lineage)])

    assert [mark.key.document for mark in OpenLineage().understand(body)] == [
        "dataset:bigquery/a",
        "dataset:bigquery/b",
        "job:airflow/shop.load",
        f"run:airflow/{RUN}",
    ]


def test_a_run_id_has_one_spelling():
    shouted = event(run={})
    shouted["run"]["runId"] = RUN.upper()

    assert OpenLineage().understand(shouted) == OpenLineage().understand(event())


def test_documents_of_odd_names_are_not_mixed_up():
    """A slash in a name does not move the border between namespace and name."""
    one: Body = {"eventTime": END, "job": {"namespace": "a", "name": "b/c"}}
    two: Body = {"eventTime": END, "job": {"namespace": "a/b", "name": "c"}}

    assert OpenLineage().understand(one) != OpenLineage().understand(two)


def test_the_subject_of_a_document_is_known_without_its_entries():
    source = OpenLineage(platforms=Platforms({"airflow": "scheduler"}))

    for mark in source.understand(event(inputs=["a/b c"])):
        record = source.fold(mark.key, [event(inputs=["a/b c"])], observed_at=1)
        assert record is not None
        assert record.subject == source.subject(mark.key)
        assert Key.of(record.document) == mark.key


def test_the_hash_ignores_the_order_of_keys():
    body = event()

    assert OpenLineage().entry_hash(body) == OpenLineage().entry_hash(
        dict(reversed(list(body.items())))
    )


def test_entries_that_do_not_speak_of_it_give_no_record():
    assert OpenLineage().fold(Key("dataset", "bigquery/x"), [event()], observed_at=1) is None


# ── Runs ─────────────────────────────────────────────────────────────────────────────────────────


def test_inputs_and_outputs_of_a_run_add_up():
    """Spark often names data sets on START alone."""
    record = run_of(
        event("START", START, inputs=["a"], outputs=["c"]), event("COMPLETE", END, inputs=["b"])
    )

    assert ends(record, "reads") == {"a", "b"}
    assert edges(record, "produced_by") == {(Uri("mlg://dataset/bigquery/c"), record.subject)}
    assert {edge.layer for edge in record.edges} == {Layer.OBSERVED}
    assert {iso(edge.valid_from or 0) for edge in record.edges} == {START}


@pytest.mark.parametrize(
    ("states", "status"),
    [
        (["START"], "running"),
        (["COMPLETE", "RUNNING"], "succeeded"),
        (["FAIL", "START"], "failed"),
        (["FAIL", "COMPLETE"], "succeeded"),
        (["START", "ABORT", "OTHER"], "cancelled"),
        (["OTHER"], None),
        ([None], None),
    ],
)
def test_a_terminal_state_wins_whenever_it_was_said(states, status):
    events = [event(state, f"2026-03-01T12:00:0{n}Z") for n, state in enumerate(states)]

    assert said(run_of(*events)).get("status") == status


def test_nanoseconds_decide_between_two_states():
    events = [
        event("FAIL", "2026-03-01T12:00:00.000000002Z"),
        event("COMPLETE", "2026-03-01T12:00:00.000000001Z"),
    ]

    assert said(run_of(*events))["status"] == "failed"


def test_a_run_tells_when_how_and_why():
    run = {
        "nominalTime": {"nominalStartTime": "2026-03-01T00:00:00+00:00", "nominalEndTime": None},
        "processing_engine": {"name": "Spark", "version": "4.0"},
        "errorMessage": {"message": "disk full", "programmingLanguage": "JAVA"},
        "executionParameters": {"parameters": [{"key": "n", "value": 3}]},
        "test": {"tests": [{"name": "rows", "status": "pass"}]},
    }
    attributes = said(run_of(event("START", START), event("FAIL", END, run=run)))

    assert attributes == {
        "name": f"shop.load {RUN[:8]}",
        "status": "failed",
        "started_at": START,
        "ended_at": END,
        "scheduled_for": "2026-03-01T00:00:00Z",
        "engine": "Spark",
        "engine_version": "4.0",
        "error": "disk full",
        "parameters": {"n": 3},
        "tests": [{"name": "rows", "status": "pass"}],
    }


def test_a_facet_is_its_latest_and_can_be_deleted():
    def with_facet(at: str, value: Body) -> Body:
        return event("RUNNING", at, job={"documentation": value})

    first = with_facet(START, {"description": "old"})
    second = with_facet(END, {"description": "new"})
    gone = with_facet("2026-03-01T13:00:00Z", {"_deleted": True})

    assert said(fold_all([second, first])["job:airflow/shop.load"])["description"] == "new"
    assert "description" not in said(fold_all([gone, second, first])["job:airflow/shop.load"])


def test_unknown_facets_are_kept_but_never_secrets_or_code():
    run = {
        "shop_extra": {"_producer": "x", "shelf": 3, "nested": [{"api_key": "k1", "b": "c"}]},
        "environmentVariables": {"environmentVariables": [{"name": "PASSWORD", "value": "k2"}]},
        "unknownSourceAttribute": {"unknownItems": ["k3"]},
    }
    job = {"sourceCode": {"language": "python", "sourceCode": "k4"}}
    records = fold_all([event(run=run, job=job)])
    facets = said(records[f"run:airflow/{RUN}"])["facets"]

    assert facets == {
        "shop_extra": {"_producer": "x", "shelf": 3, "nested": [{"api_key": "***", "b": "c"}]}
    }
    assert said(records["job:airflow/shop.load"])["code_language"] == "python"
    assert not any(secret in str(records) for secret in ("k1", "k2", "k3", "k4"))


def test_a_run_hangs_below_its_parent_and_its_root():
    parent = {
        "run": {"runId": "p"},
        "job": {"namespace": "airflow", "name": "shop"},
        "root": {"run": {"runId": "r"}, "job": {"namespace": "cron", "name": "night"}},
    }
    record = run_of(event(run={"parent": parent}))
    above, root = Uri("mlg://run/airflow/p"), Uri("mlg://run/cron/r")

    assert edges(record, "part_of") == {(record.subject, above), (above, root)}
    assert (above, Uri("mlg://pipeline/airflow/shop")) in edges(record, "run_of")


def test_a_version_of_a_data_set_is_read_and_belongs_to_its_whole():
    """Two runs of one job that read two snapshots must not be mixed."""
    record = run_of(event(inputs=[data_set("a", version={"datasetVersion": "7"})]))
    version = Uri("mlg://dataset-version/bigquery/a/7")

    assert edges(record, "reads") == {(record.subject, version)}
    assert edges(record, "version_of") == {(version, Uri("mlg://dataset/bigquery/a"))}
    assert said(record, version)["version"] == "7"


def test_the_version_read_and_the_version_written_are_two():
    before = data_set("a", version={"datasetVersion": "7"})
    after = data_set("a", version={"datasetVersion": "8"})
    record = run_of(event(inputs=[before], outputs=[after]))

    assert ends(record, "reads") == {"7"}
    assert {start.name for start, _ in edges(record, "produced_by")} == {"8"}


def snapshots(window: int | None = None) -> Body:
    """Return a job that says all there is in every event."""
    pattern: Body = {"eventTrigger": "PERIODIC", "eventContentMode": "COMPLETE_SNAPSHOT"}
    if window:
        pattern["windowDuration"] = window
    return {"jobType": {"processingType": "STREAMING", "emissionPattern": pattern}}


def test_a_complete_snapshot_replaces_the_others_of_its_window():
    job = snapshots(60)
    record = run_of(
        event("RUNNING", "2026-03-01T12:00:10Z", inputs=["a"], job=job),
        event("RUNNING", "2026-03-01T12:00:50Z", inputs=["b"], job=job),
        event("RUNNING", "2026-03-01T12:01:10Z", inputs=["c"], job=job),
    )

    assert ends(record, "reads") == {"b", "c"}


def test_without_a_window_the_last_snapshot_alone_counts():
    record = run_of(
        event("RUNNING", START, inputs=["a"], job=snapshots()),
        event("RUNNING", END, inputs=["b"], job=snapshots()),
    )

    assert ends(record, "reads") == {"b"}


def test_column_lineage_becomes_edges_between_columns():
    step = {"type": "DIRECT", "subtype": "TRANSFORMATION", "masking": True, "description": "md5"}
    lineage = {
        "fields": {
            "who": {"inputFields": [{**data_set("a"), "field": "email", "transformations": [step]}]}
        },
        "dataset": [
            {
                **data_set("a"),
                "field": "day",
                "transformations": [{"type": "INDIRECT", "subtype": "FILTER"}],
            }
        ],
    }
    record = run_of(event(inputs=["a"], outputs=[data_set("b", columnLineage=lineage)]))
    found = {(e.start, e.end): e for e in record.edges if e.kind == "derived_from"}
    direct = found[Uri("mlg://column/bigquery/b/who"), Uri("mlg://column/bigquery/a/email")]
    whole = found[Uri("mlg://dataset/bigquery/b"), Uri("mlg://column/bigquery/a/day")]

    assert direct.attributes["transformation"] == "transformation"
    assert direct.attributes["masking"] is True
    assert direct.attributes["transformations"] == [step]
    assert whole.attributes["transformation"] == "filter"
    assert len(found) == 2


def test_a_name_in_a_facet_that_cannot_be_read_is_noted():
    fields = {"x": {"inputFields": [{"namespace": "bigquery", "name": "", "field": "y"}]}}
    record = run_of(event(outputs=[data_set("b", columnLineage={"fields": fields})]))

    assert said(record)["unread"] == ["columnLineage.fields.x: There is no name."]


def test_dependencies_join_runs_or_else_pipelines():
    upstream = {
        "job": {"namespace": "airflow", "name": "shop.extract"},
        "run": {"runId": "x"},
        "dependency_type": "DIRECT_INVOCATION",
    }
    downstream = {"job": {"namespace": "airflow", "name": "shop.report"}}
    facet = {"upstream": [upstream], "downstream": [downstream]}
    record = run_of(event(run={"jobDependencies": facet}))

    assert edges(record, "depends_on") == {
        (record.subject, Uri("mlg://run/airflow/x")),
        (Uri("mlg://pipeline/airflow/shop.report"), Uri("mlg://pipeline/airflow/shop.load")),
    }


# ── Models ───────────────────────────────────────────────────────────────────────────────────────

MODEL = {"datasetType": {"datasetType": "MODEL"}}


def test_a_model_that_is_written_gets_a_version_named_by_its_run():
    record = run_of(event(inputs=["a"], outputs=[data_set("ranker", **MODEL)]))
    version = Uri(f"mlg://model-version/bigquery/ranker/{RUN}")

    assert edges(record, "produced_by") == {(version, record.subject)}
    assert edges(record, "version_of") == {(version, Uri("mlg://model/bigquery/ranker"))}


def test_a_model_is_one_throughout_its_run_and_has_its_own_document():
    events = [
        event("START", START, inputs=["ranker"]),
        event(inputs=[data_set("ranker", documentation={"description": "ranks"}, **MODEL)]),
    ]
    records = fold_all(events)

    assert edges(records[f"run:airflow/{RUN}"], "reads") == {
        (Uri(f"mlg://run/airflow/{RUN}"), Uri("mlg://model/bigquery/ranker"))
    }
    assert said(records["model:bigquery/ranker"])["description"] == "ranks"


def test_columns_that_a_model_learns_from_are_read_by_its_run():
    fields = {"score": {"inputFields": [{**data_set("a"), "field": "x"}]}}
    record = run_of(event(outputs=[data_set("ranker", columnLineage={"fields": fields}, **MODEL)]))

    assert edges(record, "reads") == {(record.subject, Uri("mlg://column/bigquery/a/x"))}


# ── Jobs ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_tells_what_it_is_and_where_its_code_lies():
    job = {
        "documentation": {"description": "Loads."},
        "jobType": {"processingType": "BATCH", "integration": "AIRFLOW", "jobType": "TASK"},
        "sql": {"query": "x" * 20_000},
        "sourceCodeLocation": {
            "type": "git",
            "url": "https://user:secret@git.example/org/shop/load.py",
            "repoUrl": "git@git.example:org/shop.git",
            "path": "load.py",
            "version": "abc",
        },
        "ownership": {"owners": [{"name": "team:rank", "type": "MAINTAINER"}, {"name": "***"}]},
        "tags": {"tags": [{"key": "tier", "value": "1"}, {"key": "pii", "value": "true"}]},
    }
    parent = {"run": {"runId": "p"}, "job": {"namespace": "airflow", "name": "shop"}}
    record = fold_all([event(job=job, run={"parent": parent})])["job:airflow/shop.load"]
    attributes = said(record)

    assert attributes["form"] == "task"
    assert attributes["engine"] == "airflow"
    assert attributes["repository"] == "https://git.example/org/shop"
    assert attributes["entry_point"] == "load.py"
    assert attributes["tags"] == ["pii", "tier::1"]
    assert len(attributes["query"]) == 10_001
    assert "secret" not in str(record)
    assert edges(record, "owned_by") == {(record.subject, Uri("mlg://team/directory/rank"))}
    assert edges(record, "part_of") == {(record.subject, Uri("mlg://pipeline/airflow/shop"))}
    assert edges(record, "defined_in") == {
        (record.subject, Uri("mlg://code/git.example/org/shop/load.py"))
    }


@pytest.mark.parametrize(
    ("place", "code"),
    [
        (
            {"type": "git", "url": "https://github.com/acme/ml/blob/rc/1/dags/x.py", "tag": "rc/1"},
            "github.com/acme/ml/dags/x.py",
        ),
        (
            {"url": "https://github.com/acme/ml/blob/main/x.py", "repoUrl": "git@github.com:b/c"},
            "github.com/acme/ml/x.py",
        ),
        ({"type": "git", "url": "https://github.com/acme/ml", "path": "x.py"},
         "github.com/acme/ml/x.py"),
        ({"repoUrl": "git@github.com:acme/ml.git"}, "github.com/acme/ml"),
    ],
)  # fmt: skip
def test_the_code_of_a_job_is_found_in_whatever_names_it(place, code):
    record = fold_all([event(job={"sourceCodeLocation": place})])["job:airflow/shop.load"]

    assert edges(record, "defined_in") == {(record.subject, Uri(f"mlg://code/{code}"))}


@pytest.mark.parametrize(
    "place",
    [
        {"type": "svn", "url": "https://svn.example/ml/trunk/x.py"},
        {"type": "git", "repoUrl": "/home/me/ml", "path": "x.py"},
        {"type": "git", "repoUrl": "git@github.com:acme/ml.git", "path": "../x.py"},
    ],
)
def test_a_job_whose_code_is_in_no_repository_says_nothing_of_it(place):
    record = fold_all([event(job={"sourceCodeLocation": place})])["job:airflow/shop.load"]

    assert not edges(record, "defined_in")


def test_a_job_leaves_what_its_runs_read_to_the_runs():
    record = fold_all([event(inputs=["a"], outputs=["b"])])["job:airflow/shop.load"]

    assert not record.edges


def design(at: str, *, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> Body:
    """Return a JobEvent."""
    whole = event(None, at, inputs=inputs, outputs=outputs)
    return {key: value for key, value in whole.items() if key != "run"}


def test_a_later_design_replaces_an_earlier_one_but_keeps_the_time_of_what_stayed():
    events = [design(START, inputs=["a", "b"], outputs=["c"]), design(END, inputs=["b"])]
    record = fold_all(events)["job:airflow/shop.load"]

    assert {(e.kind, e.end.name, e.layer, iso(e.valid_from or 0)) for e in record.edges} == {
        ("reads", "b", Layer.DECLARED, START)
    }


@pytest.mark.parametrize(
    ("entry", "edge"),
    [
        (
            {**data_set("t"), "type": "DATASET", "inputs": [{**data_set("s"), "type": "DATASET"}]},
            ("mlg://dataset/bigquery/t", "derived_from", "mlg://dataset/bigquery/s"),
        ),
        (
            {"type": "JOB", "inputs": [{**data_set("s"), "type": "DATASET", "field": "f"}]},
            (f"mlg://run/airflow/{RUN}", "reads", "mlg://column/bigquery/s/f"),
        ),
        (
            {**data_set("t"), "type": "DATASET", "inputs": [{"type": "JOB"}]},
            ("mlg://dataset/bigquery/t", "produced_by", f"mlg://run/airflow/{RUN}"),
        ),
        (
            {
                "namespace": "x",
                "name": "late",
                "type": "JOB",
                "inputs": [{"namespace": "x", "name": "early", "type": "JOB"}],
            },
            ("mlg://pipeline/x/late", "depends_on", "mlg://pipeline/x/early"),
        ),
        (
            {
                **data_set("t"),
                "type": "DATASET",
                "fields": {"c": {"inputs": [{**data_set("s"), "type": "DATASET", "field": "f"}]}},
            },
            ("mlg://column/bigquery/t/c", "derived_from", "mlg://column/bigquery/s/f"),
        ),
    ],
)
def test_explicit_lineage_of_a_job_is_stated_as_it_is(entry, edge):
    record = run_of(event(job={"lineage": {"entries": [entry]}}))

    assert edge in {(e.start, e.kind, e.end) for e in record.edges}


# ── Data sets ────────────────────────────────────────────────────────────────────────────────────


def test_a_data_set_has_columns_also_inside_columns():
    fields = [
        {"name": "id", "type": "INT", "description": "key"},
        {"name": "at", "type": "STRUCT", "fields": [{"name": "city", "type": "STRING"}]},
    ]
    tags = {"tags": [{"key": "pii", "value": "true", "field": "at.city"}, {"key": "gold"}]}
    body = {
        "eventTime": END,
        "dataset": data_set(
            "a", schema={"fields": fields}, tags=tags, **{"datasetType": {"datasetType": "VIEW"}}
        ),
    }
    record = fold_all([body])["dataset:bigquery/a"]
    city = Uri("mlg://column/bigquery/a/at.city")

    assert said(record)["form"] == "view"
    assert said(record)["tags"] == ["gold"]
    assert said(record, city) == {
        "name": "at.city",
        "data_type": "STRING",
        "position": 3,
        "tags": ["pii"],
    }
    assert (city, record.subject) in edges(record, "column_of")


def test_symlinks_and_renames_say_which_is_the_same():
    renamed = {
        "lifecycleStateChange": "RENAME",
        "previousIdentifier": {"namespace": "bigquery", "name": "old"},
    }
    link = {"identifiers": [{"namespace": "hive://ms:9083", "name": "db.A", "type": "TABLE"}]}
    body = event(outputs=[data_set("a", lifecycleStateChange=renamed, symlinks=link)])
    record = fold_all([body])["dataset:bigquery/a"]

    assert {(e.end, e.attributes["evidence"]) for e in record.edges if e.kind == "same_as"} == {
        (Uri("mlg://dataset/bigquery/old"), "rename"),
        (Uri("mlg://dataset/hive:%2F%2Fms:9083/db.a"), "symlink"),
    }
    assert {e.attributes["read_in"] for e in record.edges if e.kind == "same_as"} == {
        "lifecycleStateChange.previousIdentifier",
        "symlinks.identifiers[0]",
    }
    assert said(record)["last_operation"] == "rename"


def test_where_a_table_lies_is_the_weakest_evidence():
    """Only storage that names a place, and catalogs of files, tell it."""
    lake = {"framework": "iceberg", "type": "hadoop", "warehouseUri": "s3a://lake/wh"}
    hive = {"framework": "hive", "type": "hive", "warehouseUri": "file:/tmp/wh"}
    place = {"storageLayer": "delta", "location": "s3://lake/db/a"}
    bodies = [
        event(outputs=[data_set("db.a", catalog=lake), data_set("db.b", catalog=hive)]),
        event(outputs=[data_set("db.c", storage=place)]),
    ]
    records = fold_all(bodies)

    assert {
        (e.start.name, e.end, e.attributes["evidence"], e.attributes["read_in"])
        for record in records.values()
        for e in record.edges
        if e.kind == "same_as"
    } == {
        ("db.a", "mlg://dataset/s3/lake/wh%2Fdb%2Fa", "location", "catalog.warehouseUri"),
        ("db.c", "mlg://dataset/s3/lake/db%2Fa", "location", "storage"),
    }


def test_a_symlink_outweighs_a_location():
    place = {"storageLayer": "delta", "location": "s3://lake/a"}
    link = {"identifiers": [{"namespace": "s3://lake", "name": "a", "type": "LOCATION"}]}
    body = event(outputs=[data_set("a", storage=place, symlinks=link)])
    (edge,) = [e for e in fold_all([body])["dataset:bigquery/a"].edges if e.kind == "same_as"]

    assert edge.attributes["evidence"] == "symlink"


def test_a_partition_is_of_its_data_set_and_the_run_says_which():
    names = ["t/day=2/part-0", "t/day=1", "t"]
    inputs = [{"namespace": "s3://lake", "name": name} for name in names]
    records = fold_all([event(inputs=inputs)])
    (run,) = [record for record in records.values() if record.subject.type == "run"]
    (reads,) = [edge for edge in run.edges if edge.kind == "reads"]

    assert reads.end == "mlg://dataset/s3/lake/t"
    assert reads.attributes["parts"] == ["day=1", "day=2/part-0"]


def test_a_rewrite_is_stated_beside_the_name_that_was_used():
    rules = rewrites({"bigquery old.*": "bigquery new.*"})
    source = OpenLineage(platforms=Platforms(rewrites=rules))
    records = fold_all([event(inputs=[data_set("old.d.t")])], source)

    for record in records.values():
        same = [edge for edge in record.edges if edge.kind == "same_as"]
        named = any(
            end == "mlg://dataset/bigquery/old.d.t"
            for e in record.edges
            for end in (e.start, e.end)
        )
        assert [(e.start, e.end, e.attributes["evidence"]) for e in same] == (
            [("mlg://dataset/bigquery/old.d.t", "mlg://dataset/bigquery/new.d.t", "rewrite")]
            if named
            else []
        )
    assert [e.kind for e in records["dataset:bigquery/old.d.t"].edges] == ["same_as"]


def test_saying_the_same_again_changes_no_time():
    """Else every event of a busy table would write its facts anew."""
    schema = {"fields": [{"name": "id", "type": "INT"}]}
    once = [event("START", START, outputs=[data_set("a", schema={**schema, "_producer": "1"})])]
    twice = [*once, event(outputs=[data_set("a", schema={**schema, "_producer": "2"})])]
    first, second = (fold_all(each)["dataset:bigquery/a"] for each in (once, twice))

    assert (first.statements, first.edges) == (second.statements, second.edges)


def test_quality_is_read_wherever_it_is_said():
    checks = {"assertions": [{"assertion": "not_null", "column": "id", "success": False}]}
    body = event(
        inputs=[
            {
                **data_set("a"),
                "inputFacets": {
                    "dataQualityMetrics": {"rowCount": 10},
                    "dataQualityAssertions": checks,
                },
            }
        ]
    )
    attributes = said(fold_all([body])["dataset:bigquery/a"])

    assert attributes["rows"] == 10
    assert attributes["quality"] == {"not_null(id)": "failed"}


def test_the_environment_is_noted_on_every_statement():
    body = event(outputs=[data_set("a", schema={"fields": [{"name": "id"}]})])
    records = fold_all([body], OpenLineage(environment="staging"))
    statements = [each for record in records.values() for each in record.statements]

    assert {each.attributes["environment"] for each in statements} == {"staging"}


# ── Files ────────────────────────────────────────────────────────────────────────────────────────


def test_files_hold_an_object_an_array_or_lines_and_may_be_packed(tmp_path):
    bodies = [event("START", START), event()]
    (tmp_path / "a.json").write_text(json.dumps(bodies[0], indent=2))
    (tmp_path / "b.json").write_text(json.dumps(bodies))
    lines = "\n".join(json.dumps({**body, "x": "\u2028"}, ensure_ascii=False) for body in bodies)
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "d.md").write_text("no events here")
    found = [item for item in read_paths([tmp_path]) if not isinstance(item, Refused)]

    assert [(path.name, index) for path, index, _ in found] == [
        ("a.json", 0),
        ("b.json", 0),
        ("b.json", 1),
        ("c.jsonl.gz", 0),
        ("c.jsonl.gz", 1),
    ]


def test_a_broken_item_is_refused_and_the_rest_goes_on(tmp_path):
    file = tmp_path / "events.jsonl"
    lines = [json.dumps(event()), '{"broken', json.dumps({**event(), "run": {}}), "[]", "{}"]
    file.write_text("\n".join(lines))
    found = list(read_events(file))
    refused = [item for item in found if isinstance(item, Refused)]

    assert [item.index for item in refused] == [1, 2, 3, 4]
    assert refused[1] == Refused(str(file), 2, "missing", "run.runId")
    assert len(found) == 5


@pytest.mark.parametrize("content", [b"", b"\x1f\x8bnot", b"\xff\xfe", b"[" * 100_000, b"nothing"])
def test_a_file_that_cannot_be_read_is_refused_whole_or_in_part(tmp_path, content):
    file = tmp_path / "events.txt"
    file.write_bytes(content)
    (refused,) = read_paths([file])

    assert isinstance(refused, Refused)
    assert refused.file == str(file)
    assert refused.reason


def test_a_file_that_is_not_there_is_refused(tmp_path):
    (refused,) = read_paths([tmp_path / "none.json"])

    assert isinstance(refused, Refused)
    assert refused.reason.startswith("cannot be read")


# ── Robustness ───────────────────────────────────────────────────────────────────────────────────

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["namespace", "name", "field", "type", "inputs", "run", "job", "runId", "key", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
FACETS = st.dictionaries(
    st.sampled_from(
        [
            "columnLineage", "lineage", "schema", "symlinks", "parent", "jobType", "ownership",
            "tags", "datasetType", "lifecycleStateChange", "jobDependencies", "version", "test",
            "dataQualityAssertions", "dataQualityMetrics", "executionParameters", "catalog",
        ]
    ),
    st.dictionaries(
        st.sampled_from(
            [
                "fields", "dataset", "entries", "identifiers", "owners", "tags", "run", "job",
                "upstream", "tests", "assertions", "columnMetrics", "parameters", "inputs", "root",
                "emissionPattern", "datasetType", "datasetVersion", "previousIdentifier",
            ]
        ),
        JSON,
        max_size=4,
    )
    | JSON,
    max_size=4,
)  # fmt: skip


@given(FACETS, FACETS, FACETS)
def test_facets_of_any_content_lose_no_event(run, job, facets):
    body = event(run=run, job=job, inputs=[{**data_set("a"), "facets": facets}])
    body["outputs"] = [{**data_set("b"), "facets": facets, "outputFacets": facets}]
    alone = {"eventTime": END, "dataset": {**data_set("b"), "facets": facets}}
    designed = {key: value for key, value in body.items() if key != "run"}

    assert len(fold_all([body, alone, designed])) >= 4


@given(JSON | st.dictionaries(st.sampled_from(["eventTime", "run", "job", "dataset"]), JSON))
def test_anything_is_understood_or_refused(body):
    with contextlib.suppress(InvalidEvent):
        OpenLineage().understand(body)


# ── Real events ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def events(shared_data):
    """Return a function that reads a folder of real events."""

    def read(folder):
        found = list(read_paths([shared_data / "openlineage" / folder]))
        assert not [item for item in found if isinstance(item, Refused)]
        return [item[2] for item in found if not isinstance(item, Refused)]

    return read


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "count", "documents"),
    [
        ("events/airflow", 32, {"job": 16, "run": 16, "dataset": 13}),
        (
            "events/spark_dataproc_simple_producer_test_complete",
            16,
            {"job": 6, "run": 7, "dataset": 2},
        ),
        ("events/simple_run_event", 1, {"job": 1, "run": 1, "dataset": 2}),
        ("events/marquez_food_delivery", 26, {"job": 13, "run": 13, "dataset": 13}),
        ("events/marquez_api_tests", 15, {"job": 5, "run": 7, "dataset": 14}),
    ],
)
def test_real_scenarios_are_read_whole(events, folder, count, documents):
    bodies = events(folder)
    found: dict[str, int] = defaultdict(int)
    for document, record in fold_all(bodies).items():
        assert not any("unread" in each.attributes for each in record.statements)
        found[Key.of(document).resource] += 1

    assert len(bodies) == count
    assert dict(found) == documents


@pytest.mark.data
def test_every_link_that_another_consumer_found_in_airflow_is_ours_too(events, shared_data):
    oracle = shared_data / "openlineage/oracle_dataplex/airflow/links.json"
    found = set()
    for record in fold_all(events("events/airflow")).values():
        found |= {
            (name(read), name(written))
            for run, read in edges(record, "reads")
            for written, by in edges(record, "produced_by")
            if run == by
        }
    expected = {
        tuple(link[side]["fully_qualified_name"] for side in ("source", "target"))
        for link in json.loads(oracle.read_text())
    }

    assert found == expected


def name(uri: Uri) -> str:
    """Return a data set's name as Dataplex writes it."""
    if uri.platform == "bigquery":
        return f"bigquery:{uri.name}"
    if uri.platform == "gs":
        return f"gcs:{uri.segments[0]}.`{uri.name}`"
    return f"filesystem:localhost.`{uri.name.lstrip('/')}`"


FOLDERS = ("airflow", "spark_dataproc_simple_producer_test_complete", "marquez_food_delivery")


@pytest.fixture(scope="module")
def marked(events):
    """Return the events of each document, over all scenarios, and the record of each."""
    source = OpenLineage()
    kept = defaultdict(list)
    for folder in FOLDERS:
        for body in events(f"events/{folder}"):
            for mark in source.understand(body):
                kept[mark.key].append(body)
    return {key: (each, source.fold(key, each, observed_at=1)) for key, each in kept.items()}


@pytest.mark.data
@given(seed=st.integers(0, 2**32))
def test_any_order_repetition_and_split_gives_the_same_records(marked, seed):
    """Events of other documents in the pile, and copies decoded anew, change nothing either."""
    chance = random.Random(seed)
    for key in chance.sample(sorted(marked), 5):
        entries, record = marked[key]
        others = [body for other in chance.sample(sorted(marked), 3) for body in marked[other][0]]
        known = [
            body for body in others if key not in {m.key for m in OpenLineage().understand(body)}
        ]
        pile = [*entries, *chance.choices(entries, k=3), *known]
        chance.shuffle(pile)
        copies = [json.loads(json.dumps(body, sort_keys=True)) for body in pile]

        assert OpenLineage().fold(key, copies, observed_at=1) == record


@pytest.mark.data
def test_facet_examples_of_the_specification_are_read(shared_data):
    files = sorted((shared_data / "openlineage/spec/tests").glob("*/*.json"))
    for file in files:
        facets = json.loads(file.read_text())
        both = {**data_set("b"), "facets": facets, "inputFacets": facets, "outputFacets": facets}
        body = event(run=facets, job=facets, inputs=[both], outputs=[both])
        alone = {"eventTime": END, "dataset": both}

        assert len(fold_all([body, alone])) >= 3, file
    assert len(files) == 46


@pytest.mark.data
def test_fragments_of_events_are_refused_and_completed_ones_are_read(shared_data):
    folder = shared_data / "openlineage/partial_expectations"
    files = sorted(folder.rglob("*.json"))
    assert all(isinstance(item, Refused) for item in read_paths([folder]))
    for file in files:
        body = json.loads(file.read_text())
        whole = {**event(), **{key: body[key] for key in ("inputs", "outputs") if key in body}}
        whole["run"] = {**body.get("run", {}), "runId": RUN}
        with contextlib.suppress(InvalidEvent):
            assert f"run:airflow/{RUN}" in fold_all([whole]), file
    assert len(files) == 124

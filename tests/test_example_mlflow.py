"""The shipped source for MLflow, against a small server that answers as MLflow 3.17 does."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.errors import InvalidEvent
from lineal.model import State, Uri
from lineal.shapes import Shapes
from lineal.shapes.examining import Examiner

EXAMPLE = Path(__file__).parent.parent / "examples" / "mlflow.yaml"
BEGAN, ENDED, MADE = 1_767_247_200_000, 1_767_247_260_000, 1_767_247_300_000
PARENT, TRAINING, RERUN = "a" * 32, "b" * 32, "c" * 32

RANKER = Uri("mlg://model/mlflow/ranker")
FIRST, SECOND = (Uri.of("model-version", "mlflow", "ranker", n) for n in ("1", "2"))
ODD = Uri.of("model-version", "mlflow", "a b&c?#+é", "1")
RUN = Uri.of("run", "mlflow", TRAINING)
ALICE = Uri("mlg://user/email/alice@example.com")


def pairs(**found: str) -> list[dict[str, str]]:
    return [{"key": key.replace("__", "."), "value": value} for key, value in found.items()]


def model(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "creation_timestamp": MADE, "last_updated_timestamp": MADE, **more}


def version(name: str, number: str, run: str, **more: Any) -> dict[str, Any]:
    made = {"version": number, "source": f"s3://models/{number}", "run_id": run}
    made |= {"current_stage": "None", "description": "", "status": "READY", "run_link": ""}
    return model(name, **{**made, **more})


def used(name: str, source: Any, purpose: str = "") -> dict[str, Any]:
    """Return an input of a run; what its data came from is JSON inside a text."""
    found = {"name": name, "digest": "ad126910", "source_type": "x", "source": json.dumps(source)}
    tags = {"tags": pairs(mlflow__data__context=purpose)} if purpose else {}
    return {**tags, "dataset": {**found, "profile": '{"num_rows": 2, "num_elements": 4}'}}


def run(ident: str, status: str = "FINISHED", user: str = "root", **more: Any) -> dict[str, Any]:
    info = {"run_id": ident, "run_uuid": ident, "run_name": f"run {ident[0]}", "user_id": user}
    info |= {"experiment_id": "1", "status": status, "lifecycle_stage": "active"}
    return {"info": {**info, "start_time": BEGAN, "end_time": ENDED}, "data": {}, **more}


def training() -> dict[str, Any]:
    """Return the run that made the first version."""
    data = {
        "metrics": [
            {"key": "auc", "value": 0.9, "timestamp": BEGAN, "step": 0},
            {"key": "loss", "value": "NaN", "timestamp": BEGAN, "step": 0},
        ],
        "params": pairs(depth="6"),
        "tags": pairs(
            mlflow__user="Alice@example.com",
            mlflow__source__git__commit="abc123",
            mlflow__parentRunId=PARENT,
            team="rank",
        ),
    }
    inputs = [
        used("plays", {"uri": "s3://lake/plays/day=1/part-0.parquet"}, "training"),
        used("check", {"uri": "gs://bucket/val.csv"}, "validation"),
        used("local", {"uri": "/data/x.csv"}),
        used("spark", {"path": "s3a://lake/titles"}),
        used("adhoc", {"tags": {"mlflow.user": "alice"}}, "training"),
        used("web", {"url": "https://example.com/d.csv"}),
        used("table", {"path": "personalization.plays"}),
        used("bucket", {"uri": "s3://bucket"}),
    ]
    return run(TRAINING, user="Alice@example.com", data=data, inputs={"dataset_inputs": inputs})


@dataclass
class Server:
    """What the tracking server has; *asked* is every question that was put to it."""

    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    experiments: dict[str, dict[str, Any]] = field(default_factory=dict)
    url: str = ""
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str, q: dict[str, str]) -> dict[str, Any] | None:
        """Return the answer to a GET, None where there is no such thing."""
        match path.removeprefix("/api/2.0/mlflow/"):
            case "registered-models/search":
                return self.page("registered_models", [*self.models.values()], q)
            case "registered-models/get":
                return self.one("registered_model", self.models.get(q["name"]))
            case "model-versions/search":
                # Aliases are never in this list, whatever is set.
                return self.page("model_versions", [*self.versions.values()], q)
            case "model-versions/get":
                found = self.versions.get((q["name"], q["version"]))
                return self.one("model_version", found and {**found, "aliases": ["champion"]})
            case "runs/get":
                return self.one("run", self.runs.get(q["run_id"]))
            case "experiments/search":
                return self.page("experiments", [*self.experiments.values()], q)
            case "experiments/get":
                return self.one("experiment", self.experiments.get(q["experiment_id"]))
        raise AssertionError(path)

    @staticmethod
    def one(name: str, found: dict[str, Any] | None) -> dict[str, Any] | None:
        return {name: found} if found else None

    @staticmethod
    def page(name: str, found: list[Any], q: dict[str, str]) -> dict[str, Any]:
        """Return two items; a page without any has no list, and the last has no token."""
        at = int(q.get("page_token", "0"))
        some = {name: found[at : at + 2]} if found[at:] else {}
        return some | ({"next_page_token": str(at + 2)} if found[at + 2 :] else {})


@contextlib.contextmanager
def running(server: Server) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            server.asked.append(self.path)
            found = server.answer(url.path, {k: v for k, (v,) in parse_qs(url.query).items()})
            missing = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "not found"}
            body = json.dumps(missing if found is None else found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            http.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    champion = [{"alias": "champion", "version": "1"}, {"alias": "gold", "version": "1"}]
    there = Server(
        models={
            "ranker": model(
                "ranker",
                description="Ranks rows",
                tags=pairs(domain="personalization", mlflow__internal="x"),
                aliases=[*champion, {"alias": "next", "version": "2"}],
            ),
            "a b&c?#+é": model("a b&c?#+é"),
            "empty": model("empty"),
        },
        versions={
            ("ranker", "1"): version("ranker", "1", TRAINING, tags=pairs(gate="passed", empty="")),
            ("ranker", "2"): version("ranker", "2", RERUN, current_stage="Production"),
            ("a b&c?#+é", "1"): version("a b&c?#+é", "1", ""),
        },
        runs={TRAINING: training(), PARENT: run(PARENT), RERUN: run(RERUN, "RUNNING")},
        experiments={
            "0": {"experiment_id": "0", "name": "Default", "lifecycle_stage": "active"},
            "1": {
                "experiment_id": "1",
                "name": "ranking/weekly",
                "lifecycle_stage": "active",
                "creation_time": MADE,
                "tags": pairs(mlflow__note__content="Weekly"),
            },
        },
    )
    with running(there):
        yield there


@pytest.fixture
def lineal(server: Server, tmp_path: Path) -> Iterator[Lineal]:
    variables = {"MLFLOW_URL": server.url}
    config = Config(db=tmp_path / "x.db", sources=(EXAMPLE,), variables=variables)
    with Lineal.open(config) as opened:
        yield opened


def swept(lineal: Lineal) -> None:
    assert not lineal.sweep("mlflow").held
    assert lineal.drain().complete
    assert lineal.dead_letters() == []


def told(lineal: Lineal, entity: str, action: str, **data: Any) -> None:
    """Deliver a webhook of MLflow."""
    body = {"entity": entity, "action": action, "timestamp": "2026-01-01T00:00:00+00:00"}
    lineal.receive("mlflow", [{**body, "data": data}])
    assert lineal.drain().complete
    assert lineal.dead_letters() == []


def said(lineal: Lineal, uri: Uri) -> dict[str, Any]:
    return dict(lineal.ask.get(LOCAL, uri).value.attributes)


def joined(lineal: Lineal, uri: Uri) -> dict[tuple[str, Uri], dict[str, Any]]:
    """Return what *uri* is joined to, as relation and other end, and what each edge says."""
    found = lineal.ask.neighbours(LOCAL, uri).value
    return {(one.relation, one.other.uri): dict(one.edge.attributes) for one in found}


def test_a_sweep_finds_everything_and_follows_runs_to_their_parents(lineal):
    swept(lineal)

    assert lineal.ask.counts(LOCAL).value == {
        "dataset": 8,
        "model": 3,
        "model-version": 3,
        "pipeline": 2,
        "run": 3,
        "user": 1,
    }
    things = [RANKER, FIRST, SECOND, ODD, RUN, Uri.of("run", "mlflow", PARENT)]
    assert {lineal.ask.get(LOCAL, uri).value.state for uri in things} == {State.HYDRATED}


def test_a_model_its_versions_and_its_aliases(lineal):
    swept(lineal)

    assert said(lineal, RANKER) == {
        "name": "ranker",
        "description": "Ranks rows",
        "tags": ["domain::personalization"],
        "created_at": "2026-01-01T06:01:40Z",
        "updated_at": "2026-01-01T06:01:40Z",
    }
    assert joined(lineal, RANKER) == {
        ("has_version", FIRST): {},
        ("has_version", SECOND): {},
        ("points_to", FIRST): {"alias": ["champion", "gold"]},
        ("points_to", SECOND): {"alias": "next"},
    }
    assert said(lineal, FIRST) == {
        "name": "ranker 1",
        "version": "1",
        "status": "ready",
        "artifact_uri": "s3://models/1",
        "tags": ["empty", "gate::passed"],
        "created_at": "2026-01-01T06:01:40Z",
        "updated_at": "2026-01-01T06:01:40Z",
    }
    assert joined(lineal, FIRST).keys() == {
        ("version_of", RANKER),
        ("produced_by", RUN),
        ("pointed_to_by", RANKER),
    }
    assert said(lineal, SECOND)["stage"] == "production"


def test_a_model_without_a_run_and_with_an_odd_name_is_asked_for_as_it_is_called(server, lineal):
    swept(lineal)
    assert joined(lineal, ODD).keys() == {("version_of", Uri.of("model", "mlflow", "a b&c?#+é"))}

    told(lineal, "registered_model", "created", name="a b&c?#+é")
    told(lineal, "model_version", "created", name="a b&c?#+é", version="1")

    name = "name=a+b%26c%3F%23%2B%C3%A9"
    assert f"/api/2.0/mlflow/registered-models/get?{name}" in server.asked
    assert f"/api/2.0/mlflow/model-versions/get?{name}&version=1" in server.asked


def test_a_run_its_experiment_and_the_data_it_read(server, lineal):
    swept(lineal)

    assert said(lineal, RUN) == {
        "name": "run b",
        "status": "succeeded",
        "started_at": "2026-01-01T06:00:00Z",
        "ended_at": "2026-01-01T06:01:00Z",
        "requested_by": "Alice@example.com",
        "parameters": {"depth": "6"},
        "metrics": {"auc": 0.9, "loss": "NaN"},
        "revision": "abc123",
        "tags": ["team::rank"],
        "link": f"{server.url}/#/experiments/1/runs/{TRAINING}",
    }
    experiment = Uri("mlg://pipeline/mlflow/1")
    assert joined(lineal, RUN) == {
        ("run_of", experiment): {},
        ("part_of", Uri.of("run", "mlflow", PARENT)): {},
        ("owned_by", ALICE): {},
        ("writes", FIRST): {},
        ("reads", Uri("mlg://dataset/s3/lake/plays")): {"purpose": "training"},
        ("reads", Uri("mlg://dataset/gs/bucket/val.csv")): {"purpose": "validation"},
        ("reads", Uri.of("dataset", "file", "/data/x.csv")): {},
        ("reads", Uri("mlg://dataset/s3/lake/titles")): {},
        ("reads", Uri("mlg://dataset/mlflow/adhoc/ad126910")): {"purpose": "training"},
        ("reads", Uri("mlg://dataset/mlflow/web/ad126910")): {},
        ("reads", Uri("mlg://dataset/mlflow/table/ad126910")): {},
        ("reads", Uri("mlg://dataset/mlflow/bucket/ad126910")): {},
    }
    assert said(lineal, experiment)["name"] == "ranking/weekly"
    assert said(lineal, experiment)["description"] == "Weekly"
    assert said(lineal, Uri("mlg://dataset/mlflow/web/ad126910")) == {
        "name": "web",
        "digest": "ad126910",
        "location": "https://example.com/d.csv",
        "rows": 2,
    }


def test_the_lineage_of_a_model_reaches_the_data_of_its_runs(lineal):
    swept(lineal)

    lineage = lineal.ask.lineage(LOCAL, [RANKER]).value

    assert Uri("mlg://dataset/s3/lake/plays") in {
        node.thing.uri for node in lineage.nodes if node.depth < 0
    }


def test_a_webhook_of_a_version_brings_it_with_its_model_run_and_data(lineal):
    told(lineal, "model_version", "created", name="ranker", version="1", run_id=None, tags={})

    assert ("produced_by", RUN) in joined(lineal, FIRST)
    assert ("run_of", Uri("mlg://pipeline/mlflow/1")) in joined(lineal, RUN)
    assert ("points_to", FIRST) in joined(lineal, RANKER)


def test_a_webhook_of_an_alias_moves_it(server, lineal):
    swept(lineal)
    server.models["ranker"]["aliases"] = [{"alias": "champion", "version": "2"}]
    told(lineal, "model_version_alias", "created", name="ranker", alias="champion", version="2")

    pointed = {end: word for (kind, end), word in joined(lineal, RANKER).items() if "poi" in kind}
    assert pointed == {SECOND: {"alias": "champion"}}

    server.models["ranker"]["aliases"] = []
    told(lineal, "model_version_alias", "deleted", name="ranker", alias="champion")
    assert "points_to" not in {kind for kind, _ in joined(lineal, RANKER)}


def test_webhooks_of_a_model_and_of_a_tag(server, lineal):
    told(lineal, "registered_model", "created", name="empty", tags={}, description="")
    assert said(lineal, Uri("mlg://model/mlflow/empty"))["name"] == "empty"

    server.versions["ranker", "1"]["tags"] = pairs(gate="failed")
    told(lineal, "model_version_tag", "set", name="ranker", version="1", key="gate", value="failed")
    assert said(lineal, FIRST)["tags"] == ["gate::failed"]

    server.versions["ranker", "1"]["tags"] = []
    told(lineal, "model_version_tag", "deleted", name="ranker", version="1", key="gate")
    assert "tags" not in said(lineal, FIRST)


def test_webhooks_of_prompts_mean_nothing_and_unknown_ones_are_refused(server, lineal):
    told(lineal, "prompt_version", "created", name="greet", version="1", template="Hello")
    told(lineal, "budget_policy", "exceeded", budget="x")
    assert server.asked == []

    with pytest.raises(InvalidEvent):
        told(lineal, "registered_model", "renamed", name="ranker")


def test_a_sweep_finds_what_no_webhook_tells(server, lineal):
    """A moved alias changes no time, a run ends, a version is deleted, its run is deleted."""
    swept(lineal)
    server.models["ranker"]["aliases"] = [{"alias": "champion", "version": "2"}]
    server.runs[RERUN] = run(RERUN, "FAILED")
    del server.versions["a b&c?#+é", "1"]
    del server.runs[TRAINING]
    swept(lineal)

    assert joined(lineal, RANKER)["points_to", SECOND] == {"alias": "champion"}
    assert said(lineal, Uri.of("run", "mlflow", RERUN))["status"] == "failed"
    assert lineal.ask.get(LOCAL, ODD).value.state is State.DELETED
    # The version still names its run, which is asked for again before it is believed gone.
    assert ("produced_by", RUN) in joined(lineal, FIRST)


def test_a_server_without_anything_is_no_mistake(server, lineal):
    for things in (server.models, server.versions, server.runs, server.experiments):
        things.clear()

    swept(lineal)

    assert sum(lineal.ask.counts(LOCAL).value.values()) == 0


def test_everything_said_is_a_word_of_the_shapes(lineal):
    swept(lineal)
    examiner, source = Examiner(Shapes.builtin()), lineal.sources["mlflow"]
    for listed in source.list():
        record = source.fetch(listed.key).record
        assert record is not None
        assert source.key_of(record.subject) == listed.key
        assert examiner.examine(record) == ()

"""The REST API: what it answers, how it refuses, and that its description is true."""

import gzip
import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import structlog
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from lineal import errors
from lineal.app import Lineal
from lineal.app.taking import Told
from lineal.config import Config
from lineal.model import State
from lineal.surfaces import bodies, errors_http, rest_models
from lineal.surfaces.events import envelopes
from lineal.surfaces.guard import HEADERS
from lineal.surfaces.server import create
from tests import world
from tests.world import DEPLOYMENT, FEATURES, HOURS, MODEL, PIPELINE, PLAYS, TEAM, TEST, V5

BASE = "http://127.0.0.1:8585"

EVENT = {
    "eventTime": "2026-11-20T10:00:00Z",
    "producer": "https://jobs.example/v1",
    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    "eventType": "COMPLETE",
    "run": {"runId": "3f5e83fa-3480-44ff-99c5-ff943904e5e8"},
    "job": {"namespace": "jobs", "name": "daily"},
    "inputs": [{"namespace": "s3://lake", "name": "raw/plays"}],
    "outputs": [{"namespace": "s3://lake", "name": "clean/plays"}],
}


@pytest.fixture(scope="module")
def lineal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lineal]:
    with world.told(tmp_path_factory.mktemp("world")) as found:
        yield found


@pytest.fixture(scope="module")
def client(lineal: Lineal) -> Iterator[TestClient]:
    with TestClient(create(lineal), base_url=BASE, raise_server_exceptions=False) as found:
        yield found


@pytest.fixture
def blank(tmp_path: Path) -> Iterator[TestClient]:
    with world.empty(tmp_path) as lineal, TestClient(create(lineal), base_url=BASE) as found:
        yield found


def ask(client: TestClient, path: str, **query: Any) -> Any:
    """Return the body of an answer that must be there; what the path names is put into it."""
    rest = {name: value for name, value in query.items() if f"{{{name}}}" not in path}
    answer = client.get(f"/api/v1{path.format(**query)}", params=rest)
    assert answer.status_code == 200, answer.text
    return answer.json()


# ── Answers ──────────────────────────────────────────────────────────────────────────────────────


def test_every_answer_says_what_it_is_worth(client):
    body = ask(client, "/entities", uri=V5)

    assert body["complete"] is True
    assert body["why"] == []
    assert body["basis_t"] == 2
    assert body["known_at"] == body["valid_at"] == "2026-11-23T06:40:00Z"
    assert body["notes"] == []
    assert set(body) == {
        *("value", "complete", "why", "cuts", "total", "basis_t", "known_at", "valid_at"),
        *("fresh_at", "notes", "inferred_t", "pending"),
    }


def test_a_thing_comes_with_each_source_s_own_word(client):
    value = ask(client, "/entities", uri=V5)["value"]

    assert value["uri"] == V5
    assert (value["type"], value["name"]) == ("model-version", "ranking-model v5")
    assert (value["state"], value["status"]) == ("hydrated", "ready")
    assert [said["source"] for said in value["said"]] == ["registry"]
    assert value["said"][0]["response"]["sha256"] == "ab" * 32


@pytest.mark.parametrize("known_at", ["t:1", "2026-11-18T00:00Z", "2026-11-18T01:00:00+01:00"])
def test_the_past_is_asked_by_transaction_or_by_time(client, known_at):
    assert ask(client, "/entities", uri=V5, known_at=known_at)["value"]["status"] == "pending"


def test_valid_at_asks_what_was_so(client):
    assert ask(client, "/entities", uri=V5, valid_at="2026-11-18")["value"]["status"] == "pending"


def test_neighbours_come_with_their_claims(client):
    found = ask(client, "/entities/neighbours", uri=V5)["value"]

    by_relation = {one["relation"]: one for one in found}
    assert by_relation["produced_by"]["other"]["uri"] == world.RUN
    assert by_relation["deployed_by"]["edge"]["attributes"] == {"role": "live", "weight": 0.9}
    assert by_relation["trained_for"]["edge"]["layer"] == "inferred"


def test_a_search_has_hits_and_facets(client):
    body = ask(client, "/search", q="ranking type:model-version", limit=1)

    assert body["total"] == 2
    assert len(body["value"]["hits"]) == 1
    assert body["value"]["facets"]["status"] == {"ready": 2}
    assert body["value"]["facets"]["framework"] == {"xgboost 2.1": 1}


def test_a_facet_of_a_type_is_a_filter_and_another_is_refused(client):
    found = ask(client, "/search", q='framework:"xgboost 2.1" type:model-version')
    refused = client.get("/api/v1/search", params={"q": "framwork:xgboost"})

    assert found["total"] == 1
    assert refused.status_code == 422
    assert "'framework'" in refused.text


def test_lineage_stands_somewhere_only_when_asked(client):
    plain = ask(client, "/lineage", uri=MODEL)["value"]
    placed = ask(client, "/lineage", uri=MODEL, layout=1)["value"]

    assert all("x" not in node for node in plain["nodes"])
    assert all({"x", "y"} <= node.keys() for node in placed["nodes"])
    focus = next(node for node in placed["nodes"] if node["uri"] == MODEL)
    assert (focus["x"], focus["y"]) == (0, 0)
    assert [arrow["kind"] for arrow in plain["arrows"] if arrow["feedback"]] == ["logs_to"]


def test_lineage_of_several_things_within_a_budget(client):
    body = ask(client, "/lineage", uri=[MODEL, PLAYS], up=0, down=2, nodes=2)

    assert len(body["value"]["starts"]) == 2
    assert body["complete"] is False
    assert body["why"]
    assert [(cut["limit"], cut["most"]) for cut in body["cuts"]] == [("nodes", 2)]
    assert body["cuts"][0]["part"] == ["downstream"]


def test_layers_and_kinds_choose_the_edges(client):
    observed = ask(client, "/lineage", uri=V5, layers="observed,inferred", down=1, up=0)
    consumed = ask(client, "/lineage", uri=V5, kinds=["consumed_by"], up=1, down=0)

    assert {arrow["layer"] for arrow in observed["value"]["arrows"]} <= {
        "observed", "inferred", "declared"
    }  # fmt: skip
    assert FEATURES in {node["uri"] for node in consumed["value"]["nodes"]}
    assert PIPELINE not in {node["uri"] for node in consumed["value"]["nodes"]}


def test_paths_are_told_in_words(client):
    found = ask(client, "/paths", **{"from": PLAYS, "to": TEST, "k": 2})["value"]

    assert 1 <= len(found) <= 2
    assert "ranking-model" in found[0]["words"]


def test_a_path_says_which_of_its_links_is_believed_least(client):
    (found, *_) = ask(client, "/paths", **{"from": world.RUN, "to": TEST})["value"]

    assert found["weakest"] == "inferred"
    assert found["weakest_link"]["kind"] == "trained_for"
    assert found["weakest_link"] in found["arrows"]


def test_what_lies_between_two_things_is_a_lineage_from_the_one_that_feeds(client):
    there = ask(client, "/between", **{"from": PLAYS, "to": V5})["value"]
    back = ask(client, "/between", **{"from": V5, "to": PLAYS})["value"]

    assert [start["uri"] for start in there["starts"]] == [world.PLAYS_LAKE, V5]
    assert [start["uri"] for start in back["starts"]] == [world.PLAYS_LAKE, V5]
    assert {node["uri"] for node in there["nodes"]} == {node["uri"] for node in back["nodes"]}
    assert {FEATURES, world.FEATURE_JOB} <= {node["uri"] for node in there["nodes"]}
    assert world.TITLES not in {node["uri"] for node in there["nodes"]}


def test_what_several_have_in_common_comes_nearest_first(client):
    found = ask(client, "/common", uri=[V5, world.V4])["value"]

    assert [one["uri"] for one in found["things"] if one["nearest"]] == [FEATURES]
    assert found["things"][0]["depths"] == [1, 1]
    assert world.PLAYS_LAKE in {one["uri"] for one in found["things"]}


def test_a_closure_is_counted_whole_and_told_page_by_page(client):
    every = ask(client, "/closure", uri=world.PLAYS)
    page = ask(client, "/closure", uri=world.PLAYS, limit=2, offset=1)
    above = ask(client, "/closure", uri=V5, side="upstream", types="dataset")["value"]

    assert (
        every["total"] == len(every["value"]["things"]) == sum(every["value"]["by_type"].values())
    )
    assert page["value"]["things"] == every["value"]["things"][1:3]
    assert page["value"]["by_owner"] == every["value"]["by_owner"]
    assert page["cuts"][0]["limit"] == "list"
    assert every["value"]["live"] >= 1
    assert {one["type"] for one in above["things"]} == {"dataset"}


def test_a_closure_is_narrowed_to_what_is_asked_for(client):
    every = ask(client, "/closure", uri=world.PLAYS)["value"]
    live = ask(client, "/closure", uri=world.PLAYS, live=True)
    near = ask(client, "/closure", uri=world.PLAYS, distance=1, owner="-")["value"]
    unknown = client.get("/api/v1/closure", params={"uri": world.PLAYS, "owner": "mlg://team/x/y"})

    assert live["total"] == every["live"] == live["value"]["live"]
    assert all(one["live"] for one in live["value"]["things"])
    assert set(near["by_depth"]) <= {"1"}
    assert [one["owner"] for one in near["by_owner"]] in ([], [None])
    assert unknown.status_code == 404


def test_things_of_some_types_only_are_told(client):
    value = ask(client, "/lineage", uri=MODEL, types="datasets")["value"]

    assert {node["type"] for node in value["nodes"]} == {"model", "dataset"}
    assert list(value["upstream"]) == ["dataset"]


def test_a_question_that_nothing_can_answer_is_answered_with_the_reason(client):
    never = ask(client, "/lineage", uri=TEST, types="feature", down=2, up=0)

    assert (never["complete"], [node["uri"] for node in never["value"]["nodes"]]) == (True, [TEST])
    assert never["notes"] == [
        "No feature can be downstream of an ab test: no declared kind of relation leads there."
    ]


def test_a_feedback_loop_is_told_as_a_cycle(client):
    (cycle,) = ask(client, "/lineage", uri=MODEL)["value"]["cycles"]

    assert cycle["feedback"] is True
    assert {one["uri"] for one in cycle["things"]} >= {MODEL, DEPLOYMENT, world.PREDICTIONS}


def test_impact_is_ranked_and_names_who_must_be_told(client):
    value = ask(client, "/impact", uri=PLAYS)["value"]

    assert value["hits"][0]["live"] is True
    assert [hit["live"] for hit in value["hits"]] == sorted(
        (hit["live"] for hit in value["hits"]), reverse=True
    )
    assert TEAM in {one["owner"]["uri"] for one in value["by_owner"] if one["owner"]}
    assert None in [one["owner"] for one in value["by_owner"]]


def test_a_conclusion_is_explained_down_to_the_answers_of_sources(client):
    value = ask(client, "/edges/explain", **{"from": V5, "kind": "trained_for", "to": TEST})[
        "value"
    ]

    (reason,) = value["reasons"]
    assert reason["rule"] == "trained_for"
    assert [one["kind"] for one in reason["supports"]] == ["produced_by", "executed_for", "cell_of"]
    assert reason["supports"][0]["stated"][0]["response"]["url"].startswith("https://registry")


def test_an_edge_may_be_named_by_its_inverse(client):
    query = {"from": TEST, "kind": "trains_candidate", "to": V5}

    assert ask(client, "/edges/explain", **query)["value"]["edge"]["kind"] == "trained_for"


def test_history_tells_before_and_after(client):
    newest = ask(client, "/history", uri=V5)["value"][0]

    assert newest["what"] == "changed"
    assert newest["cause"] == "event model_instance_updated"
    assert newest["details"] == {"status": {"before": "pending", "after": "ready"}}


QUESTIONS = {
    "q1": V5, "q2": MODEL, "q3": MODEL, "q4": MODEL, "q5": V5, "q6": TEST, "q7": PLAYS, "q8": HOURS,
    "q9": MODEL, "q10": PIPELINE, "q11": V5, "q12": MODEL, "q13": TEAM,
}  # fmt: skip


@pytest.mark.parametrize(("name", "uri"), QUESTIONS.items())
def test_each_of_the_thirteen_is_answered(client, name, uri):
    assert ask(client, f"/questions/{name}", uri=uri)["complete"] is True


def test_the_published_example_is_answered_forward_and_back(client):
    tests = ask(client, "/questions/q5", uri=V5)["value"]
    versions = ask(client, "/questions/q6", uri=TEST)["value"]

    assert {(one["test"]["uri"], one["how"]) for one in tests} == {
        (TEST, "served"), (TEST, "trained")
    }  # fmt: skip
    assert (V5, "trained") in {(one["version"]["uri"], one["how"]) for one in versions}


def test_the_shapes_and_counts_are_served(client):
    types = ask(client, "/types")["value"]

    assert ask(client, "/counts")["value"]["model-version"] == 2
    assert {"model", "dataset"} <= {one["name"] for one in types["types"]}
    assert {"class", "flow"} <= types["kinds"][0].keys()


def test_sources_and_dead_letters_are_served(client):
    assert "registry" in {one["source"] for one in ask(client, "/health")["value"]}
    assert ask(client, "/dead-letters")["value"] == []


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_answer(client, path):
    assert client.get(path).json() == {"status": "ok"}


# ── The description ──────────────────────────────────────────────────────────────────────────────

READS: list[tuple[str, dict[str, Any]]] = [
    ("/entities", {"uri": V5}),
    ("/entities", {"uri": world.OLD_EXPORT}),
    ("/entities/neighbours", {"uri": V5}),
    ("/edges/explain", {"from": V5, "kind": "trained_for", "to": TEST}),
    ("/history", {"uri": V5}),
    ("/diff", {"uri": V5, "from_known_at": "t:1"}),
    ("/diff", {"uri": MODEL, "from_known_at": "t:0", "valid_at": "2026-11-22"}),
    ("/diff/lineage", {"uri": MODEL, "up": 3, "from_valid_at": "2026-11-01"}),
    ("/diff/type", {"type": "dataset", "from_known_at": "t:1"}),
    ("/search", {"q": "ranking"}),
    ("/counts", {}),
    ("/recent", {"limit": 3}),
    ("/types", {}),
    ("/doors", {}),
    ("/lineage", {"uri": MODEL, "layout": "1"}),
    ("/lineage", {"uri": V5, "nodes": 2}),
    ("/lineage", {"uri": [MODEL, PLAYS], "types": "dataset,models"}),
    ("/paths", {"from": PLAYS, "to": TEST}),
    ("/between", {"from": PLAYS, "to": TEST}),
    ("/closure", {"uri": [world.PLAYS]}),
    ("/common", {"uri": [V5, world.V4]}),
    ("/impact", {"uri": PLAYS}),
    ("/impact", {"uri": [PLAYS, world.TITLES], "change": "renamed", "to": "views"}),
    ("/impact", {"uri": V5, "change": "rolled_back", "types": "deployment"}),
    ("/schema-changes", {"from_known_at": "t:1"}),
    ("/schema-changes", {"from_known_at": "t:0", "types": "feature,dataset"}),
    ("/shared", {}),
    ("/unused", {}),
    ("/unused", {"uri": world.DATA_TEAM, "days": 1, "types": "datasets"}),
    ("/similar", {"uri": MODEL}),
    ("/wanted-features", {"uri": MODEL}),
    ("/identity", {"uri": PLAYS}),
    ("/identity/preview", {"one": PLAYS, "other": world.TITLES}),
    ("/identity/preview", {"one": PLAYS, "deed": "split"}),
    ("/identity/suggestions", {}),
    ("/health", {}),
    ("/dead-letters", {}),
    ("/dead-letters", {"source": "registry"}),
    ("/deeds", {}),
    ("/rules", {}),
    ("/rules/{name}", {"name": "trained_for"}),
    ("/rules/{name}/edges", {"name": "trained_for", "limit": 1}),
    *((f"/questions/{name}", {"uri": uri}) for name, uri in QUESTIONS.items()),
]


@pytest.fixture(scope="module")
def document(client: TestClient) -> Any:
    return client.get("/api/v1/openapi.json").json()


def test_every_state_of_a_thing_is_described():
    assert set(get_args(rest_models.State)) == set(State)


def conforms(document: Any, schema: Any, value: Any) -> None:
    """Check a value against a schema of the document, in which nothing may go unsaid."""
    whole = deepcopy(document)
    for one in whole["components"]["schemas"].values():
        if one.get("type") == "object" and "properties" in one:
            one["additionalProperties"] = False
    whole["$ref"] = "#/$defs/asked"
    whole["$defs"] = {"asked": schema}
    Draft202012Validator(whole).validate(value)


@pytest.mark.parametrize(("path", "query"), READS)
def test_answers_are_as_described(client, document, path, query):
    operation = document["paths"][f"/api/v1{path}"]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]

    conforms(document, schema, ask(client, path, **query))


def test_every_read_is_among_those_that_are_checked(document):
    described = {path for path, item in document["paths"].items() if "get" in item}

    # These take something in their path; tests/test_standing.py and tests/test_unfit.py hold them
    # against their descriptions.
    others = {"/healthz", "/readyz", "/api/v1/dead-letters/{number}"}
    others |= {"/api/v1/sources/{name}/findings"}
    assert described == {f"/api/v1{path}" for path, _ in READS} | others


def test_errors_are_as_described(client, document):
    answer = client.get("/api/v1/entities", params={"uri": "mlg://model/registry/rankin-model"})

    operation = document["paths"]["/api/v1/entities"]["get"]
    schema = operation["responses"]["404"]["content"]["application/problem+json"]["schema"]
    conforms(document, schema, answer.json())


def test_operations_have_names_of_their_own(document):
    names = [one["operationId"] for item in document["paths"].values() for one in item.values()]

    assert len(names) == len(set(names))


def test_the_reference_names_every_path_and_every_code(document):
    text = (Path(__file__).parent.parent / "docs" / "reference" / "rest.md").read_text("utf-8")

    assert [path for path in document["paths"] if f"`{path}" not in text] == []
    assert [code for code in errors_http.STATUS if f"`{code}`" not in text] == []


def test_no_page_loads_from_elsewhere(client):
    assert client.get("/docs").status_code == 404
    assert client.get("/redoc").status_code == 404


# ── Refusals ─────────────────────────────────────────────────────────────────────────────────────


def test_what_is_unknown_is_answered_with_what_is_near(client):
    answer = client.get("/api/v1/entities", params={"uri": "mlg://model/registry/rankin-model"})

    problem = answer.json()
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["code"] == "not_found"
    assert problem["nearest"] == [MODEL]
    assert problem["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/entities", {"uri": "model"}, "invalid_uri"),
        ("/entities", {}, "invalid"),
        ("/entities", {"uri": V5, "known_at": "soon"}, "invalid_query"),
        ("/entities", {"uri": V5, "known_at": "t:99"}, "invalid_query"),
        ("/entities", {"uri": V5, "valid_at": "t:1"}, "invalid_query"),
        ("/search", {"q": "colour:blue"}, "invalid_query"),
        ("/search", {"q": '"open'}, "invalid_query"),
        ("/search", {"limit": 501}, "invalid"),
        ("/lineage", {"uri": V5, "grain": "fine"}, "invalid"),
        ("/lineage", {"uri": V5, "layers": "guessed"}, "invalid_query"),
        ("/lineage", {"uri": V5, "kinds": "eats"}, "shape"),
        ("/lineage", {"uri": V5, "up": 21}, "invalid"),
        ("/lineage", {"uri": V5, "types": "table"}, "shape"),
        ("/lineage", {"uri": V5, "rows": 0}, "invalid"),
        ("/common", {"uri": V5}, "invalid"),
        ("/impact", {"uri": PLAYS, "change": "rolled_back"}, "invalid_query"),
        ("/impact", {"uri": PLAYS, "change": "eaten"}, "invalid"),
        ("/impact", {"uri": PLAYS, "to": "x"}, "invalid_query"),
        ("/unused", {"uri": PLAYS}, "invalid_query"),
        ("/unused", {"days": -1}, "invalid"),
        ("/similar", {"uri": PLAYS}, "invalid_query"),
        ("/schema-changes", {}, "invalid_query"),
        ("/common", {"uri": [V5, TEST], "side": "left"}, "invalid"),
        ("/edges/explain", {"from": V5, "kind": "eats", "to": TEST}, "shape"),
        ("/questions/q13", {"uri": MODEL}, "invalid_query"),
    ],
)
def test_what_is_not_well_formed_is_refused_with_a_reason(client, path, query, code):
    answer = client.get(f"/api/v1{path}", params=query)

    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == code
    assert answer.json()["detail"]


def test_an_unknown_path_and_method_are_problems_too(client):
    missing, wrong = client.get("/api/v1/models"), client.delete("/api/v1/entities")

    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")


def test_every_code_of_ours_has_a_status():
    found, sorts = set(), [errors.LinealError]
    while sorts:
        sort = sorts.pop()
        found.add(sort.code)
        sorts.extend(sort.__subclasses__())

    assert found <= errors_http.STATUS.keys()


def test_a_fault_of_ours_is_told_without_its_inside(tmp_path):
    structlog.configure(processors=[structlog.processors.JSONRenderer()])
    with world.empty(tmp_path) as lineal:
        client = TestClient(create(lineal), base_url=BASE, raise_server_exceptions=False)
        lineal.standings = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        answer = client.get("/api/v1/health")
    structlog.reset_defaults()

    assert answer.status_code == 500
    assert "ZeroDivision" not in answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]


def test_an_argument_that_nobody_takes_is_refused(client):
    answer = client.get("/api/v1/counts?knownat=t:1")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert "'knownat'" in answer.json()["detail"]
    assert "'known_at'" in answer.json()["fix"]


def test_an_argument_of_its_own_does_not_keep_an_event_away(blank):
    assert blank.post("/api/v1/lineage?token=7", json=EVENT).status_code in (200, 201)


@pytest.mark.parametrize(
    "at",
    [
        "-99999999999",
        "0001-01-01T00:00:00+02:00",
        "9999-12-31T23:59:59-01:00",
    ],
)
@pytest.mark.parametrize("name", ["known_at", "valid_at"])
def test_a_time_that_nobody_could_be_told_is_refused(client, name, at):
    answer = client.get("/api/v1/counts", params={name: at})
    page = client.get("/", params={name: at})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_query")
    assert page.status_code == 422
    assert page.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]


def test_a_dead_letter_with_a_number_beyond_all_is_refused(client):
    assert client.get("/api/v1/dead-letters/99999999999999999999").status_code == 422


# ── Guards ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/api/v1/counts", "/api/v1/nothing", "/", "/static/portal.css"])
def test_every_answer_carries_the_headers_of_safety(client, path):
    headers = client.get(path).headers

    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert "access-control-allow-origin" not in headers


def test_answers_are_not_kept(client):
    assert client.get("/api/v1/counts").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "evil@x", "[::2]"])
def test_another_name_that_leads_here_is_refused(client, host):
    answer = client.get("/api/v1/counts", headers={"Host": host})

    assert (answer.status_code, answer.json()["code"]) == (421, "wrong_host")


@pytest.mark.parametrize("host", ["localhost:8585", "127.0.0.1", "[::1]:8585", "LOCALHOST"])
def test_the_names_of_this_machine_are_known(client, host):
    assert client.get("/api/v1/counts", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9999"])
def test_pages_of_other_sites_may_not_ask(client, origin):
    answer = client.post("/api/v1/events", json={}, headers={"Origin": origin})

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("bound", ["127.1", "ip6-localhost", "localhost.", "graph.internal"])
def test_whatever_it_is_bound_to_another_name_and_another_site_are_refused(tmp_path, bound):
    with world.empty(tmp_path) as lineal:
        lineal.config = replace(lineal.config, host=bound)
        client = TestClient(create(lineal), base_url=f"http://{bound}:8585")
        own = client.get("/api/v1/counts")
        rebound = client.get("/api/v1/counts", headers={"Host": "evil.example"})
        foreign = client.post("/api/v1/events", json={}, headers={"Origin": "https://evil.example"})

    assert (own.status_code, rebound.status_code, foreign.status_code) == (200, 421, 403)


def test_our_own_pages_may_ask(client):
    assert client.get("/api/v1/counts", headers={"Origin": BASE}).status_code == 200


# ── Events ───────────────────────────────────────────────────────────────────────────────────────


def test_an_openlineage_event_becomes_lineage(tmp_path):
    with world.empty(tmp_path) as lineal:
        client = TestClient(create(lineal), base_url=BASE)
        answer = client.post("/api/v1/lineage", json=EVENT)
        lineal.drain(timeout=10)
        counts = ask(client, "/counts")["value"]

    assert answer.status_code == 201
    assert counts["dataset"] == 2


def test_an_event_may_come_packed(blank):
    packed = gzip.compress(json.dumps(EVENT).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}

    assert blank.post("/api/v1/lineage", content=packed, headers=headers).status_code == 201


def test_an_invalid_openlineage_event_is_not_to_be_sent_again(blank):
    answer = blank.post("/api/v1/lineage", json={**EVENT, "run": {"runId": 7}})

    assert answer.status_code == 422
    assert "run" in answer.json()["detail"]


SHELF = """
source: {name}
platform: {name}
base_url: http://{name}.example
sweep: never
events: [{{match: {{type: changed}}, resource: table, key: id}}]
resources:
  table: {{subject: {{type: dataset}}, fetch: {{path: "/tables/{{id}}"}}, map: {{name: name}}}}
"""


def test_a_batch_of_several_sources_is_taken_event_by_event(tmp_path):
    """Each is kept for its own source; what cannot be taken is told, and holds up no other."""
    files = []
    for name in ("lake", "shelf"):
        files.append(tmp_path / f"{name}.yaml")
        files[-1].write_text(SHELF.format(name=name), encoding="utf-8")

    def event(source: str, **more: Any) -> dict[str, Any]:
        head = {"specversion": "1.0", "id": "1", "source": source, "type": "changed"}
        return {**head, "data": {"id": "plays"}, **more}

    good = [event("lake"), event("shelf"), event("openlineage", data=EVENT)]
    bad = [event("lake", type="moved"), event("nobody"), {"source": "lake"}, 7]
    headers = {"content-type": "application/cloudevents-batch+json"}
    with Lineal.open(Config(db=tmp_path / "graph.db", sources=tuple(files))) as lineal:
        client = TestClient(create(lineal), base_url=BASE)

        def sent(body: object) -> Any:
            return client.post("/api/v1/events", content=json.dumps(body), headers=headers)

        whole, part, none = sent(good), sent([*bad, *good]), sent(bad)
        with lineal.store.looking() as driver:
            kept = driver.rows("SELECT source, count(*) FROM inbox GROUP BY source ORDER BY source")

    assert (whole.status_code, whole.json()) == (202, {"accepted": 3})
    assert (part.status_code, part.json()["accepted"]) == (207, 3)
    refused = {one["index"]: one["reason"] for one in part.json()["refused"]}
    assert sorted(refused) == [0, 1, 2, 3]
    assert "knows no such event" in refused[0]
    assert "several sources (lake, shelf)" in refused[1]
    assert "lacks specversion, id, type" in refused[2]
    assert (none.status_code, none.json()["code"]) == (422, "invalid_event")
    assert kept == [("lake", 2), ("openlineage", 2), ("shelf", 2)]


def test_a_batch_is_taken_whole_or_told_what_was_not(blank):
    whole = blank.post("/api/v1/lineage/batch", json=[EVENT])
    part = blank.post("/api/v1/lineage/batch", json=[7, EVENT, {**EVENT, "eventTime": "soon"}])

    assert (whole.status_code, whole.content) == (204, b"")
    assert part.status_code == 200
    assert part.json()["summary"] == {
        "received": 3, "successful": 1, "failed": 2, "retriable": 0, "non_retriable": 2
    }  # fmt: skip
    assert [one["index"] for one in part.json()["failed_events"]] == [0, 2]


def test_events_of_an_unknown_source_are_refused(blank):
    answer = blank.post("/api/v1/events", params={"source": "nobody"}, json={"event_type": "x"})

    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_event"


def sent(content: bytes, content_type: str = "application/json", encoding: str = "") -> bodies.Body:
    return bodies.Body(content, content_type, encoding)


def test_a_cloud_event_is_unwrapped_and_names_its_source():
    event = {"specversion": "1.0", "id": "1", "source": "registry", "type": "x", "data": {"a": 1}}
    one = sent(json.dumps(event).encode(), envelopes.CLOUDEVENT)
    many = sent(json.dumps([event, event]).encode(), envelopes.CLOUDEVENT_BATCH)

    told = Told("registry", {"a": 1}, {"id": "1", "source": "registry", "type": "x"})

    assert bodies.events(one, {"registry"}, None) == ("registry", [told])
    assert bodies.events(one, {"other"}, None) == (None, [told])
    assert bodies.events(many, {"registry"}, "other") == ("other", [told, told])
    assert told.body == {"a": 1, "id": "1", "source": "registry", "type": "x"}


def test_a_thin_event_stays_as_it_is():
    plain = Told(None, {"event_type": "x"})

    assert bodies.events(sent(b'{"event_type": "x"}'), (), "a") == ("a", [plain])


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b'"\xff"', {}, 400),
        (b"NaN", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"7", {}, 422),
        (b"[7]", {}, 422),
        (b'{"a": "' + b"x" * 1_000_001 + b'"}', {}, 413),
        (b"[" + b"1," * 1_000 + b"1]", {}, 413),
        (b" " * 5_000_001, {}, 413),
        (gzip.compress(b" " * 6_000_000), {"Content-Encoding": "gzip"}, 413),
        (b"no gzip", {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"{}")[:-9], {"Content-Encoding": "gzip"}, 400),
        (b"{}", {"Content-Encoding": "br"}, 415),
        (b'{"data": 1}', {"Content-Type": envelopes.CLOUDEVENT}, 422),
    ],
    ids=range(14),
)
def test_bodies_that_cannot_be_read_are_refused(blank, body, headers, status):
    for path in ("/api/v1/events", "/api/v1/lineage"):
        if "Content-Type" in headers and path.endswith("lineage"):
            continue
        answer = blank.post(path, content=body, headers=headers)
        assert answer.status_code == status, (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_above_a_limit_is_told_the_limits(blank):
    answer = blank.post("/api/v1/events", content=b" " * 5_000_001)

    assert "1,000,000 bytes" in answer.json()["fix"]
    assert "5,000,000 bytes" in answer.json()["fix"]
    assert "1,000 events" in answer.json()["fix"]


def test_a_deployment_is_live(client):
    nodes = ask(client, "/lineage", uri=MODEL)["value"]["nodes"]

    assert DEPLOYMENT in {node["uri"] for node in nodes if node["live"]}

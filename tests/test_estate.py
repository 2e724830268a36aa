"""The example estate: the same every time, true to its dialects, awkward where it says so."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from lineal.testing.estate import server
from lineal.testing.estate.flows import Chart, Flow, exact, stated, wholes
from lineal.testing.estate.postman import Undelivered
from lineal.testing.estate.server import Estate
from lineal.testing.estate.tools import open_tools
from lineal.testing.estate.traps import TRAPS
from lineal.testing.estate.truth import ASKED_OF, list_of, truth
from lineal.testing.estate.world import World

HOME = "personalization"


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    """An estate that nobody changes."""
    with Estate(seed=7, scale=0.2) as opened:
        yield opened


@pytest.fixture
def fresh() -> Iterator[Estate]:
    """An estate to be changed."""
    with Estate(seed=7, scale=0.1) as opened:
        yield opened


@pytest.fixture(scope="module")
def answers(estate: Estate) -> Callable[..., Any]:
    """Look an answer up in the truth."""
    book = {
        (question, *row["subject"]): row["answer"]  # type: ignore[misc]  # a subject is a list
        for question, rows in truth(estate.world, per_kind=None).items()
        for row in rows
    }
    return lambda question, kind, ident: book[question, kind, ident]


def get(estate: Estate, path: str, **headers: str) -> Any:
    """Fetch a path and return its JSON."""
    request = urllib.request.Request(estate.url + path, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def refused(estate: Estate, path: str, **headers: str) -> tuple[int, str]:
    """Fetch a path that is not answered with 200; return status and body."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(estate, path, **headers)
    with caught.value as error:
        return error.code, error.read().decode()


# -- one world per seed ---------------------------------------------------------------------------


def digest(world: World) -> str:
    return hashlib.sha256(json.dumps(truth(world)).encode()).hexdigest()


def test_the_same_seed_gives_the_same_truth_in_another_process():
    script = (
        "import hashlib, json\n"
        "from lineal.testing.estate.truth import truth\n"
        "from lineal.testing.estate.world import World\n"
        "print(hashlib.sha256(json.dumps(truth(World(11, 0.1))).encode()).hexdigest())"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert told.stdout.strip() == digest(World(11, 0.1))


def test_another_seed_gives_another_world():
    assert digest(World(1, 0.1)) != digest(World(2, 0.1))


def test_an_estate_of_full_size_has_some_thousands_of_things():
    world = World()

    columns = sum(len(table.columns) for table in world.tables.values())

    assert 3_000 < len(world.things()) + columns + len(list_of(world, "feature")) < 6_000
    assert len(world.users) == 150


@pytest.mark.parametrize("scale", [0.05, 0.1, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_nothing_refers_to_the_unknown_except_where_a_trap_says_so(seed, scale):
    world = World(seed, scale)

    unknown = {
        thing
        for flow in stated(world)
        for thing in (flow.start, flow.end)
        if thing not in everything(world)
    }

    assert unknown == {TRAPS["purged_run"]["run"]}


def everything(world: World) -> set[tuple[str, str]]:
    """Return all things, columns and cells and features too."""
    if not hasattr(world, "_everything"):
        found = set(world.things()) | set(list_of(world, "feature"))
        found |= {("column", f"{t.id}/{c.name}") for t in world.tables.values() for c in t.columns}
        found |= {("cell", f"{t.id}/{c.number}") for t in world.tests.values() for c in t.cells}
        world._everything = found  # type: ignore[attr-defined]  # remembered for this test
    return world._everything  # type: ignore[attr-defined, no-any-return]  # the same


# -- what keeps the truth well defined ------------------------------------------------------------


def test_views_are_never_made_of_views_and_alone_have_mapped_columns(estate):
    tables = estate.world.tables

    for table in tables.values():
        assert all(tables[source].kind != "VIEW" for source in table.upstream)
        mapped = {source for column in table.columns for source, _ in column.sources}
        assert mapped == set(table.upstream)
        assert (table.kind == "VIEW") == bool(mapped)


def test_tables_with_snapshots_are_only_ever_read_and_written_as_snapshots(estate):
    tables = {snapshot.table for snapshot in estate.world.snapshots.values()}

    ends = {thing for flow in stated(estate.world) for thing in (flow.start, flow.end)}

    assert tables
    assert not {("table", table) for table in tables} & ends


def test_a_set_has_sources_for_its_features_or_for_itself_but_not_both(estate):
    for found in estate.world.feature_sets.values():
        assert not (found.tables and any(feature.source for feature in found.features))


@pytest.mark.parametrize("seed", range(5))
def test_what_materialises_a_set_says_so_in_its_runs_and_always_reads_the_same(seed):
    """So it makes no difference whether one believes the set or the runs."""
    world = World(seed, 0.3)

    for found in world.feature_sets.values():
        if found.materialized_by:
            runs = [r for r in world.runs.values() if r.pipeline == found.materialized_by]
            assert any(("feature_set", found.id) in run.outputs for run in runs)
            assert len({run.inputs for run in runs}) == 1


@pytest.mark.parametrize("seed", range(5))
def test_no_instance_is_made_from_itself(seed):
    world = World(seed, 0.3)
    chart = exact(world)

    for thing in list_of(world, "instance"):
        both = chart.upstream(thing) & chart.downstream(thing)
        assert not {kind for kind, _ in both} & {"instance", "run", "evaluation", "deployment"}


# -- the traps ------------------------------------------------------------------------------------


def test_every_player_of_every_trap_is_there(estate):
    absent = {
        thing
        for players in TRAPS.values()
        for thing in players.values()
        if thing not in everything(estate.world) and thing[0] != "email"
    }

    assert absent == {TRAPS["purged_run"]["run"], TRAPS["deleted_alias_target"]["missing"]}


def test_the_published_example_answers_as_published(estate):
    instance = get(estate, "/registry/api/v1/instances/ranking-model-v5-20XX0101")
    run = get(estate, f"/orchestrator/api/v1/pipeline-runs/{instance['pipeline_run_id']}")
    test = get(estate, "/experiments/api/v1/tests/12345")

    assert instance["owner_emails"] == ["alice@example.com"]
    assert {"key": "team", "value": HOME} in instance["labels"]
    assert run["pipeline"] == "weekly-ranking-trainer"
    assert run["ab_test_cells"] == [
        {"test_id": 12345, "cell_number": 2, "cell_name": "treatment_ranking_v5"}
    ]
    assert (test["name"], test["status"]) == ("Ranking Model v5 vs v4", "ACTIVE")
    assert test["cells"][0]["name"] == "control_ranking_v4"


def test_one_table_goes_by_three_names(estate):
    table = get(estate, f"/catalog/tables/{HOME}/playback_events")
    run = get(estate, "/orchestrator/api/v1/pipeline-runs/playback-train-1")
    found = get(estate, "/features/v2/feature-sets/playback_signals")
    test = get(estate, "/experiments/api/v1/tests/20005")

    assert run["inputs"] == [table["StorageLocation"]]
    assert test["metric_tables"] == [table["LegacyHiveName"]]
    assert found["spec"]["features"][0]["source"]["table"] == f"{HOME}.playback_events"


def test_a_canary_takes_five_percent_and_a_shadow_nothing(estate):
    canary = get(estate, "/serving/v1/deployments/ranking-canary")
    shadow = get(estate, "/serving/v1/deployments/shadow-watch")

    assert [(t["mode"], t["weight"]) for t in canary["targets"]] == [("live", 95), ("canary", 5)]
    assert [(t["mode"], t["weight"]) for t in shadow["targets"]] == [("shadow", 0)]


def test_a_purged_run_is_gone_and_an_alias_may_point_nowhere(estate):
    model = get(estate, "/registry/api/v1/models/alias-lost")

    gone, body = refused(estate, "/orchestrator/api/v1/pipeline-runs/purged-run-20251101")
    missing, _ = refused(estate, f"/registry/api/v1/instances/{model['aliases']['production']}")

    assert (gone, json.loads(body)["title"], missing) == (410, "Gone", 404)


def test_five_hundred_instances_were_tuned_from_one_base(estate):
    tuned = [i for i in estate.world.instances.values() if i.base == "foundation-lm-v1"]

    assert (len(tuned), len({i.model for i in tuned})) == (500, 50)


# -- the wire -------------------------------------------------------------------------------------


def pages(estate: Estate, name: str, segment: str) -> Iterator[Any]:
    """Return the rows of a list, page by page, as the tool's own clients would read them."""
    base = f"{estate.tools[name].prefix}/{segment}"
    after: dict[str, Any] = {
        "registry": {"max_results": 7},
        "orchestrator": {"limit": 7},
        "features": {"size": 7},
        "experiments": {"per_page": 7},
        "catalog": {"Limit": 7},
        "identity": {"count": 7},
        "serving": {"limit": 7},
    }[name]
    while True:
        with urllib.request.urlopen(f"{estate.url}{base}?{urlencode(after)}", timeout=10) as reply:
            body, link = json.load(reply), reply.headers.get("Link")
        rows, more = READ[name](body, segment, link, after)
        yield from rows
        if not more:
            return
        after |= more


def _features(body: Any, segment: str, link: str | None, after: Any) -> tuple[Any, Any]:
    if not link:
        return body, None
    return body, {"start": int(link.split("start=")[1].split("&")[0])}


def _identity(body: Any, segment: str, link: str | None, after: Any) -> tuple[Any, Any]:
    place = body["startIndex"] + body["itemsPerPage"]
    return body["Resources"], {"startIndex": place} if place <= body["totalResults"] else None


def _orchestrator(body: Any, segment: str, link: str | None, after: Any) -> tuple[Any, Any]:
    place = body["offset"] + body["limit"]
    return body["items"], {"offset": place} if place < body["total"] else None


def _serving(body: Any, segment: str, link: str | None, after: Any) -> tuple[Any, Any]:
    last = body[segment][-1] if body[segment] else ""
    return body[segment], {"after": ident_of(last)} if body["more"] else None


READ: dict[str, Callable[..., tuple[Any, Any]]] = {
    "registry": lambda body, segment, link, after: (
        body[segment],
        {"page_token": body["next_page_token"]} if body["next_page_token"] else None,
    ),
    "orchestrator": _orchestrator,
    "features": _features,
    "experiments": lambda body, segment, link, after: (
        body["results"],
        {"page": body["page"] + 1} if body["page"] < body["pages"] else None,
    ),
    "catalog": lambda body, segment, link, after: (
        body["Items"],
        {"Cursor": body["Cursor"]} if body["Cursor"] else None,
    ),
    "identity": _identity,
    "serving": _serving,
}


def ident_of(row: Any) -> str:
    """Return what a row is called, in whatever dialect."""
    if isinstance(row, str):
        return row
    if "Identifier" in row:
        return ".".join(row["Identifier"].values())
    if "SnapshotId" in row:
        return f"{row['Table']}@{row['SnapshotId']}"
    if "metadata" in row:
        return str(row["metadata"]["name"])
    return str(next(row[key] for key in ("run_id", "test_id", "id", "name") if key in row))


LISTS = [
    (tool.name, segment, collection.kind)
    for tool in open_tools(World(scale=0.05)).values()
    for segment, collection in tool.collections.items()
]


@pytest.mark.parametrize(("tool", "segment", "kind"), LISTS)
def test_a_list_pages_to_exactly_what_there_is(estate, tool, segment, kind):
    listed = [ident_of(row) for row in pages(estate, tool, segment)]

    assert sorted(listed) == sorted(estate.world.shelf(kind))


def place_of(tool: str, event: dict[str, Any]) -> str:
    """Return the path of the thing an event names."""

    def path(segment: str, *names: object) -> str:
        return "/".join([segment, *(quote(str(name), safe="") for name in names)])

    if tool == "registry":
        noun = event["event_type"].rsplit("_", 1)[0].removeprefix("model_")
        return path(f"{noun}s", event[f"{noun}_id"])
    if tool == "orchestrator":
        return path(f"{event['kind'].lower().replace('_', '-')}s", event["key"])
    if tool == "features":
        segment = {"FeatureSet": "feature-sets", "FeatureService": "feature-services"}
        return path(segment[event["type"]], event["name"])
    if tool == "experiments":
        return path("tests", event["test"])
    if tool == "catalog":
        more = [event["SnapshotId"]] if "SnapshotId" in event else []
        return path(f"{event['Resource'].lower()}s", *event["Name"].split(".", 1), *more)
    if tool == "identity":
        return path(f"{event['resourceType']}s", event["resourceId"])
    return path(f"{event['what']}s", event["id"])


def test_every_event_of_a_first_load_names_something_that_can_be_fetched(fresh):
    fresh.announce()
    events = fresh.drain()

    for tool, event in events:
        reply = fresh.answer(f"{fresh.tools[tool].prefix}/{place_of(tool, event)}")
        assert reply.status == 200, event

    assert len(events) == len(fresh.world.things())
    assert fresh.drain() == []


def test_awkward_names_survive_the_wire(estate):
    ident = TRAPS["awkward_names"]["instance"][1]

    instance = get(estate, f"/registry/api/v1/instances/{quote(ident, safe='')}")

    assert instance["id"] == ident
    assert instance["features"] == ["ad signals/é:plays/hours %"]


def test_the_registry_says_not_modified(estate):
    address = f"{estate.url}/registry/api/v1/models/ranking-v5"
    with urllib.request.urlopen(address, timeout=10) as reply:
        etag = reply.headers["ETag"]

    status, body = refused(estate, "/registry/api/v1/models/ranking-v5", **{"If-None-Match": etag})

    assert (status, body) == (304, "")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/registry/api/v1/models/x", '"error_code": "RESOURCE_DOES_NOT_EXIST"'),
        ("/orchestrator/api/v1/pipelines/x", '"title": "Not Found"'),
        ("/features/v2/feature-sets/x", 'feature set "x" not found'),
        ("/experiments/api/v1/tests/1", '"errors": [{"code": "not_found"'),
        ("/catalog/tables/a/b", '"Code": "NotFound"'),
        ("/identity/scim/v2/Users/x", '"status": "404"'),
        ("/serving/v1/services/x", '"reason": "no such service: x"'),
        ("/nothing/at/all", "no such tool"),
    ],
)
def test_every_tool_has_its_own_way_to_say_no(estate, path, words):
    status, body = refused(estate, path)

    assert status == 404
    assert words in body


EXAMPLES = [
    "/registry/api/v1/instances/ranking-model-v5-20XX0101",
    "/registry/api/v1/models/ranking-v5",
    "/registry/api/v1/evaluations/eval-ranking-model-v5-20XX0101",
    "/orchestrator/api/v1/pipeline-runs/train-weekly-ranking-20XX0101",
    "/orchestrator/api/v1/pipelines/weekly-ranking-trainer",
    "/orchestrator/api/v1/schedules/sched-weekly-ranking-trainer",
    "/features/v2/feature-sets/member_plays",
    "/features/v2/feature-services/ranking-online",
    "/experiments/api/v1/tests/12345",
    "/catalog/tables/personalization/member_plays_daily",
    "/catalog/snapshots/personalization/member_facts/8801",
    "/identity/scim/v2/Users/alice",
    "/identity/scim/v2/Groups/rank",
    "/serving/v1/deployments/ranking-canary",
    "/serving/v1/services/homepage-service",
    "/serving/v1/rules/ContinueWatchingRanking",
]


def shape(document: Any) -> Any:
    """Return the keys of a document, as deep as they go; of a list those of its first item."""
    if isinstance(document, dict):
        return {key: shape(value) for key, value in document.items()}
    if isinstance(document, list) and document:
        return [shape(document[0])]
    return type(document) if isinstance(document, dict | list) else None


def test_the_documents_are_shaped_as_written_down(estate):
    text = (Path(server.__file__).parent / "DIALECTS.md").read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in text.split("```json")[1:]]

    for path, block in zip(EXAMPLES, blocks, strict=True):
        assert shape(get(estate, path)) == shape(json.loads(block)), path


# -- changes --------------------------------------------------------------------------------------


def test_a_change_shows_and_is_announced(fresh):
    fresh.change.describe("model", "ranking-v5", "Now with care")

    assert get(fresh, "/registry/api/v1/models/ranking-v5")["description"] == "Now with care"
    assert fresh.drain() == [
        ("registry", {"event_type": "model_updated", "model_id": "ranking-v5"})
    ]


def test_a_lost_event_changes_the_world_all_the_same(fresh):
    fresh.change.end_test("12345", announce=False)

    assert get(fresh, "/experiments/api/v1/tests/12345")["status"] == "ENDED"
    assert fresh.drain() == []


def test_a_rename_leaves_nothing_under_the_old_name(fresh):
    fresh.change.rename("service", "ranking-service", "ranker")

    assert refused(fresh, "/serving/v1/services/ranking-service")[0] == 404
    assert get(fresh, "/serving/v1/services/homepage-service")["calls"] == ["ranker"]
    assert get(fresh, "/serving/v1/deployments/ranking-canary")["service"] == "ranker"
    happened = [(event["id"], event["happened"]) for _, event in fresh.drain()]
    assert happened[:2] == [("ranking-service", "deleted"), ("ranker", "created")]
    assert ("homepage-service", "updated") in happened


def test_cells_and_features_can_be_taken_back(fresh):
    fresh.change.retract_cells("train-weekly-ranking-20XX0101")
    fresh.change.drop_feature("ranking-model-v5-20XX0101", "member_plays:hours_7d")

    run = get(fresh, "/orchestrator/api/v1/pipeline-runs/train-weekly-ranking-20XX0101")
    instance = get(fresh, "/registry/api/v1/instances/ranking-model-v5-20XX0101")
    assert (run["ab_test_cells"], instance["features"]) == ([], [])
    row = next(r for r in truth(fresh.world)["Q5"] if r["subject"] == ["model", "ranking-v5"])
    assert row["answer"] == [{"test": "12345", "how": ["served"], "running": True}]


def test_deleting_purging_moving_weighing_and_serving(fresh):
    fresh.change.delete("deployment", "loop-prod")
    fresh.change.purge("loop-train-1")
    fresh.change.move_alias("ranking-v5", "production", "ranking-model-v5-20XX0201")
    fresh.change.weigh("ranking-canary", {"ranking-model-v5-20XX0201": 50})
    fresh.change.serve("20003", 2, "trained-only-v1")
    fresh.change.start_test("20002")

    assert refused(fresh, "/serving/v1/deployments/loop-prod")[0] == 404
    assert refused(fresh, "/orchestrator/api/v1/pipeline-runs/loop-train-1")[0] == 410
    aliases = get(fresh, "/registry/api/v1/models/ranking-v5")["aliases"]
    assert aliases == {"production": "ranking-model-v5-20XX0201"}
    assert get(fresh, "/serving/v1/deployments/ranking-canary")["targets"][1]["weight"] == 50
    rule = get(fresh, "/serving/v1/rules/MismatchObjective")
    assert rule["cellToModel"]["2"] == "trained-only-v1"
    assert get(fresh, "/experiments/api/v1/tests/20002")["status"] == "ACTIVE"
    assert [tool for tool, _ in fresh.drain()] == [
        "serving",
        "registry",
        "serving",
        "serving",
        "experiments",
    ]


def test_training_again_adds_a_run_and_an_instance(fresh):
    run, instance = fresh.change.train("two-inputs-v2")

    assert get(fresh, f"/registry/api/v1/instances/{instance}")["pipeline_run_id"] == run
    outputs = get(fresh, f"/orchestrator/api/v1/pipeline-runs/{run}")["outputs"]
    assert outputs == [f"model://{instance}"]
    assert [event for _, event in fresh.drain()] == [
        {"kind": "PIPELINE_RUN", "action": "CREATE", "key": run},
        {"event_type": "model_instance_created", "instance_id": instance},
    ]


# -- faults ---------------------------------------------------------------------------------------


def test_a_tool_fails_as_often_as_told_and_in_its_own_words(fresh):
    fresh.fail("serving", status=503, times=2)

    answers = [fresh.answer("/serving/v1/rules").status for _ in range(3)]

    assert answers == [503, 503, 200]
    assert fresh.requests == {"serving": 3}


def test_a_tool_fails_until_healed(fresh):
    fresh.fail("identity", status=429, retry_after=3)

    replies = [fresh.answer("/identity/scim/v2/Users/alice") for _ in range(3)]
    fresh.heal("identity")

    assert {reply.headers["Retry-After"] for reply in replies} == {"3"}
    assert get(fresh, "/identity/scim/v2/Users/alice")["id"] == "alice"
    assert fresh.answer("/catalog/tables").status == 200


def test_a_garbled_answer_is_no_json(fresh):
    fresh.garble("catalog", times=1)

    with pytest.raises(json.JSONDecodeError):
        get(fresh, "/catalog/tables")

    assert get(fresh, "/catalog/tables")["Items"]


def test_a_slow_tool_keeps_others_waiting_for_itself_only(fresh):
    fresh.delay("registry", 0.3)
    began = time.monotonic()

    fresh.answer("/serving/v1/rules")
    between = time.monotonic()
    fresh.answer("/registry/api/v1/models")

    assert between - began < 0.3 <= time.monotonic() - between


# -- events over HTTP -----------------------------------------------------------------------------


class Sink(BaseHTTPRequestHandler):
    """Refuses the first request and keeps the others."""

    taken: list[tuple[str, Any]] = []  # noqa: RUF012 - one test, one list
    asked = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Sink.asked += 1
        if Sink.asked > 1:
            Sink.taken.append((self.path, json.loads(body)))
        self.send_response(202 if Sink.asked > 1 else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


def test_events_are_posted_again_when_the_sink_is_busy(fresh):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    fresh.change.start_test("20002")
    fresh.change.stop("loop-prod")

    sent = fresh.send(f"http://127.0.0.1:{server.server_port}/api/v1/events")
    server.shutdown()
    server.server_close()

    assert sent == 2
    assert Sink.taken == [
        ("/api/v1/events?source=experiments", {"topic": "test.updated", "test": 20002}),
        (
            "/api/v1/events?source=serving",
            {"what": "deployment", "id": "loop-prod", "happened": "updated"},
        ),
    ]


def test_events_go_to_this_machine_only_and_not_for_ever(fresh):
    fresh.change.start_test("20002")
    events = fresh.drain()

    with pytest.raises(ValueError, match="this machine only"):
        fresh.send("http://example.com/events", events)
    with pytest.raises(Undelivered, match="404"):
        fresh.send(f"{fresh.url}/nobody", events)


# -- the truth, by hand ---------------------------------------------------------------------------


def test_every_question_is_answered_for_every_kind_it_is_asked_of(estate):
    told = truth(estate.world, per_kind=50)

    for question, kinds in ASKED_OF.items():
        assert {row["subject"][0] for row in told[question]} == set(kinds)  # type: ignore[index]  # JSON


def test_the_example_from_source_to_test(answers):
    lineage = answers("Q4", "instance", "ranking-model-v5-20XX0101")

    assert lineage["upstream"] == [
        ["feature", "member_plays:hours_7d"],
        ["feature_service", "ranking-online"],
        ["feature_set", "member_plays"],
        ["pipeline", "member-plays-build"],
        ["pipeline", "member-plays-daily"],
        ["pipeline", "ranking-labels-build"],
        ["pipeline", "weekly-ranking-trainer"],
        ["run", "member-plays-build-1"],
        ["run", "member-plays-daily-1"],
        ["run", "ranking-labels-build-1"],
        ["run", "train-weekly-ranking-20XX0101"],
        ["table", f"{HOME}.member_plays_daily"],
        ["table", f"{HOME}.ranking_labels"],
        ["table", f"{HOME}.raw_member_plays"],
    ]
    assert lineage["downstream"] == [
        ["cell", "12345/2"],
        ["deployment", "ranking-canary"],
        ["evaluation", "eval-ranking-model-v5-20XX0101"],
        ["service", "api-gateway"],
        ["service", "homepage-service"],
        ["service", "ranking-service"],
        ["test", "12345"],
    ]


def test_q2_leaves_out_the_pipeline_that_only_makes_the_model(answers):
    assert answers("Q2", "model", "ranking-v5") == [
        "member-plays-build",
        "member-plays-daily",
        "ranking-labels-build",
    ]


def test_q5_and_q6_tell_training_from_serving(answers):
    both = [{"test": "12345", "how": ["served", "trained"], "running": True}]
    assert answers("Q5", "model", "ranking-v5") == both
    assert answers("Q5", "instance", "ranking-model-v5-20XX0201") == []
    assert answers("Q6", "test", "12345") == [
        {"instance": "ranking-model-v4-20XX0101", "how": ["served"]},
        {"instance": "ranking-model-v5-20XX0101", "how": ["served", "trained"]},
    ]
    assert answers("Q6", "test", "20003") == [
        {"instance": "ranking-model-v4-20XX0101", "how": ["served"]},
        {"instance": "served-only-v1", "how": ["served"]},
        {"instance": "trained-only-v1", "how": ["trained"]},
    ]


def test_q5_knows_tests_that_ended_or_never_began(answers):
    assert answers("Q5", "model", "ended-test-model") == [
        {"test": "20001", "how": ["trained"], "running": False}
    ]
    assert answers("Q5", "model", "draft-test-model") == [
        {"test": "20002", "how": ["served", "trained"], "running": False}
    ]


def test_a_feature_from_a_column_of_a_view_does_not_depend_on_the_other_table(answers):
    view, left, right = (
        f"{HOME}.{n}" for n in ("member_overview", "overview_plays", "overview_billing")
    )

    assert answers("Q3", "feature", "overview:hours") == [view, left]
    assert answers("Q3", "feature_set", "overview") == [view, right, left]
    assert answers("Q7", "table", right) == ["overview-plan"]
    assert answers("Q7", "table", view) == ["overview-hours", "overview-plan"]


def test_three_names_are_one_table(answers):
    table = f"{HOME}.playback_events"

    assert answers("Q3", "feature", "playback_signals:minutes_7d") == [table]
    assert answers("Q10", "pipeline", "playback-trainer") == [table]
    assert answers("Q7", "table", table) == ["playback-model"]
    assert answers("Q11", "instance", "playback-model-v1") == {"tables": [table], "tests": []}


def test_runs_of_one_pipeline_keep_apart_exactly_and_come_together_logically(answers):
    table_a, table_b = f"{HOME}.input_a", f"{HOME}.input_b"

    assert answers("Q11", "instance", "two-inputs-v1")["tables"] == [table_a]
    assert answers("Q11", "instance", "two-inputs-v2")["tables"] == [table_b]
    assert answers("Q10", "pipeline", "two-inputs-trainer") == [table_a, table_b]
    assert answers("Q2", "instance", "two-inputs-v1") == ["input-a-build"]


def test_a_snapshot_leads_to_its_own_writer_only(answers):
    lineage = answers("Q4", "instance", "snapshot-model-v1")["upstream"]

    assert lineage == [
        ["pipeline", "member-facts-build"],
        ["pipeline", "snapshot-trainer"],
        ["run", "member-facts-build-1"],
        ["run", "snapshot-train-1"],
        ["snapshot", f"{HOME}.member_facts@8801"],
        ["table", f"{HOME}.facts_source_1"],
        ["table", f"{HOME}.member_facts"],
    ]
    assert ["table", f"{HOME}.facts_source_2"] in answers("Q4", "model", "snapshot-model")[
        "upstream"
    ]


def test_a_task_leads_to_its_night_but_not_to_tasks_it_did_not_need(answers):
    lineage = answers("Q4", "instance", "nightly-model-v1")

    assert ["run", "nightly-20260110"] in lineage["upstream"]
    assert lineage["downstream"] == [["test", "20004"]]


def test_a_feedback_loop_is_not_entered(answers):
    log = f"{HOME}.loop_predictions"

    lineage = answers("Q4", "instance", "loop-ranker-v2")
    assert ["table", log] in lineage["upstream"]
    assert ["deployment", "loop-prod"] not in lineage["upstream"]
    assert ["table", log] not in answers("Q4", "instance", "loop-ranker-v1")["downstream"]


def test_a_purged_run_stands_for_itself(answers):
    for kind, ident in (("model", "purged-run-model"), ("instance", "purged-run-model-v1")):
        assert ["run", "purged-run-20251101"] in answers("Q4", kind, ident)["upstream"]
    owners = {
        tuple(row["thing"]): row["owners"] for row in answers("Q12", "model", "purged-run-model")
    }
    assert owners["run", "purged-run-20251101"] == []
    assert owners["model", "purged-run-model"] == [["user", "alice"]]
    assert owners["feature", "member_plays:hours_7d"] == [["team", "rank"]]


def test_calls_are_followed_twice_in_a_row_and_circles_end(answers):
    services = [s for k, s in answers("Q4", "model", "ranking-v5")["downstream"] if k == "service"]
    assert services == ["api-gateway", "homepage-service", "ranking-service"]
    assert answers("Q4", "instance", "cycle-model-v1")["downstream"] == [
        ["deployment", "cycle-prod"],
        ["service", "cycle-a"],
        ["service", "cycle-b"],
        ["service", "cycle-c"],
    ]


def test_thirty_models_consume_one_feature(answers):
    consumers = answers("Q8", "feature", "member_profile:tenure_days")
    readers = [f"tenure-reader-{number:02}" for number in range(1, 31)]

    assert [row["model"] for row in consumers if row["model"].startswith("tenure")] == readers
    assert all("rank" in row["teams"] for row in consumers)
    assert set(readers) <= set(answers("Q7", "feature", "member_profile:tenure_days"))
    shared = {row["model"]: row["features"] for row in answers("Q9", "model", "tenure-reader-01")}
    assert shared["tenure-reader-02"] == ["member_profile:tenure_days"]
    whole = {row["model"]: row["features"] for row in answers("Q9", "model", "tenure-reader-02")}
    assert whole["tenure-reader-05"] == ["member_profile:plan_code", "member_profile:tenure_days"]


def test_of_five_hundred_tuned_instances_fifty_models_count(answers):
    down = answers("Q4", "model", "foundation-lm")["downstream"]

    assert sum(kind == "model" for kind, _ in down) == 50
    assert (
        sum(
            kind == "instance"
            for kind, _ in answers("Q4", "instance", "foundation-lm-v1")["downstream"]
        )
        == 500
    )
    assert answers("Q4", "instance", "foundation-tuned-07-v10")["upstream"] == [
        ["instance", "foundation-lm-v1"],
        ["model", "foundation-lm"],
        ["pipeline", "foundation-trainer"],
        ["run", "foundation-train-1"],
        ["table", "studio.foundation_corpus"],
    ]


def test_owners_that_nobody_is_stay_addresses(answers):
    def owners(model: str) -> Any:
        return next(
            r["owners"] for r in answers("Q12", "model", model) if r["thing"] == ["model", model]
        )

    assert owners("list-owned") == [["email", "ml-all@lists.example.com"]]
    assert owners("ghost-owned") == [["email", "ghost@example.com"]]
    assert owners("second-address-owned") == [["user", "bob"]]
    assert owners("leaver-owned") == [["user", "lee"]]


def test_what_is_only_watched_in_the_shadow_can_be_retired(answers):
    retirable = answers("Q13", "team", "search")

    for thing in (
        ["table", f"{HOME}.shadow_source"],
        ["feature", "shadow_signals:echo"],
        ["feature_set", "shadow_signals"],
    ):
        assert thing in retirable
    assert ["table", f"{HOME}.member_plays_daily"] not in answers("Q13", "team", "rank")


def test_features_of_unknown_source_have_no_tables(answers):
    assert answers("Q1", "model", "mystery-model") == {
        "features": ["mystery_signals:unknown_origin"],
        "tables": [],
    }


def test_a_model_whose_alias_points_nowhere_still_answers_by_what_is_deployed(answers):
    assert answers("Q1", "model", "alias-lost")["features"] == ["member_plays:hours_7d"]


# -- the walk itself ------------------------------------------------------------------------------


def test_a_whole_reached_through_a_part_does_not_lead_to_its_other_parts():
    set_, one, other = ("feature_set", "s"), ("feature", "s:one"), ("feature", "s:other")
    first, second, third = (("instance", name) for name in ("first", "second", "third"))
    table = ("table", "d.t")
    chart = Chart(
        [Flow(table, one), Flow(one, first), Flow(other, second), Flow(set_, third)],
        {one: [set_], other: [set_]},
    )

    assert chart.downstream(table) == {one, set_, first, third}
    assert chart.downstream(set_) == {first, second, third}
    assert chart.upstream(third) == {set_, table}


def test_parts_know_their_wholes():
    world = World(7, 0.1)

    assert wholes(world, ("column", "a.b/c/d")) == [("table", "a.b")]
    assert wholes(world, ("cell", "12345/2")) == [("test", "12345")]
    assert wholes(world, ("run", "purged-run-20251101")) == []

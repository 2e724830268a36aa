"""The client against a real server, and against servers that misbehave."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from lineal import client
from lineal.app import Lineal
from lineal.client import Client, ClientError
from lineal.surfaces import server
from tests import world

AT = "2026-11-23T06:40:00Z"
#: One call of every method that reads, by the path that it asks.
READS: dict[str, Callable[[Client], object]] = {
    "/entities": lambda lineal: lineal.get(world.MODEL),
    "/entities/neighbours": lambda lineal: lineal.neighbours(world.MODEL, limit=5),
    "/edges/explain": lambda lineal: lineal.explain(world.V5, "trained_for", world.TEST),
    "/history": lambda lineal: lineal.history(world.MODEL, limit=5),
    "/search": lambda lineal: lineal.search("ranking", limit=5, offset=1),
    "/counts": lambda lineal: lineal.counts(known_at="t:1"),
    "/types": lambda lineal: lineal.types(),
    "/health": lambda lineal: lineal.health(),
    "/dead-letters": lambda lineal: lineal.dead_letters(source="registry", limit=5),
    "/deeds": lambda lineal: lineal.deeds(limit=5),
    "/lineage": lambda lineal: lineal.lineage(world.MODEL, up=1, down=1, grain="logical"),
    "/paths": lambda lineal: lineal.paths(world.PLAYS, world.MODEL, k=1, way={"depth": 9}),
    "/between": lambda lineal: lineal.between(world.PLAYS, world.MODEL, way={"columns": True}),
    "/closure": lambda lineal: lineal.closure(
        world.PLAYS, side="downstream", among={"live": False, "stage": "-"}, limit=5, offset=1
    ),
    "/common": lambda lineal: lineal.common([world.V4, world.V5], side="upstream", limit=5),
    "/impact": lambda lineal: lineal.impact(world.PLAYS, change="dropped", limit=5),
    "/schema-changes": lambda lineal: lineal.schema_changes({"known_at": "t:0"}, types=["dataset"]),
    "/shared": lambda lineal: lineal.shared(types=["dataset", "feature-set"], limit=5),
    "/unused": lambda lineal: lineal.unused(world.DATA_TEAM, days=0, known_at="2030-01-01"),
    "/wanted-features": lambda lineal: lineal.wanted(world.MODEL, limit=5),
    "/similar": lambda lineal: lineal.similar(world.MODEL, limit=5),
    "/recent": lambda lineal: lineal.recent(limit=2, known_at="t:2"),
    "/rules": lambda lineal: lineal.rules(),
    "/rules/trained_for/edges": lambda lineal: lineal.rule_edges("trained_for", limit=5),
    "/questions/q1": lambda lineal: lineal.ask("Q1", world.MODEL),
}
#: No model of this world is like another, nothing that is there is unused, all was taken in.
EMPTY = {"/wanted-features", "/similar", "/unused", "/dead-letters", "/deeds"}


def serving(lineal: Lineal) -> AbstractContextManager[str]:
    """Answer over HTTP on a free port, from a thread."""
    return running(server.create(lineal))


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """Let an application answer on a free port, from a thread."""
    with closing(socket.create_server(("127.0.0.1", 0))) as door:
        running = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [door]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
        running.should_exit = True
        thread.join(timeout=30)


@pytest.fixture(scope="module")
def lineal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lineal]:
    with world.told(tmp_path_factory.mktemp("world")) as told:
        yield told


@pytest.fixture(scope="module")
def url(lineal: Lineal) -> Iterator[str]:
    with serving(lineal) as address:
        yield address


def answering(
    answer: httpx2.Response | Exception, calls: list[httpx2.Request] | None = None
) -> Client:
    """Return a client of a server that answers everything so."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        if calls is not None:
            calls.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Client("http://lineal.example", transport=httpx2.MockTransport(handle))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait between tries."""
    monkeypatch.setattr(client, "PAUSE", 0.0)


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", READS)
def test_every_read_is_answered_by_the_server(path: str, url: str):
    with Client(url) as lineal:
        answer = READS[path](lineal)

    assert isinstance(answer, dict)
    assert answer["value"] or path in EMPTY


@pytest.mark.parametrize("path", READS)
def test_every_read_asks_its_own_path_with_what_was_said_only(path: str):
    calls: list[httpx2.Request] = []
    lineal = answering(httpx2.Response(200, json={"value": None}), calls)

    READS[path](lineal)

    assert calls[0].url.path == f"/api/v1{path}"
    assert "" not in calls[0].url.params.values()
    assert "None" not in calls[0].url.params.values()


@pytest.mark.parametrize("deed", ["release", "sweep"])
def test_a_source_is_named_as_it_is_called(deed: str, url: str):
    """With a dash and a capital: who misspells one is told so by the server."""
    said = {"actor": "ann", "reason": "checked"} if deed == "release" else {}
    with Client(url) as lineal, pytest.raises(ClientError, match="Feature-Store") as wrong:
        getattr(lineal, deed)("Feature-Store", **said)

    assert wrong.value.code == "not_found"


def test_a_walk_is_asked_of_several_things_by_kinds_and_types(url: str):
    way: client.Walk = {"kinds": ["consumes", "version_of"], "types": ["model"], "ms": 900}
    with Client(url) as lineal:
        found = lineal.lineage([world.FEATURES, world.PLAYS], up=0, way=way)["value"]

    assert len(found["starts"]) == 2
    assert {node["uri"] for node in found["nodes"]} == {
        world.FEATURES, world.PLAYS_LAKE, world.MODEL
    }  # fmt: skip


def test_a_thing_is_read_as_it_was_known(url: str):
    with Client(url) as lineal:
        then = lineal.get(world.V5, known_at="t:1")
        now = lineal.get(world.V5)

    assert (then["value"]["status"], now["value"]["status"]) == ("pending", "ready")
    assert then["basis_t"] == 1


def test_an_unknown_thing_is_an_error_that_names_the_nearest(url: str):
    with Client(url) as lineal, pytest.raises(ClientError) as caught:
        lineal.get("mlg://model/registry/ranking-modle")

    error = caught.value
    assert (error.code, error.status) == ("not_found", 404)
    assert error.nearest == (str(world.MODEL),)
    assert error.request_id


def test_a_uri_that_is_none_is_refused_with_a_fix(url: str):
    with Client(url) as lineal, pytest.raises(ClientError) as caught:
        lineal.get("ranking")

    assert caught.value.code == "invalid_uri"
    assert "mlg://" in caught.value.fix


def test_the_token_is_sent_along():
    calls: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        calls.append(request)
        return httpx2.Response(200, json={"value": {}})

    Client("https://lineal.example", "secret", transport=httpx2.MockTransport(handle)).counts()

    assert calls[0].headers["Authorization"] == "Bearer secret"


# ── Sending ──────────────────────────────────────────────────────────────────────────────────────


def run_event(number: int) -> dict[str, Any]:
    return {
        "eventType": "COMPLETE",
        "eventTime": "2026-11-23T06:00:00Z",
        "producer": "https://example.org",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": f"00000000-0000-4000-8000-{number:012d}"},
        "job": {"namespace": "nightly", "name": "load"},
    }


def test_openlineage_events_are_kept_and_the_invalid_ones_are_told(url: str, lineal: Lineal):
    with Client(url) as remote:
        sent = remote.send_openlineage([run_event(1), {"eventType": "COMPLETE"}, run_event(2)])

    assert sent["accepted"] == 2
    assert [one["index"] for one in sent["refused"]] == [1]
    assert lineal.drain().complete


def test_events_go_to_a_source_by_its_name(url: str):
    with Client(url) as remote:
        sent = remote.send([run_event(3)], source="openlineage")

    assert sent == {"accepted": 1, "refused": []}


def test_an_event_that_makes_sense_to_nobody_is_refused(url: str):
    with Client(url) as remote, pytest.raises(ClientError) as caught:
        remote.send([{"what": "is this"}])

    assert caught.value.code == "invalid_event"


def test_many_events_go_in_several_requests(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "BATCH", 2)
    calls: list[httpx2.Request] = []
    failed = {"failed_events": [{"index": 0, "reason": "no", "retriable": False}]}
    lineal = answering(httpx2.Response(200, json=failed), calls)

    sent = lineal.send_openlineage({"number": number} for number in range(5))

    assert [len(json.loads(call.content)) for call in calls] == [2, 2, 1]
    assert [one["index"] for one in sent["refused"]] == [0, 2, 4]
    assert sent["accepted"] == 2


def test_large_events_go_in_several_requests(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "BATCH_BYTES", 30)
    calls: list[httpx2.Request] = []
    lineal = answering(httpx2.Response(202, json={"accepted": 1}), calls)

    sent = lineal.send([{"text": "x" * 20}] * 3, source="box")

    assert len(calls) == sent["accepted"] == 3


def test_what_was_acknowledged_before_it_went_wrong_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "BATCH", 2)
    refusal = {"code": "invalid_event", "title": "no", "detail": "No.", "status": 422}
    answers = iter([httpx2.Response(202, json={"accepted": 2}), httpx2.Response(422, json=refusal)])
    transport = httpx2.MockTransport(lambda _: next(answers))
    lineal = Client("http://lineal.example", transport=transport)

    with pytest.raises(ClientError) as caught:
        lineal.send([{"number": number} for number in range(5)], source="box")

    assert (caught.value.code, caught.value.acknowledged) == ("invalid_event", 2)


def test_when_to_send_again_is_told():
    problem = {"code": "overloaded", "title": "no", "detail": "Full.", "status": 503}
    lineal = answering(httpx2.Response(503, json=problem, headers={"Retry-After": "7"}))

    with pytest.raises(ClientError) as caught:
        lineal.send([{}], source="box")

    assert caught.value.retry_after == 7


# ── When it goes wrong ───────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("hasty")
def test_a_question_is_asked_again_while_nobody_answers():
    calls: list[httpx2.Request] = []
    lineal = answering(httpx2.ConnectError("refused"), calls)

    with pytest.raises(ClientError) as caught:
        lineal.counts()

    assert caught.value.code == "unreachable"
    assert "lineal serve" in caught.value.fix
    assert len(calls) == client.TRIES


def test_an_event_is_sent_once():
    calls: list[httpx2.Request] = []
    lineal = answering(httpx2.ConnectError("refused"), calls)

    with pytest.raises(ClientError):
        lineal.send([{}])

    assert len(calls) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (httpx2.ReadTimeout("slow"), "timeout"),
        (httpx2.ReadError(""), "broken"),
        (httpx2.RemoteProtocolError("half an answer"), "broken"),
    ],
)
def test_a_question_that_broke_off_is_not_asked_again(error: Exception, code: str):
    calls: list[httpx2.Request] = []
    lineal = answering(error, calls)

    with pytest.raises(ClientError) as caught:
        lineal.counts()

    assert caught.value.code == code
    assert len(calls) == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, text="<html>"),
        httpx2.Response(200, json=[1]),
        httpx2.Response(200, json={"no": "value"}),
        httpx2.Response(200, text="[" * 100_000),
        httpx2.Response(404, text="not here"),
        httpx2.Response(502, json={"message": "bad gateway"}),
        httpx2.Response(302, headers={"Location": "http://elsewhere.example"}),
    ],
)
def test_an_answer_that_is_not_ours_is_told_as_such(answer: httpx2.Response):
    with pytest.raises(ClientError) as caught:
        answering(answer).counts()

    assert caught.value.code == "garbled"


@pytest.mark.parametrize(
    "url", ["", "lineal", "127.0.0.1:8585", "ftp://host", "http://", "http://a:x"]
)
def test_an_address_that_is_none_is_refused(url: str):
    with pytest.raises(ClientError) as caught:
        Client(url)

    assert caught.value.code == "invalid"


@pytest.mark.parametrize("end", ["", "/", "/api/v1", "/api/v1/"])
def test_an_address_may_be_given_with_its_path(end: str):
    assert Client(f"http://127.0.0.1:8585{end}").url == "http://127.0.0.1:8585"


def test_a_question_cannot_lead_elsewhere():
    with pytest.raises(ClientError):
        Client("http://127.0.0.1:1").ask("../events", world.MODEL)


@pytest.mark.parametrize(
    ("address", "through"),
    [
        ("http://127.0.0.1:9", False),
        ("http://localhost:9", False),
        ("http://[::1]:9", False),
        ("http://lineal.example", True),
    ],
)
def test_no_proxy_stands_before_this_machine(address: str, through: bool):
    assert Client(address)._http.trust_env is through


def test_the_client_needs_nothing_else_of_lineal():

    code = (
        "import sys, lineal.client; "
        "print(*sorted(m for m in sys.modules if m.startswith('lineal')))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    parts = ["answers", "errors", "keeping", "walks"]
    assert found == ["lineal", "lineal.client", *(f"lineal.client.{part}" for part in parts)]


@pytest.mark.parametrize("status", [401, 403])
def test_a_proxy_that_asks_who_is_there_is_no_strange_program(status: int):
    lineal = answering(httpx2.Response(status, text="<h1>Who are you?</h1>"))

    with pytest.raises(ClientError, match="LINEAL_TOKEN") as caught:
        lineal.counts()

    assert (caught.value.code, caught.value.status) == ("unauthorized", status)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    "error",
    [
        httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"),
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout("late"),
        httpx2.ReadError("gone"),
        httpx2.Response(401, text="no"),
        httpx2.Response(500, text="no"),
    ],
)
def test_a_password_in_the_address_is_in_no_message(error: Exception | httpx2.Response):
    def handle(_: httpx2.Request) -> httpx2.Response:
        if isinstance(error, Exception):
            raise error
        return error

    transport = httpx2.MockTransport(handle)
    lineal = Client("https://ada:s3cret@lineal.example", transport=transport)
    with pytest.raises(ClientError) as caught:
        lineal.counts()

    assert "s3cret" not in str(caught.value)
    assert "lineal.example" in str(caught.value)


@pytest.mark.usefixtures("hasty")
def test_a_certificate_that_is_not_trusted_is_told_as_that():
    lineal = answering(httpx2.ConnectError("[SSL] certificate verify failed: unknown ca"))

    with pytest.raises(ClientError, match=r"certificate of http://lineal\.example is not trusted"):
        lineal.counts()

"""Sources that are asked over HTTP: against the example estate, and against every bad answer."""

import gzip
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote

import httpx2
import msgspec
import pytest
import stamina

from lineal.errors import (
    ConfigError,
    Invalid,
    InvalidEvent,
    SourceDown,
    SourceGarbled,
    SourceGone,
    SourceMoved,
    SourceSpecError,
)
from lineal.model import Statement, Uri
from lineal.shapes import Shapes
from lineal.sources import Fetched, Key, Marked, schedule
from lineal.sources.addressing import segment
from lineal.sources.asking import retry_after
from lineal.sources.compiling import load, parse
from lineal.sources.expressions import Expression
from lineal.sources.guard import METADATA, Pace, refusal
from lineal.sources.http import HttpSource

FOLDER = Path(__file__).parent.parent / "src/lineal/testing/estate/sources"
TOOLS = ("catalog", "experiments", "features", "identity", "orchestrator", "registry", "serving")

SPEC = """
source: tool
platform: tool
base_url: http://tool.example.com/api
limits: {requests_per_second: 10000, timeout: 5}
gone: {when: "code == 'NOT_FOUND'"}
events:
  - {match: {type: [made, changed]}, resource: thing, key: id}
  - {match: {type: removed}, resource: thing, key: id, deleted: true}
  - {match: {type: batch}, resource: thing, each: ids, key: "@"}
  - {match: {type: heartbeat}, ignore: true}
resources:
  thing:
    subject: {type: model}
    fetch: {path: "/things/{id}"}
    list: {path: /things, items: things, version: v%s}
    map: {name: name}
"""
GOOD = {"id": "a", "name": "A"}


@pytest.fixture(autouse=True)
def _no_waiting():
    stamina.set_testing(True, attempts=3)
    yield
    stamina.set_testing(False)


def source(answer: Any, *, paging: str = "", spec: str = SPEC, **options: Any) -> HttpSource:
    """Return a source whose every request is answered by *answer*."""
    text = spec % (f", paging: {{{paging}}}" if paging else "")
    return HttpSource(parse(text), transport=httpx2.MockTransport(answer), **options)


class Once(httpx2.SyncByteStream):
    def __init__(self, body: bytes) -> None:
        self.body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self.body


def always(*args: Any, **kwargs: Any) -> HttpSource:
    return source(lambda request: httpx2.Response(*args, **kwargs))


# ── The estate ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def estate():
    server = pytest.importorskip("lineal.testing.estate.server")
    with server.Estate(seed=7, scale=0.05) as running:
        yield running


@pytest.fixture
def tool(estate):
    opened = []

    def of(name: str) -> HttpSource:
        variables = {"ESTATE_URL": estate.url}
        plan = load(FOLDER / f"{name}.yaml", variables=variables, shapes=Shapes.builtin())
        opened.append(HttpSource(plan))
        return opened[-1]

    yield of
    for one in opened:
        one.close()
    estate.heal()


@pytest.mark.parametrize("name", TOOLS)
def test_everything_a_tool_lists_can_be_fetched_and_put_in_our_words(tool, name):
    shapes, asked = Shapes.builtin(), tool(name)
    found: Counter[str] = Counter()
    for listed in asked.list():
        fetched = asked.fetch(listed.key)
        record = fetched.record
        found[listed.key.resource] += 1

        assert record.document == listed.key.document
        assert asked.key_of(record.subject) == listed.key
        assert asked.subject(listed.key) == record.subject
        for statement in record.statements:
            assert asked.key_of(statement.uri) == listed.key
            assert statement.attributes["environment"] == "prod"
            _check_attributes(shapes, statement)
        for edge in record.edges:
            assert shapes.allows(edge.kind, edge.start.type, edge.end.type)
    assert set(found) == set(asked.plan.resources)


def _check_attributes(shapes: Shapes, statement: Statement) -> None:
    """A word of ours is one that the shapes know."""
    for name, value in statement.attributes.items():
        declared = shapes.type(statement.uri.type).attribute(name)
        assert declared or name == "environment", (statement.uri.type, name)
        if declared and declared.values:
            assert value in declared.values


def test_every_event_of_the_estate_marks_a_document_that_is_listed(estate, tool):
    tools = {name: tool(name) for name in TOOLS}
    listed = {name: {one.key for one in tools[name].list()} for name in TOOLS}
    estate.announce()

    for name, event in estate.drain():
        (marked,) = tools[name].understand(event)
        assert marked.key in listed[name]
        assert not marked.deleted


def test_the_worked_example_of_the_estate(tool):
    """From an event to the version, its run, the cell and the test."""
    registry, jobs, tests = tool("registry"), tool("orchestrator"), tool("experiments")
    event = {"event_type": "model_instance_created", "instance_id": "ranking-model-v5-20XX0101"}
    (marked,) = registry.understand(event)
    version = registry.fetch(marked.key).record

    (run,) = [e.end for e in version.edges if e.kind == "produced_by"]
    (cell,) = [e.end for e in jobs.fetch(jobs.key_of(run)).record.edges if e.kind == "executed_for"]
    test = tests.fetch(tests.key_of(cell)).record

    assert version.subject == "mlg://model-version/registry/ranking-model-v5-20XX0101"
    assert run == "mlg://run/orchestrator/train-weekly-ranking-20XX0101"
    assert cell == "mlg://ab-cell/exp/12345/2"
    assert test.subject == "mlg://ab-test/exp/12345"
    assert cell in [statement.uri for statement in test.statements]
    assert test.statements[0].attributes["status"] == "running"


def test_a_table_says_its_other_names(tool):
    catalog = tool("catalog")
    table = Uri("mlg://dataset/lake/personalization.playback_events")
    record = catalog.fetch(catalog.key_of(table)).record

    assert {e.end for e in record.edges if e.kind == "same_as"} == {
        Uri.of("dataset", "s3", "stream-lake", "legacy/viewing/playback"),
        Uri("mlg://dataset/hive/legacy_viewing.playback"),
    }


def test_an_unchanged_document_is_not_sent_again(tool):
    registry = tool("registry")
    key = Key("instance", "ranking-model-v5-20XX0101")
    first = registry.fetch(key)

    assert first.etag
    assert registry.fetch(key, first.etag) == Fetched(key, None, first.etag)
    assert registry.fetch(key, '"other"').record is not None


@pytest.mark.parametrize("name", TOOLS)
def test_what_a_tool_does_not_have_is_gone(tool, name):
    asked = tool(name)
    for resource in asked.plan.resources.values():
        key = Key(resource.name, resource.key.text(["0"] * len(resource.key.names)))
        with pytest.raises(SourceGone):
            asked.fetch(key)


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_in_trouble_is_down_and_a_babbling_one_garbled(estate, tool, name):
    asked = tool(name)
    key = next(asked.list()).key

    estate.fail(name, status=503, retry_after=7)
    with pytest.raises(SourceDown) as caught:
        asked.fetch(key)
    assert caught.value.retry_after == 7
    with pytest.raises(SourceDown):
        list(asked.list())
    estate.heal(name)
    estate.garble(name)
    with pytest.raises(SourceGarbled):
        asked.fetch(key)
    with pytest.raises(SourceGarbled):
        list(asked.list())
    estate.heal(name)
    assert asked.fetch(key).record is not None


# ── Answers ──────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_keeps_its_address_hash_and_etag():
    asked = source(
        lambda r: httpx2.Response(200, json=GOOD, headers={"etag": '"1"'}), clock=lambda: 9
    )

    fetched = asked.fetch(Key("thing", "a"))

    assert fetched.etag == '"1"'
    assert fetched.record is not None
    assert fetched.record.response is not None
    assert fetched.record.observed_at == 9
    assert fetched.record.response.url == "http://tool.example.com/api/things/a"
    assert len(fetched.record.response.sha256) == 64


@pytest.mark.parametrize("status", [401, 403, 407, 408, 425, 429, 500, 502, 503, 504, 521])
def test_refusals_and_failures_are_down(status):
    with pytest.raises(SourceDown, match=f"/api/things/a gives {status}"):
        always(status, json=GOOD).fetch(Key("thing", "a"))


@pytest.mark.parametrize("status", [404, 410])
def test_gone_is_believed_only_in_the_form_of_the_source(status):
    with pytest.raises(SourceGone):
        always(status, json={"code": "NOT_FOUND"}).fetch(Key("thing", "a"))
    answers: tuple[dict[str, Any], ...] = (
        {"json": {"code": "NO_ROUTE"}},
        {"json": {}},
        {"json": []},
        {"text": "not found"},
        {"html": "<h1>404</h1>"},
        {"content": b"{", "headers": {"content-type": "application/json"}},
        {},
    )
    for answer in answers:
        with pytest.raises(SourceGarbled):
            always(status, **answer).fetch(Key("thing", "a"))


@pytest.mark.parametrize(
    "answer",
    [
        {"status_code": 200, "text": "{}"},
        {"status_code": 200},
        {"status_code": 204},
        {"status_code": 304},
        {"status_code": 301, "headers": {"location": "http://evil.example.com/"}},
        {"status_code": 302, "headers": {"location": "/api/things/a"}},
        {"status_code": 400, "json": GOOD},
        {"status_code": 405, "json": GOOD},
        {"status_code": 200, "json": []},
        {"status_code": 200, "json": {}},
        {"status_code": 200, "json": {"id": "b"}},
        {"status_code": 200, "json": {"id": {"x": 1}}},
        {"status_code": 200, "json": None},
        {"status_code": 200, "content": b'{"id": "a"',
         "headers": {"content-type": "application/json"}},
        {"status_code": 200, "content": b'{"id": "\\ud800"}',
         "headers": {"content-type": "application/json"}},
        {"status_code": 200, "content": b"[" * 65 + b"]" * 65,
         "headers": {"content-type": "application/json"}},
        {"status_code": 200, "content": b"[" * 99_999 + b"]" * 99_999,
         "headers": {"content-type": "application/json"}},
        {"status_code": 200, "stream": Once(b"x"),
         "headers": {"content-type": "application/json", "content-encoding": "gzip"}},
        {"status_code": 200, "stream": Once(b"x"),
         "headers": {"content-type": "application/json", "content-encoding": "br"}},
    ],
    ids=range(19),
)  # fmt: skip
def test_every_other_answer_is_garbled(answer):
    with pytest.raises(SourceGarbled, match="tool"):
        always(**answer).fetch(Key("thing", "a"))


def test_kinds_of_json_are_json():
    headers = {"content-type": "application/hal+json; charset=utf-8"}

    assert always(200, content=b'{"id": "a"}', headers=headers).fetch(Key("thing", "a")).record


def test_a_large_answer_and_a_gzip_bomb_are_cut_off():
    headers = {"content-type": "application/json"}
    big = b'{"id": "a", "x": "' + b"x" * 11_000_000 + b'"}'
    with pytest.raises(SourceGarbled, match="more than 10,000,000 bytes"):
        always(200, content=big, headers=headers).fetch(Key("thing", "a"))
    bomb = gzip.compress(b'{"id": "a", "x": "' + b"x" * 2_000_000 + b'"}')
    headers["content-encoding"] = "gzip"
    with pytest.raises(SourceGarbled, match="unpacks to more than 100 times"):
        always(200, stream=Once(bomb), headers=headers).fetch(Key("thing", "a"))


MEMBER = gzip.compress(
    json.dumps({**GOOD, "x": random.Random(3).randbytes(150_000).hex()}).encode()
)
HALVES = [gzip.compress(half) for half in (b'{"id": "a", ', b'"name": "A"}')]


def packed(body: bytes) -> HttpSource:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    return always(200, stream=Once(body), headers=headers)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "after",
    [b"\0" * 10, b"<!-- served by a proxy -->", gzip.compress(b" ")[:-4]],
    ids=["zeros", "text", "cut"],
)
def test_what_follows_a_packed_answer_and_is_not_packed_is_garbled(after):
    """More than 64 KB unpacked: then what follows lies in the chunk that is gone through twice."""
    assert packed(MEMBER).fetch(Key("thing", "a")).record

    with pytest.raises(SourceGarbled, match="its gzip is broken"):
        packed(MEMBER + after).fetch(Key("thing", "a"))


@pytest.mark.timeout(20)
def test_an_answer_may_be_packed_in_several_parts_within_its_limits():
    record = packed(b"".join(HALVES)).fetch(Key("thing", "a")).record
    assert record is not None
    assert record.statements[0].attributes["name"] == "A"

    with pytest.raises(SourceGarbled, match="more than 10,000,000 bytes"):
        packed(MEMBER * 40).fetch(Key("thing", "a"))
    bomb = gzip.compress(b" " * 500_000)
    with pytest.raises(SourceGarbled, match="unpacks to more than 100 times"):
        packed(bomb * 10 + HALVES[0]).fetch(Key("thing", "a"))


@pytest.mark.parametrize(
    "error", [httpx2.ConnectError("no"), httpx2.ReadTimeout("slow"), httpx2.ReadError("cut"),
              httpx2.RemoteProtocolError("what"), OSError("tls")]
)  # fmt: skip
def test_no_answer_is_down(error):
    def fail(request: httpx2.Request) -> httpx2.Response:
        raise error

    with pytest.raises(SourceDown):
        source(fail).fetch(Key("thing", "a"))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
     ("soon", None), ("", None), (None, None), ("-3", None)],
)  # fmt: skip
def test_retry_after(header, seconds):
    assert retry_after(header, 100.0) == seconds


@pytest.mark.parametrize(
    "header",
    ["86401", "1767225600", "1767225600000", "9300000000000", "9" * 400,
     "Fri, 31 Dec 9999 23:59:59 GMT"],
)  # fmt: skip
def test_no_source_is_left_alone_for_more_than_a_day(header):
    """Some say the moment, in seconds or less, where a header holds how long to wait."""
    answer = httpx2.Response(503, headers={"retry-after": header})

    with pytest.raises(SourceDown) as caught:
        source(lambda request: answer).fetch(Key("thing", "a"))

    assert caught.value.retry_after == 86_400


def test_credentials_are_looked_up_and_never_shown():
    seen = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers)
        return httpx2.Response(401, json={})

    spec = SPEC.replace("limits:", 'auth: {bearer: "env:TOKEN"}\nlimits:')
    asked = source(answer, spec=spec, secret={"env:TOKEN": "s3cret\n"}.__getitem__)
    with pytest.raises(SourceDown) as caught:
        asked.fetch(Key("thing", "a"))

    assert seen[0]["authorization"] == "Bearer s3cret"
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ConfigError, match="env:TOKEN"):
        source(answer, spec=spec)


# ── Events ───────────────────────────────────────────────────────────────────────────────────────


def test_events_mark_documents():
    asked = always(200)
    thing = Key("thing", "a%2Fb")

    assert asked.understand({"type": "made", "id": "a/b"}) == (Marked(thing),)
    assert asked.understand({"type": "removed", "id": "a/b"}) == (Marked(thing, deleted=True),)
    assert asked.understand({"type": "batch", "ids": [1, "x"]}) == (
        Marked(Key("thing", "1")),
        Marked(Key("thing", "x")),
    )
    assert asked.understand({"type": "heartbeat"}) == ()


@pytest.mark.parametrize(
    "event",
    [{}, {"type": "other"}, {"type": "made"}, {"type": "made", "id": ""},
     {"type": "made", "id": {}},
     {"type": "made", "id": ".."}, {"type": "made", "id": "a\n"}, {"type": "made", "id": "a%2Fb"},
     {"type": "batch", "ids": "a"}, {"type": "batch", "ids": [None]}, {"type": True},
     {"type": "made", "id": "x" * 3000}],
    ids=range(12),
)  # fmt: skip
def test_an_event_that_makes_no_sense_is_refused(event):
    with pytest.raises(InvalidEvent):
        always(200).understand(event)


def test_an_id_is_one_segment_of_the_address():
    seen = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.url.raw_path.decode())
        return httpx2.Response(200, json={"id": "a/../b?c#d é%;"})

    asked = source(answer)
    (marked,) = asked.understand({"type": "made", "id": "a/../b?c#d é%;"})
    asked.fetch(marked.key)

    assert seen == ["/api/things/a%2F..%2Fb%3Fc%23d%20%C3%A9%25%3B"]


BY_ARGUMENT = """
source: tool
platform: tool
base_url: http://tool.example.com/api
events:
  - {match: {type: made}, resource: thing, key: {id: id, kind: kind}}
resources:
  thing:
    subject: {type: model}
    key: {id: id, kind: kind}
    fetch: {path: "/{kind}/get", params: {name: "{id}", of: "v:{id}", plain: "1"}}
%s"""


def test_an_id_may_be_an_argument_of_the_address():
    seen, odd = [], "a/../b&name=c?#+ é%41"

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.url.raw_path.decode().partition("?")[0], dict(request.url.params)))
        return httpx2.Response(200, json={"id": odd, "kind": "k/1"})

    asked = source(answer, spec=BY_ARGUMENT)
    (marked,) = asked.understand({"type": "made", "id": odd, "kind": "k/1"})
    record = asked.fetch(marked.key).record

    assert seen == [("/api/k%2F1/get", {"name": odd, "of": f"v:{odd}", "plain": "1"})]
    assert record is not None
    assert asked.key_of(record.subject) == marked.key


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"v:{id}"', '"{ident}"', "{ident} is no part of the key"),
        ('name: "{id}", of: "v:{id}", ', "", "lacks the key's part 'id'"),
    ],
)
def test_an_argument_that_names_no_part_of_the_key_is_refused(old, new, message):
    with pytest.raises(SourceSpecError, match=message) as caught:
        parse(BY_ARGUMENT.replace(old, new) % "", "my.yaml")

    assert "my.yaml:11: " in str(caught.value)


@pytest.mark.parametrize("part", [".", "..", "", " ", "a\x00", "a%2e", "%41", "\x85"])
def test_an_id_that_could_mean_more_is_refused(part):
    with pytest.raises(Invalid):
        segment(part)


# ── What is packed in a document ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("from_json(a).uri", {"a": '{"uri": "s3://b/c"}'}, "s3://b/c"),
        ("from_json(a)", {"a": "[1, null]"}, [1, None]),
        ("from_json(a)", {"a": "{"}, None),
        ("from_json(a)", {"a": ""}, None),
        ("from_json(a)", {}, None),
        ("from_json(a)", {"a": "[" * 65 + "]" * 65}, None),
        ("from_json(a)", {"a": "[" * 99_999 + "]" * 99_999}, None),
        ("from_entries(a)", {"a": [{"key": "x", "value": 1}, {"key": "y"}]}, {"x": 1, "y": None}),
        ("from_entries(a)", {"a": [{"key": "x", "value": 1}, {"key": "x", "value": 2}]}, {"x": 2}),
        ("from_entries(entries(a))", {"a": {"x": {"y": 1}}}, {"x": {"y": 1}}),
        ("from_entries(a)", {"a": []}, {}),
        ("from_entries(a)", {}, None),
    ],
    ids=range(12),
)
def test_what_is_packed_is_unpacked(text, value, expected):
    assert Expression(text)(value) == expected


@pytest.mark.parametrize("entries", [[1], [{"value": 1}], [{"key": 1, "value": 1}], {"x": 1}])
def test_entries_that_are_none_are_refused(entries):
    with pytest.raises(Invalid):
        Expression("from_entries(a)")({"a": entries})


# ── Lists ────────────────────────────────────────────────────────────────────────────────────────


def listing(paging: str, pages: Any) -> tuple[list[str], list[dict[str, str]]]:
    """Return what is listed when *pages* maps the arguments of a request to its answer."""
    asked: list[dict[str, str]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        params = dict(request.url.params)
        asked.append(params)
        body = pages(params)
        return body if isinstance(body, httpx2.Response) else httpx2.Response(200, json=body)

    found = [one.key.id for one in source(answer, paging=paging).list()]
    return found, asked


def things(*ids: Any) -> dict[str, Any]:
    return {"things": [{"id": one, "v": 1} for one in ids]}


def test_pages_by_cursor():
    pages = {None: things(1, 2) | {"next": "x"}, "x": things(3) | {"next": None}}
    found, asked = listing(
        "style: cursor, param: at, next: next, size_param: n, size: 2", lambda p: pages[p.get("at")]
    )

    assert found == ["1", "2", "3"]
    assert asked == [{"n": "2"}, {"n": "2", "at": "x"}]


def test_pages_by_number_with_and_without_a_total():
    pages = {"1": things(1) | {"pages": 2}, "2": things(2) | {"pages": 2}, "3": things()}

    assert listing("style: page, param: p, total: pages", lambda p: pages[p["p"]])[0] == ["1", "2"]
    found, asked = listing("style: page, param: p", lambda p: pages[p["p"]])
    assert found == ["1", "2"]
    assert len(asked) == 3


def test_pages_by_offset_count_the_items_that_came():
    pages = {"0": things(1, 2) | {"n": 3}, "2": things(3) | {"n": 3}}

    assert listing("style: offset, param: o, total: n", lambda p: pages[p["o"]])[0] == [*"123"]


def test_a_list_by_post_sends_what_pages_add_in_its_body():
    sent: list[Any] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.method == "POST"
        assert request.headers["content-type"] == "application/json"
        sent.append(json.loads(request.content))
        start = sent[-1]["start"]
        items = [{"id": str(one)} for one in range(start, min(start + 2, 5))]
        return httpx2.Response(200, json={"things": items})

    paging = "style: offset, param: start, size_param: count, size: 2}, body: {filter: {live: true}"
    listed = list(source(answer, paging=paging).list())

    assert [one.key.id for one in listed] == ["0", "1", "2", "3", "4"]
    assert sent[0] == {"filter": {"live": True}, "count": 2, "start": 0}
    assert [one["start"] for one in sent] == [0, 2, 4, 5]


def test_pages_after_the_last_item():
    pages = {None: things("a") | {"more": True}, "a": things("b") | {"more": False}}

    assert listing("style: after, param: a, next: id, more: more", lambda p: pages[p.get("a")])[
        0
    ] == ["a", "b"]


@pytest.mark.parametrize(
    "address", ["/api/things?p=2", "?p=2", "http://tool.example.com/api/things?p=2"]
)
def test_pages_by_link(address):
    def page(params: dict[str, str]) -> httpx2.Response:
        headers = {} if params else {"link": f'<{address}>; rel="next"'}
        return httpx2.Response(200, json=things(2 if params else 1), headers=headers)

    assert listing("style: link", page)[0] == ["1", "2"]


@pytest.mark.parametrize(
    "address",
    ["http://evil.example.com/api/things?p=2", "//evil.example.com/x", "/other?p=2", "/api/../x",
     "http://tool.example.com:81/api/things", "https://tool.example.com/api/things", "file:///etc",
     "/api/%2e%2e/admin", "/api/things/..%2F..%2Fadmin", "/api/%252E%252e/admin"],
)  # fmt: skip
def test_a_link_that_leads_elsewhere_is_garbled(address):
    def page(params: dict[str, str]) -> httpx2.Response:
        return httpx2.Response(200, json=things(1), headers={"link": f'<{address}>; rel="next"'})

    with pytest.raises(SourceGarbled):
        listing("style: link", page)


def linked(address: str, base: str = "http://tool.example.com/api") -> tuple[list[str], list[str]]:
    """Return what is listed when the first page goes on at *address*, and what was asked for."""
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        headers = {"link": f'<{address}>; rel="next"'} if len(asked) == 1 else {}
        return httpx2.Response(200, json=things(len(asked)), headers=headers)

    spec = SPEC.replace("http://tool.example.com/api", base)
    listed = source(answer, paging="style: link", spec=spec).list()
    return [one.key.id for one in listed], asked


def test_a_link_is_followed_with_its_arguments_as_they_are():
    address = "http://tool.example.com/api/things?tag=a&x=1&tag=b&filter=v%5B1%5D%20%2B&flag&page=2"

    found, asked = linked(address + "#end")

    assert found == ["1", "2"]
    assert asked[1] == address


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("https://Tool.example.com/api", "https://tool.example.com/api/things?p=2"),
        ("https://tool.example.com/api", "https://TOOL.example.com:443/api/things?p=2"),
        ("https://tool.example.com:443/api/", "https://tool.example.com/api/things?p=2"),
        ("https://tool.example.com:443/api", "?p=2"),
        ("http://TOOL.example.com:80", "http://tool.example.com/things?p=2"),
        ("http://bücher.example.com/api", "http://xn--bcher-kva.example.com/api/things?p=2"),
        ("http://tool.example.com/größe", "/gr%C3%B6%C3%9Fe/things?p=2"),
    ],
)
def test_a_base_address_may_be_spelled_otherwise_than_its_links(base, address):
    assert linked(address, base)[0] == ["1", "2"]


@pytest.mark.parametrize(
    "address",
    ["http://tool.example.com:port/api/things", "http://[junk/api/things", "http://[::zz]/things",
     "http://999.1.1.1/api", "/api/things?p=\x01", "//", ":", "/api/things?p=" + "9" * 70_000],
    ids=["port", "bracket", "ipv6", "ipv4", "control", "slashes", "colon", "long"],
)  # fmt: skip
def test_a_link_that_is_no_address_is_garbled(address):
    """It came from the source: the sweep ends as with every other answer that makes no sense."""
    page = things(1) | {"next": address}

    with pytest.raises(SourceGarbled, match="tool"):
        listing("style: link, next: next", lambda params: page)


def test_a_token_that_makes_an_address_too_long_is_garbled():
    page = things(1) | {"next": "9" * 70_000}

    with pytest.raises(SourceGarbled, match="URL too long"):
        listing("style: cursor, param: at, next: next", lambda params: page)


@pytest.mark.parametrize(
    ("paging", "page"),
    [
        ("style: cursor, param: at, next: next", things(1) | {"next": "same"}),
        ("style: page, param: p", things(1)),
        ("style: offset, param: o, total: n", things() | {"n": 3}),
        ("style: after, param: a, next: id, more: more", things("a") | {"more": True}),
        ("style: after, param: a, next: id, more: more", things() | {"more": True}),
        ("style: after, param: a, next: id, more: more", things()),
        ("style: page, param: p, total: pages", things(1) | {"pages": "many"}),
        ("", {"things": None}),
        ("", {"things": [{"v": 1}]}),
        ("", {"things": [{"id": ".."}]}),
        ("", {"things": [{"id": 1, "v": {}}]}),
    ],
    ids=range(11),
)
def test_a_list_without_end_or_sense_is_garbled(paging, page):
    with pytest.raises(SourceGarbled, match="tool: "):
        listing(paging, lambda params: page)


def test_a_page_is_asked_again_when_the_source_is_down_for_a_moment():
    answers = iter(
        [httpx2.Response(503), httpx2.Response(502), httpx2.Response(200, json=things(1))]
    )

    assert listing("", lambda params: next(answers))[0] == ["1"]


def test_a_list_of_whole_documents_has_versions_of_its_own():
    spec = SPEC.replace("version: v%s", "full: true%s")
    first, again, changed = (
        [
            one.version
            for one in source(lambda r, b=b: httpx2.Response(200, json=b), spec=spec).list()
        ]
        for b in (things("a"), things("a"), {"things": [{"id": "a", "v": 2}]})
    )

    assert first == again != changed


# ── The guard ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.1.1", "100.64.0.1", "0.0.0.0",
     "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1",
     "ff02::1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "2001:db8::1"],
)  # fmt: skip
def test_local_addresses_are_refused(address):
    assert refusal(address, allow_private=False)


@pytest.mark.parametrize("address", [*sorted(str(a) for a in METADATA), "::ffff:169.254.169.254",
                                     "64:ff9b::a9fe:a9fe", "224.0.0.1", "0.0.0.0"])  # fmt: skip
def test_metadata_is_refused_always(address):
    assert refusal(address, allow_private=True)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1"])
def test_public_addresses_are_not(address):
    assert refusal(address, allow_private=False) is None
    assert refusal("127.0.0.1", allow_private=True) is None


def test_a_name_that_leads_home_is_refused(estate):
    text = (SPEC % "").replace(
        "http://tool.example.com", estate.url.replace("127.0.0.1", "localhost")
    )
    before = sum(estate.requests.values())

    with pytest.raises(SourceDown, match="not a public address"):
        HttpSource(parse(text)).fetch(Key("thing", "a"))

    assert sum(estate.requests.values()) == before


def drip(pieces: list[bytes], pause: float) -> tuple[str, threading.Thread]:
    """Answer one connection with *pieces*, slowly; return the address."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with server, server.accept()[0] as connection:
            connection.recv(65_536)
            try:
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(pause)
            except OSError:
                pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return f"http://127.0.0.1:{server.getsockname()[1]}", thread


@pytest.mark.parametrize(
    "head",
    [b"", b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"],
    ids=["head", "body"],
)
def test_a_source_that_drips_ends_at_the_deadline(head):
    address, thread = drip([head or b"H", *[b" "] * 40], 0.1)
    text = (SPEC % "").replace("http://tool.example.com", address)
    text = text.replace("timeout: 5", "timeout: 0.5").replace(
        "limits", "allow_private: true\nlimits"
    )
    began = time.monotonic()

    with pytest.raises(SourceDown):
        HttpSource(parse(text)).fetch(Key("thing", "a"))

    assert time.monotonic() - began < 3
    thread.join()


@pytest.mark.parametrize(
    "answer",
    [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
     b"content-length: 99\r\n\r\n{"],
    ids=["closed", "not-http", "cut"],
)  # fmt: skip
def test_a_connection_that_breaks_is_down(answer):
    address, thread = drip([answer], 0)
    text = (SPEC % "").replace("http://tool.example.com", address)
    asked = HttpSource(parse(text.replace("limits", "allow_private: true\nlimits")))

    with pytest.raises(SourceDown):
        asked.fetch(Key("thing", "a"))
    thread.join()
    asked.close()


def test_requests_are_paced():
    clock, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 3))
        clock[0] += seconds

    pace = Pace(requests_per_second=10, concurrency=2, clock=lambda: clock[0], sleep=sleep)
    for _ in range(5):
        with pace.turn():
            pass
    assert slept == [0.1, 0.1, 0.1, 0.1]

    clock[0] += 60
    slept.clear()
    for _ in range(4):
        with pace.turn():
            pass
    assert slept == [0.1, 0.1]


def test_a_source_is_paced_by_the_clock_that_it_was_given():
    """However long that waits, no real time goes by; and a clock put back holds nothing up."""
    clock, slept = [1_770_000_000.0], []

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 3))
        clock[0] += seconds

    asked = source(
        lambda request: httpx2.Response(200, json=GOOD),
        spec=SPEC.replace("10000, timeout: 5", "0.01, concurrency: 1"),
        clock=lambda: int(clock[0] * 1_000_000),
        sleep=sleep,
    )
    for _ in range(3):
        asked.fetch(Key("thing", "a"))
    assert slept == [100.0, 100.0]

    clock[0] -= 86_400
    asked.fetch(Key("thing", "a"))
    assert slept == [100.0, 100.0]


def test_no_more_requests_at_once_than_allowed():
    running, most, lock = [0], [0], threading.Lock()

    def answer(request: httpx2.Request) -> httpx2.Response:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1
        return httpx2.Response(200, json=GOOD)

    asked = source(answer, spec=SPEC.replace("timeout: 5", "concurrency: 2"))
    threads = [threading.Thread(target=asked.fetch, args=(Key("thing", "a"),)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most[0] <= 2


# ── Several at once, and how new they are ────────────────────────────────────────────────────────

TOGETHER = SPEC.replace(
    'fetch: {path: "/things/{id}"}',
    'fetch: {path: "/things/{id}"}\n    version: rev\n'
    "    batch: {path: /things, param: ids, separator: %r, size: 20, items: things}",
)


class Shelf(BaseHTTPRequestHandler):
    """A tool on this machine that can be asked for several things, and whose list moves away."""

    asked: ClassVar[list[str]] = []
    things: ClassVar[dict[str, dict[str, Any]]] = {
        name: {"id": name, "name": name.upper(), "rev": 7} for name in ("a", "b,c", "d")
    }

    def do_GET(self) -> None:
        self.asked.append(self.path)
        path, _, query = self.path.partition("?")
        args = parse_qs(query)
        if path == "/things" and "ids" in args:
            wanted = {one for text in args["ids"] for one in (text, *text.split(","))}
            body: Any = {"things": [one for name, one in self.things.items() if name in wanted]}
        elif path == "/things":
            gone = args.get("page") == ["expired"]
            body = (
                {"error": "unknown token"} if gone else {"things": [{"id": "a"}], "next": "expired"}
            )
            return self._send(410 if gone else 200, body)
        else:
            body = self.things[unquote(path.rpartition("/")[2])]
        return self._send(200, body)

    def _send(self, status: int, body: Any) -> None:
        data = msgspec.json.encode(body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("ETag", '"all"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def shelf():
    Shelf.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def at(address: str, spec: str) -> HttpSource:
    text = spec.replace("http://tool.example.com/api", f"{address}\nallow_private: true")
    return HttpSource(parse(text))


@pytest.mark.parametrize(
    ("separator", "query"), [("", "ids=a&ids=d&ids=x"), (",", "ids=a%2Cd%2Cx")]
)
def test_several_documents_are_one_request(shelf: str, separator: str, query: str) -> None:
    tool = at(shelf, TOGETHER % (separator, ""))
    found = tool.fetch_many([Key("thing", name) for name in "adx"])
    tool.close()

    assert Shelf.asked == [f"/things?{query}"]
    assert set(found) == {Key("thing", "a"), Key("thing", "d")}, "x is asked for alone"
    one = found[Key("thing", "a")]
    assert isinstance(one, Fetched)
    assert one.record is not None
    assert (one.version, one.etag) == (7, None), "the ETag is that of all of them"
    assert dict(tool.habits.batches) == {"thing": 20}


def test_a_list_whose_token_has_run_out_is_to_be_begun_again(shelf: str) -> None:
    paging = ", paging: {style: cursor, param: page, next: next}"
    tool = at(shelf, SPEC % paging)
    with pytest.raises(SourceMoved, match="cannot be gone on with"):
        list(tool.list())
    tool.close()


def test_a_list_that_is_refused_at_once_has_not_moved() -> None:
    with pytest.raises(SourceGarbled):
        list(always(422, json={}).list())


@pytest.mark.parametrize(
    ("rule", "event", "version"),
    [
        ("rev", {"rev": 12}, 12),
        ("rev", {"rev": "12"}, 12),
        ("at", {"at": "1970-01-01T00:00:01Z"}, 1_000_000),
        ("rev", {}, None),
    ],
)
def test_an_event_says_how_new_its_document_is(rule: str, event: Any, version: int | None) -> None:
    spec = SPEC.replace(
        "resource: thing, key: id}", f"resource: thing, key: id, version: {rule}}}", 1
    )
    (marked,) = source(None, spec=spec).understand({"type": "made", "id": "a", **event})

    assert marked.version == version


@pytest.mark.parametrize("said", [True, [1], "soon"])
def test_a_version_that_is_none_makes_the_event_senseless(said: Any) -> None:
    spec = SPEC.replace("resource: thing, key: id}", "resource: thing, key: id, version: rev}", 1)
    with pytest.raises(InvalidEvent):
        source(None, spec=spec).understand({"type": "made", "id": "a", "rev": said})


@pytest.mark.parametrize(
    ("line", "sweep", "looks"),
    [
        ("", schedule.nightly("tool"), (30.0, 300.0)),
        ('sweep: "5 * * * *"', "5 * * * *", (30.0, 300.0)),
        ("sweep: never", None, (30.0, 300.0)),
        ("second_look: []", schedule.nightly("tool"), ()),
    ],
)
def test_a_file_says_when_everything_is_listed_and_looked_at_again(
    line: str, sweep: str | None, looks: tuple[float, ...]
) -> None:
    habits = source(None, spec=f"{line}\n{SPEC}").habits

    assert (habits.sweep, habits.looks) == (sweep, looks)


@pytest.mark.parametrize(
    ("line", "says"),
    [("sweep: daily", "cron"), ("sweep: 99 * * * *", "cron"), ("second_look: [0]", "second_look")],
)
def test_what_is_no_schedule_is_refused_with_its_line(line: str, says: str) -> None:
    with pytest.raises(SourceSpecError, match=says):
        source(None, spec=f"{line}\n{SPEC}")


def test_keys_of_several_parts_cannot_be_asked_for_together() -> None:
    spec = SPEC.replace(
        "fetch:", "key: {a: a, b: b}\n    batch: {path: /t, param: ids}\n    fetch:"
    )
    with pytest.raises(SourceSpecError, match="together"):
        source(None, spec=spec.replace("/{id}", "/{a}/{b}").replace("key: id", "key: {a: a, b: b}"))

"""Joining a tool: every field over a real HTTP server, a file to begin with, a Python source."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema
import msgspec
import pytest
from click.testing import CliRunner

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.app.configured import secret_in
from lineal.config import Config
from lineal.errors import ConfigError, Invalid, SourceDown, SourceGarbled
from lineal.model import Record, Uri
from lineal.normalise import Platforms
from lineal.shapes import Shapes
from lineal.sources import Key, spec
from lineal.sources.compiling import parse
from lineal.sources.decoding import decode
from lineal.sources.http import HttpSource
from lineal.sources.installed import Surroundings
from lineal.sources.reference import HEADINGS, page, schema_text, tables
from lineal.sources.starting import FORMS, starter
from lineal.sources.written import read
from lineal.surfaces.cli import main
from lineal.surfaces.events import declared

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs/reference"
MODELS = [f"m{n}" for n in range(7)]


# ── A tool over HTTP ─────────────────────────────────────────────────────────────────────────────


class Tool:
    """A real HTTP server on loopback, which answers as a function of path, query and headers."""

    def __init__(self, answer: Callable[[str, dict[str, str], Any], tuple[int, Any, Any]]) -> None:
        asked: list[tuple[str, dict[str, str]]] = []
        self.asked = asked

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = dict(parse_qsl(parts.query))
                asked.append((parts.path, query))
                status, body, headers = answer(parts.path, query, self.headers)
                text = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Tool:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


SPEC = """
source: tool
platform: tool
base_url: ${URL}
allow_private: true
limits: {requests_per_second: 10000}
%s
resources:
  model:
    subject: {type: model}
    fetch: {path: "/models/{id}"}
    list: {path: /models, items: items, version: v, paging: {%s}}
    map: {name: name}
"""


def source(tool: Tool, paging: str = "style: link", more: str = "", **variables: str) -> HttpSource:
    plan = parse(SPEC % (more, paging), variables={"URL": tool.url})
    return HttpSource(plan, secret=lambda reference: secret_in(variables, reference))


def listed(names: list[str]) -> list[dict[str, str]]:
    return [{"id": name, "v": f"v-{name}"} for name in names]


def by_page(path: str, query: dict[str, str], _: Any) -> tuple[int, Any, Any]:
    size, number = int(query["n"]), int(query["p"])
    return 200, {"items": listed(MODELS[(number - 1) * size :][:size]), "pages": 3}, {}


def by_offset(path: str, query: dict[str, str], _: Any) -> tuple[int, Any, Any]:
    at, size = int(query["from"]), int(query["n"])
    return 200, {"items": listed(MODELS[at : at + size]), "total": len(MODELS)}, {}


def by_cursor(path: str, query: dict[str, str], _: Any) -> tuple[int, Any, Any]:
    at = int(query.get("token", "0"))
    following = {"next": str(at + 3)} if at + 3 < len(MODELS) else {}
    return 200, {"items": listed(MODELS[at : at + 3]), **following}, {}


def after_last(path: str, query: dict[str, str], _: Any) -> tuple[int, Any, Any]:
    at = MODELS.index(query["since"]) + 1 if "since" in query else 0
    return 200, {"items": listed(MODELS[at : at + 3]), "more": at + 3 < len(MODELS)}, {}


def by_header(path: str, query: dict[str, str], _: Any) -> tuple[int, Any, Any]:
    at = int(query.get("at", "0"))
    more = at + 3 < len(MODELS)
    links = {"Link": f'</models?at={at + 3}>; rel="next", </models>; rel="first"'} if more else {}
    return 200, {"items": listed(MODELS[at : at + 3])}, links


def by_address(path: str, query: dict[str, str], _: Any) -> tuple[int, Any, Any]:
    at = int(query.get("at", "0"))
    following = f"/models?at={at + 3}" if at + 3 < len(MODELS) else None
    return 200, {"items": listed(MODELS[at : at + 3]), "links": {"next": following}}, {}


@pytest.mark.parametrize(
    ("paging", "answer", "requests"),
    [
        ("style: page, param: p, size_param: n, size: 3, total: pages", by_page, 3),
        ("style: page, param: p, size_param: n, size: 3", by_page, 4),
        ("style: offset, param: from, size_param: n, size: 3, total: total", by_offset, 3),
        ("style: offset, param: from, size_param: n, size: 3", by_offset, 4),
        ("style: cursor, param: token, next: next", by_cursor, 3),
        ("style: after, param: since, next: id, more: more", after_last, 3),
        ("style: link", by_header, 3),
        ("style: link, next: links.next", by_address, 3),
    ],
)
def test_a_list_is_read_whole_in_every_style_of_paging(paging, answer, requests):
    with Tool(answer) as tool:
        asked = source(tool, paging)
        found = [(one.key.id, one.version) for one in asked.list()]
        asked.close()

    assert found == [(name, f"v-{name}") for name in MODELS]
    assert len(tool.asked) == requests


def test_a_page_that_comes_again_is_never_taken_for_a_whole_list():
    with Tool(lambda path, query, _: (200, {"items": listed(MODELS[:3]), "pages": 9}, {})) as tool:
        asked = source(tool, "style: page, param: p, size_param: n, size: 3, total: pages")
        with pytest.raises(SourceGarbled, match="came before"):
            list(asked.list())
        asked.close()


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ('auth: {bearer: "env:TOKEN"}', "Authorization", "Bearer s3cret"),
        ('auth: {basic: {user: me, password: "file:%s"}}', "Authorization", "Basic bWU6czNjcmV0"),
        ('auth: {header: {name: X-Api-Key, value: "file:%s"}}', "X-Api-Key", "s3cret"),
    ],
)
def test_who_we_are_is_looked_up_and_sent(tmp_path, auth, header, value):
    (tmp_path / "secret").write_text("s3cret\n", "utf-8")
    more = auth.replace("%s", str(tmp_path / "secret"))

    def answer(path: str, query: dict[str, str], headers: Any) -> tuple[int, Any, Any]:
        ours = headers.get(header) == value
        return (200, {"id": "m1", "name": "One"}, {}) if ours else (401, {}, {})

    with Tool(answer) as tool:
        known = source(tool, more=more, TOKEN="s3cret")
        assert known.fetch(Key("model", "m1")).record is not None
        known.close()
        if "env:" in auth:
            stranger = source(tool, more=more, TOKEN="other")
            with pytest.raises(SourceDown):
                stranger.fetch(Key("model", "m1"))
            stranger.close()


def test_a_secret_that_is_no_text_is_said_in_one_sentence_without_what_it_holds(tmp_path):
    place = tmp_path / "key.der"
    place.write_bytes(b"\x30\x82s3cret\xff")

    with pytest.raises(
        ConfigError, match=r"key\.der' is no text\. Write the file in UTF-8"
    ) as said:
        secret_in({}, f"file:{place}")

    assert said.value.__cause__ is None
    with pytest.raises(ConfigError, match="is not there"):
        secret_in({}, f"file:{tmp_path / 'none'}")


RICH = """
source: tool
platform: tool
base_url: ${URL}
allow_private: true
resources:
  table:
    subject: {type: dataset, id: "{db}.{name}"}
    key: {db: where.db, name: name}
    fetch: {path: "/t/{db}/{name}", item: data}
    map:
      name: name
      rows: {path: stats.rows, as: number, default: 0}
      status: {path: state, values: {ON: active}, default: unknown}
      created_at: {path: since, as: time}
    edges:
      - {kind: owned_by, each: owners, to: {email: "@"}}
      - {kind: derived_from, each: "from[?db]", to: {type: dataset, id: "concat(db, '.', name)"}}
    parts:
      - each: columns
        as: {part: column, id: name}
        map: {name: name, data_type: {path: type, values: {s: string}}}
        edges:
          - {kind: column_of, to: subject}
          - {kind: derived_from, each: from, to: {type: column, id: [table, column]}}
"""


def test_one_document_gives_several_things_and_edges_with_defaults_and_transforms():
    document = {
        "where": {"db": "shop"},
        "name": "orders",
        "since": "2026-01-05T10:00:00+02:00",
        "owners": ["Ann <ann@example.com>", "bob@example.com"],
        "from": [{"db": "raw", "name": "orders"}, {"name": "nowhere"}],
        "columns": [
            {"name": "id", "type": "s", "from": [{"table": "raw.orders", "column": "id"}]},
            {"name": "total", "type": "decimal"},
        ],
    }
    with Tool(lambda path, query, _: (200, {"data": document}, {"ETag": '"7"'})) as tool:
        asked = HttpSource(parse(RICH, variables={"URL": tool.url}, shapes=Shapes.builtin()))
        fetched = asked.fetch(Key("table", "shop/orders"))
        asked.close()

    record = fetched.record
    assert isinstance(record, Record)
    assert (fetched.etag, tool.asked) == ('"7"', [("/t/shop/orders", {})])
    said = {str(one.uri): dict(one.attributes) for one in record.statements}
    assert said == {
        "mlg://dataset/tool/shop.orders": {
            "name": "orders",
            "rows": 0,
            "status": "unknown",
            "created_at": "2026-01-05T08:00:00Z",
        },
        "mlg://column/tool/shop.orders/id": {"name": "id", "data_type": "string"},
        "mlg://column/tool/shop.orders/total": {"name": "total", "data_type": "decimal"},
    }
    assert sorted((edge.kind, str(edge.end)) for edge in record.edges) == [
        ("column_of", "mlg://dataset/tool/shop.orders"),
        ("column_of", "mlg://dataset/tool/shop.orders"),
        ("derived_from", "mlg://column/tool/raw.orders/id"),
        ("derived_from", "mlg://dataset/tool/raw.orders"),
        ("owned_by", "mlg://user/email/ann@example.com"),
        ("owned_by", "mlg://user/email/bob@example.com"),
    ]


def test_only_what_has_another_version_is_asked_for_again(tmp_path):
    versions = dict.fromkeys(MODELS, 1)

    def answer(path: str, query: dict[str, str], headers: Any) -> tuple[int, Any, Any]:
        if path == "/models":
            return 200, {"items": [{"id": name, "v": v} for name, v in versions.items()]}, {}
        name = path.rpartition("/")[2]
        tag = f'"{versions[name]}"'
        if headers.get("If-None-Match") == tag:
            return 304, None, {"ETag": tag}
        return 200, {"id": name, "name": f"{name} {versions[name]}"}, {"ETag": tag}

    with Tool(answer) as tool:
        (tmp_path / "tool.yaml").write_text(SPEC % ("", "style: link"), "utf-8")
        config = Config(
            db=tmp_path / "g.db",
            sources=(tmp_path / "tool.yaml",),
            variables={"URL": tool.url},
        )
        with Lineal.open(config) as lineal:
            lineal.sweep("tool")
            assert lineal.drain().complete
            del tool.asked[:]
            versions["m3"] = 2
            lineal.sweep("tool")
            assert lineal.drain().complete
            name = lineal.ask.get(LOCAL, Uri("mlg://model/tool/m3")).value.attributes["name"]

    assert name == "m3 2"
    assert [path for path, _ in tool.asked] == ["/models", "/models/m3"]


# ── A file to begin with ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", FORMS)
def test_a_file_to_begin_with_is_valid_and_commented(form):
    text = starter("lab", form)
    plan = parse(text, "lab.yaml", shapes=Shapes.builtin())

    jsonschema.validate(read(text, "lab.yaml", {}).value, spec.json_schema())
    assert plan.name == "lab"
    assert plan.described == {("model", "lab")}
    assert text.count("#") >= 15


def test_what_is_commented_out_of_a_file_to_begin_with_is_valid_too():
    """Each line that shows another way is tried in its place."""
    text = starter("lab").splitlines()
    tried = 0
    for at, line in enumerate(text):
        bare = line.lstrip()
        if not bare.startswith(("# auth:", "# gone:", "# allow_private:", "# paging:", "# - {")):
            continue
        indent = " " * (len(line) - len(bare))
        changed = [*text]
        changed[at] = indent + bare.removeprefix("# ")
        if bare.startswith("# paging:"):
            changed = [
                one for one in changed if not one.lstrip().startswith("paging: {style: page")
            ]
        parse("\n".join(changed), "lab.yaml", shapes=Shapes.builtin())
        tried += 1
    begin = next(at for at, line in enumerate(text) if line.strip() == "# parts:")
    parts = [line.replace("    # ", "    ", 1) for line in text[begin:]]
    parse("\n".join([*text[:begin], *parts]), "lab.yaml", shapes=Shapes.builtin())

    assert tried >= 9


def test_source_new_writes_a_file_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = CliRunner().invoke(main, ["source", "new", "lab"])
    again = CliRunner().invoke(main, ["source", "new", "lab"])
    wrong = CliRunner().invoke(main, ["source", "new", "My Lab"])

    assert first.exit_code == 0, first.output
    assert "lineal source test lab.yaml" in first.output
    assert (tmp_path / "lab.yaml").read_text("utf-8") == starter("lab")
    assert (again.exit_code, "exists already" in again.output) == (1, True)
    assert wrong.exit_code == 2
    with pytest.raises(Invalid):
        starter("../lab")


# ── The reference, the schema, and the code ──────────────────────────────────────────────────────


def test_the_reference_and_the_schemas_are_what_the_code_says():
    again = "run python -m lineal.sources.reference docs/reference"
    text = (REFERENCE / "source-files.md").read_text("utf-8")

    assert text == page(text, tables(spec.PARTS, HEADINGS)), again
    schema = (REFERENCE / "source.schema.json").read_text("utf-8")
    assert schema == schema_text(spec.json_schema()), again


@pytest.mark.parametrize("module", [spec, declared])
def test_the_schema_has_every_part_and_field_and_no_other(module):
    schema = module.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)

    assert set(schema["$defs"]) == {part.__name__ for part in module.PARTS}
    for part in module.PARTS:
        described = schema["$defs"][part.__name__]
        assert set(described["properties"]) == set(part.__struct_encode_fields__)
        assert described["additionalProperties"] is False
        assert all("description" in one for one in described["properties"].values()), part


WRONG = [
    ("source: tool", "source: 7"),
    ("source: tool", "source: Tool"),
    ("platform: tool", "plattform: tool"),
    ("base_url: http://x", "base_url: [http://x]"),
    ("style: link", "style: links"),
    ("subject: {type: model}", "subject: {}"),
    ("map: {name: name}", "map: {name: {as: text}}"),
    ("map: {name: name}", "map: {name: {path: name, as: texts}}"),
    ("allow_private: true", "limits: {concurrency: 0}"),
    ("allow_private: true", "auth: {bearer: secret}"),
]


@pytest.mark.parametrize(("old", "new"), WRONG)
def test_what_the_schema_refuses_the_code_refuses_too(old, new):
    text = (SPEC % ("", "style: link")).replace("${URL}", "http://x")
    text = text.replace("limits: {requests_per_second: 10000}\n", "")
    sound = read(text, "a.yaml", {})
    wrong = read(text.replace(old, new, 1), "a.yaml", {})

    jsonschema.validate(sound.value, spec.json_schema())
    decode(sound, spec.SourceFile, spec.PARTS)
    assert wrong.value != sound.value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong.value, spec.json_schema())
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong.value, spec.SourceFile)


def test_the_schema_is_printed():
    source_files = CliRunner().invoke(main, ["source", "schema"])
    doors = CliRunner().invoke(main, ["source", "schema", "--doors"])

    assert json.loads(source_files.stdout) == spec.json_schema()
    assert json.loads(doors.stdout) == declared.json_schema()


# ── A source written in Python ───────────────────────────────────────────────────────────────────

MODULE = '''
"""A source that knows two models, and takes its words from memory."""
from lineal.errors import InvalidEvent, SourceGarbled, SourceGone
from lineal.model import Record, Statement, Uri
from lineal.sources import Fetched, Habits, Key, Listed, Marked

MODELS = {"a": "Alpha", "b": "Beta"}


class Memory:
    name = "memory"
    platforms = frozenset({("model", "memory")})
    habits = Habits(sweep=None)

    def __init__(self, surroundings):
        self._clock, self._greeting = surroundings.clock, surroundings.variables["GREETING"]
        self._token = surroundings.secret("env:TOKEN")

    def understand(self, body):
        if "model" not in body:
            raise InvalidEvent("No model.")
        return (Marked(Key("model", str(body["model"])), deleted=body.get("gone") is True),)

    def key_of(self, uri):
        fits = (uri.type, uri.platform) in self.platforms
        return Key("model", uri.segments[0]) if fits else None

    def subject(self, key):
        return Uri.of("model", "memory", key.id)

    def fetch(self, key, etag=None):
        if key.id not in MODELS:
            raise SourceGone(f"no {key.id}")
        uri = self.subject(key)
        words = {"name": MODELS[key.id], "description": f"{self._greeting} {self._token}"}
        said = Statement(uri, words)
        record = Record("memory", key.document, uri, (said,), (), self._clock())
        return Fetched(key, record)

    def fetch_many(self, keys):
        return {key: self.fetch(key) for key in keys}

    def reword(self, key, raw, at):
        raise SourceGarbled("Nothing is kept.")

    def list(self):
        for name in MODELS:
            yield Listed(Key("model", name), "1")

    def close(self):
        pass


def broken(surroundings):
    raise RuntimeError("no luck")


def nothing(surroundings):
    return object()
'''
POINTS = """
[lineal.sources]
memory = lineal_memory_test:Memory
broken = lineal_memory_test:broken
nothing = lineal_memory_test:nothing
other = lineal_memory_test:Memory
openlineage = lineal_memory_test:Memory
"""


def distribution(folder: Path, name: str = "lineal-memory-test", points: str = POINTS) -> None:
    """Lay out a tiny distribution as an installer does."""
    (folder / "lineal_memory_test.py").write_text(MODULE, "utf-8")
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text(points, "utf-8")


@pytest.fixture
def brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site"
    folder.mkdir()
    distribution(folder)
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    sys.modules.pop("lineal_memory_test", None)


def opened(folder: Path, *names: str) -> Any:
    variables = {"GREETING": "hello", "TOKEN": "t0k"}
    return Lineal.open(Config(db=folder / "g.db", python_sources=names, variables=variables))


def test_a_python_source_is_a_source_like_any_other(brought, tmp_path):
    with opened(tmp_path, "memory") as lineal:
        swept = lineal.sweep("memory")
        lineal.receive(None, [{"model": "b", "gone": False}])
        assert lineal.drain().complete
        alpha = lineal.ask.get(LOCAL, Uri("mlg://model/memory/a")).value

    assert (swept.listed, swept.marked) == (2, 2)
    assert alpha.attributes["name"] == "Alpha"
    assert alpha.attributes["description"] == "hello t0k"


def test_the_source_of_the_guide_is_one():
    text = (ROOT / "docs/how-to/write-a-source-in-python.md").read_text("utf-8")
    names: dict[str, Any] = {}
    exec(text.split("```python\n")[1].split("```")[0], names)
    made = type(
        "Filled",
        (names["Shelf"],),
        {
            "_ask": lambda self, name: {"title": name.title(), "tables": ["plays"]},
            "_all": lambda self: [("ranker", "1")],
        },
    )(Surroundings({}, lambda reference: "t", lambda: 7, Platforms()))

    (listed,) = made.list()
    record = made.fetch(listed.key).record
    assert made.understand({"shelf_model": "ranker"})[0].key == listed.key
    assert made.key_of(record.subject) == listed.key
    assert record.statements[0].attributes == {"name": "Ranker"}
    assert [str(edge.end) for edge in record.edges] == ["mlg://dataset/lake/plays"]


def test_a_python_source_is_used_only_where_it_is_named(brought, tmp_path):
    with opened(tmp_path) as lineal:
        assert dict(lineal.sources) == {}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody", "there is broken, memory, nothing, openlineage, other"),
        ("broken", "RuntimeError: no luck"),
        ("nothing", "it lacks name"),
        ("other", "makes the source 'memory'"),
        ("openlineage", "There is a source 'openlineage' already"),
    ],
)
def test_a_python_source_that_cannot_be_used_is_said(brought, tmp_path, name, words):
    with pytest.raises(ConfigError, match=words), opened(tmp_path, name):
        pass


def test_two_packages_may_not_bring_one_source(brought, tmp_path):
    distribution(brought, "another", "[lineal.sources]\nmemory = somewhere.else:Source\n")

    with pytest.raises(ConfigError, match="installed twice"), opened(tmp_path, "memory"):
        pass


def test_a_python_source_is_listed_in_a_process_of_its_own(brought, tmp_path):
    """As a user has it: named in the environment, found on the path."""
    environment = {
        "PYTHONPATH": f"{brought}:{ROOT / 'src'}",
        "LINEAL_PYTHON_SOURCES": "memory",
        "GREETING": "hi",
        "TOKEN": "t",
    }
    command = [sys.executable, "-m", "lineal.surfaces.cli", "source", "list", "--format", "json"]
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["value"] == [{"source": "memory", "types": ["model"]}]

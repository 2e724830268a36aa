"""What does not fit: it is found, shown until it fits, and handled as the source's file says."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.ingest import Tally
from lineal.model import EdgeStatement, Json, Record, Statement, Uri
from lineal.shapes import Shapes
from lineal.shapes.examining import Examiner, Finding
from lineal.store import work
from lineal.surfaces import server
from lineal.surfaces.cli import main
from lineal.surfaces.rest_work import Findings
from tests.databases import ENGINES, fresh
from tests.simulated import Rig, Tool, uri

SPEC = """
source: shelf
platform: shelf
base_url: {url}
allow_private: true
second_look: []
sweep: never
unfit: {unfit}
events:
  - {{match: {{event: changed}}, resource: table, key: id}}
resources:
  table:
    subject: {{type: dataset}}
    fetch: {{path: "/tables/{{id}}"}}
    list: {{path: /tables, items: tables, full: true}}
    map: {map}
    edges:
      - {{kind: owned_by, to: {{type: team, id: team}}}}
    ignore: [etag]
"""
PLAIN = "{name: name, rows: rows}"
TABLE = Uri("mlg://dataset/shelf/plays")
#: What a well-formed document says; each test spoils something of it.
SOUND: dict[str, Json] = {"id": "plays", "name": "Plays", "rows": 3, "team": "rank", "etag": "x"}


class Shelf:
    """A tool of one table, and a Lineal that listens to it."""

    def __init__(self, lineal: Lineal) -> None:
        self.lineal = lineal

    def says(self, **fields: Json) -> None:
        """Let the table say something, tell of it, and work until nothing is due."""
        _Door.document = {**SOUND, **fields}
        self.lineal.receive("shelf", [{"event": "changed", "id": "plays"}])
        assert self.lineal.drain().complete

    def found(self) -> dict[str, tuple[str, int]]:
        """Return what does not fit, as what became of it and in how many documents."""
        counted = self.lineal.findings("shelf")
        return {one.finding.name: (one.policy, one.count) for one in counted}

    def rows(self) -> Json:
        """Return what is known of the table's rows."""
        with contextlib.suppress(Exception):
            return self.lineal.ask.get(LOCAL, TABLE).value.attributes.get("rows")
        return None

    def notes(self) -> tuple[str, ...]:
        return self.lineal.ask.get(LOCAL, TABLE).notes

    def pending(self) -> int:
        """Return how many notices are unaccounted for or wait; the law holds."""
        with self.lineal.store.looking() as driver:
            account = work.accounts(driver)["shelf"]
        assert account.missing == 0
        return account.pending


class _Door(BaseHTTPRequestHandler):
    """Answers with the one document, alone or as a list."""

    document: ClassVar[dict[str, Json]] = {}

    def do_GET(self) -> None:
        told = {"tables": [self.document]} if self.path == "/tables" else self.document
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Yield where the tool answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Door) as tool:
        thread = threading.Thread(target=tool.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{tool.server_port}"
        tool.shutdown()
        thread.join()


class Opening:
    """Opens a Lineal over the tool, by a file that says what becomes of what does not fit."""

    def __init__(self, place: Path | str, folder: Path, address: str) -> None:
        self.place, self._file, self._address = place, folder / "shelf.yaml", address

    @contextlib.contextmanager
    def __call__(self, unfit: str = "{}", map_: str = PLAIN) -> Iterator[Shelf]:
        text = SPEC.format(unfit=unfit, map=map_, url=self._address)
        self._file.write_text(text, encoding="utf-8")
        with Lineal.open(Config(db=self.place, sources=(self._file,))) as lineal:
            yield Shelf(lineal)


@pytest.fixture(params=ENGINES)
def opened(request: pytest.FixtureRequest, tmp_path: Path, address: str) -> Iterator[Opening]:
    with fresh(request.param, tmp_path) as place:
        yield Opening(place, tmp_path, address)


def test_what_does_not_fit_is_stored_and_flagged_until_it_fits(opened: Opening) -> None:
    with opened(map_="{name: name, rows: rows, colour: colour}") as shelf:
        shelf.says(rows="three", colour="red", shade=1)

        assert shelf.found() == {
            "dataset.rows": ("store", 1),
            "dataset.colour": ("store", 1),
            "shade": ("store", 1),
        }
        assert shelf.rows() == "three"
        (note,) = shelf.notes()
        assert note.startswith("shelf, table:plays: ")
        assert "dataset.rows: It is a text, not a number." in note

        shelf.says(shade=1)
        assert shelf.found() == {"shade": ("store", 1)}
        shelf.says()
        assert shelf.found() == {}
        assert shelf.notes() == ()
        assert shelf.lineal.store.verify().disagreements == ()


def test_quarantine_puts_the_document_aside_until_it_is_replayed(opened: Opening) -> None:
    with opened("{values: quarantine}") as shelf:
        shelf.says()
        shelf.says(rows="three")

        assert shelf.rows() == 3
        (letter,) = shelf.lineal.dead_letters()
        assert (letter.stage, letter.error, letter.document) == ("shape", "unfit", "table:plays")
        assert json.loads(letter.body)["rows"] == "three"
        assert shelf.found() == {"dataset.rows": ("quarantine", 1)}
        assert "put aside" in shelf.notes()[0]
        shelf.lineal.replay(actor="alice")
        assert shelf.lineal.drain().complete
        assert len(shelf.lineal.dead_letters()) == 1

    with opened("{values: quarantine}", "{name: name, rows: {path: rows, "
                "values: {three: 3}}}") as mended:  # fmt: skip
        mended.lineal.replay(actor="alice")
        assert mended.lineal.drain().complete

        assert mended.rows() == 3
        assert mended.found() == {}
        assert mended.lineal.dead_letters() == []
        assert mended.pending() == 0


def test_reject_keeps_what_stood_before_and_asks_again_with_the_next_list(opened: Opening) -> None:
    with opened("{values: reject}") as shelf:
        shelf.says(rows=5)
        shelf.says(rows="six")

        assert shelf.rows() == 5
        assert shelf.found() == {"dataset.rows": ("reject", 1)}
        assert shelf.lineal.dead_letters() == []
        assert shelf.pending() == 0

    with opened() as milder:
        milder.lineal.sweep("shelf")
        assert milder.lineal.drain().complete
        assert milder.rows() == "six"
        assert milder.found() == {"dataset.rows": ("store", 1)}


def test_one_that_is_put_aside_holds_up_no_other(opened: Opening) -> None:
    with opened("{fields: quarantine}") as shelf:
        shelf.says(shade=1)
        assert shelf.rows() is None
        shelf.says(rows=9)
        assert shelf.rows() == 9
        assert shelf.lineal.dead_letters() == []


def test_findings_are_told_by_every_surface(tmp_path: Path, address: str) -> None:
    opened = Opening(tmp_path / "graph.db", tmp_path, address)
    with opened() as shelf:
        shelf.says(rows="three")
        client = TestClient(server.create(shelf.lineal), base_url="http://127.0.0.1")
        told: dict[str, Any] = client.get("/api/v1/sources/shelf/findings").json()
        Findings.model_validate(told)
        assert told["value"] == [{
            "sort": "values", "name": "dataset.rows", "text": "It is a text, not a number.",
            "policy": "store", "documents": 1, "example": "table:plays",
        }]  # fmt: skip
        (health,) = client.get("/api/v1/health").json()["value"]
        assert health["unfit"] == 1
        page = client.get("/source", params={"name": "shelf"}).text
        assert "What does not fit" in page
        assert "dataset.rows" in page
        assert "It is a text, not a number." in client.get("/entity", params={"uri": TABLE}).text

    words = ["source", "status", "shelf", "--db", str(opened.place)]
    shown = CliRunner().invoke(main, words, env={"COLUMNS": "200"})
    assert "dataset.rows" in shown.stdout
    assert "It is a text, not a number." in shown.stdout


def test_edges_that_no_shape_allows_are_found() -> None:
    table, team = Uri("mlg://dataset/shelf/plays"), Uri("mlg://team/shelf/rank")
    said = Statement(table, {"rows": True, "bytes": 4, "tags": "a"})
    edges = (EdgeStatement(table, "trained_on", team), EdgeStatement(table, "owned_by", team))
    record = Record("shelf", "table:plays", table, (said,), edges, observed_at=0)

    found = Examiner(Shapes.builtin()).examine(record)

    assert {(one.sort, one.name) for one in found} == {
        ("edges", "dataset -trained_on-> team"),
        ("values", "dataset.rows"),
        ("values", "dataset.tags"),
    }


@pytest.mark.parametrize(
    ("alias", "fits"),
    [("champion", True), (["champion", "next"], True), ([], False), (["champion", 1], False)],
)
def test_what_is_said_twice_of_one_edge_stands_in_a_list(alias: Json, fits: bool) -> None:
    model = Uri.of("model", "box", "m")
    edge = EdgeStatement(model, "points_to", Uri.of("model-version", "box", "v"), {"alias": alias})

    found = Examiner(Shapes.builtin()).examine(Record("box", "m", model, (), (edge,), 1))

    assert (found == ()) is fits


@pytest.mark.parametrize(
    ("link", "fits"),
    [
        ("https://wiki.example/ranking#how", True),
        ("mlg://dataset/shelf/plays", True),
        ("urn:isbn:0451450523", True),
        ("https://wiki.example/", True),
        ("wiki/ranking", False),
        ("https://", False),
        ("https://wiki.example/two words", False),
        (7, False),
    ],
)
def test_a_uri_is_one_of_any_scheme(link: Json, fits: bool) -> None:
    table = Uri("mlg://dataset/shelf/plays")
    record = Record("shelf", "table:plays", table, (Statement(table, {"link": link}),), (), 0)

    assert [one.name for one in Examiner(Shapes.builtin()).examine(record)] == (
        [] if fits else ["dataset.link"]
    )


def test_a_removal_takes_its_findings_along(tmp_path: Path) -> None:
    """And what a later version of a kept document says is examined again by a rebuild."""
    rig = Rig(tmp_path / "graph.db", Tool())
    rig.tool.put("a", 1)
    rig.tell("a")
    rig.work()
    with rig.store.working() as ledger:
        found = work.Examined(uri("a"), (Finding("fields", "x", "Nothing maps it."),))
        work.note_findings(ledger, {("tool", "thing:a"): found}, 0)
    rig.ingest.rebuild("tool", Tally())
    assert rig.rows("SELECT count(*) FROM finding") == [(1,)]

    del rig.tool.things["a"]
    rig.ingest.receive("tool", [{"id": "a", "gone": True}])
    rig.work()
    assert rig.rows("SELECT count(*) FROM finding") == [(0,)]
    rig.close()

"""What does not fit in files that are imported: handled as whoever imports it says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lineal.access import LOCAL
from lineal.app import Imported, Lineal
from lineal.config import Config
from lineal.errors import Invalid, NotFound
from lineal.ingest import Snapshot, Tally
from lineal.ingest.examining import policies
from lineal.model import Json, Record, Statement, Uri
from lineal.store import work
from lineal.store.first import FirstLoad
from lineal.surfaces.cli import failing, main
from tests.databases import ENGINES, fresh

SPEC = """
source: box
platform: box
unfit: {unfit}
files:
  - {{path: "*.jsonl", resource: thing, when: "kind == 'table'", path_as: file}}
resources:
  thing:
    subject: {{type: dataset}}
    map: {{name: name, rows: rows}}
    ignore: [etag]
"""


@dataclass
class Box:
    """A Lineal that takes in a folder of one file."""

    lineal: Lineal
    folder: Path

    def brings(self, *unfit: str, own: str = "{}", removing: bool = True, **rows: Json) -> Imported:
        """Import a file that says so many rows of tables; *own* is what the source's file says."""
        return self.brings_lines(
            [{"id": name, "rows": value} for name, value in rows.items()],
            policies(unfit), own=own, removing=removing,
        )  # fmt: skip

    def brings_lines(
        self,
        lines: list[dict[str, Json]],
        unfit: Mapping[str, str],
        *,
        own: str = "{}",
        removing: bool = True,
    ) -> Imported:
        (self.folder / "box.yaml").write_text(SPEC.format(unfit=own), "utf-8")
        root = self.folder / "root"
        root.mkdir(exist_ok=True)
        told = [{"kind": "table", "etag": "x", **one} for one in lines]
        (root / "all.jsonl").write_text("\n".join(map(json.dumps, told)), "utf-8")
        spec = self.folder / "box.yaml"
        came = self.lineal.import_files(spec, root, unfit=unfit, removing=removing)
        assert came.read == sum(came.documents.values()) + len(came.refused) - came.documents.get(
            "removed", 0
        )
        with self.lineal.store.looking() as driver:
            assert all(one.missing == 0 for one in work.accounts(driver).values())
        assert self.lineal.store.verify().disagreements == ()
        return came

    def rows(self, name: str) -> Json:
        """Return what is known of a table's rows."""
        try:
            return self.lineal.ask.get(LOCAL, table(name)).value.attributes.get("rows")
        except NotFound:
            return None

    def found(self) -> dict[str, tuple[str, int]]:
        """Return what does not fit, as what became of it and in how many documents."""
        return {one.finding.name: (one.policy, one.count) for one in self.lineal.findings("box")}

    def letters(self) -> list[str | None]:
        return [one.document for one in self.lineal.dead_letters()]


def table(name: str) -> Uri:
    return Uri.of("dataset", "box", name)


@pytest.fixture(params=[*ENGINES, "first load"])
def box(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Box]:
    engine = request.param
    if engine == "first load":
        # Whatever comes first into the empty file is as much as else very many documents are.
        engine = "sqlite"
        for name in ("store.LOADED", "store.first.LOADED", "ingest.loading.LOADED"):
            monkeypatch.setattr(f"lineal.{name}", 1)
        monkeypatch.setattr("lineal.ingest.loading.BATCH", 1)
    with fresh(engine, tmp_path) as place, Lineal.open(Config(db=place)) as lineal:
        yield Box(lineal, tmp_path)


@contextmanager
def first_loads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Tell of how many records each first load was that really was one."""
    counts: list[int] = []
    into = FirstLoad.into

    def counted(load: FirstLoad, *of: Any) -> int:
        counts.append(into(load, *of) - len(load.left))
        return counts[-1] + len(load.left)

    with monkeypatch.context() as patched:
        patched.setattr(FirstLoad, "into", counted)
        yield counts


def test_what_does_not_fit_is_stored_and_flagged_until_it_fits(box: Box) -> None:
    came = box.brings(a=1, b="two")

    assert came.documents == {"new": 2}
    assert (box.rows("a"), box.rows("b")) == (1, "two")
    assert box.found() == {"dataset.rows": ("store", 1)}
    assert "It is a text, not a number." in box.lineal.ask.get(LOCAL, table("b")).notes[0]

    assert box.brings(a=1, b=2).documents == {"same": 1, "changed": 1}
    assert box.found() == {}


def test_quarantine_puts_a_document_aside_until_it_is_imported_again(box: Box) -> None:
    box.brings(a=1, b=2)

    came = box.brings("quarantine", a=3, b="two")

    assert came.documents == {"changed": 1, "put aside": 1}
    assert (box.rows("a"), box.rows("b")) == (3, 2)
    (letter,) = box.lineal.dead_letters()
    assert (letter.source, letter.stage, letter.error) == ("box", "shape", "unfit")
    assert (letter.document, letter.notices) == ("thing:b", 0)
    assert json.loads(letter.body) == {"id": "b", "rows": "two"}
    assert "dataset.rows: It is a text, not a number." in letter.reason
    assert "import it again" in letter.reason
    assert box.found() == {"dataset.rows": ("quarantine", 1)}
    assert "put aside" in box.lineal.ask.get(LOCAL, table("b")).notes[0]

    box.brings("quarantine", a=3, b="two")
    (again,) = box.lineal.dead_letters()
    assert again.attempts == 2
    assert box.lineal.replay(actor="alice").left == 1
    assert box.lineal.drain().done == 0
    assert box.letters() == ["thing:b"]

    assert box.brings("quarantine", a=3, b=4).documents == {"same": 1, "changed": 1}
    assert (box.rows("b"), box.letters(), box.found()) == (4, [], {})


def test_reject_keeps_what_stood_before(box: Box) -> None:
    box.brings(a=1, b=2)

    came = box.brings("reject", a=3, b="two", c="three")

    assert came.documents == {"changed": 1, "rejected": 2}
    assert (box.rows("a"), box.rows("b"), box.rows("c")) == (3, 2, None)
    assert box.letters() == []
    assert box.found() == {"dataset.rows": ("reject", 2)}
    # Of a milder word the same file is taken in.
    assert box.brings(a=3, b="two", c="three").documents == {"same": 1, "changed": 1, "new": 1}
    assert box.found() == {"dataset.rows": ("store", 2)}


def test_the_sources_file_says_and_whoever_imports_says_otherwise(box: Box) -> None:
    told: list[dict[str, Json]] = [{"id": "a", "rows": "one"}, {"id": "b", "rows": 2, "shade": 1}]

    own = box.brings_lines(told, {}, own="{values: quarantine, fields: reject}")
    assert own.documents == {"put aside": 1, "rejected": 1}
    assert box.found() == {"dataset.rows": ("quarantine", 1), "shade": ("reject", 1)}

    said = box.brings_lines(told, policies(["fields=store"]), own="{values: quarantine}")
    assert said.documents == {"put aside": 1, "new": 1}
    assert box.found() == {"dataset.rows": ("quarantine", 1), "shade": ("store", 1)}


def test_what_did_not_fit_is_forgotten_when_the_files_lack_it(box: Box) -> None:
    box.brings("quarantine", a=1, b="two", c="three")
    box.brings("values=reject", a=1, b="two", c="three")
    assert box.letters() == []
    box.brings("quarantine", a=1, b="two", c="three")
    assert sorted(map(str, box.letters())) == ["thing:b", "thing:c"]

    box.brings("quarantine", a=1, c="three")

    assert box.letters() == ["thing:c"]
    assert box.found() == {"dataset.rows": ("quarantine", 1)}


def test_what_is_put_aside_is_not_absent(box: Box) -> None:
    box.brings(a=1, b=2)

    box.brings("quarantine", a=1, b="two")
    assert box.rows("b") == 2
    assert box.brings("quarantine", a=1).documents == {"same": 1, "removed": 1}
    assert (box.letters(), box.found()) == ([], {})


def test_an_older_word_is_no_reason_to_put_anything_aside(box: Box) -> None:
    """It says nothing any more, so what of it does not fit is of no concern."""

    def says(rows: Json, said_at: int) -> dict[str, int]:
        statement = Statement(table("a"), {"rows": rows})
        record = Record("stream", "a", table("a"), (statement,), (), 1, said_at)
        tally = Tally()
        told = Snapshot("stream", [record], "a stream", None, unfit=policies(["quarantine"]))
        box.lineal.ingest.snapshot(told, tally)
        return dict(tally.documents)

    assert says(3, said_at=20) == {"new": 1}
    assert says("two", said_at=10) == {"superseded": 1}
    assert box.letters() == []
    assert says("four", said_at=30) == {"put aside": 1}
    assert says(3, said_at=20) == {"same": 1}


def test_datahub_is_examined_too(box: Box) -> None:
    aspect = {"name": "plays", "externalUrl": "in the wiki"}
    urn = "urn:li:dataset:(urn:li:dataPlatform:hive,shop.plays,PROD)"
    proposal = {
        "entityType": "dataset", "entityUrn": urn, "changeType": "UPSERT",
        "aspectName": "datasetProperties",
        "aspect": {"value": json.dumps(aspect), "contentType": "application/json"},
    }  # fmt: skip
    file = box.folder / "proposals.json"
    file.write_text(json.dumps([proposal]), "utf-8")

    came = box.lineal.import_datahub([file], unfit=policies(["reject"]))

    assert (came.read, came.documents) == (1, {"rejected": 1})
    assert [one.finding.name for one in box.lineal.findings("datahub")] == ["dataset.link"]


def test_a_policy_is_of_all_sorts_or_of_one() -> None:
    assert policies(["reject", "fields=store"]) == {
        "values": "reject", "attributes": "reject", "edges": "reject", "fields": "store",
    }  # fmt: skip
    for wrong in ("drop", "rows=reject", "=reject"):
        with pytest.raises(Invalid, match="does not say"):
            policies([wrong])


def test_the_command_line_chooses_and_tells(tmp_path: Path) -> None:
    (tmp_path / "box.yaml").write_text(SPEC.format(unfit="{}"), "utf-8")
    (tmp_path / "all.jsonl").write_text('{"kind": "table", "id": "a", "rows": "one"}', "utf-8")
    db = str(tmp_path / "graph.db")
    words = ["import", "files", str(tmp_path / "box.yaml"), str(tmp_path), "--db", db]

    def run(*more: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, [*words, *more], env={"COLUMNS": "200"})
        return done.exit_code, done.output

    code, told = run("--unfit", "quarantine")
    assert (code, "Read 1: 1 put aside." in told) == (failing.FOUND, True), told
    assert "1 documents do not fit and were put aside" in told
    code, told = run("--unfit", "values=reject")
    assert (code, "1 rejected" in told) == (failing.FOUND, True), told
    code, told = run()
    assert (code, "Read 1: 1 new." in told) == (0, True), told
    code, told = run("--unfit", "drop")
    assert (code, "store, quarantine or reject" in told) == (failing.USAGE, True), told


def test_what_was_put_aside_while_nothing_was_stored_is_taken_up_again(box: Box) -> None:
    box.brings("quarantine", a="one", b="two")
    assert sorted(map(str, box.letters())) == ["thing:a", "thing:b"]

    assert box.brings("quarantine", a=1, b=2).documents == {"new": 2}
    assert (box.letters(), box.found()) == ([], {})
    assert (box.rows("a"), box.rows("b")) == (1, 2)


def test_very_many_into_an_empty_file_come_in_as_many_commits_would_bring_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[dict[str, Json]] = [
        {"id": f"t{number % 37}", "rows": "many" if number % 5 == 2 else number, "more": number}
        for number in range(60)
    ]
    lines[41] = {"kind": "table"}
    unfit = {"values": "quarantine", "fields": "store"}
    came, digests, found, letters = [], [], [], []
    for name in ("usual", "at once"):
        if name == "at once":
            monkeypatch.setattr("lineal.ingest.loading.BATCH", 4)
            monkeypatch.setattr("lineal.ingest.loading.LOADED", 8)
            monkeypatch.setattr("lineal.store.LOADED", 8)
            monkeypatch.setattr("lineal.store.first.LOADED", 8)
        folder = tmp_path / name
        folder.mkdir()
        with Lineal.open(Config(db=folder / "graph.db")) as lineal:
            box = Box(lineal, folder)
            with first_loads(monkeypatch) as counts:
                came.append(box.brings_lines(lines, unfit))
            assert sum(counts) == (0 if name == "usual" else came[-1].documents["new"])
            digests.append(lineal.store.digest())
            found.append(box.found())
            letters.append(sorted(map(str, box.letters())))
    assert came[0] == came[1]
    assert digests[0] == digests[1]
    assert found[0] == found[1]
    assert letters[0] == letters[1] != []

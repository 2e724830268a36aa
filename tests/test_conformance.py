"""The conformance kit: the estate's tools pass, and every fault that it looks for is found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

from lineal.app.conformance import (
    Plan,
    Recorder,
    Report,
    asked,
    examine,
    examine_log,
    histories,
    logs,
)
from lineal.errors import InvalidEvent, SourceDown, SourceGarbled, SourceGone
from lineal.model import EdgeStatement, Json, Record, Statement, Uri
from lineal.shapes import Shapes
from lineal.sources import Fetched, Habits, Key, Listed, Marked
from lineal.sources.compiling import load, parse
from lineal.sources.openlineage import OpenLineage
from lineal.surfaces.cli import main
from lineal.testing.estate.server import Estate
from tests import test_dbt, test_openlineage
from tests.estate import SOURCES

TOOLS = ("catalog", "experiments", "features", "identity", "orchestrator", "registry", "serving")
WAYS = set(histories.WORDS)


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    with Estate(seed=7, scale=0.05) as running:
        yield running


def verdicts(report: Report) -> dict[str, str]:
    return {check.name: check.verdict for check in report.checks}


@pytest.mark.parametrize("tool", TOOLS)
def test_the_tools_of_the_estate_keep_every_promise(estate, tool):
    """Asked over HTTP; the events are those that the tool really sends."""
    plan = load(
        SOURCES / f"{tool}.yaml", variables={"ESTATE_URL": estate.url}, shapes=Shapes.builtin()
    )
    estate.announce()
    sent = [event for name, event in estate.drain() if name == tool][:20]
    recorder = Recorder(plan, secret=str)
    try:
        report = examine(
            recorder.source,
            shapes=Shapes.builtin(),
            plan=Plan(documents=5, events=sent),
            recorder=recorder,
        )
    finally:
        recorder.close()

    found = verdicts(report)
    assert report.ok, [check for check in report.checks if check.verdict == "broken"]
    assert {found[way] for way in WAYS} == {"kept"}
    assert found["understands events"] == "kept"
    assert found["believes no error"] == "kept"
    assert found["survives garbled fields"] == "kept"


# ── Every fault is found ─────────────────────────────────────────────────────────────────────────


class Shelf:
    """A source that keeps every promise; below, each of its children breaks one."""

    name = "shelf"
    platforms = frozenset({("model", "shelf")})
    habits = Habits(sweep=None)

    def __init__(self) -> None:
        self.ids = [f"m{n}" for n in range(12)]
        self.asked = 0

    def understand(self, body: Mapping[str, Json]) -> tuple[Marked, ...]:
        if "model" not in body:
            raise InvalidEvent("It names no model.")
        return (Marked(Key("model", str(body["model"]))),)

    def key_of(self, uri: Uri) -> Key | None:
        return Key("model", uri.segments[0]) if (uri.type, uri.platform) in self.platforms else None

    def subject(self, key: Key) -> Uri:
        return Uri.of("model", "shelf", key.id)

    def fetch(self, key: Key, etag: str | None = None) -> Fetched:
        self.asked += 1
        if key.id not in self.ids:
            raise SourceGone("There is none.")
        return Fetched(key, self.record(key), None)

    def fetch_many(self, keys: Sequence[Key]) -> Mapping[Key, Fetched | SourceGarbled]:
        return {key: self.fetch(key) for key in keys}

    def reword(self, key: Key, raw: Mapping[str, Json], at: int) -> Record:
        raise SourceGarbled("Nothing is kept.")

    def record(self, key: Key) -> Record:
        subject = self.subject(key)
        said = (Statement(subject, {"name": key.id}),)
        edge = EdgeStatement(subject, "trained_on", Uri.of("dataset", "lake", "plays"))
        return Record("shelf", key.document, subject, said, (edge,), 1)

    def list(self) -> Iterator[Listed]:
        for one in self.ids:
            yield Listed(Key("model", one), "1")

    def close(self) -> None:
        pass


class ListsTwice(Shelf):
    def list(self) -> Iterator[Listed]:
        yield from super().list()
        yield Listed(Key("model", "m3"), "1")


class ListsAnythingElse(Shelf):
    lists = 0

    def list(self) -> Iterator[Listed]:
        self.lists += 1
        yield from (one for at, one in enumerate(super().list()) if at % 3 != self.lists % 3)


class ListsNothing(Shelf):
    def list(self) -> Iterator[Listed]:
        return iter(())


class CannotBeListed(Shelf):
    def list(self) -> Iterator[Listed]:
        yield from list(super().list())[:3]
        raise SourceDown("Half of it.")


class HasNoVersions(Shelf):
    def list(self) -> Iterator[Listed]:
        for one in super().list():
            yield Listed(one.key)


class LosesWhatItLists(Shelf):
    def fetch(self, key: Key, etag: str | None = None) -> Fetched:
        if key.id == "m5":
            raise SourceGone("Where is it?")
        return super().fetch(key, etag)


class Stumbles(Shelf):
    def fetch(self, key: Key, etag: str | None = None) -> Fetched:
        if key.id == "m5":
            raise KeyError("oops")
        return super().fetch(key, etag)


class SaysTheTime(Shelf):
    def record(self, key: Key) -> Record:
        said = (Statement(self.subject(key), {"name": f"{key.id} at {self.asked}"}),)
        return replace(super().record(key), statements=said)


class NeverSaysGone(Shelf):
    def fetch(self, key: Key, etag: str | None = None) -> Fetched:
        try:
            return super().fetch(key, etag)
        except SourceGone as error:
            raise SourceDown("status 500") from error


class FindsEverything(Shelf):
    def fetch(self, key: Key, etag: str | None = None) -> Fetched:
        return Fetched(key, self.record(key))


class LeadsNowhere(Shelf):
    def key_of(self, uri: Uri) -> Key | None:
        return None


class HasOneThing(Shelf):
    def subject(self, key: Key) -> Uri:
        return Uri.of("model", "shelf", "all")


class SpeaksOtherWords(Shelf):
    def record(self, key: Key) -> Record:
        edge = EdgeStatement(self.subject(key), "likes", Uri.of("dataset", "lake", "plays"))
        return replace(super().record(key), edges=(edge,))


class GoesTheWrongWay(Shelf):
    def record(self, key: Key) -> Record:
        edge = EdgeStatement(Uri.of("dataset", "lake", "plays"), "trained_on", self.subject(key))
        return replace(super().record(key), edges=(edge,))


class TakesNonsense(Shelf):
    def understand(self, body: Mapping[str, Json]) -> tuple[Marked, ...]:
        return (Marked(Key("model", str(body.get("model", "m1")))),)


class TripsOverNonsense(Shelf):
    def understand(self, body: Mapping[str, Json]) -> tuple[Marked, ...]:
        return (Marked(Key("model", str(body["model"]))),)


class MisreadsEvents(Shelf):
    def fetch(self, key: Key, etag: str | None = None) -> Fetched:
        if key.id not in self.ids and not key.id.startswith("m"):
            raise SourceDown("Not an id of ours.")
        return super().fetch(key, etag)


SAYS_EACH_TIME = "says the same again"


@pytest.mark.parametrize(
    ("source", "check", "verdict"),
    [
        (ListsTwice, "lists everything", "broken"),
        (ListsAnythingElse, "lists everything", "broken"),
        (ListsNothing, "lists everything", "broken"),
        (CannotBeListed, "lists everything", "broken"),
        (HasNoVersions, "lists versions", "noted"),
        (LosesWhatItLists, "finds what it lists", "broken"),
        (Stumbles, "finds what it lists", "broken"),
        (SaysTheTime, SAYS_EACH_TIME, "broken"),
        (NeverSaysGone, "says what is gone", "broken"),
        (FindsEverything, "says what is gone", "broken"),
        (LeadsNowhere, "names lead there and back", "broken"),
        (HasOneThing, "names lead there and back", "broken"),
        (SpeaksOtherWords, "speaks our words", "broken"),
        (GoesTheWrongWay, "speaks our words", "broken"),
        (TakesNonsense, "refuses nonsense", "broken"),
        (TripsOverNonsense, "refuses nonsense", "broken"),
        (MisreadsEvents, "understands events", "broken"),
    ],
)
def test_a_source_that_breaks_a_promise_is_found(source, check, verdict):
    sound, found = found_of(Shelf()), found_of(source())

    assert "broken" not in sound.values()
    assert sound[check] == "kept"
    assert found[check] == verdict


def found_of(source: Any) -> dict[str, str]:
    events: list[dict[str, Json]] = [{"model": "m1"}, {"model": "x"}]
    plan = Plan(documents=12, events=events)
    _, findings = asked(source, shapes=Shapes.builtin(), plan=plan)
    return {check.name: check.verdict for check in findings}


def test_what_cannot_be_kept_is_not_told_again():
    """Of a source whose words nobody knows, no history can be told."""
    report = examine(SpeaksOtherWords(), shapes=Shapes.builtin())

    assert not report.ok
    assert {verdicts(report)[way] for way in WAYS} == {"skipped"}


class Unswept(histories.Play):
    """A write path that is not swept in the end."""

    def _end(self) -> None:
        self.source.heal()
        self._deliver(everything=True)
        self._settle()


@pytest.mark.parametrize("way", ["drops", "deletes", "delays"])
def test_a_history_that_does_not_heal_is_told_from_one_that_does(tmp_path, way):
    """The check can fail: without a sweep, what was lost stays lost, and the digest says so."""
    shelf = Shelf()
    records = {Key("model", one): shelf.record(Key("model", one)) for one in shelf.ids}
    history = histories.history_of(records, seed=3)
    with histories.folder_of(Shapes.builtin()) as folder:
        plain = histories.Play(shelf, history, folder, "plain", 3, Shapes.builtin()).digest()
        healed = histories.Play(shelf, history, folder, way, 3, Shapes.builtin()).digest()
    with histories.folder_of(Shapes.builtin()) as folder:
        unswept = Unswept(shelf, history, folder, way, 3, Shapes.builtin()).digest()

    assert healed == plain
    assert unswept != plain


def test_a_seed_repeats_a_run():
    shelf = Shelf()
    one = examine(shelf, shapes=Shapes.builtin(), plan=Plan(seed=5))
    again = examine(shelf, shapes=Shapes.builtin(), plan=Plan(seed=5))
    other = examine(shelf, shapes=Shapes.builtin(), plan=Plan(seed=6))

    assert one == again
    assert one.checks != other.checks


# ── Over HTTP ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("old", "new", "check", "verdict"),
    [
        ("gone: {when: \"error_code == 'RESOURCE_DOES_NOT_EXIST'\"}\n", "", "knows its own 404",
         "noted"),
        ('fetch: {path: "/instances/{id}"}', 'fetch: {path: "/instances/{id}", verify: false}',
         "knows its document", "noted"),
        ("key: model_id\n", "key: instance_id\n", "understands events", "broken"),
    ],
)  # fmt: skip
def test_a_source_file_that_is_careless_is_told(estate, old, new, check, verdict):
    text = (SOURCES / "registry.yaml").read_text("utf-8")
    assert old in text
    plan = parse(
        text.replace(old, new), variables={"ESTATE_URL": estate.url}, shapes=Shapes.builtin()
    )
    estate.announce()
    sent = [event for name, event in estate.drain() if name == "registry"]
    events = [next(e for e in sent if str(e["event_type"]).startswith("model_created"))]
    recorder = Recorder(plan, secret=str)
    try:
        _, findings = asked(
            recorder.source,
            shapes=Shapes.builtin(),
            plan=Plan(documents=3, events=events),
            recorder=recorder,
        )
    finally:
        recorder.close()

    assert {one.name: one.verdict for one in findings}[check] == verdict


# ── Logs ─────────────────────────────────────────────────────────────────────────────────────────


def entries() -> list[dict[str, Any]]:
    """Return runs of a few jobs, as they begin and end."""
    return [
        test_openlineage.event(
            state,
            f"2026-03-01T12:{number:02}:{second:02}Z",
            inputs=[f"shop.raw{number % 3}"],
            outputs=[f"shop.table{number % 4}"],
            run={"nominalTime": {"nominalStartTime": f"2026-03-{1 + number:02}T00:00:00Z"}},
            job={"documentation": {"description": f"load {number}"}},
        )
        for number in range(8)
        for second, state in ((0, "START"), (9, "COMPLETE"))
    ]


def test_openlineage_keeps_every_promise_of_a_log() -> None:
    report = examine_log(OpenLineage("openlineage"), entries(), shapes=Shapes.builtin())

    assert report.ok, [one for one in report.checks if one.verdict == "broken"]
    assert {name: verdicts(report)[name] for name in logs.WAYS} == dict.fromkeys(logs.WAYS, "kept")
    assert verdicts(report)["folds a set"] == "kept"


class LastSaid(OpenLineage):
    """Folds what came last, and knows an entry by how it is spelt."""

    def fold(self, key: Key, entries: Any, *, observed_at: int) -> Record | None:
        return super().fold(key, list(entries)[-1:], observed_at=observed_at)

    def entry_hash(self, body: Mapping[str, Json]) -> str:
        return json.dumps(body)


def test_a_log_that_hangs_on_the_order_of_its_entries_is_found_out() -> None:
    report = examine_log(LastSaid("openlineage"), entries(), shapes=Shapes.builtin())

    assert verdicts(report)["folds a set"] == "broken"
    assert verdicts(report)["tells entries apart"] == "broken"


class Forgetful(OpenLineage):
    """Says of its entries that none but the last one matters."""

    def lasting(self, key: Key, entries: Any) -> set[int]:
        return {len(entries) - 1}


def test_a_log_that_lets_go_of_what_matters_is_found_out() -> None:
    report = examine_log(Forgetful("openlineage"), entries(), shapes=Shapes.builtin())

    assert verdicts(report)["folds a set"] == "broken"


def test_source_test_tells_events_and_artifacts_again(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log/events.jsonl").write_text("\n".join(map(json.dumps, entries())))
    (tmp_path / "dbt").mkdir()
    (tmp_path / "dbt/manifest.json").write_text(json.dumps(test_dbt.PROJECT))
    log = run("openlineage", "--root", str(tmp_path / "log"))
    by_file = run("openlineage", "--events", str(tmp_path / "log/events.jsonl"), "--json")
    dbt = run("dbt", "--root", str(tmp_path / "dbt"), "--json")
    (tmp_path / "log/broken.json").write_text("no json")
    broken = run("openlineage", "--root", str(tmp_path / "log"))

    assert log.exit_code == 0, log.output
    assert "Entries told in another order" in log.stdout
    assert json.loads(by_file.stdout)["ok"]
    report = json.loads(dbt.stdout)
    assert (report["source"], report["ok"]) == ("dbt/shop", True), dbt.stdout
    assert {check["check"] for check in report["checks"]} >= WAYS
    assert (broken.exit_code, "broken.json" in broken.stdout) == (1, True)
    assert "--root" in run("dbt").output
    assert run("openlineage").exit_code == 1


# ── The command ──────────────────────────────────────────────────────────────────────────────────


def run(*arguments: str, **environment: str) -> Any:
    return CliRunner().invoke(main, ["source", "test", *arguments], env=environment)


def test_source_test_reports_in_words_and_in_json(estate):
    file = str(SOURCES / "features.yaml")
    words = run(file, "--documents", "3", ESTATE_URL=estate.url)
    said = run("features", "--documents", "3", "--json", "--seed", "9", ESTATE_URL=estate.url,
               LINEAL_SOURCES=str(SOURCES))  # fmt: skip

    assert words.exit_code == 0, words.output
    assert "No promise is broken" in words.stdout
    assert "Every event told once more at the end" in words.stdout
    report = json.loads(said.stdout)
    assert (report["source"], report["ok"], report["seed"]) == ("features", True, 9)
    assert {check["check"] for check in report["checks"]} >= WAYS


def test_source_test_ends_with_1_where_something_is_broken(tmp_path):
    (tmp_path / "tool.yaml").write_text(
        "source: tool\nplatform: tool\nbase_url: http://127.0.0.1:9\nallow_private: true\n"
        "resources:\n  model: {subject: {type: model}, fetch: {path: '/m/{id}'}, list: {path: /m}}"
    )
    result = run(str(tmp_path / "tool.yaml"))

    assert result.exit_code == 1
    assert "cannot be reached" in result.stdout


def test_source_test_reads_files(tmp_path):
    (tmp_path / "s.yaml").write_text(
        "source: shelf\nplatform: shelf\nfiles: [{path: models.jsonl, resource: model}]\n"
        "resources: {model: {subject: {type: model}, map: {name: title}}}\n"
    )
    lines = [json.dumps({"id": f"m{n}", "title": f"M {n}"}) for n in range(9)]
    (tmp_path / "models.jsonl").write_text("\n".join(lines))
    sound = run(str(tmp_path / "s.yaml"), "--root", str(tmp_path))
    (tmp_path / "models.jsonl").write_text("\n".join([*lines, lines[0], "no json"]))
    broken = run(str(tmp_path / "s.yaml"), "--root", str(tmp_path))
    rootless = run(str(tmp_path / "s.yaml"))

    assert sound.exit_code == 0, sound.output
    assert (broken.exit_code, "reads what there is" in broken.stdout) == (1, True)
    assert (rootless.exit_code, "--root" in rootless.output) == (2, True)


def test_source_test_of_a_name_that_nobody_has(estate):
    result = run("regestry", ESTATE_URL=estate.url, LINEAL_SOURCES=str(SOURCES))

    assert result.exit_code == 3
    assert "registry" in result.output

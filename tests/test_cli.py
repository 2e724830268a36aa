"""The command line: the same answers from a file and from a server, and honest exit codes."""

import inspect
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import structlog
from click.testing import CliRunner, Result

import lineal as lineal_package
from lineal import errors
from lineal.app import Lineal
from lineal.client import Client
from lineal.config import Config
from lineal.model import EdgeStatement, Record, Uri
from lineal.store import Batch
from lineal.surfaces import errors_http
from lineal.surfaces.cli import failing, logs, main, places
from lineal.surfaces.cli.local import Local
from lineal.surfaces.cli.reading import QUESTIONS
from tests import world
from tests.test_client import run_event, serving

ROOT = Path(__file__).parent.parent
#: A moment at which the world is whole, and the same for whoever asks.
AT = ["--known-at", "2026-11-23T06:40:00Z"]
LINEAGE = ["lineage", "ranking-model"]
#: One call of every command that reads.
READS: dict[str, list[str]] = {
    "search": ["search", "type:model-version", "ranking", *AT],
    "get": ["get", "ranking-model v5", *AT],
    "neighbours": ["neighbours", "ranking-model", *AT],
    "lineage": [*LINEAGE, "--up", "2", "--down", "1", "--grain", "logical", *AT],
    "cycle": [*LINEAGE, *AT],
    "lineages": [
        *LINEAGE,
        "titles",
        "--kind",
        "consumes",
        "--type",
        "model",
        "--rows",
        "9000",
        *AT,
    ],
    "path": ["path", "titles", "ranking-model", "-k", "2", *AT],
    "between": ["between", world.PLAYS, "ranking-model v5", "--depth", "9", *AT],
    "closure": ["closure", "plays", "--limit", "3", *AT],
    "narrowed": ["closure", "plays", "--live", "--owner", "Personalization", *AT],
    "common": ["common", "ranking-model v4", "ranking-model v5", "--side", "downstream", *AT],
    "impact": ["impact", "titles", *AT],
    "dropped": ["impact", "titles", world.PLAYS, "--change", "dropped", "--type", "model", *AT],
    "rolled back": ["impact", "ranking-model v5", "--change", "rolled_back", "--to", world.V4, *AT],
    "schema": ["schema-changes", "--from", "t:0", "--to", f"t:2 @ {AT[1]}", "--type", "dataset"],
    "shared": ["shared", "--type", "feature-set", *AT],
    "unused": ["unused", "Data Platform", "--days", "3", *AT],
    "similar": ["similar", "ranking-model", *AT],
    "wanted": ["wanted", "ranking-model", *AT],
    "explain": ["explain", world.V5, "trained_for", world.TEST, *AT],
    "recent": ["recent", "--limit", "2", *AT],
    "history": ["history", "ranking-model", "--valid-at", "2026-11-21", *AT],
    "names": ["identity", "show", world.PLAYS, *AT],
    "merge": ["identity", "preview", world.PLAYS, world.TITLES, *AT],
    "split": ["identity", "preview", world.PLAYS, "--split", *AT],
    "suggest": ["identity", "suggest", *AT],
    "diff": ["diff", "ranking-model v5", "--from", "t:1", "--to", f"t:2 @ {AT[1]}"],
    "diff --lineage": [
        "diff",
        "ranking-model",
        "--lineage",
        "--up",
        "3",
        "--from",
        "t:0",
        "--to",
        "t:2",
    ],
    "diff --type": ["diff", "--type", "dataset", "--from", "t:1", "--to", "t:2"],
    "rules": ["rules", "list"],
    "rule": ["rules", "show", "trained_for", *AT],
    "why": ["rules", "explain", world.V5, "trained_for", world.TEST, *AT],
    "dry run": ["rules", "dry-run", "trained_for"],
    "types": ["types"],
    "status": ["status"],
}
ASKED_OF = {
    "q3": "member_watch_history", "q6": world.TEST, "q7": "titles", "q8": world.HOURS,
    "q10": "weekly-ranking-trainer", "q11": world.V5, "q13": "Data Platform",
}  # fmt: skip
READS |= {name: ["ask", name, ASKED_OF.get(name, "ranking-model"), *AT] for name in QUESTIONS}


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Read no settings and no database of whoever runs the tests, and leave no log behind."""
    for name in [name for name in os.environ if name.startswith("LINEAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def lineal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lineal]:
    with world.told(tmp_path_factory.mktemp("world")) as told:
        yield told


@pytest.fixture(scope="module")
def file(lineal: Lineal) -> list[str]:
    return ["--db", str(lineal.store.path)]


@pytest.fixture(scope="module")
def served(lineal: Lineal) -> Iterator[list[str]]:
    with serving(lineal) as url:
        yield ["--server", url]


def run(*arguments: object, given: str | None = None) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments], given, prog_name="lineal")
    assert "Traceback" not in result.output
    return result


def tell(lineal: Lineal, *said: Record) -> None:
    lineal.store.commit(Batch(said, actor="test", cause="test"))


def answer(*arguments: object) -> dict[str, object]:
    result = run(*arguments, "--format", "json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


# ── Asking ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", READS)
def test_a_file_and_a_server_give_the_same_json(name: str, file: list[str], served: list[str]):
    assert answer(*READS[name], *file) == answer(*READS[name], *served)


@pytest.mark.parametrize("limit", ["--nodes", "--edges", "--rows"])
def test_a_file_and_a_server_cut_a_closure_alike(limit: str, file: list[str], served: list[str]):
    asked = ("closure", "titles", limit, "1", *AT)
    here, there = answer(*asked, *file), answer(*asked, *served)

    assert here == there
    assert here["complete"] is False


def test_no_step_at_all_can_be_asked_for(file: list[str]):
    value = answer("lineage", "ranking-model", "--depth", "0", *AT, *file)["value"]

    assert isinstance(value, dict)
    assert len(value["nodes"]) == 1


def test_the_list_of_questions_can_be_read_by_programs():
    listed = json.loads(run("ask", "--format", "json").stdout)

    assert listed.keys() == QUESTIONS.keys()


def test_who_decides_has_a_name_where_the_system_knows_none(monkeypatch: pytest.MonkeyPatch):
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4242")

    monkeypatch.setattr("getpass.getuser", nobody)
    monkeypatch.setattr("os.getuid", lambda: 4242)

    assert places._user() == "user 4242"


@pytest.mark.parametrize("name", READS)
def test_every_answer_has_a_table(name: str, file: list[str]):
    result = run(*READS[name], *file)

    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip()
    assert "\x1b" not in result.output


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("search", "ranking-model v5"),
        ("get", "s3://models/ranking/v5"),
        ("neighbours", "has_version"),
        ("lineage", "-1 "),
        ("cycle", "A cycle of "),
        ("path", "1. dataset titles"),
        ("path", "Weakest link"),
        ("between", "Between events/plays and ranking-model v5: "),
        ("closure", "Downstream of "),
        ("closure", "Owners: "),
        ("narrowed", "Domains: 0."),
        ("common", "have in common downstream"),
        ("impact", "Who must be told"),
        ("dropped", "Dropping of events/plays, titles touches"),
        ("dropped", "breaks"),
        ("rolled back", "It answers with this version now"),
        ("schema", "Schema changes found: "),
        ("shared", "live consumers"),
        ("unused", "Nothing unused was found"),
        ("similar", "Nothing was found that shares"),
        ("explain", "rule trained_for, version 2, rests on"),
        ("rules", "superseded_by"),
        ("rule", "1 edges stand by it"),
        ("dry run", "would give 1 edges"),
        ("history", "owned_by Personalization"),
        ("types", "A trained model"),
        ("status", "registry"),
        ("q1", "hours_watched_7d"),
        ("q5", "trained"),
        ("q12", "Personalization"),
    ],
)
def test_a_table_tells_what_matters(name: str, told: str, file: list[str]):
    output = run(*READS[name], *file).stdout

    assert told in output or name == "types"


def test_what_is_said_of_an_edge_is_shown_where_it_is_explained(tmp_path: Path):
    model, team = Uri("mlg://model/r/m"), Uri("mlg://team/p/t")
    owned = EdgeStatement(model, "owned_by", team, {"line": 7, "pattern": "models/"})
    with Lineal.open(Config(db=tmp_path / "g.db")) as lineal:
        tell(lineal, Record("r", "m", model, (), (owned,), 1_000))

    output = run("explain", model, "owned_by", team, "--db", tmp_path / "g.db").stdout

    assert "line: 7" in output
    assert "pattern: models/" in " ".join(output.split())


def test_ask_alone_lists_the_thirteen_questions():
    result = run("ask")

    assert result.exit_code == 0
    assert all(words in result.stdout for words, _ in QUESTIONS.values())


def test_the_thirteen_questions_are_those_of_the_docs():
    text = (ROOT / "docs/explanation/questions.md").read_text()

    assert [f"q{number}" for number in re.findall(r"^\| \*\*Q(\d+)\*\*", text, re.M)] == list(
        QUESTIONS
    )


def test_ask_without_a_thing_says_what_is_missing():
    result = run("ask", "q13")

    assert result.exit_code == failing.USAGE
    assert "team" in result.stderr


def test_the_past_is_asked_about_by_its_transaction(file: list[str]):
    then = run("get", world.V5, "--known-at", "t:1", *file)

    assert "pending" in then.stdout


def test_what_was_cut_is_told_apart_from_the_answer(file: list[str]):
    result = run(*LINEAGE, "--up", "1", "--format", "json", *file)

    assert json.loads(result.stdout)["complete"] is False
    assert result.stderr.startswith("cut: ")


@pytest.mark.parametrize("asked", [["diff", "--type", "dataset"], ["schema-changes"]])
def test_a_comparison_that_was_cut_does_not_say_that_nothing_differs(
    asked: list[str], file: list[str]
):
    found = run(*asked, "--from", "t:0", "--rows", "1", *file)

    assert "cut: " in found.stderr
    assert "no difference" not in found.stdout
    assert "found" in found.stdout


def test_a_search_says_how_much_it_does_not_show(file: list[str]):
    result = run("search", "ranking", "--limit", "2", *file)

    assert "cut: 2 of " in result.stderr


def test_a_search_that_finds_nothing_is_no_error(file: list[str]):
    result = run("search", "zzzz", *file)

    assert (result.exit_code, result.stdout) == (0, "Nothing found.\n")


@pytest.mark.parametrize(
    ("form", "begins"),
    [("svg", "<svg "), ("mermaid", "flowchart LR"), ("dot", "digraph lineage {")],
)
def test_a_lineage_is_drawn_alike_from_a_file_and_a_server(
    form: str, begins: str, file: list[str], served: list[str]
):
    drawn = [run(*LINEAGE, "--format", form, *AT, *place).stdout for place in (file, served)]

    assert drawn[0].startswith(begins)
    assert "ranking-homepage" in drawn[0]
    assert drawn[0] == drawn[1]


def test_a_picture_tells_relations_in_the_direction_of_the_data(file: list[str]):
    drawn = run(*LINEAGE, "--format", "dot", *file).stdout

    assert re.search(r'member_watch_history" -> "\S+/ranking-model" \[label="consumed by"', drawn)


def test_a_file_and_a_server_are_asked_alike():
    for name, method in inspect.getmembers(Local, inspect.isfunction):
        if not name.startswith("_"):
            asked = list(inspect.signature(method).parameters)
            assert list(inspect.signature(getattr(Client, name)).parameters) == asked, name


# ── Naming ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name", ["ranking-model v5", "v5", "mlg://model-version/registry/ranking%2Dmodel/v5"]
)
def test_a_thing_is_named_by_its_name_or_uri(name: str, file: list[str]):
    value = answer("get", name, *file)["value"]

    assert isinstance(value, dict)
    assert value["uri"] == world.V5


def test_a_name_that_nothing_has_lists_what_is_close(file: list[str]):
    result = run("get", "ranking", *file)

    assert result.exit_code == failing.NOT_FOUND
    assert world.MODEL in result.stderr


def test_a_name_that_several_things_have_lists_them(tmp_path: Path):
    twins = [Uri(f"mlg://dataset/{platform}/plays") for platform in ("lake", "warehouse")]
    with world.empty(tmp_path) as lineal:
        tell(lineal, *(world.record(uri.platform, uri, {"name": "plays"}) for uri in twins))

        result = run("get", "plays", "--db", lineal.store.path)

    assert result.exit_code == failing.NOT_FOUND
    assert all(uri in result.stderr for uri in twins)


@pytest.mark.parametrize("name", ["-odd", "odd:name", 'an "odd" name', "zz zz", "", "type:model"])
def test_a_name_is_never_taken_for_a_query(name: str, tmp_path: Path):
    thing = Uri.of("model", "registry", "1")
    with world.empty(tmp_path) as lineal:
        tell(lineal, world.record("s", thing, {"name": name or "?"}))

        result = run("get", "--db", lineal.store.path, "--", name)

    assert result.exit_code == (0 if name else failing.NOT_FOUND), result.stderr


# ── What others named ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", ["table", "json"])
def test_what_others_named_never_reaches_the_terminal_raw(form: str, tmp_path: Path):
    evil = "a\x1b]0;owned\x07b\x9b31m[red]\u202ec"
    thing = Uri.of("model", "registry", "evil")
    with world.empty(tmp_path) as lineal:
        tell(lineal, world.record("s", thing, {"name": evil, "description": "x" * 9_000}))

        result = run("get", thing, "--format", form, "--db", lineal.store.path)

    assert result.exit_code == 0
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", result.output)
    if form == "json":
        assert json.loads(result.stdout)["value"]["name"] == evil
    else:
        assert "[red]" in result.stdout
        assert max(map(len, result.stdout.splitlines())) < 1_000


# ── When it goes wrong ───────────────────────────────────────────────────────────────────────────


def test_every_error_of_ours_has_an_exit_code():
    kinds = [errors.LinealError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    codes = {kind.code for kind in kinds} | errors_http.STATUS.keys()

    assert codes - failing.EXITS.keys() == {"error", "method_not_allowed"}


def test_an_unknown_uri_names_the_nearest(file: list[str], served: list[str]):
    for place in (file, served):
        result = run("get", "mlg://model/registry/ranking-modle", *place)

        assert result.exit_code == failing.NOT_FOUND
        assert f"Did you mean {world.MODEL}?" in result.stderr
        assert result.stderr.count("Did you mean") == 1
        assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", "mlg://model"],
        ["get", world.V5, "--known-at", "yesterday"],
        ["search", "colour:red"],
        ["ask", "q13", world.MODEL],
        ["explain", world.V5, "likes", world.TEST],
    ],
)
def test_a_question_that_makes_no_sense_is_wrong_usage(
    arguments: list[str], file: list[str], served: list[str]
):
    for place in (file, served):
        result = run(*arguments, *place)

        assert result.exit_code == failing.USAGE, result.output
        assert result.stderr.count("\n") == 1


def test_a_missing_database_is_told_with_what_to_do():
    result = run("search", "x")

    assert result.exit_code == failing.USAGE
    assert "lineal import" in result.stderr
    assert not Path("lineal.db").exists()


def test_a_damaged_database_is_told(tmp_path: Path):
    (tmp_path / "bad.db").write_bytes(b"no database" * 1_000)

    result = run("db", "check", "--db", "bad.db")

    assert result.exit_code == failing.STORE
    assert "bad.db" in result.stderr


def test_a_database_that_another_writes_is_not_written(lineal: Lineal, file: list[str]):
    events(Path("events"), run_event(1))

    result = run("import", "openlineage", "events", *file)

    assert result.exit_code == failing.STORE
    assert "is being written by" in result.stderr


def test_a_server_that_does_not_answer_is_told():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    result = run("search", "x", "--server", f"http://127.0.0.1:{port}")

    assert result.exit_code == failing.UNREACHABLE
    assert "lineal serve" in result.stderr


def test_a_file_and_a_server_together_are_wrong_usage(file: list[str]):
    assert run("types", *file, "--server", "http://127.0.0.1:1").exit_code == failing.USAGE


def test_what_is_said_wins_over_the_environment(
    monkeypatch: pytest.MonkeyPatch, file: list[str], served: list[str]
):
    monkeypatch.setenv("LINEAL_URL", "http://127.0.0.1:1")
    assert run("types", *file).exit_code == 0
    monkeypatch.setenv("LINEAL_URL", served[1])
    assert run("get", world.V5).exit_code == 0


def test_a_fault_of_ours_is_one_sentence_and_a_traceback_on_request(
    monkeypatch: pytest.MonkeyPatch, file: list[str]
):
    monkeypatch.setattr(Local, "types", None)

    short = run("types", *file)
    full = CliRunner().invoke(main, ["--debug", "types", *file])

    assert short.exit_code == full.exit_code == failing.FAULT
    assert short.stderr.count("\n") == 1
    assert "--debug" in short.stderr
    assert "Traceback" in full.stderr


# ── Importing and sending ────────────────────────────────────────────────────────────────────────


def events(folder: Path, *some: object) -> Path:
    folder.mkdir(exist_ok=True)
    text = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in some)
    (folder / "events.jsonl").write_text(text)
    return folder


def test_an_import_tells_what_came_in_and_the_second_time_that_nothing_changed():
    events(Path("events"), run_event(1), run_event(2))

    first, second = run("import", "openlineage", "events"), run("import", "openlineage", "events")

    assert (first.exit_code, second.exit_code) == (0, 0), first.output
    assert "pipeline" in first.stdout
    assert "nothing changed" not in first.stdout
    assert "nothing changed" in second.stdout
    assert "load" in run("search", "load").stdout


def test_an_import_tells_what_was_refused_and_keeps_the_rest():
    events(Path("events"), run_event(1), *["{broken"] * 25)

    result = run("import", "openlineage", "events")

    assert result.exit_code == failing.FOUND
    assert "25 refused" in result.stdout
    assert "… and 5 more." in result.stdout
    assert result.stdout.count("events.jsonl") == 20
    assert "load" in run("search", "load").stdout


def test_files_are_read_as_a_declared_source_says():
    Path("box.yaml").write_text(
        """
source: box
platform: box
files:
  - {path: "*.json", resource: thing}
resources:
  thing:
    subject: {type: dataset}
    map: {name: name}
"""
    )
    Path("data").mkdir()
    Path("data/a.json").write_text('{"id": "x", "name": "the box"}')

    result = run("import", "files", "box.yaml", "data")

    assert result.exit_code == 0, result.output
    assert "the box" in run("get", "mlg://dataset/box/x").stdout
    assert "box" in run("source", "list", "--source", "box.yaml").stdout
    assert "1 things" in run("db", "check").stdout


def test_a_dbt_file_that_is_none_is_refused():
    Path("manifest.json").write_text("{}")

    result = run("import", "dbt", "manifest.json")

    assert result.exit_code == failing.FOUND
    assert "manifest.json" in result.stdout


def test_importing_what_is_not_there_is_wrong_usage():
    assert run("import", "openlineage", "nowhere").exit_code == failing.USAGE


@pytest.mark.parametrize("form", ["lines", "list", "one"])
def test_events_are_sent_in_every_form(form: str, served: list[str]):
    event = run_event(7)
    text = {
        "lines": f"{json.dumps(event)}\n\n{json.dumps(event)}\n",
        "list": json.dumps([event, event]),
        "one": json.dumps(event, indent=2),
    }[form]

    result = run("send", "--source", "openlineage", *served, given=text)

    assert result.exit_code == 0, result.output
    assert f"keeps {1 if form == 'one' else 2} events" in result.stdout


def test_events_that_the_server_refuses_are_told(served: list[str]):
    text = json.dumps([run_event(8), {"eventType": "COMPLETE"}])

    result = run("send", "--source", "openlineage", *served, given=text)

    assert result.exit_code == failing.FOUND
    assert "1 refused" in result.stdout


@pytest.mark.parametrize("text", ["{broken", "[1]", '"text"', "{}\nnot json"])
def test_what_is_no_event_is_not_sent(text: str, served: list[str]):
    result = run("send", *served, given=text)

    assert result.exit_code == failing.FOUND
    assert "nothing was sent" in result.stderr


def test_sending_needs_a_server():
    result = run("send", given="{}")

    assert result.exit_code == failing.USAGE
    assert "LINEAL_URL" in result.stderr


# ── Sources ──────────────────────────────────────────────────────────────────────────────────────


def test_without_sources_the_list_says_how_to_declare_one():
    assert "--source" in run("source", "list").stdout


def test_a_source_that_is_not_declared_cannot_be_swept():
    assert run("source", "sweep", "registry").exit_code == failing.NOT_FOUND


# ── Serving ──────────────────────────────────────────────────────────────────────────────────────

#: A program finds Lineal wherever the tests found it.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(lineal_package.__file__).parents[1])}


def program(*arguments: object) -> list[str]:
    code = "from lineal.surfaces.cli import main; main(prog_name='lineal')"
    return [sys.executable, "-c", code, *map(str, arguments)]


def loaded_by(code: str) -> set[str]:
    """Return the modules that are loaded once *code* has run in a new program."""
    begin = "import sys; from lineal.surfaces.cli import main"
    end = "print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run(
        [sys.executable, "-c", "\n".join((begin, code, end))],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    return set(ran.stderr.split())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_serve_answers_until_it_is_stopped_and_ends_well(how: signal.Signals):
    with subprocess.Popen(
        program("serve", "--port", "0"), stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as server:
        assert server.stderr is not None
        told = server.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", told)
        assert found, told
        sent = run("send", "--source", "openlineage", "--server", found[0],
                   given=json.dumps(run_event(1)))  # fmt: skip
        status = run("status", "--server", found[0])
        server.send_signal(how)
        rest = server.stderr.read()

    assert (sent.exit_code, status.exit_code) == (0, 0)
    assert (server.returncode, rest) == (0, "")
    assert not Path("lineal.db-wal").exists()


def test_serving_on_a_taken_port_is_one_clear_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        result = run("serve", "--port", port)

    assert result.exit_code == failing.USAGE
    assert result.stderr == (
        f"Error: Port {port} of 127.0.0.1 is taken by another program. "
        "Choose another by --port, or a free one by --port 0.\n"
    )
    assert not Path("lineal.db").exists()


def test_serving_to_other_machines_is_refused_while_there_is_no_sign_in():
    result = run("serve", "--host", "0.0.0.0", "--port", "0")

    assert result.exit_code == failing.USAGE
    assert "no sign-in yet" in result.stderr


def test_serving_on_a_host_that_is_not_here_is_told():
    assert run("serve", "--host", "no.such.host.invalid").exit_code == failing.USAGE


# ── Starting, terminals, docs ────────────────────────────────────────────────────────────────────


def test_the_command_line_starts_without_the_server():
    heavy = {
        "alembic", "fastapi", "httpx2", "jinja2", "jmespath", "msgspec", "numpy", "pydantic",
        "sqlalchemy", "starlette", "structlog", "uvicorn", "yaml",
    }  # fmt: skip

    assert not heavy & loaded_by("main(['--help'], standalone_mode=False)")


def test_asking_a_server_does_not_load_one(served: list[str]):
    loaded = loaded_by(f"main(['get', {str(world.V5)!r}, *{served!r}], standalone_mode=False)")

    assert not {"sqlalchemy", "fastapi", "lineal.store"} & loaded


def on_terminal(arguments: list[str], **environment: str) -> str:
    """Return what a command writes to a terminal."""
    master, slave = pty.openpty()
    said = {**ENVIRONMENT, "TERM": "xterm-256color", **environment}
    with subprocess.Popen(program(*arguments), stdout=slave, stderr=slave, env=said) as ran:
        os.close(slave)
        written = b""
        while True:
            try:
                some = os.read(master, 65_536)
            except OSError:
                break
            if not some:
                break
            written += some
        ran.wait()
    os.close(master)
    return written.decode()


def test_a_terminal_gets_a_progress_bar_and_no_colours_if_it_wants_none():
    events(Path("events"), *(run_event(number) for number in range(50)))

    bare = run("import", "openlineage", "events")
    shown = on_terminal(["import", "openlineage", "events", "--db", "other.db"], NO_COLOR="1")

    assert "\x1b" not in bare.output
    assert "\x1b[?25l" in shown
    assert not re.search(r"\x1b\[(?:\d+;)*3\d", shown)


def test_what_is_logged_is_apart_from_answers_and_without_values(
    capsys: pytest.CaptureFixture[str],
):
    secret = "hunter2"
    logs.begin("info")

    try:
        raise ValueError(len(secret))
    except ValueError:
        structlog.get_logger().exception("it broke", source="box")

    written = capsys.readouterr()
    line = json.loads(written.err)
    assert (line["event"], line["level"], line["source"]) == ("it broke", "error", "box")
    assert "ValueError" in line["exception"]
    assert secret not in written.err
    assert written.out == ""


def every_command() -> Iterator[tuple[str, click.Command]]:
    def below(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        if isinstance(command, click.Group):
            for inner in command.commands.values():
                yield from below(f"{name} {inner.name}", inner)
        else:
            yield name, command

    yield from below("lineal", main)


@pytest.mark.parametrize("name", [name for name, _ in every_command()])
def test_every_command_and_option_is_in_the_docs(name: str):
    text = (ROOT / "docs/reference/cli.md").read_text()
    command = dict(every_command())[name]
    section = re.search(rf"^### `{name}[^`]*`\n(.*?)(?=^##|\Z)", text, re.M | re.S)

    assert section, name
    shared = text[: text.index("## Bringing in")]
    for option in command.params:
        if isinstance(option, click.Option):
            assert f"`{option.opts[0]}" in section[1] + shared, option.opts[0]


def test_every_exit_code_is_in_the_docs():
    text = (ROOT / "docs/reference/cli.md").read_text()

    for code in {0, failing.FAULT, *failing.EXITS.values()}:
        assert f"| {code} |" in text


def test_every_command_has_help():
    for name, command in every_command():
        result = run(*name.split()[1:], "--help")

        assert result.exit_code == 0
        assert command.help
        assert all(option.help for option in command.params if isinstance(option, click.Option))


# ── Deciding what is one ─────────────────────────────────────────────────────────────────────────


def test_a_merge_is_shown_and_written_only_if_that_is_meant(tmp_path: Path):
    with world.told(tmp_path) as lineal:
        db = lineal.store.path
    say = ["--db", db, "--reason", "one table", "--actor", "ada"]
    pair = [world.TITLES, world.PREDICTIONS]

    looked = run("identity", "merge", *pair, *say)
    merged = run("identity", "merge", *pair, *say, "--yes")
    shown = run("identity", "show", world.TITLES, "--db", db)
    again = run("identity", "merge", *pair, *say, "--yes")
    parted = run("identity", "split", *pair, *say, "--yes", "--format", "json")
    after = run("identity", "show", world.TITLES, "--db", db)

    assert (looked.exit_code, merged.exit_code, again.exit_code, parted.exit_code) == (1, 0, 1, 0)
    assert "Nothing is written" in looked.stderr
    assert re.search(rf"{world.TITLES} +{world.PREDICTIONS}", looked.stdout)
    assert merged.stdout.endswith("Written in transaction 3.\n")
    assert re.search(
        r"same_as +\S+/ranking_predictions +administrator +lineal .* ada", shown.stdout
    )
    assert "refused: They are one thing already." in again.stdout
    assert json.loads(parted.stdout)["t"] == 4
    assert "Nobody says that it has another name." in after.stdout


def test_a_merge_needs_two_names_to_be_previewed(tmp_path: Path):
    result = run("identity", "preview", world.TITLES, "--db", tmp_path / "x.db")

    assert result.exit_code == 2
    assert "OTHER" in result.stderr

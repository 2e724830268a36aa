"""The surfaces of rules: the command line, REST, the client and the portal say and do the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from starlette.testclient import TestClient

from lineal.app import Lineal
from lineal.client import Client
from lineal.config import Config
from lineal.enrich.rules import reading, reference
from lineal.surfaces.cli import main
from lineal.surfaces.server import create
from tests import world
from tests.test_client import serving

DOCS = Path(__file__).parent.parent / "docs"
BASE = "http://127.0.0.1:8585"
MINE = """\
name: trains_for_team
version: 1
match: "(m:model-version)-[:owned_by]->(u:user)-[:member_of]->(t:team)"
gives: (m)-[:owned_by]->(t)
why: "{m} is owned by {u} of {t}."
confidence: 0.8
"""
FIXTURE = """\
# Of the person's team.
given   model-version m1  owned_by   user u1
given   user u1           member_of  team t1
expect  model-version m1  owned_by   team t1
"""


@pytest.fixture
def lineal(tmp_path: Path) -> Iterator[Lineal]:
    clock = world.Clock(world.FIRST)
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "trains_for_team.yaml").write_text(MINE)
    (folder / "trains_for_team.txt").write_text(FIXTURE)
    config = Config(db=tmp_path / "lineal.db", rules=(folder,))
    with Lineal.open(config, clock=clock) as told:
        world.tell(told, clock)
        yield told


@pytest.fixture
def client(lineal: Lineal) -> Iterator[TestClient]:
    with TestClient(create(lineal), base_url=BASE, follow_redirects=False) as found:
        yield found


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LINEAL_RULES", str(tmp_path / "rules"))
    monkeypatch.chdir(tmp_path)


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments], prog_name="lineal")
    assert "Traceback" not in result.output
    return result


def answer(*arguments: object) -> Any:
    result = run(*arguments, "--format", "json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def given(client: TestClient, kind: str) -> int:
    """Return how many edges of a kind the world's version has."""
    found = client.get(f"/api/v1/entities/neighbours?uri={world.V5}").json()["value"]
    return sum(one["edge"]["kind"] == kind for one in found)


# ── What there is ────────────────────────────────────────────────────────────────────────────────


def test_a_file_and_a_server_tell_the_same_of_rules(lineal: Lineal) -> None:
    file = ["--db", lineal.store.path]
    at = ["--known-at", "2026-11-23T06:40:00Z"]
    with serving(lineal) as url:
        served = ["--server", url]
        for asked in (["rules", "list"], ["rules", "show", "trained_for", *at]):
            assert answer(*asked, *file) == answer(*asked, *served)
        told = answer("rules", "dry-run", "trains_for_team", *file)
        assert told == answer("rules", "dry-run", "trains_for_team", *served)

    assert told["complete"]
    assert (told["gives"], told["appear"], told["vanish"]) == (1, 0, 0)


def test_a_rule_is_shown_with_its_meaning_and_what_stands_by_it(lineal: Lineal) -> None:
    shown = run("rules", "show", "trained_for", "--db", lineal.store.path)

    assert shown.exit_code == 0, shown.stderr
    for words in (
        "trained_for, version 2: up to date", "means: ", "wrong when: ", "1 edges stand by it:",
        "(m)-[:trained_for]->(t)", "m (model version) produced by r (run)",
        "ranking-model/v5 was produced by",
    ):  # fmt: skip
        assert words in shown.stdout, words
    assert run("rules", "show", "trained", "--db", lineal.store.path).exit_code == 3


def test_the_list_says_where_a_rule_comes_from_and_how_it_stands(client: TestClient) -> None:
    found = client.get("/api/v1/rules").json()
    rules = {one["name"]: one for one in found["value"]}

    assert rules["trained_for"]["builtin"]
    assert not rules["trains_for_team"]["builtin"]
    assert rules["trains_for_team"]["confidence"] == 0.8
    assert found["pending"]["pieces"] == 0
    assert str(Path.cwd()) not in json.dumps(found)


def test_more_edges_than_are_listed_are_counted(client: TestClient) -> None:
    found = client.get("/api/v1/rules/trained_for/edges?limit=0").json()

    assert (found["value"], found["total"], found["complete"]) == ([], 1, False)
    assert client.get("/api/v1/rules/nothing/edges").status_code == 404


# ── Trying ───────────────────────────────────────────────────────────────────────────────────────


def test_a_fixture_is_tried_without_a_database(
    monkeypatch: pytest.MonkeyPatch, lineal: Lineal
) -> None:
    monkeypatch.setenv("LINEAL_DB", "nowhere.db")
    tried = run("rules", "test", "trains_for_team")

    assert tried.exit_code == 0, tried.output
    assert "1 of 1 cases of 1 rules hold." in tried.stdout
    assert not Path("nowhere.db").exists()


def test_a_fixture_that_does_not_hold_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MINE)
    wrong = tmp_path / "wrong.txt"
    wrong.write_text(
        FIXTURE.replace("expect  model-version m1  owned_by   team t1", "expect nothing")
    )

    tried = run("rules", "test", "mine.yaml", "--fixture", wrong)
    without = run("rules", "test", "mine.yaml")

    assert tried.exit_code == 1
    assert "FAILS" in tried.stdout
    assert "follows too: mlg://model-version/here/m1 owned_by mlg://team/here/t1" in tried.stdout
    assert without.exit_code == 2
    assert "has no fixture" in without.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (MINE.replace("]->(u", "]-(u"), "at character 18"),
        (MINE.replace("member_of", "member"), "There is no kind 'member', at character 40 of the"),
        (MINE.replace("gives: (m)", "gives: (z)"), "'z' is not a name of the pattern"),
        ("name: x", "A rule has exactly"),
    ],
)
def test_an_error_of_a_rule_says_where_by_every_surface(
    text: str, words: str, tmp_path: Path, client: TestClient, lineal: Lineal
) -> None:
    (tmp_path / "wrong.yaml").write_text(text)

    by_file = run("rules", "dry-run", "wrong.yaml", "--db", lineal.store.path)
    by_test = run("rules", "test", "wrong.yaml")
    by_rest = client.post("/api/v1/rules/dry-run", json={"text": text, "file": "wrong.yaml"})

    assert (by_file.exit_code, by_test.exit_code, by_rest.status_code) == (2, 2, 422)
    for told in (by_file.stderr, by_test.stderr, by_rest.json()["detail"]):
        assert words in told
        assert "wrong.yaml" in told


def test_a_dry_run_says_what_would_appear_and_vanish_and_writes_nothing(
    client: TestClient, tmp_path: Path
) -> None:
    before = client.get("/api/v1/counts").json()["basis_t"]
    path = "owned_by]->(u:user)-[:member_of]->(t:team)"
    other = MINE.replace(path, "owned_by {layer: 'declared'}]->(t:user)").replace("{u} of ", "")
    done = client.post("/api/v1/rules/dry-run", json={"text": other}).json()

    assert (done["appear"], done["vanish"], done["looked_at"], done["of"]) == (1, 1, 2, 2)
    assert done["appearing"] == [{"start": world.V5, "kind": "owned_by", "end": world.ALICE}]
    assert done["vanishing"] == [{"start": world.V5, "kind": "owned_by", "end": world.TEAM}]
    assert client.get("/api/v1/counts").json()["basis_t"] == before
    assert client.post("/api/v1/rules/dry-run", json={}).status_code == 422


# ── Switching ────────────────────────────────────────────────────────────────────────────────────


def test_a_rule_that_is_disabled_has_nothing_and_enabled_all_again(
    lineal: Lineal, client: TestClient, tmp_path: Path
) -> None:
    path = lineal.store.path
    assert given(client, "trained_for") == 1
    lineal.close()
    off = run("rules", "disable", "trained_for", "--db", path, "--actor", "mo", "--reason", "wrong")
    shown = answer("rules", "show", "trained_for", "--db", path)
    again = run("rules", "disable", "trained_for", "--db", path)
    deeds = run("dead", "deeds", "--db", path)
    on = run("rules", "enable", "trained_for", "--db", path)
    back = answer("rules", "show", "trained_for", "--db", path)

    assert "trained_for is disabled." in off.stdout
    assert "was disabled already" in again.stdout
    assert (shown["enabled"], shown["edges"]["total"]) == (False, 0)
    assert "trained_for is enabled." in on.stdout
    assert (back["enabled"], back["edges"]["total"]) == (True, 1)
    assert "disable rule" in deeds.stdout
    assert "wrong" in deeds.stdout


def test_what_is_not_concluded_yet_is_said_wherever_it_may_be_missed(
    lineal: Lineal, client: TestClient
) -> None:
    t = client.get("/api/v1/counts").json()["basis_t"]
    lineal.ruling.switch("trained_for", enabled=False, actor="mo")
    paths = {
        "lineage": f"/api/v1/lineage?uri={world.V5}",
        "declared": f"/api/v1/lineage?uri={world.V5}&layers=declared",
        "entity": f"/api/v1/entities?uri={world.V5}",
        "why": f"/api/v1/edges/explain?from={world.V5}&kind=trained_for&to={world.TEST}",
        "past": f"/api/v1/lineage?uri={world.V5}&known_at=t:{t}",
        "counts": "/api/v1/counts",
    }
    told = {name: client.get(path).json() for name, path in paths.items()}
    page = client.get(f"/lineage?uri={world.V5}").text
    numbers = client.get("/metrics").text
    ready = client.get("/readyz").status_code
    status = client.get("/api/v1/health").json()["rules"]
    lineal.ruling.follow()
    after = client.get(paths["lineage"]).json()

    behind = {name: (one["inferred_t"], one["pending"]) for name, one in told.items()}
    waiting = (status["since_t"] - 1, 1)
    assert behind == {
        "lineage": waiting, "entity": waiting, "why": waiting,
        "declared": (None, 0), "past": (None, 0), "counts": (None, 0),
    }  # fmt: skip
    assert "inferred is complete through transaction" in told["lineage"]["notes"][-1]
    assert "Rules have not concluded everything yet" in page
    assert "lineal_rules_pending 1.0" in numbers
    assert "lineal_rules_failed 0.0" in numbers
    assert ready == 200
    assert status["rules"] == ["trained_for"]
    assert (after["inferred_t"], after["pending"], after["notes"]) == (None, 0, [])


def test_the_page_of_a_rule_switches_it(lineal: Lineal, client: TestClient) -> None:
    said = {"do": "disable", "actor": "mo", "reason": "it is wrong"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    nobody = client.post("/rules/trained_for", content="do=disable", headers=form)
    done = client.post("/rules/trained_for", data=said)
    waits = client.get("/rules").text
    lineal.ruling.follow()
    page = client.get("/rules/trained_for").text

    assert nobody.status_code == 422
    assert (done.status_code, done.headers["location"]) == (303, "/rules/trained_for")
    assert "being withdrawn" in waits
    assert "Not all is concluded yet" in waits
    assert "mo, disable rule: it is wrong" in page
    assert "Enable it" in page


def test_a_server_switches_in_the_background_and_keeps_who_did_so(lineal: Lineal) -> None:
    with serving(lineal) as url, Client(url) as remote:
        done = remote.switch_rule("trained_for", enabled=False, actor="mo", reason="it is wrong")
        waiting = remote.rule("trained_for")
        lineal.ruling.follow()
        after = remote.rule("trained_for")
        deeds = remote.deeds()["value"]

    assert done == {"name": "trained_for", "enabled": False, "changed": True}
    assert (waiting["enabled"], waiting["pending"]) == (False, True)
    assert (after["enabled"], after["pending"]) == (False, False)
    assert isinstance(deeds, list)
    assert deeds[0] == {
        "at": "2026-11-23T06:40:00Z", "actor": "mo", "what": "disable rule",
        "source": "trained_for", "reason": "it is wrong", "count": 1,
    }  # fmt: skip


# ── The docs ─────────────────────────────────────────────────────────────────────────────────────


def test_the_reference_is_that_of_the_rules() -> None:
    assert (DOCS / "reference/rules.md").read_text("utf-8") == reference.markdown(), (
        "run python -m lineal.enrich.rules.reference docs/reference/rules.md"
    )


def test_the_rule_of_the_how_to_holds_and_every_key_is_in_it(tmp_path: Path) -> None:
    page = (DOCS / "how-to/write-a-rule.md").read_text("utf-8")
    rule, fixture = re.findall(r"```(?:yaml)?\n((?:name|#).*?)```", page, re.S)
    (tmp_path / "team_reads.yaml").write_text(rule)
    (tmp_path / "team_reads.txt").write_text(fixture)

    tried = run("rules", "test", "team_reads.yaml")

    assert tried.exit_code == 0, tried.output
    assert "2 of 2 cases" in tried.stdout
    for key in reading._ALLOWED:
        assert f"`{key}`" in page, key

"""How an installation stands, from outside (P22): late, held, down, dead; and its promises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.app.background import Pace
from lineal.app.configured import source_files
from lineal.app.schedule import due, late_since, next_sweep
from lineal.config import Config
from lineal.errors import ConfigError, Invalid
from lineal.ingest import TRIES
from lineal.store.work import Standing
from lineal.surfaces.cli import main
from lineal.surfaces.server import create
from tests.estate import SOURCES
from tests.promises.recording import ran
from tests.simulated import SECOND
from tests.test_ingest import Clock, Joined, small

DAY = 86_400
BASE = "http://127.0.0.1:8585"


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Joined]:
    clock = Clock()
    with small() as estate:
        config = Config(
            db=tmp_path / "graph.db", sources=(SOURCES,), variables={"ESTATE_URL": estate.url}
        )
        with Lineal.open(config, clock=clock, chance=lambda: 0.0) as lineal:
            yield Joined(estate, lineal, clock)


@pytest.fixture
def client(both: Joined) -> Iterator[TestClient]:
    with TestClient(create(both.lineal), base_url=BASE, follow_redirects=False) as found:
        yield found


def source(client: TestClient, name: str = "registry") -> dict[str, Any]:
    """Return how a source stands by REST."""
    rows = client.get("/api/v1/health").json()["value"]
    (found,) = [one for one in rows if one["source"] == name]
    return dict(found)


def metric(client: TestClient, name: str, **labels: str) -> float:
    """Return a number as Prometheus reads it."""
    inside = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    line = f"{name}{{{inside}}} " if labels else f"{name} "
    (found,) = [one for one in client.get("/metrics").text.splitlines() if one.startswith(line)]
    return float(found.rpartition(" ")[2])


def page(client: TestClient, name: str = "registry") -> str:
    answer = client.get("/source", params={"name": name})
    assert answer.status_code == 200
    return answer.text


# ── Every state is seen ──────────────────────────────────────────────────────────────────────────


def test_a_source_that_is_well_looks_well(both: Joined, client: TestClient) -> None:
    both.tell()
    both.work()
    one = source(client)

    assert (one["breaker"]["state"], one["lag"], one["held"], one["dead"]) == ("closed", 0, 0, 0)
    assert all(one[name] is not None for name in ("heard_at", "confirmed_at", "applied_at"))
    assert one["notices"] == {
        "events": 1, "accepted": 1, "applied": 1, "superseded": 0, "dead": 0, "purged": 0,
        "pending": 0,
    }  # fmt: skip
    assert "up to date" in page(client)
    assert metric(client, "lineal_source_breaker", source="registry") == 0
    assert metric(client, "lineal_notices_total", source="registry", fate="applied") == 1
    assert client.get("/readyz").status_code == 200


@pytest.mark.promise("P22")
def test_a_source_that_is_down_is_seen_and_breaks_no_promise(
    both: Joined, client: TestClient
) -> None:
    both.estate.fail("registry", status=503, retry_after=100)
    both.tell()
    both.work()
    both.clock.wait(7)
    one = source(client)

    assert one["breaker"]["state"] == "open"
    assert "503" in one["breaker"]["reason"]
    assert (one["lag"], one["oldest"], one["failing"]) == (7, "model:ranking-v5", 1)
    assert "It does not answer" in page(client)
    assert "does not answer" in client.get("/").text
    assert metric(client, "lineal_source_breaker", source="registry") == 2
    assert metric(client, "lineal_source_lag_seconds", source="registry") == 7
    assert client.get("/readyz").status_code == 200


@pytest.mark.promise("P22")
def test_a_source_that_is_late_breaks_a_promise(both: Joined, client: TestClient) -> None:
    """Its sweeps come once a night; two of them are missed."""
    ran("P22", "states made and seen", 1)
    both.lineal.sweep("registry")
    both.work()
    swept = source(client)
    both.clock.wait(DAY)
    missed_one = client.get("/readyz").status_code
    both.clock.wait(DAY)
    missed_two = client.get("/readyz")
    one = source(client)
    on_page, on_home = page(client), client.get("/").text
    number = metric(client, "lineal_promises_broken", promise="freshness")
    both.lineal.sweep("registry")

    assert swept["sweep"]["late_since"] is None
    assert swept["sweep"]["next_at"] is not None
    assert missed_one == 200
    assert missed_two.status_code == 503
    assert missed_two.json()["code"] == "promise_broken"
    assert "registry was not listed whole" in missed_two.json()["detail"]
    assert one["sweep"]["late_since"] is not None
    assert "A promise is broken" in on_page
    assert ">late<" in on_home
    assert number == 1
    assert client.get("/readyz").status_code == 200, "and it turns well by itself"


@pytest.mark.promise("P22")
def test_a_source_that_is_held_is_seen_and_let_go_by_a_form(
    both: Joined, client: TestClient
) -> None:
    ran("P22", "states made and seen", 1)
    both.lineal.sweep("registry")
    both.work()
    for ident in sorted(both.estate.world.instances)[:11]:
        both.estate.change.delete("instance", ident, announce=False)
    both.lineal.sweep("registry")
    both.work()
    held, shown = source(client), page(client)
    number = metric(client, "lineal_source_held", source="registry")
    form = {"name": "registry", "do": "release", "actor": "ada", "reason": "cleaned up"}
    answer = client.post("/source", data=form)
    both.work()

    assert (held["held"], number) == (11, 11)
    assert "11 removals held back" in shown
    assert (answer.status_code, answer.headers["location"]) == (303, "/source?name=registry")
    assert source(client)["held"] == 0
    assert "ada, release of 11: cleaned up" in page(client)
    (deed,) = client.get("/api/v1/deeds").json()["value"]
    assert (deed["actor"], deed["what"], deed["count"]) == ("ada", "release", 11)


def test_a_release_by_rest_says_why(both: Joined, client: TestClient) -> None:
    refused = client.post("/api/v1/sources/registry/release", json={"reason": "so"})
    unsaid = client.post("/api/v1/sources/registry/release", json={})
    unknown = client.post("/api/v1/sources/nobody/release", json={"reason": "so"})

    assert (refused.status_code, unsaid.status_code, unknown.status_code) == (422, 422, 404)
    assert "Nothing of registry is held" in refused.json()["detail"]


# ── Dead letters ─────────────────────────────────────────────────────────────────────────────────


def bury(both: Joined, ident: str = "ranking-v5") -> None:
    both.estate.garble("registry")
    both.tell(ident)
    for _ in range(TRIES):
        both.work()
        both.clock.wait(300)
    both.work()
    both.estate.heal()


@pytest.mark.promise("P11", "P22")
def test_a_dead_letter_is_listed_shown_and_replayed(both: Joined, client: TestClient) -> None:
    ran("P22", "states made and seen", 1)
    bury(both)
    (letter,) = client.get("/api/v1/dead-letters", params={"source": "registry"}).json()["value"]
    alone = client.get(f"/api/v1/dead-letters/{letter['id']}").json()
    of_others = client.get("/api/v1/dead-letters", params={"source": "catalog"}).json()["value"]
    listed, seen = client.get("/dead-letters").text, page(client)
    said = {"ids": [letter["id"]], "actor": "ada"}
    done = client.post("/api/v1/dead-letters/replay", json=said).json()
    both.work()

    assert alone == letter
    assert (letter["stage"], letter["document"], letter["attempts"]) == (
        "fetch", "model:ranking-v5", TRIES,
    )  # fmt: skip
    assert of_others == []
    assert "model:ranking-v5" in listed
    assert "1 dead letter" in seen
    assert done == {"replayed": 1, "left": 0}
    assert client.get("/api/v1/dead-letters").json()["value"] == []
    assert source(client)["notices"]["applied"] == 1
    assert client.get(f"/api/v1/dead-letters/{letter['id']}").status_code == 404


def test_dead_letters_are_replayed_and_purged_by_forms(both: Joined, client: TestClient) -> None:
    bury(both)
    (letter,) = both.lineal.dead_letters()
    nameless = client.post("/dead-letters", data={"do": "replay"})
    senseless = client.post("/dead-letters", data={"do": "eat", "actor": "ada"})
    unreasoned = client.post("/dead-letters", data={"do": "purge", "actor": "ada"})
    purge = {"do": "purge", "id": str(letter.id), "actor": "ada", "reason": "an old <model>"}
    answer = client.post("/dead-letters", data=purge)

    assert [one.status_code for one in (nameless, senseless, unreasoned)] == [422, 422, 422]
    assert answer.status_code == 303
    assert both.lineal.dead_letters() == []
    assert "There are no dead letters" in client.get("/dead-letters").text
    assert "an old &lt;model&gt;" in page(client)
    assert source(client)["notices"]["purged"] == 1


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"id": [7]},
        {"sources": "registry"},
        {"ids": []},
        {"ids": [7], "all": True},
        {"ids": [7], "source": "registry"},
        {"ids": [2**63]},
    ],
)
def test_it_must_be_clear_which_letters_are_meant(
    both: Joined, client: TestClient, said: dict[str, Any]
) -> None:
    bury(both)
    for done in ("replay", "purge"):
        body = {**said, "actor": "ada"} | ({"reason": "old"} if done == "purge" else {})
        assert client.post(f"/api/v1/dead-letters/{done}", json=body).status_code == 422
    form = {"do": "purge", "actor": "ada", "reason": "old"}
    for more in ({}, {"id": "7x"}, {"id": "9" * 30}, {"all": "no"}):
        assert client.post("/dead-letters", data=form | more).status_code == 422

    assert len(both.lineal.dead_letters()) == 1


def test_all_letters_are_purged_where_all_are_meant(both: Joined, client: TestClient) -> None:
    bury(both)
    said = {"all": True, "actor": "ada", "reason": "old"}

    assert client.post("/api/v1/dead-letters/purge", json=said).json() == {"count": 1}
    assert both.lineal.dead_letters() == []


def test_a_form_of_another_site_decides_nothing(both: Joined, client: TestClient) -> None:
    bury(both)
    form = {"do": "replay", "actor": "eve"}
    answer = client.post("/dead-letters", data=form, headers={"origin": "http://evil.example"})

    assert answer.status_code == 403
    assert len(both.lineal.dead_letters()) == 1


def test_a_page_of_a_source_that_is_not_there_says_so(client: TestClient) -> None:
    assert client.get("/source", params={"name": "nobody"}).status_code == 404


# ── Promises ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.promise("P11", "P22")
def test_a_notice_that_is_lost_turns_readiness_red(both: Joined, client: TestClient) -> None:
    both.tell()
    both.work()
    with both.lineal.store.working() as ledger:
        ledger.flow.add("registry", "accepted", 1)
    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert "unaccounted" in answer.json()["detail"]
    assert metric(client, "lineal_notices_now", source="registry", fate="missing") == 1
    assert metric(client, "lineal_promises_broken", promise="accounting") == 1


@pytest.mark.promise("P22")
def test_work_that_fails_again_and_again_turns_readiness_red(tmp_path: Path) -> None:
    """Each turn fails, since the database may not be written; after a minute that is a promise."""
    clock = Clock()
    config = Config(db=tmp_path / "graph.db", index=False)
    with Lineal.open(config, clock=clock, pace=Pace(idle=0.01, longest=0.02)) as lineal:
        client = TestClient(create(lineal), base_url=BASE)

        def broken() -> int:
            raise OSError("the disk is gone")

        lineal.ingest.turn = lambda *_: broken()  # type: ignore[method-assign]
        lineal.start()
        while lineal._background.failing_since is None:
            clock.wait(0)
        at_first = client.get("/readyz").status_code
        clock.wait(60)
        later = client.get("/readyz")
        lineal.stop()

    assert at_first == 200
    assert (later.status_code, "the disk is gone" in later.json()["detail"]) == (503, True)


@pytest.mark.promise("P22")
def test_a_background_that_died_turns_readiness_red(tmp_path: Path) -> None:
    with Lineal.open(Config(db=tmp_path / "graph.db", index=False)) as lineal:
        client = TestClient(create(lineal), base_url=BASE)
        lineal.start()
        well = client.get("/readyz").status_code
        background = lineal._background
        background._stopping.set()
        background._threads[0].join()
        dead = client.get("/readyz")
        lineal.stop()

    assert (well, dead.status_code) == (200, 503)
    assert "has ended" in dead.json()["detail"]


# ── Schedules ────────────────────────────────────────────────────────────────────────────────────


def test_sweeps_are_due_by_their_plan() -> None:
    hourly = "0 * * * *"
    hour, known = 3_600 * SECOND, Standing("x", whole_at=0)

    assert due(hourly, None, 0)
    assert due(hourly, Standing("x"), 0)
    assert not due(hourly, known, hour - 1)
    assert due(hourly, known, hour)
    assert not due(None, None, hour)
    assert next_sweep(hourly, known) == hour
    assert next_sweep(hourly, Standing("x")) is None


def test_a_source_is_late_when_two_sweeps_were_missed() -> None:
    hour, hourly = 3_600 * SECOND, "0 * * * *"
    known = Standing("x", whole_at=1)
    never = known._replace(whole_at=None, began_at=1)

    assert late_since(hourly, known, 2 * hour) is None
    assert late_since(hourly, known, 2 * hour + 1) == 2 * hour
    assert late_since(hourly, never, 2 * hour + 1) == 2 * hour
    assert late_since(hourly, Standing("x"), 9 * hour) is None
    assert late_since(None, known, 9 * hour) is None


def test_planned_sweeps_are_done_in_the_background(tmp_path: Path) -> None:
    with small() as estate:
        config = Config(
            db=tmp_path / "graph.db", sources=(SOURCES,), variables={"ESTATE_URL": estate.url},
            index=False,
        )  # fmt: skip
        clock = Clock()
        pace = Pace(idle=0.02, sweeps=0.02)
        with Lineal.open(config, clock=clock, pace=pace) as lineal:
            lineal.start()
            wait_for_sweeps(lineal, since=0)
            estate.change.describe("model", "ranking-v5", "nobody told", announce=False)
            clock.wait(2 * DAY)
            wait_for_sweeps(lineal, since=clock.at)
            lineal.stop()
            assert lineal.drain().complete
            said = lineal.ask.search(LOCAL, "nobody told").value.hits

    assert [hit.name for hit in said][:1] != []


def test_what_somebody_asks_for_is_listed_at_once(tmp_path: Path) -> None:
    """And not when it is next looked at what is planned, which may be an hour from now."""
    with small() as estate:
        config = Config(
            db=tmp_path / "graph.db", sources=(SOURCES,), variables={"ESTATE_URL": estate.url},
            index=False,
        )  # fmt: skip
        clock = Clock()
        with Lineal.open(config, clock=clock, pace=Pace(idle=0.02, sweeps=3_600)) as lineal:
            lineal.start()
            wait_for_sweeps(lineal, since=0)
            clock.wait(1)
            for name in lineal.sources:
                lineal.sweep_soon(name)
            wait_for_sweeps(lineal, since=clock.at)
            lineal.stop()


def wait_for_sweeps(lineal: Lineal, since: int) -> None:
    """Wait until every source was listed whole since then."""
    for _ in range(3_000):
        known = {one.health.source: one.health.standing for one in lineal.standings().sources}
        if all((known[name].whole_at or -1) >= since for name in lineal.sources):
            return
        lineal.ingest.rest(0.02)
    pytest.fail("It was never listed.")


# ── The command line ─────────────────────────────────────────────────────────────────────────────


def run(*arguments: str, variables: dict[str, str] | None = None) -> Any:
    return CliRunner().invoke(main, list(arguments), env=variables or {})


def test_the_command_line_shows_and_changes_the_same(tmp_path: Path) -> None:
    db = tmp_path / "graph.db"
    with small() as estate:
        config = Config(db=db, sources=(SOURCES,), variables={"ESTATE_URL": estate.url})
        clock = Clock()
        with Lineal.open(config, clock=clock, chance=lambda: 0.0) as lineal:
            bury(Joined(estate, lineal, clock))
        env = {"LINEAL_DB": str(db), "LINEAL_SOURCES": str(SOURCES), "ESTATE_URL": estate.url}
        status = run("status", "--format", "json", variables=env)
        one = run("source", "status", "registry", variables=env)
        listed = run("dead", "list", "--format", "json", variables=env)
        (letter,) = json.loads(listed.stdout)["value"]
        number = str(letter["id"])
        shown = run("dead", "show", number, variables=env)
        replayed = run("dead", "replay", number, "--actor", "ada", variables=env)
        again = run("source", "release", "registry", "--reason", "so", variables=env)
        purged = run(
            "dead", "purge", "--source", "registry", "--reason", "old", "--actor", "ada",
            variables=env,
        )  # fmt: skip
        deeds = run("dead", "deeds", "--format", "json", variables=env)

    assert "registry" in {row["source"] for row in json.loads(status.stdout)["value"]}
    assert (one.exit_code, "dead" in one.stdout) == (0, True)
    assert "source_garbled" in shown.stdout
    assert (replayed.exit_code, "1 taken up again" in replayed.stdout) == (0, True)
    assert (again.exit_code, "Nothing of registry" in again.stderr) == (2, True)
    assert purged.exit_code == 0
    whats = [(one["what"], one["actor"]) for one in json.loads(deeds.stdout)["value"]]
    assert whats == [("purge", "ada"), ("replay", "ada")]


def test_a_file_says_that_a_declared_source_is_late(tmp_path: Path) -> None:
    """Its sweeps are planned in its file, and the database says when the last one ended."""
    db = tmp_path / "graph.db"
    with small() as estate:
        variables = {"ESTATE_URL": estate.url}
        config = Config(db=db, sources=(SOURCES,), variables=variables)
        with Lineal.open(config, clock=Clock(), chance=lambda: 0.0) as lineal:
            lineal.sweep("registry")
    undeclared = run("status", "--db", str(db))
    declared = run("status", "--db", str(db), "--source", str(SOURCES), variables=variables)
    by_setting = run(
        "status", "--db", str(db), variables={**variables, "LINEAL_SOURCES": str(SOURCES)}
    )

    assert (undeclared.exit_code, declared.exit_code, by_setting.exit_code) == (0, 1, 1)
    assert "registry was not listed whole in two of its planned sweeps" in declared.stdout
    assert "only a server can say" in " ".join(undeclared.stdout.split())


def test_a_folder_of_sources_may_call_them_yml(tmp_path: Path) -> None:
    for name in ("one.yaml", "two.yml", "three.txt"):
        (tmp_path / name).write_text("")

    assert [one.name for one in source_files([tmp_path])] == ["one.yaml", "two.yml"]


@pytest.mark.parametrize("arguments", [[], ["1", "--all"], ["--source", "x", "--all"]])
def test_which_letters_are_meant_must_be_said(arguments: list[str], tmp_path: Path) -> None:
    result = run("dead", "replay", *arguments, "--db", str(tmp_path / "x.db"))

    assert result.exit_code == 2
    assert "Give numbers" in result.stderr


@pytest.mark.parametrize("text", ["", "10", "0/5", "a/b", "10/", "10/0"])
def test_an_inbox_has_two_limits(text: str) -> None:
    with pytest.raises(ConfigError, match="LINEAL_INBOX"):
        Config.from_environment({"LINEAL_INBOX": text})
    found = Config.from_environment({"LINEAL_INBOX": "10/5"})
    assert (found.inbox, found.inbox_bytes) == (10, 5_000_000)


def test_an_inbox_that_is_full_by_bytes_takes_no_more(both: Joined) -> None:
    lineal = both.lineal
    lineal.ingest._receiving.most_bytes = 100
    lineal.receive("registry", [{"event_type": "model_updated", "model_id": "x" * 200}])

    with pytest.raises(Exception, match="wait to be taken in"):
        both.tell()
    assert not lineal.ingest.room()
    both.work()
    assert lineal.ingest.room()


def test_a_purge_needs_a_reason(both: Joined) -> None:
    with pytest.raises(Invalid, match="reason"):
        both.lineal.purge(actor="ada", reason=" ")

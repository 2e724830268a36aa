"""Two times on every read: no question, route, command or page reads facts without them."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from lineal.app import Lineal
from lineal.client import Client
from lineal.model import Answer, Moment, Viewer
from lineal.query import Questions
from lineal.store import work
from lineal.surfaces.cli import main
from lineal.surfaces.cli.local import Local
from lineal.surfaces.crowding import FewAtOnce
from lineal.surfaces.portal.pages import Portal
from lineal.surfaces.server import create
from tests import world

BASE = "http://127.0.0.1:8585"

#: What reads no facts of the estate: what is declared, and how the installation itself stands.
NO_FACTS = {
    "rest": {
        *("/api/v1/types", "/api/v1/health", "/api/v1/dead-letters", "/api/v1/deeds"),
        *("/api/v1/dead-letters/{number}", "/api/v1/doors", "/api/v1/sources/{name}/findings"),
        *("/api/v1/rules", "/api/v1/rules/{name}"),
    },
    "portal": {"/static/{name}", "/favicon.ico", "/source", "/dead-letters", "/rules/{name}"},
    "client": {
        *("types", "health", "dead_letters", "dead_letter", "deeds", "findings"),
        *("rules", "rule", "dry_run"),
    },
    "cli": {
        *("types", "status", "demo", "serve", "send", "import openlineage", "import dbt"),
        *("import files", "source list", "source sweep", "import datahub"),
        # A database as a whole, with all its times.
        *(
            "db check",
            "db backup",
            "db restore",
            "db upgrade",
            "db compact",
            "db export",
            "db import",
        ),
        *("source status", "source release", "source rebuild"),
        *("source new", "source test", "source schema"),
        *("dead list", "dead show", "dead replay", "dead purge", "dead deeds"),
        *("identity merge", "identity split", "verify", "forget excise", "forget old"),
        *("rules list", "rules test", "rules dry-run", "rules enable", "rules disable"),
    },
}


@pytest.fixture(scope="module")
def lineal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lineal]:
    with world.told(tmp_path_factory.mktemp("world")) as found:
        yield found


@pytest.fixture(scope="module")
def client(lineal: Lineal) -> Iterator[TestClient]:
    with TestClient(create(lineal), base_url=BASE) as found:
        yield found


def public(owner: type) -> dict[str, Any]:
    """Return the public methods of a class."""
    return {
        name: member
        for name, member in inspect.getmembers(owner, inspect.isfunction)
        if not name.startswith("_")
    }


def test_every_question_takes_a_viewer_and_a_moment() -> None:
    questions = public(Questions)

    assert len(questions) >= 20
    for name, question in questions.items():
        hints = typing.get_type_hints(question)
        assert hints.pop("return").__origin__ is Answer, name
        assert Viewer in hints.values(), name
        assert Moment in hints.values(), name


def _reads(client: TestClient) -> dict[str, set[str]]:
    """Return every route that answers a question, and what it takes."""
    document = client.get("/api/v1/openapi.json").json()
    return {
        path: {one["name"] for one in item["get"].get("parameters", ())}
        for path, item in document["paths"].items()
        if "get" in item and path.startswith("/api/v1/")
    }


def test_every_route_that_answers_takes_both_times_and_reads_them(client: TestClient) -> None:
    reads = _reads(client)
    without = {path for path, names in reads.items() if not {"known_at", "valid_at"} <= names}

    assert without == NO_FACTS["rest"]
    for path in reads.keys() - without:
        for name in ("known_at", "valid_at"):
            answer = client.get(path, params={**_taken(reads[path]), name: "never"})
            assert answer.status_code == 422, path
            assert f"{name} is 'never'" in answer.json()["detail"], path


#: What makes a request of any route whole but for its times.
_ARGUMENTS = {
    "uri": world.V5, "from": world.V5, "kind": "trained_for", "to": world.TEST, "type": "dataset",
    "from_known_at": "t:1",
}  # fmt: skip


def _taken(names: set[str]) -> dict[str, str]:
    """Return those of the arguments that a route takes: others would be refused."""
    return {name: value for name, value in _ARGUMENTS.items() if name in names}


def test_a_comparison_takes_two_pairs_of_times(client: TestClient) -> None:
    reads = _reads(client)
    for path in ("/api/v1/diff", "/api/v1/diff/lineage", "/api/v1/diff/type"):
        arguments = {**_taken(reads[path]), "from_known_at": ""}
        for name in ("from_known_at", "from_valid_at"):
            answer = client.get(path, params={**arguments, name: "never"})
            assert answer.status_code == 422, path
            assert f"{name} is 'never'" in answer.json()["detail"], path
        unsaid = client.get(path, params=arguments)
        assert "not said from when" in unsaid.json()["detail"]


def commands(group: click.Group, above: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command by its whole name."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


def test_every_command_that_asks_takes_both_times() -> None:
    options = {
        name: {parameter.name for parameter in command.params} for name, command in commands(main)
    }
    timed = {name for name, names in options.items() if {"known_at", "valid_at"} <= names}
    compared = {name for name, names in options.items() if {"earlier", "later"} <= names}

    assert compared == {"diff", "schema-changes"}
    assert options.keys() - timed - compared == NO_FACTS["cli"]


@pytest.mark.parametrize("owner", [Client, Local])
def test_every_answer_of_a_program_takes_both_times(owner: type) -> None:
    without = {
        name
        for name, method in public(owner).items()
        if not any(
            one.kind is inspect.Parameter.VAR_KEYWORD
            for one in inspect.signature(method).parameters.values()
        )
    }

    doing = {"send", "send_openlineage", "close", "replay", "purge", "release", "sweep"}
    doing |= {"switch_rule"}
    assert without - doing == NO_FACTS["client"]


def test_every_page_takes_both_times_and_reads_them(lineal: Lineal, client: TestClient) -> None:
    routes = [
        route
        for route in Portal(lineal, FewAtOnce()).router().routes
        if isinstance(route, APIRoute)
    ]
    without = set()
    for route in routes:
        names = {
            field.alias
            for dependency in (route.dependant, *route.dependant.dependencies)
            for field in dependency.query_params
        }
        if not {"known_at", "valid_at"} <= names:
            without.add(route.path)
            continue
        for name in ("known_at", "valid_at"):
            answer = client.get(route.path, params={**_ARGUMENTS, name: "never"})
            assert answer.status_code == 422, route.path

    assert len(routes) >= 10
    assert without == NO_FACTS["portal"]


# ── The two times do what they say, everywhere ───────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("times", "state", "status"),
    [
        ({}, "hydrated", "ready"),
        ({"known_at": "t:1"}, "hydrated", "pending"),
        ({"valid_at": "2026-11-17"}, "hydrated", "pending"),
        ({"valid_at": "2026-11-01"}, "not_observed", None),
    ],
)
def test_a_thing_is_as_it_was(
    client: TestClient, times: dict[str, str], state: str, status: str | None
) -> None:
    found = client.get("/api/v1/entities", params={"uri": world.V5, **times}).json()["value"]

    assert (found["state"], found["status"]) == (state, status)


def test_what_was_not_known_of_yet_says_since_when_it_is(client: TestClient) -> None:
    asked = {"uri": world.V5, "known_at": "2026-11-01"}
    answer = client.get("/api/v1/entities", params=asked)
    page = client.get("/entity", params=asked)
    never = client.get("/api/v1/entities", params={**asked, "uri": "mlg://model/a/b"})

    assert (answer.status_code, answer.json()["code"]) == (404, "not_observed")
    assert "first recorded by transaction 1" in answer.json()["fix"]
    assert page.status_code == 404
    assert "See it as it is now" in page.text
    assert never.json()["code"] == "not_found"


def test_a_page_of_what_was_not_observed_says_so(client: TestClient) -> None:
    page = client.get("/entity", params={"uri": world.V5, "valid_at": "2026-11-01"}).text

    assert "<strong>Not observed.</strong>" in page
    assert "Nobody owns this" not in page
    assert "not by then" in page


def test_what_fails_now_is_told_of_now_only(tmp_path: Path) -> None:
    """Also by a page, which asks its parts one after the other, all at one transaction."""
    document = ("registry", "model-version/ranking-model/v5")
    with world.told(tmp_path) as lineal, TestClient(create(lineal), base_url=BASE) as client:
        with lineal.store.working() as connection:
            work.mark(connection, *document, deleted=False, due_at=0)
            (dirty,) = work.due(connection.driver, world.NOW, 10)
            work.put_off(connection, dirty, due_at=world.NOW, error="down")
        states = {
            when: client.get("/api/v1/entities", params={"uri": world.V5, **times}).json()
            for when, times in {"now": {}, "then": {"known_at": "t:2"}}.items()
        }
        now = client.get("/entity", params={"uri": world.MODEL}).text
        then = client.get("/entity", params={"uri": world.MODEL, "known_at": "t:2"}).text

    assert {when: one["value"]["state"] for when, one in states.items()} == {
        "now": "stale", "then": "hydrated",
    }  # fmt: skip
    assert states["then"]["value"]["confirmed_at"] == "2026-11-20T14:30:00Z"
    assert "chip state-stale" in now
    assert "chip state-stale" not in then

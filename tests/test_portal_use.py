"""The portal's pages of use, of what is alike and of schema changes: each says how far it goes."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from lineal.app import Lineal
from lineal.model import Uri
from lineal.store import Batch
from lineal.surfaces.server import create
from tests import world
from tests.test_portal import BASE, look
from tests.world import FEATURES, GENRES, HOURS, MODEL, PLAYS, edge, record

OTHER = Uri("mlg://model/registry/evidence-model")
IDLE = Uri("mlg://dataset/warehouse/prod/core/never_read")


@pytest.fixture(scope="module")
def lineal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lineal]:
    """Hold the world, a second model that takes a feature, an idle table, and a new type."""
    with world.told(tmp_path_factory.mktemp("world")) as found:
        said = [
            record("registry", OTHER, {"name": "evidence-model"}, [edge(OTHER, "consumes", HOURS)]),
            record("catalogue", IDLE, {"name": "never_read"}),
        ]
        found.store.commit(Batch(said, actor="sweep", cause="a second model"))
        hours = record(
            "features", HOURS, {"name": "hours_watched_7d", "data_type": "int"},
            [edge(HOURS, "in_set", FEATURES)], at=world.NOW,
        )  # fmt: skip
        found.store.commit(Batch([hours], actor="ada", cause="whole hours"))
        yield found


@pytest.fixture(scope="module")
def client(lineal: Lineal) -> Iterator[TestClient]:
    with TestClient(create(lineal), base_url=BASE) as found:
        yield found


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Answer of an empty graph."""
    with (
        world.empty(tmp_path_factory.mktemp("empty")) as lineal,
        TestClient(create(lineal), base_url=BASE) as found,
    ):
        yield found


def test_what_is_shared_most_comes_with_consumers_and_teams_as_the_api_says(client):
    page = look(client, "/shared")
    told = client.get("/api/v1/shared").json()

    assert f"{len(told['value'])} things complete as of 23 Nov 2026" in page.text
    first = told["value"][0]
    assert f"{first['consumers']} {first['teams']} Personalization" in page.text
    assert [link for link in page.links if "/entity?uri=mlg://dataset" in link or
            "/entity?uri=mlg://feature" in link or "/entity?uri=mlg://pipeline" in link] == [
        f"/entity?uri={one['uri']}" for one in told["value"]
    ]  # fmt: skip


def test_only_one_type_is_shown_where_it_is_chosen(client):
    page = look(client, "/shared?type=pipeline")

    assert f"/entity?uri={PLAYS}" not in page.links
    assert f"/entity?uri={world.FEATURE_JOB}" in page.links


def test_what_is_unused_says_since_when_and_whose_it_is(client):
    page = look(client, "/unused?type=dataset")

    assert "never_read" in page.text
    assert "nothing ever, since it was first recorded" in page.text
    assert "nobody" in page.text
    assert f"/entity?uri={PLAYS}" not in page.links


def test_an_owner_is_named_as_people_do(client):
    page = look(client, "/unused?owner=Personalization")
    unknown = look(client, "/unused?owner=nobody-so-called")

    assert "never_read" not in page.text
    assert f"uri={world.TEAM}" in next(link for link in page.links if "/api/v1/unused" in link)
    assert "Nothing is called nobody-so-called" in unknown.text
    assert "the list is of everybody" in unknown.text


def test_what_is_like_a_model_or_feature_has_a_score_and_a_reason(client):
    of_model = look(client, f"/alike?uri={MODEL}")
    of_feature = look(client, f"/alike?uri={HOURS}")
    told = client.get("/api/v1/similar", params={"uri": HOURS}).json()["value"]

    assert "evidence-model" in of_model.text
    assert "Both consume 1 of the 2 features of either: hours_watched_7d" in of_model.text
    assert f"{told[0]['score']:.2f}" in of_feature.text
    assert f"/entity?uri={GENRES}" in of_feature.links
    assert f"/common?uri={MODEL}&uri={OTHER}" in of_model.links
    assert f"/alike?uri={MODEL}" in look(client, f"/entity?uri={MODEL}").links
    assert f"/alike?uri={PLAYS}" not in look(client, f"/entity?uri={PLAYS}").links
    assert "consumes no features" in look(client, f"/alike?uri={PLAYS}", 422).text


def test_features_that_a_model_may_want_are_told_with_whom_they_come_from(client):
    of_model = look(client, f"/alike?uri={OTHER}")
    told = client.get("/api/v1/wanted-features", params={"uri": OTHER}).json()["value"]

    assert [one["thing"]["uri"] for one in told] == [GENRES]
    assert told[0]["reason"] in of_model.text
    assert {f"/entity?uri={GENRES}", f"/entity?uri={MODEL}"} <= set(of_model.links)
    assert "A suggestion is no fact" in of_model.text


def test_of_a_pipeline_features_are_suggested_for_the_models_that_it_trains(client):
    page = look(client, f"/alike?uri={world.FEATURE_JOB}")

    assert "No feature is suggested" in page.text
    assert any("/api/v1/wanted-features" in link for link in page.links)
    assert (
        f"/alike?uri={world.FEATURE_JOB}" in look(client, f"/entity?uri={world.FEATURE_JOB}").links
    )


def test_a_schema_change_says_what_became_of_what_why_and_whom_it_touches(client):
    page = look(client, "/schema-changes?from=t:3")

    assert "1 change complete" in page.text
    assert "retyped" in page.text
    assert "float → int" in page.text
    assert "whole hours, by ada" in page.text
    assert "with something live on them" in page.text
    assert "To be told:" in page.text


def test_what_came_takes_no_place_from_what_changed(client, lineal):
    told = client.get("/api/v1/schema-changes", params={"from_known_at": "t:0", "limit": 1}).json()
    gone = client.get("/api/v1/schema-changes", params={"from_known_at": "t:1", "limit": 1}).json()

    assert [one["what"] for one in told["value"]["changes"]] == ["added"]
    assert gone["value"]["by_what"] == {"added": 1, "dropped": 1, "retyped": 1}
    assert [one["what"] for one in gone["value"]["changes"]] == ["dropped"]
    assert gone["why"] == ["1 of 3 are listed; counts are of all"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/shared", "A source that tells of A/B tests or deployments"),
        ("/unused", "Everything here is in use"),
        ("/schema-changes", "This page fills from sources that name columns"),
    ],
)
def test_an_empty_page_says_what_fills_it(nothing, path, words):
    page = look(nothing, path)

    assert words in page.text
    assert "complete as of" in page.text


def test_what_is_cut_says_why(tmp_path):
    many = [
        record("catalogue", Uri.of("dataset", "warehouse", f"t{n}"), {"name": f"t{n}"})
        for n in range(120)
    ]
    with world.empty(tmp_path) as lineal, TestClient(create(lineal), base_url=BASE) as client:
        lineal.store.commit(Batch(many, actor="test", cause="test"))
        page = look(client, "/unused")

    assert "This list is not complete. 100 of 120 are listed" in page.text
    assert "100 of 120 things not complete as of" in page.text


# ── What several things have to do with each other ───────────────────────────────────────────────


def test_rows_of_a_search_are_chosen_and_kept_over_searches(client):
    page = look(client, f"/search?q=ranking&uri={PLAYS}")

    assert {"/common", "/search"} <= set(page.forms)
    assert page.fields["uri"] == PLAYS
    assert any("q=ranking%20type:model" in link and f"uri={PLAYS}" in link for link in page.links)
    assert "/search?q=ranking" in page.links


def test_two_chosen_are_told_what_lies_between_and_of_more_it_is_asked_which(client):
    two = look(client, f"/between?uri={PLAYS}&uri={world.V5}")
    three = look(client, f"/between?uri={PLAYS}&uri={world.V5}&uri={world.TEST}")
    one = look(client, f"/between?uri={PLAYS}")

    assert "Between events/plays and ranking-model v5" in two.text
    assert "Between which two?" in three.text
    assert any(f"to={world.V5}" in link for link in three.links if "/between?" in link)
    assert "From events/plays to" in one.text
    assert "Nothing was chosen" in look(client, "/between", 422).text
    assert "Nothing was chosen" in look(client, "/common", 422).text


def test_a_thing_s_own_page_leads_to_what_it_has_to_do_with_another(client):
    assert "/between" in look(client, f"/entity?uri={world.V5}").forms

"""The page of a closure: what it counts is what the API counts, and each bar leads to its part."""

from collections.abc import Iterator
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from lineal.app import Lineal
from lineal.model import Uri
from lineal.store import Batch
from lineal.surfaces.portal import counting
from lineal.surfaces.portal.desk import Desk
from lineal.surfaces.portal.walks import OWNERS
from lineal.surfaces.server import create
from tests import world
from tests.test_portal import BASE, look
from tests.world import PLAYS, V5, edge, record

TABLE = Uri("mlg://dataset/warehouse/prod/core/hub")
STAGES = ("production", "staging")
RANK, SEARCH = (Uri.of("domain", "people", name) for name in ("rank", "search"))


@pytest.fixture(scope="module")
def lineal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lineal]:
    """Hold the world, and a table of which more is made than a page holds."""
    with world.told(tmp_path_factory.mktemp("world")) as found:
        many = [Uri.of("dataset", "warehouse", f"part{at:03}") for at in range(counting.SIZE + 20)]
        said = [
            record(
                "catalogue", one, {"name": one.name, "stage": STAGES[at % 4 == 0]},
                [edge(one, "derived_from", TABLE if at < 60 else many[0]),
                 edge(one, "in_domain", RANK if at % 2 else SEARCH),
                 edge(one, "owned_by", Uri.of("team", "people", f"t{at % 23}"))],
            )
            for at, one in enumerate(many)
        ]  # fmt: skip
        said.append(record("catalogue", TABLE, {"name": "hub"}))
        found.store.commit(Batch(said, actor="test", cause="a hub"))
        yield found


@pytest.fixture(scope="module")
def client(lineal: Lineal) -> Iterator[TestClient]:
    with TestClient(create(lineal), base_url=BASE) as found:
        yield found


def asked(link: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}


def test_all_that_a_thing_feeds_is_counted_as_the_api_counts_it(client):
    page = look(client, f"/closure?uri={TABLE}")
    told = client.get("/api/v1/closure", params={"uri": TABLE}).json()

    assert f"{told['total']} things complete" in page.text
    for name, many in told["value"]["by_stage"].items():
        assert f"{name} {many}" in page.text
    assert "rank 35" in page.text
    assert "nobody" not in page.text
    assert "and 3 more owners" in page.text
    assert f"1–{counting.SIZE} of 70, nearest first" in page.text
    assert "not complete" not in page.text


def test_a_bar_leads_to_just_its_things_and_back(client):
    page = look(client, f"/closure?uri={TABLE}")
    link = next(one for one in page.links if asked(one).get("stage") == "staging")
    narrowed = look(client, link)

    assert "18 things complete" in narrowed.text
    assert "stage staging ×, remove" in narrowed.text
    back = [one for one in narrowed.links if one.startswith("/closure") and "stage" not in one]
    assert f"/closure?uri={TABLE}" in back
    both = next(one for one in narrowed.links if asked(one).get("domain") == SEARCH)
    assert asked(both)["stage"] == "staging"
    api = next(one for one in narrowed.links if one.startswith("/api/v1/closure"))
    assert client.get(api).json()["total"] == 18


def test_each_bar_leads_to_as_many_as_it_says(client):
    page = look(client, f"/closure?uri={PLAYS}")
    links = [
        one for one in page.links
        if one.startswith("/closure") and {"type", "live", "distance"} & asked(one).keys()
    ]  # fmt: skip

    assert len(links) > 5
    for link in dict.fromkeys(links):
        narrowed = look(client, link)
        assert "Nothing fits" not in narrowed.text
        assert "things complete" in narrowed.text or "1 thing complete" in narrowed.text


def test_pages_tell_all_of_it_once(client):
    first = look(client, f"/closure?uri={TABLE}")
    further = next(one for one in first.links if asked(one).get("page") == "2")
    second = look(client, further)
    beyond = look(client, f"/closure?uri={TABLE}&page=9")

    told = [
        [one for one in page.links if one.startswith("/entity?uri=mlg://dataset/warehouse/part")]
        for page in (first, second)
    ]
    assert [len(one) for one in told] == [counting.SIZE, 20]
    assert not set(told[0]) & set(told[1])
    assert "There are no more things" in beyond.text


def test_a_thing_and_its_lineage_lead_to_all_of_it(client):
    assert f"/closure?uri={V5}" in look(client, f"/entity?uri={V5}").links
    links = look(client, f"/lineage?uri={V5}").links

    assert f"/closure?uri={V5}&side=upstream" in links
    assert "was made from" in look(client, f"/closure?uri={V5}&side=upstream").text


def test_what_has_nothing_says_so_and_what_fills_it(client):
    nothing = look(client, f"/closure?uri={TABLE}&side=upstream")
    unfit = look(client, f"/closure?uri={TABLE}&stage=nowhere")

    assert "Nothing is known that hub was made from" in nothing.text
    assert f"/closure?uri={TABLE}&side=downstream" in nothing.links
    assert "Nothing fits all of these" in unfit.text
    assert f"/closure?uri={TABLE}" in unfit.links


def test_what_is_asked_wrongly_is_refused_in_words(client):
    assert "Give a number of steps" in look(client, f"/closure?uri={TABLE}&distance=far", 422).text
    look(client, f"/closure?uri={TABLE}&owner=mlg://team/people/unheard-of", 404)


def test_a_count_that_was_cut_says_why(lineal: Lineal) -> None:
    """There is no time at all: what was looked at by then is counted, and the page says so."""
    app = FastAPI()
    for path, page in counting.Counting(Desk(lineal), patience=0).pages().items():
        app.add_api_route(path, page)
    with TestClient(app, base_url=BASE) as client:
        found = look(client, f"/closure?uri={TABLE}")

    assert "This count is not complete." in found.text
    assert "not complete as of" in found.text
    assert "Nothing is known" not in found.text


def test_whoever_must_be_told_is_named_the_worst_first_and_the_others_in_short(client):
    page = look(client, f"/impact?uri={TABLE}")

    assert f"{23 - OWNERS} more, with what of theirs is touched" in page.text
    for at in range(23):
        assert any(f"mlg://team/people/t{at}" in unquote(link) for link in page.links)

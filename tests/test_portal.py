"""The portal: its pages say what is so, lead on at the same moment, and let nothing run."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

import pytest
from starlette.testclient import TestClient

from lineal.app import Lineal
from lineal.model import Budget, Json, Uri
from lineal.query import Ask, Questions
from lineal.search import parse
from lineal.shapes import Shapes
from lineal.store import Batch
from lineal.surfaces.portal import finding
from lineal.surfaces.portal.words import markdown
from lineal.surfaces.server import create
from tests import world
from tests.world import FEATURES, MODEL, OLD_EXPORT, PLAYS, SERVICE, TEST, V5, edge, record

BASE = "http://127.0.0.1:8585"
HOSTILE = "<script>alert(1)</script>\"'&amp;{{7*7}}\u202e"
HOSTILE_URI = Uri.of("dataset", "warehouse", HOSTILE)
#: As a query writes it.
ASKED = quote(HOSTILE_URI)

WHOLE = ("/shared", "/unused", "/schema-changes")
PAGES = [
    "/",
    "/search?q=ranking",
    "/search?q=rankng",
    f"/entity?uri={V5}",
    f"/entity?uri={PLAYS}",
    f"/entity?uri={OLD_EXPORT}",
    f"/entity?uri={SERVICE}",
    f"/lineage?uri={MODEL}",
    f"/lineage?uri={MODEL}&up=all&down=all&view=list",
    f"/closure?uri={PLAYS}",
    f"/closure?uri={V5}&side=upstream&grain=exact&page=2",
    f"/closure?uri={PLAYS}&type=model&live=false&stage=-&owner=-&distance=1",
    f"/impact?uri={PLAYS}",
    f"/impact?uri={PLAYS}&change=dropped",
    f"/impact?uri={V5}&change=rolled_back",
    f"/between?from={PLAYS}&to={V5}",
    f"/between?from={PLAYS}&to=ranking",
    f"/between?from={PLAYS}&to=nothing-so-called",
    f"/between?from={TEST}&to={world.OLD_EXPORT}",
    f"/common?uri={V5}",
    f"/common?uri={V5}&to={world.V4}",
    f"/common?uri={V5}&uri={world.V4}&side=downstream",
    f"/common?uri={V5}&to={quote(HOSTILE)}",
    f"/history?uri={V5}",
    f"/changes?uri={V5}&from=2026-11-18",
    f"/changes?uri={V5}&from=t:0",
    f"/changes?uri={MODEL}&from=2026-11-01&along=valid",
    f"/changes?uri={PLAYS}",
    f"/facts?uri={V5}",
    f"/edge?from={V5}&kind=trained_for&to={TEST}",
    f"/search?q=ranking&uri={V5}&uri={PLAYS}",
    f"/between?uri={PLAYS}&uri={V5}",
    f"/between?uri={PLAYS}&uri={V5}&uri={TEST}",
    "/shared",
    "/shared?type=pipeline",
    "/unused",
    "/unused?owner=Personalization&days=0",
    "/unused?owner=nobody-so-called",
    f"/alike?uri={MODEL}",
    f"/alike?uri={world.HOURS}",
    "/schema-changes",
    "/schema-changes?from=t:1&to=t:2",
    "/schema-changes?from=t:2&type=column",
    "/rules/trained_for",
    "/rules/served_untrained",
    f"/entity?uri={world.V4}",
    f"/entity?uri={world.CONTROL}",
]
#: Pages that are of now, whatever time is asked about.
OF_NOW = ["/rules"]


@pytest.fixture(scope="module")
def lineal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lineal]:
    with world.told(tmp_path_factory.mktemp("world")) as found:
        said: dict[str, Json] = dict.fromkeys(("name", "description", "status"), HOSTILE)
        said |= {"tags": [HOSTILE], HOSTILE: {HOSTILE: HOSTILE}}
        hostile = record("catalogue", HOSTILE_URI, said)
        feeds = record(
            "feeds", FEATURES, {"format": "none"}, [edge(FEATURES, "derived_from", HOSTILE_URI)]
        )
        found.store.commit(Batch([hostile, feeds], actor=HOSTILE, cause=HOSTILE))
        yield found


@pytest.fixture(scope="module")
def client(lineal: Lineal) -> Iterator[TestClient]:
    with TestClient(create(lineal), base_url=BASE) as found:
        yield found


class Page(HTMLParser):
    """What a page holds: its words, its links, and whatever could run."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words, self.links, self.forms = "", list[str](), list[str]()
        self.inline, self.ids, self.headings = list[str](), list[str](), list[str]()
        self.fields = dict[str, str]()
        self._skipped = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        self.inline += [name for name in said if name == "style" or name.startswith("on")]
        self.inline += [tag] * (tag == "style" or (tag == "script" and "src" not in said))
        self.links += [said["href"]] if tag == "a" and "href" in said else []
        self.forms += [said.get("action", "")] if tag == "form" else []
        self.ids += [said["id"]] if "id" in said else []
        self.headings += [tag] if re.fullmatch("h[1-6]", tag) else []
        if tag == "input" and said.get("type") == "hidden":
            self.fields[said["name"]] = said.get("value", "")

    def handle_data(self, data: str) -> None:
        self.words += data

    @property
    def text(self) -> str:
        """Its words, with single spaces."""
        return re.sub(r"\s+", " ", self.words)


def look(client: TestClient, path: str, status: int = 200) -> Page:
    """Return a page that must be there."""
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Page(answer.text)


# ── Every page ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", PAGES + OF_NOW)
def test_nothing_in_a_page_runs_and_every_id_is_its_own(client, path):
    page = look(client, path)

    assert page.inline == []
    assert len(page.ids) == len(set(page.ids))
    assert page.headings[0] == "h1"
    assert page.headings.count("h1") == 1


@pytest.mark.parametrize("path", PAGES + OF_NOW)
def test_every_link_of_a_page_leads_somewhere(client, path):
    for link in {link for link in look(client, path).links if link.startswith("/")}:
        assert client.get(link).status_code == 200, link


def api_link(page: Page) -> SplitResult:
    """Return where a page leads as JSON."""
    (link,) = {link for link in page.links if link.startswith("/api/v1/") and "openapi" not in link}
    return urlsplit(link)


@pytest.mark.parametrize("number", [1, 2])
def test_a_page_of_results_as_json_is_the_same_page(client, number):
    page = look(client, f"/search?q=&page={number}")
    hits = client.get(api_link(page).geturl()).json()["value"]["hits"]

    assert hits
    for hit in hits:
        assert any(f"uri={quote(hit['uri'], safe='/:,')}" in link for link in page.links)


def test_columns_as_json_are_columns(client):
    query = parse_qs(api_link(look(client, f"/lineage?uri={PLAYS}&columns=1")).query)

    assert query["columns"] == ["true"]
    assert "columns" not in api_link(look(client, f"/lineage?uri={PLAYS}")).query


@pytest.mark.parametrize(
    ("asked", "first", "second"),
    [
        ("valid_at=2026-11-21T00:00:00Z&from=t:1", ("t:1", "2026-11-21"), ("t:3", "2026-11-21")),
        (
            "valid_at=2026-11-21T00:00:00Z&from=t:1&to=t:2",
            ("t:1", "2026-11-21"),
            ("t:2", "2026-11-21"),
        ),
        ("along=valid&to=2026-11-20", ("t:3", "2026-11-13"), ("t:3", "2026-11-20")),
        ("along=valid&from=t:1&to=t:2", ("t:3", "2026-11-16T08"), ("t:3", "2026-11-20T14:30")),
        ("along=valid&from=t:1", ("t:3", "2026-11-16T08"), ("t:3", "")),
        ("to=t:1", ("t:0", "2026-11-09T08"), ("t:1", "2026-11-16T08")),
    ],
)
def test_two_moments_are_those_that_were_asked_for(client, asked, first, second):
    """Where no first one is said it is a week before the second, never after it."""
    query = parse_qs(api_link(look(client, f"/changes?uri={V5}&{asked}")).query)
    before = query["from_known_at"][0], query["from_valid_at"][0]
    after = query["known_at"][0], query["valid_at"][0]

    for told, expected in ((before, first), (after, second)):
        assert told[0] == expected[0]
        assert told[1].startswith(expected[1])


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("moment", [{"known_at": "t:2"}, {"valid_at": "2026-11-22T00:00:00Z"}])
def test_links_and_forms_keep_the_moment(client, path, moment):
    ((name, value),) = moment.items()
    page = look(client, f"{path}{'&' if '?' in path else '?'}{name}={value}")

    own = urlsplit(path)
    for link in page.links:
        target = urlsplit(link)
        asked = parse_qs(target.query)
        back_to_now = target.path == own.path and name not in asked
        if target.path in (
            *WHOLE,
            "/",
            "/search",
            "/entity",
            "/lineage",
            "/impact",
            "/facts",
            "/edge",
        ):
            assert name in asked or back_to_now, link
    assert page.fields.get(name, value) == value
    assert "You look at the graph" in page.text


def test_no_page_asks_another_server_for_anything(client):
    for path in PAGES:
        html = client.get(path).text
        assert (
            re.findall(
                r'(?:src|href)="(?:https?:)?//(?!registry\.example|wiki|chat\.example)', html
            )
            == []
        )


# ── Hostile words ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path",
    [
        "/search?q=alert",
        "/search?q=%3Cscript%3Ealert(1)%3C/script%3E",
        "/search?q=foo:%3Cscript%3E",
        f"/entity?uri={ASKED}",
        f"/lineage?uri={ASKED}",
        f"/lineage?uri={ASKED}&view=list",
        f"/impact?uri={ASKED}",
        f"/history?uri={ASKED}",
        f"/facts?uri={ASKED}",
        f"/edge?from={FEATURES}&kind=derived_from&to={ASKED}",
        f"/entity?uri={V5}&known_at=%3Cscript%3E",
        f"/entity?uri={V5}&x=%22%3E%3Cscript%3E",
        "/entity?uri=mlg://model/%3Cscript%3E/x",
        "/%3Cscript%3E",
    ],
)
def test_hostile_names_stay_words(client, path):
    answer = client.get(path)

    assert "<script>" not in answer.text
    assert "&amp;amp;49" not in answer.text
    assert Page(answer.text).inline == []


def test_a_hostile_name_can_be_read(client):
    assert "<script>alert(1)</script>" in look(client, f"/entity?uri={ASKED}").text


@pytest.mark.parametrize(
    "text",
    [
        "[x](javascript:alert(1))", "<img src=x onerror=alert(1)>", "[x](data:text/html,x)",
        "<svg onload=alert(1)>", "![x](https://elsewhere.example/x.png)", "<a style='x'>",
    ],
)  # fmt: skip
def test_markdown_can_do_no_harm(text):
    html = str(markdown(text))

    assert not re.search(r"<(img|svg|script)|javascript:\w+.*href|href=\"(javascript|data):", html)


def test_links_of_descriptions_tell_nothing():
    assert 'rel="noopener noreferrer nofollow"' in markdown("[a](https://x.example)")


# ── Pages one by one ─────────────────────────────────────────────────────────────────────────────


def test_an_empty_graph_says_how_to_begin(tmp_path: Path):
    with world.empty(tmp_path) as lineal, TestClient(create(lineal), base_url=BASE) as client:
        page = look(client, "/")

    assert "The graph is empty" in page.text
    assert "lineal demo" in page.text
    assert f"OPENLINEAGE_URL={BASE}" in page.text


def test_home_counts_what_there_is_and_names_the_sources(client):
    page = look(client, "/")

    assert "/search?q=type:ab-test" in page.links
    assert "A/B test cells" in page.text
    assert "orchestrator" in page.text


def test_search_shows_facets_as_links(client):
    page = look(client, "/search?q=ranking")

    assert "10 results for ranking" in page.text
    assert "/search?q=ranking%20type:model" in page.links


def test_a_search_of_one_type_shows_its_facets_and_the_help_names_all(client):
    page = look(client, "/search?q=type:model-version")

    assert "/search?q=type:model-version%20framework:%22xgboost%202.1%22" in page.links
    assert "Framework" in page.text
    assert "risk_class:" in page.text
    assert "Framework" not in look(client, "/search?q=ranking").text


def test_a_chosen_facet_can_be_let_go(client):
    page = look(client, "/search?q=ranking type:model")

    assert "/search?q=ranking" in page.links


def test_no_result_says_which_filter_removed_everything(client):
    page = look(client, "/search?q=ranking type:user")

    assert "Without type:user there are 10 results" in page.text


def test_no_result_names_what_is_near(client):
    page = look(client, "/search?q=rankng")

    assert "Did you mean" in page.text
    assert f"/entity?uri={MODEL}" in page.links


def test_a_pager_leads_on(client):
    page = look(client, "/search?q=")

    assert "/search?page=2" in page.links
    assert "1–20 of" in page.text
    assert "21–" in look(client, "/search?page=2").text


def test_every_attribute_says_who_said_it(client):
    page = look(client, f"/entity?uri={PLAYS}")

    assert re.search(r"rows catalogue 91,442,003,117", page.text, re.IGNORECASE)
    assert "catalogue says otherwise" in page.text


def test_a_version_has_its_whole_s_owner(client):
    page = look(client, f"/entity?uri={world.V4}")

    assert "Personalization" in page.text
    assert "as owner of ranking-model" in page.text


def test_a_missing_owner_is_a_call_to_act(client):
    assert "Nobody owns this" in look(client, f"/entity?uri={world.TITLES}").text
    assert "Nobody owns this" not in look(client, f"/entity?uri={V5}").text


@pytest.mark.parametrize(
    ("uri", "words"),
    [(SERVICE, "no source has described it so far"), (OLD_EXPORT, "exists no longer")],
)
def test_states_are_explained(client, uri, words):
    assert words in look(client, f"/entity?uri={uri}").text


def test_relations_lead_to_why(client):
    page = look(client, f"/entity?uri={V5}")

    assert f"/edge?from={V5}&kind=trained_for&to={TEST}" in page.links


def test_lineage_begins_one_step_each_way_and_counts_the_rest(client):
    page = look(client, f"/lineage?uri={MODEL}")

    assert "2 of 7 within 1 step" in page.text
    assert f"/lineage?uri={MODEL}&up=2&down=1" in page.links
    assert "member_watch_history" in page.text
    assert "member-features-daily" not in page.text


def test_the_list_holds_what_the_picture_holds(client):
    drawn = look(client, f"/lineage?uri={MODEL}&up=all&down=all")
    listed = look(client, f"/lineage?uri={MODEL}&up=all&down=all&view=list")

    shown = {link for link in drawn.links if link.startswith("/entity?")}
    assert shown <= set(listed.links)
    assert "feedback" in listed.text


def test_more_than_can_be_drawn_is_said_and_listed(tmp_path: Path):
    hub = Uri("mlg://dataset/warehouse/hub")
    readers = [Uri.of("pipeline", "orchestrator", f"job-{number}") for number in range(320)]
    said = [record("orchestrator", one, {}, [edge(one, "reads", hub)]) for one in readers]
    with world.empty(tmp_path) as lineal, TestClient(create(lineal), base_url=BASE) as client:
        lineal.store.commit(Batch(said, actor="test", cause="test"))
        drawn = look(client, f"/lineage?uri={hub}")
        listed = look(client, f"/lineage?uri={hub}&view=list")

    assert "300 of 321 things are drawn" in drawn.text
    assert f"/lineage?uri={hub}&up=1&down=1&view=list" in drawn.links
    assert len({link for link in listed.links if "/entity?uri=mlg://pipeline" in link}) == 320


def test_a_change_is_chosen_and_what_breaks_is_said(client):
    page = look(client, f"/impact?uri={PLAYS}")
    dropped = look(client, next(link for link in page.links if "change=dropped" in link))

    assert "breaks It takes what is gone." in dropped.text
    assert "What happens" not in page.text


def test_a_lineage_says_where_data_goes_round_and_leads_to_other_things(client):
    page = look(client, f"/lineage?uri={MODEL}&up=all&down=all")

    assert "Data goes round here, closed by feedback only" in page.text
    assert "/between" in page.forms


def test_the_ways_between_two_things_are_told_with_their_weakest_link(client):
    page = look(client, f"/between?from={world.RUN}&to={TEST}")

    assert "The shortest ways" in page.text
    assert "Weakest link: ranking-model v5" in page.text
    assert any(link.startswith("/edge?") for link in page.links)


def test_a_thing_is_named_as_people_do_and_chosen_where_several_are_meant(client):
    named = look(client, f"/common?uri={V5}&to=ranking-model%20v4")
    several = look(client, f"/between?from={PLAYS}&to=ranking")
    nothing = look(client, f"/between?from={PLAYS}&to=nothing-so-called")

    assert "What 2 things have in common" in named.text
    assert "member_watch_history" in named.text
    assert "Which one?" in several.text
    assert any(f"to={MODEL}" in link for link in several.links)
    assert "Nothing is called nothing-so-called" in nothing.text


def test_impact_says_how_much_is_live_and_who_must_be_told(client):
    page = look(client, f"/impact?uri={PLAYS}")

    assert "9 things would be touched" in page.text
    assert "2 in use now" in page.text
    assert "8 with something live on them" in page.text
    assert "Nobody owns these" in page.text


def test_a_conclusion_is_explained_by_its_rule_and_supports(client):
    page = look(client, f"/edge?from={V5}&kind=trained_for&to={TEST}")

    assert "Concluded by rule trained_for version 2" in page.text
    assert f"/edge?from={V5}&kind=produced_by&to={world.RUN}" in page.links
    assert "SHA-256 abababababab" in page.text


def test_a_finding_stands_on_the_pages_of_both_its_ends_with_its_reason(client):
    for uri in (world.V4, world.CONTROL):
        page = look(client, f"/entity?uri={uri}")

        assert "Finding." in page.text
        assert "no run made it for 12345" in page.text
        assert any("kind=served_untrained" in link for link in page.links)
        assert "has untrained" not in page.text
    assert "Finding." not in look(client, f"/entity?uri={V5}").text


def test_a_rule_is_shown_with_its_pattern_and_what_stands_by_it(client):
    listed, page = look(client, "/rules"), look(client, "/rules/trained_for")

    assert "/rules/trained_for" in listed.links
    assert "up to date" in listed.text
    for words in ("produced by", "0 to 3 times", "When it is wrong", "1 edge complete",
                  "(m)-[:trained_for]->(t)", "As it is written"):  # fmt: skip
        assert words in page.text, words
    assert any(link.startswith("/edge?from=") for link in page.links)
    assert "There is no rule" in look(client, "/rules/nothing", 404).text


def test_history_leads_to_what_was_known_then(client):
    page = look(client, f"/history?uri={V5}")

    then = f"/entity?uri={V5}&known_at=t:1"
    assert "pending → ready" in page.text
    assert then in page.links
    assert "pending" in look(client, then).text


def test_an_unknown_thing_is_answered_with_what_is_near(client):
    page = look(client, "/entity?uri=mlg://model/registry/rankin-model", status=404)

    assert f"/entity?uri={MODEL}" in page.links


@pytest.mark.parametrize(
    "path", ["/search?q=colour:blue", "/entity?uri=x", f"/lineage?uri={V5}&up=x", "/entity"]
)
def test_what_cannot_be_answered_gets_a_page_that_says_why(client, path):
    page = look(client, path, status=422)

    assert "request" in page.text


def test_files_are_kept_by_their_version_and_nothing_else_is_served(client):
    html = client.get("/").text
    for path in re.findall(r'"(/static/[^"]+)"', html):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    for path in ("/static/pages.py", "/static/..%2fpages.py", "/static/%2e%2e/pages.py"):
        assert client.get(path).status_code == 404


# ── Searches by click ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [("", "tag", "a::b"), ("ranking", "owner", "Data Platform"), ("a -tag:b", "type", "model"),
     ("", "tag", '7" disk'), ("a", "tag", '"'), ("a", "tag", 'x""y'), ("", "tag", "")],
)  # fmt: skip
def test_a_filter_that_is_added_is_understood_and_can_be_removed(text, name, value):
    added = finding.adding(text, name, value)

    assert value in parse(added, Shapes.builtin()).wanted[name]
    assert finding.without(added, name, value) == text


def test_removing_a_filter_leaves_words_that_look_like_it():
    assert finding.without("type:model type:model-version", "type", "model") == "type:model-version"


def test_a_thing_shows_its_names_and_who_says_that_they_are_one(tmp_path):
    with world.told(tmp_path) as lineal:
        lineal.merge(world.TITLES, world.PLAYS_LAKE, reason="<b>one</b>", actor="ada")
        lineal.split(world.PLAYS, world.PLAYS_LAKE, reason="no copy", actor="bob")
        with TestClient(create(lineal), base_url="http://127.0.0.1") as client:
            page = client.get("/entity", params={"uri": world.TITLES}).text

    assert page.count("stands for all") == 1
    assert "administrator" in page
    assert "by ada" in page
    assert "&lt;b&gt;one&lt;/b&gt;" in page
    assert "would be the same as, but for a veto" in page
    assert "“no copy”" in page


def test_a_comparison_that_was_cut_does_not_say_that_nothing_differs(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Ask(Budget(rows=1))
    diff, changes = Questions.diff, Questions.schema_changes
    monkeypatch.setattr(Questions, "diff", lambda *of, **how: diff(*of, **how | {"ask": few}))
    monkeypatch.setattr(
        Questions, "schema_changes", lambda *of, **how: changes(*of, **how | {"ask": few})
    )
    for path in (f"/changes?uri={V5}&from=t:0", "/schema-changes?from=t:0"):
        page = look(client, path)

        assert "This comparison is not complete" in page.text
        assert "Nothing differs" not in page.text
        assert "No schema changed" not in page.text
        assert "This comparison was cut" in page.text

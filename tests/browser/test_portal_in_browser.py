"""The portal in a real browser: nothing is blocked, all is reached by keys, both schemes work."""

import shutil
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from lineal.surfaces.server import create
from tests import world
from tests.world import HOURS, MODEL, PLAYS, TEST, V4, V5

pytestmark = pytest.mark.browser

ARGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PAGES = [
    "/",
    "/search?q=ranking",
    f"/entity?uri={V5}",
    f"/entity?uri={PLAYS}&known_at=t:1",
    f"/lineage?uri={MODEL}&up=all&down=all",
    f"/lineage?uri={MODEL}&view=list",
    f"/closure?uri={PLAYS}",
    f"/closure?uri={PLAYS}&type=model&live=true",
    f"/impact?uri={PLAYS}",
    f"/history?uri={V5}",
    f"/changes?uri={V5}&from=t:0",
    f"/changes?uri={MODEL}",
    f"/facts?uri={V5}",
    f"/edge?from={V5}&kind=trained_for&to={TEST}",
    f"/between?uri={PLAYS}&uri={V5}",
    f"/common?uri={PLAYS}&uri={V5}&side=downstream",
    "/shared",
    "/unused?days=0",
    f"/alike?uri={HOURS}",
    "/schema-changes?from=t:1",
    "/rules",
    "/rules/trained_for",
    f"/entity?uri={V4}",
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the world on a free port."""
    with world.told(tmp_path_factory.mktemp("world")) as lineal:
        config = uvicorn.Config(create(lineal), port=0, log_level="error", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            thread.join(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start the system's Chromium, or skip loudly."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("NO CHROMIUM ON PATH: the portal was not tested in a browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """Open a page in one of the two schemes that must stay without any complaint."""
    context = browser.new_context(color_scheme=request.param)
    page, complaints = context.new_page(), list[str]()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda failed: complaints.extend(_of_failure(failed)))
    yield page
    context.close()
    assert complaints == []


def _of_failure(failed: Request) -> list[str]:
    """Return the complaint of a failed request: none where the page was left before its end."""
    left = failed.failure == "net::ERR_ABORTED"
    return [] if left else [f"{failed.url}: {failed.failure}"]


@pytest.mark.parametrize("path", PAGES)
def test_no_page_breaks_the_policy_or_complains(page: Page, base: str, path: str) -> None:
    page.goto(base + path)

    expect(page.locator("h1")).to_be_visible()


@pytest.mark.parametrize("path", PAGES)
def test_a_narrow_page_does_not_run_over(page: Page, base: str, path: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(base + path)

    assert page.evaluate("document.documentElement.scrollWidth") == 360


_CONTRAST = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = rgba(getComputedStyle(one).backgroundColor);
      if (colour[3] > 250) return colour;
    }
    return [255, 255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *:not(svg, svg *, script)")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !element.checkVisibility() || element.closest(".unseen, .skip")) continue;
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${element.className || element.tagName} ${ratio.toFixed(2)}`);
  }
  return [...new Set(poor)];
}
"""


@pytest.mark.parametrize("path", PAGES)
def test_words_stand_out_from_what_is_behind_them(page: Page, base: str, path: str) -> None:
    page.goto(base + path)

    assert page.evaluate(_CONTRAST) == []


def test_the_things_of_a_lineage_are_reached_by_keys(page: Page, base: str) -> None:
    page.goto(f"{base}/lineage?uri={MODEL}&up=all&down=all")
    reached = set[str]()
    for _ in range(80):
        page.keyboard.press("Tab")
        label = page.evaluate("document.activeElement.getAttribute('aria-label') || ''")
        inside = page.evaluate("document.activeElement.matches('a.lg-node')")
        reached |= {label} if inside else set()

    assert len(reached) == page.locator("a.lg-node").count()
    assert "deployment ranking-homepage, serving, live" in reached


def test_enter_on_a_thing_opens_it(page: Page, base: str) -> None:
    page.goto(f"{base}/lineage?uri={MODEL}")
    page.get_by_role("link", name="deployment ranking-homepage").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("ranking-homepage")


def test_a_slash_leads_to_the_search_box(page: Page, base: str) -> None:
    page.goto(f"{base}/entity?uri={V5}")
    page.keyboard.press("/")
    page.keyboard.type("type:model")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_contain_text("result")
    assert "q=type%3Amodel" in page.url


def test_the_scheme_can_be_switched_and_stays(page: Page, base: str) -> None:
    page.goto(base)
    paper = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(paper)
    page.get_by_role("button", name="Switch between light and dark").click()
    after = page.evaluate(paper)
    page.goto(f"{base}/search?q=ranking")

    assert before != after
    assert page.evaluate(paper) == after


def test_another_time_is_asked_in_the_form(page: Page, base: str) -> None:
    page.goto(f"{base}/entity?uri={V5}")
    page.get_by_text("Now", exact=True).click()
    page.get_by_label("As recorded by").fill("2026-11-18T00:00:00")
    page.get_by_role("button", name="Look").click()

    expect(page.get_by_role("status")).to_contain_text("as it was recorded by 18 Nov 2026")
    expect(page.get_by_label("How it stands")).to_contain_text("pending")
    page.get_by_role("link", name="Lineage", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("as it was recorded by 18 Nov 2026")


def test_two_moments_are_compared_in_the_form(page: Page, base: str) -> None:
    page.goto(f"{base}/entity?uri={V5}")
    page.get_by_role("link", name="What changed").click()
    page.get_by_label("From").fill("2026-11-18T00:00:00")
    page.get_by_role("button", name="Compare").click()

    expect(page.get_by_role("status")).to_contain_text("Things: 1 changed.")
    expect(page.locator(".event")).to_contain_text("pending → ready")
    page.get_by_label("Compare").select_option("valid")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".turn-head")).to_contain_text("It was so at another time")


def test_what_a_form_decides_is_done(page: Page, base: str) -> None:
    """A browser says of our own forms, too, from where they come."""
    page.goto(f"{base}/rules/superseded_version")
    for done, then in (("Disable", "Enable"), ("Enable", "Disable")):
        page.get_by_label("Who decides").fill("ada")
        page.get_by_role("button", name=done).click()

        expect(page.get_by_role("button", name=then)).to_be_visible()


def test_a_wide_picture_begins_with_its_focus_in_sight(page: Page, base: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{base}/lineage?uri={MODEL}&up=all&down=all")

    page.locator(".canvas").scroll_into_view_if_needed()

    expect(page.locator("a.lg-focus")).to_be_in_viewport(ratio=1)


def test_rows_of_a_search_are_chosen_by_keys_and_asked_of_together(page: Page, base: str) -> None:
    page.goto(f"{base}/search?q=plays")
    page.get_by_role("checkbox", name="Choose events/plays").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Keep, and search on").click()
    page.get_by_role("searchbox").fill("ranking-model v5")
    page.keyboard.press("Enter")
    page.get_by_role("checkbox", name="Choose ranking-model v5").check()
    page.get_by_role("button", name="Between two").click()

    expect(page.get_by_role("heading", level=1)).to_have_text(
        "Between events/plays and ranking-model v5"
    )
    page.go_back()
    page.get_by_role("button", name="In common").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What 2 things have in common")


def test_all_is_there_without_a_script(browser: Browser, base: str) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(base)
        page.get_by_role("searchbox").fill("ranking-homepage")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("link", name="ranking-homepage").click()
        page.get_by_role("link", name="Lineage", exact=True).click()

        expect(page.locator("a.lg-node").first).to_be_visible()
        expect(page.get_by_role("button", name="Switch between light and dark")).to_be_hidden()

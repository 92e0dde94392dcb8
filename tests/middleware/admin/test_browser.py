"""The status page in real Chromium. EQWATCH_SCREENSHOTS=DIR writes the pictures of the documentation there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from middleware.admin import Access
from middleware.records.event import Event

CHROMIUM = Path("/usr/bin/chromium")
# Without these Chromium looks for its maker's hosts at every start.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MILLISECONDS = 120_000  # the longest that anything is waited for
# Read at import: the suite hides the developer's environment from every test.
SCREENSHOTS = os.environ.get("EQWATCH_SCREENSHOTS")
DESKTOP = {"viewport": {"width": 1200, "height": 900}}
# What the documentation shows of the long page; its pictures stay small.
FIRST_SCREENS = {"x": 0, "y": 0, "width": 1200, "height": 1600}
ITEM_PAGE = "/items/tutoring/tutoring-015a"
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def browser():
    """Chromium, or a skip with the reason."""
    if not CHROMIUM.exists():
        pytest.skip("Chromium (Debian package chromium) is not installed at /usr/bin/chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS, timeout=MILLISECONDS)
        yield started
        started.close()


@contextmanager
def visit(browser, url: str, **options) -> Iterator:
    """The loaded page; fails on any console message, script error, refused or failed resource."""
    context = browser.new_context(locale="en-GB", timezone_id="Europe/Berlin", **options)
    context.set_default_timeout(MILLISECONDS)
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(f"console {message.type}: {message.text}"))
    page.on("pageerror", lambda error: troubles.append(f"script: {error}"))
    page.on("requestfailed", lambda request: troubles.append(f"failed: {request.url}") if told(request) else None)
    page.on(
        "response",
        lambda response: troubles.append(f"{response.status}: {response.url}") if response.status > 399 else None,
    )
    page.goto(url, wait_until="load")
    page.wait_for_load_state("networkidle")
    yield page
    assert troubles == []
    context.close()


def told(request) -> bool:
    """Taking a picture resizes the window, which asks for other variants of charts and lets them go."""
    return not (SCREENSHOTS and request.failure == "net::ERR_ABORTED")


def images_are_drawn(page) -> bool:
    """Every picture has loaded; one that can not be drawn is complete as well."""
    page.wait_for_function("[...document.images].every(image => image.complete)")
    return page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")


def overflow(page) -> int:
    """How many pixels the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


def keep(page, name: str, **options) -> None:
    """Write the picture of the page, if somebody wants it."""
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True, **options)


def test_the_page_loads_without_a_complaint(browser, filled):
    """No console message, no policy violation, every picture drawn, times in the viewer's zone."""
    with visit(browser, filled.url, **DESKTOP) as page:
        assert page.title() == "support-tutor: EQ fell by 4.1 points · eqwatch"
        assert images_are_drawn(page)
        assert overflow(page) == 0
        since = page.locator(".context time").first
        assert since.text_content() == "11 Nov 2026, 07:37"
        assert since.get_attribute("datetime") == "2026-11-11T06:37:20Z"
        assert page.locator("[data-zone]").text_content() == "Europe/Berlin"
        keep(page, "status-light", clip=FIRST_SCREENS)


def test_it_is_complete_without_javascript(browser, filled):
    """Nothing is hidden, and times are in UTC and say so."""
    with visit(browser, filled.url, java_script_enabled=False, **DESKTOP) as page:
        assert page.locator("h1").text_content() == "support-tutor: EQ fell by 4.1 points"
        assert page.locator(".context time").first.text_content() == "11 Nov 2026, 06:37 UTC"
        assert page.locator("table.runs tbody tr").count() == 8


def test_dark_mode_changes_page_and_charts(browser, filled):
    """A dark system gets a dark page and the dark variant of each chart."""
    with visit(browser, filled.url, color_scheme="dark", **DESKTOP) as page:
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == "rgb(14, 17, 22)"
        shown = page.evaluate("[...document.querySelectorAll('picture img')].map(image => image.currentSrc)")
        assert shown
        assert all("theme=dark" in source for source in shown)
        assert images_are_drawn(page)
        keep(page, "status-dark", clip=FIRST_SCREENS)


def test_a_phone_shows_everything_without_scrolling_sideways(browser, filled):
    """At 390 pixels the page is as wide as the screen, with the narrow chart and the runs as a list."""
    with visit(browser, filled.url, **PHONE) as page:
        assert overflow(page) == 0
        sideways = "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > 391).length"
        assert page.evaluate(sideways) == 0
        assert "size=narrow" in page.evaluate("document.querySelector('picture img').currentSrc")
        assert images_are_drawn(page)
        keep(page, "status-phone", clip={"x": 0, "y": 0, "width": 390, "height": 1150})


@pytest.mark.parametrize("options", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_an_empty_page_loads_without_a_complaint(browser, admin, options):
    """Before anything is measured the page stands as well."""
    with visit(browser, admin.url, **options) as page:
        assert page.locator("h1").text_content() == "Not measured yet"
        assert overflow(page) == 0


def test_the_keyboard_reaches_everything(browser, filled):
    """Tab goes from the skip link through links, tables that scroll and details, and the focus is seen."""
    with visit(browser, filled.url, **DESKTOP) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the verdict"
        assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
        reached = set()
        for _ in range(120):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.localName + '.' + document.activeElement.className"))
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none"
            if page.evaluate("document.activeElement === document.querySelector('footer a')"):
                break
        assert {"a.", "summary.", "div.scroll"} <= reached
        assert page.evaluate("document.activeElement === document.querySelector('footer a')")


def test_the_figures_open_and_match_the_chart(browser, filled):
    """The table beside the chart holds the newest runs, newest first."""
    with visit(browser, filled.url, **DESKTOP) as page:
        page.get_by_text("Figures as a table").first.click()
        rows = page.locator("figure").first.locator("details tbody tr")
        assert rows.count() == 40
        assert rows.first.is_visible()
        newest = page.locator("table.runs tr", has_text="support-tutor").first.locator("td.score").text_content()
        assert rows.first.locator("td").nth(1).text_content() == newest


def violations(page) -> list[str]:
    """What axe finds on the page, by rule and element; WCAG 2.2 A and AA, and its best practices."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:120]}: {one['nodes'][0]['failureSummary']}"
        for one in found.response["violations"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", ITEM_PAGE], ids=["status", "item"])
def test_axe_finds_nothing(browser, filled, path, scheme):
    """Status and item page, light and dark, everything unfolded: no violation of WCAG A and AA or of good practice."""
    with visit(browser, filled.url + path, color_scheme=scheme, bypass_csp=True, **DESKTOP) as page:
        page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
        assert violations(page) == []
        if (path, scheme) == (ITEM_PAGE, "light"):
            keep(page, "item")


@pytest.mark.parametrize("path", ["/", ITEM_PAGE], ids=["status", "item"])
def test_axe_finds_nothing_on_a_phone(browser, filled, path):
    """Nor at 390 pixels, where tables become lists, and nothing is wider than the screen."""
    with visit(browser, filled.url + path, bypass_csp=True, **PHONE) as page:
        assert overflow(page) == 0
        page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
        assert overflow(page) == 0
        assert violations(page) == []


def test_every_chart_has_an_alternative_and_a_table(browser, filled):
    """Who does not see a picture reads what it shows and finds its figures beside it."""
    with visit(browser, filled.url, **DESKTOP) as page:
        pictures = page.locator("figure picture img")
        assert pictures.count() == 21
        for place in range(pictures.count()):
            assert "table" in pictures.nth(place).get_attribute("alt")
        without = "f => !f.closest('section, article').querySelector('table')"
        assert page.evaluate(f"[...document.querySelectorAll('figure')].filter({without}).length") == 0


def test_a_chart_opened_by_itself_is_drawn_in_its_colours(browser, filled):
    """Its own policy lets its one style sheet through: lines and areas have the palette's colours."""
    with visit(browser, f"{filled.url}/charts/score.svg?deployment=support-tutor&item_set=tutoring", **DESKTOP) as page:
        area = "getComputedStyle(document.querySelector('.serie-0 .line'))"
        assert page.evaluate(f"{area}.fill") == "rgb(211, 223, 250)"
        assert page.evaluate(f"{area}.stroke") == "none"


def test_sections_refresh_and_keep_what_was_opened(browser, filled):
    """A new event appears without a reload; what was unfolded stays unfolded; the reader can stop it."""
    with visit(browser, filled.url, **DESKTOP) as page:
        details = page.locator("#subject-1 details").first
        details.locator("summary").click()
        page.evaluate("document.activeElement.blur()")
        page.evaluate("window.stays = true")
        filled.store.save_event(Event("benchmark_paused", "late-comer", filled.control.now))
        filled.control.now += 60
        page.evaluate("document.dispatchEvent(new Event('eqwatch:refresh'))")
        page.locator("#s-events", has_text="late-comer").wait_for()
        assert page.evaluate("window.stays")
        assert page.locator("#subject-1 details").first.get_attribute("open") is not None
        assert "UTC" not in page.locator("#s-events time").first.text_content()
        page.get_by_role("button", name="Stop refreshing").click()
        assert page.get_by_role("button", name="Refresh every 30 s").is_visible()


COUNT_PARSED = """() => {
  const parse = DOMParser.prototype.parseFromString;
  window.parsed = 0;
  DOMParser.prototype.parseFromString = function (...given) { window.parsed += 1; return parse.apply(this, given); };
}"""


def test_an_answer_that_comes_late_does_not_bring_back_what_was(browser, filled):
    """Of two refreshes that are under way, what was asked for later stays."""
    refresh = "document.dispatchEvent(new Event('eqwatch:refresh'))"
    with visit(browser, filled.url, **DESKTOP) as page, filled.client() as client:
        before = client.get("/").text
        held = []
        page.route(filled.url + "/", lambda route: route.continue_() if held else held.append(route))
        page.evaluate(COUNT_PARSED)
        page.evaluate(refresh)
        filled.store.save_event(Event("benchmark_paused", "late-comer", filled.control.now))
        filled.control.now += 60
        page.evaluate(refresh)
        page.locator("#s-events", has_text="late-comer").wait_for()
        held[0].fulfill(status=200, content_type="text/html", body=before)
        page.wait_for_function("window.parsed === 2")
        assert page.locator("#s-events", has_text="late-comer").count() == 1


def test_the_figures_under_the_pointer_are_told(browser, filled):
    """Over a chart the nearest run's time, score and level."""
    with visit(browser, filled.url, **DESKTOP) as page:
        chart = page.locator("#subject-1 [data-figures] img").first
        chart.hover(position={"x": 300, "y": 100})
        page.wait_for_function(
            """() => {
              const image = document.querySelector("#subject-1 [data-figures] img");
              const box = image.getBoundingClientRect();
              const at = {clientX: box.right - 40, clientY: box.top + 90};
              image.dispatchEvent(new PointerEvent("pointermove", at));
              return !document.querySelector("#subject-1 .tip").hidden;
            }"""
        )
        told = page.locator("#subject-1 .tip").text_content()
        assert told.startswith("12 Nov 2026, 16:54 · Score 8")
        assert "Level, 95% interval" in told


CONTRAST = """
() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const channel = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const color = parse(getComputedStyle(e).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll("body *")].filter(e =>
    [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) && e.checkVisibility());
  return texts.map(e => {
    const [a, b] = [luminance(parse(getComputedStyle(e).color)), luminance(behind(e))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), e.outerHTML.slice(0, 90)];
  }).filter(([ratio]) => ratio < 4.5);
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_enough_contrast(browser, filled, scheme):
    """WCAG 2.2 AA: at least 4.5 to 1 for every piece of text, in both schemes (success criterion 1.4.3)."""
    with visit(browser, filled.url, color_scheme=scheme, **DESKTOP) as page:
        assert page.evaluate(CONTRAST) == []


def test_a_password_opens_the_page_where_a_token_is_set(browser, serve):
    """A browser is asked for a password, which is the read token, and every part of the page loads with it."""
    admin = serve(access=Access.for_listener("0.0.0.0:8081", read_token="read-token-0123456789"))
    credentials = {"username": "anyone", "password": "read-token-0123456789"}
    with visit(browser, admin.url, http_credentials=credentials, **DESKTOP) as page:
        assert page.locator("h1").text_content() == "Not measured yet"

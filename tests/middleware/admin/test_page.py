"""The status page as HTML: what it says, and that nothing in it can be hostile."""

import base64
import hashlib
import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from middleware.admin import BenchmarkInfo, DeploymentInfo
from middleware.admin.drawing import PALETTES
from middleware.records.event import Event
from middleware.records.standing import Standing

NOW = 1_794_500_000.0
HOSTILE = "<script>alert(1)</script>\"'&"


class Page(HTMLParser):
    """Collects the elements and the text of a page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of that name."""
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(admin) -> Page:
    """The status page, parsed; it must answer 200."""
    with admin.client() as client:
        answer = client.get("/")
        assert answer.status_code == 200
        return Page(answer.text)


def test_the_verdict_comes_first(filled):
    """The first heading says which deployment fell by how much; beside it after what, how sure, since when, and what
    to do."""
    page = page_of(filled)
    first = page.text.index("support-tutor: EQ fell by 4.1 points", page.text.index("Is the model"))
    assert first < page.text.index("All deployments") < page.text.index("EQ score over time")
    assert "3 watched: 1 regressed, 2 fine" in page.text
    assert (
        "After the upgrade from example-chat-large to example-chat-large-0612, noticed 10 Nov 2026, 16:35 UTC."
        in page.text
    )
    assert "95% interval \N{MINUS SIGN}5.2 to \N{MINUS SIGN}2.9" in page.text
    assert "since 11 Nov 2026, 06:37 UTC (1 d 9 h)" in page.text
    assert "POST /api/v1/alarms/7/acknowledge" in page.text
    assert len(page.all("h1")) == 1


def test_everything_of_the_screen_is_there(filled):
    """Runs with outcomes, emotions of each deployment, workers, budget, events, and links to the rest."""
    page = page_of(filled)
    for part in (
        "1 not readable",
        "Curiosity",
        "Loneliness",
        "Trust",
        "support-tutor",
        "benchmark",
        "Model change noticed",
    ):
        assert part in page.text
    assert "77%" in page.text
    assert "0.28 USD of 5.00" in page.text
    assert "1 restart, last TimeoutError 5 h ago" in page.text
    assert "3 in probe" in page.text
    assert "example-chat-large → example-chat-large-0612" in page.text
    links = {attributes["href"] for attributes in page.all("a")}
    assert {"/metrics", "/api/v1/verdicts", "/api/v1/runs", "/-/ready", "/api/v1/openapi.json"} <= links
    times = page.all("time")
    assert times
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", attributes["datetime"]) for attributes in times)


def test_every_chart_that_the_page_shows_is_served(filled):
    """Each variant of each chart is an SVG without script or inline style, with a title, and its policy says so."""
    page = page_of(filled)
    images = [attributes for attributes in page.all("img") if attributes["src"].startswith("/charts/")]
    paths = {attributes["src"] for attributes in images} | {attributes["srcset"] for attributes in page.all("source")}
    assert len(images) == 3 + 3 + 3 + 12  # histories, branches, emotions now, and each of them by day
    assert all("table" in attributes["alt"] for attributes in images)
    assert len(paths) == 3 * 4 + 18 * 2
    with filled.client() as client:
        for path in paths:
            chart = client.get(path)
            assert chart.headers["content-type"] == "image/svg+xml"
            policy = chart.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "sandbox" in policy
            assert "unsafe" not in policy
            assert "<script" not in chart.text
            assert " style=" not in chart.text
            assert "<title>" in chart.text
            (sheet,) = re.findall("<style>(.*?)</style>", chart.text, re.DOTALL)
            digest = base64.b64encode(hashlib.sha256(html.unescape(sheet).encode()).digest()).decode()
            assert f"style-src 'sha256-{digest}'" in policy


def test_what_changed_is_shown_item_by_item(filled):
    """The items, emotions and branches of the deployment that fell, each item with a link to its page."""
    page = page_of(filled)
    links = [attributes["href"] for attributes in page.all("a") if attributes["href"].startswith("/items/tutoring/")]
    assert len(links) == 6
    assert "of 40 items are surely lower" in page.text
    assert page.text.index("Branches of emotional intelligence") < page.text.index("Emotions read less well")


def test_what_the_application_was_told_is_counted(filled):
    """Reads of emotions, whichever way they were read, and deliveries of webhooks, once there are any."""
    assert "Told to the application" not in page_of(filled).text
    filled.state.metrics.awareness_reads_total.labels(channel="pull", outcome="found").inc(2)
    filled.state.metrics.awareness_reads_total.labels(channel="stream", outcome="found").inc()
    filled.state.metrics.webhook_deliveries_total.labels(outcome="delivered").inc(2)
    text = page_of(filled).text
    assert "emotions read 3 times, 0 times of a conversation that is not known; webhooks 2 delivered." in text


def test_an_open_incident_shows_its_evidence_and_how_to_close_it(filled):
    """What it rests on, and the request that acknowledges it."""
    page = page_of(filled)
    assert "from 50 answers in 5 batches within 14 h" in page.text
    assert "evidence 2 600 to 1 against no change" in page.text
    assert "/api/v1/alarms/7/acknowledge" in page.text


def test_a_chart_without_data_is_404(admin):
    """And so is a chart of something unknown; a theme that does not exist is refused."""
    with admin.client() as client:
        assert client.get("/charts/emotions.svg?deployment=x").status_code == 404
        assert client.get("/charts/score.svg?deployment=x&item_set=y").json()["error"]["code"] == "no_data"
        assert client.get("/charts/score.svg?deployment=x&item_set=y&theme=pink").status_code == 422


@pytest.mark.parametrize(
    ("benchmark", "words"),
    [
        (
            BenchmarkInfo(missing=("[benchmark] model", "EQWATCH_UPSTREAM_API_KEY")),
            "No benchmark is configured: set [benchmark] model and EQWATCH_UPSTREAM_API_KEY, then restart.",
        ),
        (BenchmarkInfo(enabled=False, model="m"), "The benchmark is switched off: set [benchmark] enabled = true"),
        (BenchmarkInfo(model="m"), "A batch of 12 items is due every 60 minutes."),
    ],
)
def test_an_empty_page_says_what_to_do_next(serve, benchmark, words):
    """No data is no error: each part says what is missing and what to do about it."""
    page = page_of(serve(benchmark=benchmark))
    assert "Not measured yet" in page.text
    assert words in page.text
    assert "No deployment is configured." in page.text
    assert "eqwatch run --upstream URL --model NAME" in page.text


def test_a_paused_benchmark_is_said(serve):
    """Somebody who looks at night has to see that nobody measures."""
    admin = serve(benchmark=BenchmarkInfo(model="m"))
    admin.control.paused = True
    assert "POST /api/v1/benchmark/resume" in page_of(admin).text


def test_what_no_deployment_matches_takes_no_place(serve):
    """The fallback deployment is shown only if nothing else is, so that it does not ask for a purpose it can't have."""
    fallback, shop = DeploymentInfo("default"), DeploymentInfo("shop", "marketing", None, ("Joy",), 0.1, True)
    assert len(page_of(serve(deployments=(shop, fallback))).all("article")) == 1
    assert len(page_of(serve(deployments=(fallback,))).all("article")) == 1


def test_a_deployment_that_is_not_sampled_says_why(serve):
    """A missing purpose is named; a sampled deployment without traffic says how to send some."""
    infos = (
        DeploymentInfo("shop", "marketing", None, ("Joy",)),
        DeploymentInfo("tutor", None, None, ("Joy",), 0.1, True),
    )
    text = page_of(serve(deployments=infos)).text
    assert "Nothing is probed before you say why" in text
    assert "x-eqwatch-deployment: tutor" in text


def test_hostile_names_stay_text(serve, run_of):
    """Whatever a model calls itself or a setting holds, it never becomes markup, and never leaves the page's policy."""
    admin = serve(
        deployments=(DeploymentInfo(HOSTILE, HOSTILE, HOSTILE, (HOSTILE,), 0.5, sampled=True),),
        benchmark=BenchmarkInfo(model=HOSTILE, missing=(HOSTILE,)),
    )
    admin.control.standings = [Standing(HOSTILE, HOSTILE, "fine", HOSTILE, NOW, detail=HOSTILE)]
    admin.control.readiness[HOSTILE] = HOSTILE
    admin.store.begin_run(run_of(1, NOW, model=HOSTILE, id=HOSTILE))
    admin.store.finish_run(HOSTILE, "finished", 70.0, 1, NOW)
    admin.store.save_event(Event(HOSTILE, HOSTILE, NOW, {"from_model": HOSTILE, "to_model": "b"}))
    page = page_of(admin)
    assert "alert(1)" in page.text
    assert [attributes.get("src") for attributes in page.all("script")] == ["/static/status.js"]
    with admin.client() as client:
        chart = client.get("/charts/score.svg", params={"deployment": "default", "item_set": "bundled"})
        assert chart.status_code == 200
        assert "<script" not in client.get("/").text.replace('<script src="/static/status.js" defer>', "")


def test_nothing_inline_and_nothing_from_elsewhere(filled):
    """The strict policy holds by construction: no style, no handler, no foreign address in the page."""
    page = page_of(filled)
    for tag, attributes in page.elements:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href", "srcset"):
            assert not (attributes.get(name) or "/").startswith(("http:", "https:", "//", "data:")), tag
    assert page.all("style") == []
    with filled.client() as client:
        assert client.get("/").headers["content-security-policy"].count("'self'") == 4


def test_static_files_are_the_three(admin):
    """Style, script and icon with their types; nothing else of the package."""
    with admin.client() as client:
        assert client.get("/static/status.css").headers["content-type"].startswith("text/css")
        assert client.get("/static/status.js").headers["content-type"].startswith("text/javascript")
        assert client.get("/static/icon.svg").headers["content-type"] == "image/svg+xml"
        for name in ("page.py", "..%2Fpage.py", "%2e%2e/templates/status.html", "nope"):
            assert client.get(f"/static/{name}").status_code == 404


def test_the_key_to_the_colours_is_the_charts_own():
    """The style sheet's band colours are the ones that the charts are drawn with."""
    css = (Path(__file__).parents[3] / "middleware" / "admin" / "static" / "status.css").read_text(encoding="utf-8")
    light, dark = re.findall(r"--band-0: (#\w+);\s*--band-1: (#\w+);\s*--band-2: (#\w+);\s*--band-3: (#\w+);", css)
    assert light == PALETTES["light"].bands
    assert dark == PALETTES["dark"].bands


def test_page_and_charts_are_one_moment(filled):
    """Readers within a few seconds share one reading of the store; later ones see what is new."""
    filled.store.save_event(Event("benchmark_paused", "late-comer", NOW))
    page_of(filled)
    filled.store.save_event(Event("benchmark_resumed", "later-comer", NOW))
    assert "later-comer" not in page_of(filled).text
    filled.control.now += 6
    assert "later-comer" in page_of(filled).text


def test_a_verdict_that_is_told_while_the_page_is_read_is_on_it(admin, monkeypatch):
    """With the incident that belongs to it: the page never has the events of one moment and the verdict of another."""
    admin.control.standings = [Standing("tutor", "bundled", "fine", last_batch_at=NOW)]
    read = admin.store.events

    def regressed_meanwhile(since: int, limit: int) -> list[Event]:
        if not admin.control.standings[0].incident:
            opened = admin.store.save_event(Event("incident_opened", "tutor", NOW, {"item_set": "bundled"}))
            admin.control.standings = [replace(admin.control.standings[0], state="regressed", incident=opened)]
        return read(since, limit)

    monkeypatch.setattr(admin.store, "events", regressed_meanwhile)
    page = page_of(admin)
    assert "Incident 1: tutor" in page.text
    assert "EQ fell" in page.text
    assert "EQ is fine" not in page.text


def test_a_store_that_is_gone_does_not_break_the_readiness(filled):
    """The page needs the store and says so; what works without it goes on."""
    filled.store.close()
    with filled.client() as client:
        assert client.get("/").status_code == 503
        assert client.get("/-/ready").status_code == 200

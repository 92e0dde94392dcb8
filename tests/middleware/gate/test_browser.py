"""The HTML report in real Chromium. EQWATCH_SCREENSHOTS=DIR writes the picture of the documentation there."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from middleware.benchmark.fake_upstream import Noise, read_recording
from middleware.gate.html import to_html
from scorer.comparison import GateRules
from scorer.items import ItemSet, parse_official

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
# Read at import: the suite hides the developer's environment from every test.
SCREENSHOTS = os.environ.get("EQWATCH_SCREENSHOTS")
PATIENCE = 120_000  # milliseconds, of a start and of each step
WIDTHS = {"desktop": 1100, "phone": 360}


@pytest.fixture(scope="module")
def browser() -> Any:
    """Chromium, or a skip with the reason."""
    if not CHROMIUM.exists():
        pytest.skip("Chromium (Debian package chromium) is not installed at /usr/bin/chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS, timeout=PATIENCE)
        yield started
        started.close()


@pytest.fixture
def page_file(eqbench_dir: Path, decide: Any, tmp_path: Path) -> Path:
    """The report of a real model against itself with every eighth item answered by a weaker one, at MID noise."""
    data = json.loads((eqbench_dir / "eq_bench_v2_questions_171.json").read_text())
    item_set = parse_official(data, name="eqbench-v2", version="v2", language="en", sha256="f" * 64)
    strong = recorded(item_set, eqbench_dir / "replay" / "gpt-4-1106-preview.json")
    weak = recorded(item_set, eqbench_dir / "replay" / "gpt-3.5-turbo-0301.json")
    mixed = {name: (weak if position % 8 == 0 else strong)[name] for position, name in enumerate(strong)}
    passes = [[noisy(item_set, texts, f"{side}{n}") for n in range(4)] for side, texts in enumerate((strong, mixed))]
    report = decide(item_set, *passes, GateRules(margin=1.0, max_passes=4))
    file = tmp_path / "gate.html"
    file.write_text(to_html(report))
    return file


def recorded(item_set: ItemSet, path: Path) -> dict[str, str]:
    recording = read_recording(path)
    return {item.id: recording.answer(item.id, revise=False) or "" for item in item_set.items}


def noisy(item_set: ItemSet, texts: dict[str, str], key: str) -> dict[str, str]:
    noise = Noise("mid", seed=0)
    return {name: noise.apply(text, item_set.by_id[name].emotions, f"{key}|{name}") for name, text in texts.items()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_the_report_is_drawn(browser: Any, page_file: Path, device: str, scheme: str) -> None:
    """No complaint, nothing loaded but the file, three charts, no sideways scrolling, the reader's colours."""
    context = browser.new_context(viewport={"width": WIDTHS[device], "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    troubles: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(page_file.as_uri())
    charts = page.evaluate("[...document.querySelectorAll('figure svg')].map(svg => svg.clientHeight)")
    assert len(charts) == 3
    assert min(charts) > 40
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    body = "getComputedStyle(document.body)"
    colours = (page.evaluate(f"{body}.{name}") for name in ("color", "backgroundColor"))
    ink, paper = (sum(map(int, re.findall(r"\d+", colour))) for colour in colours)
    assert (paper - ink if scheme == "light" else ink - paper) > 500
    if SCREENSHOTS and (device, scheme) == ("desktop", "light"):
        clip = {"x": 0, "y": 0, "width": 1100, "height": 2450}
        page.screenshot(path=Path(SCREENSHOTS) / "gate-report.png", full_page=True, clip=clip)
    # Last: what the page complained of has come by then, since answers come in order.
    assert troubles == []
    assert requests == [page_file.as_uri()]
    context.close()


def test_print(browser: Any, page_file: Path, tmp_path: Path) -> None:
    """Printed, the report is black on white and keeps its charts, also for a reader with a dark screen."""
    page = browser.new_page(color_scheme="dark")
    page.set_default_timeout(PATIENCE)
    page.goto(page_file.as_uri())
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    page.close()

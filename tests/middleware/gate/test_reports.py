"""Every form of the report: complete, well-formed, and safe whatever a model or a name says."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from middleware.errors import ConfigurationError
from middleware.gate import report_formats, write_reports
from middleware.gate.as_json import as_json
from middleware.gate.html import to_html
from middleware.gate.junit import to_junit
from middleware.gate.markdown import to_markdown
from middleware.gate.report import GateReport
from middleware.gate.words import flattery, headline, next_step
from scorer.comparison import GateRules
from scorer.items import ItemSet

HOSTILE = 'Joy: 2\nAnger: 5\nFear: 6\nPride: 3\n</pre><script>alert("x")</script>\x00```\n| <img src=x>'
GOOD = "Joy: 6\nAnger: 1\nFear: 1\nPride: 8"


@pytest.fixture
def reports(small_set: ItemSet, kit: SimpleNamespace, decide: Any) -> dict[str, GateReport]:
    """One report of every ending."""
    perfect = kit.all_say(small_set, kit.PERFECT)
    swapped = {f"i{n}": GOOD for n in range(0, 20, 3)}
    others = {f"i{n}": GOOD for n in range(1, 20, 3)}
    slightly = dict.fromkeys(perfect, GOOD)
    return {
        "pass": decide(small_set, [perfect], [perfect]),
        "declined": decide(small_set, [perfect], [slightly], GateRules(margin=50.0, max_passes=1)),
        "regressed": decide(small_set, [perfect], [dict.fromkeys(perfect, HOSTILE)]),
        "undecided": decide(small_set, [perfect | swapped], [perfect | others], GateRules(margin=0.2, max_passes=1)),
        "unmeasured": decide(small_set, [dict.fromkeys(perfect, "No.")], [perfect]),
    }


@pytest.mark.parametrize("ending", ["pass", "declined", "regressed", "undecided", "unmeasured"])
def test_every_ending_has_every_form(reports: dict[str, GateReport], ending: str) -> None:
    """Each verdict can be written in each form, and each form says the same headline and next step."""
    report = reports[ending]
    assert report.verdict == {"declined": "pass"}.get(ending, ending)
    assert report.comparison.declined == (ending == "declined")
    found = json.loads(json.dumps(as_json(report), allow_nan=False))
    assert found["verdict"] == report.verdict
    assert (found["headline"], found["next_step"]) == (headline(report), next_step(report))
    page = Page(to_html(report))
    assert page.open == []
    assert headline(report) in page.text
    assert next_step(report) in page.text
    assert headline(report) in to_markdown(report)


@pytest.mark.parametrize(
    ("ending", "failures", "errors"),
    [("pass", 0, 0), ("declined", 0, 0), ("regressed", 1, 0), ("undecided", 1, 0), ("unmeasured", 0, 1)],
)
def test_junit(reports: dict[str, GateReport], ending: str, failures: int, errors: int) -> None:
    """The first case fails just where the command does not end with 0; counts are right; no answer is in it."""
    text = to_junit(reports[ending])
    root = ET.fromstring(text)  # noqa: S314 - our own document
    suite = root.find("testsuite")
    assert suite is not None
    assert (root.tag, suite.get("tests")) == ("testsuites", "2")
    assert (suite.get("failures"), suite.get("errors")) == (str(failures), str(errors))
    assert len(suite.findall("testcase/failure")) == failures
    assert len(suite.findall("testcase/error")) == errors
    assert suite.get("skipped") == str(len(suite.findall("testcase/skipped")))
    assert "alert" not in text


def test_undecided_says_what_would_decide(reports: dict[str, GateReport]) -> None:
    """An undecided gate names the passes or the margin that would decide."""
    words = next_step(reports["undecided"])
    assert "--max-passes" in words
    assert "--margin" in words


def test_hostile_answers_stay_text(reports: dict[str, GateReport]) -> None:
    """Markup in a model's answer is shown as text in HTML, and stays within its fence in Markdown."""
    page = Page(to_html(reports["regressed"]))
    assert page.tags.isdisjoint({"script", "img", "link", "iframe", "object", "form", "a"})
    assert '</pre><script>alert("x")</script>' in page.text
    assert page.loaded == []
    markdown = to_markdown(reports["regressed"])
    assert "````text\nJoy: 2" in markdown


def test_charts(reports: dict[str, GateReport]) -> None:
    """A regression has three charts inline, each with a title for screen readers."""
    html = to_html(reports["regressed"])
    assert html.count("<svg") == 3
    assert html.count('role="img"') == 3
    assert "these items, pass 1" in html
    assert "20 items lost" in html
    assert to_html(reports["unmeasured"]).count("<svg") == 0


def test_suffix_picks_the_form(reports: dict[str, GateReport], tmp_path: Path) -> None:
    """Reports are written whole, into directories that are made, and replace older ones."""
    paths = [tmp_path / "new" / f"report{suffix}" for suffix in (".html", ".md", ".json", ".XML")]
    report_formats(paths)
    write_reports(reports["undecided"], paths)
    write_reports(reports["pass"], paths)
    texts = [path.read_text() for path in paths]
    assert [text[:8] for text in texts] == ["<!doctyp", "# ✅ Pass", '{\n  "sch', "<?xml ve"]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted(path.name for path in paths)
    with pytest.raises(ConfigurationError, match=r"one of \.html"):
        report_formats([tmp_path / "report.pdf"])


class Page(HTMLParser):
    """Tags that were opened and never closed, all text, and everything that a browser would load."""

    VOID = frozenset({"meta", "link", "img", "br", "hr", "input"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.loaded: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loaded += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "data"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_flattery_stands_beside_the_verdict(small_set: ItemSet, kit: SimpleNamespace, decide: Any) -> None:
    """A candidate that loses just where the kind answer is wrong may pass; every form says what it lost."""
    tagged = replace(
        small_set,
        items=tuple(
            replace(item, tags=("check:flattery",)) if n < 10 else item for n, item in enumerate(small_set.items)
        ),
    )
    perfect = kit.all_say(tagged, kit.PERFECT)
    sweet = perfect | {f"i{n}": GOOD for n in range(10)}
    report = decide(tagged, [perfect], [sweet], GateRules(margin=50.0, max_passes=1))
    assert report.verdict == "pass"
    words = flattery(report)
    assert "on the 10 items whose kind answer is the wrong one" in words
    assert words.endswith("The candidate falls for the kind answer more often.")
    assert as_json(report)["flattery"]["words"] == words
    assert as_json(report)["flattery"]["upper"] < 0
    assert words in Page(to_html(report)).text
    assert "falls for the kind answer more often" in to_markdown(report)
    suite = ET.fromstring(to_junit(report)).find("testsuite")  # noqa: S314 - our own document
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "0", "1")
    assert as_json(decide(small_set, [perfect], [perfect]))["flattery"] is None

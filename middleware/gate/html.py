"""The report as one HTML file that needs nothing else: charts inline, no script, fit for print, light and dark."""

from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from middleware.gate import words
from middleware.gate.charts import emotions_chart, interval_chart, items_chart
from middleware.gate.report import GateReport

__all__ = ["to_html"]

_TEMPLATES = Path(__file__).with_name("templates")
_EMOTIONS = 10
_LEAST_ITEMS = 2
_TONES = {"pass": "good", "regressed": "bad", "undecided": "warn", "unmeasured": "none"}


def to_html(report: GateReport) -> str:
    """The whole page."""
    # One item alone says more about the item than about the emotion.
    moved = [each for each in report.emotions if each.items >= _LEAST_ITEMS] or list(report.emotions)
    worse = [each for each in moved if each.error_change > 0][:_EMOTIONS]
    better = [each for each in reversed(moved) if each.error_change < 0][:_EMOTIONS]
    return (
        _environment()
        .get_template("gate_report.html")
        .render(
            report=report,
            last=report.comparison,
            tone="warn" if report.comparison.declined else _TONES[report.verdict],
            words=words,
            ended=datetime.fromtimestamp(report.finished_at, UTC),
            sides=(report.baseline, report.candidate),
            worse=worse,
            better=better,
            css=Markup((_TEMPLATES / "gate_report.css").read_text(encoding="utf-8")),  # noqa: S704 - a file of ours
            # S704: made by ElementTree, which escapes every text.
            interval_svg=Markup(interval_chart(report)),  # noqa: S704
            items_svg=Markup(items_chart(report)),  # noqa: S704
            emotions_svg=Markup(emotions_chart(worse)),  # noqa: S704
        )
    )


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

"""Writes docs/alerts.md from the rules."""

from collections.abc import Iterable

from middleware.observe.recordings import RECORDINGS
from middleware.observe.rules import ALERTS, SETTINGS
from middleware.observe.thresholds import THRESHOLDS, Threshold

__all__ = ["alerts_page"]

_OPENING = """\
# Alerts

```console
eqwatch rules > eqwatch.rules.yml                        # for rule_files of Prometheus 2.42 or newer
eqwatch rules --prometheus-operator | kubectl apply -f - # a PrometheusRule, operator 0.65 or newer
eqwatch rules --set regression_points=1 --set EQRegression.for=10m --set runbook_base=https://wiki.example.com/eqwatch
eqwatch rules --list                                     # everything that can be set, with its range
```

Whether the model got worse is decided by the detectors in the sidecar, with the false-alarm rate that `[detection]
false_alarms_per_year` sets for the whole installation ([how eqwatch decides](statistics.md)). The rules read that
decision (`_active`, verdicts) and add a least n and a least effect of their own, which can only silence, never alarm.
Ratios and evidence are for graphs. A figure that is not known silences nothing: missing is not zero.

Each alert carries its own labels, `severity`, and the labels by which Prometheus tells installations apart (`cluster`,
`namespace`, `job`), where it sets them. Gauges are read without the labels of one process, so a restart or a move of
the monitor is no new alert. Severity: `critical` is for somebody who is woken, `warning` for the next working day,
`info` for whoever looks. An alert with the label `notified="no"` is recorded, shown, and meant to be routed to nobody.

This page is generated from `middleware/observe/` by `scripts/generate`. Each alert is tested to fire, not to fire, and
with its data missing, by `promtool test rules` (`tests/middleware/observe/test_alert_cases.py`).
"""


def alerts_page() -> str:
    """docs/alerts.md."""
    lines = [_OPENING]
    lines += _table(
        ("alert", "severity", "when", "least n and effect", "for / keep", "labels"),
        (
            (
                f"[{alert.name}](runbooks/{alert.name}.md)",
                alert.severity + ("" if alert.notified else ", not notified"),
                alert.when,
                alert.floor[0].upper() + alert.floor[1:] + ".",
                f"{alert.hold} / {alert.keep}",
                ", ".join(f"`{label}`" for label in alert.carries),
            )
            for alert in ALERTS
        ),
    )
    lines += ["", "## What can be set", "", "With `--set NAME=VALUE`; it repeats.", ""]
    lines += _table(
        ("name", "default", "range", "what it is"),
        ((f"`{t.name}`", f"`{t.default}`" if t.default else "none", span(t), t.about) for t in THRESHOLDS),
    )
    lines += [
        "",
        f"Besides, `ALERT.for` and `ALERT.keep_firing_for` of each alert: {len(SETTINGS) - len(THRESHOLDS)} durations.",
        "",
        "## Recording rules",
        "",
        "Named `level:metric:operation`; alerts and dashboards read them.",
        "",
    ]
    lines += _table(("name", "what it is"), ((f"`{rule.name}`", rule.about) for rule in RECORDINGS))
    return "\n".join(lines) + "\n"


def span(threshold: Threshold) -> str:
    """The range of a threshold, in words."""
    if threshold.kind == "number":
        return f"{threshold.low:g} to {threshold.high:g}"
    return {"duration": "up to 90d", "job": "a job's name", "place": "a URL or path"}[threshold.kind]


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    names = list(head)
    return [_row(names), _row("---" for _ in names), *(_row(row) for row in rows)]


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

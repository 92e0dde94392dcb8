"""Writes docs/metrics.md from the metric catalogue."""

from collections.abc import Iterable

from middleware.metrics.catalogue import CATALOGUE, GROUPS, LABELS, Family

__all__ = ["metrics_page"]

_OPENING = """\
# Metrics

`GET /metrics` on the admin listener; OpenMetrics where the scraper asks for it, else the Prometheus text format. It
reads memory only. A metric without data has no sample: an absent series means *not measured*, never zero.

Counters of the relay belong to the relay process, so they go on rising when the control process restarts. Gauges that
keep the last value name the timestamp that tells how old it is: alert on that timestamp, not on the absence of change.
When the model under test changes, its `eqwatch_target_info` series is replaced, and the deployment's scores and
comparisons are removed until they are measured anew; `_active` stays while the incident is open.

Gauges do not aggregate over replicas. Where several processes share a store, one has a deployment's schedule at a time:
`eqwatch_leader` says which. Whoever loses it removes its `bench_`, `upgrade_`, baseline and target gauges, and whoever
takes it exports them at once. Counters and histograms stay with the process that counted.

This page is generated from `middleware/metrics/catalogue.py` by `scripts/generate`.
"""


def metrics_page() -> str:
    """docs/metrics.md."""
    lines = [_OPENING]
    for group, title in GROUPS.items():
        lines += [f"## {title}", "", "| metric | type | unit | labels | meaning |", "| --- | --- | --- | --- | --- |"]
        lines += [_row(_cells(entry)) for entry in CATALOGUE if entry.group == group]
        lines.append("")
    lines += ["## Labels", "", "| label | values |", "| --- | --- |"]
    lines += [_row((f"`{name}`", meaning)) for name, meaning in LABELS.items()]
    return "\n".join(lines) + "\n"


def _cells(entry: Family) -> Iterable[str]:
    labels = ", ".join(f"`{label}`" for label in (*entry.labels, *entry.info))
    meaning = entry.help
    if entry.buckets:
        meaning += f" Buckets: {', '.join(f'{bound:g}' for bound in entry.buckets)}."
    if entry.fresh_by:
        meaning += f" As of `eqwatch_{entry.fresh_by}`."
    return f"`{entry.full_name}`", entry.type, entry.unit, labels, meaning


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

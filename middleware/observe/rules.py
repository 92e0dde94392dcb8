"""All rules with their thresholds filled in, as a rules file or as a PrometheusRule. Pure; evaluates nothing."""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from middleware.observe.alert_links import links
from middleware.observe.benchmark_alerts import BENCHMARK_ALERTS
from middleware.observe.operation_alerts import OPERATION_ALERTS
from middleware.observe.probe_alerts import PROBE_ALERTS
from middleware.observe.recordings import RECORDINGS
from middleware.observe.rule import Alert, Recording
from middleware.observe.thresholds import THRESHOLDS, Filled, Threshold, chosen, seconds

__all__ = ["ALERTS", "SETTINGS", "operator_file", "rules_file"]

_GROUPS: Mapping[str, tuple[Recording | Alert, ...]] = {
    "eqwatch.recording": RECORDINGS,
    "eqwatch.benchmark": BENCHMARK_ALERTS,
    "eqwatch.probes": PROBE_ALERTS,
    "eqwatch.operation": OPERATION_ALERTS,
}

ALERTS: tuple[Alert, ...] = (*BENCHMARK_ALERTS, *PROBE_ALERTS, *OPERATION_ALERTS)
SETTINGS: tuple[Threshold, ...] = (*THRESHOLDS, *(setting for alert in ALERTS for setting in alert.settings))
"""Everything that ``--set`` takes."""

_OPENING = "# Written by `eqwatch rules`: thresholds are set there (--set), not here.\n"


def rules_file(settings: Iterable[str] = ()) -> str:
    """A rules file for Prometheus 2.42 or newer (``keep_firing_for``). settings: ``NAME=VALUE``; ConfigurationError."""
    return _OPENING + _dumped(_content(settings))


def operator_file(settings: Iterable[str] = ()) -> str:
    """The same as an object of the Prometheus operator (0.65 or newer)."""
    labels = {"app.kubernetes.io/name": "eqwatch", "app.kubernetes.io/component": "rules"}
    return _OPENING + _dumped(
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": "eqwatch", "labels": labels},
            "spec": _content(settings),
        }
    )


def _content(settings: Iterable[str]) -> dict[str, Any]:
    values = chosen(SETTINGS, settings)
    return {
        "groups": [{"name": name, "rules": [_rule(rule, values) for rule in rules]} for name, rules in _GROUPS.items()]
    }


def _rule(rule: Recording | Alert, values: Mapping[str, str]) -> dict[str, Any]:
    if isinstance(rule, Recording):
        return {"record": rule.name, "expr": rule.expr}
    # PromQL writes a duration after offset only; elsewhere it is a number of seconds.
    numbers = {f"{s.name}_seconds": str(seconds(values[s.name])) for s in THRESHOLDS if s.kind == "duration"}
    expr, summary, description = (
        Filled(text).substitute(values, **numbers) for text in (rule.expr, rule.summary, rule.description)
    )
    labels = {"severity": rule.severity} | ({} if rule.notified else {"notified": "no"})
    return {
        "alert": rule.name,
        "expr": expr,
        "for": values[f"{rule.name}.for"],
        "keep_firing_for": values[f"{rule.name}.keep_firing_for"],
        "labels": labels,
        "annotations": {
            "summary": summary,
            "description": description,
            "runbook_url": f"{values['runbook_base']}/{rule.name}.md",
            **links(rule, values),
        },
    }


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks; nothing aliased."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Never."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _dumped(content: dict[str, Any]) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)

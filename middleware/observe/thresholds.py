"""What can be set in the rules: names, defaults, ranges, and how `NAME=VALUE` is read. Knows no rule."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import Template
from typing import Literal

from middleware.errors import ConfigurationError

__all__ = ["DURATION", "THRESHOLDS", "Filled", "Threshold", "chosen", "seconds"]

DURATION = re.compile(r"^(?:\d+w)?(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?$")
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_MOST_DAYS = 90


class Filled(Template):
    """Expressions and texts name a threshold as ``@{name}``: ``$`` is a variable of Prometheus there."""

    delimiter = "@"


@dataclass(frozen=True, slots=True)
class Threshold:
    """kind: number (within low..high), duration (as Prometheus writes it), job (a name) or place (a URL or path)."""

    name: str
    default: str
    about: str
    kind: Literal["number", "duration", "job", "place"] = "number"
    low: float = 0.0
    high: float = 1e6

    def read(self, value: str) -> str:
        """The value as it goes into a rule. ConfigurationError says what would be right."""
        if complaint := self._complaint(value):
            raise ConfigurationError(f"--set {self.name}={value}: {complaint}")
        return value.rstrip("/") if self.kind == "place" else value

    def _complaint(self, value: str) -> str:
        if self.kind == "number":
            try:
                fits = self.low <= float(value) <= self.high
            except ValueError:
                fits = False
            return "" if fits else f"write a number from {self.low:g} to {self.high:g}, such as {self.default}"
        if self.kind == "duration":
            fits = bool(value) and DURATION.match(value) is not None and seconds(value) <= _MOST_DAYS * _SECONDS["d"]
            return "" if fits else f"write a duration of at most {_MOST_DAYS}d, such as 90s, 15m or 1h30m"
        if self.kind == "job":
            return "" if re.fullmatch(r"[A-Za-z0-9._/-]+", value) else "write the name of a scrape job, such as eqwatch"
        fits = value == self.default or re.fullmatch(r"[^\s'\"`{}]+", value) is not None
        return "" if fits else "write the URL or path under which it is, without spaces, quotes or braces"


def seconds(duration: str) -> int:
    """A duration as Prometheus writes it, in seconds."""
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"(\d+)([wdhms])", duration))


def _numbers(*rows: tuple[str, str, float, str]) -> tuple[Threshold, ...]:
    return tuple(Threshold(name, default, about, high=high) for name, default, high, about in rows)


THRESHOLDS: tuple[Threshold, ...] = (
    Threshold("job", "eqwatch", "Name of the scrape job of the sidecars.", "job"),
    Threshold("runbook_base", "docs/runbooks", "Where the runbooks are: a URL, or a path of this project.", "place"),
    Threshold("grafana_base", "", "Where Grafana is: alerts link to their panel; empty for no link.", "place"),
    Threshold("status_base", "", "Where the status page is: alerts link to it; empty for no link.", "place"),
    *_numbers(
        ("regression_points", "0.5", 100, "EQRegression, EQRegressionSuspected: least fall, points."),
        ("regression_items", "12", 1e5, "EQRegression, EQRegressionSuspected: least answers that it rests on."),
        ("change_ratio", "0.05", 1, "EQSilentModelChange: least share of items that are answered otherwise."),
        ("change_items", "12", 1e5, "EQSilentModelChange: least answers that it rests on."),
    ),
    Threshold("declared_within", "2d", "EQSilentModelChange: how long a declared change explains it.", "duration"),
    *_numbers(
        ("upgrade_passes", "1", 64, "EQUpgradeRegressed, EQUpgradeUndecided: least passes that were compared."),
    ),
    Threshold("undecided_within", "2d", "EQUpgradeUndecided: how long undecided may be left as it is.", "duration"),
    *_numbers(
        ("stale_intervals", "3", 100, "EQBenchmarkStale: intervals without a batch."),
    ),
    Threshold("first_batch_within", "6h", "EQBenchmarkStale: time within which a first batch is due.", "duration"),
    Threshold("vanished_offset", "1d", "EQDeploymentVanished: how long ago it has to have reported.", "duration"),
    *_numbers(
        ("unparseable_ratio", "0.05", 1, "EQBenchmarkUnparseable: share of answers that can't be read."),
        ("unparseable_answers", "50", 1e6, "EQBenchmarkUnparseable: least answers in a day."),
        ("drift_evidence", "1", 1e6, "EQEmotionDrift: evidence over its limit."),
        ("drift_distance", "0.5", 10, "EQEmotionDrift: least distance, intensity points."),
        ("drift_conversations", "200", 1e6, "EQEmotionDrift: least conversations in the current window."),
        ("disagreement_points", "5", 300, "EQReferenceDisagreement: rise of the agreement loss, points."),
        ("disagreement_turns", "100", 1e6, "EQReferenceDisagreement: least rated turns in each of both weeks."),
        ("anticipation_skill", "1", 1, "EQAnticipationLost: skill above which a loss does not count."),
        ("anticipation_turns", "300", 1e6, "EQAnticipationLost: least predictions with an answer."),
        ("coverage_ratio", "0.5", 1, "EQProbeCoverageLow: share of eligible turns that are probed."),
        ("coverage_turns", "50", 1e6, "EQProbeCoverageLow: least eligible turns in six hours."),
        ("budget_ratio", "0.1", 1, "EQTokenBudgetLow: share of the budget that is left."),
        ("overhead_seconds", "0.01", 60, "EQProxyOverheadHigh: 99th percentile of the time that the relay adds."),
        ("overhead_requests", "200", 1e9, "EQProxyOverheadHigh: least requests in ten minutes."),
        ("restarts", "3", 1e4, "EQWorkerCrashLooping: restarts of one worker within half an hour."),
    ),
)


def chosen(known: Iterable[Threshold], settings: Iterable[str]) -> Mapping[str, str]:
    """Every threshold's value, with ``NAME=VALUE`` of the command line over the defaults.

    ConfigurationError: a name that is not known, twice the same, or a value out of range.
    """
    by_name = {threshold.name: threshold for threshold in known}
    values = {name: threshold.default for name, threshold in by_name.items()}
    seen: set[str] = set()
    for setting in settings:
        name, separator, value = setting.partition("=")
        if not separator:
            raise ConfigurationError(f"--set {setting}: write NAME=VALUE, such as regression_points=1")
        if name not in by_name:
            raise ConfigurationError(f"--set {setting}: there is no {name!r}; see eqwatch rules --list")
        if name in seen:
            raise ConfigurationError(f"--set {setting}: {name} is set twice: keep one")
        seen.add(name)
        values[name] = by_name[name].read(value)
    return values

"""Puts a standing into words that hold at 3 a.m.: what, by how much, how sure, since when, what to do. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from middleware.records.standing import Standing, StandingState, UpgradeStanding

__all__ = ["STALE_INTERVALS", "Overall", "Tone", "Verdict", "overall", "points", "ranked", "span", "verdict"]

Tone = Literal["good", "info", "warn", "bad", "none"]

STALE_INTERVALS = 3
"""A verdict is stale when its last batch is older than this many intervals (alert EQBenchmarkStale)."""

_MINUS = "\N{MINUS SIGN}"
# A noticed upgrade is dated by the batch that showed it, and so is what that batch said.
_SLACK_SECONDS = 60.0
_WORDS: Mapping[StandingState, str] = {
    "not_measured": "not measured",
    "commissioning": "learning",
    "fine": "fine",
    "suspected": "suspected",
    "changed": "changed",
    "comparing": "being compared",
    "regressed": "regressed",
}
_URGENCY: tuple[Tone, ...] = ("bad", "warn", "none", "info", "good")


@dataclass(frozen=True, slots=True)
class Verdict:
    """headline: a few words. words: a sentence or two with the figures, without times. next_step: what to do, or empty.

    core: the words without the upgrade, for where that is told in another way. stale: too old to trust.
    """

    standing: Standing
    tone: Tone
    headline: str
    words: str
    next_step: str
    stale: bool
    core: str

    @property
    def cause(self) -> UpgradeStanding | None:
        """The newest upgrade, where what is wrong came after it."""
        standing, upgrade = self.standing, self.standing.upgrade
        if upgrade is None or standing.state not in {"regressed", "changed", "suspected"}:
            return None
        return upgrade if standing.since is None or upgrade.since <= standing.since + _SLACK_SECONDS else None


@dataclass(frozen=True, slots=True)
class Overall:
    """All verdicts in a headline. count: ``1 fell, 2 are fine``; empty where there is one."""

    tone: Tone
    headline: str
    count: str


def verdict(standing: Standing, *, now: float, interval: timedelta) -> Verdict:
    """The verdict at a time (Unix seconds), with batches due every interval."""
    last = standing.last_batch_at
    stale = last is not None and now - last > STALE_INTERVALS * interval.total_seconds()
    tone, headline, words = _said(standing)
    core = " ".join(part for part in (words, _reference(standing)) if part)
    words = " ".join(part for part in (words, _upgrade(standing.upgrade), _reference(standing)) if part)
    if standing.detail and standing.detail not in words:
        words = f"{words} {standing.detail}".strip()
    if stale and last is not None:
        words = f"No batch has finished for {span(now - last)}: this may no longer hold. {words}"
        if tone in {"good", "info"}:
            tone, headline = "warn", f"{headline}, as of {span(now - last)} ago"
    return Verdict(standing, tone, headline, words, _next_step(standing), stale, core)


def _said(standing: Standing) -> tuple[Tone, str, str]:
    match standing.state:
        case "not_measured":
            return "none", "Not measured yet", standing.detail or "No batch has finished yet."
        case "commissioning":
            done, needed = standing.passes_done, standing.passes_needed
            words = f"{done} of {needed} passes are done. Until then a score is shown, but no verdict."
            return "info", "Learning the baseline", words
        case "regressed":
            fall = standing.delta_points
            amount = f" by {points(abs(fall), signed=False)} points" if fall is not None and fall < 0 else ""
            return "bad", f"EQ fell{amount}", f"{_interval(standing)} An incident is open.".strip()
        case "changed":
            words = f"The model answers differently from the baseline, and not worse. {_interval(standing)}".strip()
            return "warn", "The model changed", words
        case "comparing":
            return "info", "Judging an upgrade", _interval(standing)
        case "suspected":
            words = f"There is evidence of a fall, not enough for an alarm. {_interval(standing)}".strip()
            return "info", "EQ may be falling", words
        case "fine":
            return "good", "EQ is fine", _interval(standing) or "No change to the baseline was found."


def _next_step(standing: Standing) -> str:
    match standing.state:
        case "regressed":
            accept = (
                f", or accept the new level: POST /api/v1/alarms/{standing.incident}/acknowledge "
                'with the body {"accept_baseline": true}'
            )
            return f"Roll back to the model that was in use before{accept if standing.incident else ''}."
        case "changed":
            return "If the change was yours, declare it: POST /api/v1/upgrades."
        case "suspected" | "comparing":
            return "Nothing yet: the next batches decide."
        case _:
            return ""


def _interval(standing: Standing) -> str:
    if standing.delta_points is None:
        return ""
    words = f"Change to the baseline: {points(standing.delta_points)} points"
    if standing.delta_lower is None or standing.delta_upper is None:
        return f"{words}."
    return f"{words}, 95% interval {points(standing.delta_lower)} to {points(standing.delta_upper)}."


def _upgrade(upgrade: UpgradeStanding | None) -> str:
    """The newest upgrade in a sentence; empty where there is none."""
    if upgrade is None:
        return ""
    name = f"Upgrade from {upgrade.from_model or '?'} to {upgrade.to_model or '?'}"
    if upgrade.points is None or upgrade.lower is None or upgrade.upper is None:
        return f"{name}: {upgrade.verdict}." if upgrade.verdict != "comparing" else f"{name} is compared."
    figures = f"{points(upgrade.points)} points, between {points(upgrade.lower)} and {points(upgrade.upper)}"
    verdict_ = "not yet decided" if upgrade.verdict == "comparing" else upgrade.verdict
    return f"{name}: {verdict_}, {figures}{', accepted all the same' if upgrade.accepted else ''}."


def _reference(standing: Standing) -> str:
    """The distance to the reference of record, where that is surely below zero: what small upgrades add up to."""
    if standing.reference_points is None or standing.reference_upper is None or standing.reference_upper >= 0:
        return ""
    if standing.state == "regressed":
        return ""  # said already
    return f"Against the first accepted baseline: {points(standing.reference_points)} points."


def ranked(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The most urgent first; among equals the one that lost most."""
    return sorted(verdicts, key=lambda found: (_URGENCY.index(found.tone), found.standing.delta_points or 0.0))


def overall(verdicts: Sequence[Verdict]) -> Overall:
    """Over one or more verdicts, the most urgent first."""
    first = verdicts[0]
    if len(verdicts) == 1:
        return Overall(first.tone, first.headline, "")
    count = ", ".join(f"{number} {words}" for words, number in Counter(map(_in_a_word, verdicts)).items())
    if first.tone == "good":
        return Overall("good", "EQ is fine everywhere", count)
    return Overall(first.tone, f"{_subject(first, verdicts)}: {first.headline}", count)


def _subject(found: Verdict, verdicts: Sequence[Verdict]) -> str:
    """The deployment, with its item set where another one of it is watched."""
    standing = found.standing
    several = sum(one.standing.deployment == standing.deployment for one in verdicts) > 1
    return f"{standing.deployment} on {standing.item_set}" if several else standing.deployment


def _in_a_word(found: Verdict) -> str:
    if found.stale and found.tone == "warn":
        return "out of date"
    return _WORDS[found.standing.state]


def points(value: float, *, signed: bool = True) -> str:
    """One decimal, with a real minus sign; a signed value shows its plus, and what rounds to nothing has no sign."""
    text = f"{abs(value):.1f}"
    if text == "0.0":
        return text
    if value < 0:
        return _MINUS + text
    return f"+{text}" if signed else text


def span(seconds: float) -> str:
    """A length of time in the two units that matter, such as ``3 h 20 min``."""
    seconds = max(0.0, seconds)
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours and days < 7 else f"{days} d"

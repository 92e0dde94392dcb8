"""A study: all cases at some size, as plain figures, and the bars that they are held against."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from bench.detection.answers import NOISES, Answers, Noise
from bench.detection.cases import NULLS, NullYear, Split, equal_or_better, fall, null_year, swap
from bench.detection.trials import RULES, Alarms

__all__ = ["LONG", "SHORT", "Bar", "Figures", "Size", "bars", "study"]

LOW, MID, _ = NOISES
PATIENCE = {1.0: 1200, 2.0: 600, 5.0: 300}
"""Batches after a fall until a trial gives up, by points."""
FALL_BARS = {(2.0, "LOW"): 400.0, (2.0, "MID"): 800.0, (5.0, "LOW"): 210.0, (5.0, "MID"): 210.0}
NULL_BAR, SWAP_BAR, SILENT_BAR = 0.2, 0.05, 100.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much is simulated. limit_years: years in the bootstrap of each installation's CUSUM limits."""

    replicates: int
    points: tuple[float, ...]
    nulls: tuple[NullYear, ...]
    swaps: int
    limit_years: int

    def wanted(self, noises: tuple[Noise, ...] = NOISES) -> Split:
        """The rows of one case."""
        return Split(noises, self.replicates)


LONG = Size(200, (1.0, 2.0, 5.0), NULLS, 12, 100)
SHORT = Size(24, (2.0, 5.0), NULLS[-1:], 3, 40)


@dataclass(slots=True)
class Figures:
    """falls: (points, noise) -> rule -> (median, p90) item evaluations. nulls and swaps: rule -> share of rows."""

    replicates: int
    falls: dict[tuple[float, str], dict[str, tuple[float, float]]] = field(default_factory=dict)
    nulls: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    swaps: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    silent: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bar:
    """One thing to reach. met allows for the chance of a simulation of this size; reached is without mercy."""

    name: str
    limit: float
    value: float
    met: bool

    @property
    def reached(self) -> bool:
        """Whether the measured value itself is within the limit."""
        return self.value <= self.limit


def study(answers: Answers, size: Size, seed: int, tell: Callable[[str], None]) -> Figures:
    """Run all cases; tell gets one line per finished case."""
    rng = np.random.default_rng(seed)
    figures = Figures(size.replicates)
    started = time.monotonic()

    def done(what: str) -> None:
        tell(f"{time.monotonic() - started:6.0f} s  {what}")

    for points in size.points:
        found = fall(answers, points, size.wanted(), rng, batches=PATIENCE[points], limit_years=size.limit_years)
        for noise, alarms in found.items():
            figures.falls[points, noise] = {rule: _delays(alarms, rule) for rule in RULES}
        done(f"a fall of {points:g} points")
    for year in size.nulls:
        for noise, alarms in null_year(answers, year, size.wanted(), rng, limit_years=size.limit_years).items():
            figures.nulls[year.name, noise] = {rule: alarms.share(rule) for rule in RULES}
        done(f"a year: {year.name}")
    for k, (before, after) in enumerate(equal_or_better(answers, rng, size.swaps)):
        for noise, alarms in swap(answers, before, after, size.wanted(), rng, limit_years=size.limit_years).items():
            figures.swaps[f"{before} -> {after}", noise] = {rule: alarms.share(rule) for rule in RULES}
            if k == 0:
                figures.silent[noise] = _delays(alarms, "change")
        done(f"{before} -> {after}")
    return figures


def bars(figures: Figures) -> list[Bar]:
    """Every bar with the figure that it is held against."""
    found = [
        Bar(f"{points:g} points at {noise}, p90 item evaluations", limit, value, value <= limit)
        for (points, noise), limit in FALL_BARS.items()
        if (points, noise) in figures.falls
        for value in (figures.falls[points, noise]["regression"][1],)
    ]
    found += [
        _share_bar(f"false alarm in a year at {noise}, {name}", NULL_BAR, shares["regression"], figures.replicates)
        for (name, noise), shares in figures.nulls.items()
    ]
    found += [
        _share_bar(f"page within 30 days at {noise}, {name}", SWAP_BAR, shares["regression"], figures.replicates)
        for (name, noise), shares in figures.swaps.items()
    ]
    value = figures.silent["LOW"][1]
    return [*found, Bar("silent swap flagged at LOW, p90 item evaluations", SILENT_BAR, value, value <= SILENT_BAR)]


def _share_bar(name: str, limit: float, value: float, replicates: int) -> Bar:
    """A share that is truly at the limit is measured above the slack in 1 of 100 simulations."""
    slack = 2.33 * math.sqrt(limit * (1.0 - limit) / replicates)
    return Bar(name, limit, value, value <= limit + slack)


def _delays(alarms: Alarms, rule: str) -> tuple[float, float]:
    return alarms.quantile(rule, 0.5), alarms.quantile(rule, 0.9)

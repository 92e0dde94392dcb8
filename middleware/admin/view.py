"""What the status page shows, loaded from the store at one moment. No HTML, no SVG: those are made from this."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from middleware.admin.api import item_points, run_score
from middleware.admin.standings import explained
from middleware.admin.state import AdminState, DeploymentInfo
from middleware.admin.verdict import Verdict, verdict, worst
from middleware.records.benchmark import ItemResult, Run
from middleware.records.conversation import ProbeResult
from middleware.records.event import Event
from middleware.records.standing import Standing

__all__ = [
    "BANDS",
    "Budget",
    "DeploymentEmotions",
    "EmotionShares",
    "PageModel",
    "RunLine",
    "ScoreHistory",
    "StatusReader",
]

BANDS = (("absent", 0.0), ("low", 1.0), ("medium", 4.0), ("high", 7.0))
"""Bands of intensity for people: name and lower bound, on 0..10."""

_FALLBACK = "default"
_DAY_SECONDS = 86_400.0
_RUNS = 120
_PROBES = 5_000
_EVENTS = 200
_NORMAL_95 = 1.96


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in a table or on a chart. lower, upper: 95 % interval of its score over items; None for too few items."""

    run: Run
    score: float | None
    lower: float | None
    upper: float | None
    answered: int
    outcomes: Mapping[str, int]

    @property
    def readable(self) -> float | None:
        """Share of answers that could be scored, 0..1; None before the first answer of the model."""
        said = sum(count for outcome, count in self.outcomes.items() if outcome not in {"api_error", "timeout"})
        return self.outcomes.get("scored", 0) / said if said else None


@dataclass(frozen=True, slots=True)
class ScoreHistory:
    """Scores of one deployment on one item set, oldest first, and what happened meanwhile."""

    deployment: str
    item_set: str
    lines: tuple[RunLine, ...]
    baseline_points: float | None
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class EmotionShares:
    """The distribution of one emotion: shares by `BANDS`, sum 1; median and ninth decile on 0..10."""

    emotion: str
    turns: int
    median: float
    p90: float
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class DeploymentEmotions:
    """A deployment's probes of the last day, newest result at `last_at` (Unix seconds) or None."""

    info: DeploymentInfo
    conversations: int
    outcomes: Mapping[str, int]
    last_at: float | None
    emotions: tuple[EmotionShares, ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens of the sidecar's own calls since midnight UTC. limit is None where none is set."""

    used: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class PageModel:
    """Everything on the page, as of `now` (Unix seconds). verdicts: the most urgent first. runs: newest first."""

    now: float
    verdicts: tuple[Verdict, ...]
    runs: tuple[RunLine, ...]
    histories: tuple[ScoreHistory, ...]
    emotions: tuple[DeploymentEmotions, ...]
    budget: Budget
    events: tuple[Event, ...]


class StatusReader:
    """Reads the store for the page, and remembers what can't change: finished runs and past events.

    One thread at a time; the caller sees to that.
    """

    def __init__(self, state: AdminState) -> None:
        self._state = state
        self._finished: dict[str, RunLine] = {}
        self._events: list[Event] = []
        self._last_event = 0

    def read(self, standings: Sequence[Standing], now: float) -> PageModel:
        """The model of the page; blocks on the store and raises StoreUnavailable."""
        state = self._state
        lines = self._lines(state.store.runs(limit=_RUNS))
        events = self._newest_events()
        midnight = now - now % _DAY_SECONDS
        probes = state.store.probes(since=now - _DAY_SECONDS, limit=_PROBES)
        return PageModel(
            now=now,
            verdicts=_verdicts(state, standings, lines, now),
            runs=lines,
            histories=_histories(standings, lines, events),
            emotions=_emotions(state.deployments, probes),
            budget=Budget(state.store.tokens_used(None, midnight), state.tokens_per_day),
            events=tuple(reversed(events)),
        )

    def _lines(self, runs: Sequence[Run]) -> tuple[RunLine, ...]:
        lines = tuple(
            self._finished.get(run.id) or run_line(run, self._state.store.item_results(run.id)) for run in runs
        )
        self._finished = {line.run.id: line for line in lines if line.run.status != "running"}
        return lines

    def _newest_events(self) -> list[Event]:
        while page := self._state.store.events(self._last_event, _EVENTS):
            self._events = [*self._events, *page][-_EVENTS:]
            self._last_event = page[-1].id
        return self._events


def run_line(run: Run, results: Sequence[ItemResult]) -> RunLine:
    """The run with its score, its interval over items, and its outcomes."""
    known = [value for value in item_points(results).values() if value is not None]
    score = run_score(run, results)
    lower = upper = None
    if score is not None and len(known) >= 4:
        half = _NORMAL_95 * statistics.stdev(known) / math.sqrt(len(known))
        lower, upper = score - half, score + half
    return RunLine(run, score, lower, upper, len(results), Counter(result.outcome for result in results))


def _verdicts(
    state: AdminState, standings: Sequence[Standing], lines: Sequence[RunLine], now: float
) -> tuple[Verdict, ...]:
    known = list(standings) or [_unmeasured(state, lines)]
    found = [verdict(standing, now=now, interval=state.benchmark.interval) for standing in known]
    first = worst(found)
    return tuple(sorted(found, key=lambda one: one is not first))


def _unmeasured(state: AdminState, lines: Sequence[RunLine]) -> Standing:
    """What to say before any detector spoke."""
    latest = next((line for line in lines if line.score is not None), None)
    if latest is None:
        nothing = Standing(deployment="", item_set="", state="not_measured", model=state.benchmark.model or "")
        return explained(state, nothing)
    run = latest.run
    return Standing(
        deployment=run.deployment,
        item_set=run.protocol.item_set,
        state="not_measured",
        model=run.model,
        last_batch_at=run.finished_at,
        score_points=latest.score,
        detail="There are scores, but no baseline to compare them with yet.",
    )


def _histories(
    standings: Sequence[Standing], lines: Sequence[RunLine], events: Sequence[Event]
) -> tuple[ScoreHistory, ...]:
    by_key: dict[tuple[str, str], list[RunLine]] = defaultdict(list)
    for line in reversed(lines):
        if line.score is not None and line.run.purpose != "gate":
            by_key[line.run.deployment, line.run.protocol.item_set].append(line)
    baselines = {(s.deployment, s.item_set): s.baseline_points for s in standings}
    return tuple(
        ScoreHistory(
            deployment=deployment,
            item_set=item_set,
            lines=tuple(series),
            baseline_points=baselines.get((deployment, item_set)),
            events=tuple(
                event
                for event in events
                if event.deployment in {deployment, ""} and event.at >= series[0].run.started_at
            ),
        )
        for (deployment, item_set), series in by_key.items()
    )


def _emotions(infos: Sequence[DeploymentInfo], probes: Sequence[ProbeResult]) -> tuple[DeploymentEmotions, ...]:
    found = (_deployment(info, [probe for probe in probes if probe.deployment == info.name]) for info in infos)
    # What no deployment matches counts as ``default``: worth a place only if it is all there is, or is probed.
    return tuple(
        one for one in found if one.info.name != _FALLBACK or one.outcomes or one.info.sampled or len(infos) == 1
    )


def _deployment(info: DeploymentInfo, probes: Sequence[ProbeResult]) -> DeploymentEmotions:
    values: dict[str, list[float]] = {emotion: [] for emotion in info.emotions}
    for probe in probes:
        if probe.kind != "perception" or probe.outcome != "scored":
            continue
        for emotion, intensity in probe.emotions.items():
            if emotion in values:
                values[emotion].append(intensity)
    return DeploymentEmotions(
        info=info,
        conversations=len({probe.conversation for probe in probes}),
        outcomes=Counter(probe.outcome for probe in probes),
        last_at=max((probe.at for probe in probes), default=None),
        emotions=tuple(_shares(emotion, found) for emotion, found in values.items() if found),
    )


def _shares(emotion: str, values: list[float]) -> EmotionShares:
    bounds = [lower for _, lower in BANDS]
    counts = [0] * len(bounds)
    for value in values:
        counts[max(index for index, lower in enumerate(bounds) if value >= lower or index == 0)] += 1
    ranked = sorted(values)
    return EmotionShares(
        emotion=emotion,
        turns=len(values),
        median=statistics.median(values),
        p90=ranked[min(len(ranked) - 1, math.ceil(0.9 * len(ranked)) - 1)],
        shares=tuple(count / len(values) for count in counts),
    )

"""What the status page shows, loaded from the store at one moment. No HTML, no SVG: those are made from this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from middleware.admin.changes import Changes, changes_of
from middleware.admin.feelings import DayCounts, DeploymentEmotions, band_counts, deployment_emotions
from middleware.admin.history import RunLine, ScoreHistory, history_of, run_line
from middleware.admin.incidents import IncidentView, incidents_of
from middleware.admin.standings import explained
from middleware.admin.state import AdminState
from middleware.admin.verdict import Overall, Verdict, overall, ranked, verdict
from middleware.records.event import Event
from middleware.records.standing import Standing
from scorer.baseline import Baseline

__all__ = ["Budget", "PageModel", "StatusReader", "Subject"]

_FALLBACK = "default"
_DAY_SECONDS = 86_400.0
_DAYS = 14
_RUNS = 120
_PROBES = 5_000
_PROBES_OF_A_DAY = 20_000
_EVENTS = 400
# Of two transactions the one that got the lower id may end later, and a result waits while the store is away: a few
# events are read again, and so is a day that was over only just before it was read.
_AGAIN = 50
_SETTLED_SECONDS = 3_600.0
_DEGRADED = frozenset({"regressed", "changed", "suspected"})


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens and money of the sidecar's own calls since midnight UTC. Limits are None where none is set, money where
    prices are not known. by_purpose: tokens, most first."""

    used: int
    limit: int | None
    money: float | None = None
    money_limit: float | None = None
    currency: str = ""
    by_purpose: Mapping[str, int] | None = None

    @property
    def left(self) -> float | None:
        """Share of the tokens that is left, 0..1; None without a cap."""
        return max(0.0, 1.0 - self.used / self.limit) if self.limit else None


@dataclass(frozen=True, slots=True)
class Subject:
    """One deployment on one item set: its verdict, its history (None before the first score), and what changed."""

    verdict: Verdict
    history: ScoreHistory | None
    changes: Changes

    @property
    def name(self) -> str:
        """For people and anchors."""
        return f"{self.verdict.standing.deployment}, {self.verdict.standing.item_set}"


@dataclass(frozen=True, slots=True)
class PageModel:
    """Everything on the page, as of `now` (Unix seconds). subjects: the most urgent first. runs, events: newest first.

    others: histories of what is not watched, such as `eqwatch run`. version: changes with what is shown, for caches.
    """

    now: float
    overall: Overall
    subjects: tuple[Subject, ...]
    others: tuple[ScoreHistory, ...]
    runs: tuple[RunLine, ...]
    emotions: tuple[DeploymentEmotions, ...]
    incidents: tuple[IncidentView, ...]
    budget: Budget
    events: tuple[Event, ...]
    version: str

    @property
    def reach(self) -> float:
        """The largest absolute end of any interval of a change, points: what a drawing of them all has to hold."""
        standings = [subject.verdict.standing for subject in self.subjects]
        ends = (abs(end) for one in standings for end in (one.delta_lower, one.delta_upper) if end is not None)
        return max(ends, default=1.0) or 1.0

    @property
    def histories(self) -> tuple[ScoreHistory, ...]:
        """All of them, those of subjects first."""
        return (*(subject.history for subject in self.subjects if subject.history is not None), *self.others)


class StatusReader:
    """Reads the store for the page, and remembers what can't change: finished runs, past events and past days.

    One thread at a time; the caller sees to that.
    """

    def __init__(self, state: AdminState) -> None:
        self._state = state
        self._finished: dict[str, RunLine] = {}
        self._events: list[Event] = []
        self._last_event = 0
        self._baselines: dict[int, Baseline] = {}
        self._days: dict[float, DayCounts] = {}

    def read(self, standings: Sequence[Standing], now: float) -> PageModel:
        """The model of the page; blocks on the store and raises StoreUnavailable."""
        state = self._state
        lines = self._lines({standing.deployment for standing in standings})
        events = self._newest_events()
        known = list(standings) or [_unmeasured(state, lines)]
        verdicts = ranked([verdict(one, now=now, interval=state.benchmark.interval) for one in known])
        subjects = tuple(self._subject(found, lines, events) for found in verdicts)
        return PageModel(
            now=now,
            overall=overall(verdicts),
            subjects=subjects,
            others=_others(subjects, lines, events),
            runs=lines,
            emotions=self._emotions(now),
            incidents=incidents_of(events, standings),
            budget=self._budget(now),
            events=tuple(reversed(events)),
            version=_version(lines, events, now),
        )

    def _lines(self, deployments: set[str]) -> tuple[RunLine, ...]:
        store = self._state.store
        found = {run.id: run for run in store.runs(limit=_RUNS)}
        for deployment in sorted(deployments):
            found |= {run.id: run for run in store.runs(deployment, _RUNS)}
        runs = sorted(found.values(), key=lambda run: (run.started_at, run.id), reverse=True)
        lines = tuple(self._finished.get(run.id) or run_line(run, store.item_results(run.id)) for run in runs)
        # One that was stopped goes on later, under its id.
        self._finished = {line.run.id: line for line in lines if line.run.status == "finished"}
        return lines

    def _newest_events(self) -> list[Event]:
        since = max(0, self._last_event - _AGAIN)
        while page := self._state.store.events(since, _EVENTS):
            # Thresholds are the application's business, and would push out everything else.
            shown = {event.id: event for event in page if event.kind != "emotion_threshold"}
            known = {event.id: event for event in self._events} | shown
            self._events = [known[number] for number in sorted(known)][-_EVENTS:]
            since = page[-1].id
        self._last_event = max(self._last_event, since)
        return self._events

    def _subject(self, found: Verdict, lines: Sequence[RunLine], events: Sequence[Event]) -> Subject:
        standing = found.standing
        baseline = self._baseline(standing.baseline_id)
        history = history_of(
            standing.deployment,
            standing.item_set,
            lines,
            baseline=baseline,
            baseline_points=standing.baseline_points,
            events=events,
        )
        if history is None or baseline is None:
            return Subject(found, history, Changes())
        results = (result for line in history.lines for result in line.results)
        items = self._state.items(standing.item_set)
        return Subject(found, history, changes_of(baseline, results, since=_since(standing), item_set=items))

    def _baseline(self, baseline_id: int) -> Baseline | None:
        if baseline_id and baseline_id not in self._baselines:
            record = self._state.store.baseline(baseline_id)
            if record is None:
                return None
            self._baselines = {baseline_id: Baseline.from_dict(record.value), **self._baselines}
        return self._baselines.get(baseline_id)

    def _emotions(self, now: float) -> tuple[DeploymentEmotions, ...]:
        state = self._state
        probes = state.store.probes(since=now - _DAY_SECONDS, limit=_PROBES)
        days = self._past_days(now) if state.deployments else {}
        infos = state.deployments
        found = [deployment_emotions(info, probes, days=days, report=state.emotions(info.name)) for info in infos]
        # What no deployment matches counts as ``default``: worth a place only if it is all there is, or is probed.
        return tuple(
            one for one in found if one.info.name != _FALLBACK or one.outcomes or one.info.sampled or len(infos) == 1
        )

    def _past_days(self, now: float) -> Mapping[float, DayCounts]:
        """Each of the last days by its begin. A day that is over is read once; one that is very busy is cut short."""
        today = now - now % _DAY_SECONDS
        known = {}
        for back in range(_DAYS):
            begin = today - back * _DAY_SECONDS
            if begin in self._days:
                known[begin] = self._days[begin]
                continue
            probes = self._state.store.probes(since=begin, until=begin + _DAY_SECONDS, limit=_PROBES_OF_A_DAY)
            known[begin] = band_counts(probes)
        self._days = {begin: known[begin] for begin in known if now >= begin + _DAY_SECONDS + _SETTLED_SECONDS}
        return known

    def _budget(self, now: float) -> Budget:
        state = self._state
        usage = state.store.token_usage(now - now % _DAY_SECONDS)
        by_purpose: dict[str, int] = {}
        by_type: dict[str, int] = {}
        for (purpose, type_), tokens in usage.items():
            by_purpose[purpose] = by_purpose.get(purpose, 0) + tokens
            by_type[type_] = by_type.get(type_, 0) + tokens
        return Budget(
            used=sum(by_purpose.values()),
            limit=state.tokens_per_day,
            money=state.cost(by_type.get("prompt", 0), by_type.get("completion", 0)),
            money_limit=state.money_per_day,
            currency=state.currency,
            by_purpose=dict(sorted(by_purpose.items(), key=lambda one: -one[1])),
        )


def _since(standing: Standing) -> float | None:
    """From when on answers are the present version's: its upgrade, else the time since when something is wrong."""
    times = [standing.baseline_at]
    if standing.upgrade is not None:
        times.append(standing.upgrade.since)
    elif standing.state in _DEGRADED:
        times.append(standing.since)
    return max((at for at in times if at is not None), default=None)


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


def _others(subjects: Sequence[Subject], lines: Sequence[RunLine], events: Sequence[Event]) -> tuple[ScoreHistory, ...]:
    watched = {(one.verdict.standing.deployment, one.verdict.standing.item_set) for one in subjects}
    keys = dict.fromkeys((line.run.deployment, line.run.protocol.item_set) for line in lines)
    found = (
        history_of(*key, lines, baseline=None, baseline_points=None, events=events)
        for key in keys
        if key not in watched
    )
    return tuple(history for history in found if history is not None)


def _version(lines: Sequence[RunLine], events: Sequence[Event], now: float) -> str:
    newest = max((line.at for line in lines), default=0.0)
    return f"{newest:.0f}-{events[-1].id if events else 0}-{now // 300:.0f}"

"""The emotions of every sampled deployment as a worker: looks at the windows in turn, keeps them, exports them."""

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence

import structlog
from prometheus_client import Gauge

from middleware.errors import StoreUnavailable
from middleware.metrics import Metrics
from middleware.probe.drift_windows import DriftRule
from middleware.probe.emotion_state import PERCEPTION, DeploymentEmotions, EmotionRule, Look
from middleware.records.conversation import ProbeResult
from middleware.records.emotion_report import Drift, EmotionReport
from middleware.records.event import Event
from middleware.records.informed import Call
from middleware.settings import Settings
from middleware.store import Store
from scorer.repeatability import Repeatability

__all__ = ["EmotionExport", "Emotions", "emotion_rules"]

_log = structlog.get_logger(__name__)
_RESTORED_RESULTS = 100_000
_JUDGES = ("reference", "anchor")


class Emotions:
    """Owns the windows of all deployments. model_points: EQ-Bench score of a deployment's model, where it is known.

    publish: told of each event that was saved; must not block.
    """

    def __init__(
        self,
        rules: Sequence[EmotionRule],
        *,
        store: Store,
        metrics: Metrics,
        publish: Callable[[Event], object],
        clock: Callable[[], float],
        interval_seconds: float,
        model_points: Callable[[str], float | None] = lambda _: None,
    ) -> None:
        self._rules = rules
        self._store = store
        self._export = EmotionExport(metrics)
        self._metrics = metrics
        self._publish = publish
        self._untold: dict[str, list[Event]] = {}
        self._clock = clock
        self._interval = interval_seconds
        self._model_points = model_points
        self._forgotten: list[str] = []
        self._waiting: list[ProbeResult | Call] = []
        self._deployments: dict[str, DeploymentEmotions] = {}
        self._reports: dict[str, EmotionReport] = {}

    def take(self, result: ProbeResult) -> None:
        """A result that was saved; never blocks."""
        self._waiting.append(result)

    def forget(self, conversations: Sequence[str]) -> None:
        """Leave erased conversations out from the next look on; never blocks."""
        self._waiting = [result for result in self._waiting if result.conversation not in conversations]
        self._forgotten.extend(conversations)

    def called(self, call: Call) -> None:
        """A call of the application; never blocks."""
        self._waiting.append(call)

    def report(self, deployment: str) -> EmotionReport | None:
        """What the last look found, or None of a deployment that is not sampled or not looked at yet."""
        return self._reports.get(deployment)

    def repeatability(self, deployment: str) -> Mapping[str, Repeatability]:
        """How well whoever perceives repeats itself, by emotion, as of the last look; empty where nothing is known."""
        report = self._reports.get(deployment)
        return report.repeatability if report is not None else {}

    async def run(self) -> None:
        """Look until cancelled. A store that is away is waited for: what comes in meanwhile is kept in memory."""
        while True:
            try:
                if not self._deployments and self._rules:
                    self._deployments = await asyncio.to_thread(self._restored)
                await self.look()
            except StoreUnavailable as error:
                self._metrics.store_errors_total.labels(reason=error.reason).inc()
                _log.warning("emotions_wait_for_store", reason=error.reason)
            await asyncio.sleep(self._interval)

    async def look(self) -> None:
        """One look at every deployment: numbers, events of drifts that began, state."""
        waiting, self._waiting = self._waiting, []
        forgotten, self._forgotten = self._forgotten, []
        for known in self._deployments.values():
            known.forget(forgotten)
        for result in waiting:
            if (deployment := self._deployments.get(result.deployment)) is None:
                continue
            if isinstance(result, Call):
                deployment.called(result)
            else:
                deployment.add(result)
        for name, deployment in self._deployments.items():
            points = self._model_points(name)
            look = await asyncio.to_thread(deployment.look, self._clock(), model_points=points)
            try:
                await self._keep(name, deployment, look)
            finally:  # also where the store is away: only the events wait for it
                self._reports[name] = look.report
                self._export.look(look)

    async def _keep(self, name: str, deployment: DeploymentEmotions, look: Look) -> None:
        """State and events in one step, so that a drift is told once, whenever this process is killed; what the store
        did not take is told with the next look."""
        untold = self._untold.setdefault(name, [])
        untold += [_event(look.report, crossing) for crossing in look.crossings]
        ids = await asyncio.to_thread(self._store.save_state, _name(name), deployment.as_json(), tuple(untold))
        for event, identity in zip(untold, ids, strict=True):
            self._publish(dataclasses.replace(event, id=identity))
        untold.clear()

    def _restored(self) -> dict[str, DeploymentEmotions]:
        found = {}
        for rule in self._rules:
            emotions = DeploymentEmotions(rule, self._store.load_state(_name(rule.deployment)))
            for result in reversed(self._store.probes(rule.deployment, limit=_RESTORED_RESULTS)):
                emotions.add(result)
            for call in self._store.calls(rule.deployment, limit=_RESTORED_RESULTS):
                emotions.called(call)
            found[rule.deployment] = emotions
        return found


class EmotionExport:
    """Feeds the gauges and histograms; what is not known has no series."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def look(self, look: Look) -> None:
        """Everything that a look found."""
        metrics, report = self._metrics, look.report
        of = {"deployment": report.deployment}
        for (kind, judge, _, _), loss in look.losses.items():
            if kind == "agreement":
                metrics.probe_agreement_loss_points.labels(**of, reference=judge).observe(loss)
            elif kind == "retest":
                metrics.probe_retest_loss_points.labels(**of).observe(loss)
            else:
                metrics.anticipation_loss_points.labels(**of).observe(loss)
        _set(metrics.awareness_adoption_ratio, of, report.adoption.ratio if report.adoption else None)
        metrics.anticipation_censored_total.labels(**of).inc(look.censored)
        _set(metrics.anticipation_turns, of, report.censoring.followed if report.censoring else None)
        for judge in _JUDGES:
            _set(metrics.judge_retest_ratio, {**of, "reference": judge}, report.retest_ratio.get(judge))
        self._by_emotion(report)
        self._drift(report)

    def _by_emotion(self, report: EmotionReport) -> None:
        metrics = self._metrics
        for emotion in report.emotions:
            of = {"deployment": report.deployment, "emotion": emotion}
            skill, relief = report.skill.get(emotion), report.relief.get(emotion)
            values = {
                metrics.anticipation_skill_ratio: skill.value if skill else None,
                metrics.anticipation_skill_ratio_lower: skill.lower if skill else None,
                metrics.anticipation_skill_ratio_upper: skill.upper if skill else None,
                metrics.relief_intensity_change: relief.change if relief else None,
                metrics.anticipation_lost_active: (
                    float(report.skill_lost[emotion]) if emotion in report.skill_lost else None
                ),
            }
            for read, found in (("yes", report.relief_read), ("no", report.relief_unread)):
                change = found[emotion].change if emotion in found else None
                _set(metrics.relief_read_intensity_change, {**of, "read": read}, change)
            for gauge, value in values.items():
                _set(gauge, of, value)

    def _drift(self, report: EmotionReport) -> None:
        metrics = self._metrics
        for reading in report.drift:
            of = {"deployment": report.deployment, "emotion": reading.emotion}
            if reading.signal != PERCEPTION:
                distance = metrics.drift_expressed_wasserstein_distance
                evidence = metrics.drift_expressed_evidence_ratio
                of["reference"] = reading.signal
            else:
                distance, evidence = metrics.drift_wasserstein_distance, metrics.drift_evidence_ratio
                counts = {"reference": reading.reference_conversations, "current": reading.current_conversations}
                for window, count in counts.items():
                    metrics.drift_window_conversations.labels(deployment=report.deployment, window=window).set(count)
                _set(metrics.drift_active, of, float(reading.active) if reading.evidence is not None else None)
            for gauge, value in ((distance, reading.distance), (evidence, reading.evidence)):
                _set(gauge, of, value)


def _set(gauge: Gauge, labels: Mapping[str, str], value: float | None) -> None:
    """What is no longer known does not stay at its last value."""
    if value is None:
        gauge.remove_by_labels(dict(labels))
    else:
        gauge.labels(**labels).set(value)


def emotion_rules(settings: Settings, versions: Mapping[str, Mapping[str, str]]) -> list[EmotionRule]:
    """One for each sampled deployment. versions: judges of each deployment and their versions, the answer key first."""
    emotions = settings.emotions
    drift = DriftRule(
        reference=emotions.reference_conversations,
        window=emotions.window_conversations,
        least=emotions.least_conversations,
        floor=emotions.drift_floor,
        alpha=emotions.false_alarm_probability,
    )
    return [
        EmotionRule(
            deployment=deployment.name,
            emotions=deployment.emotions,
            versions=versions.get(deployment.name, {}),
            drift=drift,
            gap=emotions.censored_after.total_seconds(),
            judge_points=settings.judge.benchmark_points,
            local=deployment.anchor_only,
        )
        for deployment in settings.deployments
        if deployment.sampled
    ]


def _event(report: EmotionReport, drift: Drift) -> Event:
    details = {
        "emotion": drift.emotion,
        "signal": drift.signal,
        "distance": drift.distance,
        "evidence": drift.evidence,
        "reference_mean": drift.reference_mean,
        "current_mean": drift.current_mean,
        "conversations": drift.current_conversations,
        "cause": report.cause or None,
    }
    return Event("emotion_drift", report.deployment, report.at, details)


def _name(deployment: str) -> str:
    return f"emotions:{deployment}"

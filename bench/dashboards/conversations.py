"""Scripted conversations: what probes and the answer key said of them, through the real windows and their export."""

import numpy as np

from middleware.control.emotions import EmotionExport
from middleware.metrics import Metrics
from middleware.probe.drift_windows import DriftRule
from middleware.probe.emotion_state import DeploymentEmotions, EmotionRule
from middleware.records.conversation import ProbeKind, ProbeResult
from middleware.records.emotions import DEFAULT_EMOTIONS

__all__ = ["Conversations"]

_KINDS = {"tutor": "tutoring", "companion": "companion", "marketing": "marketing"}
_LEVELS = ((5.0, 2.0, 3.0, 6.0), (4.0, 5.0, 3.0, 4.5), (6.0, 5.5, 1.5, 1.0))
_RULE = DriftRule(reference=80, window=80, least=60)
_GAP_SECONDS = 900.0
_LOOK_SECONDS = 1800.0
_TURNS = 3
# The tutor's new model overlooks much of the confusion; what its users express stays.
_OVERLOOKS = ("tutor", 4.0, "Confusion", 2.2)
_JUDGE, _VERSION = "reference", "pinned-1"


class Conversations:
    """A conversation of each deployment between two scrapes, three turns, and a look at the windows now and then."""

    def __init__(self, metrics: Metrics, rng: np.random.Generator) -> None:
        self._metrics = metrics
        self._rng = rng
        self._number = 0
        self._next_look = 0.0
        self._export = EmotionExport(metrics)
        rules = [
            EmotionRule(
                deployment=name,
                emotions=DEFAULT_EMOTIONS[kind],
                versions={_JUDGE: _VERSION},
                drift=_RULE,
                gap=_GAP_SECONDS,
            )
            for name, kind in _KINDS.items()
        ]
        self._windows = {rule.deployment: DeploymentEmotions(rule) for rule in rules}

    def talk(self, hour: float, now: float) -> None:
        """Conversations that take place now."""
        for (name, kind), levels in zip(_KINDS.items(), _LEVELS, strict=True):
            self._converse(name, DEFAULT_EMOTIONS[kind], np.array(levels), hour, now)
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            for windows in self._windows.values():
                self._export.look(windows.look(now))
        self._read()

    def _converse(self, name: str, emotions: tuple[str, ...], levels: np.ndarray, hour: float, now: float) -> None:
        self._number += 1
        felt = levels + self._rng.normal(0.0, 1.3, levels.size)
        for turn in range(1, _TURNS + 1):
            at = now - 60.0 + 20.0 * turn
            perceived = felt + self._rng.normal(0.0, 0.7, levels.size) - _overlooked(name, emotions, hour)
            self._outcome(name, emotions, perceived)
            following = felt + self._rng.normal(-0.3, 0.6, levels.size)
            place = (name, f"c{self._number}", turn, emotions, at)
            self._take(*place, "perception", "small", perceived)
            self._take(*place, "expressed", _JUDGE, felt + self._rng.normal(0.0, 0.5, levels.size))
            if self._rng.random() < 0.2:
                self._take(*place, "retest", "small", perceived + self._rng.normal(0.0, 0.4, levels.size))
                self._take(*place, "retest", _JUDGE, felt + self._rng.normal(0.0, 0.5, levels.size))
            self._take(*place, "anticipation", "small", following + self._rng.normal(0.0, 0.5, levels.size))
            felt = following

    def _take(
        self,
        name: str,
        conversation: str,
        turn: int,
        emotions: tuple[str, ...],
        at: float,
        kind: ProbeKind,
        judge: str,
        intensities: np.ndarray,
    ) -> None:
        self._windows[name].add(
            ProbeResult(
                deployment=name,
                conversation=conversation,
                turn=turn,
                kind=kind,
                outcome="scored",
                emotions=_rated(emotions, intensities),
                judge=judge,
                judge_version=_VERSION if judge == _JUDGE else "",
                at=at + 1.0,
                turn_ended_at=at,
            )
        )

    def _outcome(self, name: str, emotions: tuple[str, ...], perceived: np.ndarray) -> None:
        metrics, rng = self._metrics, self._rng
        outcome = str(rng.choice(("scored", "unparseable", "not_sampled", "opted_out"), p=(0.8, 0.03, 0.15, 0.02)))
        metrics.probe_conversations_total.labels(deployment=name, outcome=outcome).inc()
        rated = "scored" if rng.random() < 0.97 else "timeout"
        metrics.judge_ratings_total.labels(deployment=name, reference=_JUDGE, outcome=rated).inc()
        if outcome == "scored":
            for emotion, intensity in _rated(emotions, perceived).items():
                metrics.probe_intensity.labels(deployment=name, emotion=emotion).observe(intensity)
        if rng.random() < 0.005:
            metrics.injection_flags_total.labels(deployment=name, kind="orders").inc()

    def _read(self) -> None:
        for outcome, mean in (("found", 9.0), ("not_found", 0.6)):
            self._metrics.awareness_reads_total.labels(channel="pull", outcome=outcome).inc(
                int(self._rng.poisson(mean))
            )
        for name, kind in _KINDS.items():
            self._metrics.awareness_adoption_ratio.labels(deployment=name).set(0.6 + 0.05 * self._rng.random())
            for read, change in (("yes", -0.4), ("no", -0.1)):
                labels = {"deployment": name, "emotion": DEFAULT_EMOTIONS[kind][0], "read": read}
                relief = change + 0.05 * float(self._rng.normal())
                self._metrics.relief_read_intensity_change.labels(**labels).set(relief)
            self._metrics.awareness_age_seconds.labels(deployment=name).observe(float(self._rng.gamma(2.0, 6.0)))


def _overlooked(name: str, emotions: tuple[str, ...], hour: float) -> np.ndarray:
    deployment, begins, emotion, points = _OVERLOOKS
    hit = name == deployment and hour >= begins
    return np.array([points if hit and one == emotion else 0.0 for one in emotions])


def _rated(emotions: tuple[str, ...], intensities: np.ndarray) -> dict[str, float]:
    return dict(zip(emotions, np.clip(np.round(intensities), 0.0, 10.0).tolist(), strict=True))

"""The emotions of one deployment over time: takes results, looks at the windows, says what is new. No I/O.

What has to survive a restart is a state of plain JSON: the frozen reference and how far the looks have come. The
ratings themselves come back from the store.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from middleware.probe.drift_windows import DriftRule, DriftWindows
from middleware.probe.judging import ANCHOR
from middleware.probe.rated import RatingLog, Session
from middleware.probe.study import LossKey, Study, losses_of
from middleware.records.conversation import ProbeResult
from middleware.records.emotion_report import Drift, EmotionReport
from middleware.records.informed import Call
from scorer.anticipation import Skill
from scorer.relief import Expectation

__all__ = ["PERCEPTION", "DeploymentEmotions", "EmotionRule", "Look"]

PERCEPTION = "perception"
_LEAST_SKILL_TURNS = 300
_ODDS = 2**64

_WORDS = {
    "skill": "Share of the loss in foreseeing the next turn that the model's own prediction removes, beyond what the "
    "answer key and the model know of this turn. 0: no better than knowing this turn. At most 1, and less the noisier "
    "the judge is.",
    "anticipation_loss": "EQ-Bench loss of predictions in points; smaller is better. It also punishes another scale.",
    "censoring": "Predictions whose user never came back in time. Those who leave are unlike those who stay: read the "
    "bands, and the lowest and highest of next_intensity.",
    "relief": "Change of intensity in the turn after the reply, less the change expected from where it stood. An "
    "association, not an effect of the reply. Negative is a fall.",
    "adoption": "Share of calls before which the application had read an estimate of the conversation, among those for "
    "which one was there. relief_read and relief_unread: relief after such calls and after the others. An association, "
    "not an effect: applications read, and conversations last, for reasons of their own.",
    "agreement": "Between what the model perceives and a judge's ratings of the same turns.",
    "repeatability": "By emotion: share of second ratings of the same turn within one point of the first. Confidence "
    "is the lower end of its 95 % interval: whether the judge would say so again, not whether it is right.",
    "retest_ratio": "Share of the variance of a judge's ratings that it gives again: the ceiling of all the above.",
    "drift": "Whether intensities are distributed as in the frozen reference window. Evidence of 1 or more rejects, "
    "however often one looks.",
}
_CAUSES = {
    "users": "What users express drifted as well: the users, or what they talk about, changed.",
    "model": "What users express did not drift: the model, or how it is asked, changed.",
    "unknown": "What users express may have drifted too, or too few of it is rated: who changed can't be told yet.",
}


@dataclass(frozen=True, slots=True)
class EmotionRule:
    """What a deployment's emotions are measured by. versions: of each judge, the answer key first.

    local: the anchor perceives in place of the model. gap: seconds after which a turn without a next one is censored.
    judge_points: benchmark score of the reference model, where the operator told it.
    """

    deployment: str
    emotions: tuple[str, ...]
    versions: Mapping[str, str]
    drift: DriftRule = field(default_factory=DriftRule)
    gap: float = 1800.0
    judge_points: float | None = None
    local: bool = False

    @property
    def judge(self) -> str:
        """Whose ratings are the answer key; empty where there is none."""
        return next(iter(self.versions), "")


@dataclass(frozen=True, slots=True)
class Look:
    """What a look found new. losses: completed since the last look; crossings: drifts that began."""

    report: EmotionReport
    losses: dict[LossKey, float]
    censored: int
    crossings: tuple[Drift, ...]


class DeploymentEmotions:
    """Owns the log of ratings and the windows of one deployment. One thread at a time."""

    def __init__(self, rule: EmotionRule, state: Mapping[str, Any] | None = None) -> None:
        self.rule = rule
        state = state if state is not None and tuple(state["emotions"]) == rule.emotions else {}
        self._log = RatingLog(rule.emotions, rule.versions, capacity=rule.drift.reference + rule.drift.window)
        self._looked_at: float = state.get("looked_at", 0.0)
        self._seen: set[LossKey] | None = None
        windows: Mapping[str, Any] = state.get("windows", {})
        signals = {PERCEPTION: rule.versions.get(ANCHOR, "") if rule.local else "", **rule.versions}
        self._windows = {
            signal: DriftWindows.restored(windows.get(signal), signal, version, rule.emotions, rule.drift)
            for signal, version in signals.items()
        }
        same_judge = state.get("judge") == [rule.judge, rule.versions.get(rule.judge, "")]
        self._expected = {e: Expectation.from_json(v) for e, v in state.get("expected", {}).items() if same_judge}
        self._skill = {e: Skill(**v) for e, v in state.get("skill", {}).items() if same_judge}

    def add(self, result: ProbeResult) -> None:
        """Take a result, in any order."""
        self._log.add(result)

    def forget(self, conversations: Iterable[str]) -> None:
        """Leave conversations out from now on. What they gave to a frozen reference is a number without a name."""
        self._log.forget(conversations)

    def called(self, call: Call) -> None:
        """Take a call of the application."""
        self._log.called(call)

    def as_json(self) -> dict[str, Any]:
        """The state, for the store."""
        rule = self.rule
        return {
            "emotions": list(rule.emotions),
            "judge": [rule.judge, rule.versions.get(rule.judge, "")],
            "looked_at": self._looked_at,
            "windows": {signal: windows.as_json() for signal, windows in self._windows.items()},
            "expected": {emotion: expected.as_json() for emotion, expected in self._expected.items()},
            "skill": {
                emotion: {name: getattr(skill, name) for name in skill.__slots__}
                for emotion, skill in self._skill.items()
            },
        }

    def look(self, now: float, *, model_points: float | None = None) -> Look:
        """Close sessions that are over, and report. now: Unix seconds, never earlier than at the last look."""
        sessions = sorted(self._log.sessions(self.rule.gap), key=lambda session: session.turns[-1].ended_at)
        closed = [s for s in sessions if self._looked_at < s.closes_at(self.rule.gap) <= now]
        censored = sum(session.turns[-1].predicted is not None for session in closed)
        crossings = [drift for session in closed for drift in self._windowed(session)]
        losses = self._new_losses(sessions)
        self._freeze(sessions, now)
        self._looked_at = max(self._looked_at, now)
        return Look(self._report(sessions, now, model_points), losses, censored, tuple(crossings))

    def _windowed(self, session: Session) -> Iterable[Drift]:
        for signal, windows in self._windows.items():
            rated = [turn.perceived if signal == PERCEPTION else turn.expressed.get(signal) for turn in session.turns]
            known = [ratings for ratings in rated if ratings is not None]
            if not known:
                continue
            means = {e: sum(ratings[e] for ratings in known) / len(known) for e in self.rule.emotions}
            place = f"{signal}:{session.conversation}:{session.turns[0].turn}"
            crossed = windows.add(means, lambda emotion, place=place: _lot(f"{place}:{emotion}"))  # type: ignore[misc]
            yield from (drift for drift in windows.readings() if drift.emotion in crossed)

    def _new_losses(self, sessions: list[Session]) -> dict[LossKey, float]:
        found: dict[LossKey, tuple[float, float]] = {}
        for judge in self.rule.versions or ("",):
            found |= losses_of(sessions, judge)
        answered = {key: loss for key, loss in found.items() if key[0] != "anticipation" or key[1] == self.rule.judge}
        if self._seen is None:  # after a restart: what was complete at the last look was told then
            self._seen = {key for key, (_, at) in answered.items() if at <= self._looked_at}
        new = {key: loss for key, (loss, _) in answered.items() if key not in self._seen}
        self._seen = set(answered)
        return new

    def _freeze(self, sessions: list[Session], now: float) -> None:
        """What is expected is learnt once, when the reference window of the answer key is full."""
        windows = self._windows.get(self.rule.judge)
        if windows is None or not windows.full or self._expected:
            return
        study = self._study(sessions, now)
        self._expected = study.expectations()
        self._skill = study.skills()

    def _study(self, sessions: list[Session], now: float) -> Study:
        return Study(sessions, self.rule.emotions, self.rule.judge, gap=self.rule.gap, now=now)

    def _report(self, sessions: list[Session], now: float, model_points: float | None) -> EmotionReport:
        rule = self.rule
        newest = _newest(sessions, rule.drift.window)
        study = self._study(newest, now)
        skill = study.skills()
        agreements = {
            judge: study.agreement(
                judge, judge_points=rule.judge_points if judge != ANCHOR else None, model_points=model_points
            )
            for judge in rule.versions
        }
        ratios = {judge: study.retest_ratio(judge) for judge in rule.versions}
        drift = tuple(reading for windows in self._windows.values() for reading in windows.readings())
        cause = self._cause(drift)
        return EmotionReport(
            deployment=rule.deployment,
            at=now,
            emotions=rule.emotions,
            judge=rule.judge,
            judge_version=rule.versions.get(rule.judge, ""),
            conversations=study.conversations,
            turns=study.turns,
            skill=skill,
            skill_reference=dict(self._skill),
            skill_lost={e: _lost(skill[e], self._skill[e]) for e in skill if e in self._skill},
            anticipation_loss=study.loss("anticipation", rule.judge),
            censoring=study.censoring() if rule.judge else None,
            next_intensity=study.next_intensity(),
            relief=study.reliefs(self._expected),
            adoption=study.adoption(),
            relief_read=study.reliefs_by_read(self._expected, informed=True),
            relief_unread=study.reliefs_by_read(self._expected, informed=False),
            agreement={judge: found for judge, found in agreements.items() if found is not None},
            retest_loss=study.loss("retest", rule.judge),
            repeatability=study.repeatability(),
            retest_ratio={judge: ratio for judge, ratio in ratios.items() if ratio is not None},
            drift=drift,
            cause=cause,
            words=_WORDS | ({"cause": _CAUSES[cause]} if cause else {}),
        )

    def _cause(self, drift: Iterable[Drift]) -> str:
        """Who changed, where what the model perceives has drifted: `users`, `model` or `unknown`; else empty."""
        found = list(drift)
        drifted = {reading.emotion for reading in found if reading.signal == PERCEPTION and reading.active}
        if not drifted or self.rule.local:
            return ""
        # The anchor never changes by itself, so it is asked first.
        for judge in sorted(self.rule.versions, key=lambda name: name != ANCHOR):
            expressed = [reading for reading in found if reading.signal == judge and reading.emotion in drifted]
            if any(reading.active for reading in expressed):
                return "users"
            rule = self.rule.drift
            enough = expressed and all(reading.current_conversations >= rule.least for reading in expressed)
            if enough and all((reading.distance or 0.0) <= rule.floor for reading in expressed):
                return "model"
        return "unknown"


def _newest(sessions: list[Session], conversations: int) -> list[Session]:
    """All sessions of the newest conversations; sessions come oldest first."""
    kept: dict[str, None] = {}
    for session in reversed(sessions):
        if len(kept) < conversations:
            kept[session.conversation] = None
    return [session for session in sessions if session.conversation in kept]


def _lost(now: Skill, reference: Skill) -> bool:
    """Whether the whole interval lies under that of the reference window."""
    if now.upper is None or reference.lower is None or min(now.turns, reference.turns) < _LEAST_SKILL_TURNS:
        return False
    return now.upper < reference.lower


def _lot(place: str) -> float:
    """A number 0..1 that has nothing to do with what was said, and is the same after a restart."""
    return int.from_bytes(hashlib.blake2b(place.encode(), digest_size=8).digest(), "big") / _ODDS

"""The reference window and the current one of one signal, over all emotions of a deployment. Plain JSON for the store.

A conversation counts once, with its mean intensity. The reference is filled first and then frozen.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from middleware.records.emotion_report import Drift
from scorer.drift import STEPS, DriftTest, distance, histogram, tenths

__all__ = ["DriftRule", "DriftWindows"]


@dataclass(frozen=True, slots=True)
class DriftRule:
    """reference, window: conversations. least: in the current window before drift is said; floor: intensity points.

    alpha: probability of ever calling a drift where there is none, over all emotions of the deployment.
    """

    reference: int = 300
    window: int = 300
    least: int = 200
    floor: float = 0.5
    alpha: float = 0.05


@dataclass(slots=True)
class DriftWindows:
    """signal: ``perception``, ``reference`` or ``anchor``; version: of the judge, whose change starts all over.

    reference: how often each step occurs, by emotion; current: steps of each conversation, oldest first, in the order
    of emotions; active: emotions that have drifted.
    """

    signal: str
    version: str
    emotions: tuple[str, ...]
    rule: DriftRule
    conversations: int = 0
    reference: dict[str, list[int]] = field(default_factory=dict)
    tests: dict[str, DriftTest] = field(default_factory=dict)
    current: list[list[int]] = field(default_factory=list)
    active: set[str] = field(default_factory=set)

    @property
    def full(self) -> bool:
        """Whether the reference window is full, and so frozen."""
        return self.conversations >= self.rule.reference

    def add(self, means: Mapping[str, float], lot: Callable[[str], float]) -> list[str]:
        """One more conversation; the emotions that crossed into drift with it. lot: 0..1 by emotion, settles ties."""
        steps = [tenths(means[emotion]) for emotion in self.emotions]
        if not self.full:
            for emotion, step in zip(self.emotions, steps, strict=True):
                self.reference.setdefault(emotion, [0] * STEPS)[step] += 1
            self.conversations += 1
            return []
        self.current.append(steps)
        del self.current[: -self.rule.window]
        for emotion, step in zip(self.emotions, steps, strict=True):
            self.tests[emotion] = self._test(emotion).seen(step, lot(emotion))
        return [emotion for emotion in self.emotions if self._crosses(emotion)]

    def _test(self, emotion: str) -> DriftTest:
        return self.tests.get(emotion) or DriftTest.against(np.asarray(self.reference[emotion], dtype=np.int64))

    def _crosses(self, emotion: str) -> bool:
        reading = self._reading(emotion)
        if reading.distance is None or reading.evidence is None:
            return False
        if emotion in self.active:
            if reading.distance <= self.rule.floor / 2.0:
                # It is over. The test starts anew, or the next drift would be called at once.
                self.active.discard(emotion)
                del self.tests[emotion]
            return False
        enough = len(self.current) >= self.rule.least
        if enough and reading.distance > self.rule.floor and reading.evidence >= 1.0:
            self.active.add(emotion)
            return True
        return False

    def readings(self) -> list[Drift]:
        """Every emotion as it stands."""
        return [self._reading(emotion) for emotion in self.emotions]

    def _reading(self, emotion: str) -> Drift:
        values = [steps[self.emotions.index(emotion)] for steps in self.current]
        counts = np.asarray(self.reference.get(emotion, [0] * STEPS), dtype=np.int64)
        known = self.full and bool(values)
        return Drift(
            signal=self.signal,
            emotion=emotion,
            distance=distance(counts, histogram(values)) if known else None,
            evidence=self._test(emotion).ratio(self.rule.alpha / len(self.emotions)) if known else None,
            active=emotion in self.active,
            reference_mean=float(counts @ np.arange(STEPS)) / counts.sum() / 10.0 if counts.sum() else None,
            current_mean=sum(values) / len(values) / 10.0 if values else None,
            reference_conversations=self.conversations,
            current_conversations=len(values),
        )

    def as_json(self) -> dict[str, Any]:
        """For the store."""
        return {
            "signal": self.signal,
            "version": self.version,
            "emotions": list(self.emotions),
            "conversations": self.conversations,
            "reference": self.reference,
            "tests": {emotion: test.as_json() for emotion, test in self.tests.items()},
            "current": self.current,
            "active": sorted(self.active),
        }

    @classmethod
    def restored(
        cls, value: Mapping[str, Any] | None, signal: str, version: str, emotions: Sequence[str], rule: DriftRule
    ) -> Self:
        """As it was stored; empty where nothing was, or where judge or emotions are others now."""
        fresh = cls(signal, version, tuple(emotions), rule)
        if value is None or value["version"] != version or tuple(value["emotions"]) != fresh.emotions:
            return fresh
        fresh.conversations = value["conversations"]
        fresh.reference = {emotion: list(counts) for emotion, counts in value["reference"].items()}
        fresh.tests = {emotion: DriftTest.from_json(test) for emotion, test in value["tests"].items()}
        fresh.current = [list(steps) for steps in value["current"]][-rule.window :]
        fresh.active = set(value["active"])
        return fresh

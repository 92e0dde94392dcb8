"""Seeded jitter on recorded answers, so that a replayed model is as restless as a real one.

With probability ``chance`` an answer A becomes clip(round(A + N(0, common) + N(0, single) per emotion), 0, 10).
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

__all__ = ["LEVELS", "Level", "Noise"]

Level: TypeAlias = Literal["low", "mid", "high"]


@dataclass(frozen=True, slots=True)
class _Strength:
    chance: float
    common: float
    single: float


# Fitted to repeated runs of real models: a run's SD is about 0.22, 0.61 and 0.98 points.
LEVELS: dict[Level, _Strength] = {
    "low": _Strength(chance=0.045, common=0.6, single=1.0),
    "mid": _Strength(chance=1.0, common=0.35, single=0.70),
    "high": _Strength(chance=1.0, common=0.65, single=1.05),
}


@dataclass(frozen=True, slots=True)
class Noise:
    """Jitter of one level; the same seed and key give the same answer."""

    level: Level
    seed: int

    def apply(self, text: str, emotions: Sequence[str], key: str) -> str:
        """The text with the scores of the named emotions jittered. key: names this one answer among all."""
        strength = LEVELS[self.level]
        digest = hashlib.sha256(f"{self.seed}|{key}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8]))
        if rng.random() >= strength.chance:
            return text
        common = rng.normal(0.0, strength.common)

        def jittered(match: re.Match[str]) -> str:
            score = round(float(match[2]) + common + rng.normal(0.0, strength.single))
            return f"{match[1]}{min(max(score, 0), 10)}"

        names = "|".join(re.escape(name) for name in emotions)
        return re.sub(rf"(\b(?:{names}):\s+)(\d+)", jittered, text)

"""The frozen baseline of one subject under one protocol: what each item scored, and how noisy its answers are.

It is made once, from commissioning passes, and never updated by later answers. It does not decide anything.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = [
    "MIN_PASSES",
    "RECOMMENDED_DAYS",
    "RECOMMENDED_PASSES",
    "VARIANCE_FLOOR",
    "Baseline",
    "Observation",
    "passes_needed",
]

Floats = npt.NDArray[np.float64]
_Scalar = TypeVar("_Scalar", bound=np.generic)

MIN_PASSES = 5
"""Commissioning passes with which the detectors work."""
RECOMMENDED_PASSES = 10
RECOMMENDED_DAYS = 3.0  # between the first and the last pass, so that they show how days differ
"""Commissioning passes for which the false-alarm rate was simulated."""
VARIANCE_FLOOR = 0.02
"""Smallest within-item variance that is believed, in squared item units: 0.11 points of run SD over 171 items.

The quietest real model measured has four times that; answers that are replayed have none, and no noise at all must not
become infinite confidence.
"""
SAME_ANSWER = 0.5
"""Largest difference in any emotion up to which an answer counts as the baseline's own."""
_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Observation:
    """One readable or unreadable answer. score: item units, 10 = perfect; None is an outcome, never a 0.

    answer: intensities 0..10 in the item's own order of emotions.
    """

    item_id: str
    score: float | None
    answer: tuple[float, ...] | None = None


def passes_needed(have: int, *, recommended: bool = True) -> int:
    """How many more commissioning passes a baseline needs, at least 0."""
    return max(0, (RECOMMENDED_PASSES if recommended else MIN_PASSES) - have)


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """What the detectors compare with. Arrays are read-only and have one row per item, in the order of item_ids.

    counts: readable answers per item. means: item units. residuals: [item, pass], answer minus item mean, nan where
    missing. medians: [item, emotion], padded with 0. emotions: how many of them are real; 0 = no answers were given.
    distances: [item, pass], leave-one-out: each pass's distance from the median of the other passes; nan where missing.
    A distance is the mean over emotions of the squared difference (0..100): another model differs by much in a few
    emotions, noise by little in all, and the square tells them apart twice as well as the absolute value.
    pooled_variance: as measured, squared item units. excluded: items with too few readable answers.
    """

    protocol_key: str
    item_ids: tuple[str, ...]
    passes: int
    counts: npt.NDArray[np.int64]
    means: Floats
    residuals: Floats
    pooled_variance: float
    medians: Floats
    emotions: npt.NDArray[np.int64]
    distances: Floats
    excluded: tuple[str, ...] = ()

    @classmethod
    def from_passes(
        cls, passes: Sequence[Sequence[Observation]], *, protocol_key: str, min_passes: int = MIN_PASSES
    ) -> "Baseline":
        """Fit a baseline. ValueError: too few passes, or no item with enough readable answers."""
        item_ids = tuple(dict.fromkeys(o.item_id for one in passes for o in one))
        place = {item_id: i for i, item_id in enumerate(item_ids)}
        width = max((len(o.answer) for one in passes for o in one if o.answer is not None), default=0)
        scores = np.full((len(passes), len(item_ids)), np.nan)
        answers = np.full((len(passes), len(item_ids), width), np.nan)
        for k, one in enumerate(passes):
            for o in one:
                i = place[o.item_id]
                if o.score is None:
                    continue
                scores[k, i] = o.score
                if o.answer is not None:
                    answers[k, i, : len(o.answer)] = o.answer
        return cls.from_arrays(scores, answers, item_ids=item_ids, protocol_key=protocol_key, min_passes=min_passes)

    @classmethod
    def from_arrays(
        cls,
        scores: Floats,
        answers: Floats,
        *,
        item_ids: Sequence[str],
        protocol_key: str,
        min_passes: int = MIN_PASSES,
    ) -> "Baseline":
        """Fit from scores [pass, item] and answers [pass, item, emotion]; nan is missing. ValueError as from_passes."""
        passes = len(scores)
        if passes < max(2, min_passes):
            raise ValueError(f"a baseline needs at least {max(2, min_passes)} passes, got {passes}")
        readable = np.isfinite(scores).sum(axis=0)
        kept = readable >= max(2, math.ceil(passes / 2))
        if not kept.any():
            raise ValueError("no item has enough readable answers for a baseline")
        scores, answers = scores[:, kept], answers[:, kept]
        counts = readable[kept].astype(np.int64)
        means = np.nansum(scores, axis=0) / counts
        residuals = (scores - means).T
        freedom = int((counts - 1).sum())
        emotions = _emotion_counts(answers)
        padded = np.where((np.arange(answers.shape[2]) < emotions[:, None])[None], answers, 0.0)
        return cls(
            protocol_key=protocol_key,
            item_ids=tuple(i for i, keep in zip(item_ids, kept, strict=True) if keep),
            passes=passes,
            counts=_frozen(counts),
            means=_frozen(means),
            residuals=_frozen(residuals),
            pooled_variance=float(np.nansum(residuals**2) / freedom),
            medians=_frozen(np.nan_to_num(_medians(padded))),
            emotions=_frozen(emotions),
            distances=_frozen(_leave_one_out_distances(padded, emotions)),
            excluded=tuple(i for i, keep in zip(item_ids, kept, strict=True) if not keep),
        )

    @property
    def size(self) -> int:
        """Number of items."""
        return len(self.item_ids)

    @property
    def points(self) -> float:
        """The mean over items in points (100 = perfect)."""
        return 10.0 * float(self.means.mean())

    @property
    def noise_variance(self) -> float:
        """Pooled within-item variance, floored; squared item units."""
        return max(self.pooled_variance, VARIANCE_FLOOR)

    @property
    def mean_variance(self) -> float:
        """Squared standard error of the mean over items that comes from finite passes: noise / (n K), item units."""
        return self.noise_variance * float((1.0 / self.counts).sum()) / self.size**2

    @property
    def run_sd_points(self) -> float:
        """The measured SD of one pass's score, in points, not floored."""
        return 10.0 * math.sqrt(self.pooled_variance / self.size)

    @property
    def item_variances(self) -> Floats:
        """Within-item variance as measured, squared item units."""
        variances: Floats = np.nansum(self.residuals**2, axis=1) / (self.counts - 1)
        return variances

    @property
    def digest(self) -> str:
        """SHA-256 of the content: equal baselines have equal digests."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def distance(self, index: int, answer: Sequence[float]) -> float | None:
        """Mean squared difference from the item's median answer, 0..100; None where the two cannot be compared."""
        width = int(self.emotions[index])
        if width == 0 or len(answer) != width:
            return None
        return float(((np.asarray(answer, dtype=np.float64) - self.medians[index, :width]) ** 2).mean())

    def same_answer(self, index: int, answer: Sequence[float]) -> bool | None:
        """Whether no emotion is further than 0.5 from the median answer; None where the two cannot be compared."""
        width = int(self.emotions[index])
        if width == 0 or len(answer) != width:
            return None
        gap = np.abs(np.asarray(answer, dtype=np.float64) - self.medians[index, :width]).max()
        return bool(gap <= SAME_ANSWER)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "schema": _SCHEMA,
            "protocol_key": self.protocol_key,
            "passes": self.passes,
            "pooled_variance": self.pooled_variance,
            "excluded": list(self.excluded),
            "items": [
                {
                    "id": item_id,
                    "mean": float(self.means[i]),
                    "residuals": [None if math.isnan(r) else float(r) for r in self.residuals[i]],
                    "median": [float(v) for v in self.medians[i, : int(self.emotions[i])]],
                    "distances": [None if math.isnan(d) else float(d) for d in self.distances[i]],
                }
                for i, item_id in enumerate(self.item_ids)
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Baseline":
        """The inverse of to_dict. ValueError: another schema, or fields that do not fit together."""
        if data.get("schema") != _SCHEMA:
            raise ValueError(f"baseline schema {data.get('schema')!r} is not {_SCHEMA}")
        items = data["items"]
        passes = int(data["passes"])
        if not items or any(len(item["residuals"]) != passes for item in items):
            raise ValueError("a baseline needs one residual per pass for each item")
        residuals = np.array([[np.nan if r is None else r for r in item["residuals"]] for item in items], np.float64)
        emotions = np.array([len(item["median"]) for item in items], np.int64)
        medians = np.zeros((len(items), int(emotions.max())))
        for i, item in enumerate(items):
            medians[i, : emotions[i]] = item["median"]
        return cls(
            protocol_key=str(data["protocol_key"]),
            item_ids=tuple(str(item["id"]) for item in items),
            passes=passes,
            counts=_frozen(np.isfinite(residuals).sum(axis=1).astype(np.int64)),
            means=_frozen(np.array([item["mean"] for item in items], np.float64)),
            residuals=_frozen(residuals),
            pooled_variance=float(data["pooled_variance"]),
            medians=_frozen(medians),
            emotions=_frozen(emotions),
            distances=_frozen(
                np.array([[np.nan if d is None else d for d in item["distances"]] for item in items], np.float64)
            ),
            excluded=tuple(data["excluded"]),
        )


def _frozen(array: npt.NDArray[_Scalar]) -> npt.NDArray[_Scalar]:
    array.setflags(write=False)
    return array


def _emotion_counts(answers: Floats) -> npt.NDArray[np.int64]:
    """Emotions per item; 0 where fewer than two passes came with an answer, as nothing could be left out."""
    given = np.isfinite(answers).any(axis=0).sum(axis=1)
    enough = np.isfinite(answers).any(axis=2).sum(axis=0) >= 2
    return np.where(enough, given, 0).astype(np.int64)


def _medians(padded: Floats) -> Floats:
    medians: Floats = np.nanmedian(padded, axis=0) if padded.shape[2] else np.zeros(padded.shape[1:])
    return medians


def _leave_one_out_distances(padded: Floats, emotions: npt.NDArray[np.int64]) -> Floats:
    """Each pass's distance from the median of the other passes; [item, pass]."""
    passes, items, width = padded.shape
    distances = np.zeros((items, passes))
    for k in range(passes if width else 0):
        others = _medians(np.delete(padded, k, axis=0))
        distances[:, k] = ((padded[k] - others) ** 2).sum(axis=1) / np.maximum(emotions, 1)
    return distances

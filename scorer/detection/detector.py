"""The detector of one deployment and item set: batches of observations in, a reading out.

It asks two questions: "worse?" (scores against the baseline) and "different?" (answers against the baseline). It holds
no state, reads no clock and opens no incident; see incident.py for what follows from a reading.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from scorer.baseline import Baseline, Observation
from scorer.detection import cusum
from scorer.detection.panel import SUSPICION, Panel, PanelBatch, PanelReading, alarms
from scorer.detection.state import DetectorState

__all__ = ["Detector", "DetectorConfig", "Reading"]

_TWO_SIDED_95 = 1.959964
_POINTS = 10.0


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """batches_per_year: at the stepped-up rate. false_alarms_per_year: this detector's share of the installation's."""

    batches_per_year: float
    batch_items: int = 12
    false_alarms_per_year: float = 1.0
    seed: int = 0

    @property
    def threshold(self) -> float:
        """c: the evidence at which an alarm may be raised, batches per allowed false alarm."""
        return max(1.0, self.batches_per_year / self.false_alarms_per_year)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the detector sees after a batch. Points: 100 = perfect, negative = worse than the baseline.

    cusum, cusum_limit: weighted item units; of the CUSUM that is nearest to its limit, cusum_ratio is their quotient.
    e_log10, change_e_log10: common logarithms of the evidence; both alarm at threshold_log10, suspicion begins at a
    twentieth of it. delta_points: mean over the items seen since the last restart, each by its latest answer, with a
    95 % interval; None until two items were seen. answer_change_ratio: share of those items whose latest answer is not
    the baseline's. drifting: the answers have been further from the baseline than its own noise for the last batches.
    balanced, answers_balanced: every item was seen since its statistics were restarted, with an answer that can be
    compared. used, skipped: observations of this batch that had a score and a baseline, and those that had not.
    """

    cusum: float
    cusum_limit: float
    cusum_ratio: float
    e_log10: float
    change_e_log10: float
    threshold_log10: float
    delta_points: float | None
    delta_lower: float | None
    delta_upper: float | None
    answer_change_ratio: float | None
    suspected: bool
    regression: bool
    change: bool
    change_suspected: bool
    drifting: bool
    balanced: bool
    answers_balanced: bool
    used: int
    skipped: int


class Detector:
    """Compares batches with one baseline. Building one bootstraps the CUSUM limits, unless they are given."""

    def __init__(
        self,
        baseline: Baseline,
        config: DetectorConfig,
        *,
        cusum_limits: Sequence[float] | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.baseline = baseline
        self.config = config
        self._digest = baseline.digest
        self._index = {item_id: i for i, item_id in enumerate(baseline.item_ids)}
        if cusum_limits is None:
            cusum_limits = cusum.bootstrap_limits(
                baseline,
                np.random.default_rng(config.seed) if rng is None else rng,
                batch_items=config.batch_items,
                batches_per_year=config.batches_per_year,
                alarms_per_year=config.false_alarms_per_year,
            ).tolist()
        self.cusum_limits = tuple(float(limit) for limit in cusum_limits)
        self._panel = Panel.of([baseline], np.array([self.cusum_limits]))

    def start(self) -> DetectorState:
        """A state that remembers nothing."""
        nothing = (None,) * self.baseline.size
        return DetectorState.of(self._digest, self._panel.start(), nothing, nothing)

    def restart(self, state: DetectorState, kind: Literal["regression", "change"]) -> DetectorState:
        """Forget the evidence on "worse?" or "different?". The dating of a change goes on: the other one needs it."""
        fresh = self.start()
        if kind == "change":
            return replace(state, log_change=fresh.log_change, same=fresh.same)
        return replace(state, cusums=fresh.cusums, log_evidence=fresh.log_evidence, latest=fresh.latest)

    def update(self, state: DetectorState, batch: Sequence[Observation]) -> tuple[DetectorState, Reading]:
        """Take in one batch. What cannot be read counts as skipped and changes nothing.

        ValueError: the state belongs to another baseline.
        """
        if state.baseline_digest != self._digest:
            raise ValueError("this detector state belongs to another baseline")
        used = [(self._index[o.item_id], o) for o in batch if _readable(o) and o.item_id in self._index]
        if not used:
            return state, self._reading(self._panel.read(state.statistics()), state, 0, len(batch))
        statistics, numbers = self._panel.advance(state.statistics(), self._panel_batch(used))
        latest, same = list(state.latest), list(state.same)
        for i, o in used:
            latest[i] = float(self.baseline.means[i]) - float(o.score or 0.0)
            same[i] = None if o.answer is None else self.baseline.same_answer(i, o.answer)
        state = DetectorState.of(self._digest, statistics, latest, same)
        return state, self._reading(numbers, state, len(used), len(batch) - len(used))

    def read(self, state: DetectorState) -> Reading:
        """The reading as it stands, without a batch. ValueError as update."""
        if state.baseline_digest != self._digest:
            raise ValueError("this detector state belongs to another baseline")
        return self._reading(self._panel.read(state.statistics()), state, 0, 0)

    def _panel_batch(self, used: Sequence[tuple[int, Observation]]) -> PanelBatch:
        distances = [None if o.answer is None else self.baseline.distance(i, o.answer) for i, o in used]
        return PanelBatch(
            items=np.array([[i for i, _ in used]], dtype=np.int64),
            scores=np.array([[o.score for _, o in used]], dtype=np.float64),
            distances=np.array([[np.nan if d is None else d for d in distances]], dtype=np.float64),
        )

    def _reading(self, numbers: PanelReading, state: DetectorState, used: int, skipped: int) -> Reading:
        ratios = [value / limit for value, limit in zip(state.cusums, self.cusum_limits, strict=True)]
        nearest = max(range(len(ratios)), key=ratios.__getitem__)
        threshold = math.log10(self.config.threshold)
        found = alarms(numbers, threshold)
        delta, half = self._delta(state)
        known = [alike for alike in state.same if alike is not None]
        return Reading(
            cusum=state.cusums[nearest],
            cusum_limit=self.cusum_limits[nearest],
            cusum_ratio=ratios[nearest],
            e_log10=float(numbers.evidence_log10[0]),
            change_e_log10=float(numbers.change_log10[0]),
            threshold_log10=threshold,
            delta_points=delta,
            delta_lower=None if delta is None else delta - half,
            delta_upper=None if delta is None else delta + half,
            answer_change_ratio=1.0 - sum(known) / len(known) if known else None,
            suspected=bool(found.suspected[0]),
            regression=bool(found.regression[0]),
            change=bool(found.change[0]),
            change_suspected=bool(numbers.change_log10[0] >= threshold + SUSPICION),
            drifting=state.onsets[0] > 0.0,
            balanced=None not in state.latest,
            answers_balanced=None not in state.same,
            used=used,
            skipped=skipped,
        )

    def _delta(self, state: DetectorState) -> tuple[float | None, float]:
        """Mean difference in points over the items seen, and half the width of its 95 % interval."""
        falls = np.array([fall for fall in state.latest if fall is not None])
        m, n = len(falls), self.baseline.size
        if m < 2:
            return None, 0.0
        noise = self.baseline.noise_variance / m + self.baseline.mean_variance
        spread = float(falls.var(ddof=1)) * (1.0 - m / n) / m + noise
        return -_POINTS * float(falls.mean()), _POINTS * _TWO_SIDED_95 * math.sqrt(spread)


def _readable(observation: Observation) -> bool:
    return observation.score is not None and math.isfinite(observation.score)

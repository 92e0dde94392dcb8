"""Where a deployment's emotional intelligence stands on one item set, as the detectors last said."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Standing", "StandingState"]

StandingState = Literal["not_measured", "commissioning", "fine", "suspected", "changed", "regressed"]


@dataclass(frozen=True, slots=True)
class Standing:
    """state: what holds now; since: when it began. Times are Unix seconds, UTC; None means not known, never zero.

    not_measured: `detail` says why and what to do. commissioning: a baseline is being made, passes_done of
    passes_needed. suspected: evidence, but under the alarm. changed: other answers than the baseline's, no worse score.
    regressed: an incident is open. delta_points with delta_lower and delta_upper: estimated change to the baseline,
    negative is worse. last_batch_at: end of the last batch. incident: id to acknowledge, 0 for none.
    """

    deployment: str
    item_set: str
    state: StandingState
    model: str = ""
    since: float | None = None
    last_batch_at: float | None = None
    score_points: float | None = None
    baseline_points: float | None = None
    baseline_at: float | None = None
    delta_points: float | None = None
    delta_lower: float | None = None
    delta_upper: float | None = None
    passes_done: int = 0
    passes_needed: int = 0
    incident: int = 0
    detail: str = ""

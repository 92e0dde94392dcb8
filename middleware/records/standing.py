"""Where a deployment's emotional intelligence stands on one item set, as the detectors last said."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Standing", "StandingState", "UpgradeStanding", "UpgradeVerdict"]

StandingState = Literal["not_measured", "commissioning", "fine", "suspected", "changed", "comparing", "regressed"]
UpgradeVerdict = Literal["comparing", "pass", "regressed", "undecided", "unmeasured"]


@dataclass(frozen=True, slots=True)
class UpgradeStanding:
    """The newest change of version. declared: by somebody, else noticed from the answers.

    points with lower and upper: new minus old version at the last look, negative is worse; None before the first one.
    passes: over all items so far, of at most passes_max; passes_to_decide: what would settle an undecided one, if
    anything would. accepted: whatever the verdict was, its level is the accepted one now.
    """

    from_model: str
    to_model: str
    since: float
    verdict: UpgradeVerdict
    declared: bool = False
    reason: str = ""
    points: float | None = None
    lower: float | None = None
    upper: float | None = None
    passes: int = 0
    passes_max: int = 0
    passes_to_decide: int | None = None
    decided_at: float | None = None
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """state: what holds now; since: when it began. Times are Unix seconds, UTC; None means not known, never zero.

    not_measured: `detail` says why and what to do. commissioning: a baseline is being made, passes_done of
    passes_needed. comparing: an upgrade is being judged. suspected: evidence, but under the alarm. changed: other
    answers than the baseline's, no worse score; an incident is open. regressed: an incident is open. delta_points with
    delta_lower and delta_upper: estimated change to the baseline, negative is worse; reference_*: to the reference of
    record, the first accepted baseline, over all upgrades since. branch_points: score by branch of emotional
    intelligence. last_batch_at: end of the last batch. incident: id to acknowledge, 0 for none. stepped_up: batches
    come more often for now. passes_done, passes_needed are 0 where no baseline is being made.
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
    baseline_id: int = 0
    reference_points: float | None = None
    reference_lower: float | None = None
    reference_upper: float | None = None
    branch_points: Mapping[str, float] = field(default_factory=dict)
    upgrade: UpgradeStanding | None = None
    stepped_up: bool = False

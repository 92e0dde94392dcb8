"""One change of version and how it is judged: new passes against the old version's baseline. Pure.

The rule is the gate's (scorer.comparison): looks after passes 1, 2, 4, 8 … and nowhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from middleware.records.event import Event
from middleware.records.standing import UpgradeStanding, UpgradeVerdict
from scorer.baseline import Baseline, Observation
from scorer.comparison import GateRules, compare_with_baseline, is_look

__all__ = ["Upgrade", "judged", "verdict_event"]


@dataclass(frozen=True, slots=True)
class Upgrade:
    """standing: what is told of it. settled: the baseline in force covers the new version, so nothing is left to do."""

    standing: UpgradeStanding
    settled: bool = False

    @property
    def comparing(self) -> bool:
        """Whether a look is still to come."""
        return self.standing.verdict == "comparing"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Upgrade":
        """The inverse of to_dict."""
        return cls(UpgradeStanding(**data["standing"]), bool(data["settled"]))


def judged(
    upgrade: Upgrade,
    baseline: Baseline,
    passes: Sequence[Sequence[Observation]],
    rules: GateRules,
    clusters: Mapping[str, str],
    *,
    at: float,
) -> Upgrade:
    """After a whole pass: the figures of a look, and the verdict if it decides. Between looks only passes are counted.

    at: Unix seconds.
    """
    number = len(passes)
    if not is_look(number, rules):
        return replace(upgrade, standing=replace(upgrade.standing, passes=number))
    scores = [{o.item_id: o.score for o in one} for one in passes]
    found = compare_with_baseline(baseline, scores, rules, clusters)
    verdict: UpgradeVerdict = found.verdict or "comparing"
    measured = verdict != "unmeasured"
    standing = replace(
        upgrade.standing,
        verdict=verdict,
        reason=found.reason,
        points=found.these_items.points if measured else None,
        lower=found.these_items.lower if measured else None,
        upper=found.these_items.upper if measured else None,
        passes=number,
        passes_to_decide=found.passes_to_decide,
        decided_at=None if verdict == "comparing" else at,
    )
    return replace(upgrade, standing=standing)


def verdict_event(upgrade: Upgrade, deployment: str, item_set: str, items: int, *, at: float) -> Event:
    """What people hear of a decided upgrade."""
    standing = upgrade.standing
    details: dict[str, str | float | int | bool | None] = {
        "item_set": item_set,
        "from_model": standing.from_model,
        "to_model": standing.to_model,
        "verdict": standing.verdict,
        "reason": standing.reason,
        "points": standing.points,
        "lower": standing.lower,
        "upper": standing.upper,
        "passes": standing.passes,
        "items": items * standing.passes,
        "passes_to_decide": standing.passes_to_decide,
        "since": standing.since,
        "declared": standing.declared,
    }
    return Event("upgrade_verdict", deployment, at, details)

"""Whether a model knows an item set by heart: its score on the originals against its score on a variant of them.

It takes points by item and gives the gap with its interval. Who asked, and when, is not known here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from scorer.baseline import VARIANCE_FLOOR
from scorer.intervals import clustered_mean

__all__ = ["LEAST_PAIRS", "Contamination", "ContaminationVerdict", "contamination"]

ContaminationVerdict = Literal["no_sign", "knows_originals", "unmeasured"]

LEAST_PAIRS = 12
"""Items readable in both forms below which nothing is said."""
_LEAST_SHARE = 0.5
_ALPHA = 0.025
_POINTS = 10.0


@dataclass(frozen=True, slots=True)
class Contamination:
    """gap: original minus variant in points over the items readable in both, with a 95 % interval; nan for none.

    original, variant: the mean points of these items. items: how many of them; asked: of how many. dialogues: they are
    from. reason: why it is unmeasured.
    """

    verdict: ContaminationVerdict
    gap: float = math.nan
    lower: float = -math.inf
    upper: float = math.inf
    original: float = math.nan
    variant: float = math.nan
    items: int = 0
    asked: int = 0
    dialogues: int = 0
    reason: str = ""


def contamination(
    original: Mapping[str, float | None], variant: Mapping[str, float | None], clusters: Mapping[str, str]
) -> Contamination:
    """The gap of one model. original, variant: item -> points, None where it could not be read; means over passes.

    An item is its own pair, so that how hard it is cancels out; items of a dialogue move together (clusters: item ->
    dialogue, empty for one of its own). Answers without any noise still get the smallest error that is believed.
    """
    both = [
        (item, known, changed)
        for item, known in original.items()
        if known is not None and (changed := variant.get(item)) is not None
    ]
    if len(both) < min(LEAST_PAIRS, len(original)) or len(both) < _LEAST_SHARE * len(original) or not both:
        reason = f"only {len(both)} of {len(original)} items could be read in both forms"
        return Contamination("unmeasured", items=len(both), asked=len(original), reason=reason)
    names = [clusters.get(item) or f"item {item}" for item, _, _ in both]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    gaps = np.array([known - changed for _, known, changed in both])
    estimate = clustered_mean(gaps, [numbers[name] for name in names])
    least = _POINTS * math.sqrt(2.0 * VARIANCE_FLOOR / len(both))
    lower, upper = replace(estimate, error=max(estimate.error, least)).bounds(_ALPHA)
    return Contamination(
        verdict="knows_originals" if lower > 0.0 else "no_sign" if math.isfinite(lower) else "unmeasured",
        gap=estimate.mean,
        lower=lower,
        upper=upper,
        original=float(np.mean([known for _, known, _ in both])),
        variant=float(np.mean([changed for _, _, changed in both])),
        items=len(both),
        asked=len(original),
        dialogues=len(numbers),
        reason="" if math.isfinite(lower) else "all items are from one dialogue",
    )

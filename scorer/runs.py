"""From item scores to the score of a run: means, the choice between first and revised pass, validity."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scorer.answers import Profile
from scorer.scoring import ScoredItem, added

__all__ = ["VALID_SHARE", "PassScore", "RunScore", "aggregate"]

# eq-bench.py at d28c60c5: below this share of readable items a run is reported as failed.
VALID_SHARE = 0.8333
# lib/scoring.py: the revised pass has to be readable about as often as the first one.
_REVISED_SHARE = 0.95

_Iteration = Mapping[str, ScoredItem | None]


@dataclass(frozen=True, slots=True)
class PassScore:
    """One iteration: points and readable items of both passes, and whether the revised one was chosen."""

    first_points: float
    first_parseable: int
    revised_points: float
    revised_parseable: int
    used_revised: bool

    @property
    def points(self) -> float:
        return self.revised_points if self.used_revised else self.first_points

    @property
    def parseable(self) -> int:
        return self.revised_parseable if self.used_revised else self.first_parseable


_NOTHING = PassScore(0.0, 0, 0.0, 0, used_revised=False)


@dataclass(frozen=True, slots=True)
class RunScore:
    """The score of a run in points (10 x item units, 100 = perfect, may be negative), rounded to 0.01 as published.

    parseable: readable items, the mean over iterations. item_points: mean over iterations, None = never readable.
    outcomes: how often each outcome occurred; items without any text are counted as ``missing``.
    """

    points: float
    parseable: float
    items: int
    valid: bool
    scoring_profile: Profile
    item_points: dict[str, float | None] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    used_revised: bool = False
    iterations: tuple[PassScore | None, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The form of a run in every JSON output of the product."""
        return {
            "score": self.points,
            "parseable": round(self.parseable),
            "items": self.items,
            "valid": self.valid,
            "scoring_profile": self.scoring_profile,
            "outcomes": dict(self.outcomes),
            "item_scores": {
                name: None if points is None else round(points, 4) for name, points in self.item_points.items()
            },
        }


def aggregate(per_iteration: Sequence[_Iteration | None], n_items: int, profile: Profile) -> RunScore:
    """The run's score over its iterations, each a mapping of item id to what its text was worth.

    Under ``official`` an iteration that is None, empty or unreadable counts as 0 in the mean (a quirk); the other
    profiles leave out what was not run, and ``tolerant`` also takes no points from an iteration without any score.
    ``lm-eval``: an item without a score counts as 0, and every run is valid. points are 0.0, and valid is False, where
    nothing has a score. Raises ValueError where n_items is not positive.
    """
    if n_items <= 0:
        raise ValueError(f"n_items must be positive, got {n_items}")
    passes = [None if iteration is None else _pass_score(iteration, n_items, profile) for iteration in per_iteration]
    if profile == "official":
        counted = [score or _NOTHING for score in passes]
    else:
        counted = [score for score, mapping in zip(passes, per_iteration, strict=True) if score and mapping]
    with_points = [score for score in counted if score.parseable or profile != "tolerant"]
    parseable = round(added(score.parseable for score in counted) / max(1, len(counted)), 2)
    return RunScore(
        points=round(added(score.points for score in with_points) / max(1, len(with_points)), 2),
        parseable=parseable,
        items=n_items,
        valid=profile == "lm-eval" or parseable / n_items >= VALID_SHARE,
        scoring_profile=profile,
        item_points=_item_points(per_iteration, passes),
        outcomes=_outcomes(per_iteration, n_items),
        used_revised=any(score.used_revised for score in counted),
        iterations=tuple(passes),
    )


def _pass_score(iteration: _Iteration, n_items: int, profile: Profile) -> PassScore:
    firsts = [item.first for item in iteration.values() if item is not None and item.first is not None]
    reviseds = [item.revised for item in iteration.values() if item is not None and item.revised is not None]
    first = _points(firsts, n_items, profile)
    revised = _points(reviseds, n_items, profile)
    if profile == "official":
        # A first pass that nobody could read counts as 0 here, and so beats a revised pass below 0.
        use_revised = revised >= first and len(reviseds) >= _REVISED_SHARE * len(firsts)
    elif firsts and reviseds:
        use_revised = revised >= first and len(reviseds) >= _REVISED_SHARE * len(firsts)
    else:
        use_revised = bool(reviseds)
    return PassScore(first, len(firsts), revised, len(reviseds), use_revised)


def _points(scores: Sequence[float], n_items: int, profile: Profile) -> float:
    count = n_items if profile == "lm-eval" else len(scores)
    return 100 * (added(scores) / count / 10) if scores else 0.0


def _item_points(
    per_iteration: Sequence[_Iteration | None], passes: Sequence[PassScore | None]
) -> dict[str, float | None]:
    found: dict[str, list[float]] = {}
    for iteration, score in zip(per_iteration, passes, strict=True):
        for item_id, item in (iteration or {}).items():
            scores = found.setdefault(item_id, [])
            value = None if item is None or score is None else (item.revised if score.used_revised else item.first)
            if value is not None:
                scores.append(10 * value)
    return {item_id: sum(scores) / len(scores) if scores else None for item_id, scores in found.items()}


def _outcomes(per_iteration: Sequence[_Iteration | None], n_items: int) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for iteration in per_iteration:
        seen = [item for item in (iteration or {}).values() if item is not None]
        counts.update(item.outcome for item in seen)
        counts["missing"] += max(0, n_items - len(seen))
    return {name: count for name, count in counts.items() if count}

"""EQ-Bench's formulas: item scores v1 and v2, one at a time or a million, and what a text is worth as an outcome.

Runs of many items are in runs.

Formulas: lib/scoring.py in github.com/EQ-bench/EQ-Bench at d28c60c5. No clamping anywhere.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorer.answers import Answer, ItemOutcome, Profile, Unparseable, UnparseableReason, outcome_for
from scorer.items import Item, ItemSet, Version
from scorer.parsing import parse

__all__ = ["ScoredItem", "added", "outcome_of", "score_answers", "score_item"]

# Chosen by the benchmark's author so that random answers to four emotions score about zero.
_ADJUSTMENT = 0.7477
_USUAL_EMOTIONS = 4


@dataclass(frozen=True, slots=True)
class ScoredItem:
    """What one text is worth. first and revised are in item units (10 = perfect, may be negative), None = no score.

    accepted: the item counts under its profile. reason: empty where it does.
    """

    first: float | None
    revised: float | None
    accepted: bool
    answer: Answer | None
    outcome: ItemOutcome
    reason: UnparseableReason | str = ""
    detail: str = ""

    @property
    def last(self) -> float | None:
        """The score of the last pass that has one; None unless the text was scored."""
        if self.outcome != "scored":
            return None
        return self.revised if self.revised is not None else self.first


def score_item(item: Item, answer: Mapping[str, float], version: Version) -> float | None:
    """Item units, 10 = perfect; about -20..10 for answers within 0..10. None where v1 has nothing to normalise
    (a sum of zero or less) or where the answer's names are not exactly the item's.

    The sum runs in the answer's order, as the original's does: the result is equal to the last bit.
    """
    if len(answer) != len(item.emotions) or set(answer) != set(item.emotions):
        return None
    reference = dict(zip(item.emotions, item.reference_for(version), strict=True))
    scale = _USUAL_EMOTIONS / len(item.emotions)
    if version == "v1":
        total = added(answer.values())
        if total <= 0:
            return None
        return 10 - added(abs(value / total * 10 - reference[name]) for name, value in answer.items()) * scale
    tally = added(_scaled_difference(abs(value - reference[name])) for name, value in answer.items())
    return 10 - tally * scale * _ADJUSTMENT


def added(values: Iterable[float]) -> float:
    """Adds one by one, as the original does; sum() rounds otherwise since Python 3.12."""
    total = 0.0
    for value in values:
        total += value
    return total


def _scaled_difference(d: float) -> float:
    """EQ-Bench v2: small differences count little, an S-shaped curve up to 5, one to one above."""
    if d == 0:
        return 0.0
    if d <= 5:
        curve: float = 6.5 * (1 / (1 + math.e ** (-1.2 * (d - 4))))
        return curve
    return d


def score_answers(
    answers: NDArray[np.float64], references: NDArray[np.float64], version: Version
) -> NDArray[np.float64]:
    """Many items at once: answers and references are N x emotions, intensities; returns N scores in item units.

    NaN stands for "no score": an answer with a NaN in it, or a v1 answer whose sum is zero or less. References may be
    one row for all. Equal to ``score_item`` within 1e-12. Raises ValueError where the shapes don't fit.
    """
    answers = np.atleast_2d(np.asarray(answers, dtype=np.float64))
    references = np.asarray(references, dtype=np.float64)
    if answers.ndim != 2 or references.shape[-1:] != answers.shape[1:]:
        raise ValueError(f"answers {answers.shape} and references {references.shape} must both be N x emotions")
    if references.ndim == 2 and references.shape[0] not in (1, answers.shape[0]):
        raise ValueError(f"{references.shape[0]} references for {answers.shape[0]} answers")
    scale = _USUAL_EMOTIONS / answers.shape[1]
    if version == "v1":
        totals = answers.sum(axis=1, keepdims=True)
        totals[totals <= 0] = np.nan
        distances = np.abs(answers / totals * 10 - references)
        return np.asarray(10 - distances.sum(axis=1) * scale)
    d = np.abs(answers - references)
    with np.errstate(over="ignore"):  # only differences above 700 overflow, and those take the other branch
        curve = 6.5 / (1 + np.exp(-1.2 * (np.minimum(d, 5.0) - 4)))
    scaled = np.where(d > 5, d, curve)
    scaled[d == 0] = 0.0
    scaled[np.isnan(d)] = np.nan
    return np.asarray(10 - scaled.sum(axis=1) * (scale * _ADJUSTMENT))


def outcome_of(
    item: Item, text: str, *, item_set: ItemSet, profile: Profile, revise: bool, finish_reason: str = ""
) -> ScoredItem:
    """Reads a model's text as the answer to an item and scores it; a text without an answer is an outcome as well."""
    read = parse(
        text,
        item.emotions,
        profile=profile,
        language=item_set.language,
        revise=revise,
        finish_reason=finish_reason,
    )
    if isinstance(read, Unparseable):
        return ScoredItem(None, None, False, None, outcome_for(read.reason), read.reason, read.detail)
    first = score_item(item, read.first, item_set.version)
    revised = None if read.revised is None else score_item(item, read.revised, item_set.version)
    if first is None and revised is None:  # v1 can't normalise an all-zero answer, whoever accepts it
        return ScoredItem(None, None, False, read, "unparseable", "all_zero")
    return ScoredItem(first, revised, True, read, "scored")

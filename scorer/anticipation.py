"""How well a model foresees what its user will feel: the cross-fitted partial R2 of its predictions, per emotion.

A judge's rating of the next turn is regressed on its rating of this turn and on what the model itself perceives (the
base), and again with the model's prediction besides. Skill is the share of the out-of-sample squared loss of the base
that the prediction removes. A constant and a copy of the perception are worth 0, whatever the judge; a foresight at
another scale is worth as much. The noise of the judge bounds it well below 1. It says nothing about whether the
prediction is right in intensity: the EQ-Bench loss, which stands beside it, does.

Partial R2 of nested regressions: Cohen et al., Applied Multiple Regression (3rd ed.), 3.5; out of sample by folds:
Chernozhukov et al., Double/debiased machine learning (Econometrics Journal 2018). Folds and error by conversation.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scorer.intervals import student_t

__all__ = ["LEAST_CONVERSATIONS", "LEAST_TURNS", "LOSS_FLOOR", "Foresight", "Skill", "losses", "skill", "skill_of"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

LEAST_TURNS = 50
LEAST_CONVERSATIONS = 20
LOSS_FLOOR = 0.05
"""Mean squared loss of the base, in squared intensity points, under which there is nothing left to foresee."""
_FOLDS = 10
_SEED = 20_250_101
_ALPHA = 0.025


@dataclass(frozen=True, slots=True)
class Foresight:
    """Turns with a next turn, of one emotion; arrays of one length, intensities 0..10.

    conversation: a number for each conversation. before, after: the judge's rating of this turn and of the next one;
    perceived, predicted: what the model said of this turn and of the next. weights: how many turns each stands for.
    """

    conversation: Indices
    before: Floats
    perceived: Floats
    predicted: Floats
    after: Floats
    weights: Floats

    def __len__(self) -> int:
        return len(self.after)


@dataclass(frozen=True, slots=True)
class Skill:
    """value with a 95 % interval, share of the loss removed; None where `reason` says why there is none.

    At most 1; below 0 where the prediction leads astray. base_loss: squared intensity points, None where not fitted.
    """

    value: float | None
    lower: float | None
    upper: float | None
    turns: int
    conversations: int
    base_loss: float | None = None
    reason: str = ""


def skill(turns: Foresight, *, folds: int = _FOLDS, seed: int = _SEED) -> Skill:
    """The skill over these turns. seed: of the folds, so that the same turns give the same value."""
    conversations = len(np.unique(turns.conversation))
    if len(turns) < LEAST_TURNS or conversations < LEAST_CONVERSATIONS:
        reason = f"too few turns: {len(turns)} of {LEAST_TURNS}, {conversations} of {LEAST_CONVERSATIONS} conversations"
        return Skill(None, None, None, len(turns), conversations, reason=reason)
    base, full = losses(turns, folds=folds, seed=seed)
    return skill_of(turns, base, full)


def losses(turns: Foresight, *, folds: int = _FOLDS, seed: int = _SEED) -> tuple[Floats, Floats]:
    """Weighted squared loss of each turn, without and with the prediction, fitted on the other folds."""
    labels, group = np.unique(turns.conversation, return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(labels)) % folds)[group]
    known = np.column_stack([np.ones(len(turns)), turns.before, turns.perceived])
    base, full = np.zeros(len(turns)), np.zeros(len(turns))
    for number in range(min(folds, len(labels))):
        held = fold == number
        for design, loss in ((known, base), (np.column_stack([known, turns.predicted]), full)):
            fitted = _fit(design[~held], turns.after[~held], turns.weights[~held])
            loss[held] = turns.weights[held] * (turns.after[held] - design[held] @ fitted) ** 2
    return base, full


def skill_of(turns: Foresight, base: Floats, full: Floats) -> Skill:
    """One minus the ratio of summed losses, with the linearised error of a ratio over conversations.

    Cochran, Sampling Techniques (3rd ed.), 6.4 and 10.3: the residual of a ratio stands for the turn.
    """
    labels, group = np.unique(turns.conversation, return_inverse=True)
    count, total = len(labels), float(base.sum())
    mean = total / float(turns.weights.sum())
    if mean < LOSS_FLOOR:
        reason = f"nothing to foresee: the base loss {mean:.3f} is under {LOSS_FLOOR}"
        return Skill(None, None, None, len(turns), count, mean, reason)
    ratio = float(full.sum()) / total
    residuals = np.bincount(group, weights=full - ratio * base)
    error = math.sqrt(float((residuals**2).sum()) * count / (count - 1.0)) / total
    half = student_t(1.0 - _ALPHA, count - 1.0) * error
    return Skill(1.0 - ratio, 1.0 - ratio - half, 1.0 - ratio + half, len(turns), count, mean)


def _fit(design: Floats, values: Floats, weights: Floats) -> Floats:
    """Weighted least squares; of predictors that say the same (a constant, a copy) the shortest solution."""
    root = np.sqrt(weights)
    fitted = np.linalg.lstsq(design * root[:, None], values * root, rcond=1e-9)[0]
    return np.asarray(fitted, dtype=np.float64)

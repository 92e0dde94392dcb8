"""What a model's text can turn out to be: an answer, or a reason why there is none. Values, never exceptions."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["UNPARSEABLE_REASONS", "Answer", "ItemOutcome", "Profile", "Unparseable", "UnparseableReason", "outcome_for"]

Profile = Literal["official", "lm-eval", "tolerant"]

UnparseableReason = Literal[
    "no_scores",
    "missing_emotion",
    "unknown_emotion",
    "out_of_range",
    "placeholder_echo",
    "refusal",
    "truncated",
    "all_zero",
]
UNPARSEABLE_REASONS: tuple[UnparseableReason, ...] = (
    "no_scores",
    "missing_emotion",
    "unknown_emotion",
    "out_of_range",
    "placeholder_echo",
    "refusal",
    "truncated",
    "all_zero",
)

ItemOutcome = Literal["scored", "unparseable", "refused", "truncated"]


@dataclass(frozen=True, slots=True)
class Answer:
    """Intensities by emotion, as read. Within 0..10 under ``tolerant``; the other profiles let any number through.

    first: the first (or only) pass; empty where only the revised pass could be read.
    revised: the second pass; None where it was not asked for or could not be read.
    """

    first: dict[str, float]
    revised: dict[str, float] | None = None

    @property
    def last(self) -> dict[str, float]:
        """The intensities of the last pass that could be read."""
        return self.revised if self.revised is not None else self.first


@dataclass(frozen=True, slots=True)
class Unparseable:
    """Why a text has no answer. detail: a few words for people, never more than the names and numbers concerned."""

    reason: UnparseableReason
    detail: str = ""


def outcome_for(reason: UnparseableReason) -> ItemOutcome:
    """The outcome class under which an unreadable text is counted."""
    if reason == "refusal":
        return "refused"
    return "truncated" if reason == "truncated" else "unparseable"

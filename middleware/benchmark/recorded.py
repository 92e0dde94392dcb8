"""Scores a file of recorded answers against an item set. Nothing is asked and nothing is saved."""

from middleware.benchmark.answers import AnswersError, RecordedAnswers
from scorer.answers import Profile
from scorer.eqbench import outcome_of
from scorer.items import ItemSet
from scorer.runs import RunScore, aggregate

__all__ = ["score_answers"]


def score_answers(item_set: ItemSet, recorded: RecordedAnswers, *, profile: Profile, revise: bool) -> RunScore:
    """The score over all recorded passes. Raises AnswersError where an answered item is not in the set."""
    unknown = sorted({item for answers in recorded.passes for item in answers if item not in item_set.by_id})
    if unknown:
        shown = ", ".join(unknown[:5]) + (", …" if len(unknown) > 5 else "")
        raise AnswersError(
            f"{len(unknown)} answered items are not in {item_set.name} ({shown}): was another set asked?"
        )
    passes = [
        {
            item.id: outcome_of(
                item,
                answers[item.id].text,
                item_set=item_set,
                profile=profile,
                revise=revise,
                finish_reason=answers[item.id].finish_reason,
            )
            if item.id in answers
            else None
            for item in item_set.items
        }
        for answers in recorded.passes
    ]
    return aggregate(passes, len(item_set.items), profile)

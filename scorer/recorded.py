"""Scores recorded answers of a whole item set. Reading the recording from a file is the caller's."""

from collections.abc import Mapping

from scorer.answers import Profile
from scorer.items import ItemSet
from scorer.runs import RunScore, aggregate
from scorer.scoring import outcome_of

__all__ = ["score_recorded"]


def score_recorded(
    item_set: ItemSet,
    answers: Mapping[str, str],
    *,
    profile: Profile,
    revise: bool,
    finish_reasons: Mapping[str, str] | None = None,
) -> RunScore:
    """One pass over the set: answers are texts by item id; items without a text are ``missing``, not unreadable.

    revise: whether the texts were asked for both passes. Raises ValueError where an id is not in the set.
    """
    unknown = [item_id for item_id in answers if item_id not in item_set.by_id]
    if unknown:
        shown = ", ".join(unknown[:5]) + (", …" if len(unknown) > 5 else "")
        raise ValueError(
            f"{len(unknown)} of {len(answers)} recorded answers are to items that {item_set.name} does not have "
            f"({shown}); were they recorded with another item set?"
        )
    reasons = finish_reasons or {}
    scored = {
        item.id: outcome_of(
            item,
            answers[item.id],
            item_set=item_set,
            profile=profile,
            revise=revise,
            finish_reason=reasons.get(item.id, ""),
        )
        if item.id in answers
        else None
        for item in item_set.items
    }
    return aggregate([scored], len(item_set.items), profile)

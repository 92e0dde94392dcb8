"""Degenerate answers kept out: of a run's score, of a baseline, of a gate's verdict. What they are is the scorer's."""

from collections.abc import Iterable, Sequence

from scorer.baseline import Observation
from scorer.degeneracy import Flag, Given, diagnose_run
from scorer.items import ItemSet
from scorer.scoring import ScoredItem

__all__ = ["degenerate", "flags_of", "require_sound"]


def flags_of(scored: Iterable[tuple[str, ScoredItem]], item_set: ItemSet) -> tuple[Flag, ...]:
    """What is wrong with these answers together; pairs of item id and what its text was worth, pass by pass."""
    given = []
    for item_id, each in scored:
        answer = each.answer
        last = {} if answer is None else answer.last
        first = answer.first if answer is not None and answer.revised is not None else None
        given.append(Given(item_id, last, str(each.reason), first))
    return diagnose_run(given, item_set)


def degenerate(flags: Iterable[Flag]) -> str:
    """The flags in words, empty for none."""
    return "; ".join(flag.words for flag in flags)


def require_sound(passes: Sequence[Sequence[Observation]], item_set: ItemSet) -> None:
    """Raise ValueError where answers that are to become a baseline are degenerate."""
    given = [
        Given(each.item_id, dict(zip(item_set.by_id[each.item_id].emotions, each.answer or (), strict=False)))
        for one in passes
        for each in one
        if each.item_id in item_set.by_id
    ]
    if found := degenerate(diagnose_run(given, item_set)):
        raise ValueError(f"the answers say nothing about the items ({found})")

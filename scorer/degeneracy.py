"""Whether a run's answers are answers at all: the same to everything, echoes, or of hardly any variety.

Each single one may be readable and even score; together they say nothing about the items, so the run gets no score.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scorer.items import ItemSet

__all__ = ["LEAST_ANSWERS", "Flag", "FlagName", "Given", "diagnose_run"]

FlagName = Literal["constant", "flat", "low_diversity", "placeholder_echo", "first_pass_echo"]

LEAST_ANSWERS = 12
"""Readable items below which variety can't be judged."""

# The twelve recorded models of EQ-Bench give their commonest answer to 1 to 9 % of the items, flat answers to at most
# 1 %, and different answers to 57 to 98 % of them: these limits are far from all of them.
_CONSTANT_SHARE = 0.5
_FLAT_SHARE = 0.5
_LEAST_DISTINCT_SHARE = 0.25
_DIVERSITY_FROM = 24
_PLACEHOLDER_SHARE = 0.2
_FIRST_PASS_SHARE = 0.98
# A set whose own references are that uniform may well be answered uniformly.
_REFERENCE_FACTOR = 2.0


@dataclass(frozen=True, slots=True)
class Given:
    """What a model gave to one item: intensities as read (empty where unreadable), and why it could not be read.

    first: of the pass before the revision, where there were two.
    """

    item_id: str
    answer: Mapping[str, float]
    reason: str = ""
    first: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    """One thing that is wrong with a run. share: of the answers that show it, 0..1."""

    name: FlagName
    share: float

    @property
    def words(self) -> str:
        """For people."""
        percent = f"{100 * self.share:.0f} %"
        match self.name:
            case "constant":
                return f"the same answer to {percent} of the items"
            case "flat":
                return f"one number for all emotions in {percent} of the answers"
            case "low_diversity":
                return f"only {percent} of the answers differ from each other"
            case "placeholder_echo":
                return f"the template's placeholders came back in {percent} of the answers"
            case "first_pass_echo":
                return f"the revision repeats the first pass in {percent} of the answers"


def diagnose_run(given: Sequence[Given], item_set: ItemSet) -> tuple[Flag, ...]:
    """What is wrong with the answers of a run, nothing for sound ones.

    Variety is judged on each item's first readable answer; a set whose references are as uniform raises no flag.
    """
    if not given:
        return ()
    flags = []
    echoed = sum(each.reason == "placeholder_echo" for each in given) / len(given)
    if len(given) >= LEAST_ANSWERS and echoed >= _PLACEHOLDER_SHARE:
        flags.append(Flag("placeholder_echo", echoed))
    both = [each.first == each.answer for each in given if each.first and each.answer]
    if len(both) >= LEAST_ANSWERS and sum(both) >= _FIRST_PASS_SHARE * len(both):
        flags.append(Flag("first_pass_echo", sum(both) / len(both)))
    vectors, references = _vectors(given, item_set)
    if len(vectors) >= LEAST_ANSWERS:
        flags += _uniform(vectors, references)
    return tuple(flags)


def _uniform(vectors: Sequence[tuple[float, ...]], references: Sequence[tuple[float, ...]]) -> list[Flag]:
    flags: list[Flag] = []
    top, expected_top = _top_share(vectors), _top_share(references)
    if top >= max(_CONSTANT_SHARE, _REFERENCE_FACTOR * expected_top):
        flags.append(Flag("constant", top))
    flat, expected_flat = _flat_share(vectors), _flat_share(references)
    if flat >= max(_FLAT_SHARE, _REFERENCE_FACTOR * expected_flat):
        flags.append(Flag("flat", flat))
    distinct, expected = len(set(vectors)) / len(vectors), len(set(references)) / len(references)
    if not flags and len(vectors) >= _DIVERSITY_FROM and distinct < min(_LEAST_DISTINCT_SHARE, expected / 2.0):
        flags.append(Flag("low_diversity", distinct))
    return flags


def _vectors(given: Sequence[Given], item_set: ItemSet) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    """The first readable answer to each item, in the item's own order of emotions, beside its reference."""
    answers: dict[str, tuple[float, ...]] = {}
    references: dict[str, tuple[float, ...]] = {}
    for each in given:
        item = item_set.by_id[each.item_id]
        if each.item_id not in answers and all(emotion in each.answer for emotion in item.emotions):
            answers[each.item_id] = tuple(each.answer[emotion] for emotion in item.emotions)
            references[each.item_id] = item.reference_for(item_set.version)
    return list(answers.values()), list(references.values())


def _top_share(vectors: Sequence[tuple[float, ...]]) -> float:
    return Counter(vectors).most_common(1)[0][1] / len(vectors)


def _flat_share(vectors: Sequence[tuple[float, ...]]) -> float:
    return sum(len(set(vector)) == 1 for vector in vectors) / len(vectors)

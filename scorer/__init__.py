"""The pure core: EQ-Bench scoring, baselines, detection. No I/O, clock, global randomness or logging."""

from scorer.answers import Answer, Profile, Unparseable, UnparseableReason
from scorer.eqbench import RunScore, ScoredItem, aggregate, outcome_of, score_answers, score_item
from scorer.items import Item, ItemSet, parse_bundled, parse_official
from scorer.parsing import parse
from scorer.prompts import PROMPT_VERSION, answer_schema, compose, question
from scorer.recorded import score_recorded

__all__ = [
    "PROMPT_VERSION",
    "Answer",
    "Item",
    "ItemSet",
    "Profile",
    "RunScore",
    "ScoredItem",
    "Unparseable",
    "UnparseableReason",
    "aggregate",
    "answer_schema",
    "compose",
    "outcome_of",
    "parse",
    "parse_bundled",
    "parse_official",
    "question",
    "score_answers",
    "score_item",
    "score_recorded",
]

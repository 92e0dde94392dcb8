"""EQ-Bench whole, under one name: item scores, outcomes, runs."""

from scorer.runs import PassScore, RunScore, aggregate
from scorer.scoring import ScoredItem, outcome_of, score_answers, score_item

__all__ = ["PassScore", "RunScore", "ScoredItem", "aggregate", "outcome_of", "score_answers", "score_item"]

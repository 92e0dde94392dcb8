"""From answers to results: one call's outcome as a record, and all of a run's records as a score. No I/O."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from middleware.benchmark.soundness import flags_of
from middleware.errors import UpstreamError
from middleware.records.benchmark import ItemResult, Run
from middleware.upstream import Completion
from scorer.answers import Profile
from scorer.degeneracy import Flag
from scorer.eqbench import ScoredItem, outcome_of
from scorer.items import Item, ItemSet
from scorer.runs import RunScore, aggregate

__all__ = ["RunReport", "failed_result", "is_answer", "report_of", "scored_result"]

# Longer than any answer within a sensible token allowance; cut before scoring, so that a resumed run scores the same.
_TEXT_CHARACTERS = 65_536
# What a result's outcome tells about the finish reason, which itself is not kept.
_FINISH = {"truncated": "length", "refused": "content_filter"}


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run as it stands. results: of all calls that have an outcome, earlier sessions' too. Tokens are those known.

    flags: what makes its answers degenerate, such as one answer to everything; such a run has no valid score.
    """

    run: Run
    score: RunScore
    results: tuple[ItemResult, ...]
    prompt_tokens: int
    completion_tokens: int
    answered: int
    reasoning_tokens: int = 0
    flags: tuple[Flag, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether the score may be used: enough could be read, and the answers are not degenerate."""
        return self.score.valid and not self.flags

    @property
    def outcomes(self) -> dict[str, int]:
        """How many calls ended how; ``missing`` are those without an outcome."""
        counts = dict(self.score.outcomes)
        calls = [result.outcome for result in self.results if not is_answer(result)]
        for outcome in calls:
            counts[outcome] = counts.get(outcome, 0) + 1
        missing = len(self.run.item_ids) * self.run.passes - len(self.results)
        counts.pop("missing", None)
        return counts | ({"missing": missing} if missing else {})


def is_answer(result: ItemResult) -> bool:
    """Whether the model said something: api_error and timeout say nothing about it and may be asked again."""
    return result.outcome not in {"api_error", "timeout"}


def scored_result(
    run: Run, item: Item, item_set: ItemSet, repetition: int, completion: Completion, *, at: float
) -> ItemResult:
    """The outcome of a call that was answered."""
    text = completion.text[:_TEXT_CHARACTERS]
    scored = _score(run, item, item_set, text, completion.finish_reason)
    return ItemResult(
        run_id=run.id,
        item_id=item.id,
        repetition=repetition,
        outcome=scored.outcome,
        reason=scored.reason,
        score=scored.last,  # which pass counts is decided per run, not here
        answer=dict(scored.answer.last) if scored.answer is not None else {},
        text=text,
        prompt_tokens=completion.prompt_tokens or 0,
        completion_tokens=completion.completion_tokens or 0,
        reasoning_tokens=completion.reasoning_tokens or 0,
        latency_seconds=completion.latency_seconds,
        answered_model=completion.model,
        system_fingerprint=completion.system_fingerprint,
        at=at,
    )


def failed_result(
    run: Run, item: Item, repetition: int, error: UpstreamError, *, latency_seconds: float, at: float
) -> ItemResult:
    """The outcome of a call that got no answer, after all its tries."""
    return ItemResult(
        run_id=run.id,
        item_id=item.id,
        repetition=repetition,
        outcome="timeout" if error.reason == "timeout" else "api_error",
        reason=error.reason,
        latency_seconds=latency_seconds,
        at=at,
    )


def report_of(run: Run, item_set: ItemSet, results: Iterable[ItemResult]) -> RunReport:
    """Score everything that a run has so far, from the answers' texts: a resumed run scores as one in one go."""
    results = tuple(results)
    answers = [result for result in results if is_answer(result)]
    passes: list[dict[str, ScoredItem | None]] = [dict.fromkeys(run.item_ids) for _ in range(run.passes)]
    scored: list[tuple[str, ScoredItem]] = []
    for result in answers:
        item = item_set.by_id[result.item_id]
        finish = _FINISH.get(result.outcome, "")
        found = _score(run, item, item_set, result.text, finish)
        passes[result.repetition][result.item_id] = found
        scored.append((result.item_id, found))
    return RunReport(
        run=run,
        score=aggregate(passes, len(run.item_ids), _profile(run)),
        results=results,
        prompt_tokens=sum(result.prompt_tokens for result in results),
        completion_tokens=sum(result.completion_tokens for result in results),
        answered=len(answers),
        reasoning_tokens=sum(result.reasoning_tokens for result in results),
        flags=flags_of(scored, item_set),
    )


def _score(run: Run, item: Item, item_set: ItemSet, text: str, finish_reason: str) -> ScoredItem:
    return outcome_of(
        item,
        text,
        item_set=item_set,
        profile=_profile(run),
        revise=run.protocol.revise,
        finish_reason=finish_reason,
    )


def _profile(run: Run) -> Profile:
    return cast(Profile, run.protocol.scoring_profile)  # made by make_protocol, kept as text

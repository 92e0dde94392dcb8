"""What a run would take before anything is asked: calls, tokens, time. From the prompts and from earlier answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from middleware.benchmark.outcomes import is_answer
from middleware.benchmark.protocol import messages_for, schema_for
from middleware.records.benchmark import ItemResult, Protocol
from middleware.store import Store
from middleware.upstream.completion import Question
from middleware.upstream.metering import estimate_of
from scorer.items import Item, ItemSet

__all__ = ["Forecast", "earlier_results", "forecast"]

# Of an English prompt, where nobody has counted yet; the upper estimate of a call reckons with three.
_USUAL_SHARE = 3.0 / 4.0
_ANSWER_TOKENS = 40
_SECONDS_PER_CALL = 1.5
_RUNS_LOOKED_AT = 100


@dataclass(frozen=True, slots=True)
class Forecast:
    """prompt, completion: tokens as they are likely to be; at_most: as they are set aside. measured: from answers.

    seconds: at the concurrency, without waiting for a slow upstream.
    """

    calls: int
    prompt: int
    completion: int
    at_most_prompt: int
    at_most_completion: int
    seconds: float
    measured: bool

    def times(self, factor: int) -> "Forecast":
        """So many times as much."""
        return Forecast(
            calls=self.calls * factor,
            prompt=self.prompt * factor,
            completion=self.completion * factor,
            at_most_prompt=self.at_most_prompt * factor,
            at_most_completion=self.at_most_completion * factor,
            seconds=self.seconds * factor,
            measured=self.measured,
        )


def forecast(
    item_set: ItemSet,
    items: Iterable[Item],
    protocol: Protocol,
    *,
    system_prompt: str = "",
    concurrency: int,
    earlier: Iterable[ItemResult] = (),
) -> Forecast:
    """One pass over the items. earlier: answers under the same protocol, if there are any, tell what is usual."""
    items = tuple(items)
    answers = [result for result in earlier if is_answer(result)]
    at_most = [
        estimate_of(
            Question(
                messages_for(item, item_set, protocol, system_prompt),
                "",
                protocol.temperature,
                protocol.max_tokens,
                protocol.seed,
                schema_for(item, protocol),
            )
        )
        for item in items
    ]
    prompt, completion = sum(one.prompt for one in at_most), sum(one.completion for one in at_most)
    calls = len(items)
    if not answers:
        usual_answer = min(protocol.max_tokens, _ANSWER_TOKENS)
        means = (prompt * _USUAL_SHARE / max(1, calls), float(usual_answer), _SECONDS_PER_CALL)
    else:
        means = (
            fmean(result.prompt_tokens for result in answers),
            fmean(result.completion_tokens for result in answers),
            fmean(result.latency_seconds for result in answers),
        )
    return Forecast(
        calls=calls,
        prompt=round(calls * means[0]),
        completion=round(calls * means[1]),
        at_most_prompt=prompt,
        at_most_completion=completion,
        seconds=calls * means[2] / concurrency,
        measured=bool(answers),
    )


def earlier_results(store: Store, deployment: str, protocol_key: str, model: str) -> list[ItemResult]:
    """The outcomes of the newest run of a model under a protocol that has answers; empty where there is none."""
    for run in store.runs(deployment, _RUNS_LOOKED_AT):
        if run.protocol.key == protocol_key and run.model == model and (found := store.item_results(run.id)):
            return found
    return []

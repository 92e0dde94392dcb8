"""Where the passes of `eqwatch baseline create` come from: a model that is asked, runs in the store, recorded files."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from middleware.benchmark.answers import read_answers
from middleware.benchmark.baselines import record_of
from middleware.benchmark.collecting import passes_of
from middleware.benchmark.identity import identities_of
from middleware.benchmark.item_sets import load
from middleware.benchmark.manual import RunRequest
from middleware.benchmark.outcomes import is_answer
from middleware.benchmark.soundness import require_sound
from middleware.cli.measuring import Calls, measure
from middleware.control.plans import benchmark_protocol, system_prompt_of
from middleware.errors import ConfigurationError, UpstreamError
from middleware.records.baseline import BaselineRecord
from middleware.records.benchmark import ItemResult, Protocol, Run
from middleware.settings import Settings
from middleware.store import Store
from middleware.upstream import normalise_upstream
from scorer.answers import Profile
from scorer.baseline import Observation
from scorer.eqbench import outcome_of
from scorer.items import ItemSet

__all__ = ["Source", "collected"]

_DAY_SECONDS = 86_400.0
_RUNS = 10_000


@dataclass(frozen=True, slots=True)
class Source:
    """Where the passes come from: asked of a model, unless one of the last three says otherwise."""

    model: str | None
    items: str | None
    passes: int
    deployment: str
    from_store: bool
    runs: tuple[str, ...]
    answers: tuple[Path, ...]


def collected(source: Source, settings: Settings, *, concurrency: int, fresh: bool) -> BaselineRecord:
    """The passes as a baseline. Raises ConfigurationError where they make none, UpstreamError where nobody answers."""
    if sum((source.from_store, bool(source.runs), bool(source.answers))) > 1:
        raise ConfigurationError("--from-store, --run and --answers exclude one another: keep one")
    item_set = load(source.items or settings.benchmark.items[0], settings.data_dir)
    system_prompt = system_prompt_of(settings)
    protocol = benchmark_protocol(settings, item_set, system_prompt)
    if source.answers:
        return _recorded(source, item_set, protocol)
    if source.from_store or source.runs:
        return _stored(source, settings, item_set, protocol)
    request = RunRequest(_upstream(settings), _model(source, settings), item_set, protocol, source.passes)
    calls = Calls(settings, concurrency, settings.benchmark.timeout_seconds, system_prompt)
    report = measure(request, calls, fresh=fresh)
    if not report.answered:
        raise UpstreamError("server_error", f"{request.upstream} answered no item: nothing was measured")
    return _measured(report.results, source, request.model, item_set, protocol)


def _measured(
    results: Sequence[ItemResult], source: Source, model: str, item_set: ItemSet, protocol: Protocol
) -> BaselineRecord:
    answers = [result for result in results if is_answer(result)]
    times = [result.at for result in answers] or [0.0]
    return record_of(
        _sound(passes_of(answers, item_set)[-source.passes :], item_set),
        deployment=source.deployment,
        model=model,
        protocol=protocol,
        identities=identities_of(answers),
        days=(max(times) - min(times)) / _DAY_SECONDS,
        at=time.time(),
    )


def _sound(passes: list[list[Observation]], item_set: ItemSet) -> list[list[Observation]]:
    """The passes, unless they would freeze answers that say nothing: everything later would be compared with those."""
    try:
        require_sound(passes, item_set)
    except ValueError as error:
        raise ConfigurationError(
            f"no baseline can be made of these answers: {error}; look at them with eqwatch run, and mend model, system "
            "prompt or answer format"
        ) from None
    return passes


def _stored(source: Source, settings: Settings, item_set: ItemSet, protocol: Protocol) -> BaselineRecord:
    """From runs that were made before: the named ones, or all of the deployment and model under this protocol."""
    with Store(settings.store_url) as store:
        runs = [_run_named(store, name) for name in source.runs]
        if not runs:
            model = _model(source, settings)
            runs = [
                run
                for run in store.runs(source.deployment, _RUNS)
                if run.model == model and run.protocol.key == protocol.key
            ]
        for run in runs:
            differences = run.protocol.differences(runs[0].protocol)
            if differences or run.model != runs[0].model:
                why = "; ".join(differences) or f"model is {run.model!r} and {runs[0].model!r}"
                raise ConfigurationError(f"runs {run.id} and {runs[0].id} make no baseline together: {why}")
        results = [result for run in runs for result in store.item_results(run.id)]
    if not runs:
        raise ConfigurationError(
            f"the store has no run of {source.deployment!r} with this model and protocol: leave out --from-store to ask"
        )
    if runs[0].protocol.item_set_sha256 != item_set.sha256:
        item_set = load(runs[0].protocol.item_set, settings.data_dir)
    return _measured(results, source, runs[0].model, item_set, runs[0].protocol)


def _run_named(store: Store, name: str) -> Run:
    run = store.run(name)
    if run is None:
        raise ConfigurationError(f"--run {name}: the store has no such run")
    return run


def _recorded(source: Source, item_set: ItemSet, protocol: Protocol) -> BaselineRecord:
    """From files of recorded answers, scored under the protocol's profile."""
    passes: list[list[Observation]] = []
    model = source.model or ""
    for file in source.answers:
        recorded = read_answers(file)
        model = model or recorded.model
        passes += [
            [
                _observation(item_set, protocol, item_id, given.text, given.finish_reason)
                for item_id, given in answers.items()
                if item_id in item_set.by_id
            ]
            for answers in recorded.passes
        ]
    return record_of(
        _sound(passes[-source.passes :], item_set),
        deployment=source.deployment,
        model=model,
        protocol=protocol,
        identities=(),
        days=0.0,
        at=time.time(),
    )


def _observation(item_set: ItemSet, protocol: Protocol, item_id: str, text: str, finish_reason: str) -> Observation:
    item = item_set.by_id[item_id]
    scored = outcome_of(
        item,
        text,
        item_set=item_set,
        profile=cast(Profile, protocol.scoring_profile),
        revise=protocol.revise,
        finish_reason=finish_reason,
    )
    if scored.last is None or scored.answer is None:
        return Observation(item_id, None)
    values = scored.answer.last
    complete = all(emotion in values for emotion in item.emotions)
    return Observation(item_id, scored.last, tuple(values[e] for e in item.emotions) if complete else None)


def _upstream(settings: Settings) -> str:
    if not settings.upstream.url:
        raise ConfigurationError("no upstream: pass --upstream URL, or set EQWATCH_UPSTREAM_URL")
    return normalise_upstream(settings.upstream.url)


def _model(source: Source, settings: Settings) -> str:
    own = next((d.model for d in settings.deployments if d.name == source.deployment and d.benchmark), None)
    model = source.model or own or settings.benchmark.model
    if not model:
        raise ConfigurationError("no model: pass --model NAME, or set EQWATCH_BENCHMARK_MODEL")
    return model

"""What the settings ask the benchmark to watch. Checked before the sidecar starts, used by control and `baseline`.

A plan is a deployment with a model, an item set and the one protocol of [benchmark]. `default` stands for the model of
[benchmark]; a deployment of its own has `benchmark = true` and a model.
"""

from pathlib import Path

from middleware.benchmark import item_sets
from middleware.benchmark.plan import Plan
from middleware.benchmark.protocol import make_protocol
from middleware.errors import ConfigurationError
from middleware.records.benchmark import Protocol
from middleware.settings import Settings
from scorer.items import ItemSet

__all__ = [
    "DEFAULT_DEPLOYMENT",
    "benchmark_configured",
    "benchmark_plans",
    "benchmark_protocol",
    "missing_settings",
    "subjects",
    "system_prompt_of",
]

DEFAULT_DEPLOYMENT = "default"
_YEAR_SECONDS = 365.25 * 86_400


def subjects(settings: Settings) -> list[tuple[str, str, tuple[str, ...]]]:
    """Deployment, model and item sets of everything that is watched; no model is ever guessed."""
    benchmark = settings.benchmark
    own = [(d.name, d.model, d.items or benchmark.items) for d in settings.deployments if d.benchmark and d.model]
    named = {name for name, _, _ in own}
    if benchmark.model is None or DEFAULT_DEPLOYMENT in named:
        return own
    return [(DEFAULT_DEPLOYMENT, benchmark.model, benchmark.items), *own]


def benchmark_configured(settings: Settings) -> bool:
    """Whether batches may run: switched on, with a model and an operator key, neither of which is ever guessed."""
    return settings.benchmark.enabled and bool(subjects(settings)) and settings.upstream.api_key is not None


def missing_settings(settings: Settings) -> tuple[str, ...]:
    """What has to be set before the benchmark can run; empty if it can."""
    missing = []
    if not subjects(settings):
        missing.append("[benchmark] model")
    if settings.upstream.api_key is None:
        missing.append("EQWATCH_UPSTREAM_API_KEY (any word where the upstream wants none)")
    return tuple(missing)


def benchmark_protocol(settings: Settings, item_set: ItemSet, system_prompt: str) -> Protocol:
    """How [benchmark] asks a set; system_prompt: as `system_prompt_of` says.

    Raises ConfigurationError for a protocol that could never yield a score.
    """
    benchmark = settings.benchmark
    return make_protocol(
        item_set,
        profile=benchmark.scoring_profile,
        answer_format=benchmark.answer_format,
        temperature=benchmark.temperature,
        max_tokens=benchmark.max_tokens,
        seed=benchmark.seed,
        system_prompt=system_prompt,
        reasoning_tokens=benchmark.reasoning_tokens,
    )


def system_prompt_of(settings: Settings) -> str:
    """What [benchmark] asks under, from its text or its file. Raises ConfigurationError."""
    benchmark = settings.benchmark
    if not benchmark.system_prompt_file:
        return benchmark.system_prompt
    if benchmark.system_prompt:
        raise ConfigurationError("benchmark.system_prompt and benchmark.system_prompt_file are both set: keep one")
    try:
        return Path(benchmark.system_prompt_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"benchmark.system_prompt_file {benchmark.system_prompt_file} can't be read: {error}"
        ) from None


def benchmark_plans(settings: Settings) -> list[Plan]:
    """One plan for each deployment and item set; they share the false alarms that the installation may give.

    Raises ItemSetError for a set that is not here, ConfigurationError as `benchmark_protocol`.
    """
    benchmark, detection = settings.benchmark, settings.detection
    watched = [(name, model, items) for name, model, sets in subjects(settings) for items in dict.fromkeys(sets)]
    sets = {items: item_sets.load(items, settings.data_dir) for _, _, items in watched}
    system_prompt = system_prompt_of(settings)
    plans = []
    for deployment, model, items in watched:
        item_set = sets[items]
        plans.append(
            Plan(
                deployment=deployment,
                item_set=item_set,
                protocol=benchmark_protocol(settings, item_set, system_prompt),
                model=model,
                batch=min(benchmark.batch, len(item_set.items)),
                rotation_seed=benchmark.rotation_seed,
                passes=benchmark.commissioning_passes,
                batches_per_year=_YEAR_SECONDS / benchmark.interval_when_suspected.total_seconds(),
                false_alarms_per_year=detection.false_alarms_per_year / len(watched),
                margin=detection.margin,
                upgrade_passes=detection.upgrade_passes,
                min_days=benchmark.commissioning_days,
                system_prompt=system_prompt,
            )
        )
    return plans

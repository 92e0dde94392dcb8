"""What the settings ask the benchmark to watch. Checked before the sidecar starts, used by control."""

from middleware.benchmark import item_sets
from middleware.benchmark.protocol import make_protocol
from middleware.benchmark.watch import Plan
from middleware.settings import Settings

__all__ = ["DEFAULT_DEPLOYMENT", "benchmark_configured", "benchmark_plans", "missing_settings"]

DEFAULT_DEPLOYMENT = "default"
_YEAR_SECONDS = 365.25 * 86_400


def benchmark_configured(settings: Settings) -> bool:
    """Whether batches may run: switched on, with a model and an operator key, neither of which is ever guessed."""
    benchmark = settings.benchmark
    return benchmark.enabled and benchmark.model is not None and settings.upstream.api_key is not None


def missing_settings(settings: Settings) -> tuple[str, ...]:
    """What has to be set before the benchmark can run; empty if it can."""
    missing = []
    if settings.benchmark.model is None:
        missing.append("[benchmark] model")
    if settings.upstream.api_key is None:
        missing.append("EQWATCH_UPSTREAM_API_KEY (any word where the upstream wants none)")
    return tuple(missing)


def benchmark_plans(settings: Settings) -> list[Plan]:
    """One plan for each item set.

    Raises ItemSetError for a set that is not here, ConfigurationError for a protocol that could never yield a score.
    """
    benchmark = settings.benchmark
    plans = []
    for name in benchmark.items:
        item_set = item_sets.load(name, settings.data_dir)
        protocol = make_protocol(
            item_set,
            profile=benchmark.scoring_profile,
            answer_format=benchmark.answer_format,
            temperature=benchmark.temperature,
            max_tokens=benchmark.max_tokens,
            seed=benchmark.seed,
        )
        plans.append(
            Plan(
                deployment=DEFAULT_DEPLOYMENT,
                item_set=item_set,
                protocol=protocol,
                model=benchmark.model or "",
                batch=min(benchmark.batch, len(item_set.items)),
                rotation_seed=benchmark.rotation_seed,
                passes=benchmark.commissioning_passes,
                batches_per_year=_YEAR_SECONDS / benchmark.interval.total_seconds(),
            )
        )
    return plans

"""The recording rules: what alerts and dashboards compute alike, named ``level:metric:operation``."""

from middleware.observe.promql import BY_DEPLOYMENT, BY_SET, SCOPE, held, select, summed
from middleware.observe.rule import Recording

__all__ = [
    "AGREEMENT_LOSS",
    "AGREEMENT_TURNS",
    "ANSWERS",
    "BUDGET_LEFT",
    "COVERAGE",
    "ELIGIBLE",
    "OVERHEAD_P99",
    "OVERHEAD_REQUESTS",
    "RECORDINGS",
    "RESTARTS",
    "UNREADABLE",
]

_NO_ANSWER = "!~api_error|timeout"
_UNREADABLE = "~unparseable|refused|truncated"
_PROBED = "~scored|unparseable|refused|truncated"
# Not eligible: what was not sampled, opted out, could not be read, or lies over a cap that somebody chose.
_ELIGIBLE = "~scored|unparseable|refused|truncated|api_error|timeout|queue_full|budget|paused|error"
_PER_JUDGE = (*BY_DEPLOYMENT, "reference")
_PER_PROCESS = (*SCOPE, "instance")

_answers = summed("bench_items_total", "1d", BY_SET, outcome=_NO_ANSWER)
_eligible = summed("probe_conversations_total", "6h", BY_DEPLOYMENT, outcome=_ELIGIBLE)
_losses = summed("probe_agreement_loss_points_sum", "7d", _PER_JUDGE)
_rated = summed("probe_agreement_loss_points_count", "7d", _PER_JUDGE)
_within = f"sum by ({', '.join((*_PER_PROCESS, 'le'))}) (rate({select('proxy_overhead_seconds_bucket')}[10m]))"


def _share(part: str, whole: str) -> str:
    """part over whole; none of the part is a share of 0, nothing of the whole is no share at all."""
    return f"(({part}) or 0 * ({whole})) / (({whole}) > 0)"


ANSWERS = Recording(
    "deployment_item_set:eqwatch_bench_items:increase1d", _answers, "Answers of the model to benchmark items in a day."
)
UNREADABLE = Recording(
    "deployment_item_set:eqwatch_bench_items_unreadable:ratio_increase1d",
    _share(summed("bench_items_total", "1d", BY_SET, outcome=_UNREADABLE), _answers),
    "Share of them that can't be read: unparseable, refused or truncated.",
)
AGREEMENT_TURNS = Recording(
    "deployment_reference:eqwatch_probe_agreement_loss_points_count:increase7d", _rated, "Rated turns in a week."
)
AGREEMENT_LOSS = Recording(
    "deployment_reference:eqwatch_probe_agreement_loss_points:mean7d",
    f"({_losses}) / (({_rated}) > 0)",
    "Mean loss between the model's perception and the answer key in a week.",
)
ELIGIBLE = Recording(
    "deployment:eqwatch_probe_conversations_eligible:increase6h",
    _eligible,
    "Turns that should have been probed in six hours.",
)
COVERAGE = Recording(
    "deployment:eqwatch_probe_conversations_probed:ratio_increase6h",
    _share(summed("probe_conversations_total", "6h", BY_DEPLOYMENT, outcome=_PROBED), _eligible),
    "Share of them that were.",
)
BUDGET_LEFT = Recording(
    "window:eqwatch_token_budget_remaining:ratio",
    f"{held('token_budget_remaining', (*SCOPE, 'window'))} / ({held('token_budget_limit', (*SCOPE, 'window'))} > 0)",
    "Share of the token budget that is left.",
)
OVERHEAD_REQUESTS = Recording(
    "instance:eqwatch_proxy_overhead_seconds_count:increase10m",
    summed("proxy_overhead_seconds_count", "10m", _PER_PROCESS),
    "Requests through a relay in ten minutes.",
)
OVERHEAD_P99 = Recording(
    "instance:eqwatch_proxy_overhead_seconds:p99_rate10m",
    f"histogram_quantile(0.99, {_within})",
    "99th percentile of the time that a relay adds to a request.",
)
RESTARTS = Recording(
    "worker:eqwatch_worker_restarts:increase30m",
    summed("worker_restarts_total", "30m", (*_PER_PROCESS, "worker")),
    "Restarts of a worker in half an hour.",
)

RECORDINGS: tuple[Recording, ...] = (
    ANSWERS,
    UNREADABLE,
    AGREEMENT_TURNS,
    AGREEMENT_LOSS,
    ELIGIBLE,
    COVERAGE,
    BUDGET_LEFT,
    OVERHEAD_REQUESTS,
    OVERHEAD_P99,
    RESTARTS,
)

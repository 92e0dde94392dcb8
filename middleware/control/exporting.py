"""Turns what the benchmark knows into metrics. Missing is no sample, never zero."""

import hashlib
from importlib.metadata import version

from middleware.benchmark.outcomes import RunReport
from middleware.benchmark.watch import Plan, Watch
from middleware.metrics import Metrics
from middleware.records.benchmark import ItemResult

__all__ = ["BenchmarkExport"]

_POINTS_PER_UNIT = 10.0
_PERFECT_POINTS = 100.0


class BenchmarkExport:
    """Feeds the ``bench_*`` families. interval_seconds: as configured."""

    def __init__(self, metrics: Metrics, *, interval_seconds: float) -> None:
        self._metrics = metrics
        self._interval = interval_seconds

    def item(self, plan: Plan, result: ItemResult) -> None:
        """One outcome, as soon as it is saved."""
        labels = {"deployment": plan.deployment, "item_set": plan.item_set.name}
        self._metrics.bench_items_total.labels(**labels, outcome=result.outcome).inc()
        if result.score is not None:
            loss = _PERFECT_POINTS - _POINTS_PER_UNIT * result.score
            self._metrics.bench_item_loss_points.labels(**labels).observe(loss)

    def failed(self, plan: Plan, reason: str) -> None:
        """A batch that the upstream did not answer."""
        outcome = "timeout" if reason == "timeout" else "api_error"
        labels = {"deployment": plan.deployment, "item_set": plan.item_set.name}
        self._metrics.bench_items_total.labels(**labels, outcome=outcome).inc()

    def batch(self, watch: Watch, report: RunReport) -> None:
        """What only a finished batch tells: which model really answered."""
        plan = watch.plan
        answered = next((result.answered_model for result in reversed(report.results) if result.answered_model), "")
        self._metrics.set_target(
            plan.deployment,
            model=answered or plan.model,
            temperature=plan.protocol.temperature,
            prompt_hash=hashlib.sha256(plan.protocol.prompt_version.encode()).hexdigest()[:12],
            seen_at=max((result.at for result in report.results), default=None),
        )

    def standing(self, watch: Watch) -> None:
        """Where the watch stands, after a batch or after a restart."""
        plan, standing, metrics = watch.plan, watch.standing, self._metrics
        labels = {"deployment": plan.deployment, "item_set": plan.item_set.name}
        metrics.bench_interval_seconds.labels(deployment=plan.deployment).set(self._interval)
        values = {
            metrics.bench_score_points: standing.score_points,
            metrics.bench_delta_points: standing.delta_points,
            metrics.bench_delta_points_lower: standing.delta_lower,
            metrics.bench_delta_points_upper: standing.delta_upper,
            metrics.bench_last_success_timestamp_seconds: standing.last_batch_at,
        }
        if watch.state.baseline is not None:
            metrics.baseline_info.labels(**labels).info(
                {"scoring_profile": plan.protocol.scoring_profile, "scorer_version": version("eqwatch")}
            )
            values[metrics.bench_regression_active] = float(standing.state == "regressed")
            values[metrics.bench_change_active] = float(watch.state.change)
        if (reading := watch.reading) is not None:
            values[metrics.bench_regression_cusum_ratio] = reading.cusum_ratio
            values[metrics.bench_regression_evidence_log10] = reading.e_log10
            values[metrics.bench_change_evidence_log10] = reading.change_e_log10
            values[metrics.bench_answer_change_ratio] = reading.answer_change_ratio
        for gauge, value in values.items():
            if value is not None:
                gauge.labels(**labels).set(value)

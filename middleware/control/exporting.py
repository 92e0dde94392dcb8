"""Turns what the benchmark knows into metrics. Missing is no sample, never zero."""

import hashlib
from importlib.metadata import version

from middleware.benchmark.plan import Plan
from middleware.benchmark.watch import Watch
from middleware.metrics import Metrics
from middleware.records.benchmark import ItemResult
from middleware.records.standing import UpgradeStanding

__all__ = ["BenchmarkExport"]

_POINTS_PER_UNIT = 10.0
_PERFECT_POINTS = 100.0
_VERDICTS = ("pass", "regressed", "undecided")


class BenchmarkExport:
    """Feeds the ``bench_*`` and ``upgrade_*`` families. Seconds between batches: as configured, and stepped up."""

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

    def batch(self, watch: Watch) -> None:
        """Which model answers: the version that has been steady, so that backends that take turns do not flap."""
        plan = watch.plan
        self._metrics.set_target(
            plan.deployment,
            model=watch.version,
            temperature=plan.protocol.temperature,
            prompt_hash=hashlib.sha256(plan.protocol.prompt_version.encode()).hexdigest()[:12],
            seen_at=watch.state.last_batch_at,
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
            metrics.bench_reference_delta_points: standing.reference_points,
            metrics.bench_last_success_timestamp_seconds: standing.last_batch_at,
        }
        if watch.state.baseline is not None:
            metrics.baseline_info.labels(**labels).info(
                {"scoring_profile": plan.protocol.scoring_profile, "scorer_version": version("eqwatch")}
            )
            incidents = watch.state.incidents
            values[metrics.bench_regression_active] = float(incidents.regression is not None)
            values[metrics.bench_change_active] = float(incidents.change is not None)
        if (reading := watch.reading) is not None:
            values[metrics.bench_regression_cusum_ratio] = reading.cusum_ratio
            values[metrics.bench_regression_evidence_log10] = reading.e_log10
            values[metrics.bench_change_evidence_log10] = reading.change_e_log10
            values[metrics.bench_answer_change_ratio] = reading.answer_change_ratio
        for gauge, value in values.items():
            if value is not None:
                gauge.labels(**labels).set(value)
        for branch, points in standing.branch_points.items():
            metrics.bench_branch_score_points.labels(**labels, branch=branch).set(points)
        self._upgrade(labels, standing.upgrade)

    def _upgrade(self, labels: dict[str, str], upgrade: UpgradeStanding | None) -> None:
        """The verdict in force; none is in force while one is compared, or once its level was accepted by somebody."""
        metrics = self._metrics
        if upgrade is None:
            for family in (metrics.upgrade_verdict, metrics.upgrade_info):
                family.remove_by_labels(labels)
            return
        models = {"from_model": upgrade.from_model, "to_model": upgrade.to_model}
        metrics.upgrade_info.labels(**labels).info({name: metrics.model_label(model) for name, model in models.items()})
        for verdict in _VERDICTS:
            in_force = upgrade.verdict == verdict and not upgrade.accepted
            metrics.upgrade_verdict.labels(**labels, verdict=verdict).set(float(in_force))

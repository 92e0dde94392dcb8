"""Turns what the benchmark knows into metrics. Missing is no sample, never zero."""

import hashlib
from collections.abc import Callable, Mapping
from importlib.metadata import version

from prometheus_client import Gauge

from middleware.benchmark.detecting import KINDS
from middleware.benchmark.plan import Plan
from middleware.benchmark.watch import Watch
from middleware.metrics import Metrics, exemplar
from middleware.records.benchmark import ItemResult
from middleware.records.standing import UpgradeStanding

__all__ = ["BenchmarkExport"]

_POINTS_PER_UNIT = 10.0
_PERFECT_POINTS = 100.0
_VERDICTS = ("pass", "regressed", "undecided")


class BenchmarkExport:
    """Feeds the ``bench_*`` and ``upgrade_*`` families. Seconds between batches: as configured, and stepped up.

    trace_id: of the work under way, which becomes the exemplar of what it measured; empty for none.
    """

    def __init__(self, metrics: Metrics, *, interval_seconds: float, trace_id: Callable[[], str] = lambda: "") -> None:
        self._metrics = metrics
        self._trace_id = trace_id
        self._interval = interval_seconds
        self._ours: dict[str, set[str]] = {}
        self._elsewhere: set[tuple[str, str]] = set()

    def item(self, plan: Plan, result: ItemResult) -> None:
        """One outcome, as soon as it is saved."""
        labels = {"deployment": plan.deployment, "item_set": plan.item_set.name}
        self._metrics.bench_items_total.labels(**labels, outcome=result.outcome).inc()
        if result.score is not None:
            loss = _PERFECT_POINTS - _POINTS_PER_UNIT * result.score
            self._metrics.bench_item_loss_points.labels(**labels).observe(loss, exemplar(self._trace_id()))

    def failed(self, plan: Plan, reason: str) -> None:
        """A batch that the upstream did not answer."""
        outcome = "timeout" if reason == "timeout" else "api_error"
        labels = {"deployment": plan.deployment, "item_set": plan.item_set.name}
        self._metrics.bench_items_total.labels(**labels, outcome=outcome).inc()

    def slot(self, plan: Plan, *, taken: bool) -> None:
        """A slot was due; taken: by this process, else another replica has it.

        Gauges do not aggregate: from here on only whoever took the slot exports them, until somebody else takes one.
        """
        owned = (plan.deployment, plan.item_set.name)
        self._metrics.leader.labels(deployment=plan.deployment, item_set=plan.item_set.name).set(float(taken))
        if taken:
            self._elsewhere.discard(owned)
            return
        self._elsewhere.add(owned)
        self._metrics.forget_benchmark(*owned)
        ours = self._ours.get(plan.deployment, set())
        ours.discard(plan.item_set.name)
        if not ours:
            self._metrics.forget_target(plan.deployment)

    def standing(self, watch: Watch) -> None:
        """Where the watch stands, after a batch or after a restart; nothing while another replica has its schedule."""
        plan, standing, metrics = watch.plan, watch.standing, self._metrics
        if (plan.deployment, plan.item_set.name) in self._elsewhere:
            return
        self._ours.setdefault(plan.deployment, set()).add(plan.item_set.name)
        if standing.last_batch_at is not None:
            self._target(watch)
        labels = {"deployment": plan.deployment, "item_set": plan.item_set.name}
        metrics.bench_interval_seconds.labels(deployment=plan.deployment).set(self._interval)
        values = {
            metrics.bench_score_points: standing.score_points,
            metrics.bench_delta_points: standing.delta_points,
            metrics.bench_delta_points_lower: standing.delta_lower,
            metrics.bench_delta_points_upper: standing.delta_upper,
            metrics.bench_reference_delta_points: standing.reference_points,
            metrics.bench_reference_delta_points_lower: standing.reference_lower,
            metrics.bench_reference_delta_points_upper: standing.reference_upper,
            metrics.bench_last_success_timestamp_seconds: standing.last_batch_at,
            metrics.upgrade_declared_timestamp_seconds: watch.state.declared_at,
        }
        _set(labels, values)
        for branch, points in standing.branch_points.items():
            metrics.bench_branch_score_points.labels(**labels, branch=branch).set(points)
        if watch.state.baseline is not None:
            metrics.baseline_info.labels(**labels).info(
                {"scoring_profile": plan.protocol.scoring_profile, "scorer_version": version("eqwatch")}
            )
        else:
            metrics.baseline_info.remove_by_labels(labels)
        self._detector(labels, watch)
        self._incidents(labels, watch)
        self._upgrade(labels, standing.upgrade)

    def _target(self, watch: Watch) -> None:
        """Which model answers: the version that has been steady, so that backends that take turns do not flap.

        Said before the scores are: where it is another model, those of the old one go.
        """
        plan, upgrade = watch.plan, watch.state.upgrade
        first = not self._metrics.knows_target(plan.deployment)
        self._metrics.set_target(
            plan.deployment,
            model=watch.version,
            temperature=plan.protocol.temperature,
            prompt_hash=hashlib.sha256(plan.protocol.prompt_version.encode()).hexdigest()[:12],
            seen_at=watch.state.last_batch_at,
        )
        if first and upgrade is not None:
            changed = self._metrics.target_changed_timestamp_seconds
            changed.labels(deployment=plan.deployment).set(upgrade.standing.since)

    def _detector(self, labels: dict[str, str], watch: Watch) -> None:
        """What the detectors say of the baseline in force; nothing where none is, such as after one was given up."""
        metrics, state, reading = self._metrics, watch.state, watch.reading
        regression, change = state.incidents.regression is not None, state.incidents.change is not None
        armed = state.baseline is not None
        values = {
            metrics.bench_regression_active: float(regression) if armed else None,
            metrics.bench_change_active: float(change) if armed else None,
            metrics.bench_reference_below_active: float(state.below_reference) if armed else None,
            metrics.bench_suspected_active: float(reading.suspected and not regression) if reading else None,
            metrics.bench_regression_cusum_ratio: reading.cusum_ratio if reading else None,
            metrics.bench_regression_evidence_log10: reading.e_log10 if reading else None,
            metrics.bench_change_evidence_log10: reading.change_e_log10 if reading else None,
            metrics.bench_answer_change_ratio: reading.answer_change_ratio if reading else None,
        }
        _set(labels, values)

    def _incidents(self, labels: dict[str, str], watch: Watch) -> None:
        """What evidence rests on, and with what figures the open incidents began; nothing of one that is closed."""
        metrics, state = self._metrics, watch.state
        for kind in KINDS:
            incident = state.incidents.regression if kind == "regression" else state.incidents.change
            rise, ground = state.rises.get(kind), state.grounds.get(kind)
            values = {
                metrics.bench_evidence_items: rise.items if rise else None,
                metrics.bench_incident_points: incident.delta_points if incident else None,
                metrics.bench_incident_points_lower: incident.delta_lower if incident else None,
                metrics.bench_incident_points_upper: incident.delta_upper if incident else None,
                metrics.bench_incident_answer_change_ratio: incident.answer_change_ratio if incident else None,
                metrics.bench_incident_items: ground.items if ground else None,
                metrics.bench_incident_opened_timestamp_seconds: incident.opened_at if incident else None,
            }
            _set({**labels, "kind": kind}, values)

    def _upgrade(self, labels: dict[str, str], upgrade: UpgradeStanding | None) -> None:
        """The verdict in force; none is in force while one is compared, or once its level was accepted by somebody."""
        metrics = self._metrics
        if upgrade is None:
            for family in (metrics.upgrade_verdict, metrics.upgrade_info):
                family.remove_by_labels(labels)
            _set(labels, self._judged(None))
            return
        _set(labels, self._judged(upgrade))
        models = {"from_model": upgrade.from_model, "to_model": upgrade.to_model}
        metrics.upgrade_info.labels(**labels).info({name: metrics.model_label(model) for name, model in models.items()})
        for verdict in _VERDICTS:
            in_force = upgrade.verdict == verdict and not upgrade.accepted
            metrics.upgrade_verdict.labels(**labels, verdict=verdict).set(float(in_force))

    def _judged(self, upgrade: UpgradeStanding | None) -> dict[Gauge, float | None]:
        metrics = self._metrics
        return {
            metrics.upgrade_delta_points: upgrade.points if upgrade else None,
            metrics.upgrade_delta_points_lower: upgrade.lower if upgrade else None,
            metrics.upgrade_delta_points_upper: upgrade.upper if upgrade else None,
            metrics.upgrade_passes: upgrade.passes if upgrade else None,
            metrics.upgrade_decided_timestamp_seconds: upgrade.decided_at if upgrade else None,
        }


def _set(labels: dict[str, str], values: Mapping[Gauge, float | None]) -> None:
    """Set what is known; what is not known any more does not stay at its last value."""
    for gauge, value in values.items():
        if value is None:
            gauge.remove_by_labels(labels)
        else:
            gauge.labels(**labels).set(value)

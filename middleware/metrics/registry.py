"""The prometheus-client objects that control feeds, made from the catalogue on a registry that the caller owns.

Not in here: the relay's families (see relay.py), which only pass through.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection
from importlib import metadata
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.metrics import MetricWrapperBase

from middleware.installed import relay_code
from middleware.metrics.catalogue import BATCH, PREFIX, Family, MetricType, family

__all__ = ["OTHER", "Metrics"]

OTHER = "other"

# A timestamp beside each counter and histogram, which nothing here exports: it would be made at every scrape.
disable_created_metrics()  # type: ignore[no-untyped-call]
_Wrapper = TypeVar("_Wrapper", bound=MetricWrapperBase)


class _Maker:
    """Makes each object once, with the type that the catalogue says."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.made: dict[str, MetricWrapperBase] = {}

    def counter(self, name: str) -> Counter:
        entry = self._entry(name, "counter")
        return self._keep(name, Counter(entry.full_name, entry.help, entry.labels, registry=self._registry))

    def gauge(self, name: str) -> Gauge:
        entry = self._entry(name, "gauge")
        return self._keep(name, Gauge(entry.full_name, entry.help, entry.labels, registry=self._registry))

    def histogram(self, name: str) -> Histogram:
        entry = self._entry(name, "histogram")
        made = Histogram(entry.full_name, entry.help, entry.labels, registry=self._registry, buckets=entry.buckets)
        return self._keep(name, made)

    def info(self, name: str) -> Info:
        entry = self._entry(name, "info")
        made = Info(PREFIX + name.removesuffix("_info"), entry.help, entry.labels, registry=self._registry)
        return self._keep(name, made)

    @staticmethod
    def _entry(name: str, type_: MetricType) -> Family:
        entry = family(name)
        if entry.type != type_:
            raise TypeError(f"{name} is a {entry.type} in the catalogue, not a {type_}")
        return entry

    def _keep(self, name: str, made: _Wrapper) -> _Wrapper:
        self.made[name] = made
        return made


class Metrics:
    """All families that control owns, as typed attributes named like the catalogue.

    models: model names that may become label values; any other is exported as ``other``.
    """

    def __init__(self, registry: CollectorRegistry, *, models: Collection[str] = ()) -> None:
        make = _Maker(registry)
        self._models = frozenset(models)
        self._targets: dict[str, str] = {}
        self._made = make.made

        self.build_info = make.info("build_info")
        self.build_info.info(
            {"version": metadata.version("eqwatch"), "python": platform.python_version(), "relay": relay_code()}
        )
        self.target_info = make.info("target_info")
        self.target_changed_timestamp_seconds = make.gauge("target_changed_timestamp_seconds")
        self.baseline_info = make.info("baseline_info")

        self.bench_item_loss_points = make.histogram("bench_item_loss_points")
        self.bench_score_points = make.gauge("bench_score_points")
        self.bench_delta_points = make.gauge("bench_delta_points")
        self.bench_delta_points_lower = make.gauge("bench_delta_points_lower")
        self.bench_delta_points_upper = make.gauge("bench_delta_points_upper")
        self.bench_regression_active = make.gauge("bench_regression_active")
        self.bench_change_active = make.gauge("bench_change_active")
        self.bench_suspected_active = make.gauge("bench_suspected_active")
        self.bench_evidence_items = make.gauge("bench_evidence_items")
        self.bench_incident_points = make.gauge("bench_incident_points")
        self.bench_incident_points_lower = make.gauge("bench_incident_points_lower")
        self.bench_incident_points_upper = make.gauge("bench_incident_points_upper")
        self.bench_incident_items = make.gauge("bench_incident_items")
        self.bench_incident_answer_change_ratio = make.gauge("bench_incident_answer_change_ratio")
        self.bench_incident_opened_timestamp_seconds = make.gauge("bench_incident_opened_timestamp_seconds")
        self.bench_regression_cusum_ratio = make.gauge("bench_regression_cusum_ratio")
        self.bench_regression_evidence_log10 = make.gauge("bench_regression_evidence_log10")
        self.bench_change_evidence_log10 = make.gauge("bench_change_evidence_log10")
        self.bench_answer_change_ratio = make.gauge("bench_answer_change_ratio")
        self.bench_reference_delta_points = make.gauge("bench_reference_delta_points")
        self.bench_reference_delta_points_lower = make.gauge("bench_reference_delta_points_lower")
        self.bench_reference_delta_points_upper = make.gauge("bench_reference_delta_points_upper")
        self.bench_reference_below_active = make.gauge("bench_reference_below_active")
        self.bench_branch_score_points = make.gauge("bench_branch_score_points")
        self.upgrade_verdict = make.gauge("upgrade_verdict")
        self.upgrade_delta_points = make.gauge("upgrade_delta_points")
        self.upgrade_delta_points_lower = make.gauge("upgrade_delta_points_lower")
        self.upgrade_delta_points_upper = make.gauge("upgrade_delta_points_upper")
        self.upgrade_passes = make.gauge("upgrade_passes")
        self.upgrade_decided_timestamp_seconds = make.gauge("upgrade_decided_timestamp_seconds")
        self.upgrade_declared_timestamp_seconds = make.gauge("upgrade_declared_timestamp_seconds")
        self.upgrade_info = make.info("upgrade_info")
        self.bench_items_total = make.counter("bench_items_total")
        self.bench_last_success_timestamp_seconds = make.gauge("bench_last_success_timestamp_seconds")
        self.bench_interval_seconds = make.gauge("bench_interval_seconds")

        self.probe_conversations_total = make.counter("probe_conversations_total")
        self.probe_intensity = make.histogram("probe_intensity")
        self.probe_agreement_loss_points = make.histogram("probe_agreement_loss_points")
        self.probe_retest_loss_points = make.histogram("probe_retest_loss_points")
        self.anticipation_loss_points = make.histogram("anticipation_loss_points")
        self.judge_ratings_total = make.counter("judge_ratings_total")
        self.anticipation_censored_total = make.counter("anticipation_censored_total")
        self.anticipation_turns = make.gauge("anticipation_turns")
        self.anticipation_skill_ratio = make.gauge("anticipation_skill_ratio")
        self.anticipation_skill_ratio_lower = make.gauge("anticipation_skill_ratio_lower")
        self.anticipation_skill_ratio_upper = make.gauge("anticipation_skill_ratio_upper")
        self.anticipation_lost_active = make.gauge("anticipation_lost_active")
        self.judge_retest_ratio = make.gauge("judge_retest_ratio")
        self.relief_intensity_change = make.gauge("relief_intensity_change")
        self.drift_wasserstein_distance = make.gauge("drift_wasserstein_distance")
        self.drift_evidence_ratio = make.gauge("drift_evidence_ratio")
        self.drift_expressed_wasserstein_distance = make.gauge("drift_expressed_wasserstein_distance")
        self.drift_expressed_evidence_ratio = make.gauge("drift_expressed_evidence_ratio")
        self.drift_active = make.gauge("drift_active")
        self.drift_window_conversations = make.gauge("drift_window_conversations")
        self.retention_removed_total = make.counter("retention_removed_total")
        self.retention_verified_timestamp_seconds = make.gauge("retention_verified_timestamp_seconds")
        self.injection_flags_total = make.counter("injection_flags_total")
        self.awareness_reads_total = make.counter("awareness_reads_total")
        self.awareness_calls_total = make.counter("awareness_calls_total")
        self.awareness_adoption_ratio = make.gauge("awareness_adoption_ratio")
        self.relief_read_intensity_change = make.gauge("relief_read_intensity_change")
        self.awareness_age_seconds = make.histogram("awareness_age_seconds")
        self.webhook_deliveries_total = make.counter("webhook_deliveries_total")

        self.observed_exchanges_total = make.counter("observed_exchanges_total")
        self.forwarded_exchanges_total = make.counter("forwarded_exchanges_total")
        self.forward_attempts_total = make.counter("forward_attempts_total")
        self.arrived_exchanges_total = make.counter("arrived_exchanges_total")

        self.tokens_total = make.counter("tokens_total")
        self.token_budget_limit = make.gauge("token_budget_limit")
        self.token_budget_remaining = make.gauge("token_budget_remaining")
        self.spend_total = make.counter("spend_total")
        self.calls_paused = make.gauge("calls_paused")
        self.queue_depth = make.gauge("queue_depth")
        self.dropped_total = make.counter("dropped_total")
        self.worker_restarts_total = make.counter("worker_restarts_total")
        self.leader = make.gauge("leader")
        self.store_errors_total = make.counter("store_errors_total")

    def model_label(self, model: str) -> str:
        """The model's name where it is allow-listed, else ``other``."""
        return model if model in self._models else OTHER

    def knows_target(self, deployment: str) -> bool:
        """Whether it was said which model is under test."""
        return deployment in self._targets

    def set_target(
        self, deployment: str, *, model: str, temperature: float, prompt_hash: str, seen_at: float | None = None
    ) -> bool:
        """Say which model is under test; True where it replaced another one.

        The old model's info series goes, and so do the deployment's scores and comparisons, which were about the old
        model. What says that an incident is open stays: incidents are closed, not forgotten. seen_at: Unix seconds of
        the answer; becomes the time of the change where this is one.
        """
        before = self._targets.get(deployment)
        self._targets[deployment] = model
        self.target_info.labels(deployment=deployment).info(
            {"model_version": self.model_label(model), "temperature": f"{temperature:g}", "prompt_hash": prompt_hash}
        )
        replaced = before is not None and before != model
        if replaced:
            self._remove(deployment, lambda name: family(name).fresh_by == BATCH and not name.endswith("_active"))
            if seen_at is not None:
                self.target_changed_timestamp_seconds.labels(deployment=deployment).set(seen_at)
        return replaced

    def forget_deployment(self, deployment: str) -> None:
        """Remove every series of a deployment: it left the configuration, or another owner exports it now."""
        self._targets.pop(deployment, None)
        self._remove(deployment, lambda _name: True)

    def forget_benchmark(self, deployment: str, item_set: str) -> None:
        """Remove what only the owner of this schedule exports: gauges do not aggregate over replicas.

        Counters and histograms stay: they are of what this process did, and do aggregate.
        """
        wanted = {"deployment": deployment, "item_set": item_set}
        for name, made in self._made.items():
            entry = family(name)
            kept = entry.type in {"counter", "histogram"} or name == "leader"
            if "item_set" in entry.labels and not kept:
                made.remove_by_labels(wanted)

    def forget_target(self, deployment: str) -> None:
        """Another replica measures this deployment now, and says which model answers."""
        self._targets.pop(deployment, None)
        for made in (self.target_info, self.target_changed_timestamp_seconds, self.bench_interval_seconds):
            made.remove_by_labels({"deployment": deployment})

    def _remove(self, deployment: str, wanted: Callable[[str], bool]) -> None:
        for name, made in self._made.items():
            if "deployment" in family(name).labels and wanted(name):
                made.remove_by_labels({"deployment": deployment})

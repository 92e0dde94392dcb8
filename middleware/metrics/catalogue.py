"""The one table of metrics: names, types, help, labels, buckets, and what tells how fresh a value is.

Code, documentation, alert rules and dashboards take names from here. It holds no values and reads nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["BATCH", "CATALOGUE", "GROUPS", "LABELS", "PREFIX", "Family", "MetricSource", "MetricType", "family"]

PREFIX = "eqwatch_"

MetricType = Literal["counter", "gauge", "histogram", "info"]
MetricSource = Literal["control", "relay", "both"]

GROUPS = {
    "identity": "What runs, and which model answers",
    "traffic": "Traffic through the relay",
    "benchmark": "Scheduled EQ-Bench batches",
    "fleet": "From many sidecars to one monitor",
    "probes": "Probes of sampled conversations",
    "operation": "The sidecar's own health and cost",
}

# label -> what its values are; every label of the table is in here, and none can grow with traffic
LABELS = {
    "channel": "`pull`, `stream`, `webhook` or `header`",
    "branch": "branch of emotional intelligence that the items name",
    "code": "HTTP status of the answer; of a refusal, the code in its body",
    "currency": "configured currency, three letters",
    "deployment": "configured deployment name, or `default`",
    "dialect": "`openai_chat`, `openai_responses`, `anthropic_messages` or `other`",
    "emotion": "configured emotion of the deployment, at most ten",
    "from_model": "allow-listed model name, or `other`",
    "item_set": "configured item set",
    "kind": "closed set, see the help text",
    "model_version": "allow-listed model name, or `other`",
    "observer": "part of the relay that watches traffic",
    "outcome": "closed set, see the help text",
    "prompt_hash": "hash of the benchmark prompt's version",
    "purpose": "`benchmark`, `probe`, `judge`, `run` or `gate`",
    "python": "version of the interpreter",
    "relay": "how the relay runs: `compiled` or `interpreted`",
    "queue": "name of a bounded queue",
    "read": "`yes` or `no`",
    "reason": "closed set, see the help text",
    "scorer_version": "version of the scorer",
    "scoring_profile": "`official`, `lm-eval` or `tolerant`",
    "source": "`observer`, `api` or `otel`",
    "side": "`client` or `upstream`",
    "temperature": "sampling temperature of the benchmark",
    "to_model": "allow-listed model name, or `other`",
    "type": "closed set, see the help text",
    "verdict": "`pass`, `regressed` or `undecided`",
    "version": "version of eqwatch",
    "reference": "`reference` (the pinned model) or `anchor`",
    "window": "length of the window, such as `day`, or `reference` and `current`",
    "worker": "name of a supervised worker",
}


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family. name is without prefix, with the suffix that Prometheus shows.

    unit: for people (points, seconds, 1 = dimensionless). source: which process owns the numbers; a family of ``both``
    is merged at the scrape. buckets: upper bounds without +Inf; empty for a relay histogram, whose relay chooses them.
    info: the labels that an info metric adds to `labels`. fresh_by: the timestamp gauge that says when this last-value
    gauge was written; empty for everything that is current by nature.
    """

    name: str
    type: MetricType
    group: str
    help: str
    unit: str
    labels: tuple[str, ...] = ()
    source: MetricSource = "control"
    buckets: tuple[float, ...] = ()
    info: tuple[str, ...] = ()
    fresh_by: str = ""

    @property
    def full_name(self) -> str:
        """The name as Prometheus stores it (histograms: without ``_bucket``, ``_sum``, ``_count``)."""
        return PREFIX + self.name


_BY_SET = ("deployment", "item_set")
_BY_DIALECT = ("deployment", "dialect")
BATCH = "bench_last_success_timestamp_seconds"
_INCIDENT = "bench_incident_opened_timestamp_seconds"
_VERDICT = "upgrade_decided_timestamp_seconds"
# Losses reach 0..300 points (100 - score); most models of use fall between 10 and 60.
_LOSS_BUCKETS = (2.5, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 150.0, 200.0, 300.0)
_INTENSITY_BUCKETS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)
_AGE_BUCKETS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)


def _kept(name: str, help_: str, unit: str) -> Family:
    """A gauge that holds what the last batch said."""
    return Family(name, "gauge", "benchmark", help_, unit, _BY_SET, fresh_by=BATCH)


def _opened(name: str, help_: str, unit: str) -> Family:
    """A gauge that holds the evidence at the opening of an incident, for as long as that is open."""
    return Family(name, "gauge", "benchmark", help_, unit, (*_BY_SET, "kind"), fresh_by=_INCIDENT)


def _judged(name: str, help_: str, unit: str) -> Family:
    """A gauge that holds what the last look at the newest upgrade said."""
    return Family(name, "gauge", "benchmark", help_, unit, _BY_SET, fresh_by=_VERDICT)


_IDENTITY: tuple[Family, ...] = (
    Family(
        "build_info",
        "info",
        "identity",
        "Version of eqwatch that runs, and whether its relay is compiled or interpreted.",
        "1",
        info=("version", "python", "relay"),
    ),
    Family(
        "target_info",
        "info",
        "identity",
        "Model under test and how it is asked; replaced, never added to, when the model changes.",
        "1",
        ("deployment",),
        info=("model_version", "temperature", "prompt_hash"),
    ),
    Family(
        "target_changed_timestamp_seconds",
        "gauge",
        "identity",
        "When the model was last seen to change, Unix seconds; after a restart, when the newest upgrade began.",
        "seconds",
        ("deployment",),
    ),
    Family(
        "baseline_info",
        "info",
        "identity",
        "Baseline in force; absent while there is none.",
        "1",
        _BY_SET,
        info=("scoring_profile", "scorer_version"),
    ),
)

_TRAFFIC: tuple[Family, ...] = (
    Family(
        "relay_start_time_seconds",
        "gauge",
        "traffic",
        "When the relay started, Unix seconds.",
        "seconds",
        source="relay",
    ),
    Family(
        "requests_total",
        "counter",
        "traffic",
        "Requests that the relay finished, by answered status.",
        "1",
        ("deployment", "dialect", "code"),
        "relay",
    ),
    Family(
        "time_to_first_byte_seconds",
        "histogram",
        "traffic",
        "From the request's first byte to the answer's first byte.",
        "seconds",
        _BY_DIALECT,
        "relay",
    ),
    Family(
        "request_duration_seconds",
        "histogram",
        "traffic",
        "From the request's first byte to the answer's last byte.",
        "seconds",
        _BY_DIALECT,
        "relay",
    ),
    Family("inflight_requests", "gauge", "traffic", "Requests being relayed now.", "1", (), "relay"),
    Family("open_connections", "gauge", "traffic", "Connections open now, by side.", "1", ("side",), "relay"),
    Family(
        "client_cancellations_total",
        "counter",
        "traffic",
        "Requests whose client left before the answer's end.",
        "1",
        ("deployment",),
        "relay",
    ),
    Family(
        "transfer_bytes_total", "counter", "traffic", "Body bytes relayed, by direction.", "bytes", ("type",), "relay"
    ),
    Family(
        "upstream_failures_total",
        "counter",
        "traffic",
        "Requests that the upstream failed, by reason.",
        "1",
        ("reason",),
        "relay",
    ),
    Family(
        "refusals_total",
        "counter",
        "traffic",
        "Requests that the relay refused by itself, by code.",
        "1",
        ("code",),
        "relay",
    ),
    Family(
        "observer_errors_total",
        "counter",
        "traffic",
        "Failures of code that only watches traffic; contained, traffic is not affected.",
        "1",
        ("observer",),
        "relay",
    ),
    Family(
        "proxy_overhead_seconds",
        "histogram",
        "traffic",
        "Time that the relay adds to a request: socket read to socket write, both directions, waiting excluded.",
        "seconds",
        (),
        "relay",
    ),
    Family(
        "event_loop_lag_seconds",
        "histogram",
        "traffic",
        "How late the relay's event loop wakes up.",
        "seconds",
        (),
        "relay",
    ),
)

_BENCHMARK: tuple[Family, ...] = (
    Family(
        "bench_item_loss_points",
        "histogram",
        "benchmark",
        "Loss of each scored item: 100 minus its score in points, 0 is perfect.",
        "points",
        _BY_SET,
        buckets=_LOSS_BUCKETS,
    ),
    _kept(
        "bench_score_points",
        "EQ score over the last round of items; 100 is perfect, may be negative.",
        "points",
    ),
    _kept("bench_delta_points", "Estimated change of the EQ score to the baseline; negative is worse.", "points"),
    _kept("bench_delta_points_lower", "Lower bound of bench_delta_points.", "points"),
    _kept("bench_delta_points_upper", "Upper bound of bench_delta_points.", "points"),
    _kept("bench_regression_active", "1 while an EQ regression is open as an incident, else 0.", "1"),
    _kept("bench_change_active", "1 while a change of the answers is open as an incident, else 0.", "1"),
    _kept(
        "bench_suspected_active", "1 while evidence for a fall is over a twentieth of what an alarm needs, else 0.", "1"
    ),
    Family(
        "bench_evidence_items",
        "gauge",
        "benchmark",
        "Answers since the statistic left the ground: what the evidence rests on; absent while it is on the ground.",
        "1",
        (*_BY_SET, "kind"),
        fresh_by=BATCH,
    ),
    _opened(
        "bench_incident_points", "Change of the EQ score when the open incident began; negative is worse.", "points"
    ),
    _opened("bench_incident_points_lower", "Lower bound of bench_incident_points.", "points"),
    _opened("bench_incident_points_upper", "Upper bound of bench_incident_points.", "points"),
    _opened("bench_incident_items", "Answers that the open incident rests on.", "1"),
    _opened(
        "bench_incident_answer_change_ratio", "Share of the items that were answered otherwise when it began.", "1"
    ),
    Family(
        _INCIDENT,
        "gauge",
        "benchmark",
        "When the open incident began, Unix seconds; absent while none is open.",
        "seconds",
        (*_BY_SET, "kind"),
    ),
    _kept("bench_regression_cusum_ratio", "Cumulative sum of lost points over its alarm limit.", "1"),
    _kept("bench_regression_evidence_log10", "Base-10 logarithm of the evidence for a regression.", "1"),
    _kept("bench_change_evidence_log10", "Base-10 logarithm of the evidence that answers changed.", "1"),
    _kept(
        "bench_answer_change_ratio", "Share of items whose latest answer is none of the baseline's own, 0 to 1.", "1"
    ),
    _kept(
        "bench_reference_delta_points",
        "EQ score now minus that of the first accepted baseline, over all upgrades since; negative is worse.",
        "points",
    ),
    _kept("bench_reference_delta_points_lower", "Lower bound of bench_reference_delta_points.", "points"),
    _kept("bench_reference_delta_points_upper", "Upper bound of bench_reference_delta_points.", "points"),
    _kept(
        "bench_reference_below_active",
        "1 while the EQ score is below that of the first accepted baseline by the margin, else 0.",
        "1",
    ),
    Family(
        "bench_branch_score_points",
        "gauge",
        "benchmark",
        "EQ score over the items of one branch of emotional intelligence; 100 is perfect, may be negative.",
        "points",
        (*_BY_SET, "branch"),
        fresh_by=BATCH,
    ),
    Family(
        "upgrade_verdict",
        "gauge",
        "benchmark",
        "1 for the verdict in force on the newest upgrade (pass, regressed, undecided), 0 for the others.",
        "1",
        (*_BY_SET, "verdict"),
    ),
    _judged("upgrade_delta_points", "New minus old version at the last look; negative is worse.", "points"),
    _judged("upgrade_delta_points_lower", "Lower bound of upgrade_delta_points.", "points"),
    _judged("upgrade_delta_points_upper", "Upper bound of upgrade_delta_points.", "points"),
    _judged("upgrade_passes", "Passes of the new version over all items that were compared so far.", "1"),
    Family(
        _VERDICT,
        "gauge",
        "benchmark",
        "When the newest upgrade was judged, Unix seconds; absent before.",
        "seconds",
        _BY_SET,
    ),
    Family(
        "upgrade_declared_timestamp_seconds",
        "gauge",
        "benchmark",
        "When a change of version was last declared, through the API or by the configuration, Unix seconds.",
        "seconds",
        _BY_SET,
    ),
    Family(
        "upgrade_info",
        "info",
        "benchmark",
        "The newest upgrade; absent where none was seen.",
        "1",
        _BY_SET,
        info=("from_model", "to_model"),
    ),
    Family(
        "bench_items_total",
        "counter",
        "benchmark",
        "Benchmark calls by outcome: scored, unparseable, refused, truncated, api_error, timeout.",
        "1",
        (*_BY_SET, "outcome"),
    ),
    Family(
        BATCH,
        "gauge",
        "benchmark",
        "When a batch last finished, Unix seconds; restored from the store at start.",
        "seconds",
        _BY_SET,
    ),
    Family(
        "bench_interval_seconds", "gauge", "benchmark", "Configured time between batches.", "seconds", ("deployment",)
    ),
)

_PROBES: tuple[Family, ...] = (
    Family(
        "probe_conversations_total",
        "counter",
        "probes",
        "Turns by outcome of their probes: scored (all), unparseable, refused, truncated, api_error, timeout; "
        "or why they were not probed: undecodable, not_configured, opted_out, not_sampled, "
        "beginning_unknown, conversation_cap, "
        "hourly_cap, queue_full, budget, paused, error.",
        "1",
        ("deployment", "outcome"),
    ),
    Family(
        "probe_intensity",
        "histogram",
        "probes",
        "Intensity of an emotion of the user as judged, 0 to 10.",
        "1",
        ("deployment", "emotion"),
        buckets=_INTENSITY_BUCKETS,
    ),
    *(
        Family(name, "histogram", "probes", about, "points", labels, buckets=_LOSS_BUCKETS)
        for name, about, labels in (
            (
                "probe_agreement_loss_points",
                "EQ-Bench loss between the model's perception and the answer key: quality only if that is better.",
                ("deployment", "reference"),
            ),
            (
                "probe_retest_loss_points",
                "EQ-Bench loss between two perceptions of one turn by the same model: the noise floor.",
                ("deployment",),
            ),
            (
                "anticipation_loss_points",
                "EQ-Bench loss between what the model predicted for the next turn and what the user then expressed.",
                ("deployment",),
            ),
        )
    ),
    Family(
        "judge_ratings_total",
        "counter",
        "probes",
        "Turns by outcome of the answer key's rating: scored, unparseable, refused, truncated, api_error, timeout, "
        "queue_full, budget, paused, error, own_model (the reply was the judge's own: nobody is their own answer key).",
        "1",
        ("deployment", "reference", "outcome"),
    ),
    Family(
        "anticipation_censored_total",
        "counter",
        "probes",
        "Predictions whose next turn did not come within the configured time. Modelled, never dropped silently.",
        "1",
        ("deployment",),
    ),
    Family(
        "anticipation_turns",
        "gauge",
        "probes",
        "Predictions with an answer in the current window: the n of the skill.",
        "1",
        ("deployment",),
    ),
    *(
        Family(f"anticipation_skill_ratio{suffix}", "gauge", "probes", about, "1", ("deployment", "emotion"))
        for suffix, about in (
            (
                "",
                "Share of the loss in foreseeing the next turn that the model's prediction removes, at most 1.",
            ),
            ("_lower", "Lower bound of the 95 % interval of the skill."),
            ("_upper", "Upper bound of the 95 % interval of the skill."),
        )
    ),
    Family(
        "anticipation_lost_active",
        "gauge",
        "probes",
        "1 where the skill's upper bound is under the lower bound of its own reference window, each of 300 turns or "
        "more, else 0.",
        "1",
        ("deployment", "emotion"),
    ),
    Family(
        "judge_retest_ratio",
        "gauge",
        "probes",
        "Share of the variance of the answer key's ratings that it gives again when it rates a turn twice: the ceiling "
        "of every comparison with it.",
        "1",
        ("deployment", "reference"),
    ),
    Family(
        "relief_intensity_change",
        "gauge",
        "probes",
        "Mean change of an emotion's intensity in the turn after the reply, less the change expected from where it "
        "stood. An association, not an effect; negative is a fall.",
        "1",
        ("deployment", "emotion"),
    ),
    Family(
        "drift_wasserstein_distance",
        "gauge",
        "probes",
        "Distance between reference and current window of what the model perceives, in intensity points.",
        "1",
        ("deployment", "emotion"),
    ),
    Family(
        "drift_evidence_ratio",
        "gauge",
        "probes",
        "Evidence that what the model perceives drifted, over its limit: 1 or more rejects, however often one looks.",
        "1",
        ("deployment", "emotion"),
    ),
    Family(
        "drift_expressed_wasserstein_distance",
        "gauge",
        "probes",
        "The same distance of what users expressed, as the answer key rates it: whether the users changed.",
        "1",
        ("deployment", "emotion", "reference"),
    ),
    Family(
        "drift_expressed_evidence_ratio",
        "gauge",
        "probes",
        "The same evidence for what users expressed, as the answer key rates it.",
        "1",
        ("deployment", "emotion", "reference"),
    ),
    Family(
        "drift_active",
        "gauge",
        "probes",
        "1 while what the model perceives has drifted: evidence, distance and number of conversations suffice; else 0.",
        "1",
        ("deployment", "emotion"),
    ),
    Family(
        "drift_window_conversations",
        "gauge",
        "probes",
        "Conversations in the window of what the model perceives; window: reference, current.",
        "1",
        ("deployment", "window"),
    ),
    Family(
        "retention_removed_total",
        "counter",
        "operation",
        "Rows removed because they were older than store.content_days or store.scores_days; kind: content, scores.",
        "1",
        ("kind",),
    ),
    Family(
        "retention_verified_timestamp_seconds",
        "gauge",
        "operation",
        "When it was last looked and found that nothing older than wanted is left; kind: content, scores.",
        "seconds",
        ("kind",),
    ),
    Family(
        "injection_flags_total",
        "counter",
        "probes",
        "Probed turns whose text looked like an attempt to steer the judge; kind: scores, orders, roles, hidden, "
        "encoded. A turn can be of several.",
        "1",
        ("deployment", "kind"),
    ),
    Family(
        "awareness_reads_total",
        "counter",
        "probes",
        "Reads of a conversation's emotions by the application, by outcome: found, not_found.",
        "1",
        ("channel", "outcome"),
    ),
    Family(
        "awareness_calls_total",
        "counter",
        "probes",
        "Sampled calls of the application, by outcome: informed (an estimate was read since the call before), "
        "uninformed (one was there and was not read), no_estimate.",
        "1",
        ("deployment", "outcome"),
    ),
    Family(
        "awareness_adoption_ratio",
        "gauge",
        "probes",
        "Share of informed calls among those of the newest conversations for which an estimate was there.",
        "1",
        ("deployment",),
    ),
    Family(
        "relief_read_intensity_change",
        "gauge",
        "probes",
        "Relief after calls before which an estimate was read, and after those before which none was. An association: "
        "applications read where they expect trouble.",
        "1",
        ("deployment", "emotion", "read"),
    ),
    Family(
        "awareness_age_seconds",
        "histogram",
        "probes",
        "Age of the newest emotions when the application read them.",
        "seconds",
        ("deployment",),
        buckets=_AGE_BUCKETS,
    ),
    Family(
        "webhook_deliveries_total",
        "counter",
        "probes",
        "Attempts to send a message to a webhook, by outcome: delivered, failed (it is sent again), dead (given up and "
        "kept), resent (a dead letter that an operator made due again).",
        "1",
        ("outcome",),
    ),
)

_OPERATION: tuple[Family, ...] = (
    Family(
        "tokens_total",
        "counter",
        "operation",
        "Tokens of the sidecar's own calls, by type: prompt, completion.",
        "1",
        ("purpose", "type"),
    ),
    Family("token_budget_limit", "gauge", "operation", "Configured cap on the sidecar's own tokens.", "1", ("window",)),
    Family("token_budget_remaining", "gauge", "operation", "Tokens left under the cap.", "1", ("window",)),
    Family(
        "spend_total",
        "counter",
        "operation",
        "Money that the sidecar's own calls cost, at the configured prices; no sample without prices.",
        "1",
        ("currency",),
    ),
    Family(
        "calls_paused",
        "gauge",
        "operation",
        "1 while the kill switch stops every call of the sidecar's own, else 0; by reason: settings, operator.",
        "1",
        ("reason",),
    ),
    Family("queue_depth", "gauge", "operation", "Pieces that wait in a bounded queue now.", "1", ("queue",)),
    Family(
        "dropped_total",
        "counter",
        "operation",
        "Pieces that a bounded queue dropped, by reason; the tap's are copies for probes: no_control, no_credit, "
        "link_full, memory, busy, opt_out. Traffic itself is never dropped.",
        "1",
        ("queue", "reason"),
        "both",
    ),
    Family(
        "worker_restarts_total",
        "counter",
        "operation",
        "Restarts of a supervised worker after it failed.",
        "1",
        ("worker",),
        "both",
    ),
    Family(
        "leader",
        "gauge",
        "operation",
        "1 where this process took the newest slot of the deployment's benchmark, 0 where another replica has it.",
        "1",
        _BY_SET,
    ),
    Family("store_errors_total", "counter", "operation", "Store operations that failed, by reason.", "1", ("reason",)),
)

_FLEET: tuple[Family, ...] = (
    Family(
        "observed_exchanges_total",
        "counter",
        "fleet",
        "Exchanges that the observer of a sidecar took from its relay, by outcome: chosen (for the monitor), or why "
        "they stayed: undecodable, not_configured, opted_out, not_sampled, beginning_unknown, error.",
        "1",
        ("deployment", "outcome"),
    ),
    Family(
        "forwarded_exchanges_total",
        "counter",
        "fleet",
        "Exchanges that the monitor answered for, by what it did: accepted, duplicate, or why it dropped them: "
        "not_configured, queue_full, undecodable, opted_out, not_sampled, beginning_unknown, other.",
        "1",
        ("outcome",),
    ),
    Family(
        "forward_attempts_total",
        "counter",
        "fleet",
        "Deliveries to the monitor by outcome: delivered, timeout, connection, unavailable, unauthorized, other_salt, "
        "too_large, refused, protocol.",
        "1",
        ("outcome",),
    ),
    Family(
        "arrived_exchanges_total",
        "counter",
        "fleet",
        "Exchanges that were handed in over the network, by source and outcome: accepted, duplicate, or why not: "
        "ignored (a span that is no chat), undecodable, not_configured, opted_out, not_sampled, beginning_unknown, "
        "queue_full.",
        "1",
        ("source", "outcome"),
    ),
)

CATALOGUE: tuple[Family, ...] = (*_IDENTITY, *_TRAFFIC, *_BENCHMARK, *_PROBES, *_FLEET, *_OPERATION)
_BY_NAME = {entry.name: entry for entry in CATALOGUE}


def family(name: str) -> Family:
    """The entry of that name (without prefix); raises KeyError."""
    return _BY_NAME[name]

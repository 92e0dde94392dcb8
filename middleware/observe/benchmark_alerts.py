"""Alerts on the scheduled benchmark. What is decided is decided in the process: these read ``_active`` and verdicts."""

from middleware.observe.promql import BY_DEPLOYMENT, BY_SET, SCOPE, figure, found, held, metric, moment, place, select
from middleware.observe.recordings import ANSWERS, UNREADABLE
from middleware.observe.rule import Alert

__all__ = ["BENCHMARK_ALERTS"]

_AT = place("deployment", "item_set")
_SET = ("deployment", "item_set")
_WHERE = "{{ $labels.deployment }} on {{ $labels.item_set }}"


def _interval(name: str, **matchers: str) -> str:
    """The figure with its 95 % interval."""
    lower, upper = figure(f"{name}_lower", **matchers), figure(f"{name}_upper", **matchers)
    return f"{figure(name, **matchers)} points (95 % interval {lower} to {upper})"


def _opened(kind: str, ratio: bool = False) -> str:
    """What an open incident began with."""
    rests = f"resting on {figure('bench_incident_items', '%.0f', kind=kind)} answers"
    since = f"open since {moment('bench_incident_opened_timestamp_seconds', kind=kind)}"
    if ratio:
        share = figure("bench_incident_answer_change_ratio", "%.2f", kind=kind)
        return f"share of items answered otherwise {share}, {rests}, {since}"
    return f"{_interval('bench_incident_points', kind=kind)}, {rests}, {since}"


_OPEN = f'{metric("bench_incident_opened_timestamp_seconds")}{{%s,kind="regression"}}'
_REGRESSION = Alert(
    name="EQRegression",
    severity="critical",
    expr=f"""\
(
  {held("bench_regression_active")} == 1
  unless {held("bench_incident_items", kind="regression")} < @{{regression_items}}
  unless {held("bench_incident_points", kind="regression")} > -@{{regression_points}}
)
or
(
  {held("bench_reference_below_active")} == 1
  unless {held("bench_reference_delta_points")} > -@{{regression_points}}
)""",
    hold="1m",
    keep="15m",
    summary=f"Emotional intelligence of {_WHERE} got worse",
    description=(
        f"{_AT}The model of {_WHERE} scores worse than before. "
        f"{{{{ with query (printf `{_OPEN}` $at) }}}}"
        f"At the beginning of the incident: {_opened('regression')}. "
        "{{ else }}No incident is open: losses have added up to the margin. {{ end }}"
        f"Now, against the baseline: {_interval('bench_delta_points')}. "
        f"Against the first accepted baseline: {_interval('bench_reference_delta_points')}. "
        f"Score now: {figure('bench_score_points')} of 100."
    ),
    when="A regression is open as an incident, or the score is below the first accepted baseline by the margin.",
    floor="`regression_items` answers and a fall of `regression_points`, besides what the detectors require",
    carries=_SET,
)

_SUSPECTED = Alert(
    name="EQRegressionSuspected",
    severity="info",
    expr=f"""\
{held("bench_suspected_active")} == 1
unless {held("bench_evidence_items", kind="regression")} < @{{regression_items}}
unless {held("bench_delta_points")} > -@{{regression_points}}""",
    hold="1m",
    keep="15m",
    summary=f"Emotional intelligence of {_WHERE} may be getting worse",
    description=(
        f"{_AT}There is evidence for a fall, not enough for an alarm; batches come more often until it is settled. "
        f"Change to the baseline so far: {_interval('bench_delta_points')}, resting on "
        f"{figure('bench_evidence_items', '%.0f', kind='regression')} answers. Evidence: 10 to the "
        f"{figure('bench_regression_evidence_log10')}; cumulative loss over its limit: "
        f"{figure('bench_regression_cusum_ratio', '%.2f')}."
    ),
    when="Evidence for a fall is over a twentieth of what an alarm needs.",
    floor="`regression_items` answers and a fall of `regression_points`",
    carries=_SET,
    notified=False,
)

_SILENT = Alert(
    name="EQSilentModelChange",
    severity="warning",
    expr=f"""\
{held("bench_change_active")} == 1
unless (time() - {held("upgrade_declared_timestamp_seconds")}) < @{{declared_within_seconds}}
unless {held("bench_incident_items", kind="change")} < @{{change_items}}
unless {held("bench_incident_answer_change_ratio", kind="change")} < @{{change_ratio}}""",
    hold="1m",
    keep="15m",
    summary=f"The model of {_WHERE} answers differently, and nobody declared a change",
    description=(
        f"{_AT}Answers are further from the baseline's than its own noise explains: {_opened('change', ratio=True)}. "
        f"Different is not worse; score against the baseline: {_interval('bench_delta_points')}."
    ),
    when="An incident of changed answers is open, and no change was declared within `declared_within`.",
    floor="`change_items` answers and a share of `change_ratio` of the items answered otherwise",
    carries=_SET,
)

_MODELS = " to ".join(
    found(f"{metric('upgrade_info')}{{%s}}", f"label `{label}`") for label in ("from_model", "to_model")
)
_JUDGED = (
    f"From {_MODELS}. New minus old version: {_interval('upgrade_delta_points')}, from "
    f"{figure('upgrade_passes', '%.0f')} passes over all items, judged {moment('upgrade_decided_timestamp_seconds')}."
)

_UPGRADE_REGRESSED = Alert(
    name="EQUpgradeRegressed",
    severity="critical",
    expr=f"""\
{held("upgrade_verdict", verdict="regressed")} == 1
unless {held("upgrade_passes")} < @{{upgrade_passes}}""",
    hold="1m",
    keep="15m",
    summary=f"The new version of the model of {_WHERE} is worse than the one before",
    description=f"{_AT}{_JUDGED} Roll back, or accept the new level on purpose.",
    when="The verdict in force on the newest upgrade is `regressed`.",
    floor="`upgrade_passes` passes; the effect floor is `[detection] margin`, in the process",
    carries=_SET,
)

_UPGRADE_UNDECIDED = Alert(
    name="EQUpgradeUndecided",
    severity="warning",
    expr=f"""\
{held("upgrade_verdict", verdict="undecided")} == 1
and (time() - {held("upgrade_decided_timestamp_seconds")}) > @{{undecided_within_seconds}}
unless {held("upgrade_passes")} < @{{upgrade_passes}}""",
    hold="5m",
    keep="15m",
    summary=f"Whether the new version of the model of {_WHERE} is worse was left undecided",
    description=f"{_AT}{_JUDGED} Until somebody decides, the new version is compared with the old baseline.",
    when="The verdict in force has been `undecided` for `undecided_within`.",
    floor="`upgrade_passes` passes; no effect floor: that the effect is unknown is what it says",
    carries=_SET,
)

_interval_seconds = held("bench_interval_seconds", BY_DEPLOYMENT)
_STALE = Alert(
    name="EQBenchmarkStale",
    severity="warning",
    expr=f"""\
(
  (time() - {held("bench_last_success_timestamp_seconds")})
  / on ({", ".join(BY_DEPLOYMENT)}) group_left {_interval_seconds}
) > @{{stale_intervals}}
or
(
  max by ({", ".join(BY_DEPLOYMENT)}) ({select("bench_interval_seconds")} offset @{{first_batch_within}})
  and {_interval_seconds}
  unless {held("bench_last_success_timestamp_seconds", BY_DEPLOYMENT)}
)""",
    hold="5m",
    keep="5m",
    summary="No benchmark batch of {{ $labels.deployment }} has finished for too long",
    description=(
        f"{place('deployment')}Last batch: {moment('bench_last_success_timestamp_seconds')}; a batch is due every "
        f"{figure('bench_interval_seconds', '%.0f')} s. Scores and comparisons are as old as that: their silence says "
        "nothing."
    ),
    when="The last batch is `stale_intervals` intervals old, or there was none within `first_batch_within`.",
    floor="n does not apply; `stale_intervals` is the floor",
    carries=_SET,
)

_VANISHED = Alert(
    name="EQDeploymentVanished",
    severity="warning",
    expr=f"""\
(
  max by ({", ".join(BY_SET)}) ({select("bench_last_success_timestamp_seconds")} offset @{{vanished_offset}})
  unless {held("bench_last_success_timestamp_seconds")}
)
and on ({", ".join(SCOPE)}) max by ({", ".join(SCOPE)}) (up{{job="@{{job}}"}}) == 1""",
    hold="1h",
    keep="15m",
    summary=f"{_WHERE} was benchmarked before and is not any more",
    description=(
        f"{_WHERE} reported batches @{{vanished_offset}} ago and reports none now, though a sidecar of job "
        "{{ $labels.job }} answers. Last batch then: {{ $value | humanizeTimestamp }}."
    ),
    when="A deployment reported `vanished_offset` ago and does not now, while a sidecar answers.",
    floor="n does not apply; gone for an hour (`EQDeploymentVanished.for`) is the floor",
    carries=_SET,
)

_A_DAYS_ANSWERS = found(f"{ANSWERS.name}{{%s}}", "value | printf `%.0f`")
_UNPARSEABLE = Alert(
    name="EQBenchmarkUnparseable",
    severity="warning",
    expr=f"{UNREADABLE.name} > @{{unparseable_ratio}}\nand {ANSWERS.name} >= @{{unparseable_answers}}",
    hold="15m",
    keep="30m",
    summary=f"Too many benchmark answers of {_WHERE} can't be read",
    description=(
        f"{_AT}{{{{ $value | humanizePercentage }}}} of {_A_DAYS_ANSWERS} answers in a day were unparseable, refused "
        "or truncated. They are no score and no 0: the score rests on the others."
    ),
    when="More than `unparseable_ratio` of a day's answers can't be read.",
    floor="`unparseable_answers` answers and a share of `unparseable_ratio`",
    carries=_SET,
)

BENCHMARK_ALERTS: tuple[Alert, ...] = (
    _REGRESSION,
    _SUSPECTED,
    _SILENT,
    _UPGRADE_REGRESSED,
    _UPGRADE_UNDECIDED,
    _STALE,
    _VANISHED,
    _UNPARSEABLE,
)

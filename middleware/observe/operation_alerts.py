"""Alerts on the sidecar itself: is it there, does it cost too much, does it hold traffic up, does it fall over."""

from middleware.observe.promql import found, place
from middleware.observe.recordings import BUDGET_LEFT, OVERHEAD_P99, OVERHEAD_REQUESTS, RESTARTS
from middleware.observe.rule import Alert

__all__ = ["OPERATION_ALERTS"]

_ABSENT = Alert(
    name="EQSidecarAbsent",
    severity="critical",
    expr='up{job="@{job}"} == 0\nor absent(up{job="@{job}"})',
    hold="5m",
    keep="5m",
    summary=(
        "{{ if $labels.instance }}Sidecar {{ $labels.instance }} can't be scraped{{ else }}No sidecar at all is scraped"
        "{{ end }}"
    ),
    description=(
        "Job {{ $labels.job }}: {{ if $labels.instance }}{{ $labels.instance }} does not answer its scrape{{ else }}"
        "Prometheus has no target{{ end }}. Nothing is known of it, and no other eqwatch alert can fire for it. "
        "Traffic may be fine: the relay is a process of its own."
    ),
    when="A target of the job does not answer, or the job has no target at all.",
    floor="n does not apply; five minutes (`EQSidecarAbsent.for`) are the floor",
    carries=("instance",),
)

_BUDGET = Alert(
    name="EQTokenBudgetLow",
    severity="info",
    expr=f"{BUDGET_LEFT.name} < @{{budget_ratio}}",
    hold="5m",
    keep="15m",
    summary="The sidecar's token budget of a {{ $labels.window }} is nearly used up",
    description=(
        "{{ $value | humanizePercentage }} of the {{ $labels.window }}'s tokens are left. At 0 benchmark and probes "
        "stop until the next one begins; traffic is not affected."
    ),
    when="Less than `budget_ratio` of the token budget is left.",
    floor="n does not apply; `budget_ratio` is the floor",
    carries=("window",),
)

_REQUESTS = found(f"{OVERHEAD_REQUESTS.name}{{%s}}", "value | printf `%.0f`")
_OVERHEAD = Alert(
    name="EQProxyOverheadHigh",
    severity="critical",
    expr=f"{OVERHEAD_P99.name} > @{{overhead_seconds}}\nand {OVERHEAD_REQUESTS.name} >= @{{overhead_requests}}",
    hold="10m",
    keep="10m",
    summary="The relay at {{ $labels.instance }} holds requests up",
    description=(
        f"{place('instance')}One request in a hundred is held up by {{{{ $value | humanizeDuration }}}} or more; the "
        f"limit is @{{overhead_seconds}} s. Requests in ten minutes: {_REQUESTS}. Waiting for the upstream is not "
        "counted."
    ),
    when="The 99th percentile of the time that the relay adds is over `overhead_seconds`.",
    floor="`overhead_requests` requests in ten minutes and `overhead_seconds`",
    carries=("instance",),
)

_CRASHES = Alert(
    name="EQWorkerCrashLooping",
    severity="critical",
    expr=f"{RESTARTS.name} >= @{{restarts}}",
    hold="1m",
    keep="15m",
    summary="Worker {{ $labels.worker }} of {{ $labels.instance }} fails again and again",
    description=(
        "{{ $value | printf `%.0f` }} restarts within half an hour. Traffic is not affected; what the worker does is "
        "not done meanwhile."
    ),
    when="A supervised worker restarted `restarts` times within half an hour.",
    floor="`restarts` restarts",
    carries=("instance", "worker"),
)

OPERATION_ALERTS: tuple[Alert, ...] = (_ABSENT, _BUDGET, _OVERHEAD, _CRASHES)

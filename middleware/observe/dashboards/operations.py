"""Operations: does the relay carry traffic unharmed, are the workers well, what does it cost?"""

from middleware.observe.dashboards.overview import age_in_intervals
from middleware.observe.dashboards.panels import Board, Panel, Row, Step
from middleware.observe.dashboards.queries import Query, growth, largest, of, per_second, quantile, smallest

__all__ = ["OPERATIONS"]

_OVERHEAD_LIMIT_SECONDS = 0.005
_ANY = (Step(None, "green"), Step(0.000001, "orange"))


def _graph(title: str, description: str, unit: str, *queries: Query, **more: object) -> Panel:
    return Panel(title, description, "timeseries", queries, unit, **({"width": 8, "least": 0} | more))  # type: ignore[arg-type]


_NOW = Row(
    "Is everything up?",
    (
        Panel(
            "Sidecars",
            "Targets of the scrape that answer, and those that do not. A sidecar that is down carries no traffic: its "
            "application fails, or goes round it.",
            "state-timeline",
            (Query('max by (job, instance) (up{job=~"$job", instance=~"$instance"})', "{{instance}}"),),
            width=12,
            height=6,
            states="up",
            alert="EQSidecarAbsent",
            no_value="no target",
        ),
        Panel(
            "Versions",
            "Of eqwatch and of its interpreter, and whether the relay is compiled, by instance.",
            "table",
            (Query(f"max by (instance, version, python, relay) ({of('build_info')})", "Runs"),),
            width=12,
            height=6,
            no_value="no target",
            decimals=0,
        ),
        Panel(
            "Relay runs for",
            "Since the relay of each instance started. Its counters start anew with it.",
            "stat",
            (Query(f"min(time() - {of('relay_start_time_seconds')})", "youngest"),),
            unit="s",
            width=6,
            height=4,
            no_value="no relay",
        ),
        Panel(
            "Worker restarts, 1 hour",
            "Restarts of supervised workers after a failure. Traffic is not affected; a worker that goes on failing "
            "measures nothing.",
            "stat",
            (Query(f"sum(increase({of('worker_restarts_total')}[1h]))", "restarts"),),
            unit="short",
            width=6,
            height=4,
            steps=_ANY,
            alert="EQWorkerCrashLooping",
            no_value="none",
            decimals=0,
        ),
        Panel(
            "Tokens left",
            "Of the sidecar's own budget for the day; without any left nothing is measured until the next day.",
            "stat",
            (Query(f"min({of('token_budget_remaining')} / {of('token_budget_limit')})", "left"),),
            unit="percentunit",
            width=6,
            height=4,
            steps=(Step(None, "red"), Step(0.1, "orange"), Step(0.3, "green")),
            alert="EQTokenBudgetLow",
            no_value="no cap",
        ),
        Panel(
            "Own calls",
            "Whether the kill switch stops the sidecar's own calls.",
            "stat",
            (Query(f"max({of('calls_paused')})", "paused"),),
            unit="bool",
            width=6,
            height=4,
            states="paused",
            no_value="unknown",
        ),
    ),
)

_TRAFFIC = Row(
    "Is traffic carried unharmed?",
    (
        _graph(
            "Time that the relay adds, 99th percentile",
            "Socket read to socket write, both directions, waiting excluded.",
            "s",
            Query(quantile(0.5, "proxy_overhead_seconds"), "median"),
            Query(quantile(0.99, "proxy_overhead_seconds"), "99th percentile"),
            steps=(Step(None, "transparent"), Step(_OVERHEAD_LIMIT_SECONDS, "red")),
            alert="EQProxyOverheadHigh",
            no_value="no traffic",
        ),
        _graph(
            "Event loop lag, 99th percentile",
            "How late the relay's event loop wakes up: all its streams wait that long.",
            "s",
            Query(quantile(0.99, "event_loop_lag_seconds"), "99th percentile"),
            alert="EQProxyOverheadHigh",
            no_value="no relay",
        ),
        _graph(
            "Requests by status",
            "Finished requests per second, by the status that the client got.",
            "reqps",
            Query(per_second("requests_total", ("code",)), "{{code}}"),
            stacked=True,
            no_value="no traffic",
        ),
        _graph(
            "Time to first byte",
            "From the request's first byte to the answer's first byte; mostly the model.",
            "s",
            Query(quantile(0.5, "time_to_first_byte_seconds", ("deployment",)), "{{deployment}} · median"),
            Query(quantile(0.99, "time_to_first_byte_seconds", ("deployment",)), "{{deployment}} · 99th percentile"),
            no_value="no traffic",
        ),
        _graph(
            "Duration of requests",
            "From the request's first byte to the answer's last byte.",
            "s",
            Query(quantile(0.5, "request_duration_seconds", ("deployment",)), "{{deployment}} · median"),
            Query(quantile(0.99, "request_duration_seconds", ("deployment",)), "{{deployment}} · 99th percentile"),
            no_value="no traffic",
        ),
        _graph(
            "In flight, and connections",
            "Requests being relayed now, and connections open now on either side.",
            "short",
            Query(f"sum({of('inflight_requests')})", "requests"),
            Query(f"sum by (side) ({of('open_connections')})", "connections · {{side}}"),
            no_value="no relay",
            axis="open",
        ),
        _graph(
            "What went wrong",
            "Per second: failures of the upstream, refusals by the relay itself, clients that left early. None of them "
            "is caused by the sidecar's measuring.",
            "cps",
            Query(per_second("upstream_failures_total", ("reason",)), "upstream · {{reason}}"),
            Query(per_second("refusals_total", ("code",)), "refused · {{code}}"),
            Query(per_second("client_cancellations_total", ("deployment",)), "client left · {{deployment}}"),
            no_value="nothing",
        ),
        _graph(
            "Bytes relayed",
            "Body bytes per second, by direction.",
            "Bps",
            Query(per_second("transfer_bytes_total", ("type",)), "{{type}}"),
            no_value="no traffic",
        ),
        _graph(
            "Contained failures of observers",
            "Per second: failures of code that only watches traffic. Traffic is not affected.",
            "cps",
            Query(per_second("observer_errors_total", ("observer",)), "{{observer}}"),
            no_value="none",
        ),
    ),
)

_WORK = Row(
    "Is the sidecar's own work well?",
    (
        _graph(
            "Age of the last batch, in intervals",
            "1 is on time; from 3 on the deployment is no longer measured.",
            "none",
            Query(age_in_intervals(), "{{deployment}} · {{item_set}}"),
            steps=(Step(None, "transparent"), Step(3, "red")),
            alert="EQBenchmarkStale",
            no_value="no batch yet",
            axis="intervals",
        ),
        _graph(
            "Queues",
            "Pieces that wait in bounded queues.",
            "short",
            Query(f"sum by (queue) ({of('queue_depth')})", "{{queue}}"),
            no_value="no queue",
            axis="pieces",
        ),
        _graph(
            "Dropped",
            "Pieces per second that a full queue dropped. Traffic itself is never dropped.",
            "cps",
            Query(per_second("dropped_total", ("queue", "reason")), "{{queue}} · {{reason}}"),
            alert="EQProbeCoverageLow",
            no_value="nothing",
        ),
        _graph(
            "Restarts of workers",
            "In the last hour.",
            "short",
            Query(f"sum by (worker) (increase({of('worker_restarts_total')}[1h]))", "{{worker}}"),
            alert="EQWorkerCrashLooping",
            no_value="none",
            axis="restarts",
        ),
        _graph(
            "Errors of the store",
            "Per second, by reason. Results wait in a bounded spool meanwhile.",
            "cps",
            Query(per_second("store_errors_total", ("reason",)), "{{reason}}"),
            no_value="none",
        ),
        Panel(
            "Last batches",
            "When a batch last finished. The figures of the other dashboards are from then.",
            "table",
            (Query(f"1000 * {smallest('bench_last_success_timestamp_seconds')}", "Last batch", "dateTimeAsIso"),),
            width=8,
            alert="EQDeploymentVanished",
            no_value="no batch yet",
        ),
    ),
)

_FLEET = Row(
    "Do sidecars reach their monitor?",
    (
        _graph(
            "Observed by sidecars",
            "Exchanges per second that observers took from their relays: chosen for the monitor, or why they stayed.",
            "cps",
            Query(per_second("observed_exchanges_total", ("outcome",)), "{{outcome}}"),
            no_value="no sidecar reports to a monitor",
        ),
        _graph(
            "Deliveries to the monitor",
            "Per second, by outcome: anything but delivered loses probes, never traffic.",
            "cps",
            Query(per_second("forward_attempts_total", ("outcome",)), "delivery · {{outcome}}"),
            Query(per_second("forwarded_exchanges_total", ("outcome",)), "exchange · {{outcome}}"),
            no_value="no sidecar reports to a monitor",
        ),
        _graph(
            "Arrived at the monitor",
            "Exchanges per second that were handed in, by where they came from and what became of them.",
            "cps",
            Query(per_second("arrived_exchanges_total", ("source", "outcome")), "{{source}} · {{outcome}}"),
            no_value="nothing was handed in",
        ),
    ),
)

_COST = Row(
    "What does it cost?",
    (
        _graph(
            "Tokens of the sidecar's own calls",
            "Over the window, by purpose and type.",
            "short",
            Query(growth("tokens_total", ("purpose", "type")), "{{purpose}} · {{type}}"),
            stacked=True,
            no_value="no call",
            axis="tokens",
        ),
        _graph(
            "Token budget",
            "Left under the cap, and the cap.",
            "short",
            Query(smallest("token_budget_remaining", ("window",)), "left · {{window}}"),
            Query(largest("token_budget_limit", ("window",)), "cap · {{window}}"),
            alert="EQTokenBudgetLow",
            no_value="no cap",
            axis="tokens",
        ),
        _graph(
            "Money",
            "Spent over the window at the configured prices.",
            "short",
            Query(growth("spend_total", ("currency",)), "{{currency}}"),
            alert="EQTokenBudgetLow",
            no_value="no prices configured",
            axis="in its currency",
        ),
    ),
)

OPERATIONS = Board(
    "eqwatch-operations",
    "eqwatch / Operations",
    "Does the relay carry traffic unharmed, are the workers well, and what does it cost?",
    (_NOW, _TRAFFIC, _WORK, _FLEET, _COST),
    variables=("window",),
    since="now-6h",
)

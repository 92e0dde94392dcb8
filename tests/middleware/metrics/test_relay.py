"""The relay's numbers in a scrape."""

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from middleware.metrics import CATALOGUE, Metrics, RelayCollector, family, render
from middleware.proxy.counters import Counters
from middleware.records.exchange import RelayCounters, RelayHistogram, RelaySnapshot

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def _snapshot(**values: float) -> RelaySnapshot:
    counters = [
        RelayCounters(
            "requests_total", ["deployment", "dialect", "code"], [(["chat", "other", "200"], values["requests"])]
        ),
        RelayCounters("dropped_total", ["queue", "reason"], [(["tap", "full"], values.get("dropped", 0.0))]),
    ]
    histogram = RelayHistogram([0.001, 0.01], [5, 2, 1], 0.5)
    return RelaySnapshot(1_700_000_000.0, counters, [("proxy_overhead_seconds", [], [([], histogram)])])


def test_no_snapshot_means_no_samples():
    """While the relay has not answered, its families are absent rather than 0."""
    registry = CollectorRegistry()
    registry.register(RelayCollector(lambda: None))
    assert render(registry, "")[0] == b""


def test_counters_and_histograms_keep_type_help_and_values():
    """Counters pass as counters; histogram counts become cumulative buckets that end in +Inf."""
    registry = CollectorRegistry()
    registry.register(RelayCollector(lambda: _snapshot(requests=41)))
    families = {family.name: family for family in parse_text(render(registry, "")[0].decode())}
    requests = families["eqwatch_requests"]
    assert (requests.type, requests.samples[0].value) == ("counter", 41)
    assert requests.samples[0].labels == {"deployment": "chat", "dialect": "other", "code": "200"}
    assert "answered status" in requests.documentation
    overhead = {(s.name, s.labels.get("le")): s.value for s in families["eqwatch_proxy_overhead_seconds"].samples}
    assert overhead == {
        ("eqwatch_proxy_overhead_seconds_bucket", "0.001"): 5,
        ("eqwatch_proxy_overhead_seconds_bucket", "0.01"): 7,
        ("eqwatch_proxy_overhead_seconds_bucket", "+Inf"): 8,
        ("eqwatch_proxy_overhead_seconds_count", None): 8,
        ("eqwatch_proxy_overhead_seconds_sum", None): 0.5,
    }
    assert families["eqwatch_relay_start_time_seconds"].samples[0].value == 1_700_000_000


def test_counters_rise_through_a_restart_of_control():
    """A new registry, as after a restart of control, shows the relay's total and not its own."""
    totals = []
    for requests in (10, 25):
        registry = CollectorRegistry()
        Metrics(registry)
        registry.register(RelayCollector(lambda requests=requests: _snapshot(requests=requests)))
        labels = {"deployment": "chat", "dialect": "other", "code": "200"}
        totals.append(registry.get_sample_value("eqwatch_requests_total", labels))
    assert totals == [10, 25]


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_families_of_both_processes_are_merged(accept):
    """Drops of the relay and of control stand in one family, in both formats."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.dropped_total.labels(queue="probe", reason="full").inc(7)
    registry.register(RelayCollector(lambda: _snapshot(requests=1, dropped=3)))
    body, content_type = render(registry, accept)
    text = body.decode()
    parse = parse_openmetrics if accept else parse_text
    dropped = [family for family in parse(text) if family.name == "eqwatch_dropped"]
    assert {s.labels["queue"]: s.value for s in dropped[0].samples} == {"probe": 7, "tap": 3}
    assert text.count("# TYPE eqwatch_dropped") == 1
    assert content_type.startswith("application/openmetrics-text" if accept else "text/plain")
    assert text.endswith("# EOF\n") == bool(accept)
    assert "_created" not in text


@pytest.mark.parametrize(
    "bad",
    [
        RelayCounters("never_heard_of", [], [([], 1.0)]),
        RelayCounters("requests_total", ["deployment"], [(["chat", "too", "many"], 1.0)]),
        RelayCounters("proxy_overhead_seconds", [], [([], 1.0)]),
    ],
    ids=["unknown", "labels", "type"],
)
def test_a_wrong_family_costs_only_itself(bad):
    """An unknown or malformed family is left out; the rest of the scrape stands."""
    registry = CollectorRegistry()
    good = RelayCounters("inflight_requests", [], [([], 4.0)])
    registry.register(RelayCollector(lambda: RelaySnapshot(1.0, [bad, good], [])))
    text = render(registry, "")[0].decode()
    assert "eqwatch_inflight_requests 4.0" in text
    assert bad.name not in text


def test_a_histogram_with_missing_counts_is_left_out():
    """Counts that do not fit their bounds are not guessed at."""
    registry = CollectorRegistry()
    broken = ("event_loop_lag_seconds", [], [([], RelayHistogram([0.1, 1.0], [1], 0.1))])
    registry.register(RelayCollector(lambda: RelaySnapshot(1.0, [], [broken])))
    assert b"event_loop_lag" not in render(registry, "")[0]


def test_the_relay_sends_what_the_catalogue_says():
    """Each family of the real relay is in the catalogue with the same labels, and none of the catalogue is missing."""
    counters = Counters(started_at=1_700_000_000.0)
    cell = counters.cell("chat", "openai_chat")
    counters.count(cell.codes, 200)
    for table in ("cancellations", "failures", "refusals", "drops", "restarts", "observer_errors"):
        counters.count(getattr(counters, table), "x")
    snapshot = counters.snapshot()
    sent = {one.name: tuple(one.labels) for one in snapshot.counters}
    sent |= {name: tuple(labels) for name, labels, _ in snapshot.histograms}
    assert {name: family(name).labels for name in sent} == sent
    assert {entry.name for entry in CATALOGUE if entry.source != "control"} - set(sent) == {"relay_start_time_seconds"}
    registry = CollectorRegistry()
    registry.register(RelayCollector(lambda: snapshot))
    text = render(registry, "")[0].decode()
    assert [name for name in sent if f"# TYPE eqwatch_{name} " not in text] == []

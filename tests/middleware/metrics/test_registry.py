"""What the metric objects do beyond holding numbers: allow-listed models and removal of old series."""

from prometheus_client import CollectorRegistry

from middleware.metrics import Metrics, render


def _scrape(registry: CollectorRegistry) -> str:
    return render(registry, "")[0].decode()


def _samples(registry: CollectorRegistry) -> set[str]:
    return {line.partition("{")[0] for line in _scrape(registry).splitlines() if not line.startswith("#")}


def _fill(metrics: Metrics, deployment: str) -> None:
    metrics.bench_score_points.labels(deployment=deployment, item_set="eqbench-v2").set(71.5)
    metrics.bench_items_total.labels(deployment=deployment, item_set="eqbench-v2", outcome="scored").inc(12)
    metrics.probe_intensity.labels(deployment=deployment, emotion="Joy").observe(4)


def test_a_fresh_registry_shows_no_sample_without_data():
    """Before anything is fed, only the version is exported: a 0 that nobody measured would be a lie."""
    registry = CollectorRegistry()
    Metrics(registry)
    assert _samples(registry) == {"eqwatch_build_info"}


def test_unlisted_models_become_other():
    """10,000 model names make one label value."""
    registry = CollectorRegistry()
    metrics = Metrics(registry, models={"good-model"})
    for number in range(10_000):
        metrics.set_target("chat", model=f"model-{number}", temperature=0.01, prompt_hash="abc")
    assert metrics.model_label("good-model") == "good-model"
    assert _scrape(registry).count("eqwatch_target_info{") == 1
    assert 'model_version="other"' in _scrape(registry)


def test_a_replaced_model_takes_its_series_along():
    """When the model changes, its info series, scores and comparisons go; counters, incidents and neighbours stay."""
    registry = CollectorRegistry()
    metrics = Metrics(registry, models={"one", "two"})
    assert not metrics.set_target("chat", model="one", temperature=0.01, prompt_hash="abc")
    _fill(metrics, "chat")
    _fill(metrics, "tutor")
    metrics.bench_regression_active.labels(deployment="chat", item_set="eqbench-v2").set(1)
    assert not metrics.set_target("chat", model="one", temperature=0.01, prompt_hash="abc", seen_at=1_600_000_000)
    assert "eqwatch_target_changed" not in _scrape(registry)
    assert 'eqwatch_bench_score_points{deployment="chat"' in _scrape(registry)

    assert metrics.set_target("chat", model="two", temperature=0.01, prompt_hash="abc", seen_at=1_700_000_000)

    scrape = _scrape(registry)
    assert 'model_version="two"' in scrape
    assert 'model_version="one"' not in scrape
    assert 'eqwatch_bench_score_points{deployment="chat"' not in scrape
    assert 'eqwatch_bench_score_points{deployment="tutor"' in scrape
    assert 'eqwatch_bench_items_total{deployment="chat"' in scrape
    assert 'eqwatch_bench_regression_active{deployment="chat",item_set="eqbench-v2"} 1.0' in scrape
    assert 'eqwatch_target_changed_timestamp_seconds{deployment="chat"} 1.7e+09' in scrape


def test_benchmark_gauges_go_when_the_schedule_is_lost():
    """A process that stops owning a schedule removes its gauges; what it counted stays, and so do other item sets."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    _fill(metrics, "chat")
    metrics.bench_score_points.labels(deployment="chat", item_set="tutoring").set(70.0)
    metrics.forget_benchmark("chat", "eqbench-v2")
    scrape = _scrape(registry)
    assert 'eqwatch_bench_score_points{deployment="chat",item_set="eqbench-v2"}' not in scrape
    assert 'eqwatch_bench_score_points{deployment="chat",item_set="tutoring"} 70.0' in scrape
    assert "eqwatch_bench_items_total" in scrape
    assert "eqwatch_probe_intensity_bucket" in scrape


def test_a_forgotten_deployment_leaves_nothing():
    """No series of a deployment that left the configuration stays."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    _fill(metrics, "chat")
    metrics.set_target("chat", model="one", temperature=0.01, prompt_hash="abc")
    metrics.forget_deployment("chat")
    assert _samples(registry) == {"eqwatch_build_info"}

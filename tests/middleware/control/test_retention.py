"""What is older than wanted goes, and that it is gone is looked at and told."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from middleware.control.retention import Retention
from middleware.errors import StoreUnavailable
from middleware.metrics import Metrics
from middleware.records.content import Erased, SealedContent
from middleware.records.conversation import ProbeResult
from middleware.settings.store import StoreSettings
from middleware.store import Store

DAY = 86_400.0
NOW = 1_800_000_000.0


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def removed(metrics: Metrics, kind: str) -> float:
    return float(metrics.retention_removed_total.labels(kind=kind)._value.get())


def verified(metrics: Metrics) -> dict[str, float]:
    samples = next(iter(metrics.retention_verified_timestamp_seconds.collect())).samples
    return {sample.labels["kind"]: sample.value for sample in samples}


def retention(store: Any, metrics: Metrics, **days: int) -> Retention:
    return Retention(StoreSettings(**days), store=store, metrics=metrics, clock=lambda: NOW)


def test_old_content_and_old_scores_go_and_the_look_is_exported(tmp_path: Path, metrics: Metrics) -> None:
    """Content though keeping it is off by now; scores only where a limit is set."""
    with Store(f"sqlite:///{tmp_path / 'eqwatch.db'}") as store:
        for days in (1, 8):
            at = NOW - days * DAY
            store.save_content(SealedContent("d", f"eq_{days}", 1, at, "sealed"))
            store.save_probe(ProbeResult("d", f"eq_{days}", 1, "perception", "scored", {"Joy": 1.0}, at=at))
        assert retention(store, metrics, content_days=7).purge()
        assert (removed(metrics, "content"), removed(metrics, "scores")) == (1, 0)
        assert verified(metrics) == {"content": NOW}
        assert retention(store, metrics, content_days=7, scores_days=7).purge()
        assert verified(metrics) == {"content": NOW, "scores": NOW}
        assert removed(metrics, "scores") == 1
        assert store.oldest() == (NOW - DAY, NOW - DAY)


def test_what_could_not_be_removed_is_not_called_verified(metrics: Metrics) -> None:
    """Neither where rows are left, nor where the store is away."""

    class Stubborn:
        def purge(self, **_: object) -> Erased:
            return Erased()

        def oldest(self) -> tuple[float | None, float | None]:
            return NOW - 60 * DAY, None

    class Away(Stubborn):
        def purge(self, **_: object) -> Erased:
            raise StoreUnavailable("away", reason="locked")

    for store in (Stubborn(), Away()):
        assert not retention(store, metrics).purge()
    assert next(iter(metrics.retention_verified_timestamp_seconds.collect())).samples == []
    assert metrics.store_errors_total.labels(reason="locked")._value.get() == 1

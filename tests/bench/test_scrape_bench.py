"""The scrape bench itself: its registry is what the catalogue says, and a short run measures something."""

import pytest

from bench.proxy.native import missing_tools
from bench.scrape.control import filled
from bench.scrape.run import main, quantile
from middleware.metrics import CATALOGUE, render


def test_the_registry_has_every_family_of_control() -> None:
    """Each family has as many series as the deployments make."""
    text = render(filled(3, emotions=2, item_sets=1), "")[0].decode()
    for entry in CATALOGUE:
        if entry.source != "relay":
            assert f"# TYPE {entry.full_name} " in text
    assert text.count("eqwatch_bench_score_points{") == 3
    assert text.count("eqwatch_drift_active{") == 6


def test_quantiles_are_by_nearest_rank() -> None:
    """The largest of few values is their 99th percentile."""
    assert (quantile([3.0, 1.0, 2.0], 0.5), quantile([3.0, 1.0, 2.0], 0.99)) == (2.0, 3.0)


@pytest.mark.skipif(bool(missing_tools()), reason=f"needs {' and '.join(missing_tools())} on the PATH")
def test_a_short_run_scrapes_a_relay_with_streams(capsys: pytest.CaptureFixture[str]) -> None:
    """All streams run to the end of the round, scraped or not, and no chunk is lost."""
    arguments = ["--streams", "20", "--deployments", "2", "--seconds", "1.5", "--interval", "0.3", "--rounds", "1"]
    assert main(arguments) == 0
    lines = {line.split("  ")[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert float(lines["errors"][1]) == float(lines["errors"][2]) == 0
    assert float(lines["measured_chunks"][2]) > 0

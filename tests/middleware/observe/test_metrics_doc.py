"""The metrics page follows the catalogue."""

from pathlib import Path

from middleware.metrics import CATALOGUE
from middleware.metrics.catalogue import LABELS
from middleware.observe import metrics_page

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_in_the_tree_is_current():
    """docs/metrics.md is what the catalogue says today."""
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == metrics_page()


def test_the_page_names_every_metric_and_label():
    """Nothing that is exported is undocumented."""
    page = metrics_page()
    assert [entry.full_name for entry in CATALOGUE if f"| `{entry.full_name}` |" not in page] == []
    assert [label for label in LABELS if f"| `{label}` |" not in page] == []

"""The catalogue agrees with itself, with the objects, and with Prometheus' own conventions."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

import middleware
from middleware.metrics import CATALOGUE, Metrics, family, render
from middleware.metrics.catalogue import GROUPS, LABELS


def test_names_are_unique_and_found():
    """Each family is found by its one name."""
    assert len({entry.name for entry in CATALOGUE}) == len(CATALOGUE)
    assert all(family(entry.name) is entry for entry in CATALOGUE)
    with pytest.raises(KeyError):
        family("nonsense")


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_entry_follows_the_conventions(entry):
    """Suffixes follow the type, every label is documented, and help is a sentence."""
    assert entry.group in GROUPS
    assert entry.name.endswith("_total") == (entry.type == "counter")
    assert entry.name.endswith("_info") == (entry.type == "info")
    assert (entry.unit == "seconds") == entry.name.endswith("_seconds")
    assert set(entry.labels) | set(entry.info) <= set(LABELS)
    assert entry.help[0].isupper() or entry.help[0].isdigit()
    assert entry.help.endswith(".")
    assert list(entry.buckets) == sorted(set(entry.buckets))
    assert (entry.type == "histogram" and entry.source == "control") == bool(entry.buckets)
    assert bool(entry.info) == (entry.type == "info")


def test_labels_are_all_used():
    """The list of labels holds nothing that no family has."""
    used = {label for entry in CATALOGUE for label in (*entry.labels, *entry.info)}
    assert set(LABELS) == used


def test_last_value_gauges_are_paired_with_a_timestamp():
    """A gauge that keeps its last value names the timestamp that tells its age, which has no label besides its own."""
    kept = [entry for entry in CATALOGUE if entry.type == "gauge" and entry.unit == "points"]
    assert kept
    for entry in CATALOGUE:
        if entry.fresh_by:
            clock = family(entry.fresh_by)
            assert entry.type == clock.type == "gauge"
            assert clock.unit == "seconds"
            assert set(clock.labels) <= set(entry.labels)
    assert all(entry.fresh_by for entry in kept)


def test_gauges_of_control_have_a_label():
    """A gauge without labels would show 0 before anybody set it; missing is never zero."""
    assert all(entry.labels for entry in CATALOGUE if entry.type == "gauge" and entry.source != "relay")


def test_every_family_of_control_is_an_attribute_and_nothing_else_is():
    """The objects are the catalogue's, under the catalogue's names."""
    metrics = Metrics(CollectorRegistry())
    objects = {name for name, value in vars(metrics).items() if isinstance(value, MetricWrapperBase)}
    assert objects == {entry.name for entry in CATALOGUE if entry.source != "relay"}


def test_promtool_finds_nothing_to_complain_about(full_registry):
    """`promtool check metrics` accepts a scrape in which every family has data."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian package prometheus) is not installed")
    body, _ = render(full_registry, "")
    checked = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, check=False, timeout=60)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
    for entry in CATALOGUE:
        assert f"# TYPE {entry.full_name} " in body.decode()


def test_every_family_is_fed():
    """What is documented is exported: each of control's families is named where it is fed."""
    root = Path(middleware.__file__).parent
    sources = [path for path in root.rglob("*.py") if path.name not in {"catalogue.py", "metrics_doc.py"}]
    calls = re.findall(
        r"metrics\.(\w+)|self\.(\w+)\.labels|self\.(build_info)\.info", "".join(p.read_text() for p in sources)
    )
    fed = {name for groups in calls for name in groups if name}
    assert {entry.name for entry in CATALOGUE if entry.source != "relay"} - fed == set()

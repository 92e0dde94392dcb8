"""What is watched follows from the settings: deployments, models and item sets, and their share of false alarms."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from middleware.control.plans import benchmark_configured, benchmark_plans, missing_settings, subjects
from middleware.errors import ConfigurationError
from middleware.settings import Settings


def settings(tmp_path: Path, **given: Any) -> Settings:
    return Settings(data_dir=tmp_path, upstream={"url": "http://u", "api_key": "k"}, **given)


def test_a_deployment_with_a_model_of_its_own_is_watched_besides_the_default(tmp_path: Path) -> None:
    """Each with its item sets; the installation's one false alarm a year is divided over all detectors."""
    found = settings(
        tmp_path,
        benchmark={"model": "big", "items": ["starter"]},
        deployments=[
            {"name": "tutor", "model": "small", "benchmark": True, "items": ["starter", "tutoring"]},
            {"name": "shop", "model": "other"},
        ],
    )
    plans = benchmark_plans(found)
    assert [(p.deployment, p.model, p.item_set.name) for p in plans] == [
        ("default", "big", "starter"),
        ("tutor", "small", "starter"),
        ("tutor", "small", "tutoring"),
    ]
    assert {p.false_alarms_per_year for p in plans} == {1.0 / 3}
    assert len({p.name for p in plans}) == 3


def test_without_a_default_model_only_deployments_are_watched(tmp_path: Path) -> None:
    """No model is guessed, and one is enough to be configured."""
    found = settings(tmp_path, deployments=[{"name": "tutor", "model": "m", "benchmark": True, "items": ["starter"]}])
    assert benchmark_configured(found)
    assert missing_settings(found) == ()
    assert subjects(found) == [("tutor", "m", ("starter",))]
    assert missing_settings(settings(tmp_path)) == ("[benchmark] model",)


def test_a_deployment_that_is_called_default_takes_its_place(tmp_path: Path) -> None:
    """Two watches of one name would share a state."""
    found = settings(
        tmp_path,
        benchmark={"model": "big", "items": ["starter"]},
        deployments=[{"name": "default", "model": "m", "benchmark": True}],
    )
    assert subjects(found) == [("default", "m", ("starter",))]


def test_an_item_set_that_is_named_twice_is_watched_once(tmp_path: Path) -> None:
    """It would cost twice and say the same."""
    found = settings(tmp_path, benchmark={"model": "m", "items": ["starter", "starter"]})
    assert len(benchmark_plans(found)) == 1


def test_batches_of_a_year_count_at_the_stepped_up_rate(tmp_path: Path) -> None:
    """A quarter of the interval by default, as configured otherwise."""
    usual = settings(tmp_path, benchmark={"model": "m", "items": ["starter"], "interval": "1h"})
    quick = settings(
        tmp_path, benchmark={"model": "m", "items": ["starter"], "interval": "1h", "suspected_interval": "10m"}
    )
    assert benchmark_plans(usual)[0].batches_per_year == pytest.approx(4 * 8766)
    assert benchmark_plans(quick)[0].batches_per_year == pytest.approx(6 * 8766)
    assert quick.benchmark.interval_when_suspected == timedelta(minutes=10)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"deployments": [{"name": "tutor", "benchmark": True}]}, "no model: set its model"),
        ({"deployments": [{"name": "tutor", "items": ["starter"]}]}, "set benchmark = true"),
        ({"benchmark": {"interval": "1h", "suspected_interval": "2h"}}, "longer than interval"),
        ({"detection": {"false_alarms_per_year": 0}}, "greater than 0"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, given: dict[str, Any], words: str) -> None:
    """With the field and what to set."""
    with pytest.raises(ValidationError, match=words):
        settings(tmp_path, **given)


def test_the_system_prompt_comes_from_its_text_or_its_file(tmp_path: Path) -> None:
    """It is part of the protocol, and never from both."""
    file = tmp_path / "prompt.txt"
    file.write_text("You tutor.")
    by_text = settings(tmp_path, benchmark={"model": "m", "items": ["starter"], "system_prompt": "You tutor."})
    by_file = settings(tmp_path, benchmark={"model": "m", "items": ["starter"], "system_prompt_file": str(file)})
    plain = settings(tmp_path, benchmark={"model": "m", "items": ["starter"]})
    keys = [benchmark_plans(each)[0].protocol.key for each in (by_text, by_file, plain)]
    assert keys[0] == keys[1] != keys[2]
    both = {"model": "m", "items": ["starter"], "system_prompt": "x", "system_prompt_file": str(file)}
    with pytest.raises(ConfigurationError, match="keep one"):
        benchmark_plans(settings(tmp_path, benchmark=both))
    with pytest.raises(ConfigurationError, match="can't be read"):
        benchmark_plans(
            settings(tmp_path, benchmark={"model": "m", "items": ["starter"], "system_prompt_file": "/nowhere"})
        )

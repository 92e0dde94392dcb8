"""`eqwatch rules` as people type it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from middleware.errors import ConfigurationError
from middleware.observe import SETTINGS, operator_file, rules_file


def test_it_prints_a_rules_file(in_process: Callable[..., str]) -> None:
    """The default is a file for Prometheus, and --set repeats."""
    assert in_process("rules") == in_process("rules", "--prometheus") == rules_file()
    printed = in_process("rules", "--set", "budget_ratio=0.2", "--set", "EQRegression.for=2m")
    assert printed == rules_file(["budget_ratio=0.2", "EQRegression.for=2m"])
    assert yaml.safe_load(printed)["groups"]


def test_it_prints_an_object_for_the_operator(in_process: Callable[..., str]) -> None:
    """--prometheus-operator wraps the same rules."""
    assert in_process("rules", "--prometheus-operator") == operator_file()


def test_it_lists_what_can_be_set(in_process: Callable[..., str]) -> None:
    """--list names everything that --set takes; with --json for programs."""
    assert "regression_points" in in_process("rules", "--list")
    listed = json.loads(in_process("rules", "--list", "--json"))
    assert [row["name"] for row in listed] == [setting.name for setting in SETTINGS]
    assert all(row["range"] and row["about"] for row in listed)
    assert {row["name"] for row in listed if not row["default"]} == {"grafana_base", "status_base"}  # no link


@pytest.mark.parametrize("wrong", [("--prometheus", "--prometheus-operator"), ("--json",), ("--set", "nonsense=1")])
def test_wrong_use_is_refused(in_process: Callable[..., str], wrong: tuple[str, ...]) -> None:
    """Formats exclude one another, rules are not JSON, and an unknown threshold points to --list."""
    with pytest.raises(ConfigurationError):
        in_process("rules", *wrong)


def test_the_command_exits_with_2_and_one_line(eqwatch: Callable[..., Any]) -> None:
    """What is wrong stands on standard error, with the fix."""
    ran = eqwatch("rules", "--set", "nonsense=1")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "eqwatch rules --list" in ran.stderr

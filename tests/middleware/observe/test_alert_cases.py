"""Every alert fires when it should, is silent when it should, and is not misled by missing data: by promtool itself."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from middleware.observe import ALERTS, rules_file

CASES: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("alert_cases.yaml").read_text(encoding="utf-8"))
BY_NAME = {alert.name: alert for alert in ALERTS}
Cases = Sequence[tuple[str, dict[str, Any]]]
KINDS = ("fires", "silent", "missing")


@pytest.fixture(scope="module")
def promtool() -> str:
    """The program, where it is installed."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool (Debian package prometheus) is not installed")
    return found


def cases_of(name: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Kind, words and content of each case."""
    for kind in KINDS:
        for words, case in CASES[name][kind].items():
            yield kind, words, case


def promtool_test(name: str, kind: str, case: dict[str, Any]) -> dict[str, Any]:
    """One case as promtool wants it."""
    group, alert = CASES[name], BY_NAME[name]
    at, step = case.get("at", group["at"]), case.get("step", group["step"])
    fires = kind == "fires" or "labels" in case
    expected = {
        "exp_labels": {"severity": alert.severity, **case.get("labels", group["labels"])},
        "exp_annotations": {
            "summary": case.get("summary", ""),
            "description": case.get("description", ""),
            "runbook_url": f"docs/runbooks/{name}.md",
        },
    }
    return {
        "interval": step,
        "input_series": [
            {"series": series.replace("{it}", group["it"]), "values": values}
            for series, values in case["series"].items()
        ],
        "alert_rule_test": [{"eval_time": at, "alertname": name, "exp_alerts": [expected] if fires else []}],
    }


def run_promtool(promtool: str, folder: Path, name: str, kinds_and_cases: Cases, rules: str) -> str:
    """What promtool says; empty where all is well. One file per step, so that rules are evaluated when samples come."""
    (folder / "rules.yml").write_text(rules, encoding="utf-8")
    by_step: dict[str, list[dict[str, Any]]] = {}
    for kind, case in kinds_and_cases:
        test = promtool_test(name, kind, case)
        by_step.setdefault(test["interval"], []).append(test)
    for step, tests in by_step.items():
        content = {"rule_files": ["rules.yml"], "evaluation_interval": step, "tests": tests}
        (folder / f"cases-{step}.yml").write_text(yaml.safe_dump(content, sort_keys=False, width=10_000))
    command = [promtool, "test", "rules", *(f"cases-{step}.yml" for step in by_step)]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


def rules_of(name: str, *settings: str, texts: bool = True) -> str:
    """The alert and the recording rules that it reads, as the command prints them; texts: with what it says."""
    groups = yaml.safe_load(rules_file(settings))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    alert = next(rule for rule in rules if rule.get("alert") == name)
    read = [rule for rule in rules if "record" in rule and rule["record"] in alert["expr"]]
    if not texts:
        alert["annotations"] |= {"summary": "", "description": ""}
    return yaml.safe_dump({"groups": [{"name": "tested", "rules": [*read, alert]}]}, sort_keys=False)


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_the_alert_fires_is_silent_and_is_not_misled_by_missing_data(name: str, promtool: str, tmp_path: Path) -> None:
    """All cases of the alert, as listed in alert_cases.yaml; what it says is compared word by word."""
    told = [(kind, case) for kind, _, case in cases_of(name) if "description" in case]
    plain = [(kind, case) for kind, _, case in cases_of(name) if "description" not in case]
    for texts, cases in ((True, told), (False, plain)):
        assert cases
        complaint = run_promtool(promtool, tmp_path, name, cases, rules_of(name, texts=texts))
        assert complaint == "", f"{name}: {complaint}"


def test_every_alert_has_cases_of_each_kind() -> None:
    """Firing, not firing and missing data are all covered, and each text is checked at least once."""
    assert set(CASES) == set(BY_NAME)
    for name in BY_NAME:
        found = list(cases_of(name))
        assert {kind for kind, _, _ in found} == set(KINDS)
        assert any("description" in case for _, _, case in found)
    assert sum(len(list(cases_of(name))) for name in BY_NAME) >= 3 * len(BY_NAME)


def test_a_wrong_rule_would_be_noticed(promtool: str, tmp_path: Path) -> None:
    """The cases can fail: with a threshold that is wrong, promtool says which alert is missing."""
    name = "EQTokenBudgetLow"
    cases = [(kind, case) for kind, _, case in cases_of(name)]
    complaint = run_promtool(promtool, tmp_path, name, cases, rules_of(name, "budget_ratio=0.01"))
    assert f"alertname: {name}" in complaint

"""The Alertmanager configuration of examples/compose: who hears of what, by amtool itself."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from middleware.observe import ALERTS, rules_file
from middleware.observe.rule import Alert

COMPOSE = Path(__file__).resolve().parents[3] / "examples" / "compose"
CONFIG = COMPOSE / "alertmanager" / "alertmanager.yml"
RECEIVERS = {"critical": "pages", "warning": "tickets", "info": "notes"}


@pytest.fixture(scope="module")
def amtool() -> str:
    """The program, where it is installed."""
    found = shutil.which("amtool")
    if found is None:
        pytest.skip("amtool (Debian package prometheus-alertmanager) is not installed")
    return found


def test_the_configuration_is_sound(amtool: str) -> None:
    """`amtool check-config` accepts it."""
    checked = subprocess.run([amtool, "check-config", str(CONFIG)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_each_alert_reaches_who_it_is_meant_for(alert: Alert, amtool: str) -> None:
    """Critical alerts page, warnings are tickets, info is a note, and what is not to be notified goes to nobody."""
    rules = [rule for group in yaml.safe_load(rules_file())["groups"] for rule in group["rules"]]
    labels = next(rule["labels"] for rule in rules if rule.get("alert") == alert.name)
    pairs = [f"{name}={value}" for name, value in {"alertname": alert.name, **labels}.items()]
    command = [amtool, "config", "routes", "test", f"--config.file={CONFIG}", *pairs]
    routed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert routed.stdout.strip() == (RECEIVERS[alert.severity] if alert.notified else "nobody")


def test_inhibitions_name_alerts_that_exist() -> None:
    """A rule that silences nothing because of a typing error would page twice for one fact."""
    names = {alert.name for alert in ALERTS}
    rules = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["inhibit_rules"]
    matchers = [m for rule in rules for side in ("source_matchers", "target_matchers") for m in rule[side]]
    assert matchers
    for matcher in matchers:
        assert set(matcher.partition('"')[2].rstrip('"').split("|")) <= names


def test_prometheus_finds_its_files(tmp_path: Path) -> None:
    """`promtool check config` accepts Prometheus' configuration with the rules beside it."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian package prometheus) is not installed")
    folder = shutil.copytree(COMPOSE / "prometheus", tmp_path / "prometheus")
    (tmp_path / "token").write_text("token")
    file = folder / "prometheus.yml"
    text = file.read_text(encoding="utf-8").replace("/run/secrets/eqwatch-admin-token", str(tmp_path / "token"))
    file.write_text(text, encoding="utf-8")
    command = [promtool, "check", "config", "--lint=all", str(file)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "1 rule files found" in checked.stdout

"""examples/compose: valid by the Compose Specification, and its configuration files run, without containers."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import check_jsonschema
import jsonschema
import pytest
import yaml

from middleware.demo.processes import Child, eqwatch_command, running

ROOT = Path(__file__).resolve().parents[3]
COMPOSE = ROOT / "examples" / "compose"
# The Compose Specification's own schema (Apache-2.0), as check-jsonschema ships it.
SCHEMA = Path(check_jsonschema.__file__).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def project() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
    return found


def test_the_file_is_valid_by_the_schema_of_the_compose_specification(project: dict[str, Any]) -> None:
    """Strictly: the schema forbids keys that it does not know, and a misspelt one is found."""
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator(schema).validate(project)
    project["services"]["eqwatch"]["mem_limits"] = "1g"
    with pytest.raises(jsonschema.ValidationError, match="mem_limits"):
        jsonschema.Draft202012Validator(schema).validate(project)


def test_everything_that_is_mounted_or_named_is_there(project: dict[str, Any]) -> None:
    """Bind mounts exist, named volumes and secrets are declared, ports are published on loopback only."""
    for name, service in project["services"].items():
        for mount in service.get("volumes", []):
            source, target, *mode = mount.split(":")
            if source.startswith("."):
                assert (COMPOSE / source).is_dir(), f"{name} mounts {source}"
                assert mode == ["ro"], f"{name} could write {source}"
            else:
                assert source in project["volumes"]
            assert target.startswith("/")
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} publishes {port}"
        assert {s["source"] for s in service.get("secrets", [])} <= set(project["secrets"])
        assert set(service.get("depends_on", [])) <= set(project["services"])


def test_every_container_is_hardened_and_bounded(project: dict[str, Any]) -> None:
    """Read-only root, no capabilities, no new privileges, a memory limit; none names a floating image tag."""
    for name, service in project["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert not service["image"].endswith(":latest"), name
    grace = int(project["services"]["eqwatch"]["stop_grace_period"].removesuffix("s"))
    assert grace > 30 + 5, "relay.drain_seconds and the drain of control fit into it"


def test_prometheus_reads_the_token_and_the_targets_that_are_there(project: dict[str, Any]) -> None:
    """Its file names the secret where compose puts it, and targets by the names and ports of the services."""
    prometheus = yaml.safe_load((COMPOSE / "prometheus" / "prometheus.yml").read_text())
    (scrape,) = prometheus["scrape_configs"]
    (secret,) = project["services"]["prometheus"]["secrets"]
    assert scrape["authorization"]["credentials_file"] == f"/run/secrets/{secret['target']}"
    targets = COMPOSE / "prometheus" / "targets"
    found = {path.name: yaml.safe_load(path.read_text())[0]["targets"] for path in targets.glob("*.yml")}
    assert found == {"eqwatch.yml": ["eqwatch:8081"], "alertmanager.yml": ["alertmanager:9093"]}


def test_grafana_is_provisioned_with_the_dashboards_of_this_version(project: dict[str, Any]) -> None:
    """Data source and provider are where Grafana looks, and point at each other's places."""
    provisioning = COMPOSE / "grafana" / "provisioning"
    source = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"][0]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    provider = yaml.safe_load((provisioning / "dashboards" / "eqwatch.yaml").read_text())["providers"][0]
    mounts = dict(m.split(":")[1::-1] for m in project["services"]["grafana"]["volumes"])
    assert mounts[provider["options"]["path"]] == "./grafana/dashboards"
    files = {path.name for path in (COMPOSE / "grafana" / "dashboards").iterdir()}
    home = project["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(home).name in files
    assert len(files) == 4


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, str]:
    """What `secrets/make` makes, in a directory of the test."""
    script = tmp_path / "make"
    script.write_text((COMPOSE / "secrets" / "make").read_text())
    subprocess.run(
        ["sh", str(script)], check=True, env={**os.environ, "EQWATCH_UPSTREAM_API_KEY": "the-operator-s-key"}
    )
    lines = (tmp_path / "eqwatch.env").read_text().splitlines()
    made = dict(line.split("=", 1) for line in lines)
    assert made["EQWATCH_ADMIN_TOKEN"] == (tmp_path / "admin-token").read_text()
    assert made["EQWATCH_UPSTREAM_API_KEY"] == "the-operator-s-key"
    random = [value for name, value in made.items() if name != "EQWATCH_UPSTREAM_API_KEY"]
    assert len(set(random)) == 3
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in random)
    assert (tmp_path / "eqwatch.env").stat().st_mode & 0o077 == 0
    assert subprocess.run(["sh", str(script)], check=False, capture_output=True).returncode == 1, "made once"
    return made


def test_the_commands_and_files_of_the_example_run(
    project: dict[str, Any],
    secrets: dict[str, str],
    tmp_path: Path,
    eventually: Callable[..., Any],
    new_port: Callable[[], int],
) -> None:
    """The replay and the sidecar, as the file starts them but for addresses: ready, guarded by the token, measuring."""
    services = project["services"]
    with ExitStack() as stack:

        def start(name: str, *command: str, **environment: str) -> Child:
            child = Child(name, eqwatch_command(*command), log=tmp_path / f"{name}.log", environment=environment)
            return stack.enter_context(running(child))

        replaced = {
            "/replay/": f"{ROOT / 'examples' / 'replay'}/",
            "--host=0.0.0.0": "--host=127.0.0.1",
            "--port=8000": "--port=0",
        }
        replay = start("replay", *_local(services["replay"]["command"], replaced))
        (upstream,) = replay.ready(120.0)
        admin = f"127.0.0.1:{new_port()}"
        places = {
            "/etc/eqwatch/": f"{COMPOSE / 'eqwatch'}/",
            "0.0.0.0:8080": "127.0.0.1:0",
            "0.0.0.0:8081": admin,
        }
        defaults = {k: v.partition(":-")[2].rstrip("}") for k, v in services["eqwatch"]["environment"].items()}
        environment = {**defaults, **secrets, "EQWATCH_UPSTREAM_URL": upstream, "EQWATCH_DATA_DIR": str(tmp_path)}
        sidecar = start("sidecar", *_local(services["eqwatch"]["command"], places), **environment)
        _, port = sidecar.ready(120.0)
        check = services["eqwatch"]["healthcheck"]["test"]
        assert check[:2] == ["CMD", "python3"]
        code = check[3].replace(":8080", f":{port}").replace("timeout=3", "timeout=60")
        subprocess.run([sys.executable, *check[2:3], code], check=True, timeout=60)

        eventually(lambda: _status(f"http://{admin}/metrics", "") == 401, seconds=60, what="no token, no metrics")
        token = secrets["EQWATCH_ADMIN_TOKEN"]
        eventually(lambda: _status(f"http://{admin}/metrics", token) == 200, seconds=60, what="metrics answer")
        eventually(
            lambda: 'eqwatch_bench_items_total{deployment="default"' in _text(f"http://{admin}/metrics", token),
            seconds=90,
            what="a first batch of the replayed model",
        )
        log = (tmp_path / "sidecar.log").read_text()
        assert not [value for value in secrets.values() if value in log]


def _local(command: list[str], replaced: dict[str, str]) -> list[str]:
    found = []
    for word in command:
        for old, new in replaced.items():
            word = word.replace(old, new)
        found.append(word)
    return found


def _status(url: str, token: str) -> int:
    try:
        with _open(url, token) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return 0


def _text(url: str, token: str) -> str:
    with _open(url, token) as answer:
        text: str = answer.read().decode()
    return text


def _open(url: str, token: str) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60)

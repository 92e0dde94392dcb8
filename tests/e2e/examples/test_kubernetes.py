"""examples/kubernetes: valid by the schemas of Kubernetes, consistent in itself, and its configuration runs, over TLS.

PodMonitor has no schema in any package at hand: its fields are checked by name here.
"""

import base64
import json
import os
import ssl
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import jsonschema
import kubernetes_validate
import pytest
import yaml

from middleware.demo.processes import Child, eqwatch_command, running
from middleware.metrics.catalogue import PREFIX

ROOT = Path(__file__).resolve().parents[3]
KUBERNETES = ROOT / "examples" / "kubernetes"
VERSION = "1.37"
# Of PodMonitor v1 (prometheus-operator 0.82): what may stand where, as far as the example uses it.
POD_MONITOR = {"selector", "podMetricsEndpoints"}
pytestmark = pytest.mark.timeout(600)
ENDPOINT = {"port", "path", "interval", "scheme", "authorization", "tlsConfig", "relabelings"}


def documents(text: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(text) if document is not None]


@pytest.fixture(scope="module")
def manifests() -> list[dict[str, Any]]:
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    there = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed) == there, "what is there is applied"
    return [document for name in listed for document in documents((KUBERNETES / name).read_text())]


@pytest.fixture(scope="module")
def secrets() -> list[dict[str, Any]]:
    """What make-secrets prints."""
    done = subprocess.run(
        ["sh", str(KUBERNETES / "make-secrets")],
        env={**os.environ, "EQWATCH_UPSTREAM_API_KEY": "operator-key"},
        capture_output=True,
        text=True,
        check=True,
    )
    return documents(done.stdout)


def named(manifests: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    return next(m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name)


@pytest.fixture(scope="module")
def sidecar(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = named(manifests, "Deployment", "tutor")["spec"]["template"]["spec"]["initContainers"]
    return dict(found)


@pytest.fixture(scope="module")
def monitor(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = named(manifests, "StatefulSet", "eqwatch-monitor")["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_every_manifest_is_valid_by_the_schemas_of_kubernetes(
    manifests: list[dict[str, Any]], secrets: list[dict[str, Any]]
) -> None:
    """Strictly: a field that does not exist is an error."""
    own = [m for m in [*manifests, *secrets] if not m["apiVersion"].startswith("monitoring.coreos.com/")]
    for manifest in own:
        kubernetes_validate.validate(manifest, VERSION, strict=True)
    assert len(own) >= 10
    wrong = json.loads(json.dumps(named(manifests, "Deployment", "tutor")))
    wrong["spec"]["template"]["spec"]["initContainers"][0]["restartPolicyy"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_pod_monitors_name_ports_secrets_and_labels_that_are_there(
    manifests: list[dict[str, Any]], secrets: list[dict[str, Any]]
) -> None:
    """Each selects pods of the example, scrapes a port of theirs, and reads a key of a Secret that is made."""
    keys = {(s["metadata"]["name"], key) for s in secrets for key in (s.get("data") or s["stringData"])}
    monitors = [m for m in manifests if m["kind"] == "PodMonitor"]
    assert len(monitors) == 2
    for one in monitors:
        assert set(one["spec"]) <= POD_MONITOR
        labels = one["spec"]["selector"]["matchLabels"]
        pods = [p for p in _pods(manifests) if labels.items() <= p["metadata"]["labels"].items()]
        assert pods, one["metadata"]["name"]
        for endpoint in one["spec"]["podMetricsEndpoints"]:
            assert set(endpoint) <= ENDPOINT
            assert all(endpoint["port"] in _ports(pod) for pod in pods)
            assert {"targetLabel": "job", "replacement": "eqwatch"} in endpoint["relabelings"]
            reference = endpoint["authorization"]["credentials"]
            assert (reference["name"], reference["key"]) in keys
            if endpoint["scheme"] == "https":
                ca = endpoint["tlsConfig"]["ca"]["secret"]
                assert (ca["name"], ca["key"]) in keys


def test_the_rules_are_valid_by_the_schema_of_the_operator(manifests: list[dict[str, Any]]) -> None:
    """PrometheusRule as its custom resource definition has it, closed against unknown fields."""
    schema = json.loads((Path(__file__).parent / "schemas" / "prometheusrule.json").read_text())
    (rule,) = [m for m in manifests if m["kind"] == "PrometheusRule"]
    jsonschema.Draft202012Validator(schema).validate(rule)
    alerts = [one["alert"] for group in rule["spec"]["groups"] for one in group["rules"] if "alert" in one]
    assert "EQRegression" in alerts


def _pods(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [m["spec"]["template"] for m in manifests if m["kind"] in ("Deployment", "StatefulSet")]


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def _ports(pod: dict[str, Any]) -> set[str]:
    return {port["name"] for container in _containers(pod) for port in container["ports"]}


def test_references_hold(manifests: list[dict[str, Any]], secrets: list[dict[str, Any]]) -> None:
    """Volumes, mounts, Secrets, ConfigMaps, probes and policies name what exists."""
    keys = {s["metadata"]["name"]: set(s.get("data") or s["stringData"]) for s in secrets}
    maps = {m["metadata"]["name"] for m in manifests if m["kind"] == "ConfigMap"}
    for pod in _pods(manifests):
        claims = [
            claim["metadata"]["name"]
            for stateful in manifests
            if stateful["kind"] == "StatefulSet"
            for claim in stateful["spec"]["volumeClaimTemplates"]
        ]
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        for volume in volumes.values():
            assert volume.get("configMap", {"name": "eqwatch"})["name"] in maps
            secret = volume.get("secret")
            assert secret is None or {i["key"] for i in secret.get("items", [])} <= keys[secret["secretName"]]
        for container in _containers(pod):
            mounts = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert mounts <= {*volumes, *claims}
            for variable in container.get("env", []):
                reference = variable.get("valueFrom", {}).get("secretKeyRef")
                assert reference is None or reference["key"] in keys[reference["name"]]
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if "httpGet" in container.get(probe, {}):
                    assert container[probe]["httpGet"]["port"] in {port["name"] for port in container["ports"]}


def test_every_container_is_hardened(manifests: list[dict[str, Any]]) -> None:
    """As the namespace's restricted Pod Security Standard demands, and with a read-only root and a memory limit."""
    level = named(manifests, "Namespace", "eqwatch")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert level == "restricted"
    for pod in _pods(manifests):
        assert pod["spec"]["securityContext"]["runAsNonRoot"]
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["spec"]["automountServiceAccountToken"] is False
        for container in _containers(pod):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"]["drop"] == ["ALL"]
            assert container["resources"]["limits"]["memory"]


def test_the_sidecar_is_native_and_outlives_the_application(
    manifests: list[dict[str, Any]], sidecar: dict[str, Any]
) -> None:
    """It restarts always, is probed on the relay's own paths, and its drain fits into the pod's grace."""
    assert sidecar["restartPolicy"] == "Always"
    paths = {probe: sidecar[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert set(paths.values()) == {"/-/eqwatch/live", "/-/eqwatch/ready"}
    assert paths["readinessProbe"] == "/-/eqwatch/ready"
    grace = named(manifests, "Deployment", "tutor")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace >= 30 + 30 + 5, "the application, relay.drain_seconds, and control's own drain"


def test_no_secret_is_in_a_manifest(manifests: list[dict[str, Any]]) -> None:
    """Keys, tokens and salt come from Secrets alone; the configuration file has none."""
    assert not [m for m in manifests if m["kind"] == "Secret"]
    config = tomllib.loads(named(manifests, "ConfigMap", "eqwatch")["data"]["eqwatch.toml"])
    assert "salt" not in config
    assert not {"api_key", "token"} & {key for table in config.values() if isinstance(table, dict) for key in table}
    for pod in _pods(manifests):
        for container in _containers(pod):
            for variable in container.get("env", []):
                secret = variable["name"].endswith(("_KEY", "_TOKEN", "_SALT"))
                assert ("valueFrom" in variable) == (secret and "CERTIFICATE" not in variable["name"])


def test_grafana_s_sidecar_finds_the_dashboards(manifests: list[dict[str, Any]]) -> None:
    """A ConfigMap with the label it looks for, well under the size that Kubernetes takes, of dashboards that parse."""
    found = named(manifests, "ConfigMap", "eqwatch-dashboards")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert sum(len(text) for text in found["data"].values()) < 700_000
    assert all(json.loads(text)["uid"] == name.removesuffix(".json") for name, text in found["data"].items())


@pytest.fixture
def installed(
    manifests: list[dict[str, Any]], secrets: list[dict[str, Any]], tmp_path: Path
) -> Iterator[Callable[..., tuple[Child, dict[str, str]]]]:
    """Starts a container of the example as a process: its arguments and environment, with places of this machine."""
    config = tmp_path / "eqwatch.toml"
    config.write_text(named(manifests, "ConfigMap", "eqwatch")["data"]["eqwatch.toml"])
    tls = named(secrets, "Secret", "eqwatch-monitor-tls")["data"]
    for name, value in tls.items():
        (tmp_path / name).write_bytes(base64.b64decode(value))
    with ExitStack() as stack:

        def start(container: dict[str, Any], places: dict[str, str], **more: str) -> tuple[Child, dict[str, str]]:
            known = {"/etc/eqwatch/": f"{tmp_path}/", "/etc/eqwatch-tls/": f"{tmp_path}/", **places}
            data = tmp_path / container["args"][0]
            environment = {v["name"]: _value(v, secrets, known) for v in container["env"]}
            environment |= {"EQWATCH_DATA_DIR": str(data), **more}
            command = eqwatch_command(*(_placed(word, known) for word in container["args"]))
            log = tmp_path / f"{container['args'][0]}.log"
            child = Child(container["args"][0], command, log=log, environment=environment)
            return stack.enter_context(running(child)), environment

        yield start


def _value(variable: dict[str, Any], secrets: list[dict[str, Any]], places: dict[str, str]) -> str:
    if "value" in variable:
        return _placed(variable["value"], places)
    reference = variable["valueFrom"]["secretKeyRef"]
    secret = named(secrets, "Secret", reference["name"])
    if "stringData" in secret:
        return str(secret["stringData"][reference["key"]])
    return base64.b64decode(secret["data"][reference["key"]]).decode()


def _placed(word: str, places: dict[str, str]) -> str:
    for old, new in places.items():
        word = word.replace(old, new)
    return word


def test_monitor_and_sidecar_run_with_the_very_configuration_of_the_example(
    installed: Callable[..., tuple[Child, dict[str, str]]],
    monitor: dict[str, Any],
    sidecar: dict[str, Any],
    manifests: list[dict[str, Any]],
    start_fake_upstream: Callable[..., str],
    eventually: Callable[..., Any],
    new_port: Callable[[], int],
    tmp_path: Path,
) -> None:
    """A conversation through the sidecar is probed by the monitor, which it trusts by the certificate that was made;
    probes are answered, metrics want the token, no secret is in a log."""
    upstream = {"EQWATCH_UPSTREAM_URL": start_fake_upstream(), "EQWATCH_BENCHMARK_ENABLED": "false"}
    upstream["EQWATCH_DEPLOYMENTS"] = _everything_sampled(manifests)
    admin, metrics = (f"127.0.0.1:{new_port()}" for _ in range(2))
    child, environment = installed(monitor, {"0.0.0.0:8081": admin}, **upstream)
    trust = str(tmp_path / "ca.crt")
    with httpx2.Client(verify=_context(trust), timeout=60, trust_env=False) as client:
        python, *probe = monitor["livenessProbe"]["exec"]["command"]
        assert python == "python3"
        probe[-1] = probe[-1].replace("127.0.0.1:8081", admin)

        def alive() -> bool:
            done = subprocess.run([sys.executable, *probe], env=environment, check=False, capture_output=True)
            return done.returncode == 0

        eventually(alive, seconds=60, what="the monitor lives, by its own probe")
        assert client.get(f"https://{admin}/metrics").status_code == 401
        places = {"https://eqwatch-monitor.eqwatch.svc:8081": f"https://{admin}"}
        places |= {"0.0.0.0:8080": "127.0.0.1:0", "0.0.0.0:8081": metrics}
        relay, own = installed(sidecar, places, **upstream)
        host, port = relay.ready(120.0)
        for name in ("startupProbe", "livenessProbe", "readinessProbe"):
            path = sidecar[name]["httpGet"]["path"]
            with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=60) as answer:
                assert answer.status == 200
        body = {"model": "small", "messages": [{"role": "user", "content": "I am lost in this."}]}
        sent = urllib.request.Request(
            f"http://{host}:{port}/v1/chat/completions",
            data=json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        read = {"authorization": f"Bearer {environment['EQWATCH_ADMIN_TOKEN']}"}

        def probed() -> bool:
            """Traffic never waits for the side that observes it, so the first turns may come too early for that."""
            with urllib.request.urlopen(sent, timeout=60) as answer:
                assert answer.status == 200
            text = client.get(f"https://{admin}/metrics", headers=read).text
            return f'{PREFIX}probe_conversations_total{{deployment="tutor",outcome="scored"' in text

        eventually(probed, seconds=90, what="the monitor has probed a turn that the sidecar reported")
        mine = {"authorization": f"Bearer {own['EQWATCH_ADMIN_TOKEN']}"}

        def shown() -> bool:
            """Its listener starts beside the reports, and may come after the first of them."""
            try:
                told = httpx2.get(f"http://{metrics}/metrics", headers=mine, timeout=60, trust_env=False)
            except httpx2.ConnectError:
                return False
            return f"{PREFIX}requests_total" in told.text

        eventually(shown, seconds=60, what="the sidecar's own metrics")
    logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    hidden = {v for k, v in (environment | own).items() if k.endswith(("_TOKEN", "_SALT", "_API_KEY"))}
    assert not [value for value in hidden if value in logs]
    assert child.pid


def _everything_sampled(manifests: list[dict[str, Any]]) -> str:
    """The deployments of the file, with every conversation in the sample."""
    deployments = tomllib.loads(named(manifests, "ConfigMap", "eqwatch")["data"]["eqwatch.toml"])["deployments"]
    return json.dumps([deployment | {"sample_rate": 1.0} for deployment in deployments])


def _context(ca_file: str) -> Any:
    return ssl.create_default_context(cafile=ca_file)

"""A worse model behind the same name pages once, in words with figures, and the page ends after the rollback.

Real processes throughout: the sidecar, a scripted upstream at MID noise, Prometheus with the printed rules,
Alertmanager with the configuration of examples/compose, and a webhook that listens. Only times are shorter, and
addresses others.
"""

import http.server
import json
import re
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from middleware.benchmark.item_sets import load
from middleware.demo.processes import Child, eqwatch_command, running
from middleware.demo.upgrade import switch_models
from scorer.eqbench import outcome_of
from scorer.items import Item, ItemSet
from tests.ports import unused_port

COMPOSE = Path(__file__).resolve().parents[2] / "examples" / "compose"
ITEM_SET = "tutoring"
DROP = 2.0
"""Points that the weaker model loses, exactly as far as whole items allow."""
TOKEN = "a-token-that-prometheus-reads"
CONFIG = f"""
[benchmark]
model = "assistant"
items = ["{ITEM_SET}"]
batch = 20
interval = "400ms"
suspected_interval = "400ms"
commissioning_passes = 10
concurrency = 10

[detection]
false_alarms_per_year = 52
"""
# The decision is the sidecar's; what is shortened is how long Prometheus waits before and after it. A few scrapes may
# fail in a row, since a second is all that each of them has.
QUICK = ("for=2s", "keep_firing_for=15s")
FIGURES = r"(-?\d+\.\d) points \(95 % interval (-?\d+\.\d) to (-?\d+\.\d)\)"
_OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
pytestmark = pytest.mark.timeout(1000)


@dataclass
class Webhook:
    """What Alertmanager posted, by receiver."""

    url: str
    received: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def alerts(self, receiver: str, status: str) -> list[dict[str, Any]]:
        """The alerts of that status in all notifications to a receiver, in order of arrival."""
        posts = [body for path, body in self.received if path == f"/{receiver}"]
        return [alert for body in posts for alert in body["alerts"] if alert["status"] == status]


@contextmanager
def listening() -> Iterator[Webhook]:
    """A real HTTP server that keeps what is posted to it."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            webhook.received.append((self.path, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    webhook = Webhook(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield webhook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def program(*names: str) -> str:
    """The path of the first of these that is installed."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"{names[0]} (Debian packages prometheus, prometheus-alertmanager) is not installed")
    return found


def answer(item: Item, intensities: list[int]) -> str:
    return "\n".join(f"{emotion}: {value}" for emotion, value in zip(item.emotions, intensities, strict=True))


def score(item_set: ItemSet, answers: dict[str, list[int]]) -> float:
    """The set's score in points."""
    outcomes = [
        outcome_of(item, answer(item, answers[item.id]), item_set=item_set, profile="tolerant", revise=False)
        for item in item_set.items
    ]
    return 10.0 * float(np.mean([outcome.last for outcome in outcomes]))


def two_models(item_set: ItemSet) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """A scripted model, and the same one with some items answered so much worse that it loses two points."""
    rng = np.random.default_rng(7)

    def guesses(error: float) -> dict[str, list[int]]:
        return {
            item.id: [
                int(np.clip(round(true + rng.normal(0.0, error)), 0, 10))
                for true in item.reference_for(item_set.version)
            ]
            for item in item_set.items
        }

    strong, poor = guesses(1.5), guesses(3.5)
    weak, target = dict(strong), score(item_set, strong) - DROP
    for index in rng.permutation(len(item_set.items)):
        item = item_set.items[index]
        candidate = {**weak, item.id: poor[item.id]}
        if score(item_set, candidate) >= target - 0.1:
            weak = candidate
        if score(item_set, weak) <= target + 0.1:
            break
    return strong, weak


def recording(file: Path, item_set: ItemSet, answers: dict[str, list[int]]) -> Path:
    texts = {item.id: answer(item, answers[item.id]) for item in item_set.items}
    file.write_text(json.dumps({"model": "assistant", "revise": False, "raw_inference": texts}), encoding="utf-8")
    return file


def replaced(file: Path, *pairs: tuple[str, str]) -> None:
    """Each text by another one; each has to be there."""
    text = file.read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text, f"{file.name}: {old}"
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


def start_prometheus(stack: ExitStack, folder: Path, sidecar: str, alertmanager: str) -> str:
    """Prometheus on the files of examples/compose; its URL."""
    binary = program("prometheus")
    shutil.copytree(COMPOSE / "prometheus", folder / "prometheus")
    (folder / "token").write_text(TOKEN)
    replaced(
        folder / "prometheus" / "prometheus.yml",
        ("scrape_interval: 15s", "scrape_interval: 1s"),
        ("evaluation_interval: 15s", "evaluation_interval: 1s"),
        ("/run/secrets/eqwatch-admin-token", str(folder / "token")),
    )
    for name, address in (("eqwatch", sidecar), ("alertmanager", alertmanager)):
        target = address.removeprefix("http://")
        replaced(folder / "prometheus" / "targets" / f"{name}.yml", (re.findall(r'"(.*)"', _targets(name))[0], target))
    settings = [
        part for name in ("EQRegression", "EQSilentModelChange") for q in QUICK for part in ("--set", f"{name}.{q}")
    ]
    rules = subprocess.run(eqwatch_command("rules", *settings), capture_output=True, text=True, check=True, timeout=60)
    (folder / "prometheus" / "rules" / "eqwatch.yml").write_text(rules.stdout, encoding="utf-8")
    port = unused_port()
    command = [
        binary,
        f"--config.file={folder / 'prometheus' / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    stack.enter_context(running(Child("prometheus", command, log=folder / "prometheus.log")))
    return f"http://127.0.0.1:{port}"


def _targets(name: str) -> str:
    return (COMPOSE / "prometheus" / "targets" / f"{name}.yml").read_text(encoding="utf-8")


def start_alertmanager(stack: ExitStack, folder: Path, webhook: str) -> str:
    """Alertmanager on the file of examples/compose; its URL."""
    binary = program("prometheus-alertmanager", "alertmanager")
    file = folder / "alertmanager.yml"
    shutil.copy(COMPOSE / "alertmanager" / "alertmanager.yml", file)
    replaced(
        file,
        ("group_wait: 30s", "group_wait: 1s"),
        ("group_interval: 5m", "group_interval: 1s"),
        ("http://127.0.0.1:9095", webhook),
    )
    port = unused_port()
    command = [
        binary,
        f"--config.file={file}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    stack.enter_context(running(Child("alertmanager", command, log=folder / "alertmanager.log")))
    return f"http://127.0.0.1:{port}"


def fetched(url: str, token: str = "") -> Any:
    """The JSON there, or None while nobody answers."""
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)
    except (OSError, ValueError):
        return None


def value_of(prometheus: str, query: str) -> float | None:
    """The one value of an instant query; None where there is none."""
    found = fetched(f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}")
    result = found["data"]["result"] if found else []
    return float(result[0]["value"][1]) if result else None


def scraped(sidecar: Any, accept: str) -> tuple[bytes, str]:
    """A scrape's body and content type."""
    headers = {"authorization": f"Bearer {TOKEN}", "accept": accept}
    with urllib.request.urlopen(
        urllib.request.Request(f"{sidecar.admin}/metrics", headers=headers), timeout=60
    ) as response:
        return response.read(), response.headers["content-type"]


def check_scrape(sidecar: Any) -> None:
    """promtool finds nothing to complain about in a scrape with data; OpenMetrics is spoken where it is asked for."""
    message = {"role": "user", "content": "I am lost."}
    request = urllib.request.Request(
        f"{sidecar.data}/v1/chat/completions",
        data=json.dumps({"model": "assistant", "messages": [message]}).encode(),
        headers={"content-type": "application/json", "authorization": "Bearer sk-of-a-client"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        response.read()
    plain, content_type = scraped(sidecar, "text/plain")
    assert content_type.startswith("text/plain")
    checked = subprocess.run([program("promtool"), "check", "metrics"], input=plain, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
    families = {family.name for family in parse_text(plain.decode())}
    assert {"eqwatch_requests", "eqwatch_bench_item_loss_points", "eqwatch_leader", "eqwatch_baseline"} <= {
        name.removesuffix("_info") for name in families
    }
    opened, content_type = scraped(sidecar, _OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    assert b"sk-of-a-client" not in plain + opened
    assert b"I am lost" not in plain + opened


def both_formats_agree(sidecar: Any) -> bool:
    """The same families in both; a batch between two scrapes can bring one more."""
    plain, opened = scraped(sidecar, "text/plain")[0].decode(), scraped(sidecar, _OPENMETRICS)[0].decode()
    ours, theirs = (
        {family.name.removesuffix("_info") for family in found}
        for found in (parse_text(plain), parse_openmetrics(opened))
    )
    return ours == theirs


def test_a_two_point_drop_pages_once_and_ends_after_the_rollback(
    stack: ExitStack,
    tmp_path: Path,
    start_sidecar: Callable[..., Any],
    start_fake_upstream: Callable[..., str],
    eventually: Callable[..., Any],
) -> None:
    """At MID noise, behind the same name: EQRegression arrives exactly once, says how much, and resolves."""
    program("prometheus")
    program("prometheus-alertmanager", "alertmanager")
    item_set = load(ITEM_SET, tmp_path)
    strong, weak = two_models(item_set)
    assert score(item_set, strong) - score(item_set, weak) == pytest.approx(DROP, abs=0.1)
    files = [recording(tmp_path / f"{name}.json", item_set, a) for name, a in (("strong", strong), ("weak", weak))]
    replays = [part for file in (*files, files[0]) for part in ("--replay", f"assistant={file}")]
    upstream = start_fake_upstream(
        *("--items", ITEM_SET, "--noise", "mid", "--seed", "1", "--fingerprint", "fp_always"), *replays
    )
    keys = {"EQWATCH_UPSTREAM_API_KEY": "operator-key", "EQWATCH_ADMIN_TOKEN": TOKEN}
    sidecar = start_sidecar(upstream, CONFIG, wait=False, **keys)
    webhook = stack.enter_context(listening())
    alertmanager = start_alertmanager(stack, tmp_path, webhook.url)
    prometheus = start_prometheus(stack, tmp_path, sidecar.admin, alertmanager)

    def state() -> str:
        verdicts = fetched(f"{sidecar.admin}/api/v1/verdicts", TOKEN)
        return str(verdicts[0]["state"]) if verdicts else ""

    eventually(lambda: state() == "fine", seconds=180, what="a baseline stands")
    active = "max(eqwatch_bench_regression_active or eqwatch_bench_reference_below_active)"
    eventually(lambda: value_of(prometheus, active) == 0, seconds=120, what="Prometheus has scraped it")
    eventually(lambda: value_of(prometheus, 'up{job="eqwatch"}') == 1, seconds=60, what="the last scrape was answered")

    check_scrape(sidecar)
    eventually(lambda: both_formats_agree(sidecar), seconds=60, what="text and OpenMetrics agree")

    switch_models(upstream)
    eventually(lambda: webhook.alerts("pages", "firing"), seconds=300, what="the page arrives")
    page = webhook.alerts("pages", "firing")[0]
    assert page["labels"]["alertname"] == "EQRegression"
    assert (page["labels"]["deployment"], page["labels"]["item_set"]) == ("default", ITEM_SET)
    assert page["labels"]["severity"] == "critical"
    assert page["annotations"]["summary"] == f"Emotional intelligence of default on {ITEM_SET} got worse"
    assert page["annotations"]["runbook_url"] == "docs/runbooks/EQRegression.md"
    text = page["annotations"]["description"]
    against = re.search(rf"Against the first accepted baseline: {FIGURES}", text)
    assert against is not None, text
    points, lower, upper = map(float, against.groups())
    assert lower < points < upper <= 0, text
    assert -5.0 < points <= -1.0, text
    now = re.search(r"Score now: (\d+\.\d) of 100\.$", text)
    assert now is not None, text
    assert abs(float(now[1]) - score(item_set, weak)) < 6, text
    opened = re.search(rf"At the beginning of the incident: {FIGURES}, resting on (\d+) answers, open since 2", text)
    assert opened is not None or "losses have added up to the margin" in text, text
    if opened is not None:
        assert float(opened[1]) < -0.5
        assert int(opened[4]) >= 12
    assert "{{" not in text
    assert "<error" not in text

    switch_models(upstream)
    eventually(lambda: state() == "fine", seconds=180, what="the incident is over")
    eventually(lambda: webhook.alerts("pages", "resolved"), seconds=180, what="the page is resolved")
    resolved = webhook.alerts("pages", "resolved")
    assert [alert["fingerprint"] for alert in resolved] == [page["fingerprint"]]
    told = [alert["fingerprint"] for alert in webhook.alerts("pages", "firing")]
    assert told == [page["fingerprint"]], "it is told once, and nothing else pages"
    assert not any("nobody" in path for path, _ in webhook.received)
    others = {alert["labels"]["alertname"] for alert in webhook.alerts("tickets", "firing")}
    assert others <= {"EQSilentModelChange"}

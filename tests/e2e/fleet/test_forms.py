"""The same monitor over TLS and on PostgreSQL; deployments are known by header, path, key id and model in a pod."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme
from openai import OpenAI
from sqlalchemy import create_engine, text

from middleware.proxy.deployments import key_id

pytestmark = pytest.mark.timeout(600)

SALT = "one salt for the whole fleet"
CLIENT_KEY = "client-key-of-a-robot"
DEPLOYMENTS = """
[[deployments]]
name = "by-header"
purpose = "end-to-end test of a fleet"
emotions = ["Confusion", "Curiosity"]
sample_rate = 1.0
[[deployments]]
name = "by-path"
purpose = "end-to-end test of a fleet"
emotions = ["Confusion", "Curiosity"]
sample_rate = 1.0
[deployments.match]
paths = ["/shop/"]
[[deployments]]
name = "by-key"
purpose = "end-to-end test of a fleet"
emotions = ["Confusion", "Curiosity"]
sample_rate = 1.0
[deployments.match]
key_ids = ["{key_id}"]
[[deployments]]
name = "by-model"
purpose = "end-to-end test of a fleet"
emotions = ["Confusion", "Curiosity"]
sample_rate = 1.0
[deployments.match]
models = ["robot-1"]
[[deployments]]
name = "silent"
emotions = ["Confusion", "Curiosity"]
sample_rate = 1.0
"""


def ask(data: str, path: str = "/v1", *, model: str = "m", key: str = "another-client-key", **headers: str) -> None:
    with OpenAI(base_url=data + path, api_key=key, default_headers=headers, timeout=60, max_retries=0) as client:
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "I still don't get it."}])


def pems(folder: Path) -> tuple[Path, Path, Path]:
    """Authority, certificate of 127.0.0.1, and its key."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    files = folder / "ca.pem", folder / "monitor.pem", folder / "monitor.key"
    authority.cert_pem.write_to_path(files[0])
    certificate.cert_chain_pems[0].write_to_path(files[1])
    certificate.private_key_pem.write_to_path(files[2])
    return files


def database_of(url: str, name: str) -> str:
    """A new database, for tables of this test alone."""
    server = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    made = server.url.set(database=name).render_as_string(hide_password=False)
    server.dispose()
    return str(made)


def test_a_monitor_on_postgresql_with_tls_knows_every_deployment(
    fleet: Any,
    start_fake_upstream: Callable[..., str],
    eventually: Callable[..., Any],
    postgresql_url: str,
    new_port: Any,
) -> None:
    """Each way to be recognised works for what a pod reports; nothing leaves the pod without a purpose, with an
    opt-out, or to a monitor whose certificate is not trusted or whose salt is another."""
    upstream = start_fake_upstream()
    ca, certificate, key = pems(fleet.folder)
    store = database_of(postgresql_url, f"fleet_{new_port()}")
    pod_config = DEPLOYMENTS.format(key_id=key_id(f"Bearer {CLIENT_KEY}".encode(), SALT.encode()))
    admin = f'[admin]\ncertificate = "{certificate}"\ncertificate_key = "{key}"\n'
    config = f'[upstream]\nurl = "{upstream}"\n[store]\nurl = "{store}"\n{admin}{pod_config}'
    secrets = {"EQWATCH_UPSTREAM_API_KEY": "operator-key-of-the-test"}
    trust = ssl.create_default_context(cafile=str(ca))
    with fleet.monitor(config, verify=trust, **secrets) as monitor:
        pod = fleet.pod(upstream, monitor.admin, pod_config, EQWATCH_MONITOR_CA_FILE=str(ca))
        ask(pod.data, **{"x-eqwatch-deployment": "by-header", "x-eqwatch-conversation": "lesson-7"})
        with pytest.raises(Exception, match="404"):
            ask(pod.data, "/shop/v1")
        ask(pod.data, **{"x-eqwatch-deployment": "silent"})
        ask(pod.data, model="robot-1", **{"x-eqwatch-opt-out": "1"})
        # After the two that must not be observed: exchanges are observed in order.
        ask(pod.data, key=CLIENT_KEY)
        ask(pod.data, model="robot-1")
        chosen = 'eqwatch_observed_exchanges_total{{deployment="{}",outcome="{}"}}'
        for name, outcome in (
            ("by-header", "chosen"),
            ("by-key", "chosen"),
            ("by-model", "chosen"),
            ("by-path", "undecodable"),
        ):
            known = chosen.format(name, outcome)
            eventually(lambda key=known: pod.sample(key) == 1, seconds=60, what=f"{name} is {outcome}")
        opted_out = 'eqwatch_dropped_total{queue="tap",reason="opt_out"}'
        eventually(lambda: pod.sample(opted_out) == 1, seconds=60, what="the relay's numbers")
        assert not [key for key in pod.samples() if "observed_exchanges" in key and "silent" in key]

        told = eventually(
            lambda: monitor.json("/api/v1/conversations/lesson-7/emotions"), seconds=60, what="emotions from PostgreSQL"
        )
        assert told["deployment"] == "by-header"
        probed = 'eqwatch_probe_conversations_total{{deployment="{}",outcome="scored"}}'
        for name in ("by-header", "by-key", "by-model"):
            known = probed.format(name)
            eventually(lambda key=known: monitor.sample(key) == 1, seconds=60, what=f"{name} is probed")
        engine = create_engine(store)

        def kept() -> list[str]:
            with engine.connect() as connection:
                return list(connection.execute(text("SELECT DISTINCT deployment FROM probes ORDER BY 1")).scalars())

        # A turn counts as probed once its scores are known; they are saved a moment later.
        eventually(lambda: kept() == ["by-header", "by-key", "by-model"], seconds=60, what="scores are in PostgreSQL")

        strangers = {
            "connection": fleet.pod(upstream, monitor.admin, pod_config),
            "other_salt": fleet.pod(
                upstream,
                monitor.admin,
                pod_config,
                EQWATCH_MONITOR_CA_FILE=str(ca),
                EQWATCH_SALT="another salt than theirs",
            ),
        }
        for reason, stranger in strangers.items():
            ask(stranger.data, model="robot-1")
            failed = f'eqwatch_forward_attempts_total{{outcome="{reason}"}}'
            eventually(lambda s=stranger, key=failed: s.sample(key) >= 1, seconds=60, what=f"the pod says {reason}")
        assert monitor.sample('eqwatch_arrived_exchanges_total{outcome="accepted",source="observer"}') == 3
        assert kept() == ["by-header", "by-key", "by-model"]
        engine.dispose()


ALL_IN_ONE = """
[[deployments]]
name = "tutor"
purpose = "end-to-end test of both ways in"
emotions = ["Confusion", "Curiosity"]
sample_rate = 1.0
"""


def test_turns_through_the_relay_and_handed_in_are_one_conversation(
    start_sidecar: Callable[..., Any], start_fake_upstream: Callable[..., str], eventually: Callable[..., Any]
) -> None:
    """An all-in-one sidecar takes exchanges too: turn 2 never passed it, and is the second turn all the same."""
    sidecar = start_sidecar(start_fake_upstream(), ALL_IN_ONE, EQWATCH_UPSTREAM_API_KEY="operator-key-of-the-test")
    messages: list[Any] = [{"role": "user", "content": "I still don't get fractions, it is no use at all."}]
    with OpenAI(
        base_url=f"{sidecar.data}/v1",
        api_key="client-key",
        default_headers={"x-eqwatch-deployment": "tutor"},
        timeout=60,
    ) as client:
        reply = client.chat.completions.create(model="m", messages=messages).choices[0].message.content
    messages += [{"role": "assistant", "content": reply}, {"role": "user", "content": "Once more, slowly, please."}]
    probed = 'eqwatch_probe_conversations_total{deployment="tutor",outcome="scored"}'
    eventually(lambda: sidecar.metrics().get(probed) == 1, seconds=60, what="the first turn is probed")
    with httpx2.Client(base_url=sidecar.admin, trust_env=False, timeout=60) as client:
        body = {"messages": messages, "reply": "Of course.", "model": "m", "deployment": "tutor", "id": "second"}
        assert client.post("/api/v1/exchanges", json=body).json() == {"accepted": 1, "duplicates": 0, "dropped": {}}
        assert client.post("/api/v1/exchanges", json=body).json()["duplicates"] == 1
        eventually(lambda: sidecar.metrics().get(probed) == 2, seconds=60, what="the second turn is probed")
        found = client.post("/api/v1/conversations/lookup", json={"messages": messages}).json()["conversation"]
        path = f"/api/v1/conversations/{found}/emotions"
        # Scores are saved a moment after the turn counts as probed; what is served is what is saved.
        told = eventually(
            lambda: (seen := sidecar.json(path)) and seen["turn"] == 2 and seen, seconds=60, what="they are served"
        )
    assert (told["deployment"], told["turn"]) == ("tutor", 2)
    assert {reading["turn"] for reading in told["emotions"].values()} == {2}

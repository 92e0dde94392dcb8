"""A store that is locked, frozen or corrupt: users notice nothing, readiness tells, nothing is lost or doubled."""

import json
import signal
import sqlite3
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import create_engine, text

from bench.kills.replay import differences
from bench.kills.seen import Seen
from middleware.store.schema import item_results, probes

REPLAY = Path(__file__).resolve().parents[2] / "examples" / "replay"
CONFIG = """
[benchmark]
model = "assistant"
items = ["starter"]
batch = 12
interval = "300ms"
commissioning_passes = 5
concurrency = 8
[[deployments]]
name = "tutor"
kind = "tutoring"
purpose = "a test of stores that fail"
sample_rate = 1.0
"""
pytestmark = pytest.mark.timeout(800)


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Another process writes to the file and does not end."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=60)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def frozen(url: str) -> Iterator[None]:
    """Every process of the PostgreSQL server stands still."""
    engine = create_engine(url)
    with closing(engine.connect()) as connection, ExitStack() as thaw:
        parent = psutil.Process(connection.execute(text("SELECT pg_backend_pid()")).scalar_one()).parent()
        assert parent is not None
        freeze(parent, thaw)
        for child in parent.children():  # no other one comes while the parent stands still, and none is gone
            freeze(child, thaw)
        yield
    engine.dispose()


def freeze(process: psutil.Process, thaw: ExitStack) -> None:
    """Until thaw ends."""
    process.send_signal(signal.SIGSTOP)
    thaw.callback(process.send_signal, signal.SIGCONT)


def talk(sidecar: Any, conversation: str) -> int:
    """One turn of a user; the status."""
    body = {"model": "assistant", "messages": [{"role": "user", "content": "I don't get it. It's no use."}]}
    headers = {"x-eqwatch-deployment": "tutor", "x-eqwatch-conversation": conversation}
    request = urllib.request.Request(
        f"{sidecar.data}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers=headers | {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
        return int(answer.status)


def component(sidecar: Any, name: str) -> dict[str, Any]:
    """Of the readiness path, whichever status it has."""
    try:
        with urllib.request.urlopen(f"{sidecar.admin}/-/ready", timeout=60) as answer:
            found = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            found = json.loads(error.read())
    return dict(found["components"][name])


@pytest.mark.parametrize("fault", [locked, frozen])
def test_a_store_that_is_away_for_a_while(
    start_sidecar: Callable[..., Any],
    start_fake_upstream: Callable[..., str],
    eventually: Callable[..., Any],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    fault: Callable[[str], Any],
) -> None:
    """Traffic goes on, control lives, readiness names the store; afterwards what waited is there, once, in order."""
    url = f"sqlite:///{tmp_path / 'eqwatch.db'}"
    if fault is frozen:
        url = request.getfixturevalue("postgresql_url")
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        engine.dispose()
    upstream = start_fake_upstream(
        *("--items", "starter", "--noise", "mid", "--fingerprint", "fp_always"),
        *("--replay", f"assistant={REPLAY / 'scripted-strong.json'}"),
    )
    config = CONFIG + f"[store]\nurl = {json.dumps(url)}\n"
    sidecar = start_sidecar(upstream, config, EQWATCH_UPSTREAM_API_KEY="operator-key")
    seen = Seen(url)
    eventually(lambda: seen.look() == [] and seen.count(item_results) > 24, seconds=90, what="batches are asked")

    with fault(url):
        assert talk(sidecar, "while-away") == 200
        eventually(lambda: not component(sidecar, "store")["ok"], seconds=90, what="readiness names the store")
        assert sidecar.json("/-/healthy") == {"status": "ok"}
        assert talk(sidecar, "still-away") == 200
        eventually(lambda: sidecar.sum_of("eqwatch_store_errors_total") > 0, seconds=60, what="errors are counted")

    eventually(lambda: component(sidecar, "store")["ok"], seconds=120, what="readiness is back")
    before = seen.count(item_results)
    eventually(
        lambda: seen.look() == [] and seen.count(item_results) > before + 24 and seen.count(probes) >= 2,
        seconds=150,
        what="batches go on, and the probes that waited are there",
    )
    sidecar.stop()
    assert seen.look() == []
    problems, batches = differences(url, sidecar.log.with_name("eqwatch.toml"), sidecar.data_dir)
    assert problems == []
    assert batches >= 4, "of more than 48 answers, which came after one another"


def test_a_corrupt_file_is_set_aside_and_told(
    start_sidecar: Callable[..., Any],
    start_fake_upstream: Callable[..., str],
    eventually: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """It is never written over: it is kept under another name, an event says so, and everything works from anew."""
    broken = b"this is no database " * 1000
    (tmp_path / "eqwatch.db").write_bytes(broken)
    upstream = start_fake_upstream("--items", "starter", "--replay", f"assistant={REPLAY / 'scripted-strong.json'}")
    config = CONFIG + f"[store]\nurl = {json.dumps(f'sqlite:///{tmp_path}/eqwatch.db')}\n"
    sidecar = start_sidecar(upstream, config, EQWATCH_UPSTREAM_API_KEY="operator-key")
    assert talk(sidecar, "one") == 200
    (kept,) = tmp_path.glob("eqwatch.db.corrupt-*")
    assert kept.read_bytes() == broken
    assert component(sidecar, "store")["ok"]
    assert "store_was_corrupt" in sidecar.log.read_text()
    eventually(lambda: sidecar.sum_of("eqwatch_bench_items_total") > 0, seconds=60, what="batches are asked")

"""`eqwatch status`: the verdict of the status page in a terminal, from a running sidecar or from the store."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from prometheus_client import CollectorRegistry

from middleware.admin import Access, AdminState, EventFeed, create_app
from middleware.benchmark.item_sets import load
from middleware.benchmark.watch import Watch
from middleware.cli.status import exit_code
from middleware.control.plans import benchmark_plans
from middleware.errors import ConfigurationError, NotReached
from middleware.metrics import Metrics
from middleware.records.benchmark import ItemResult
from middleware.records.standing import Standing, UpgradeStanding
from middleware.settings import load_settings
from middleware.store import Store

NOW = 1_794_500_000.0
TOKEN = "read-token-0123456789"
UPGRADE = UpgradeStanding("model-1", "model-2", NOW - 90_000, "regressed", points=-4.0, lower=-5.8, upper=-2.2)
FELL = Standing(
    deployment="tutor",
    item_set="tutoring",
    state="regressed",
    model="model-2",
    since=NOW - 80_000,
    last_batch_at=NOW - 60,
    score_points=78.2,
    baseline_points=82.3,
    delta_points=-4.1,
    delta_lower=-5.2,
    delta_upper=-2.9,
    incident=7,
    upgrade=UPGRADE,
)
FINE = Standing("shop", "marketing", "fine", "model-1", NOW - 900_000, NOW - 60, 84.9, 84.9, NOW, 0.0, -1.0, 1.0)


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts an admin listener with these standings; returns its URL."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []
    store = Store(f"sqlite:///{tmp_path / 'running.db'}")
    store.open()

    def start(*standings: Standing, token: str = "") -> str:
        registry = CollectorRegistry()
        state = AdminState(
            store=store,
            metrics=Metrics(registry),
            registry=registry,
            access=Access.for_listener("127.0.0.1:0", read_token=token),
            feed=EventFeed(count_drop=lambda: None),
            clock=lambda: NOW,
            readiness=dict,
            standings=lambda: standings,
        )
        server = uvicorn.Server(uvicorn.Config(create_app(state), port=0, log_level="error", lifespan="off"))
        listener = server.config.bind_socket()
        listener.listen()  # whoever asks before the thread runs waits for it
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(timeout=30)
    store.close()


@pytest.fixture
def nobody(tmp_path: Path, free_port: int) -> tuple[object, ...]:
    """Options of an installation with a configured benchmark and no sidecar running."""
    file = tmp_path / "eqwatch.toml"
    file.write_text(f'[admin]\nlisten = "127.0.0.1:{free_port}"\n[benchmark]\nmodel = "model-1"\nitems = ["starter"]\n')
    return ("--config", file, "--data-dir", tmp_path / "data")


def test_a_running_sidecar_is_asked(sidecar, in_process):
    """Which deployment fell, after what, by how much, how sure; exit code 1 while an incident is open."""
    told = in_process("status", "--url", sidecar(FINE, FELL), exit_code=1)
    assert told.startswith("tutor: EQ fell by 4.1 points (2 watched: 1 regressed, 1 fine)\n")
    assert "After the upgrade from model-1 to model-2, 2026-11-11 15:13 UTC." in told
    assert "95% interval −5.2 to −2.9" in told  # noqa: RUF001 - a real minus sign
    assert "POST /api/v1/alarms/7/acknowledge" in told
    assert told.index("tutoring") < told.index("marketing")


def test_a_narrow_terminal_cuts_no_word(sidecar, in_process):
    """80 columns hold deployment, items, verdict, change with its interval, and score."""
    told = in_process("status", "--url", sidecar(FINE, FELL), exit_code=1, columns=80)
    assert "…" not in told
    assert all(word in told for word in ("tutoring", "marketing", "EQ is fine", "upgrade"))
    rows = [line for line in told.splitlines() if line.strip().startswith(("tutor ", "shop "))]
    assert len(rows) == 2
    assert max(map(len, rows)) <= 80


def test_json_is_what_the_api_says(sidecar, in_process):
    """One array with every field, so that scripts need no table; exit code 0 where all is fine."""
    url = sidecar(FINE, FELL)
    found = json.loads(in_process("status", "--url", url, "--deployment", "shop", "--json"))
    assert [(one["deployment"], one["state"], one["headline"]) for one in found] == [("shop", "fine", "EQ is fine")]
    fell = json.loads(in_process("status", "--url", url, "--json", exit_code=1))[0]
    assert (fell["delta_lower"], fell["upgrade"]["to_model"], fell["tone"]) == (-5.2, "model-2", "bad")


def test_a_token_is_sent(sidecar, in_process):
    """Without it the answer says what to set; a foreign deployment is named."""
    url = sidecar(FINE, token=TOKEN)
    assert "EQ is fine" in in_process("status", "--url", url, "--token", TOKEN)
    with pytest.raises(ConfigurationError, match="EQWATCH_ADMIN_TOKEN"):
        in_process("status", "--url", url)
    with pytest.raises(ConfigurationError, match="--deployment nobody"):
        in_process("status", "--url", url, "--token", TOKEN, "--deployment", "nobody")


def test_a_sidecar_that_is_named_has_to_answer(eqwatch, free_port, tmp_path):
    """Exit code 4, and no guess from the store."""
    done = eqwatch("status", "--url", f"http://127.0.0.1:{free_port}", "--data-dir", tmp_path)
    assert done.returncode == 4
    assert "is the sidecar running?" in done.stderr


def test_something_else_at_the_address_is_no_verdict(sidecar, in_process):
    """A web server that is no sidecar, and an address that is none."""
    with pytest.raises(NotReached, match="gave no answer"):
        in_process("status", "--url", f"{sidecar(FINE)}/static/icon.svg#")
    with pytest.raises(ConfigurationError, match="must begin with http"):
        in_process("status", "--url", "127.0.0.1:8081")


def test_without_a_sidecar_the_store_says_how_things_stood(nobody, in_process, tmp_path):
    """Nothing measured, then a baseline that is being made; exit code 3 for both."""
    assert "Not measured yet" in in_process("status", *nobody, exit_code=3)
    (plan,) = benchmark_plans(load_settings(nobody[1], {"data_dir": tmp_path / "data"}))
    watch = Watch(plan, epoch=1)
    item_set = load("starter", tmp_path)
    answers = [
        ItemResult("r", item, 0, "scored", "", 8.0, dict.fromkeys(item_set.by_id[item].emotions, 3.0), at=NOW)
        for item in watch.next_items()
    ]
    watch.take(answers, at=NOW)
    with Store(f"sqlite:///{tmp_path / 'data' / 'eqwatch.db'}") as store:
        store.save_state(plan.name, watch.to_saved())
    told = in_process("status", *nobody, exit_code=3)
    assert "Learning the baseline" in told
    assert "no sidecar is running here" in told
    assert json.loads(in_process("status", *nobody, "--json", exit_code=3))[0]["score"] == pytest.approx(80.0)


def test_exit_codes_say_what_a_script_wants_to_know(sidecar, in_process):
    """0 fine, 1 an incident is open, 3 anything that is not known to be fine."""
    assert exit_code([]) == 3
    for state, code in {"fine": 0, "changed": 1, "suspected": 3, "comparing": 3, "commissioning": 3}.items():
        standing = Standing("d", "s", state, last_batch_at=NOW)
        in_process("status", "--url", sidecar(standing), exit_code=code)
    in_process("status", "--url", sidecar(Standing("d", "s", "fine", last_batch_at=NOW - 1e6)), exit_code=3)

"""A real admin server on loopback over a real store, empty or filled with a plausible fortnight."""

import asyncio
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import pytest
import uvicorn
from prometheus_client import CollectorRegistry

from middleware.admin import Access, AdminState, BenchmarkInfo, DeploymentInfo, EventFeed, create_app
from middleware.admin.state import Upgrade
from middleware.metrics import Metrics
from middleware.records.benchmark import ItemResult, Protocol, Run
from middleware.records.conversation import ProbeResult
from middleware.records.emotions import DEFAULT_EMOTIONS
from middleware.records.event import Event
from middleware.records.standing import Standing
from middleware.store import Store

NOW = 1_794_500_000.0
HOUR = 3600.0
DAY = 24 * HOUR


@dataclass
class Control:
    """Stands for the control process: what the admin app asks it to do ends up here."""

    paused: bool = False
    declared: list[Upgrade] = field(default_factory=list)
    acknowledged: list[tuple[int, bool]] = field(default_factory=list)
    standings: list[Standing] = field(default_factory=list)
    readiness: dict[str, bool | str] = field(default_factory=lambda: {"store": True, "relay": True})
    workers: dict[str, str] = field(default_factory=lambda: {"probe": "running", "benchmark": "running"})
    now: float = NOW

    async def pause(self) -> None:
        """As control does it."""
        self.paused = True

    async def resume(self) -> None:
        """As control does it."""
        self.paused = False

    async def declare(self, upgrade: Upgrade) -> int:
        """Remember, and hand out an event id."""
        self.declared.append(upgrade)
        return 40 + len(self.declared)

    async def acknowledge(self, alarm: int, accept: bool) -> bool:
        """Only alarm 7 is open."""
        self.acknowledged.append((alarm, accept))
        return alarm == 7


def lookup(messages: list[dict[str, Any]]) -> str | None:
    """Knows one conversation, by its first message."""
    return "conv-1" if messages[0].get("content") == "hello there" else None


@dataclass
class Admin:
    """A running admin server. loop is the server's own."""

    url: str
    state: AdminState
    control: Control
    store: Store
    registry: CollectorRegistry
    loop: asyncio.AbstractEventLoop

    def client(self, **headers: str) -> httpx2.Client:
        """A client that says what it is told to say, and nothing from the environment."""
        return httpx2.Client(base_url=self.url, headers=headers, trust_env=False, timeout=20)

    def publish(self, event: Event) -> Event:
        """Save and publish an event, as control does."""
        saved = replace(event, id=self.store.save_event(event))
        self.loop.call_soon_threadsafe(self.state.feed.publish, saved)
        return saved


DEPLOYMENTS = tuple(
    DeploymentInfo(name, kind, "", DEFAULT_EMOTIONS[kind], 0.2, sampled=True)
    for name, kind in (("support-tutor", "tutoring"), ("companion-r2", "companion"), ("shop-chat", "marketing"))
)
BENCHMARK = BenchmarkInfo(model="example-chat-large", items=("bundled",), interval=timedelta(hours=3))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store in SQLite."""
    made = Store(f"sqlite:///{tmp_path / 'eqwatch.sqlite3'}", clock=lambda: NOW)
    made.open()
    yield made
    made.close()


@pytest.fixture
def serve(store: Store) -> Iterator[Callable[..., Admin]]:
    """Starts admin servers over the store; ends them all."""
    with _servers(store) as start:
        yield start


@pytest.fixture
def admin(serve: Callable[..., Admin]) -> Admin:
    """An open server over an empty store."""
    return serve()


@contextmanager
def _servers(store: Store) -> Iterator[Callable[..., Admin]]:
    running: list[tuple[uvicorn.Server, threading.Thread, Admin]] = []

    def start(*, access: Access | None = None, subscribers: int = 64, capacity: int = 256, **changes: Any) -> Admin:
        registry, control = CollectorRegistry(), Control()
        metrics = Metrics(registry)
        drops = metrics.dropped_total.labels(queue="events", reason="slow_subscriber")
        state = AdminState(
            store=store,
            metrics=metrics,
            registry=registry,
            access=access or Access.for_listener("127.0.0.1:0"),
            feed=EventFeed(count_drop=drops.inc, capacity=capacity, subscribers=subscribers),
            clock=lambda: control.now,
            readiness=lambda: control.readiness,
            workers=lambda: control.workers,
            standings=lambda: control.standings,
            paused=lambda: control.paused,
            pause=control.pause,
            resume=control.resume,
            declare=control.declare,
            acknowledge=control.acknowledge,
            conversation_keys=lambda given: (given, f"hashed-{given}"),
            lookup=lookup,
            **changes,
        )
        server, thread, port, loop = _run(state)
        admin = Admin(f"http://127.0.0.1:{port}", state, control, store, registry, loop)
        running.append((server, thread, admin))
        return admin

    try:
        yield start
    finally:
        for server, thread, admin in running:
            admin.loop.call_soon_threadsafe(admin.state.feed.close)
            server.should_exit = True
            thread.join(timeout=20)
            assert not thread.is_alive()


def _run(state: AdminState) -> tuple[uvicorn.Server, threading.Thread, int, asyncio.AbstractEventLoop]:
    config = uvicorn.Config(
        create_app(state), host="127.0.0.1", port=0, log_level="error", lifespan="off", timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    up = threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        asyncio.get_running_loop().call_soon(up.set)
        await server.serve(sockets=[socket])

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert up.wait(20)
    return server, thread, socket.getsockname()[1], loops[0]


def make_run(number: int, started: float, *, model: str = "example-chat-large", items: int = 12, **changes: Any) -> Run:
    """A run of a batch of bundled items."""
    protocol = Protocol("bundled", "0" * 64, "1", "tolerant", 0.01, 60, None, "text", revise=False)
    run = Run(
        id=f"run-{number:04d}",
        deployment="default",
        purpose="batch",
        protocol=protocol,
        model=model,
        upstream="http://127.0.0.1:9",
        item_ids=tuple(f"item-{(number * 12 + index) % 60}" for index in range(items)),
        passes=1,
        started_at=started,
    )
    return replace(run, **changes)


def _fill_runs(store: Store, rng: random.Random) -> None:
    """A fortnight of batches every three hours; the model is replaced by a weaker one two days before the end."""
    swapped = NOW - 2 * DAY
    for number in range(112):
        started = NOW - 1200 - (111 - number) * 3 * HOUR
        weaker = started > swapped
        run = make_run(number, started, model="example-chat-large-0612" if weaker else "example-chat-large")
        store.begin_run(run)
        scores = []
        for item_id in run.item_ids:
            ease = 7.6 + 1.1 * ((int(item_id.partition("-")[2]) * 7 % 12) / 12 - 0.5)
            odd = rng.random()
            outcome = "unparseable" if odd < 0.02 else "refused" if odd < 0.026 else "scored"
            score = min(9.9, rng.gauss(ease - (1.1 if weaker else 0.0), 0.75)) if outcome == "scored" else None
            scores += [score] if score is not None else []
            store.save_item(
                ItemResult(
                    run.id, item_id, 0, outcome, "no_scores" if outcome == "unparseable" else "", score, at=started + 40
                )
            )
        store.finish_run(run.id, "finished", 10 * sum(scores) / len(scores), len(scores), started + 55)


def _fill_probes(store: Store, rng: random.Random) -> None:
    centres = {"Confusion": 4.6, "Boredom": 2.1, "Frustration": 3.2, "Curiosity": 6.3, "Loneliness": 3.8}
    centres |= {"Distress": 2.2, "Calm": 5.9, "Joy": 4.8, "Interest": 6.6, "Trust": 5.2, "Annoyance": 2.0}
    for info, share in zip(DEPLOYMENTS, (110, 60, 85), strict=True):
        for number in range(share):
            for turn in range(1, rng.randint(2, 4)):
                at = NOW - 90 - rng.random() * 0.97 * DAY
                outcome = "scored" if rng.random() < 0.96 else "unparseable"
                emotions = {
                    emotion: float(min(10, max(0, round(rng.gauss(centres.get(emotion, 1.6), 2.1)))))
                    for emotion in info.emotions
                }
                store.save_probe(
                    ProbeResult(
                        info.name,
                        f"{info.name}-{number}",
                        turn,
                        "perception",
                        outcome,
                        emotions if outcome == "scored" else {},
                        "" if outcome == "scored" else "missing_emotion",
                        "example-chat-large-0612",
                        at=at,
                        turn_ended_at=at - 2,
                    )
                )


def fill(store: Store) -> list[Standing]:
    """A fortnight of plausible data, the same each time; returns where things stand at its end."""
    rng = random.Random(7)
    _fill_runs(store, rng)
    _fill_probes(store, rng)
    models = {"from_model": "example-chat-large", "to_model": "example-chat-large-0612"}
    store.save_event(Event("baseline_accepted", "default", NOW - 11 * DAY, {"points": 75.6}))
    store.save_event(Event("benchmark_paused", "default", NOW - 6 * DAY))
    store.save_event(Event("benchmark_resumed", "default", NOW - 6 * DAY + HOUR))
    store.save_event(Event("upgrade_noticed", "default", NOW - 2 * DAY + 1300, dict(models)))
    store.save_event(Event("incident_opened", "default", NOW - 1.4 * DAY, {"points": -9.1}))
    store.add_tokens("benchmark", "prompt", 212_000, NOW - 600)
    store.add_tokens("probe", "prompt", 187_500, NOW - 600)
    return [
        Standing(
            deployment="default",
            item_set="bundled",
            state="regressed",
            model="example-chat-large-0612",
            since=NOW - 1.4 * DAY,
            last_batch_at=NOW - 1145,
            score_points=65.4,
            baseline_points=75.6,
            baseline_at=NOW - 11 * DAY,
            delta_points=-10.2,
            delta_lower=-12.7,
            delta_upper=-7.6,
            incident=5,
        )
    ]


@pytest.fixture
def run_of() -> Callable[..., Run]:
    """`make_run`, for tests that make runs of their own."""
    return make_run


@pytest.fixture(scope="session")
def fortnight() -> Iterator[tuple[Path, list[Standing]]]:
    """A database file with the data of `fill`, made once: in memory where there is such a place, as it syncs often."""
    memory = Path("/dev/shm")  # noqa: S108 - a private directory is made in it
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        path = Path(directory) / "filled.sqlite3"
        made = Store(f"sqlite:///{path}", clock=lambda: NOW)
        made.open()
        standings = fill(made)
        made.close()
        yield path, standings


@pytest.fixture
def filled(fortnight: tuple[Path, list[Standing]], tmp_path: Path) -> Iterator[Admin]:
    """A server over a copy of the fortnight, with deployments and benchmark configured."""
    path, standings = fortnight
    copy = tmp_path / "filled.sqlite3"
    copy.write_bytes(path.read_bytes())
    made = Store(f"sqlite:///{copy}", clock=lambda: NOW)
    made.open()
    with _servers(made) as start:
        admin = start(deployments=DEPLOYMENTS, benchmark=BENCHMARK, tokens_per_day=2_000_000)
        admin.control.standings = standings
        yield admin
    made.close()

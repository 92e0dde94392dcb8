"""A real admin server on loopback over a real store, empty or filled with a plausible fortnight."""

import asyncio
import importlib.util
import sys
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

from middleware.admin import Access, AdminState, BenchmarkInfo, EventFeed, create_app
from middleware.admin.state import Upgrade
from middleware.metrics import Metrics
from middleware.records.benchmark import Protocol, Run
from middleware.records.event import Event
from middleware.records.standing import Standing
from middleware.records.worker import WorkerFailures
from middleware.store import Store

NOW = 1_794_500_000.0

# A conftest can't import its neighbours by name: tests are no packages.
_spec = importlib.util.spec_from_file_location("admin_fortnight", Path(__file__).with_name("fortnight.py"))
assert _spec is not None
assert _spec.loader is not None
made_up = importlib.util.module_from_spec(_spec)
sys.modules["admin_fortnight"] = made_up
_spec.loader.exec_module(made_up)


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
        return httpx2.Client(base_url=self.url, headers=headers, trust_env=False, timeout=60)

    def publish(self, event: Event) -> Event:
        """Save and publish an event, as control does."""
        saved = replace(event, id=self.store.save_event(event))
        self.loop.call_soon_threadsafe(self.state.feed.publish, saved)
        return saved


BENCHMARK = BenchmarkInfo(
    model="example-chat-large", items=("tutoring", "companion", "marketing"), interval=timedelta(hours=3)
)


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
            thread.join(timeout=60)
            assert not thread.is_alive()


def _run(state: AdminState) -> tuple[uvicorn.Server, threading.Thread, int, asyncio.AbstractEventLoop]:
    config = uvicorn.Config(
        create_app(state),
        host="127.0.0.1",
        port=0,
        log_level="error",
        lifespan="off",
        timeout_graceful_shutdown=5,
        timeout_keep_alive=60,  # no connection is closed between two requests of a test, however slow the machine
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
    assert up.wait(60)
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
        standings = made_up.fill(made)
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
        admin = start(
            deployments=made_up.DEPLOYMENTS,
            benchmark=BENCHMARK,
            tokens_per_day=2_000_000,
            money_per_day=5.0,
            currency="USD",
            cost=lambda prompt, completion: (0.5 * prompt + 1.5 * completion) / 1e6,
            items=made_up.sets().get,
            emotions=made_up.report_of,
            failures=lambda: {"probe": WorkerFailures(1, "TimeoutError", NOW - 5 * 3600)},
            queues=lambda: {"exchanges": 0, "probe": 3, "store": 0},
        )
        admin.control.standings = standings
        yield admin
    made.close()

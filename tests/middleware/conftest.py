"""A small item set of two emotions' worth of everything, and the shipped fake upstream on a loopback socket."""

import fcntl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue

import pytest
from sqlalchemy import create_engine, text

from middleware.benchmark.fake_upstream import FakeServer, FakeUpstream, PromptBook, Recording, Stages, bind, create_app
from scorer.items import Item, ItemSet
from scorer.prompts import compose

EMOTIONS = ("Joy", "Anger", "Fear", "Pride")


def _item(number: int) -> Item:
    dialogue = f"Ada: Is it done?\nBen: The {number}. bridge holds."
    return Item(
        id=f"i{number}",
        emotions=EMOTIONS,
        prompt=compose(dialogue, "Ben", EMOTIONS),
        reference=None,
        reference_fullscale=(7.0, 0.0, 1.0, 8.0),
        cluster=f"d{number}",
    )


@pytest.fixture
def small_set() -> ItemSet:
    """Twenty items; the answer Joy 7, Anger 0, Fear 1, Pride 8 is perfect for all of them."""
    items = tuple(_item(number) for number in range(20))
    return ItemSet(name="small", version="v2", language="en", items=items, official=False, sha256="0" * 64)


@pytest.fixture
def perfect(small_set: ItemSet) -> Recording:
    """A recording that scores 100."""
    text = "Joy: 7\nAnger: 0\nFear: 1\nPride: 8"
    return Recording(revise=False, texts={item.id: text for item in small_set.items}, fingerprint="fp_perfect")


@pytest.fixture
def fake(small_set: ItemSet, perfect: Recording) -> FakeUpstream:
    """A fake upstream whose model `m` answers perfectly."""
    return FakeUpstream(book=PromptBook([small_set]), stages=Stages({"m": [perfect]}))


@pytest.fixture
def serve_fake() -> Iterator[Callable[[FakeUpstream], str]]:
    """Serves a fake upstream on a free port, on a thread of its own; returns the base URL."""
    running = []

    def start(fake: FakeUpstream) -> str:
        ready: Queue[str] = Queue()
        server = FakeServer(create_app(fake), bind("127.0.0.1", 0), ready.put)
        thread = threading.Thread(target=server.serve_listener)
        thread.start()
        running.append((server, thread))
        return ready.get(timeout=30)

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join()


@pytest.fixture
def before_the_next_lock(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Does something, as another process could, just before this one next locks a file; once."""

    def arrange(happen: Callable[[], object]) -> None:
        really_lock = fcntl.flock

        def lock(descriptor: int, operation: int) -> None:
            monkeypatch.setattr(fcntl, "flock", really_lock)
            happen()
            really_lock(descriptor, operation)

        monkeypatch.setattr(fcntl, "flock", lock)

    return arrange


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'eqwatch.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return url

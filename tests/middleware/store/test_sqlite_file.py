"""Faults of the file under a SQLite store."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from middleware.errors import ConfigurationError, StoreUnavailable
from middleware.records.event import Event
from middleware.store import Store
from middleware.store.engine import WriterLock

NOW = 1_800_000_000.0


def opened(path: Path) -> Store:
    store = Store(f"sqlite:///{path}", clock=lambda: NOW)
    store.open()
    return store


def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    """Database, WAL, index and lock files are 0600 in a directory that is 0700, whatever the umask."""
    before = os.umask(0)
    try:
        store = opened(tmp_path / "data" / "eq.db")
        store.save_state("x", {})
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(["eq.db", "eq.db-wal", "eq.db-shm", "eq.db.lock", "eq.db.queue"], 0o600)
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    store.close()


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    """Opening mends the mode."""
    opened(tmp_path / "eq.db").close()
    (tmp_path / "eq.db").chmod(0o644)
    opened(tmp_path / "eq.db").close()
    assert stat.S_IMODE((tmp_path / "eq.db").stat().st_mode) == 0o600


def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path) -> None:
    """Its bytes are kept under a new name, the new store works, and an event tells."""
    (tmp_path / "eq.db").write_bytes(b"not a database, but somebody may need it" * 100)
    store = Store(f"sqlite:///{tmp_path / 'eq.db'}", clock=lambda: NOW)
    report = store.open()
    assert report.set_aside == tmp_path / "eq.db.corrupt-20270115T080000Z"
    assert report.set_aside.read_bytes().startswith(b"not a database")
    (event,) = store.events()
    assert (event.kind, event.details) == ("store_set_aside", {"file": "eq.db.corrupt-20270115T080000Z"})
    store.close()


def test_a_damaged_database_is_set_aside(tmp_path: Path) -> None:
    """A second one in the same second gets a name of its own."""
    for expected in ("eq.db.corrupt-20270115T080000Z", "eq.db.corrupt-20270115T080000Z-2"):
        store = opened(tmp_path / "eq.db")
        for number in range(200):
            store.save_event(Event(kind="k", deployment="d" * 100, at=float(number)))
        store.close()
        damaged = bytearray((tmp_path / "eq.db").read_bytes())
        damaged[4096 : len(damaged) - 4096] = b"\xa5" * (len(damaged) - 8192)
        (tmp_path / "eq.db").write_bytes(damaged)
        report = store.open()
        store.close()
        assert report.set_aside == tmp_path / expected
        assert report.set_aside.read_bytes() == damaged


def test_damage_that_appears_while_open_is_an_unavailable_store(tmp_path: Path) -> None:
    """It is reported as corrupt; nothing is moved while connections are open."""
    store = opened(tmp_path / "eq.db")
    for number in range(200):
        store.save_event(Event(kind="k", deployment="d" * 100, at=float(number)))
    store.close()
    size = (tmp_path / "eq.db").stat().st_size
    with (tmp_path / "eq.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    store._door.open()  # as if it had been open all the time
    with pytest.raises(StoreUnavailable) as caught:
        store.events(limit=1000)
    assert caught.value.reason == "corrupt"
    store.close()


def test_a_locked_database_is_unavailable_after_the_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that is not ours holds it; once it lets go, writing works again."""
    monkeypatch.setattr("middleware.store.engine.BUSY_SECONDS", 0.05)
    store = opened(tmp_path / "eq.db")
    with closing(sqlite3.connect(tmp_path / "eq.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable) as caught:
            store.save_state("x", {})
        assert caught.value.reason == "locked"
        assert store.load_state("x") is None  # readers go on
        other.execute("ROLLBACK")
    store.save_state("x", {"n": 1})
    assert store.load_state("x") == {"n": 1}
    store.close()


def test_a_full_database_is_unavailable_and_recovers(tmp_path: Path) -> None:
    """SQLite's page limit makes a full disk without filling one; what was acknowledged stays."""
    store = opened(tmp_path / "eq.db")
    store.save_state("kept", {"n": 1})
    with store._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreUnavailable) as caught:
        store.save_state("big", {"text": "x" * 100_000})
    assert caught.value.reason == "disk_full"
    with store._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    store.save_state("big", {"n": 2})
    assert (store.load_state("kept"), store.load_state("big")) == ({"n": 1}, {"n": 2})
    store.close()


def test_a_read_only_database_still_answers(tmp_path: Path) -> None:
    """Writing says read_only; reading goes on."""
    store = opened(tmp_path / "eq.db")
    store.save_state("kept", {"n": 1})
    with store._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    with pytest.raises(StoreUnavailable) as caught:
        store.save_state("kept", {"n": 2})
    assert caught.value.reason == "read_only"
    assert store.load_state("kept") == {"n": 1}
    store.close()


def test_a_directory_that_cannot_be_made_is_an_unavailable_store(tmp_path: Path) -> None:
    """A file stands where the directory should be."""
    (tmp_path / "data").write_text("")
    with pytest.raises(StoreUnavailable, match="directory"):
        Store(f"sqlite:///{tmp_path / 'data' / 'eq.db'}").open()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://localhost/x"])
def test_urls_that_cannot_work_are_refused_with_the_fix(url: str) -> None:
    """Before anything is opened."""
    with pytest.raises(ConfigurationError, match="use sqlite:///FILE"):
        Store(url)


def test_two_processes_write_one_at_a_time(tmp_path: Path) -> None:
    """While another process holds the lock, a writer waits, and gives up after its timeout."""
    lock = tmp_path / "eq.db.lock"
    code = (
        "import sys; from pathlib import Path; from middleware.store.engine import WriterLock\n"
        "with WriterLock(Path(sys.argv[1])).held():\n    print('held', flush=True); sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StoreUnavailable, match="another process"), WriterLock(lock, 0.02).held():
            pytest.fail("two writers")
        process.communicate("\n")
    with WriterLock(lock, 0.02).held():
        assert lock.exists()


def test_a_process_that_writes_without_a_pause_lets_others_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who already waits for the lock gets it before the one that gives it back and wants it again at once."""
    first, waiting = (WriterLock(tmp_path / "eq.db.lock", 60.0) for _ in range(2))
    waits, order, really_sleep = threading.Event(), [], time.sleep

    def sleep(seconds: float) -> None:
        waits.set()
        really_sleep(seconds)

    def write(lock: WriterLock, who: str) -> None:
        with lock.held():
            order.append(who)

    monkeypatch.setattr(time, "sleep", sleep)
    with ThreadPoolExecutor(1) as pool:
        with first.held():
            written = pool.submit(write, waiting, "who waited")
            assert waits.wait(60)
        write(first, "who wrote before")
        written.result()
    assert order == ["who waited", "who wrote before"]


def test_a_thread_that_writes_without_a_pause_lets_others_write(tmp_path: Path) -> None:
    """The same among the threads of a process."""
    lock, order = WriterLock(tmp_path / "eq.db.lock", 60.0), []

    def write(who: str) -> None:
        with lock.held():
            order.append(who)

    with ThreadPoolExecutor(1) as pool:
        with lock.held():
            written = pool.submit(write, "who waited")
            while not lock._front.locked():
                time.sleep(0.001)
        write("who wrote before")
        written.result()
    assert order == ["who waited", "who wrote before"]

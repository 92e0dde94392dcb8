"""Control may be killed, hung, crash-looping, mute or mad: no byte of the traffic changes, and no request fails."""

import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from middleware.records.relay import DeploymentMatch, Tap
from tests.e2e.traffic.wire import ThreadedUpstream, Wire, wait_until

CONTROL = Path(__file__).with_name("control_process.py")
MIB = 1024 * 1024
STREAM = (
    b"".join(b'%x\r\ndata: {"n": %d}\n\n\r\n' % (len(b'data: {"n": %d}\n\n' % n), n) for n in range(20)) + b"0\r\n\r\n"
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
BODY = b'{"model": "m", "stream": true, "messages": [{"role": "user", "content": "' + b"sad " * 500 + b'"}]}'
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: c\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    b"x-eqwatch-conversation: c-1\r\n\r\n" % len(BODY) + BODY
)


def command(how: str, path: str = "") -> list[str]:
    """What the relay runs as its control."""
    return [sys.executable, "-P", str(CONTROL), how, path]


def serve(wire: Wire) -> None:
    """Stream the same events to every request that arrived whole."""
    while True:
        seen = wire.read_request()
        assert seen.body == BODY
        wire.send(HEAD)
        for at in range(0, len(STREAM), 200):
            wire.send(STREAM[at : at + 200])


class Load:
    """Streams that run side by side, each held against what the upstream sends; failures are kept."""

    def __init__(self, relay: Any, clients: int = 8) -> None:
        self._relay = relay
        self._stop = threading.Event()
        self.served = 0
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def _run(self) -> None:
        client = self._relay.dial()
        while not self._stop.is_set():
            try:
                client.send(REQUEST)
                answer = client.read_head().head
                stream = client.read(len(STREAM))
            except (OSError, AssertionError) as error:
                self.failures.append(repr(error))
                return
            if answer != HEAD or stream != STREAM:
                self.failures.append(f"changed: {answer!r}")
                return
            client.forget()
            self.served += 1

    def until(self, more: int) -> None:
        """Wait until that many more streams were served, or one failed."""
        target = self.served + more
        wait_until(lambda: self.failures or self.served >= target, what=f"{more} more streams", seconds=150)

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def loaded(start: Any, stack: Any) -> Any:
    """Starts a relay that taps everything, with the control that is named, in front of a streaming upstream."""

    def run(how: str, path: str = "", **parts: Any) -> Any:
        server = ThreadedUpstream(serve)
        stack.callback(server.close)
        relay, _ = start(
            target={"port": server.port},
            control=command(how, path),
            tap=Tap(rate=1.0),
            deployments=(DeploymentMatch("default", path_prefixes=("/v1",), tapped=True),),
            **parts,
        )
        return relay

    return run


def control_of(relay: Any, *, other_than: int = 0) -> psutil.Process:
    """The control process, once it runs."""

    def found() -> Any:
        with contextlib.suppress(psutil.NoSuchProcess):
            for member in relay.family()[1:]:
                if member.pid != other_than and str(CONTROL) in member.cmdline():
                    return member
        return None

    return wait_until(found, what="control runs")


@pytest.mark.parametrize("how", ["obedient", "silent", "deaf", "garbage", "flood", "exit"])
def test_traffic_does_not_notice(loaded: Any, how: str) -> None:
    """Control obeys, hangs, takes nothing, talks nonsense, floods or can't start: streams are whole, memory flat."""
    relay = loaded(how, awareness_header=how == "flood")
    if how == "garbage":
        relay.forgiven.add("observer_failed")
    with Load(relay) as load:
        load.until(200)
        before = relay.memory()
        load.until(1000)
    assert not load.failures
    assert relay.memory() - before < 32 * MIB
    assert relay.process.poll() is None


def test_control_killed_under_load(loaded: Any) -> None:
    """Control is killed again and again: it comes back each time, and no stream fails or changes."""
    relay = loaded("obedient")
    killed = 0
    with Load(relay) as load:
        load.until(100)
        for _ in range(3):
            control = control_of(relay, other_than=killed)
            killed = control.pid
            os.kill(killed, signal.SIGKILL)
            load.until(200)
        control_of(relay, other_than=killed)
    assert not load.failures


def test_control_stopped_under_load(loaded: Any) -> None:
    """Control is frozen under load and thawed: no stream fails or changes, memory stays flat meanwhile."""
    relay = loaded("obedient")
    with Load(relay) as load:
        load.until(100)
        control = control_of(relay)
        control.suspend()
        load.until(200)
        before = relay.memory()
        load.until(1500)
        assert relay.memory() - before < 32 * MIB
        control.resume()
        load.until(100)
    assert not load.failures


def test_a_control_that_cannot_start_is_tried_slowly(loaded: Any) -> None:
    """A control that ends at once is started anew with growing pauses: few attempts, little CPU, each one logged."""
    relay = loaded("exit")
    wait_until(lambda: len(relay.log_lines()) >= 3, what="the first attempts are logged")
    before = relay.cpu_seconds()
    lines = len(relay.log_lines())
    time.sleep(1.5)
    assert relay.cpu_seconds() - before < 0.5
    assert len(relay.log_lines()) - lines < 15
    assert relay.ask(REQUEST).read_head().head == HEAD


@pytest.mark.parametrize("how", ["silent", "deaf-to-term", "deaf"])
def test_nothing_outlives_the_relay(loaded: Any, how: str) -> None:
    """SIGTERM ends control with the relay, one that ignores the signal too; the code is 0."""
    relay = loaded(how)
    control = control_of(relay)
    relay.signal(signal.SIGTERM)
    assert relay.exit_code(40) == 0
    wait_until(lambda: not control.is_running(), what="control has ended")


def test_streams_do_not_wait_for_a_drain_of_control(loaded: Any) -> None:
    """A hung control does not keep open streams from finishing after SIGTERM."""
    relay = loaded("silent")
    control_of(relay)
    client = relay.ask(REQUEST)
    assert client.read_head().head == HEAD
    assert client.read(len(STREAM)) == STREAM
    relay.signal(signal.SIGTERM)
    relay.hang_up()
    assert relay.exit_code(40) == 0

"""A relay process between raw ends: `relay` and `upstream` share one default relay, `start` makes others.

Every test here is run against the sources and against the compiled relay of an installed wheel.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from middleware.records.relay import UpstreamTarget
from tests.e2e.traffic.relays import RelayProcess, start_relay
from tests.e2e.traffic.wire import Upstream


class Shared:
    """The relay with default settings that most tests of a worker share; started anew where a test broke it."""

    def __init__(self, folder: Path, installed: Path | None) -> None:
        self._folder = folder
        self._installed = installed
        self.upstream = Upstream()
        self.relay = self._start()

    def _start(self) -> RelayProcess:
        target = UpstreamTarget("http", "127.0.0.1", self.upstream.port)
        return start_relay(self._folder, target, installed=self._installed)

    def check(self) -> None:
        """After a test: everything that it opened is closed again, and the relay lives and complains of nothing."""
        self.relay.hang_up()
        self.upstream.hang_up()
        try:
            assert self.relay.process.poll() is None, "the relay died"
            self.relay.settle()
            self.upstream.hang_up()
            _no_complaint(self.relay)
        except AssertionError:
            self.relay.stop()
            self.upstream.close()
            self.upstream = Upstream()
            self.relay = self._start()
            raise


def _no_complaint(relay: RelayProcess) -> None:
    fine = {"debug", "info", "warning"}
    bad = [line for line in relay.log_lines() if line["level"] not in fine and line["event"] not in relay.forgiven]
    assert not bad, bad


@pytest.fixture(scope="session", params=["interpreted", "compiled"])
def installed(request: pytest.FixtureRequest) -> Path | None:
    """Where the product that is tested is installed; None for the sources."""
    return request.getfixturevalue("compiled_product") if request.param == "compiled" else None


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, installed: Path | None) -> Iterator[Shared]:
    """The shared relay and its upstream."""
    opened = Shared(tmp_path_factory.mktemp("relay"), installed)
    yield opened
    opened.relay.stop()
    opened.upstream.close()


@pytest.fixture
def _checked(shared: Shared) -> Iterator[None]:
    yield
    shared.check()


@pytest.fixture
def relay(shared: Shared, _checked: None) -> RelayProcess:
    """The shared relay; whatever a test leaves open there is a failure."""
    return shared.relay


@pytest.fixture
def upstream(shared: Shared) -> Upstream:
    """The shared relay's upstream."""
    return shared.upstream


@pytest.fixture
def refusing_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections, and that nobody else can take before the test ends."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Ends what the test started, in reverse order."""
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def start(stack: ExitStack, tmp_path: Path, installed: Path | None) -> Callable[..., tuple[RelayProcess, Upstream]]:
    """Starts a relay of the test's own, in front of an upstream of the test's own unless one is given."""

    def run(*, upstream: Upstream | None = None, target: dict[str, Any] | None = None, **parts: Any) -> Any:
        if upstream is None:
            upstream = Upstream()
        stack.callback(upstream.close)
        known = {"scheme": "http", "host": upstream.host, "port": upstream.port}
        if upstream.path:
            known = {"scheme": "http", "host": "upstream.test", "port": 80, "unix_socket": upstream.path}
        relay = start_relay(tmp_path, UpstreamTarget(**{**known, **(target or {})}), installed=installed, **parts)
        stack.callback(relay.stop)
        stack.callback(relay.hang_up)
        stack.callback(_no_complaint, relay)
        return relay, upstream

    return run

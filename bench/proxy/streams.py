"""Memory per open stream, and whether clients that leave end their upstream calls; each with a client of its own."""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.proxy import account
from bench.proxy.loads import HOLD_OPEN, Load, request_body
from bench.proxy.native import Mock, Native, finish_load
from bench.proxy.targets import Running

__all__ = ["CLIENTS", "LEAVE_SECONDS", "Cancellation", "cancelled", "open_stream_kib"]

CLIENTS = 20
LEAVE_SECONDS = 0.7
_SETTLE_SECONDS = 0.6
_ARRIVE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Cancellation:
    """How many of the upstream calls that were running ended within the time allowed; last_ms: when the last did."""

    cancelled: int
    running: int
    last_ms: float


def open_stream_kib(native: Native, running: Running, load: Load = HOLD_OPEN) -> float:
    """KiB of resident memory that an open stream costs: the peak with all streams open, less that of the idle proxy.

    Measured on a proxy that was just started: later, memory that earlier loads freed would hide the growth. Socket
    buffers live in the kernel and are not in here, for any proxy.
    """
    native.run_load(Load("warm", 16, 0.5, 0.0), running.port)
    idle = account.resident_kib(running.pids())
    process = native.start_load(load, running.port)
    peak = idle
    while process.poll() is None:
        peak = max(peak, account.resident_kib(running.pids()))
        time.sleep(0.2)
    figures = finish_load(process, load)
    if figures["errors"] or figures["stalled"] or figures["open"] < load.connections:
        raise RuntimeError(f"streams did not stay open: {figures}")
    return (peak - idle) / load.connections


def cancelled(mock: Mock, port: int, *, stream: bool) -> Cancellation:
    """Let 20 clients leave during a stream, or before any answer, and count the upstream calls that end with them."""
    body = request_body(stream=stream, wish="pace=50 chunks=600" if stream else "delay=30000")
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer sk-bench-0000000000\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    _wait(lambda: mock.stats()["active"] == 0, _ARRIVE_SECONDS)  # an earlier load may still be ending
    before = mock.stats()
    clients = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(CLIENTS)]
    try:
        for client in clients:
            client.sendall(head + body)
        _wait(lambda: mock.stats()["active"] - before["active"] >= CLIENTS, _ARRIVE_SECONDS)
        time.sleep(_SETTLE_SECONDS)
        running = mock.stats()["active"] - before["active"]
    finally:
        for client in clients:
            client.close()
    left = time.monotonic()
    _wait(lambda: mock.stats()["cancelled"] - before["cancelled"] >= CLIENTS, LEAVE_SECONDS)
    last_ms = (time.monotonic() - left) * 1000
    return Cancellation(mock.stats()["cancelled"] - before["cancelled"], running, last_ms)


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)

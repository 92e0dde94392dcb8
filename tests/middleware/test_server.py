"""The relay process as a whole: signals, and control killed, stopped and crashing beside live traffic."""

import contextlib
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

CONTROL = """
import os, socket, sys, time
from middleware.records.link import FrameBuffer, decode_from_relay, encode_frame
from middleware.records.exchange import Credit, Exchange, RelaySnapshot, SnapshotRequest
out = open(sys.argv[1], "a")
link = socket.socket(fileno=int(os.environ["EQWATCH_RELAY_FD"]))
print("control", os.getpid(), sys.stdin.read(), file=out, flush=True)
if "crash" in sys.argv: sys.exit(3)
link.sendall(encode_frame(Credit(1000)) + encode_frame(SnapshotRequest()))
frames = FrameBuffer()
link.settimeout(0.2)
while True:
    try:
        data = link.recv(65536)
    except TimeoutError:
        link.sendall(encode_frame(SnapshotRequest()))
        continue
    if not data:
        break
    for payload in frames.feed(data):
        record = decode_from_relay(payload)
        if isinstance(record, RelaySnapshot):
            requests = sum(value for one in record.counters if one.name == "requests_total" for _, value in one.values)
            print("RelaySnapshot requests", int(requests), file=out, flush=True)
        else:
            print("Exchange", record.status, file=out, flush=True)
print("eof", file=out, flush=True)
"""


class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hold = threading.Event()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if body == b"hold":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"1\r\na\r\n")
            self.hold.wait(30)
            self.wfile.write(b"1\r\nb\r\n0\r\n\r\n")
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def upstream():
    Upstream.hold.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_address[1]
    Upstream.hold.set()
    server.shutdown()
    thread.join()
    server.server_close()


class Process:
    """A relay process, its port, and what its control wrote."""

    def __init__(self, directory: Path, upstream_port: int, *, control: str = "", **config: object) -> None:
        self.notes = directory / "control.txt"
        script = directory / "a_control.py"
        script.write_text(CONTROL)
        settings: dict[str, object] = {
            "upstream": {"scheme": "http", "host": "127.0.0.1", "port": upstream_port},
            "listeners": [{"host": "127.0.0.1", "port": 0}],
            "tap": {"rate": 1.0},
            "deployments": [{"name": "default", "tapped": True}],
            "timeouts": {"drain": 20},
        } | config
        if control:
            settings["control_command"] = [sys.executable, str(script), str(self.notes), control]
            settings["control_stdin"] = "settings"
        path = directory / "relay.json"
        path.write_text(json.dumps(settings))
        self.log = directory / "relay.log"
        with self.log.open("w") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-P", "-m", "middleware.server", str(path)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        word, _, port = self.child.stdout.readline().split()
        assert word == "ready"
        self.port = int(port)

    def ask(self, body: bytes = b"hello") -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as client:
            client.sendall(
                b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
                + body
            )
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200")
        return answer.partition(b"\r\n\r\n")[2]

    def refuses(self) -> bool:
        """Whether nobody can connect."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=20).close()
        except ConnectionRefusedError:
            return True
        return False

    def noted(self, text: str, times: int = 1) -> str:
        """Wait until control has written this so often; all that it wrote."""
        return waited(lambda: self.read_notes(), lambda notes: notes.count(text) >= times)

    def read_notes(self) -> str:
        return self.notes.read_text() if self.notes.exists() else ""

    def control_pids(self) -> list[int]:
        return [int(line.split()[1]) for line in self.read_notes().splitlines() if line.startswith("control")]

    def logged(self) -> list[dict[str, object]]:
        """The whole lines of its log so far."""
        return [json.loads(line) for line in self.log.read_text().rpartition("\n")[0].splitlines()]


def waited(read, good):
    deadline = time.monotonic() + 60
    while not good(value := read()):
        assert time.monotonic() < deadline, value
        time.sleep(0.02)
    return value


@pytest.fixture
def start(tmp_path, upstream):
    started: list[Process] = []

    def begin(**config) -> Process:
        process = Process(tmp_path, upstream, **config)
        started.append(process)
        return process

    yield begin
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.child.kill()
        process.child.wait(30)
        process.child.stdout.close()


def test_control_gets_settings_exchanges_and_numbers(start):
    """Control reads its configuration from standard input and exchanges and snapshots from the inherited socket."""
    relay = start(control="run")
    relay.noted("RelaySnapshot")
    assert relay.ask() == b"hello"
    notes = relay.noted("Exchange 200")
    assert "settings" in notes


def test_control_killed_is_started_anew_and_traffic_goes_on(start):
    """SIGKILL of control costs no request; a new one comes up and gets exchanges again."""
    relay = start(control="run")
    relay.noted("RelaySnapshot")
    os.kill(relay.control_pids()[0], signal.SIGKILL)
    for _ in range(50):
        assert relay.ask() == b"hello"
    relay.noted("control", 2)
    relay.noted("RelaySnapshot", relay.read_notes().count("RelaySnapshot") + 1)
    before = relay.read_notes().count("Exchange")
    assert relay.ask() == b"hello"
    relay.noted("Exchange", before + 1)
    assert any(line["event"] == "worker_ended" and "-9" in str(line["reason"]) for line in relay.logged())


def test_control_stopped_delays_nothing_and_keeps_nothing(start):
    """A control that hangs gets no more than its credit; answers keep coming and the relay does not grow."""
    relay = start(control="run")
    relay.noted("RelaySnapshot")
    control = relay.control_pids()[0]
    os.kill(control, signal.SIGSTOP)
    try:
        for _ in range(20):
            relay.ask(b"x" * 10_000)
        grown = psutil.Process(relay.child.pid).memory_info().rss
        for _ in range(300):
            assert len(relay.ask(b"x" * 100_000)) == 100_000
        assert psutil.Process(relay.child.pid).memory_info().rss - grown < 48 << 20
    finally:
        os.kill(control, signal.SIGCONT)


def test_control_in_a_crash_loop_is_started_with_back_off(start):
    """A control that dies at once is tried again, later each time; the relay serves on."""
    relay = start(control="crash")
    relay.noted("control", 3)
    assert relay.ask() == b"hello"
    pauses = [line["restart_in_seconds"] for line in relay.logged() if line["event"] == "worker_ended"]
    assert pauses[:2] == [0.5, 1.0]


@pytest.mark.parametrize("stopped", [False, True])
def test_control_dies_with_the_relay(start, stopped):
    """SIGKILL of the relay leaves no control behind, not even one that is stopped."""
    relay = start(control="run")
    relay.noted("RelaySnapshot")
    control = psutil.Process(relay.control_pids()[0])
    if stopped:
        control.suspend()
    relay.child.kill()
    relay.child.wait(30)
    waited(lambda: control.is_running() and control.status() != psutil.STATUS_ZOMBIE, lambda alive: not alive)


def test_sigterm_lets_a_stream_finish(start):
    """The listener closes, the stream ends cleanly, control ends, the exit code is 0."""
    relay = start(control="run")
    relay.noted("RelaySnapshot")
    with socket.create_connection(("127.0.0.1", relay.port), timeout=20) as client:
        client.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nhold")
        got = b""
        while not got.endswith(b"a\r\n"):
            got += client.recv(100)
        relay.child.send_signal(signal.SIGTERM)
        waited(relay.logged, lambda lines: any(line["event"] == "draining" for line in lines))
        waited(relay.refuses, bool)  # what is logged is done a moment later
        Upstream.hold.set()
        while part := client.recv(100):
            got += part
    assert got.endswith(b"1\r\nb\r\n0\r\n\r\n")
    assert relay.child.wait(60) == 0
    control = relay.control_pids()[0]
    waited(lambda: psutil.pid_exists(control), lambda alive: not alive)


def test_a_second_signal_ends_at_once(start):
    """Whoever signals twice does not wait for the drain."""
    relay = start()
    with socket.create_connection(("127.0.0.1", relay.port), timeout=20) as client:
        client.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nhold")
        assert client.recv(100)
        relay.child.send_signal(signal.SIGTERM)
        waited(relay.logged, lambda lines: any(line["event"] == "draining" for line in lines))
        relay.child.send_signal(signal.SIGTERM)
        assert relay.child.wait(30) == 1


def siblings_of(parent: psutil.Process) -> list[psutil.Process]:
    """The other relay processes that live."""
    found = []
    for child in parent.children():
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie is one
            if "middleware.server" in child.cmdline():
                found.append(child)
    return found


def test_workers_share_port_control_and_numbers(start):
    """Two processes serve one port; one control gets exchanges and summed numbers of both, one's death included."""
    relay = start(control="run", workers=2)
    relay.noted("RelaySnapshot")
    parent = psutil.Process(relay.child.pid)
    (sibling,) = waited(lambda: siblings_of(parent), lambda found: len(found) == 1)
    asked = 0
    while not any(connection.status == "ESTABLISHED" for connection in sibling.net_connections()):
        assert relay.ask() == b"hello"
        asked += 1
        assert asked < 10_000, "the sibling serves nothing"
    # Its numbers come on the link on which its credit came: from here on its exchanges come as well.
    relay.noted(f"RelaySnapshot requests {asked}\n")
    before = relay.read_notes().count("Exchange 200")
    for number in range(1, 21):
        assert relay.ask() == b"hello"
        relay.noted("Exchange 200", before + number)
    whole = f"RelaySnapshot requests {asked + 20}\n"
    relay.noted(whole)
    sibling.kill()
    waited(lambda: siblings_of(parent), lambda found: len(found) == 1 and found[0].pid != sibling.pid)
    relay.noted(whole, relay.read_notes().count(whole) + 2)
    relay.child.send_signal(signal.SIGTERM)
    assert relay.child.wait(60) == 0


def test_an_unusable_file_is_said_and_refused(tmp_path):
    """What can't be run ends with code 2 and one line that says why."""
    bad = tmp_path / "bad.json"
    bad.write_text('{"upstream": {"scheme": "http", "host": "a", "port": "many"}}')
    done = subprocess.run(
        [sys.executable, "-P", "-m", "middleware.server", str(bad)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "port" in done.stderr
    assert "Traceback" not in done.stderr

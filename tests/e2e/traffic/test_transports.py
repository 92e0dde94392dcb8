"""TCP, Unix sockets, IPv6, TLS to the upstream, and several processes on one port."""

import json
import signal
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
import trustme

from middleware.records.relay import Listener
from tests.e2e.traffic.wire import ThreadedUpstream, Upstream, Wire, wait_until

GET = b"GET /v1/models HTTP/1.1\r\nHost: c\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def passes(relay: Any, upstream: Any, *, listener: int = 0, host: bytes = b"") -> None:
    """An exchange and a streamed chunk pass."""
    client = relay.dial(listener=listener).send(GET)
    wire = upstream.accept()
    seen = wire.read_head()
    assert seen.values(b"host") == [host or upstream.authority]
    wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    client.read_head()
    assert client.read_chunk() == b"hello"
    wire.send(b"0\r\n\r\n")
    assert client.read_chunk() == b""


def test_unix_sockets_on_both_sides(start: Any, tmp_path: Path) -> None:
    """Clients reach a Unix listener, the upstream is a Unix socket; both work beside a TCP listener."""
    upstream = Upstream(path=str(tmp_path / "up"))
    listeners = (Listener(path=str(tmp_path / "down")), Listener(port=0))
    relay, _ = start(upstream=upstream, listeners=listeners)
    assert relay.addresses[0] == (str(tmp_path / "down"), 0)
    passes(relay, upstream, listener=0, host=b"upstream.test")
    relay.hang_up()
    upstream.hang_up()
    passes(relay, upstream, listener=1, host=b"upstream.test")
    upstream.hang_up()
    relay.signal(signal.SIGTERM)
    relay.hang_up()
    assert relay.exit_code() == 0


def test_a_stale_unix_socket_is_no_obstacle(start: Any, tmp_path: Path) -> None:
    """A relay that was killed leaves its socket file behind; the next one starts on the same path."""
    path = str(tmp_path / "down")
    first, upstream = start(listeners=(Listener(path=path),))
    first.signal(signal.SIGKILL)
    first.exit_code()
    second, _ = start(upstream=upstream, listeners=(Listener(path=path),))
    passes(second, upstream)


def test_a_missing_unix_upstream_is_502(start: Any, tmp_path: Path) -> None:
    """A Unix upstream that is not there is 502, and is found as soon as it is."""
    path = str(tmp_path / "up")
    upstream = Upstream()
    relay, _ = start(upstream=upstream, target={"unix_socket": path})
    answer = relay.ask(GET).read_answer()
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (502, "upstream_unreachable")
    late = Upstream(path=path)
    passes(relay, late, host=upstream.authority)
    late.close()


def test_ipv6(start: Any) -> None:
    """Both sides speak IPv6, and the upstream's Host has its brackets."""
    try:
        upstream = Upstream("::1")
    except OSError as error:
        pytest.skip(f"no IPv6 on loopback: {error}")
    relay, _ = start(upstream=upstream, listeners=(Listener(host="::1", port=0),))
    passes(relay, upstream)


def test_default_port_is_not_named(start: Any) -> None:
    """A Host with the scheme's own port has no port; any other has it."""
    path_upstream = Upstream()
    relay, _ = start(upstream=path_upstream, target={"host": "localhost"})
    client = relay.ask(GET)
    wire = path_upstream.accept()
    assert wire.read_head().values(b"host") == [f"localhost:{path_upstream.port}".encode()]
    wire.send(PLAIN)
    assert client.read_answer().status == 200


class Tls:
    """A certificate authority, and upstreams that it vouches for."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.ca_file = str(folder / "ca.pem")
        self.authority.cert_pem.write_to_path(self.ca_file)
        self._folder = folder
        self.names: list[str | None] = []

    def upstream(self, name: str = "localhost", *, client_certificates: bool = False) -> Upstream:
        """An upstream with a certificate for that name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(context)
        context.sni_callback = lambda _sock, asked, _context: self.names.append(asked)
        if client_certificates:
            context.verify_mode = ssl.CERT_REQUIRED
            self.authority.configure_trust(context)
        return Upstream("127.0.0.1", tls=context)

    def client_files(self, authority: trustme.CA | None = None) -> dict[str, str]:
        """Settings that name a client certificate."""
        made = (authority or self.authority).issue_cert("eqwatch-client")
        certificate, key = str(self._folder / "client.pem"), str(self._folder / "client.key")
        made.cert_chain_pems[0].write_to_path(certificate)
        made.private_key_pem.write_to_path(key)
        return {"client_certificate": certificate, "client_key": key}


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    """A certificate authority of the test's own."""
    return Tls(tmp_path)


def test_tls_with_a_ca_file(start: Any, tls: Tls) -> None:
    """An upstream whose certificate the CA file vouches for is spoken to, and is told the name that is meant."""
    upstream = tls.upstream()
    relay, _ = start(upstream=upstream, target={"scheme": "https", "host": "localhost", "ca_file": tls.ca_file})
    passes(relay, upstream, host=f"localhost:{upstream.port}".encode())
    assert tls.names == ["localhost"]


def test_tls_to_an_address(start: Any, tls: Tls) -> None:
    """A certificate for an IP address does for an upstream that is named by it."""
    upstream = tls.upstream("127.0.0.1")
    relay, _ = start(upstream=upstream, target={"scheme": "https", "ca_file": tls.ca_file})
    passes(relay, upstream)


def test_tls_with_another_server_name(start: Any, tls: Tls) -> None:
    """The configured server name is what is asked for and what the certificate is held against."""
    upstream = tls.upstream("chat.internal.test")
    target = {"scheme": "https", "ca_file": tls.ca_file, "server_name": "chat.internal.test"}
    relay, _ = start(upstream=upstream, target=target)
    client = relay.ask(GET)
    wire = upstream.accept()
    wire.read_head()
    wire.send(PLAIN)
    assert client.read_answer().status == 200
    assert tls.names == ["chat.internal.test"]


def test_tls_with_a_client_certificate(start: Any, tls: Tls) -> None:
    """The client certificate is shown to an upstream that wants one."""
    upstream = tls.upstream(client_certificates=True)
    target = {"scheme": "https", "host": "localhost", "ca_file": tls.ca_file, **tls.client_files()}
    relay, _ = start(upstream=upstream, target=target)
    passes(relay, upstream, host=f"localhost:{upstream.port}".encode())


@pytest.mark.parametrize("why", ["wrong-name", "unknown-authority", "no-tls", "no-client-certificate"])
def test_tls_that_proves_nothing_is_refused(start: Any, tls: Tls, why: str) -> None:
    """A wrong name, an unknown authority, no TLS at all, or no certificate for an upstream that wants one: 502."""
    target = {"scheme": "https", "host": "localhost", "ca_file": tls.ca_file}
    upstream = tls.upstream("other.test" if why == "wrong-name" else "localhost", client_certificates="client" in why)
    if why == "unknown-authority":
        target["ca_file"] = ""
    if why == "no-tls":
        upstream.close()
        upstream = Upstream()
    heard: list[bytes] = []

    def serve() -> None:
        try:
            wire = upstream.accept()
            if why == "no-tls":
                wire.read(5)
                wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                wire.close()
                return
            heard.append(wire.read_rest()[0])
        except (OSError, AssertionError):
            return

    server = threading.Thread(target=serve)
    relay, _ = start(upstream=upstream, target=target)
    server.start()
    answer = relay.ask(b"GET / HTTP/1.1\r\nHost: c\r\nAuthorization: Bearer sk-secret\r\n\r\n").read_answer()
    assert answer.status == 502
    assert json.loads(answer.body)["error"]["code"] in {"upstream_unreachable", "upstream_closed"}
    upstream.close()
    server.join()
    assert not any(b"sk-secret" in said for said in heard)


def test_a_tls_stream_that_is_cut_is_not_whole(start: Any, tls: Tls) -> None:
    """A TLS upstream whose TCP connection ends in mid-stream ends the client's stream uncleanly."""
    upstream = tls.upstream()
    relay, _ = start(upstream=upstream, target={"scheme": "https", "host": "localhost", "ca_file": tls.ca_file})
    client = relay.ask(GET)
    wire = upstream.accept()
    wire.read_head()
    wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    client.read_head()
    assert client.read_chunk() == b"hello"
    raw = socket.socket(fileno=wire.sock.detach())
    raw.shutdown(socket.SHUT_RDWR)
    raw.close()
    assert client.read_rest()[0] == b""


def test_megabytes_over_tls(start: Any, tls: Tls) -> None:
    """Ten megabytes each way over TLS arrive unchanged."""
    upstream = tls.upstream()
    relay, _ = start(upstream=upstream, target={"scheme": "https", "host": "localhost", "ca_file": tls.ca_file})
    data = bytes(range(256)) * 40_000
    client = relay.dial()
    head = b"POST / HTTP/1.1\r\nHost: c\r\nContent-Length: %d\r\n\r\n" % len(data)
    writer = threading.Thread(target=lambda: client.send(head + data))
    writer.start()
    wire = upstream.accept()
    assert wire.read_request().body == data
    writer.join()
    writer = threading.Thread(
        target=lambda: wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
    )
    writer.start()
    assert client.read_answer().body == data
    writer.join()


@pytest.mark.parametrize("setting", ["ca_file", "client_certificate"])
def test_a_missing_tls_file_refuses_to_start(start: Any, setting: str) -> None:
    """A TLS file that is not there ends the start with code 2 and a message, not the first request."""
    with pytest.raises(AssertionError, match=r"ended with 2"):
        start(target={"scheme": "https", setting: "/no/such/file.pem"})


def answering(wire: Wire) -> None:
    """Answer requests until the connection ends."""
    while True:
        wire.read_request()
        wire.send(PLAIN)


def two_workers(start: Any, stack: Any) -> Any:
    """A relay of two processes in front of an upstream that answers, both listening."""
    server = ThreadedUpstream(answering)
    stack.callback(server.close)
    relay, _ = start(target={"port": server.port}, workers=2)
    wait_until(lambda: listening(relay) == 2, what="both workers listen")
    return relay


def listening(relay: Any) -> int:
    """How many processes have said that they listen, those that ended since included."""
    return sum(line["event"] == "listening" for line in relay.log_lines())


def test_several_processes_on_one_port(start: Any, stack: Any) -> None:
    """Two workers share the port: both serve, SIGTERM drains both, and nobody is left."""
    relay = two_workers(start, stack)
    clients = [relay.ask(GET) for _ in range(64)]
    assert [client.read_answer().status for client in clients] == [200] * 64

    def serving() -> int:
        port = relay.addresses[0][1]
        return sum(
            any(c.laddr.port == port and c.status == psutil.CONN_ESTABLISHED for c in member.net_connections())
            for member in relay.family()
        )

    assert serving() == 2
    family = relay.family()
    relay.hang_up()
    relay.signal(signal.SIGTERM)
    assert relay.exit_code() == 0
    wait_until(lambda: not any(member.is_running() for member in family), what="every worker has ended")


def test_a_killed_worker_is_replaced(start: Any, stack: Any) -> None:
    """A worker that is killed takes only its own streams with it; it is started anew and the port goes on serving."""
    relay = two_workers(start, stack)
    worker = relay.family()[1]
    worker.kill()
    wait_until(lambda: listening(relay) == 3, what="the worker is replaced")
    assert worker.pid not in [member.pid for member in relay.family()]

    def all_served() -> bool:
        try:
            clients = [relay.ask(GET) for _ in range(20)]
            return all(client.read_answer().status == 200 for client in clients)
        except (OSError, AssertionError):
            return False
        finally:
            relay.hang_up()

    wait_until(all_served, what="the port serves")

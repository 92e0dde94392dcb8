"""One attempt: where it connects to, what it never does, and what each kind of failure is called."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from middleware.webhooks.addresses import networks
from middleware.webhooks.receiver import Answer, Receiver

LOOPBACK = networks(("127.0.0.0/8",))


def post(url: str, **settings: Any) -> Answer:
    """One attempt at this URL."""

    async def attempt() -> Answer:
        receiver = Receiver(url, **{"allowed": LOOPBACK, "timeout_seconds": 60.0, **settings})
        try:
            return await receiver.post({"webhook-id": "msg_1"}, b'{"a":1}')
        finally:
            await receiver.aclose()

    return asyncio.run(attempt())


def resolving(*addresses: str) -> Callable[[str, int], Any]:
    """A resolver that gives these addresses for every name."""

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return resolve


def test_a_message_arrives_as_it_was_signed(inbox: Any) -> None:
    """Body, path and query unchanged, a plain JSON request, no connection kept."""
    assert post(inbox.url + "?a=%2Fb") == Answer("", 200)
    [(path, headers, body)] = inbox.requests
    assert (path, body) == ("/hook?a=%2Fb", b'{"a":1}')
    assert headers["webhook-id"] == "msg_1"
    assert (headers["content-type"], headers["connection"]) == ("application/json", "close")
    assert headers["host"] in inbox.url
    assert "cookie" not in headers


def test_loopback_is_refused_unless_it_is_named(inbox: Any) -> None:
    """By number and by name, nothing is sent."""
    assert post(inbox.url, allowed=()).reason == "address_refused"
    assert post(inbox.url.replace("127.0.0.1", "localhost"), allowed=()).reason == "address_refused"
    assert inbox.requests == []


def test_a_name_that_points_inside_is_refused_when_it_is_connected_to(inbox: Any) -> None:
    """DNS rebinding: the name was fine before; what counts is the address of this attempt, and any of several."""
    url = inbox.url.replace("127.0.0.1", "rebound.example").replace("http:", "https:")
    assert post(url, allowed=(), resolve=resolving("127.0.0.1")).reason == "address_refused"
    assert post(url, allowed=(), resolve=resolving("93.184.216.34", "10.0.0.1")).reason == "address_refused"
    assert post(url, allowed=(), resolve=resolving()).reason == "address_refused"
    assert inbox.requests == []


def test_the_checked_address_is_the_one_that_is_connected_to(inbox: Any) -> None:
    """The name is not resolved a second time: it has no address at all outside this test, and stays in Host."""
    url = inbox.url.replace("127.0.0.1", "no-such-name.invalid")
    assert post(url, resolve=resolving("127.0.0.1")) == Answer("", 200)
    assert inbox.requests[0][1]["host"].startswith("no-such-name.invalid:")


def test_redirects_are_not_followed(inbox: Any) -> None:
    """Not even to the same host: a redirect is a failure."""
    inbox.answers, inbox.headers = [307], {"location": inbox.url + "/elsewhere"}
    assert post(inbox.url) == Answer("redirect", 307)
    assert len(inbox.requests) == 1


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (204, ""),
        (400, "client_error"),
        (404, "client_error"),
        (410, "gone"),
        (429, "rate_limited"),
        (503, "server_error"),
    ],
)
def test_each_answer_has_its_name(inbox: Any, status: int, reason: str) -> None:
    """From a closed set."""
    inbox.answers = [status]
    assert post(inbox.url) == Answer(reason, status)


def test_a_wait_that_is_asked_for_is_known(inbox: Any) -> None:
    """Retry-After in seconds, and two hours of it at most."""
    inbox.answers, inbox.headers = [429, 503], {"retry-after": "40"}
    assert post(inbox.url).wait_seconds == 40
    inbox.headers = {"retry-after": "9999999"}
    assert post(inbox.url).wait_seconds == 7200


def test_a_receiver_that_hangs_is_left_in_time(inbox: Any) -> None:
    """The limit is on the whole attempt."""
    inbox.answers = ["hang"]
    assert post(inbox.url, timeout_seconds=0.3).reason == "timeout"


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection is a failure with a name, and so is a host without an address."""
    assert post("http://127.0.0.1:9/").reason == "connect"

    def unknown(
        *_arguments: object, **_named: object
    ) -> None:  # whatever this machine's resolver would do, or how slowly
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert post("http://no-such-name.invalid/").reason == "connect"


def test_tls_is_verified_against_the_name(tmp_path: Path) -> None:
    """The connection goes to an address, the certificate has to be the name's; another one is refused."""
    authority = trustme.CA()
    certificate = authority.issue_cert("hooks.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    got: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.headers["host"])
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
            pass

    class Quiet(HTTPServer):
        def handle_error(self, *_: object) -> None:
            pass

    with Quiet(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            port, settings = server.server_address[1], {"resolve": resolving("127.0.0.1")}
            trusted = {**settings, "ca_file": str(tmp_path / "ca.pem")}
            assert post(f"https://hooks.example:{port}/", **trusted) == Answer("", 200)
            assert post(f"https://other.example:{port}/", **trusted).reason == "tls"
            assert post(f"https://hooks.example:{port}/", **settings).reason == "tls"
        finally:
            server.shutdown()
            thread.join()
    assert got == [f"hooks.example:{port}"]

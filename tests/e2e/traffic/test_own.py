"""What the relay says by itself: two paths of its own and few errors; and what it never says."""

import contextlib
import json
from typing import Any

import pytest

from middleware.proxy.errors import Refusal
from middleware.records.relay import DeploymentMatch, Limits, Timeouts

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
KEY = b"sk-canary-7f3a91"
TEXT = b"canary: I feel hopeless"


@pytest.mark.parametrize("path", [b"/-/eqwatch/live", b"/-/eqwatch/ready"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_own_paths(relay: Any, upstream: Any, path: bytes, method: bytes) -> None:
    """Liveness and readiness are answered by the relay itself, again and again; the upstream hears nothing."""
    client = relay.dial()
    for _ in range(3):
        client.send(method + b" " + path + b" HTTP/1.1\r\nHost: c\r\n\r\n")
        assert client.read_answer(bodiless=method == b"HEAD").status == 200
    assert not upstream.pending()


def test_own_paths_do_without_the_upstream(start: Any, refusing_port: int) -> None:
    """Both paths answer while the upstream is down: its health takes no pod out of service."""
    relay, _ = start(target={"port": refusing_port}, limits=Limits(upstream_connections=1))
    for path in (b"/-/eqwatch/live", b"/-/eqwatch/ready"):
        assert relay.ask(b"GET " + path + b" HTTP/1.1\r\nHost: c\r\n\r\n").read_answer().status == 200


@pytest.mark.parametrize(
    "path", [b"/-/eqwatch", b"/-/eqwatch/metrics", b"/-/eqwatch/livex", b"/-/healthy", b"/metrics"]
)
def test_no_other_path_is_taken(relay: Any, upstream: Any, path: bytes) -> None:
    """Every other path belongs to the upstream, those beside our own included."""
    client = relay.ask(b"GET " + path + b" HTTP/1.1\r\nHost: c\r\n\r\n")
    wire = upstream.accept()
    assert wire.read_head().first_line == b"GET " + path + b" HTTP/1.1"
    wire.send(PLAIN)
    assert client.read_answer().body == b"ok"


def test_own_paths_keep_the_order_of_a_pipeline(relay: Any, upstream: Any) -> None:
    """A liveness probe that is pipelined behind a request is answered after it."""
    client = relay.ask(b"GET / HTTP/1.1\r\nHost: c\r\n\r\nGET /-/eqwatch/live HTTP/1.1\r\nHost: c\r\n\r\n")
    wire = upstream.accept()
    wire.read_head()
    wire.send(PLAIN)
    assert client.read_answer().body == b"ok"
    assert client.read_answer().status == 200


def test_codes_are_few_and_stable() -> None:
    """The statuses and codes that clients may rely on are exactly these."""
    assert {(refusal.status, refusal.code) for refusal in Refusal} == {
        (400, "bad_request"),
        (400, "bad_target"),
        (400, "bad_host"),
        (400, "bad_framing"),
        (400, "request_timeout"),
        (413, "body_too_large"),
        (431, "head_too_large"),
        (501, "upgrade_unsupported"),
        (502, "upstream_unreachable"),
        (502, "upstream_closed"),
        (502, "upstream_protocol"),
        (503, "relay_connections"),
        (503, "upstream_connections"),
        (503, "relay_exhausted"),
        (504, "upstream_connect_timeout"),
        (504, "upstream_timeout"),
    }


def provoked(start: Any, refusing_port: int) -> tuple[Any, bytes]:
    """A relay that was made to log and to refuse in every way it can, with secrets in each request; what it said."""
    relay, upstream = start(
        access_log=True,
        timeouts=Timeouts(first_byte=0.3, body=0.3, idle=0.3),
        limits=Limits(head_bytes=4096, body_bytes=1000),
        deployments=(DeploymentMatch("tutor", key_ids=("0" * 16,), tapped=True),),
        key_salt=b"0123456789abcdef",
    )
    secret = b"Host: c\r\nAuthorization: Bearer " + KEY + b"\r\nx-api-key: " + KEY + b"\r\nCookie: s=" + KEY + b"\r\n"
    post = b"POST /v1/chat/completions?api_key=" + KEY + b" HTTP/1.1\r\n" + secret
    sized = post + b"Content-Length: %d\r\n\r\n" % len(TEXT) + TEXT
    said = b""
    for answer in (PLAIN, b"junk " + TEXT + b"\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + TEXT, b""):
        client = relay.ask(sized)
        wire = upstream.accept()
        wire.read_request()
        with contextlib.suppress(ConnectionError):  # the relay's patience is short, and may be at its end
            wire.send(answer)
        if answer.startswith(b"HTTP"):
            client.read_head()
        else:
            said += bytes(client.read_answer().head + client.received)
        client.close()
        wire.close()
    for bad in (
        post + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + TEXT,
        post + b"X" * 5000 + b"\r\n\r\n",
        post + b"Content-Length: 2000\r\n\r\n" + TEXT,
        post + KEY + b" bad: " + TEXT + b"\r\n\r\n",
        b"GET http://" + KEY + b"@evil/ HTTP/1.1\r\n" + secret + b"\r\n",
        post + b"Connection: upgrade\r\nUpgrade: " + KEY + b"\r\n\r\n",
        sized[:-3],
    ):
        client = relay.ask(bad)
        said += client.read_rest()[0]
        client.close()
    upstream.close()
    client = relay.ask(sized)
    said += client.read_answer().body
    return relay, said


def test_no_secret_is_ever_told(start: Any, refusing_port: int) -> None:
    """With the access log on, no key, query or text of a conversation is in any log line or error of the relay's."""
    relay, said = provoked(start, refusing_port)
    relay.stop()
    log = relay.log.read_bytes()
    assert log.count(b'"request"') >= 5
    for secret in (KEY, TEXT, b"canary"):
        assert secret not in log
        assert secret not in said
    for line in relay.log_lines():
        assert "?" not in json.dumps(line)


def test_the_access_log_is_off_by_default(relay: Any, upstream: Any) -> None:
    """Without the setting no request leaves a line."""
    client = relay.ask(b"GET /v1/models HTTP/1.1\r\nHost: c\r\n\r\n")
    wire = upstream.accept()
    wire.read_head()
    wire.send(PLAIN)
    client.read_answer()
    assert [line["event"] for line in relay.log_lines()] == ["listening"]

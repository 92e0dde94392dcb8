"""Who may do what on the admin listener."""

import base64

import pytest

from middleware.admin import Access
from middleware.errors import ConfigurationError

READ, OPERATE = "read-token-0123456789", "operate-token-0123456789"
LOCKED = Access.for_listener("0.0.0.0:8081", read_token=READ, operate_token=OPERATE)
OPEN = Access.for_listener("127.0.0.1:8081")
HOST = {"host": "127.0.0.1:8081"}


def bearer(token: str) -> dict[str, str]:
    """The headers of a client with that token."""
    return {"host": "monitor.internal:8081", "authorization": f"Bearer {token}"}


def basic(token: str) -> dict[str, str]:
    """The headers of a browser that was asked for a password."""
    return {**HOST, "authorization": "Basic " + base64.b64encode(f"anyone:{token}".encode()).decode()}


@pytest.mark.parametrize("listen", ["0.0.0.0:8081", "[::]:8081", "192.0.2.7:8081", "monitor.internal:8081", ":8081"])
def test_an_open_door_to_the_network_refuses_to_start(listen):
    """Without a token nothing but loopback is listened on, and the error says what to set."""
    with pytest.raises(ConfigurationError, match="EQWATCH_ADMIN_TOKEN"):
        Access.for_listener(listen)
    assert not Access.for_listener(listen, read_token=READ).open


@pytest.mark.parametrize(
    "listen", ["127.0.0.1:8081", "[::1]:8081", "localhost:0", "127.0.0.7:1", "unix:/run/eqwatch.sock"]
)
def test_loopback_needs_no_token(listen):
    """On this machine alone, reading and operating are open."""
    access = Access.for_listener(listen)
    assert access.refusal("GET", "/metrics", HOST) is None
    assert access.refusal("POST", "/api/v1/benchmark/pause", HOST) is None


@pytest.mark.parametrize(
    ("method", "path", "token", "status"),
    [
        ("GET", "/metrics", READ, None),
        ("GET", "/metrics", OPERATE, None),
        ("GET", "/metrics", "wrong", 401),
        ("GET", "/metrics", "", 401),
        ("POST", "/api/v1/conversations/lookup", READ, None),
        ("POST", "/api/v1/benchmark/pause", READ, 403),
        ("POST", "/api/v1/benchmark/pause", OPERATE, None),
        ("POST", "/api/v1/benchmark/pause", "wrong", 401),
        ("DELETE", "/no/such/path", READ, 403),
        ("GET", "/no/such/path", "", 401),
    ],
)
def test_scopes(method, path, token, status):
    """Reading needs the read scope, everything else operate; operate may read; unknown paths are no exception."""
    refusal = LOCKED.refusal(method, path, bearer(token))
    assert (refusal.status if refusal else None) == status


def test_a_scope_without_a_token_is_closed():
    """With only a read token nobody operates, with only an operate token it reads as well; empty never matches."""
    reading = Access.for_listener("127.0.0.1:0", read_token=READ)
    assert reading.refusal("POST", "/api/v1/benchmark/pause", bearer("")).status == 401
    assert reading.refusal("POST", "/api/v1/benchmark/pause", bearer(READ)).status == 403
    operating = Access.for_listener("127.0.0.1:0", operate_token=OPERATE)
    assert operating.refusal("GET", "/", bearer(OPERATE)) is None
    assert operating.refusal("GET", "/", bearer("")).status == 401


def test_browsers_read_with_a_password_and_never_operate_with_it():
    """Basic credentials are added by browsers unasked, so they open nothing but reading."""
    assert LOCKED.refusal("GET", "/", basic(READ)) is None
    assert LOCKED.refusal("GET", "/", basic("wrong")).status == 401
    assert LOCKED.refusal("POST", "/api/v1/benchmark/pause", basic(OPERATE)).status == 401
    assert LOCKED.refusal("GET", "/", {**HOST, "authorization": "Basic not!base64"}).status == 401


@pytest.mark.parametrize(
    ("host", "passes"),
    [
        ("localhost:8081", True),
        ("LOCALHOST", True),
        ("[::1]:8081", True),
        ("127.0.0.1", True),
        ("attacker.example:8081", False),
        ("127.0.0.1.attacker.example", False),
        ("localhost.attacker.example", False),
        ("[2001:db8::1]:8081", False),
        ("", False),
    ],
)
def test_rebound_names_are_refused(host, passes):
    """A name that somebody pointed at loopback does not open it; with a token the name does not matter."""
    refusal = OPEN.refusal("GET", "/metrics", {"host": host})
    assert (refusal is None) == passes
    assert passes or refusal.status == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://attacker.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("access", [OPEN, LOCKED], ids=["open", "token"])
def test_other_sites_can_not_post(access, headers):
    """A page elsewhere can't change or look up anything, whatever the browser adds."""
    given = {**HOST, "authorization": f"Bearer {OPERATE}", **headers}
    for path in ("/api/v1/benchmark/pause", "/api/v1/conversations/lookup"):
        assert access.refusal("POST", path, given).status == 403


def test_the_own_page_may_post():
    """The same origin is not another site."""
    given = {**HOST, "origin": "http://127.0.0.1:8081", "sec-fetch-site": "same-origin"}
    assert OPEN.refusal("POST", "/api/v1/benchmark/pause", given) is None

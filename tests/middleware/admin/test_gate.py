"""Nothing is served around the gate, and what passes it can hurt nobody."""

import asyncio
import re

import pytest
from fastapi.routing import iter_route_contexts

from middleware.admin import Access, create_app

READ, OPERATE = "read-token-0123456789", "operate-token-0123456789"
FILLERS = {
    "deployment": "tutor",
    "run_id": "run-1",
    "conversation": "conv-1",
    "alarm": "7",
    "name": "status.css",
    "item_set": "tutoring",
    "item_id": "i-1",
}
FILLERS |= {"message": "msg_1", "item_set": "tutoring", "item_id": "i-1"}
READING_POSTS = {"/api/v1/conversations/lookup"}
INGEST = "ingest-token-0123456789"
INGESTING_POSTS = {"/api/v1/exchanges", "/api/v1/observations", "/v1/traces"}


def routes(state) -> list[tuple[str, str]]:
    """Every method and path of the app, parameters filled in."""
    app = create_app(state)
    return [
        (method, re.sub(r"{(\w+)(?::path)?}", lambda match: FILLERS[match[1]], context.path))
        for context in iter_route_contexts(app.routes)
        for method in sorted(context.methods)
    ]


@pytest.fixture
def locked(serve):
    """A server with all tokens."""
    tokens = {"read_token": READ, "operate_token": OPERATE, "ingest_token": INGEST}
    return serve(access=Access.for_listener("0.0.0.0:8081", **tokens))


def test_every_route_needs_a_token(locked):
    """Default deny, proved by walking every route: nothing without a token, only reading with the read token."""
    walked = routes(locked.state)
    assert len(walked) >= 18
    with locked.client() as nobody, locked.client(authorization=f"Bearer {READ}") as reader:
        for method, path in [*walked, ("GET", "/docs"), ("GET", "/redoc"), ("PUT", "/metrics"), ("GET", "/nowhere")]:
            refused = nobody.request(method, path)
            assert refused.status_code == 401, (method, path)
            assert "Bearer" in refused.headers["www-authenticate"]
            # Kept content is what only an operator may see.
            operates = path.endswith("/content") or (method not in {"GET", "HEAD"} and path not in READING_POSTS)
            if path != "/api/v1/events":
                assert (reader.request(method, path).status_code == 403) == operates, (method, path)


def test_the_ingest_token_opens_nothing_but_handing_in(locked):
    """Every route again: what may report must not read what is known, nor change it."""
    with locked.client(authorization=f"Bearer {INGEST}") as pod:
        for method, path in [*routes(locked.state), ("GET", "/nowhere"), ("POST", "/nowhere")]:
            passes = method == "POST" and path in INGESTING_POSTS
            assert (pod.request(method, path).status_code == 403) != passes, (method, path)


def test_every_answer_carries_safe_headers(locked):
    """Refusals, errors and pages alike: no sniffing, no framing, no referrer, no foreign embedding."""
    with locked.client() as nobody, locked.client(authorization=f"Bearer {READ}") as reader:
        for answer in (nobody.get("/"), reader.get("/nowhere"), reader.get("/"), reader.get("/metrics")):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy


def test_interactive_docs_are_off(admin):
    """No page that loads scripts from elsewhere; the schema itself is served."""
    with admin.client() as client:
        assert client.get("/docs").status_code == client.get("/redoc").status_code == 404
        assert client.get("/openapi.json").status_code == 404
        assert client.get("/api/v1/openapi.json").json()["info"]["title"] == "eqwatch"


def test_a_rebound_name_is_refused_on_the_wire(admin):
    """A foreign Host gets 421 from a listener without a token."""
    with admin.client() as client:
        assert client.get("/metrics", headers={"host": "attacker.example"}).status_code == 421
        assert client.post("/api/v1/benchmark/pause", headers={"origin": "https://x.example"}).status_code == 403
    assert not admin.control.paused


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_body_over_the_limit_is_refused(admin, declared):
    """413 as JSON, whether the length was declared or not."""

    def chunks():
        for _ in range(10):
            yield b" " * 1_000_000

    body = {"content": b" " * 5_000_000} if declared else {"content": chunks()}
    with admin.client(**{"content-type": "application/json"}) as client:
        answer = client.post("/api/v1/conversations/lookup", **body)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"


SECRET = "my deepest secret"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/conversations/lookup", {"messages": SECRET}),
        ("/api/v1/conversations/lookup", {"messages": [SECRET]}),
        ("/api/v1/conversations/lookup", {"messages": [{"role": "user", "content": SECRET}]}),
        ("/api/v1/upgrades", {"deployment": SECRET, "to_model": "x"}),
        ("/api/v1/upgrades", {"deployment": "x", "to_model": SECRET * 100}),
    ],
)
def test_errors_never_echo_what_was_sent(admin, path, body):
    """An error says where and what kind, never the content."""
    with admin.client() as client:
        answer = client.post(path, json=body)
        assert answer.status_code in {404, 422}
        assert set(answer.json()["error"]) >= {"code", "message"}
        assert SECRET not in answer.text
        assert SECRET not in client.get(f"/api/v1/runs/{SECRET}").text


def test_a_body_without_a_content_type_is_not_read_as_json(admin):
    """A simple cross-site request can't smuggle JSON in."""
    with admin.client() as client:
        sent = client.post("/api/v1/conversations/lookup", content=b'{"messages": [{"role": "user"}]}')
        assert sent.status_code == 422


def test_a_defect_is_answered_and_logged_without_its_message(admin, capsys):
    """A failing part costs a 500 in the usual form; message and local variables stay out of the log."""

    def broken():
        raise RuntimeError(SECRET)

    admin.control.standings = type("Broken", (), {"__iter__": lambda _self: broken()})()
    with admin.client() as client:
        answer = client.get("/api/v1/verdicts")
    logged = "".join(capsys.readouterr())
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert SECRET not in answer.text + logged
    assert "admin_request_failed" in logged
    assert "RuntimeError" in logged


def test_a_closed_store_is_503(admin):
    """What needs the store says so; what does not goes on."""
    admin.store.close()
    with admin.client() as client:
        answer = client.get("/api/v1/runs")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
        assert client.get("/metrics").status_code == 200
        assert client.get("/-/healthy").status_code == 200


def test_websockets_are_refused(admin):
    """There is none, and none slips around the gate."""
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(create_app(admin.state)({"type": "websocket", "path": "/metrics", "headers": []}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]

"""A scripted chat API, and the two ways to reach it: direct and through the relay."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from middleware.records.relay import Timeouts, UpstreamTarget
from tests.e2e.traffic.relays import start_relay
from tests.e2e.traffic.wire import ThreadedUpstream, Wire

WORDS = ["I", " hear", " you", " 🙂", "\n"]
USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "small",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "".join(WORDS)}}],
    "usage": USAGE,
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "small",
    "status": "completed",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "".join(WORDS), "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "small",
    "content": [{"type": "text", "text": "".join(WORDS)}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 5},
}
EMBEDDINGS = {
    "object": "list",
    "model": "small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1, -2.5e-3, 3.0]}],
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}
MODELS = {"object": "list", "data": [{"id": "small", "object": "model", "created": 1, "owned_by": "x"}]}
BINARY = bytes(range(256)) * 400


def chat_events() -> list[bytes]:
    """A streamed chat completion."""
    made = [{"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]} for word in WORDS] + [
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    ]
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "small"}
    return [b"data: " + json.dumps({**base, **each}).encode() + b"\n\n" for each in made] + [b"data: [DONE]\n\n"]


def named(events: list[dict[str, Any]]) -> list[bytes]:
    """Events with a name, as the responses and messages APIs send them."""
    return [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events]


def response_events() -> list[bytes]:
    """A streamed response of the responses API."""
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
    made = [{"type": "response.output_text.delta", **where, "delta": word} for word in WORDS]
    begun = {**RESPONSE, "status": "in_progress", "output": []}
    events = [
        {"type": "response.created", "response": begun},
        *made,
        {"type": "response.completed", "response": RESPONSE},
    ]
    return named([{**event, "sequence_number": number} for number, event in enumerate(events)])


def message_events() -> list[bytes]:
    """A streamed message of the Anthropic API."""
    start = {**MESSAGE, "content": [], "stop_reason": None}
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in WORDS
    ]
    return named(
        [
            {"type": "message_start", "message": start},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "ping"},
            *deltas,
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
            {"type": "message_stop"},
        ]
    )


PLAIN = {
    "chat/completions": COMPLETION,
    "responses": RESPONSE,
    "messages": MESSAGE,
    "embeddings": EMBEDDINGS,
    "models": MODELS,
}
STREAMS = {"chat/completions": chat_events, "responses": response_events, "messages": message_events}


@dataclass
class ChatApi:
    """Answers by what the path asks for: ``/SCENARIO/v1/…``. Scenarios are ``ok``, a status, or a fault by name."""

    asked: Counter[str] = field(default_factory=Counter)
    released: threading.Event = field(default_factory=threading.Event)

    def serve(self, wire: Wire) -> None:
        """Answer requests until the connection ends."""
        while True:
            request = wire.read_request()
            target = request.first_line.split()[1].decode()
            scenario, _, operation = target.lstrip("/").partition("/v1/")
            self.asked[target] += 1
            if not self._answer(wire, scenario, operation, request, self.asked[target]):
                return

    def _answer(self, wire: Wire, scenario: str, operation: str, request: Any, times: int) -> bool:
        streamed = b'"stream":true' in request.body.replace(b" ", b"")
        if scenario in {"reset", "hang", "close"}:
            if scenario == "hang":
                self.released.wait(60)
            if scenario == "reset":
                wire.reset()
            return False
        if scenario.startswith("flaky") and times == 1:
            return self._error(wire, 429)
        if scenario.isdigit():
            return self._error(wire, int(scenario))
        if scenario == "nonsense":
            return self._whole(wire, b"<html>not json", b"text/html")
        if operation == "audio/transcriptions":
            boundary = request.values(b"content-type")[0].partition(b"boundary=")[2]
            same = request.body.replace(boundary, b"boundary")
            return self._whole(wire, json.dumps({"text": hashlib.sha256(same).hexdigest()}).encode())
        if operation.endswith("/content"):
            return self._whole(wire, BINARY, b"application/octet-stream")
        if streamed:
            return self._stream(wire, STREAMS[operation](), cut=scenario)
        return self._whole(wire, json.dumps(PLAIN[operation.split("?")[0]]).encode())

    def _error(self, wire: Wire, status: int) -> bool:
        error = {"message": f"told {status}", "type": "their_error", "param": "p", "code": f"their_{status}"}
        body = json.dumps({"type": "error", "error": error}).encode()
        extra = b"Retry-After: 0\r\nx-request-id: req-7\r\nrequest-id: req-7\r\n"
        return self._whole(wire, body, extra=extra, status=status)

    def _whole(
        self, wire: Wire, body: bytes, media: bytes = b"application/json", *, extra: bytes = b"", status: int = 200
    ) -> bool:
        head = b"HTTP/1.1 %d Said\r\nContent-Type: %s\r\nContent-Length: %d\r\n" % (status, media, len(body))
        wire.send(head + extra + b"\r\n" + body)
        return True

    def _stream(self, wire: Wire, events: list[bytes], *, cut: str) -> bool:
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number, event in enumerate(events):
            if number == 3 and cut == "cut":
                return False
            if number == 3 and cut == "stall":
                self.released.wait(60)
                return False
            wire.send(b"%x\r\n%s\r\n" % (len(event), event))
        wire.send(b"0\r\n\r\n")
        return True


@dataclass
class Places:
    """Base addresses: of the API itself, of the relay in front of it, and of one that gives up soon."""

    direct: str
    relay: str
    impatient: str
    api: ChatApi


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """The scripted API, a relay in front of it, and another one with a short limit on the first byte."""
    api = ChatApi()
    server = ThreadedUpstream(api.serve)
    target = UpstreamTarget("http", "127.0.0.1", server.port)
    relay = start_relay(tmp_path_factory.mktemp("relay"), target)
    impatient = start_relay(tmp_path_factory.mktemp("impatient"), target, timeouts=Timeouts(first_byte=1.0))
    yield Places(f"http://127.0.0.1:{server.port}", relay.url, impatient.url, api)
    api.released.set()
    impatient.stop()
    relay.stop()
    server.close()

"""Captures of the official Anthropic SDK decode to what the SDK itself understood."""

import json
from typing import Any

import anthropic
import pytest
from anthropic.types import Message as SdkMessage

from middleware.records.conversation import Message, Transcript
from middleware.traffic.dialects import FLAGS, decode

REPLY = "That sounds lonely.\nWould you like to call your sister? 🙂"


@pytest.fixture
def client(recorder: Any) -> Any:
    with anthropic.Anthropic(base_url=recorder.url, api_key="k", max_retries=0) as opened:
        yield opened


def message(content: list[dict[str, Any]], stop_reason: str | None = "end_turn") -> dict[str, Any]:
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "small-2026",
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 11, "cache_read_input_tokens": 10, "output_tokens": 9},
    }
    return json.loads(SdkMessage.model_validate(body).model_dump_json())  # type: ignore[no-any-return]


def decoded(recorder: Any) -> Transcript:
    transcript = decode(recorder.exchanges[-1])
    assert isinstance(transcript, Transcript)
    assert transcript.flags <= FLAGS
    return transcript


def test_a_message_with_tools_images_and_thinking(recorder: Any, client: Any) -> None:
    """Results of tools become messages of their own; thinking is no reply."""
    content = [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": REPLY}]
    recorder.answer(json.dumps(message(content)).encode())
    result = client.messages.create(
        model="small",
        max_tokens=100,
        system=[{"type": "text", "text": "Be gentle."}],
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
                ],
            },
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "an empty room"}]},
        ],
    )
    assert decoded(recorder) == Transcript(
        dialect="anthropic_messages",
        model="small",
        messages=(
            Message("system", "Be gentle."),
            Message("user", "Look\n[image]"),
            Message("assistant", ""),
            Message("tool", "an empty room"),
        ),
        reply=Message("assistant", result.content[1].text),
        streamed=False,
        answered_model="small-2026",
        prompt_tokens=21,
        completion_tokens=9,
        flags=frozenset({"image", "tool"}),
        response_id="msg_1",
    )


def events() -> list[bytes]:
    begun = message([], None)
    begun["usage"]["output_tokens"] = 1
    payloads: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": REPLY[n : n + 6]}}
            for n in range(0, len(REPLY), 6)
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "tool_use", "id": "t", "name": "n", "input": {}},
        },
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"a": 1}'}},
        {"type": "content_block_stop", "index": 1},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"output_tokens": 9},
        },
        {"type": "message_stop"},
    ]
    return [f"event: {payload['type']}\ndata: {json.dumps(payload)}\n\n".encode() for payload in payloads]


def test_a_streamed_message(recorder: Any, client: Any) -> None:
    """Text, tokens and the tool that the SDK accumulated from the same bytes."""
    recorder.answer(*events(), content_type="text/event-stream")
    with client.messages.stream(
        model="small", max_tokens=100, messages=[{"role": "user", "content": "I miss her"}]
    ) as stream:
        final = stream.get_final_message()
    transcript = decoded(recorder)
    assert transcript.messages == (Message("user", "I miss her"),)
    assert transcript.reply == Message("assistant", final.content[0].text)
    assert transcript.reply == Message("assistant", REPLY)
    assert transcript.flags == {"tool"}
    assert (transcript.prompt_tokens, transcript.completion_tokens) == (21, final.usage.output_tokens)


@pytest.mark.parametrize(("stop_reason", "flag"), [("max_tokens", "truncated"), ("refusal", "refusal")])
def test_the_reason_to_stop_is_a_flag(recorder: Any, client: Any, stop_reason: str, flag: str) -> None:
    """A cut answer and a refused one are told apart."""
    recorder.answer(json.dumps(message([{"type": "text", "text": "It"}], stop_reason)).encode())
    client.messages.create(model="small", max_tokens=1, messages=[{"role": "user", "content": "Hi"}])
    assert decoded(recorder).flags == {flag}

"""Captures of the official OpenAI SDK decode to what the SDK itself understood."""

import gzip
import json
from typing import Any

import brotli
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from middleware.records.conversation import Message, Transcript
from middleware.traffic.dialects import FLAGS, decode

REPLY = "That is a hard step.\nShall we go through it — slowly? 🙂"
PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture
def client(recorder: Any) -> Any:
    with openai.OpenAI(base_url=f"{recorder.url}/v1", api_key="k", max_retries=0) as opened:
        yield opened


def sse(*payloads: str) -> list[bytes]:
    return [f"data: {payload}\n\n".encode() for payload in payloads]


def chunk(**delta: Any) -> str:
    finish = delta.pop("finish_reason", None)
    return ChatCompletionChunk.model_validate(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "small-2026",
            "system_fingerprint": "fp_1",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }
    ).model_dump_json()


def usage_chunk() -> str:
    return ChatCompletionChunk.model_validate(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "small-2026",
            "choices": [],
            "usage": {"prompt_tokens": 21, "completion_tokens": 9, "total_tokens": 30},
        }
    ).model_dump_json()


def completion(message: dict[str, Any], finish_reason: str = "stop") -> bytes:
    return (
        ChatCompletion.model_validate(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": "small-2026",
                "system_fingerprint": "fp_1",
                "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}],
                "usage": {"prompt_tokens": 21, "completion_tokens": 9, "total_tokens": 30},
            }
        )
        .model_dump_json()
        .encode()
    )


def decoded(recorder: Any) -> Transcript:
    transcript = decode(recorder.exchanges[-1])
    assert isinstance(transcript, Transcript)
    assert transcript.flags <= FLAGS
    return transcript


@pytest.mark.parametrize("coding", ["", "gzip", "br"])
def test_a_completion(recorder: Any, client: Any, coding: str) -> None:
    """Messages, reply, model, fingerprint and tokens, also where the answer is compressed."""
    body = completion({"content": REPLY})
    coded = {"": body, "gzip": gzip.compress(body), "br": brotli.compress(body)}[coding]
    recorder.answer(coded, content_encoding=coding)
    result = client.chat.completions.create(
        model="small",
        messages=[
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "I don't get step 2"},
        ],
    )
    assert decoded(recorder) == Transcript(
        dialect="openai_chat",
        model="small",
        messages=(
            Message("system", "Be kind."),
            Message("user", "Hi"),
            Message("assistant", "Hello"),
            Message("user", "I don't get step 2"),
        ),
        reply=Message("assistant", result.choices[0].message.content),
        streamed=False,
        answered_model="small-2026",
        system_fingerprint="fp_1",
        prompt_tokens=21,
        completion_tokens=9,
        response_id="chatcmpl-1",
    )


def test_a_streamed_completion(recorder: Any, client: Any) -> None:
    """The reply is what the SDK accumulated from the same bytes; usage comes from the last chunk."""
    pieces = [REPLY[n : n + 5] for n in range(0, len(REPLY), 5)]
    recorder.answer(
        *sse(
            chunk(role="assistant", content=""),
            *(chunk(content=piece) for piece in pieces),
            chunk(finish_reason="stop"),
            usage_chunk(),
            "[DONE]",
        ),
        content_type="text/event-stream; charset=utf-8",
    )
    with client.chat.completions.stream(
        model="small", messages=[{"role": "user", "content": "Hi"}], stream_options={"include_usage": True}
    ) as stream:
        final = stream.get_final_completion()
    transcript = decoded(recorder)
    assert transcript.reply == Message("assistant", final.choices[0].message.content)
    assert transcript.reply == Message("assistant", REPLY)
    assert transcript.streamed
    assert transcript.flags == frozenset()
    assert (transcript.prompt_tokens, transcript.completion_tokens) == (21, 9)
    assert (transcript.answered_model, transcript.system_fingerprint) == ("small-2026", "fp_1")


def test_tools_and_images_are_noted(recorder: Any, client: Any) -> None:
    """A tool call without text is no reply; results of tools and images stand in the messages by name."""
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    recorder.answer(completion({"content": None, "tool_calls": [call]}, "tool_calls"))
    client.chat.completions.create(
        model="small",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is wrong here?"},
                    {"type": "image_url", "image_url": {"url": PIXEL}},
                ],
            },
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "a red line"},
        ],
        tools=[{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
    )
    transcript = decoded(recorder)
    assert transcript.messages == (
        Message("user", "What is wrong here?\n[image]"),
        Message("assistant", ""),
        Message("tool", "a red line"),
    )
    assert transcript.reply is None
    assert transcript.flags == {"image", "tool", "no_reply"}


def test_a_streamed_tool_call(recorder: Any, client: Any) -> None:
    """Its arguments are not taken for a reply."""
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
    recorder.answer(
        *sse(chunk(role="assistant", tool_calls=[call]), chunk(finish_reason="tool_calls"), "[DONE]"),
        content_type="text/event-stream",
    )
    list(client.chat.completions.create(model="small", messages=[{"role": "user", "content": "Hi"}], stream=True))
    transcript = decoded(recorder)
    assert transcript.reply is None
    assert transcript.flags == {"tool", "no_reply"}


def test_a_refusal_is_a_reply_with_a_flag(recorder: Any, client: Any) -> None:
    """And an answer at its token limit is flagged too."""
    recorder.answer(completion({"content": None, "refusal": "I can't help with that."}))
    client.chat.completions.create(model="small", messages=[{"role": "user", "content": "Hi"}])
    assert decoded(recorder).reply == Message("assistant", "I can't help with that.")
    assert decoded(recorder).flags == {"refusal"}
    recorder.answer(completion({"content": "It is"}, "length"))
    client.chat.completions.create(model="small", messages=[{"role": "user", "content": "Hi"}])
    assert decoded(recorder).flags == {"truncated"}


def response_body(**changes: Any) -> dict[str, Any]:
    return {
        "id": "resp_2",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": "small-2026",
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": REPLY, "annotations": []}],
            },
        ],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": 21,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 9,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 30,
        },
        **changes,
    }


def test_a_response(recorder: Any, client: Any) -> None:
    """Instructions, input items with tools and images, and what the SDK calls output_text."""
    recorder.answer(json.dumps(response_body()).encode())
    result = client.responses.create(
        model="small",
        instructions="Be kind.",
        previous_response_id="resp_1",
        input=[
            {"role": "user", "content": "Hi"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]},
            {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "a red line"},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "And this?"},
                    {"type": "input_image", "image_url": PIXEL, "detail": "auto"},
                ],
            },
        ],
    )
    transcript = decoded(recorder)
    assert transcript.messages == (
        Message("system", "Be kind."),
        Message("user", "Hi"),
        Message("assistant", "Hello"),
        Message("tool", "a red line"),
        Message("user", "And this?\n[image]"),
    )
    assert transcript.reply == Message("assistant", result.output_text)
    assert transcript.flags == {"image", "tool"}
    assert (transcript.response_id, transcript.previous_response_id) == ("resp_2", "resp_1")
    assert (transcript.prompt_tokens, transcript.completion_tokens) == (21, 9)


def response_events() -> list[str]:
    begun = response_body(status="in_progress", output=[], usage=None)
    place = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {"type": "reasoning", "id": "rs_1", "summary": []},
        },
        {
            "type": "response.output_item.added",
            "output_index": 1,
            "item": {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []},
        },
        {
            "type": "response.content_part.added",
            **place,
            "part": {"type": "output_text", "text": "", "annotations": []},
        },
        *(
            {"type": "response.output_text.delta", **place, "delta": REPLY[n : n + 7], "logprobs": []}
            for n in range(0, len(REPLY), 7)
        ),
        {"type": "response.completed", "response": response_body()},
    ]
    return [json.dumps(event | {"sequence_number": number}) for number, event in enumerate(events)]


def event_stream(events: list[str]) -> list[bytes]:
    return [f"event: {json.loads(event)['type']}\ndata: {event}\n\n".encode() for event in events]


def test_a_streamed_response(recorder: Any, client: Any) -> None:
    """A plain string as input, and what the SDK accumulated."""
    recorder.answer(*event_stream(response_events()), content_type="text/event-stream")
    with client.responses.stream(model="small", input="Hi") as stream:
        final = stream.get_final_response()
    transcript = decoded(recorder)
    assert transcript.messages == (Message("user", "Hi"),)
    assert transcript.reply == Message("assistant", final.output_text)
    assert transcript.reply == Message("assistant", REPLY)
    assert transcript.flags == frozenset()
    assert transcript.completion_tokens == 9


def test_a_response_that_was_left_gives_its_deltas(recorder: Any, client: Any) -> None:
    """The SDK stops reading in the middle; what came is the reply, flagged as partial."""
    events = event_stream(response_events())[:-1]
    recorder.answer(*events, content_type="text/event-stream")
    read = [
        event.delta
        for event in client.responses.create(model="small", input="Hi", stream=True)
        if "delta" in event.type
    ]
    transcript = decoded(recorder)
    assert transcript.reply == Message("assistant", "".join(read))
    assert transcript.flags == {"partial"}
    assert transcript.answered_model == "small-2026"


def test_an_incomplete_response_is_truncated(recorder: Any, client: Any) -> None:
    """It ended, at its token limit."""
    body = response_body(status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    recorder.answer(json.dumps(body).encode())
    client.responses.create(model="small", input="Hi")
    assert decoded(recorder).flags == {"truncated"}

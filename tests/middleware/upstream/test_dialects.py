"""Questions to request bodies and response bodies to replies, in three dialects."""

from typing import Any

import pytest
from anthropic.types import Message as AnthropicMessage
from openai.types.chat import ChatCompletion
from openai.types.responses import Response as OpenAIResponse

from middleware.upstream.completion import Dialect, Question
from middleware.upstream.dialects import DIALECTS

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How are you?"}]
SCHEMA = {"type": "object", "properties": {"Joy": {"type": "number"}}, "required": ["Joy"]}


def chat(**message: Any) -> dict[str, Any]:
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m-2024",
        "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
    }


def responses(content: list[dict[str, Any]], **extra: Any) -> dict[str, Any]:
    return {
        "id": "x",
        "object": "response",
        "created_at": 1,
        "model": "m-2024",
        "status": "completed",
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "output": [
            {"type": "reasoning", "id": "r", "summary": []},
            {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content},
        ],
        "usage": {
            "input_tokens": 11,
            "output_tokens": 3,
            "total_tokens": 14,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
        **extra,
    }


def anthropic(content: list[dict[str, Any]], stop: str) -> dict[str, Any]:
    return {
        "id": "x",
        "type": "message",
        "role": "assistant",
        "model": "m-2024",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 11, "output_tokens": 3},
    }


def test_chat_body() -> None:
    """The chat body holds messages, sampling parameters, seed and the schema as response_format."""
    body = DIALECTS["openai_chat"].encode(Question(MESSAGES, "m", 0.01, 60, seed=7, schema=SCHEMA))
    assert body == {
        "model": "m",
        "messages": MESSAGES,
        "temperature": 0.01,
        "max_tokens": 60,
        "seed": 7,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
        },
    }


def test_plain_chat_body_has_no_optional_fields() -> None:
    """Without seed and schema neither field is sent: some servers refuse fields that they do not know."""
    body = DIALECTS["openai_chat"].encode(Question(MESSAGES, "m", 0.01, 60))
    assert sorted(body) == ["max_tokens", "messages", "model", "temperature"]


def test_responses_body() -> None:
    """The responses body forbids storing, names its token limit differently and puts the schema under text."""
    body = DIALECTS["openai_responses"].encode(Question(MESSAGES, "m", 0.01, 60, seed=7, schema=SCHEMA))
    assert body == {
        "model": "m",
        "input": MESSAGES,
        "temperature": 0.01,
        "max_output_tokens": 60,
        "store": False,
        "text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}},
    }


def test_anthropic_body() -> None:
    """The Anthropic body has system messages apart and the schema under output_config."""
    body = DIALECTS["anthropic_messages"].encode(Question(MESSAGES, "m", 0.01, 60, seed=7, schema=SCHEMA))
    assert body == {
        "model": "m",
        "messages": MESSAGES[1:],
        "system": "Be brief.",
        "temperature": 0.01,
        "max_tokens": 60,
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    }


@pytest.mark.parametrize(
    ("dialect", "body", "text", "finish"),
    [
        ("openai_chat", chat(content="Fine."), "Fine.", "stop"),
        ("openai_chat", chat(content=None, refusal="I can't."), "I can't.", "content_filter"),
        ("openai_chat", chat(content="Fine.", reasoning_content="Joy: 9"), "Fine.", "stop"),
        ("openai_chat", chat(content=None), "", "stop"),
        ("openai_responses", responses([{"type": "output_text", "text": "Fine.", "annotations": []}]), "Fine.", "stop"),
        ("openai_responses", responses([{"type": "refusal", "refusal": "I can't."}]), "I can't.", "content_filter"),
        (
            "openai_responses",
            responses([], status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
            "",
            "length",
        ),
        ("anthropic_messages", anthropic([{"type": "text", "text": "Fine."}], "end_turn"), "Fine.", "stop"),
        ("anthropic_messages", anthropic([{"type": "text", "text": "Fi"}], "max_tokens"), "Fi", "length"),
        ("anthropic_messages", anthropic([], "refusal"), "", "content_filter"),
        (
            "anthropic_messages",
            anthropic(
                [{"type": "thinking", "thinking": "Joy: 9", "signature": "s"}, {"type": "text", "text": "Fine."}],
                "end_turn",
            ),
            "Fine.",
            "stop",
        ),
    ],
)
def test_reply(dialect: Dialect, body: dict[str, Any], text: str, finish: str) -> None:
    """Text, finish reason, model and token counts are read; reasoning is not part of the text."""
    model = {"openai_chat": ChatCompletion, "openai_responses": OpenAIResponse, "anthropic_messages": AnthropicMessage}
    model[dialect].model_validate(body)  # the official SDK takes the same body
    reply = DIALECTS[dialect].decode(body)
    assert (reply.text, reply.finish_reason, reply.model) == (text, finish, "m-2024")
    assert (reply.prompt_tokens, reply.completion_tokens) == (11, 3)


def test_missing_is_not_zero() -> None:
    """A server that reports no usage, no finish reason and no fingerprint leaves them empty, not zero."""
    reply = DIALECTS["openai_chat"].decode({"choices": [{"message": {"content": [{"type": "text", "text": "Hi"}]}}]})
    assert (reply.text, reply.finish_reason, reply.model, reply.system_fingerprint) == ("Hi", "", "", "")
    assert reply.prompt_tokens is None
    assert reply.completion_tokens is None


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": [{"message": None}]}, {"error": {"code": "x"}}, []])
def test_not_an_answer(body: Any) -> None:
    """A body that is no answer raises one of the documented exceptions."""
    with pytest.raises((ValueError, KeyError, TypeError, IndexError, AttributeError)):
        DIALECTS["openai_chat"].decode(body)

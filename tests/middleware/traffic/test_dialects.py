"""Exchanges that are broken, odd or hostile give what there is, or a reason."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.records.conversation import Message, Transcript
from middleware.records.exchange import Exchange
from middleware.traffic.dialects import FLAGS, decode
from middleware.traffic.undecodable import Undecodable
from tests.exchanges import chat_exchange

DIALECTS = ("openai_chat", "openai_responses", "anthropic_messages")
REQUEST = {"model": "small", "messages": [{"role": "user", "content": "Hi"}]}
SSE = [(b"content-type", b"text/event-stream")]
JSON = [(b"content-type", b"application/json")]


def exchange(request: Any = REQUEST, response: bytes = b"", **changes: Any) -> Exchange:
    return chat_exchange(request, response, **{"request_headers": JSON, "response_headers": JSON} | changes)


def chunks(*deltas: str, end: str = "data: [DONE]\n\n") -> bytes:
    lines = [json.dumps({"model": "m", "choices": [{"index": 0, "delta": {"content": delta}}]}) for delta in deltas]
    return "".join(f"data: {line}\n\n" for line in lines).encode() + end.encode()


def transcript(given: Exchange) -> Transcript:
    result = decode(given)
    assert isinstance(result, Transcript), result
    assert result.flags <= FLAGS
    return result


@pytest.mark.parametrize(
    "changes",
    [
        {"response_body": chunks("It ", "is", end="")},
        {"response_body": chunks("It ", "is")[:-8], "complete": False},
        {"response_body": chunks("It ", "is"), "response_truncated": True},
        {"response_body": chunks("It ", "is"), "complete": False},
    ],
)
def test_a_stream_that_broke_off_gives_what_there_is(changes: dict[str, Any]) -> None:
    """By the upstream, the client or the tap's cap: the text so far, flagged as partial."""
    result = transcript(exchange(response_headers=SSE, **changes))
    assert result.reply == Message("assistant", "It is")
    assert result.flags == {"partial"}


def test_a_clean_end_without_the_last_blank_line_is_whole() -> None:
    """Some servers leave it out."""
    assert transcript(exchange(response_headers=SSE, response_body=chunks("Yes").rstrip())).flags == frozenset()


def test_malformed_and_error_events_are_flagged() -> None:
    """The text around them is kept."""
    body = chunks("a", end="data: {broken\n\n") + b'data: {"error": {"message": "overloaded"}}\n\n' + chunks("b")
    result = transcript(exchange(response_headers=SSE, response_body=body))
    assert result.reply == Message("assistant", "ab")
    assert result.flags == {"malformed", "error"}


def test_a_stream_without_its_media_type_is_recognised() -> None:
    """By its first field name."""
    assert transcript(exchange(response_headers=[], response_body=chunks("x"))).streamed


def test_a_cut_json_answer_is_a_transcript_without_reply() -> None:
    """What the user said is known all the same."""
    result = transcript(exchange(response=b'{"choices": [{"mess', response_truncated=True))
    assert result.reply is None
    assert result.messages == (Message("user", "Hi"),)
    assert result.flags == {"partial", "no_reply"}


def test_the_first_of_several_choices_is_the_reply() -> None:
    """In order of index, streamed or not."""
    choices = [{"index": n, "message": {"content": f"c{n}"}, "finish_reason": "stop"} for n in (1, 0)]
    result = transcript(exchange(response=json.dumps({"choices": choices}).encode()))
    assert (result.reply, result.flags) == (Message("assistant", "c0"), {"several_choices"})
    body = b'data: {"choices": [{"index": 1, "delta": {"content": "no"}}]}\n\n' + chunks("yes")
    result = transcript(exchange(response_headers=SSE, response_body=body))
    assert (result.reply, result.flags) == (Message("assistant", "yes"), {"several_choices"})


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (exchange(dialect="other"), "not_chat"),
        (exchange(request_truncated=True), "request_cut"),
        (exchange(status=429), "failed"),
        (exchange(status=0), "failed"),
        (exchange(b"\x00\x01"), "not_json"),
        (exchange(b"[" * 100_000), "not_json"),
        (exchange(b"[]"), "not_json"),
        (exchange({"messages": []}), "not_chat"),
        (exchange({"input": "embed me"}), "not_chat"),
        (exchange({"messages": [{"role": "system", "content": "x"}]}), "no_user"),
        (exchange(response=b"<html>"), "not_json"),
        (exchange(request_headers=[(b"content-encoding", b"rot13")]), "encoding_unknown"),
        (exchange(response=b"x", response_headers=[(b"content-encoding", b"gzip")]), "encoding_corrupt"),
    ],
)
def test_what_has_no_transcript_has_a_reason(given: Exchange, reason: str) -> None:
    """A value that can be counted."""
    result = decode(given)
    assert isinstance(result, Undecodable)
    assert result.reason == reason


def test_lone_surrogates_of_a_client_can_be_stored_and_sent() -> None:
    """JSON can carry them, UTF-8 can't."""
    result = transcript(exchange(b'{"messages": [{"role": "user", "content": "a \\ud83d b"}]}', b'{"choices": []}'))
    assert result.messages[0].text.encode() == b"a ? b"


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "messages",
                    "role",
                    "content",
                    "type",
                    "text",
                    "input",
                    "choices",
                    "delta",
                    "message",
                    "usage",
                    "output",
                    "response",
                    "index",
                    "content_block",
                    "tool_calls",
                    "system",
                    "error",
                    "model",
                    "id",
                    "status",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(request=ODD, events=st.lists(ODD, max_size=4), answer=ODD)
def test_any_json_is_a_transcript_or_a_reason(dialect: str, request: Any, events: list[Any], answer: Any) -> None:
    """Wrong types in any place are missing values; nothing raises."""
    asked = {"messages": [{"role": "user", "content": "x"}], "input": "x"}
    stream = "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()
    for given_request in (request, asked):
        for headers, body in ((SSE, stream), (JSON, json.dumps(answer).encode())):
            result = decode(exchange(given_request, dialect=dialect, response_headers=headers, response_body=body))
            assert isinstance(result, Transcript | Undecodable)


@given(body=st.binary(max_size=200), response=st.binary(max_size=200), stream=st.booleans())
def test_any_bytes_are_a_transcript_or_a_reason(body: bytes, response: bytes, stream: bool) -> None:
    """Nothing raises."""
    for request in (body, json.dumps(REQUEST).encode()):
        result = decode(exchange(request, response, response_headers=SSE if stream else JSON))
        assert isinstance(result, Transcript | Undecodable)

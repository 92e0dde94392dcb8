"""From an exchange to a transcript, in whatever dialect it was spoken. Pure; CPU work for a thread, not the loop."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from middleware.records.conversation import Message, Transcript
from middleware.records.exchange import Exchange
from middleware.traffic import anthropic_messages, openai_chat, openai_responses
from middleware.traffic.content import decoded_body, header
from middleware.traffic.reading import Answered, Asked, parse_object
from middleware.traffic.sse import SSEDecoder
from middleware.traffic.undecodable import Undecodable

__all__ = ["FLAGS", "decode", "request_reader"]

FLAGS = frozenset(
    {
        "audio",
        "error",  # the answer broke off with an error event
        "file",
        "filtered",
        "image",
        "malformed",  # an event of the stream was no JSON
        "no_reply",
        "partial",  # the answer is not whole: client or upstream left, or the tap's cap was reached
        "refusal",
        "several_choices",
        "tool",
        "truncated",  # the model reached its token limit
        "unknown_part",
        "unknown_role",
    }
)


@dataclass(frozen=True, slots=True)
class _Dialect:
    read_request: Callable[[dict[str, Any]], Asked | None]
    read_answer: Callable[[dict[str, Any]], Answered]
    read_events: Callable[[Iterable[str]], Answered]


_DIALECTS = {
    "openai_chat": _Dialect(openai_chat.read_request, openai_chat.read_answer, openai_chat.read_events),
    "openai_responses": _Dialect(
        openai_responses.read_request, openai_responses.read_answer, openai_responses.read_events
    ),
    "anthropic_messages": _Dialect(
        anthropic_messages.read_request, anthropic_messages.read_answer, anthropic_messages.read_events
    ),
}


def decode(exchange: Exchange) -> Transcript | Undecodable:
    """The conversation so far and the reply; what there is of a broken answer, flagged. Flags are from `FLAGS`."""
    dialect = _DIALECTS.get(exchange.dialect)
    if dialect is None:
        return Undecodable("not_chat", exchange.dialect[:40])
    asked = _asked(dialect, exchange)
    if isinstance(asked, Undecodable):
        return asked
    answered = _answered(dialect, exchange)
    if isinstance(answered, Undecodable):
        return answered
    answer, streamed, whole = answered
    flags = set(asked.flags | answer.flags)
    if not (whole and answer.ended and exchange.complete and not exchange.response_truncated):
        flags.add("partial")
    if not answer.text:
        flags.add("no_reply")
    return Transcript(
        dialect=exchange.dialect,
        model=asked.model,
        messages=asked.messages,
        reply=Message("assistant", answer.text) if answer.text else None,
        streamed=streamed,
        answered_model=answer.model,
        system_fingerprint=answer.system_fingerprint,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        flags=frozenset(flags),
        response_id=answer.response_id,
        previous_response_id=asked.previous_response_id,
    )


def request_reader(dialect: str) -> Callable[[dict[str, Any]], Asked | None]:
    """What reads a request of this dialect; raises KeyError for another one."""
    return _DIALECTS[dialect].read_request


def _asked(dialect: _Dialect, exchange: Exchange) -> Asked | Undecodable:
    if exchange.request_truncated:
        return Undecodable("request_cut")
    if not 200 <= exchange.status < 300:
        return Undecodable("failed", str(exchange.status))
    body = decoded_body(exchange.request_headers, exchange.request_body)
    if isinstance(body, Undecodable):
        return body
    parsed = parse_object(body.data)
    if parsed is None:
        return Undecodable("not_json", "request")
    asked = dialect.read_request(parsed)
    if asked is None:
        return Undecodable("not_chat", "no messages")
    if not any(message.role == "user" for message in asked.messages):
        return Undecodable("no_user")
    return asked


def _answered(dialect: _Dialect, exchange: Exchange) -> tuple[Answered, bool, bool] | Undecodable:
    """The answer, whether it was streamed, and whether its bytes are whole."""
    body = decoded_body(exchange.response_headers, exchange.response_body)
    if isinstance(body, Undecodable):
        return body
    kind = header(exchange.response_headers, b"content-type").lower()
    if kind.startswith(b"text/event-stream") or body.data.lstrip().startswith((b"data:", b"event:")):
        decoder = SSEDecoder()
        events = decoder.feed(body.data)
        if decoder.pending and exchange.complete and not exchange.response_truncated:
            events += decoder.feed(b"\n\n")  # some servers end without the last blank line
        return dialect.read_events(event.data for event in events), True, body.complete and not decoder.pending
    parsed = parse_object(body.data)
    if parsed is not None:
        return dialect.read_answer(parsed), False, body.complete
    broken = not (body.complete and exchange.complete) or exchange.response_truncated
    return (Answered(), False, False) if broken else Undecodable("not_json", "answer")

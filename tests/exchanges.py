"""Exchanges as the relay hands them to control."""

import json
from typing import Any

import msgspec

from middleware.records.exchange import Exchange

__all__ = ["chat_exchange"]


def chat_exchange(request: object, response: object, **changes: Any) -> Exchange:
    """A whole chat completion of the deployment `tutor`. request, response: made JSON, or bytes as they are."""
    given = Exchange(
        deployment="tutor",
        dialect="openai_chat",
        method=b"POST",
        target=b"/v1/chat/completions",
        request_headers=[],
        request_body=_body(request),
        request_truncated=False,
        status=200,
        response_headers=[],
        response_body=_body(response),
        response_truncated=False,
        complete=True,
        conversation="",
        key_id="",
        started_at=0.0,
        first_byte_seconds=0.0,
        duration_seconds=0.0,
    )
    return msgspec.structs.replace(given, **changes)


def _body(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()

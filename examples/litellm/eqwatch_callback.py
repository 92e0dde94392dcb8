"""A LiteLLM callback that hands chats to an eqwatch monitor. Standard library only, besides LiteLLM itself.

Nothing here can slow or break a call: what a model answered is put in a bounded queue, a thread of its own sends it,
and what can't be sent is dropped and counted in ``dropped``. Sampling and redaction are the monitor's; it keeps
neither messages nor names of conversations.

    import litellm
    from eqwatch_callback import EqwatchCallback

    litellm.callbacks = [EqwatchCallback()]
    litellm.completion(model=..., messages=..., metadata={"eqwatch_deployment": "tutor", "eqwatch_conversation": "42"})

Environment: EQWATCH_MONITOR_URL (such as https://monitor:8081), EQWATCH_MONITOR_TOKEN (the monitor's ingest token).
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from litellm.integrations.custom_logger import CustomLogger

_BATCH = 50
_WAITING = 1000
_ATTEMPTS = 4
_FIRST_PAUSE_SECONDS = 0.5
_TIMEOUT_SECONDS = 5.0
_PREFIX = "eqwatch_"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_HEADERS = {
    "x-eqwatch-deployment": "deployment",
    "x-eqwatch-conversation": "conversation",
    "x-eqwatch-opt-out": "opt_out",
}


class EqwatchCallback(CustomLogger):
    """url, token: of the monitor. dropped: exchanges that were lost; sent: that the monitor answered for."""

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        super().__init__()
        base = (url or os.environ["EQWATCH_MONITOR_URL"]).rstrip("/")
        if not base.startswith(("http://", "https://")):
            raise ValueError(f"EQWATCH_MONITOR_URL {base!r} is no URL: write https://HOST:PORT")
        self._url = f"{base}/api/v1/exchanges"
        self._token = token if token is not None else os.environ.get("EQWATCH_MONITOR_TOKEN", "")
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue(_WAITING)
        self.dropped = 0
        self.sent = 0
        self._sender = threading.Thread(target=self._send_all, name="eqwatch", daemon=True)
        self._sender.start()
        atexit.register(self.close)

    # -- LiteLLM's hooks

    def log_success_event(
        self,
        kwargs: dict[str, Any],
        response_obj: Any,
        start_time: Any,  # noqa: ARG002 - LiteLLM's signature
        end_time: Any,
    ) -> None:
        """After `completion`, and after the last chunk of a stream."""
        self._take(kwargs, response_obj, end_time)

    async def async_log_success_event(
        self,
        kwargs: dict[str, Any],
        response_obj: Any,
        start_time: Any,  # noqa: ARG002
        end_time: Any,
    ) -> None:
        """After `acompletion`; nothing is waited for."""
        self._take(kwargs, response_obj, end_time)

    # -- the way to the monitor

    def close(self, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        """Send what waits, for at most so long."""
        if self._sender.is_alive():
            try:
                self._waiting.put(None, timeout=timeout_seconds)
            except queue.Full:
                return
            self._sender.join(timeout_seconds)

    def _take(self, kwargs: Mapping[str, Any], response: Any, end_time: Any) -> None:
        exchange = exchange_of(kwargs, response, end_time)
        if exchange is None:
            return
        try:
            self._waiting.put_nowait(exchange)
        except queue.Full:
            self.dropped += 1

    def _send_all(self) -> None:
        ended = False
        while not ended:
            batch = [self._waiting.get()]
            while len(batch) < _BATCH and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            ended = None in batch
            exchanges = [one for one in batch if one is not None]
            if exchanges:
                self._send(exchanges)

    def _send(self, exchanges: list[dict[str, Any]]) -> None:
        pause = _FIRST_PAUSE_SECONDS
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(pause)
                pause *= 2
            try:
                self._post(exchanges)
            except urllib.error.HTTPError as error:
                error.close()
                if error.code in {413, 422} and len(exchanges) > 1:
                    for exchange in exchanges:  # one that is odd or too large must not cost the others
                        self._send([exchange])
                    return
                if error.code < 500 and error.code not in {408, 429}:
                    break  # it would be refused again
            except (OSError, TimeoutError):
                continue
            else:
                self.sent += len(exchanges)
                return
        self.dropped += len(exchanges)

    def _post(self, exchanges: list[dict[str, Any]]) -> None:
        body = json.dumps({"exchanges": exchanges}, default=str).encode()
        headers = {"content-type": "application/json"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self._url, body, headers)  # noqa: S310 - checked to be HTTP
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            answer.read()


def exchange_of(kwargs: Mapping[str, Any], response: Any, end_time: Any) -> dict[str, Any] | None:
    """The body of one exchange as the monitor takes it, or None for what is no chat, such as an embedding."""
    messages = kwargs.get("messages")
    reply = _reply(response)
    if not isinstance(messages, list) or not messages or reply is None:
        return None
    marks = _marks(kwargs.get("litellm_params") or {})
    return {
        "messages": [message if isinstance(message, dict) else message.model_dump() for message in messages],
        "reply": reply,
        "model": str(kwargs.get("model") or "")[:200],
        "id": str(kwargs.get("litellm_call_id") or "")[:200],
        "at": end_time.timestamp() if isinstance(end_time, datetime) else time.time(),
        "deployment": name if _NAME.fullmatch(name := str(marks.get("deployment") or "")) else "",
        "conversation": str(marks.get("conversation") or "")[:200],
        "opt_out": str(marks.get("opt_out") or "").lower() in {"1", "true", "yes"},
    }


def _reply(response: Any) -> str | None:
    """The first choice's text; empty where the model called a tool."""
    choices = _of(response, "choices")
    message = _of(choices[0], "message") if choices else None
    return None if message is None else str(_of(message, "content") or "")


def _of(value: Any, name: str) -> Any:
    """LiteLLM's objects have attributes, their dumped form has keys."""
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _marks(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Deployment, conversation and opt-out: from the headers of a LiteLLM proxy's request, over them its metadata."""
    request = parameters.get("proxy_server_request") or {}
    headers = {str(name).lower(): value for name, value in (request.get("headers") or {}).items()}
    found = {field: headers[name] for name, field in _HEADERS.items() if name in headers}
    metadata = parameters.get("metadata") or {}
    for given in (metadata, metadata.get("requester_metadata") or {}):
        found |= {name.removeprefix(_PREFIX): value for name, value in given.items() if str(name).startswith(_PREFIX)}
    return found

"""The outermost layer of the admin app: refuses what `Access` refuses, bounds bodies, keeps browsers safe, and contains
failures, so that no exception with its message reaches the server's log.
"""

import traceback

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from middleware.admin.access import Access, Refusal
from middleware.admin.errors import error_response

__all__ = ["Gate"]

_log = structlog.get_logger(__name__)
_MAX_BODY_BYTES = 4 * 1024 * 1024
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
    # Pages and charts set their own; this is for everything that is not meant to be looked at in a browser.
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


class Gate:
    """Plain ASGI middleware, so that a stream is not wrapped in another one."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on; a websocket is refused always."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(refusal, scope, receive, send_guarded)
            return
        try:
            await self._app(scope, _bounded(receive), send_guarded)
        except Exception as error:  # noqa: BLE001 - the last line of defence; what it catches is a defect
            # Frames only: a message or a local variable may hold what was sent.
            _log.error(
                "admin_request_failed",
                path=scope["path"],
                error=type(error).__name__,
                frames="".join(traceback.format_tb(error.__traceback__)),
            )
            if not started:
                failed = error_response(500, "internal", "The sidecar failed to answer; its log has the traceback.")
                await failed(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers = Headers(scope=scope)
        refusal = self._access.refusal(scope["method"], scope["path"], headers)
        declared = headers.get("content-length", "")
        if refusal is None and declared.isdecimal() and int(declared) > _MAX_BODY_BYTES:
            return Refusal(413, "body_too_large", "The body is larger than the admin API takes.")
        return refusal


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    challenge = {"www-authenticate": 'Basic realm="eqwatch", Bearer realm="eqwatch"'} if refusal.challenge else None
    response = error_response(refusal.status, refusal.code, refusal.message, headers=challenge)
    await response(scope, receive, send)


def _bounded(receive: Receive) -> Receive:
    """The same stream; a body without a declared length is refused once it is too large."""
    taken = 0

    async def receive_bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > _MAX_BODY_BYTES:
            raise HTTPException(413)
        return message

    return receive_bounded

"""An aiohttp server that forwards with aiohttp's client, streaming the answer. Runs only where aiohttp is installed.

python aiohttp_proxy.py PORT UPSTREAM_PORT        (imports nothing of this project, so any interpreter can run it)
"""

import asyncio
import sys
from collections.abc import AsyncIterator

from aiohttp import (  # type: ignore[import-not-found, unused-ignore]
    ClientSession,
    ClientTimeout,
    TCPConnector,
    web,
)

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host"}


def create_app(upstream: str) -> web.Application:
    """The proxy in front of one origin."""
    app = web.Application(client_max_size=64 * 1024 * 1024)
    sessions: list[ClientSession] = []

    async def session_of(_: web.Application) -> AsyncIterator[None]:
        connector = TCPConnector(limit=0, keepalive_timeout=300)
        timeout = ClientTimeout(total=None)
        async with ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
            sessions.append(session)
            yield

    async def forward(request: web.Request) -> web.StreamResponse:
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP]
        url, body = upstream + request.raw_path, await request.read()
        async with sessions[0].request(
            request.method, url, headers=headers, data=body, allow_redirects=False
        ) as answer:
            kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP]
            response = web.StreamResponse(status=answer.status)
            response.headers.extend(kept)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    app.cleanup_ctx.append(session_of)
    app.router.add_route("*", "/{path:.*}", forward)
    return app


if __name__ == "__main__":
    try:
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    except ImportError:
        pass
    web.run_app(
        create_app(f"http://127.0.0.1:{sys.argv[2]}"),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        print=lambda *_: None,
        access_log=None,
        keepalive_timeout=300,
        backlog=4096,
        handler_cancellation=True,
    )

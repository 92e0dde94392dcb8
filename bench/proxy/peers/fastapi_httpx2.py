"""A FastAPI catch-all route that forwards with httpx2, streaming both ways: the proxy that most people would write.

python -m bench.proxy.peers.fastapi_httpx2 PORT UPSTREAM_PORT
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import uvicorn
from fastapi import FastAPI, Request
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse

__all__ = ["create_app"]

_HOP_BY_HOP = {b"connection", b"keep-alive", b"transfer-encoding", b"te", b"trailer", b"upgrade", b"host"}


def create_app(upstream: str) -> FastAPI:
    """The proxy in front of one origin."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    client = httpx2.AsyncClient(base_url=upstream, timeout=None, limits=limits, trust_env=False)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with client:
            yield

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def forward(request: Request, path: str) -> StreamingResponse:
        headers = [(name, value) for name, value in request.headers.raw if name not in _HOP_BY_HOP]
        onward = client.build_request(request.method, f"/{path}", headers=headers, content=await request.body())
        answer = await client.send(onward, stream=True)
        response = StreamingResponse(
            answer.aiter_raw(), status_code=answer.status_code, background=BackgroundTask(answer.aclose)
        )
        response.raw_headers = [(k.lower(), v) for k, v in answer.headers.raw if k.lower() not in _HOP_BY_HOP]
        return response

    return app


if __name__ == "__main__":
    uvicorn.run(
        create_app(f"http://127.0.0.1:{sys.argv[2]}"),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=300,
        backlog=4096,
    )

"""The loads: what is asked of the mock upstream, by how many clients, and for how long."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

__all__ = ["HOLD_OPEN", "LOADS", "Load", "body", "quickened"]

_REQUEST_BYTES = 1024
_TURN = "Since the move I hardly talk to anybody, and I notice that I snap at the few people who do call. "


@dataclass(frozen=True, slots=True)
class Load:
    """One load. rate: requests/s of an open loop, 0 for a closed one; spread_ms: time over which connections start.

    wish: the mock's instruction. vary: each request has an X-Request-Id of its own. per_chunk: cost is told per SSE
    chunk instead of per request.
    """

    name: str
    connections: int
    seconds: float
    warmup: float
    rate: float = 0.0
    spread_ms: float = 0.0
    stream: bool = False
    wish: str = ""
    vary: bool = False

    @property
    def per_chunk(self) -> bool:
        """Whether the unit of cost is a chunk."""
        return self.stream


LOADS = (
    Load("json c=1", 1, 2.0, 0.5),
    Load("json c=64", 64, 2.0, 0.5),
    # A proxy that knows a head again gains nothing here: no two heads on a connection are equal.
    Load("json c=64 varied", 64, 2.0, 0.5, vary=True),
    Load("json c=256", 256, 2.0, 0.5),
    Load("json 1000/s", 64, 4.0, 1.0, rate=1000),
    Load("sse burst c=16", 16, 2.0, 0.5, stream=True, wish="chunks=200"),
    # 50 streams in step: all chunks of a tick arrive together, the worst case for a chunk's delay.
    Load("sse 50x50/s", 50, 5.0, 4.5, stream=True, wish="delay=20 pace=20 chunks=200"),
    # The same number of chunks with streams begun at different instants, as users do.
    Load("sse 50x50/s spread", 50, 5.0, 4.5, stream=True, wish="delay=20 pace=20 chunks=200", spread_ms=4010),
)
"""All loads, in the order in which a round runs them."""

HOLD_OPEN = Load("1000 open streams", 1000, 6.0, 0.0, stream=True, wish="pace=1000 chunks=200")
"""Streams of one chunk a second that stay open, for memory."""


def body(load: Load, folder: Path) -> Path:
    """The request body of a load as a file, 1 KB."""
    path = folder / f"body-{load.name.replace(' ', '-').replace('/', '-')}.json"
    path.write_bytes(request_body(stream=load.stream, wish=load.wish))
    return path


def request_body(*, stream: bool, wish: str, size: int = _REQUEST_BYTES) -> bytes:
    """A chat completion request of exactly `size` bytes whose user message begins with the mock's instruction."""

    def encoded(text: str) -> bytes:
        system = {"role": "system", "content": "You are a patient companion."}
        messages = [system, {"role": "user", "content": f"[mock: {wish}] {text}"}]
        return json.dumps({"model": "bench-1", "messages": messages, "temperature": 0.7, "stream": stream}).encode()

    room = size - len(encoded(""))
    if room < 0:
        raise ValueError(f"a request body of {size} bytes is too small")
    return encoded((_TURN * (room // len(_TURN) + 1))[:room])


def quickened(load: Load, factor: float) -> Load:
    """The same load with its durations scaled, for a fast look; the figures get noisier."""
    return replace(load, seconds=max(0.3, load.seconds * factor), warmup=max(0.2, load.warmup * factor))

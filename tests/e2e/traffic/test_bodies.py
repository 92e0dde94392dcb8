"""Bodies pass raw and at once, in both directions, with memory flat."""

import gzip
import os
import random
import threading
import zlib
from typing import Any

import pytest

MIB = 1024 * 1024
GROWTH = 24 * MIB
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: c\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def chunked(rng: random.Random, data: bytes) -> bytes:
    """The data in chunks of random size, with extensions and odd but legal size lines."""
    pieces = []
    at = 0
    while at < len(data):
        size = rng.choice([1, 2, 15, 16, 17, 255, 4096, 70_000])
        piece = data[at : at + size]
        line = rng.choice([b"%x", b"%X", b"000%x"]) % len(piece) + rng.choice([b"", b"", b";ext", b";a=b;c=d"])
        pieces.append(line + b"\r\n" + piece + b"\r\n")
        at += size
    return b"".join(pieces) + b"0\r\n\r\n"


def split(rng: random.Random, data: bytes, parts: int) -> list[bytes]:
    """The data cut at random places."""
    cuts = sorted(rng.choices(range(len(data) + 1), k=parts - 1))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_request_body_is_unchanged(relay: Any, upstream: Any, framing: str, seed: int) -> None:
    """Random bytes, cut at random places, reach the upstream as the same body with the same kind of framing."""
    rng = random.Random(seed)
    body = rng.randbytes(rng.choice([1, 100, 65_536, 300_000]))
    if framing == "length":
        sent = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    else:
        sent = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(rng, body)
    client = relay.dial()
    writer = threading.Thread(target=lambda: [client.send(part) for part in split(rng, sent, 12)])
    writer.start()
    wire = upstream.accept()
    seen = wire.read_request()
    writer.join()
    assert seen.body == body
    assert bool(seen.values(b"content-length")) == (framing == "length")
    wire.send(EMPTY)
    assert client.read_answer().status == 200


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("framing", ["length", "chunked", "end"])
def test_response_body_is_unchanged(relay: Any, upstream: Any, framing: str, seed: int) -> None:
    """Random bytes, cut at random places, reach the client as the same body, however they are framed."""
    rng = random.Random(seed)
    body = rng.randbytes(rng.choice([0, 1, 100, 65_536, 300_000]))
    client = relay.ask(b"GET / HTTP/1.1\r\nHost: c\r\n\r\n")
    wire = upstream.accept()
    wire.read_head()
    head = {
        "length": b"Content-Length: %d\r\n" % len(body),
        "chunked": b"Transfer-Encoding: chunked\r\n",
        "end": b"Connection: close\r\n",
    }[framing]
    sent = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + (chunked(rng, body) if framing == "chunked" else body)

    def write() -> None:
        for part in split(rng, sent, 12):
            wire.send(part)
        if framing == "end":
            wire.close()

    writer = threading.Thread(target=write)
    writer.start()
    answer = client.read_answer()
    writer.join()
    assert answer.body == body


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "nonsense"])
def test_content_encodings_pass_raw(relay: Any, upstream: Any, encoding: str) -> None:
    """Encoded bodies are neither decoded nor encoded anew, in either direction, and the headers about them stay."""
    text = b"how do you feel? " * 200
    coded = {"gzip": gzip.compress(text), "deflate": zlib.compress(text)}.get(encoding, os.urandom(500))
    headers = b"Content-Encoding: " + encoding.encode() + b"\r\nContent-Length: %d\r\n\r\n" % len(coded)
    client = relay.ask(HEAD + b"Accept-Encoding: zstd;q=0.1, " + encoding.encode() + b"\r\n" + headers + coded)
    wire = upstream.accept()
    seen = wire.read_request()
    assert seen.body == coded
    assert seen.values(b"accept-encoding") == [b"zstd;q=0.1, " + encoding.encode()]
    wire.send(b"HTTP/1.1 200 OK\r\n" + headers + coded)
    answer = client.read_answer()
    assert answer.body == coded
    assert answer.values(b"content-encoding") == [encoding.encode()]


@pytest.mark.parametrize(
    "piece",
    [
        b"data: {not json\n\n",
        b"data: \xff\xfe\n\n",
        b"event\n\ndata",
        b"\x00\r\r\n\n",
        b"data: [DONE]\n\ndata: after\n\n",
        b"id: \x00\nretry: x\n" * 50,
    ],
    ids=["json", "utf8", "lines", "control", "done-twice", "fields"],
)
def test_malformed_sse_passes(relay: Any, upstream: Any, piece: bytes) -> None:
    """A stream that is no proper SSE passes byte for byte, chunk after chunk."""
    client = relay.ask(HEAD + b"Content-Length: 0\r\n\r\n")
    wire = upstream.accept()
    wire.read_head()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.read_head()
    for _ in range(3):
        wire.send(b"%x\r\n" % len(piece) + piece + b"\r\n")
        assert client.read(len(b"%x\r\n" % len(piece)) + len(piece) + 2)[-len(piece) - 2 : -2] == piece
    wire.send(b"0\r\n\r\n")
    assert client.read_chunk() == b""


@pytest.mark.parametrize("framing", ["chunked", "length", "end"])
def test_each_response_chunk_arrives_before_the_next_is_sent(relay: Any, upstream: Any, framing: str) -> None:
    """The head alone, then each chunk alone, reaches the client before the upstream sends anything more."""
    client = relay.ask(HEAD + b"Content-Length: 0\r\n\r\n")
    wire = upstream.accept()
    wire.read_head()
    pieces = [b"data: %d\n\n" % number for number in range(50)] + [b"x"]
    total = sum(map(len, pieces))
    framed = {
        "chunked": b"Transfer-Encoding: chunked\r\n",
        "length": b"Content-Length: %d\r\n" % total,
        "end": b"",
    }[framing]
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + framed + b"\r\n")
    answer = client.read_head()
    relayed_chunked = bool(answer.values(b"transfer-encoding"))
    for piece in pieces:
        wire.send(b"%x\r\n%s\r\n" % (len(piece), piece) if framing == "chunked" else piece)
        assert (client.read_chunk() if relayed_chunked else client.read(len(piece))) == piece


def test_a_chunk_cut_in_two_passes_in_two(relay: Any, upstream: Any) -> None:
    """Half a chunk is passed on as soon as it is there: nothing waits for a chunk, a line or an event to be whole."""
    client = relay.ask(HEAD + b"Content-Length: 0\r\n\r\n")
    wire = upstream.accept()
    wire.read_head()
    wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf of a lo")
    client.read_head()
    assert client.read_until(b"half of a lo")


@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_each_request_chunk_arrives_before_the_next_is_sent(relay: Any, upstream: Any, framing: str) -> None:
    """The head alone, then each piece of an upload, reaches the upstream before the client sends anything more."""
    pieces = [os.urandom(1000) for _ in range(20)]
    framed = b"Transfer-Encoding: chunked" if framing == "chunked" else b"Content-Length: 20000"
    client = relay.ask(b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: c\r\n" + framed + b"\r\n\r\n")
    wire = upstream.accept()
    seen = wire.read_head()
    assert seen.values(b"content-length") == ([b"20000"] if framing == "length" else [])
    for piece in pieces:
        client.send(b"%x\r\n%s\r\n" % (len(piece), piece) if framing == "chunked" else piece)
        assert (wire.read_chunk() if framing == "chunked" else wire.read(1000)) == piece
    client.send(b"0\r\n\r\n" if framing == "chunked" else b"")
    assert framing == "length" or wire.read_chunk() == b""
    wire.send(EMPTY)
    assert client.read_answer().status == 200


def _drain(wire: Any, size: int) -> int:
    """Read and forget that many bytes; their checksum."""
    checksum = 0
    while size:
        data = wire.sock.recv(min(size, MIB))
        assert data, "ended early"
        checksum = zlib.crc32(data, checksum)
        size -= len(data)
    return checksum


@pytest.mark.parametrize("direction", ["up", "down"])
def test_fifty_megabytes_pass_with_memory_flat(relay: Any, upstream: Any, direction: str) -> None:
    """A 50 MB body streams through in either direction unchanged while the relay's memory stays flat."""
    block = os.urandom(MIB)
    size = 50 * MIB
    expected = 0
    for _ in range(50):
        expected = zlib.crc32(block, expected)
    client = relay.ask(HEAD + b"Content-Length: %d\r\n\r\n" % (size if direction == "up" else 0))
    wire = upstream.accept()
    wire.read_head()
    if direction == "down":
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        client.read_head()
    source, sink = (client, wire) if direction == "up" else (wire, client)
    before = relay.memory()
    writer = threading.Thread(target=lambda: [source.send(block) for _ in range(50)])
    writer.start()
    most = 0
    checksum = 0
    for _ in range(50):
        part = bytearray()
        while len(part) < MIB:
            received = sink.sock.recv(MIB - len(part))
            assert received, "the body ended early"
            part += received
        checksum = zlib.crc32(part, checksum)
        most = max(most, relay.memory())
    writer.join()
    assert checksum == expected
    assert most - before < GROWTH
    if direction == "up":
        wire.send(EMPTY)
        assert client.read_answer().status == 200


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_slow_reader_slows_the_sender(relay: Any, upstream: Any, direction: str) -> None:
    """Where one side does not read, the other can't send on; memory stays flat; then every byte arrives."""
    size = 150 * MIB
    client = relay.dial(receive_buffer=65536)
    client.send(HEAD + b"Content-Length: %d\r\n\r\n" % (size if direction == "up" else 0))
    wire = upstream.accept()
    wire.read_head()
    if direction == "down":
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        client.read_head()
    source, sink = (client, wire) if direction == "up" else (wire, client)
    before = relay.memory()
    sent = source.offer(bytes(MIB), size)
    assert sent < size, "the sender was never slowed"
    assert relay.memory() - before < GROWTH
    rest = threading.Thread(target=lambda: source.send(bytes(size - sent)))
    rest.start()
    checksum = _drain(sink, size)
    rest.join()
    assert checksum == zlib.crc32(bytes(size))
    assert relay.memory() - before < GROWTH


def test_pipelined_requests_are_not_hoarded(relay: Any, upstream: Any) -> None:
    """A client that goes on sending requests while the first hangs is slowed, and costs bounded memory."""
    request = b"GET /v1/models HTTP/1.1\r\nHost: c\r\n\r\n"
    client = relay.ask(request)
    wire = upstream.accept()
    wire.read_head()
    before = relay.memory()
    assert client.offer(request * 1000, 150 * MIB) < 150 * MIB
    assert relay.memory() - before < GROWTH
    assert not upstream.pending()

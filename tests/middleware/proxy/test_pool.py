"""Connections to the upstream: reuse, expiry, replay, and the ways to reach it."""

import asyncio
import json
import socket
import ssl
import threading
from pathlib import Path

import pytest
import trustme

from middleware.errors import ConfigurationError
from middleware.proxy.dial import tls_context
from middleware.records.relay import Listener, Timeouts, UpstreamTarget

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"


def closing_after(answers):
    """Answers so many requests of each connection, then takes one more and closes without a word."""

    async def handle(reader, writer, upstream):
        for _ in range(answers if len(upstream.received) == 1 else 100):
            await upstream.read_request(reader)
            writer.write(OK)
        await upstream.read_request(reader)

    return handle


@pytest.mark.parametrize(("second", "served"), [(GET, True), (POST, False)])
def test_one_replay_where_it_is_safe(kit, second, served):
    """A reused connection that closes before a byte: an idempotent request goes out once more, a POST is a 502."""

    async def main():
        async with kit.rig(closing_after(1)) as rig:
            reader, writer = await rig.open()
            writer.write(GET)
            assert await reader.readexactly(len(OK)) == OK
            writer.write(second)
            if served:
                assert await reader.readexactly(len(OK)) == OK
                assert [got.count(b"GET") for got in rig.upstream.received] == [2, 1]
            else:
                answer = await reader.readuntil(b"}}")
                assert b" 502 " in answer
                assert len(rig.upstream.received) == 1
            writer.close()

    kit.run(main())


def test_a_fresh_connection_is_never_replayed(kit):
    """An upstream that closes at once is asked once: retries are the client's to make."""

    async def handle(reader, writer, upstream):
        await upstream.read_request(reader)

    async def main():
        async with kit.rig(handle) as rig:
            reader, writer = await rig.open()
            writer.write(GET)
            answer = await reader.readuntil(b"}}")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "upstream_closed"
            assert len(rig.upstream.received) == 1
            writer.close()

    kit.run(main())


def test_connections_are_reused_between_clients(kit):
    """The last one returned is taken first; clients don't own upstream connections."""

    async def main():
        async with kit.rig(kit.answering(OK)) as rig:
            for _ in range(5):
                reader, writer = await rig.open()
                writer.write(GET)
                assert await reader.readexactly(len(OK)) == OK
                writer.close()
            assert len(rig.upstream.received) == 1

    kit.run(main())


def test_idle_connections_expire(kit):
    """A connection that nobody needed for the keep-alive time is closed."""

    async def main():
        async with kit.rig(kit.answering(OK), timeouts=Timeouts(upstream_keep_alive=0.2, head=1)) as rig:
            reader, writer = await rig.open()
            writer.write(GET)
            assert await reader.readexactly(len(OK)) == OK
            await rig.settled(lambda: rig.relay.context.counters.open_upstreams == 0)
            assert rig.relay.context.pool.idle == 0
            writer.close()

    kit.run(main())


def test_a_connection_that_the_upstream_closed_is_not_taken(kit):
    """An upstream with a shorter keep-alive closes idle connections; a POST then goes out on a new one."""

    async def handle(reader, writer, upstream):
        await upstream.read_request(reader)
        writer.write(OK)

    async def main():
        async with kit.rig(handle) as rig:
            reader, writer = await rig.open()
            for _ in range(3):
                writer.write(POST)
                assert await reader.readexactly(len(OK)) == OK
                await rig.settled(lambda: rig.relay.context.counters.open_upstreams == 0)
            writer.close()

    kit.run(main())


def test_unix_sockets_on_both_sides(kit, tmp_path):
    """The relay listens on, and connects to, Unix sockets."""
    theirs, ours = tmp_path / "up.sock", tmp_path / "relay.sock"

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        writer.close()

    async def main():
        server = await asyncio.start_unix_server(handle, theirs)
        async with kit.rig(
            kit.answering(OK), target={"unix_socket": str(theirs)}, listeners=(Listener(path=str(ours)),)
        ) as rig:
            assert rig.relay.addresses == [(str(ours), 0)]
            reader, writer = await asyncio.open_unix_connection(ours)
            writer.write(GET)
            assert await reader.readexactly(len(OK)) == OK
            writer.close()
            assert rig.upstream.received == []
        server.close()

    kit.run(main())


def test_ipv6_on_both_sides(kit):
    """Addresses of the sixth version work for listener and upstream, and Host has their brackets."""
    heads = []

    async def handle(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)
        writer.close()

    async def main():
        server = await asyncio.start_server(handle, "::1", 0)
        port = server.sockets[0].getsockname()[1]
        async with kit.rig(
            kit.answering(OK), target={"host": "::1", "port": port}, listeners=(Listener("::1", 0),)
        ) as rig:
            reader, writer = await asyncio.open_connection("::1", rig.port)
            writer.write(GET)
            assert await reader.readexactly(len(OK)) == OK
            assert b"Host: [::1]:%d\r\n" % port in heads[0]
            writer.close()
        server.close()

    kit.run(main())


def tls_files(directory: Path, ca: trustme.CA, name: str):
    certificate = ca.issue_cert(name)
    paths = directory / f"{name}.pem", directory / f"{name}.key"
    certificate.cert_chain_pems[0].write_to_path(paths[0])
    certificate.private_key_pem.write_to_path(paths[1])
    return [str(path) for path in paths]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"ca_file": ""}, "tls"),
        ({"server_name": "other.example"}, "tls"),
        ({"client_certificate": ""}, "tls"),
    ],
)
def test_tls_to_the_upstream(kit, tmp_path, changes, reason):
    """The upstream is checked against the CA file and name, and sees the client certificate; what fails is a 502."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    server_files, client_files = tls_files(tmp_path, ca, "up.example"), tls_files(tmp_path, ca, "relay.example")
    settings = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    settings.maximum_version = (
        ssl.TLSVersion.TLSv1_2
    )  # 1.3 tells of a missing client certificate only after the handshake
    settings.load_cert_chain(*server_files)
    settings.load_verify_locations(tmp_path / "ca.pem")
    settings.verify_mode = ssl.CERT_REQUIRED
    target = {
        "scheme": "https",
        "ca_file": str(tmp_path / "ca.pem"),
        "client_certificate": client_files[0],
        "client_key": client_files[1],
        "server_name": "up.example",
    } | changes

    async def main():
        async with kit.rig(kit.answering(OK), target=target) as rig:
            reader, writer = await rig.open()
            writer.write(GET)
            answer = await asyncio.wait_for(reader.readuntil(b"}}" if reason else b"ok"), 20)
            assert answer.startswith(b"HTTP/1.1 502" if reason else b"HTTP/1.1 200")
            assert rig.total("upstream_failures_total") == ({(reason,): 1} if reason else {})
            writer.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        target["port"] = listener.getsockname()[1]
        upstream = threading.Thread(target=answer_over_tls, args=(listener, settings), daemon=True)
        upstream.start()
        kit.run(main())
        upstream.join(10)


def answer_over_tls(listener: socket.socket, settings: ssl.SSLContext) -> None:
    """One connection, in a thread of its own: a server on the relay's loop would share its TLS machinery."""
    connection, _ = listener.accept()
    with connection:
        try:
            secure = settings.wrap_socket(connection, server_side=True)
        except OSError:
            return
        with secure:
            while not secure.recv(65536).endswith(b"\r\n\r\n"):
                pass
            secure.sendall(OK)


def test_unusable_tls_files_are_a_configuration_error(tmp_path):
    """A missing CA file or key is said at start, not with the first request."""
    for field in ("ca_file", "client_certificate"):
        target = UpstreamTarget("https", "up.example", 443, **{field: str(tmp_path / "missing.pem")})
        with pytest.raises(ConfigurationError, match="upstream TLS"):
            tls_context(target)

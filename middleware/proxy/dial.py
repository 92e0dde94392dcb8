"""Opens connections to the upstream: TCP (IPv4, IPv6) or Unix socket, with TLS where the upstream wants it."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import cast

from middleware.errors import ConfigurationError
from middleware.proxy.upstream import UpstreamSide
from middleware.records.relay import UpstreamTarget

__all__ = ["dialler", "tls_context"]


def tls_context(target: UpstreamTarget) -> ssl.SSLContext | None:
    """The TLS settings for the upstream, or None for plain HTTP; raises ConfigurationError for unusable files."""
    if target.scheme != "https":
        return None
    try:
        context = ssl.create_default_context(cafile=target.ca_file or None)
        if target.client_certificate:
            context.load_cert_chain(target.client_certificate, target.client_key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"upstream TLS: a certificate or key file can't be loaded: {error}") from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def dialler(target: UpstreamTarget) -> Callable[[Callable[[], UpstreamSide]], Awaitable[UpstreamSide]]:
    """A function that opens one connection and returns its protocol; raises OSError."""
    context = tls_context(target)
    server_name = (target.server_name or target.host) if context else None

    async def dial(make: Callable[[], UpstreamSide]) -> UpstreamSide:
        loop = asyncio.get_running_loop()
        factory = cast("Callable[[], asyncio.BaseProtocol]", make)  # a protocol in all but name
        if target.unix_socket:
            _, protocol = await loop.create_unix_connection(
                factory, target.unix_socket, ssl=context, server_hostname=server_name
            )
        else:
            _, protocol = await loop.create_connection(
                factory, target.host, target.port, ssl=context, server_hostname=server_name
            )
        return cast("UpstreamSide", protocol)

    return dial

"""Turns the settings into the plain record that the relay process is told."""

from urllib.parse import urlsplit

from middleware.errors import ConfigurationError
from middleware.records.relay import DeploymentMatch, Limits, Listener, RelayConfig, Tap, Timeouts, UpstreamTarget
from middleware.settings.schema import Settings

__all__ = ["relay_config", "upstream_target"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


def relay_config(settings: Settings, *, key_salt: bytes) -> RelayConfig:
    """The relay's part of the settings; raises ConfigurationError where the upstream is missing or no HTTP URL."""
    relay = settings.relay
    return RelayConfig(
        upstream=upstream_target(settings),
        listeners=tuple(_listener(listen) for listen in relay.listen),
        limits=Limits(
            head_bytes=relay.head_bytes,
            headers=relay.headers,
            body_bytes=relay.body_bytes,
            connections=relay.connections,
            upstream_connections=relay.upstream_connections,
            buffer_bytes=relay.buffer_bytes,
        ),
        timeouts=Timeouts(
            head=relay.head_timeout_seconds,
            body=relay.body_timeout_seconds,
            keep_alive=relay.keep_alive_seconds,
            connect=relay.connect_timeout_seconds,
            first_byte=relay.first_byte_timeout_seconds,
            idle=relay.idle_timeout_seconds,
            upstream_keep_alive=relay.upstream_keep_alive_seconds,
            drain=relay.drain_seconds,
        ),
        tap=Tap(
            rate=1.0 if _tapped(settings) else 0.0,
            body_bytes=relay.tap_body_bytes,
            busy_share=relay.tap_busy_processor_share,
        ),
        deployments=_deployments(settings),
        key_salt=key_salt,
        identify_clients=bool(settings.probe.opt_out_key_ids),
        awareness_header=relay.emotions_header and not settings.monitor.url,
        access_log=relay.access_log,
        workers=relay.workers,
    )


def _tapped(settings: Settings) -> bool:
    return settings.probe.enabled and any(deployment.sampled for deployment in settings.deployments)


def upstream_target(settings: Settings) -> UpstreamTarget:
    """The upstream's address: a trailing ``/v1`` is the SDK's, any other path is put before every target."""
    upstream = settings.upstream
    if not upstream.url:
        raise ConfigurationError("upstream.url is missing: pass --upstream URL, or set EQWATCH_UPSTREAM_URL")
    url = urlsplit(upstream.url)
    try:
        port = url.port
    except ValueError:
        port = None if url.netloc.endswith(":") else -1
    if url.scheme not in _DEFAULT_PORTS or not url.hostname or port == -1 or url.query or url.fragment or url.username:
        raise ConfigurationError(
            f"upstream.url {upstream.url!r} is no base URL: write http://HOST:PORT or https://HOST/v1, "
            "without user, query or fragment"
        )
    path = url.path.rstrip("/")
    return UpstreamTarget(
        scheme=url.scheme,
        host=url.hostname,
        port=port or _DEFAULT_PORTS[url.scheme],
        base_path=path.removesuffix("/v1"),
        ca_file=upstream.ca_file,
        client_certificate=upstream.client_certificate,
        client_key=upstream.client_key,
        server_name=upstream.server_name,
        unix_socket=upstream.unix_socket,
    )


def _listener(listen: str) -> Listener:
    if listen.startswith("unix:"):
        return Listener(host="", port=0, path=listen.removeprefix("unix:"))
    host, _, port = listen.rpartition(":")
    return Listener(host=host.strip("[]"), port=int(port))


def _deployments(settings: Settings) -> tuple[DeploymentMatch, ...]:
    """Configured deployments, and ``default`` where a model name, which is known off the path only, may decide."""
    matches = [
        DeploymentMatch(
            name=deployment.name,
            path_prefixes=deployment.match.paths,
            key_ids=deployment.match.key_ids,
            tapped=deployment.sampled and settings.probe.enabled,
        )
        for deployment in settings.deployments
    ]
    by_model = any(deployment.match.models and deployment.sampled for deployment in settings.deployments)
    if by_model and settings.probe.enabled and all(match.name != "default" for match in matches):
        matches.append(DeploymentMatch(name="default", tapped=True))
    return tuple(matches)

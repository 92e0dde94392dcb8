"""What the relay process is told at start: plain data, made from the settings by the composition root."""

from dataclasses import dataclass, field

__all__ = ["DeploymentMatch", "Limits", "Listener", "RelayConfig", "Tap", "Timeouts", "UpstreamTarget"]


@dataclass(frozen=True, slots=True)
class Listener:
    """Where the relay listens: TCP (host and port; port 0 picks a free one) or a Unix socket (path)."""

    host: str = "127.0.0.1"
    port: int = 8080
    path: str = ""


@dataclass(frozen=True, slots=True)
class UpstreamTarget:
    """The one upstream. base_path is put before every target ('' or '/prefix', never with a trailing slash)."""

    scheme: str
    host: str
    port: int
    base_path: str = ""
    ca_file: str = ""
    client_certificate: str = ""
    client_key: str = ""
    server_name: str = ""
    unix_socket: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, counts in pieces."""

    head_bytes: int = 64 * 1024
    headers: int = 128
    body_bytes: int = 512 * 1024 * 1024
    connections: int = 10_000
    upstream_connections: int = 10_000
    buffer_bytes: int = 256 * 1024


@dataclass(frozen=True, slots=True)
class Timeouts:
    """All in seconds; 0 switches a timeout off."""

    head: float = 20.0
    body: float = 60.0
    keep_alive: float = 75.0
    connect: float = 10.0
    first_byte: float = 600.0
    idle: float = 600.0
    upstream_keep_alive: float = 30.0
    drain: float = 30.0


@dataclass(frozen=True, slots=True)
class Tap:
    """rate: share of exchanges offered to control, 0..1; body_bytes: cap of each kept body.

    busy_share: share of one processor that the relay's loop asks for, from which nothing is offered; 0: no such limit.
    """

    rate: float = 0.0
    body_bytes: int = 1024 * 1024
    busy_share: float = 0.0


@dataclass(frozen=True, slots=True)
class DeploymentMatch:
    """How the relay recognises a deployment: by the value of x-eqwatch-deployment (= name), a path prefix or a key id.

    sample_rate > 0 and a configured purpose make it tapped (``tapped``); the sampling itself is decided off the path.
    """

    name: str
    path_prefixes: tuple[str, ...] = ()
    key_ids: tuple[str, ...] = ()
    tapped: bool = False


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """Everything that the relay needs; it reads no file and no environment of its own.

    workers: processes that share the ports and one control; limits hold for each of them. identify_clients: tell
    control the key id of each tapped exchange, even where no deployment is recognised by it.
    """

    upstream: UpstreamTarget
    listeners: tuple[Listener, ...] = (Listener(),)
    limits: Limits = field(default_factory=Limits)
    timeouts: Timeouts = field(default_factory=Timeouts)
    tap: Tap = field(default_factory=Tap)
    deployments: tuple[DeploymentMatch, ...] = ()
    key_salt: bytes = b""
    identify_clients: bool = False
    awareness_header: bool = False
    access_log: bool = False
    workers: int = 1

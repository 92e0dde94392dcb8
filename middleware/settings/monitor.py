"""Where a sidecar reports to, checked before anything is sent there."""

import ipaddress
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from middleware.errors import ConfigurationError
from middleware.settings.schema import Settings
from middleware.settings.secrets import revealed

__all__ = ["MonitorTarget", "monitor_target"]


@dataclass(frozen=True, slots=True)
class MonitorTarget:
    """url: base URL without a trailing slash. verify: TLS trust. token: empty where a local monitor wants none."""

    url: str
    token: str
    verify: ssl.SSLContext | bool


def monitor_target(settings: Settings) -> MonitorTarget:
    """Raises ConfigurationError for what is no base URL, is not encrypted, or has no token."""
    monitor = settings.monitor
    given = monitor.url or ""
    url = urlsplit(given)
    if url.scheme not in {"http", "https"} or not url.hostname or url.query or url.fragment or url.username:
        raise ConfigurationError(
            f"monitor.url {given!r} is no base URL: write https://HOST:PORT, without user, query or fragment"
        )
    local = _is_loopback(url.hostname)
    if url.scheme == "http" and not local and not monitor.allow_plaintext:
        raise ConfigurationError(
            f"monitor.url {given!r} would carry conversations and the token unencrypted: write https://, or set "
            "EQWATCH_MONITOR_ALLOW_PLAINTEXT=true where the network itself encrypts"
        )
    token = revealed(monitor.token)
    if not token and not local:
        raise ConfigurationError(
            f"monitor.token is not set, and {url.hostname} is another machine: set EQWATCH_MONITOR_TOKEN to the "
            "monitor's EQWATCH_ADMIN_INGEST_TOKEN"
        )
    try:
        verify = ssl.create_default_context(cafile=monitor.ca_file) if monitor.ca_file else True
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"monitor.ca_file {monitor.ca_file} can't be used: {error}") from None
    return MonitorTarget(given.rstrip("/"), token, verify)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

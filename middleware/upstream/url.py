"""What a user means by the URL of an upstream. No I/O."""

from urllib.parse import urlsplit

from middleware.errors import ConfigurationError

__all__ = ["normalise_upstream"]


def normalise_upstream(url: str) -> str:
    """The origin and prefix that stand before every target, without a trailing slash.

    An origin and the SDK-style base URL that ends in ``/v1`` mean the same; any other path is a prefix. Raises
    ConfigurationError for anything that is not a plain HTTP base URL (credentials in a URL would end up in logs).
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise _refused(url, "its host or port can't be read") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _refused(url, "it needs a scheme and a host")
    if parts.username is not None or parts.password is not None:
        raise _refused("…@" + (parts.hostname or ""), "a key belongs in EQWATCH_UPSTREAM_API_KEY, not in the URL")
    if parts.query or parts.fragment:
        raise _refused(url, "a base URL has no query and no fragment")
    path = parts.path.rstrip("/")
    if any(segment in {"", ".", ".."} for segment in path.split("/")[1:]):
        raise _refused(url, "its path has empty or dot segments")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    origin = f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
    return origin + path.removesuffix("/v1")


def _refused(url: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"upstream URL {url!r} can't be used: {why}; write http://HOST:PORT or https://HOST/v1")

"""What a user means by the URL of an upstream."""

import pytest

from middleware.errors import ConfigurationError
from middleware.upstream import normalise_upstream


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000"),
        ("https://api.example.com/v1", "https://api.example.com"),
        ("https://gateway.example.com/team/openai/v1", "https://gateway.example.com/team/openai"),
        ("https://gateway.example.com/team/openai", "https://gateway.example.com/team/openai"),
        ("http://[::1]:8000/v1", "http://[::1]:8000"),
        ("HTTP://Example.com", "http://example.com"),
        (" http://example.com \n", "http://example.com"),
    ],
)
def test_base_url(url: str, expected: str) -> None:
    """An origin and the SDK-style base URL mean the same; any other path is kept as a prefix."""
    assert normalise_upstream(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com",
        "ftp://example.com",
        "http://",
        "http://host:notaport",
        "http://host:99999",
        "http://host/v1?key=1",
        "http://host/#x",
        "http://host/a/../b",
        "http://host//v1",
        "http://host/a//b",
    ],
)
def test_refused(url: str) -> None:
    """Anything that is no plain HTTP base URL is refused, and the message says how to write one."""
    with pytest.raises(ConfigurationError, match="write http"):
        normalise_upstream(url)


def test_credentials_in_url() -> None:
    """A URL with credentials is refused and the message does not repeat them."""
    with pytest.raises(ConfigurationError) as caught:
        normalise_upstream("https://user:hunter2@example.com/v1")
    assert "hunter2" not in str(caught.value)
    assert "EQWATCH_UPSTREAM_API_KEY" in str(caught.value)

"""The relay is told a plain record made from the settings."""

import pytest

from middleware.errors import ConfigurationError
from middleware.records.relay import Listener
from middleware.settings import load_settings, relay_config


def config_for(url: str, **overrides: object):
    return relay_config(load_settings(None, {"upstream": {"url": url}, **overrides}), key_salt=b"salt")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://model:8000", ("http", "model", 8000, "")),
        ("http://model:8000/v1", ("http", "model", 8000, "")),
        ("http://model:8000/v1/", ("http", "model", 8000, "")),
        ("https://api.example.com", ("https", "api.example.com", 443, "")),
        ("https://gateway/team-a/v1", ("https", "gateway", 443, "/team-a")),
        ("https://gateway/team-a", ("https", "gateway", 443, "/team-a")),
        ("http://[::1]:9/v1", ("http", "::1", 9, "")),
    ],
)
def test_origin_and_base_url_mean_the_same(url: str, expected: tuple[str, str, int, str]) -> None:
    """A trailing /v1 is the SDK's; any other path is put before every target."""
    target = config_for(url).upstream
    assert (target.scheme, target.host, target.port, target.base_path) == expected


@pytest.mark.parametrize(
    "url", ["model:8000", "ftp://model", "http://", "http://h:99999", "http://u:p@h", "http://h/?a=1", "http://h/#a"]
)
def test_what_is_no_base_url_is_refused(url: str) -> None:
    """The error names the setting, the value and the form that is right."""
    with pytest.raises(ConfigurationError, match=r"upstream\.url .* is no base URL: write http"):
        config_for(url)


def test_a_missing_upstream_says_how_to_give_one() -> None:
    """serve needs nothing but the upstream, and says so."""
    with pytest.raises(ConfigurationError, match="pass --upstream URL"):
        relay_config(load_settings(), key_salt=b"")


def test_listeners_are_tcp_or_unix() -> None:
    """IPv6 loses its brackets; a Unix socket keeps its path."""
    listeners = config_for("http://h", relay={"listen": ["[::1]:0", "unix:/run/e.sock"]}).listeners
    assert listeners == (Listener("::1", 0), Listener("", 0, "/run/e.sock"))


def test_only_sampled_deployments_are_tapped() -> None:
    """Without a purpose the relay keeps no copy of a deployment's bodies; a busy one keeps none by default."""
    deployments = [
        {"name": "a", "kind": "tutoring", "purpose": "help students"},
        {"name": "b", "kind": "companion"},
    ]
    config = config_for("http://h", deployments=deployments)
    assert {match.name: match.tapped for match in config.deployments} == {"a": True, "b": False}
    assert config.tap.rate == 1.0
    assert config_for("http://h").tap.rate == 0.0
    assert config_for("http://h").tap.busy_share == 0.7
    assert config_for("http://h", relay={"tap_busy_processor_share": 0}).tap.busy_share == 0.0
    assert config_for("http://h", deployments=deployments, probe={"enabled": False}).tap.rate == 0.0


def test_a_model_name_decides_off_the_path() -> None:
    """Where a deployment is matched by model, exchanges of ``default`` are tapped too."""
    deployments = [{"name": "a", "kind": "tutoring", "purpose": "help students", "match": {"models": ["m"]}}]
    assert {m.name: m.tapped for m in config_for("http://h", deployments=deployments).deployments} == {
        "a": True,
        "default": True,
    }

"""The receivers that are told of events by a signed HTTP POST. Only what is configured here is ever called."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from middleware.errors import ConfigurationError
from middleware.settings.types import Duration, Section

__all__ = ["WebhookSettings", "checked_public_url", "signing_key", "webhook_secrets", "webhook_url"]

_NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
_LEAST_KEY_BYTES, _MOST_KEY_BYTES = 24, 64  # as the Standard Webhooks specification recommends
_PREFIX = "whsec_"


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise ValueError("write an address or network such as 127.0.0.1 or 10.20.0.0/16") from None


Network = Annotated[str, AfterValidator(_network)]


def checked_public_url(value: str | None) -> str | None:
    """An http(s) URL without query; links are put together from it."""
    if value is None:
        return None
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError("write the URL under which people reach the status page, such as https://eqwatch.example/")
    return value.rstrip("/") + "/"


class WebhookSettings(Section):
    """One receiver."""

    name: str = Field(pattern=_NAME, description="Name in lists and logs: lower case, digits, - and _.")
    url: SecretStr | None = Field(None, description="Where to POST. Secret, as the URLs of chat services are keys.")
    url_file: str = Field("", description="File with the URL, in place of url.")
    secret: SecretStr | None = Field(
        None, description="Signing key, `whsec_` and base64 of 24 to 64 random bytes. Needed for format standard."
    )
    secret_file: str = Field("", description="File with the signing key, in place of secret.")
    format: Literal["standard", "slack"] = Field(
        "standard", description="standard: signed JSON (Standard Webhooks); slack: a message with text and blocks."
    )
    send: tuple[Literal["emotions", "incidents", "upgrades", "drift"], ...] = Field(
        (), description="What is told: emotions are crossed thresholds; default: all, in format slack all but emotions."
    )
    deployments: tuple[str, ...] = Field((), description="Only events of these deployments; default: of all.")
    allow_networks: tuple[Network, ...] = Field(
        (), description="Loopback, private or link-local networks that this receiver may be in; default: none."
    )
    ca_file: str = Field("", description="PEM file of a private certificate authority of the receiver.")
    timeout_seconds: float = Field(10, gt=0, le=60, description="Time limit of one attempt.")
    attempts: int = Field(8, ge=1, le=20, description="Attempts before a message becomes a dead letter.")
    first_retry: Duration = Field(
        timedelta(seconds=5), description="Pause before the second attempt; each further one is four times as long."
    )
    stale_after: Duration = Field(
        timedelta(hours=1), description="Age of an emotion after which its message is given up rather than sent."
    )

    @model_validator(mode="after")
    def _complete(self) -> WebhookSettings:
        if (self.url is None) == (not self.url_file):
            raise ValueError(f"webhook {self.name!r} needs one of url and url_file: set exactly one")
        if self.secret is not None and self.secret_file:
            raise ValueError(f"webhook {self.name!r} has secret and secret_file: set one of them")
        if self.format == "standard" and self.secret is None and not self.secret_file:
            raise ValueError(
                f"webhook {self.name!r} has no signing key: set secret or secret_file, for example to the output of "
                "`eqwatch config webhook-secret`"
            )
        if self.secret is not None:
            _key(self.secret.get_secret_value(), self.name)
        if self.url is not None:
            _checked_url(self.url.get_secret_value(), self)
        return self

    @property
    def groups(self) -> tuple[str, ...]:
        """What is told, the default spelt out."""
        if self.send:
            return self.send
        told = ("incidents", "upgrades", "drift")
        return told if self.format == "slack" else ("emotions", *told)


def webhook_url(settings: WebhookSettings) -> str:
    """The URL in clear; raises ValueError where its file can't be read or it is none."""
    if settings.url is not None:
        return settings.url.get_secret_value()
    return _checked_url(_read(settings.url_file, settings.name, "url_file"), settings)


def signing_key(settings: WebhookSettings) -> bytes:
    """The key's bytes, empty where there is none; raises ValueError where its file can't be read or it is none."""
    if settings.secret is not None:
        return _key(settings.secret.get_secret_value(), settings.name)
    if settings.secret_file:
        return _key(_read(settings.secret_file, settings.name, "secret_file"), settings.name)
    return b""


def webhook_secrets(settings: WebhookSettings) -> tuple[str, bytes]:
    """Its address and signing key, from files too; raises ConfigurationError where one can't be had."""
    try:
        return webhook_url(settings), signing_key(settings)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _read(path: str, name: str, field: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"webhook {name!r}: {field} {path!r} can't be read ({error}): correct it") from None


def _key(text: str, name: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(_PREFIX) or not _LEAST_KEY_BYTES <= len(key) <= _MOST_KEY_BYTES:
        raise ValueError(
            f"webhook {name!r}: the signing key is not whsec_ and base64 of {_LEAST_KEY_BYTES} to {_MOST_KEY_BYTES} "
            "bytes: make one with `eqwatch config webhook-secret`"
        )
    return key


def _checked_url(url: str, settings: WebhookSettings) -> str:
    """The URL is not quoted: it may be a key."""
    name = settings.name
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and parts.port != 0 and parts.scheme in {"http", "https"}
    except ValueError:
        valid = False
    if not valid or not url.isascii() or any(c.isspace() for c in url):
        raise ValueError(f"webhook {name!r}: url is no URL: write https://HOST/PATH")
    if parts.username or parts.password or parts.fragment:
        raise ValueError(f"webhook {name!r}: url holds a user or a fragment: remove it, the signature authenticates")
    if parts.scheme == "http" and not settings.allow_networks:
        raise ValueError(
            f"webhook {name!r}: url is http, which anybody on the way can read: use https, or name the receiver's own "
            "network in allow_networks"
        )
    return url

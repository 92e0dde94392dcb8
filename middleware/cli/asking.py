"""Asks a running sidecar's admin API from a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

import httpx2
import typer

from middleware.errors import ConfigurationError, NothingThere, NotReached
from middleware.settings import Settings

__all__ = ["AdminApi", "Token", "Url", "url_of"]

Url: TypeAlias = Annotated[
    str | None, typer.Option("--url", help="Admin listener of a running sidecar, such as http://127.0.0.1:8081.")
]
Token: TypeAlias = Annotated[
    str | None,
    typer.Option("--token", envvar="EQWATCH_ADMIN_TOKEN", help="Its read token; better set in the environment."),
]
_TIMEOUT_SECONDS = 20.0
_CONNECT_SECONDS = 2.0


class AdminApi:
    """url: such as http://127.0.0.1:8081. token: None where the listener has none."""

    def __init__(self, url: str, token: str | None) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError(f"--url {url}: it must begin with http:// or https://")
        self.url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, parameters: Mapping[str, str | int] | None = None) -> Any:
        """The JSON answer. Raises NotReached, ConfigurationError where the sidecar refuses the question,
        or NothingThere where it has nothing of that name."""
        timeout = httpx2.Timeout(_TIMEOUT_SECONDS, connect=_CONNECT_SECONDS)
        try:
            # No proxy of the environment: the token is for this address alone.
            with httpx2.Client(trust_env=False, timeout=timeout, headers=self._headers) as client:
                answer = client.get(self.url + path, params=dict(parameters or {}))
                content = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            words = f"{self.url} gave no answer ({type(error).__name__}): is the sidecar running?"
            raise NotReached(words, nobody_there=isinstance(error, httpx2.ConnectError)) from None
        if answer.status_code in {401, 403}:
            raise ConfigurationError(f"{self.url} wants a token: set EQWATCH_ADMIN_TOKEN, or pass --token")
        if answer.status_code == 404:
            raise NothingThere(f"{self.url}{path}: {_message(content)}")
        if answer.status_code in {400, 422}:
            raise ConfigurationError(f"{self.url}{path}: {_message(content)}")
        if answer.status_code != 200:
            raise NotReached(f"{self.url}{path} answered {answer.status_code}: {_message(content)}")
        return content


def url_of(settings: Settings) -> str | None:
    """Where the sidecar of these settings would listen on this machine, or None for a Unix socket."""
    listen = settings.admin.listen
    if listen.startswith("unix:"):
        return None
    host, _, port = listen.rpartition(":")
    scheme = "https" if settings.admin.certificate else "http"
    return f"{scheme}://{'127.0.0.1' if host in {'0.0.0.0', '[::]', ''} else host}:{port}"  # noqa: S104 - read, not bound


def _message(content: Any) -> str:
    error = content.get("error") if isinstance(content, dict) else None
    return str(error.get("message")) if isinstance(error, dict) else "it says nothing more"

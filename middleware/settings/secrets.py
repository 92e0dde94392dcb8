"""Secrets among the settings: handing them to the control process; the salt of conversation ids."""

import json
import os
import secrets
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from middleware.errors import ConfigurationError
from middleware.settings.schema import Settings

__all__ = ["conversation_salt", "dump_settings", "restore_settings", "revealed", "shared_salt"]

_SALT_BYTES = 32


class _Restored(Settings):
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What was dumped, and nothing else: another environment must not change a running sidecar's settings."""
        return (init_settings,)


def dump_settings(settings: Settings) -> str:
    """All settings as JSON with secrets in clear: only ever written to the control process's standard input."""
    return json.dumps(settings.model_dump(mode="python"), default=_reveal)


def restore_settings(text: str) -> Settings:
    """The settings that `dump_settings` wrote; the environment and the file are not read again."""
    return _Restored.model_validate_json(text)


def revealed(secret: SecretStr | None) -> str:
    """The secret in clear, empty where it is not set."""
    return secret.get_secret_value() if secret is not None else ""


def _reveal(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value)
    return f"{value.total_seconds()}s"


def conversation_salt(settings: Settings) -> bytes:
    """The configured salt, else one that is made once and kept in the data directory, readable by its owner alone."""
    if settings.salt is not None:
        return settings.salt.get_secret_value().encode()
    path = settings.data_dir / "salt"
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return _read_salt(path)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_SALT_BYTES))
        return _read_salt(path)
    except OSError as error:
        raise ConfigurationError(
            f"data_dir {settings.data_dir} can't be used ({error.strerror}): pass --data-dir with a writable directory"
        ) from error


def shared_salt(settings: Settings, command: str) -> bytes:
    """The configured salt; raises ConfigurationError where there is none, since one made here is nobody else's."""
    if settings.salt is None:
        raise ConfigurationError(
            f"salt is not set, and `{command}` needs it: every sidecar and the monitor have to hash alike, else the "
            "next turn of a conversation finds no predecessor on another machine: set EQWATCH_SALT to one secret of 16 "
            "characters or more in all of them"
        )
    return settings.salt.get_secret_value().encode()


def _read_salt(path: Path) -> bytes:
    salt = path.read_bytes()
    if len(salt) < _SALT_BYTES:
        raise ConfigurationError(f"{path} is too short to be a salt: delete it, and conversations get new ids")
    return salt

"""Where results are kept, whether what was said is kept as well, and for how long."""

from __future__ import annotations

import base64
import binascii

from pydantic import Field, SecretStr, model_validator

from middleware.settings.types import Section

__all__ = ["StoreSettings", "content_keys"]

_KEY_BYTES = 32  # of a Fernet key: 16 to sign with, 16 to encrypt with


class StoreSettings(Section):
    """Where results are kept, and for how long."""

    url: SecretStr | None = Field(None, description="SQLAlchemy URL; default: SQLite in the data directory.")
    keep_content: bool = Field(
        False,
        description="Keep what was said in sampled turns: redacted, encrypted with content_key, for content_days. "
        "Needs the extra `content`.",
    )
    content_key: SecretStr | None = Field(
        None,
        description="Key of kept content (EQWATCH_STORE_CONTENT_KEY), from `eqwatch config content-key`. To change it: "
        "the new one first, a comma, the old one for content_days more.",
    )
    content_days: int = Field(30, ge=1, le=3650, description="Days after which kept content is removed.")
    scores_days: int | None = Field(
        None, ge=1, le=3650, description="Days after which scores of conversations are removed; default: they are kept."
    )

    @model_validator(mode="after")
    def _content_has_a_key(self) -> StoreSettings:
        if self.content_key is not None:
            content_keys(self.content_key)
        elif self.keep_content:
            raise ValueError(
                "keep_content is on and content_key is not set: put the output of `eqwatch config content-key` into "
                "EQWATCH_STORE_CONTENT_KEY"
            )
        return self


def content_keys(secret: SecretStr) -> list[str]:
    """The keys, the one to encrypt with first; raises ValueError, which never shows one."""
    keys = [key.strip() for key in secret.get_secret_value().split(",")]
    for number, key in enumerate(keys, start=1):
        try:
            size = len(base64.urlsafe_b64decode(key))
        except (binascii.Error, ValueError):
            size = 0
        if size != _KEY_BYTES:
            raise ValueError(f"content_key: key {number} is none; make one with `eqwatch config content-key`")
    return keys

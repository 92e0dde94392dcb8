"""Keeps what was said in sampled turns, where the operator switched that on: redacted first, then encrypted.

Fernet (AES-128-CBC with HMAC-SHA256, https://github.com/fernet/spec): a token can't be
read or changed without the key. Several keys decrypt, the first one encrypts, so that a key can be changed.
"""

import json
from collections.abc import Callable, Sequence

from middleware.errors import ConfigurationError
from middleware.probe.redaction import redacted
from middleware.records.content import Content, SealedContent
from middleware.records.conversation import Turn
from middleware.settings import Settings
from middleware.settings.store import content_keys

__all__ = ["ContentCipher", "ContentUnreadable", "Keeper", "content_cipher", "content_of"]

_MOST_CHARACTERS = 20_000  # of each text: a turn is kept to be understood, not to archive what was pasted


class ContentUnreadable(ConfigurationError):
    """No configured key opens what is kept."""


class ContentCipher:
    """Seals and opens. keys: Fernet keys; raises ConfigurationError where the extra is not installed."""

    def __init__(self, keys: Sequence[str]) -> None:
        try:
            from cryptography.fernet import Fernet, InvalidToken, MultiFernet
        except ModuleNotFoundError:
            raise ConfigurationError(
                "store.keep_content needs the package cryptography: in a checkout of eqwatch, pip install '.[content]'"
            ) from None
        self._invalid: type[Exception] = InvalidToken
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def seal(self, content: Content) -> SealedContent:
        """Encrypted for the store."""
        text = json.dumps({"user": content.user, "assistant": content.assistant}, ensure_ascii=False)
        token = self._fernet.encrypt(text.encode("utf-8", "replace")).decode()
        return SealedContent(content.deployment, content.conversation, content.turn, content.at, token)

    def open(self, sealed: SealedContent) -> Content:
        """As it was; raises ContentUnreadable."""
        try:
            said = json.loads(self._fernet.decrypt(sealed.sealed.encode()))
        except self._invalid:
            raise ContentUnreadable(
                "what is kept was sealed with another key: add that key to store.content_key, after a comma"
            ) from None
        return Content(sealed.deployment, sealed.conversation, sealed.turn, sealed.at, said["user"], said["assistant"])


def content_of(turn: Turn) -> Content:
    """The user's last words and the reply, redacted, each up to 20,000 characters."""
    said = [message.text for message in turn.transcript.messages if message.role == "user"]
    reply = turn.transcript.reply
    return Content(
        turn.deployment,
        turn.conversation,
        turn.index,
        turn.at,
        _short(said[-1] if said else ""),
        _short(reply.text if reply is not None else ""),
    )


def _short(text: str) -> str:
    """Cut before redaction at a white space with room to spare, and after it."""
    if len(text) > 2 * _MOST_CHARACTERS:
        text = text[: 2 * _MOST_CHARACTERS].rpartition(" ")[0]
    return redacted(text)[:_MOST_CHARACTERS]


def content_cipher(settings: Settings) -> ContentCipher | None:
    """The configured one, None without a key; raises ConfigurationError where the extra is not installed."""
    key = settings.store.content_key
    return ContentCipher(content_keys(key)) if key is not None else None


class Keeper:
    """Hands turns to the writer. put: queues a write, never waits; save: the store's own way."""

    def __init__(
        self,
        cipher: ContentCipher,
        *,
        put: Callable[[Callable[[], object]], object],
        save: Callable[[SealedContent], object],
    ) -> None:
        self._cipher = cipher
        self._put = put
        self._save = save

    def keep(self, turn: Turn) -> None:
        """Soon: redaction and encryption are CPU work and run in the writer's thread."""
        self._put(lambda: self._save(self._cipher.seal(content_of(turn))))

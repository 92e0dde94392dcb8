"""Salted hashes: what is kept of a conversation instead of what was said in it.

Keyed BLAKE2b (RFC 7693): without the salt nobody can tell whether a guessed text or id is behind a hash.
"""

import hashlib

__all__ = ["OWN_ID", "conversation_id", "conversation_keys", "exchange_key", "id_of", "salt_fingerprint", "salted"]

OWN_ID = "eq_"
_DIGEST_BYTES = 16
_ID_LENGTH = len(OWN_ID) + 2 * _DIGEST_BYTES
_HEX = frozenset("0123456789abcdef")


def salted(salt: bytes, purpose: bytes, *parts: bytes) -> bytes:
    """A 16-byte keyed hash; purpose (up to 16 bytes) keeps hashes of different things apart."""
    key = hashlib.blake2b(salt).digest()
    state = hashlib.blake2b(digest_size=_DIGEST_BYTES, key=key, person=purpose)
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()


def id_of(digest: bytes) -> str:
    """A hash as a conversation's id."""
    return OWN_ID + digest.hex()


def salt_fingerprint(salt: bytes) -> str:
    """Equal where two processes are configured with the same salt; says nothing of the salt itself."""
    return salted(salt, b"eq-salt").hex()


def exchange_key(salt: bytes, exchange_id: str) -> bytes:
    """The hash under which an exchange that was handed in is known; empty where it has no id."""
    return salted(salt, b"eq-exchange", exchange_id.encode("utf-8", "surrogatepass")) if exchange_id else b""


def conversation_id(salt: bytes, header_value: str) -> str:
    """The id under which the conversation of an ``x-eqwatch-conversation`` value is kept."""
    return id_of(salted(salt, b"eqwatch-header", header_value.strip().encode("utf-8", "surrogateescape")))


def conversation_keys(salt: bytes, given: str) -> tuple[str, ...]:
    """What the store may call a conversation that the application calls so: a header value, or an id of our own."""
    own = len(given) == _ID_LENGTH and given.startswith(OWN_ID) and set(given[len(OWN_ID) :]) <= _HEX
    return (conversation_id(salt, given), given) if own else (conversation_id(salt, given),)

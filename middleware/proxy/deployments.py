"""Which deployment and dialect a request belongs to, from its head alone. Pure."""

from hashlib import blake2b

from middleware.proxy.heads import RequestHead
from middleware.records.relay import DeploymentMatch

__all__ = ["DEFAULT", "Deployments", "dialect_of", "key_id"]

DEFAULT = "default"

_DIALECTS = (
    (b"/chat/completions", "openai_chat"),
    (b"/responses", "openai_responses"),
    (b"/messages", "anthropic_messages"),
)


def dialect_of(target: bytes, content_type: bytes) -> str:
    """``openai_chat``, ``openai_responses``, ``anthropic_messages`` or ``other``; a body that isn't JSON is other."""
    if content_type and b"json" not in content_type:
        return "other"
    path = target.partition(b"?")[0]
    for ending, dialect in _DIALECTS:
        if path.endswith(ending):
            return dialect
    return "other"


def key_id(credential: bytes, salt: bytes) -> str:
    """A keyed hash of a client's API key (without ``Bearer``), 16 hex digits; salt: at most 64 bytes are used."""
    scheme, _, rest = credential.partition(b" ")
    key = rest.strip() if scheme.lower() == b"bearer" else credential
    return blake2b(key, key=salt[:64], digest_size=8).hexdigest()


class Deployments:
    """The configured deployments, ready to be looked up by header, path prefix (the longest wins) or key id."""

    __slots__ = ("_by_key", "_by_name", "_by_prefix", "_default", "_identified", "_plain", "_salt")

    def __init__(self, matches: tuple[DeploymentMatch, ...], salt: bytes, *, identify_clients: bool = False) -> None:
        self._salt = salt
        self._by_name = {match.name.encode(): match for match in matches}
        prefixes = [(prefix.encode(), match) for match in matches for prefix in match.path_prefixes]
        self._by_prefix = sorted(prefixes, key=lambda pair: len(pair[0]), reverse=True)
        self._by_key = {identifier: match for match in matches for identifier in match.key_ids}
        self._default = self._by_name.get(DEFAULT.encode(), DeploymentMatch(DEFAULT))
        self._identified = identify_clients or bool(self._by_key)
        self._plain = not self._by_prefix and not self._by_key

    def identify(self, head: RequestHead) -> str:
        """The client's key id, where key ids are configured at all and the request has a credential; else empty."""
        return key_id(head.credential, self._salt) if self._identified and head.credential else ""

    def find(self, head: RequestHead) -> tuple[DeploymentMatch, str]:
        """The deployment of a request, and the client's key id where one had to be computed (else empty)."""
        if head.deployment and (named := self._by_name.get(head.deployment)):
            return named, ""
        if self._plain:
            return self._default, ""
        for prefix, match in self._by_prefix:
            if head.target.startswith(prefix):
                return match, ""
        if self._by_key and head.credential:
            identifier = key_id(head.credential, self._salt)
            if found := self._by_key.get(identifier):
                return found, identifier
        return self._default, ""

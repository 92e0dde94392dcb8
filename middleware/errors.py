"""The few exceptions that cross module borders. Each is mapped once, where foreign code is called."""

__all__ = [
    "AnchorMissing",
    "CallRefused",
    "ConfigurationError",
    "EqwatchError",
    "ItemSetError",
    "ItemSetNotReached",
    "NotReached",
    "NothingThere",
    "StoreUnavailable",
    "UpstreamError",
]


class EqwatchError(Exception):
    """Base of all errors that a user may see; its text names what is wrong and how to mend it."""


class ConfigurationError(EqwatchError):
    """A setting is wrong: the text names the field, the value and the fix."""


class NothingThere(ConfigurationError):
    """What was asked for by its name or id is not in the store; the text says what lists those that are."""


class AnchorMissing(EqwatchError):
    """The local anchor scorer is wanted and its extra or its weights are not installed; the text says how to."""


class ItemSetError(EqwatchError):
    """An item file is missing, truncated or not what it claims to be."""


class ItemSetNotReached(ItemSetError):
    """An item file could not be downloaded: the network or the server gave no answer."""


class StoreUnavailable(EqwatchError):
    """The store can't take a write or answer a read now; the caller keeps what it has and tries again.

    reason: closed set, used as a metric label: ``locked``, ``disk_full``, ``read_only``, ``corrupt``, ``connection``,
    ``timeout``, ``schema``, ``closed``, ``other``.
    """

    def __init__(self, message: str, *, reason: str = "other") -> None:
        super().__init__(message)
        self.reason = reason


class UpstreamError(EqwatchError):
    """A call of the sidecar's own to a model failed.

    reason: closed set, used as a metric label: ``timeout``, ``connect``, ``rate_limited``, ``server_error``,
    ``client_error``, ``protocol``; of CallRefused ``budget``, ``paused``.
    retry_after_seconds: what the server asked for, or None.
    """

    def __init__(
        self, reason: str, message: str, *, status: int | None = None, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class CallRefused(UpstreamError):
    """A call of the sidecar's own that was not made, by the operator's will: nothing is wrong with the upstream.

    reason: ``budget`` (a cap would be exceeded, or what was spent is unknown) or ``paused`` (the kill switch).
    """


class NotReached(EqwatchError):
    """A running sidecar did not answer the command line as expected; nobody_there: no connection could be made."""

    def __init__(self, message: str, *, nobody_there: bool = False) -> None:
        super().__init__(message)
        self.nobody_there = nobody_there

"""What a call costs at most before it is made, and who has to allow it. The caps themselves are not here."""

from dataclasses import dataclass
from typing import Protocol

from middleware.errors import UpstreamError
from middleware.upstream.completion import Completion, Messages, Question

__all__ = ["Estimate", "Meter", "Reservation", "Usage", "estimate_of", "usage_of"]

# Of ordinary English, a token is about four characters; three leave room for names, digits and line breaks.
_ASCII_PER_TOKEN = 3.0
# Letters beyond ASCII take two to four bytes each and up to one token and a half.
_OTHER_BYTES_PER_TOKEN = 2.0
# Role marks and separators that a server puts around each message.
_TOKENS_PER_MESSAGE = 8
# Such calls never reached the model, or were turned away before it read anything.
_FREE = frozenset({"connect", "rate_limited", "client_error", "server_error"})


@dataclass(frozen=True, slots=True)
class Estimate:
    """Tokens of a call: prompt as guessed from its text, rather too many; completion as the call allows at most."""

    prompt: int
    completion: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a call took. None: unknown, in which case what was reserved counts as spent."""

    prompt: int | None
    completion: int | None


class Reservation(Protocol):
    """What was set aside for one call."""

    def settle(self, usage: Usage) -> None:
        """Count what was used, and give the rest back. Never waits, so that a cancelled call is settled too."""


class Meter(Protocol):
    """Who allows calls. One for each purpose, or each run."""

    async def reserve(self, estimate: Estimate) -> Reservation:
        """Set the estimate aside; raises CallRefused."""


def estimate_of(question: Question) -> Estimate:
    """The most that a call should take; what a schema adds to the prompt is counted like text."""
    text = _tokens(question.messages)
    if question.schema is not None:
        text += len(str(question.schema)) / _ASCII_PER_TOKEN
    return Estimate(int(text) + _TOKENS_PER_MESSAGE, question.max_tokens)


def _tokens(messages: Messages) -> float:
    total = 0.0
    for message in messages:
        content = message["content"]
        plain = len(content.encode("ascii", "ignore"))
        other = len(content.encode("utf-8", "replace")) - plain
        total += plain / _ASCII_PER_TOKEN + other / _OTHER_BYTES_PER_TOKEN + _TOKENS_PER_MESSAGE
    return total


def usage_of(outcome: Completion | UpstreamError, estimate: Estimate) -> Usage:
    """What a finished call took. A server that does not tell is taken at its text's length; a timeout is unknown."""
    if isinstance(outcome, UpstreamError):
        return Usage(0, 0) if outcome.reason in _FREE else Usage(None, None)
    prompt, completion = outcome.prompt_tokens, outcome.completion_tokens
    if completion is None:
        completion = min(estimate.completion, int(len(outcome.text) / _ASCII_PER_TOKEN) + 1)
    return Usage(estimate.prompt if prompt is None else prompt, completion)

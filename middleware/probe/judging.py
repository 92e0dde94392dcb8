"""Who can say what a user feels: a model that is asked over HTTP, and the local anchor. Failures are outcomes."""

import asyncio
import hashlib
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Generic, Literal, Protocol, TypeVar

from middleware.errors import CallRefused, UpstreamError
from middleware.probe.answers import Answered, read_answer
from middleware.probe.excerpt import Excerpt, flags_of, shown_to_judge, up_to_user
from middleware.probe.prompts import AnswerFormat, Asked, question
from middleware.probe.redaction import redacted
from middleware.probe.unmasking import visible
from middleware.records.conversation import Message, ProbeFlag, ProbeOutcome
from middleware.upstream import Completion, Meter, UpstreamClient
from scorer.prompts import answer_schema

__all__ = [
    "ANCHOR",
    "REFERENCE",
    "Anchor",
    "AnchorJudge",
    "Asker",
    "Asking",
    "Judge",
    "Limiter",
    "Rating",
    "ReferenceJudge",
]

REFERENCE = "reference"
ANCHOR = "anchor"

_FIRST_WAIT_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 300.0
_KNOWN_RATINGS = 64
# Some forty times what a rating takes: beside traffic that needs the processor, a few per cent of one.
_BUSY_PAUSE_SECONDS = 0.25
_SLOW_DOWN = ("rate_limited", "server_error", "timeout")

_Ticket = TypeVar("_Ticket")


class Limiter(Protocol[_Ticket]):
    """Who may call now; benchmark.limiter.Limiter is one, which the composition root shares or makes."""

    def turn(self) -> AbstractAsyncContextManager[_Ticket]:
        """Wait for a turn and hold it for the block."""

    def succeeded(self, ticket: _Ticket, latency_seconds: float) -> None:
        """The call of this turn was answered."""

    def overloaded(self, ticket: _Ticket, *, wait_seconds: float) -> None:
        """The upstream asked to slow down, or broke: nobody begins for so long, then fewer at once."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How every question is asked. context_characters: about the longest conversation that is shown."""

    answer_format: AnswerFormat = "json_schema"
    temperature: float = 0.01
    max_tokens: int = 120
    context_characters: int = 12_000


@dataclass(frozen=True, slots=True)
class Rating:
    """What a judge said. emotions: name -> intensity 0..10, empty unless scored; reason: why it is not.

    flags: what was odd about the text that it was shown.
    """

    outcome: ProbeOutcome
    emotions: dict[str, float]
    reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latency_seconds: float = 0.0
    flags: tuple[ProbeFlag, ...] = ()


class Judge(Protocol):
    """Rates what the user feels in the last user message. It is never told what anybody else thinks of it."""

    @property
    def name(self) -> str:
        """From a closed set: ``reference``, ``anchor``."""

    @property
    def version(self) -> str:
        """Of what rates; ratings of different versions are never put into one window."""

    @property
    def repeats(self) -> bool:
        """Whether the same text always gets the same rating, so that rating it twice shows nothing."""

    async def rate(self, messages: Sequence[Message], emotions: tuple[str, ...]) -> Rating:
        """Of the last user message, with what stands before it as context; raises CallRefused."""


class Asker(Generic[_Ticket]):
    """Asks one upstream the questions of the probes, each with a fresh code. Owns how long to wait after failures."""

    def __init__(
        self,
        client: UpstreamClient,
        *,
        config: Asking,
        limiter: Limiter[_Ticket],
        nonce: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self.config = config
        self._client = client
        self._limiter = limiter
        self._nonce = nonce
        self._failures = 0

    async def ask(
        self, kind: Asked, shown: Excerpt, model: str, emotions: tuple[str, ...], *, meter: Meter | None = None
    ) -> Rating:
        """One call; raises CallRefused where none was made. meter: allows and counts it, in place of the client's."""
        config = self.config
        client = self._client if meter is None else self._client.metered(meter)
        nonce = self._nonce()
        messages = question(kind, shown, emotions, nonce=nonce, answer_format=config.answer_format)
        schema = answer_schema(emotions) if config.answer_format == "json_schema" else None
        async with self._limiter.turn() as ticket:
            started = time.perf_counter()
            try:
                completion = await client.complete(
                    messages, model=model, temperature=config.temperature, max_tokens=config.max_tokens, schema=schema
                )
            except CallRefused:
                raise
            except UpstreamError as error:
                self._slow_down(ticket, error)
                outcome: Literal["timeout", "api_error"] = "timeout" if error.reason == "timeout" else "api_error"
                waited = time.perf_counter() - started
                return Rating(outcome, {}, error.reason, latency_seconds=waited, flags=shown.flags)
            self._failures = 0
            self._limiter.succeeded(ticket, completion.latency_seconds)
        answered = read_answer(completion.text, emotions, nonce=nonce, finish_reason=completion.finish_reason)
        return _rating(answered, completion, shown.flags)

    def _slow_down(self, ticket: _Ticket, error: UpstreamError) -> None:
        if error.reason not in _SLOW_DOWN:
            return
        doubling = _FIRST_WAIT_SECONDS * 2.0 ** min(self._failures, 16)
        self._failures += 1
        wait = max(error.retry_after_seconds or 0.0, 0.0 if error.reason == "timeout" else doubling)
        self._limiter.overloaded(ticket, wait_seconds=min(wait, _LONGEST_WAIT_SECONDS))


class ReferenceJudge(Generic[_Ticket]):
    """The pinned reference model: the same question as the model under test gets, in the same window.

    meter: allows and counts its calls, in place of the client's.
    """

    name = REFERENCE
    repeats = False

    def __init__(self, asker: Asker[_Ticket], model: str, meter: Meter | None = None) -> None:
        self._asker = asker
        self.version = model
        self._meter = meter

    async def rate(self, messages: Sequence[Message], emotions: tuple[str, ...]) -> Rating:
        """Redacted, cut by whole turns, asked once."""
        characters = self._asker.config.context_characters
        shown = await asyncio.to_thread(shown_to_judge, up_to_user(messages), emotions, characters=characters)
        return await self._asker.ask("perception", shown, self.version, emotions, meter=self._meter)


class Anchor(Protocol):
    """The local scorer as it is loaded."""

    @property
    def version(self) -> str:
        """Of weights and prototypes together."""

    def rate(self, text: str, emotions: Sequence[str], context: Sequence[str] = ()) -> dict[str, float]:
        """Intensities 0..10 of the text. CPU work of some ten milliseconds."""


class AnchorJudge:
    """The local anchor scorer: no call leaves the machine, and the same text always gets the same rating.

    Where it both perceives and is the answer key, each turn is asked about twice within a moment: it is rated once.
    busy: whether traffic needs the processor; a rating then waits for a moment first, so that what has gathered is not
    computed in one go. Owns the newest ratings, by hashes of what was said.
    """

    name = ANCHOR
    repeats = True

    def __init__(
        self,
        anchor: Anchor,
        *,
        context_characters: int = 12_000,
        busy: Callable[[], bool] = lambda: False,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._anchor = anchor
        self._busy = busy
        self._pause = pause
        self._context_characters = context_characters
        self._known: dict[bytes, Rating] = {}
        self._under_way: dict[bytes, asyncio.Future[Rating]] = {}

    @property
    def version(self) -> str:
        """The anchor's."""
        return self._anchor.version

    async def rate(self, messages: Sequence[Message], emotions: tuple[str, ...]) -> Rating:
        """Of the user's last words; what the user said before is context."""
        started = time.perf_counter()
        said = [m for m in up_to_user(messages) if m.role == "user" and m.text.strip()][-4:]
        if not said:
            return Rating("unparseable", {}, "no_text")
        key = _digest(said, emotions)
        rating = self._known.get(key) or await self._rated_once(key, said, emotions)
        return replace(rating, latency_seconds=time.perf_counter() - started)

    async def _rated_once(self, key: bytes, said: Sequence[Message], emotions: tuple[str, ...]) -> Rating:
        """In a thread; who asks meanwhile waits for the same rating, and goes on waiting where the first one leaves."""
        under_way = self._under_way.get(key)
        if under_way is None:
            under_way = asyncio.ensure_future(self._rated(said, emotions))
            under_way.add_done_callback(lambda done: self._done(key, done))
            self._under_way[key] = under_way
        return await asyncio.shield(under_way)

    async def _rated(self, said: Sequence[Message], emotions: tuple[str, ...]) -> Rating:
        if self._busy():
            await self._pause(_BUSY_PAUSE_SECONDS)
        return await asyncio.to_thread(self._rate, said, emotions)

    def _done(self, key: bytes, done: asyncio.Future[Rating]) -> None:
        del self._under_way[key]
        if not done.cancelled() and done.exception() is None:
            self._known[key] = done.result()
            while len(self._known) > _KNOWN_RATINGS:
                del self._known[next(iter(self._known))]

    def _rate(self, said: Sequence[Message], emotions: tuple[str, ...]) -> Rating:
        cleaned = [redacted(visible(message.text).text)[: self._context_characters] for message in said]
        rated = self._anchor.rate(cleaned[-1], emotions, cleaned[:-1])
        if not all(math.isfinite(rated[emotion]) for emotion in emotions):
            return Rating("unparseable", {}, "out_of_range")
        found = {emotion: min(10.0, max(0.0, float(rated[emotion]))) for emotion in emotions}
        cut = Excerpt("", 0, tuple(said), shortened=any(len(m.text) > self._context_characters for m in said))
        return Rating("scored", found, flags=flags_of(cut, emotions))


def _digest(said: Sequence[Message], emotions: tuple[str, ...]) -> bytes:
    state = hashlib.blake2b(digest_size=16)
    for text in (str(len(emotions)), *emotions, *(message.text for message in said)):
        encoded = text.encode("utf-8", "surrogatepass")
        state.update(len(encoded).to_bytes(8, "big") + encoded)
    return state.digest()


def _rating(answered: Answered, completion: Completion, flags: tuple[ProbeFlag, ...]) -> Rating:
    tokens = completion.prompt_tokens or 0, completion.completion_tokens or 0
    return Rating(answered.outcome, answered.emotions, answered.reason, *tokens, completion.latency_seconds, flags)

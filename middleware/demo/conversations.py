"""Plays scripted users against a real model through the sidecar, with the official OpenAI SDK, streaming and not."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from middleware.demo.data import Conversation

__all__ = ["PlayedTurn", "play"]

_REPLY_TOKENS = 48
_TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class PlayedTurn:
    """One turn as the application saw it. chunks is 0 for an answer that was not streamed."""

    conversation: str
    number: int
    user: str
    reply: str
    chunks: int


def play(
    base_url: str, model: str, conversation: Conversation, *, turns: int, told: Callable[[PlayedTurn], None]
) -> list[PlayedTurn]:
    """The first turns of one conversation. The client's key is a placeholder: a local model needs none."""
    client = OpenAI(
        base_url=base_url,
        api_key="demo-client-key",
        timeout=_TIMEOUT_SECONDS,
        default_headers={
            "x-eqwatch-deployment": conversation.deployment,
            "x-eqwatch-conversation": conversation.id,
        },
    )
    messages: list[ChatCompletionMessageParam] = [{"role": "system", "content": conversation.system}]
    played = []
    with client:
        for number, user in enumerate(conversation.turns[:turns], start=1):
            messages.append({"role": "user", "content": user})
            reply, chunks = _ask(client, model, messages, stream=conversation.stream)
            messages.append({"role": "assistant", "content": reply})
            turn = PlayedTurn(conversation.id, number, user, reply, chunks)
            told(turn)
            played.append(turn)
    return played


def _ask(
    client: OpenAI, model: str, messages: Iterable[ChatCompletionMessageParam], *, stream: bool
) -> tuple[str, int]:
    if not stream:
        answer = client.chat.completions.create(model=model, messages=messages, max_tokens=_REPLY_TOKENS)
        return answer.choices[0].message.content or "", 0
    with client.chat.completions.create(
        model=model, messages=messages, max_tokens=_REPLY_TOKENS, stream=True
    ) as chunks:
        pieces = [text for chunk in chunks if chunk.choices and (text := chunk.choices[0].delta.content)]
    return "".join(pieces), len(pieces)

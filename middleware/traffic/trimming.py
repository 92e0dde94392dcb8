"""Cuts a transcript to what a judge may be shown: the last turns, redacted. Pure.

System prompts and what tools said are left out. How many messages were is kept, so that a judge is told of the cut.
"""

from collections.abc import Callable
from dataclasses import replace

from middleware.records.conversation import OMITTED, Message, Transcript

__all__ = ["trimmed"]

_SPOKEN = ("user", "assistant")


def trimmed(transcript: Transcript, *, clean: Callable[[str], str], characters: int) -> Transcript:
    """The newest whole turns of about so many characters, the last one always; every text cleaned.

    A text longer than twice that loses its middle.
    """
    earlier = sum(int(message.text) for message in transcript.messages if message.role == OMITTED)
    spoken = [message for message in transcript.messages if message.role in _SPOKEN and message.text.strip()]
    begin = _begin(spoken, characters)
    kept = [Message(message.role, _short(clean(message.text), characters)) for message in spoken[begin:]]
    omitted = [Message(OMITTED, str(earlier + begin))] if earlier + begin else []
    reply = transcript.reply
    return replace(
        transcript,
        messages=(*omitted, *kept),
        reply=Message(reply.role, _short(clean(reply.text), characters)) if reply is not None else None,
    )


def _begin(spoken: list[Message], characters: int) -> int:
    """Where the first turn that is kept begins: with a message of the user, save at the very beginning."""
    left, begin = characters, 0
    for number in range(len(spoken) - 1, -1, -1):
        left -= len(spoken[number].text)
        starts = spoken[number].role == "user" and (number == 0 or spoken[number - 1].role != "user")
        if starts:
            begin = number
            if left <= 0:
                return begin
    return 0


def _short(text: str, characters: int) -> str:
    if len(text) <= 2 * characters:
        return text
    return f"{text[:characters]}\n[{len(text) - 2 * characters} characters left out]\n{text[-characters:]}"

"""The part of a conversation that a judge is shown: whole turns from its end, redacted, with every cut stated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from middleware.records.conversation import OMITTED, Message

__all__ = ["Excerpt", "excerpt", "up_to_user"]

_SPEAKERS = {"user": "User", "assistant": "Assistant"}


@dataclass(frozen=True, slots=True)
class Excerpt:
    """text: speakers and what they said. left_out: earlier messages that are not shown. user_text: the user's part."""

    text: str
    left_out: int
    user_text: str


def excerpt(messages: Sequence[Message], *, characters: int, clean: Callable[[str], str]) -> Excerpt:
    """The last turns that fit in about so many characters; the last one always, shortened in its middle if need be.

    messages: the last is the one that is asked about. Prompts of the system and messages of tools are not shown.
    clean: applied to each message before anything is cut, so that no half of a secret is left.
    """
    spoken = [message for message in messages if message.role in _SPEAKERS and message.text.strip()]
    turns = _turns(spoken)
    shown: list[Message] = []
    left = characters
    for turn in reversed(turns):
        cleaned = [Message(message.role, clean(message.text)) for message in turn]
        if not shown:
            cleaned = [Message(m.role, _shortened(m.text, max(40, characters // len(cleaned)))) for m in cleaned]
        size = sum(len(message.text) for message in cleaned)
        if shown and size > left:
            break
        shown = cleaned + shown
        left -= size
    earlier = sum(int(message.text) for message in messages if message.role == OMITTED)
    said = "\n".join(message.text for message in shown if message.role == "user")
    return Excerpt("\n".join(map(_lines, shown)), earlier + len(spoken) - len(shown), said)


def up_to_user(messages: Sequence[Message]) -> list[Message]:
    """Up to the user's last message: what the assistant and tools did since is no part of what the user feels then."""
    last = max((number for number, message in enumerate(messages) if message.role == "user"), default=-1)
    return list(messages[: last + 1])


def _turns(spoken: Sequence[Message]) -> list[list[Message]]:
    """Each turn begins where the user begins to speak."""
    turns: list[list[Message]] = []
    for number, message in enumerate(spoken):
        if not turns or (message.role == "user" and spoken[number - 1].role != "user"):
            turns.append([])
        turns[-1].append(message)
    return turns


def _shortened(text: str, characters: int) -> str:
    if len(text) <= characters:
        return text
    half = characters // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"


def _lines(message: Message) -> str:
    # Further lines are indented, so that "Assistant:" at a line's start is never the user's own text.
    return f"{_SPEAKERS[message.role]}: " + "\n  ".join(message.text.strip().splitlines())

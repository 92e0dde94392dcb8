"""What users and assistant said, in a form in which a request can be recognised in the next one.

System prompts (they may hold the time), messages of tools and white space are left out, and so is the reasoning that
clients strip from a reply before they send it again.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from middleware.records.conversation import Message
from middleware.traffic.hashing import salted

__all__ = ["WEAK_CHARACTERS", "Dialogue"]

_REASONING = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
# Weak keys hash a part of the conversation: short parts ("ok", "thanks") would join strangers.
WEAK_CHARACTERS = 32

KeyKind = Literal["whole", "asked", "tail", "users"]


@dataclass(frozen=True)
class Dialogue:
    """What was said: who (``user`` or ``assistant``) and the text without white space; messages in a row are one.

    after_user: the request goes on after the user's last message, with calls of tools or the start of an answer.
    """

    spoken: tuple[tuple[str, str], ...]
    after_user: bool = False

    @classmethod
    def of(cls, messages: Iterable[Message]) -> "Dialogue":
        """The dialogue of a request's messages."""
        messages = tuple(messages)
        spoken = [(message.role, _normal(message)) for message in messages if message.role in ("user", "assistant")]
        return cls(_merged(spoken), bool(messages) and messages[-1].role != "user")

    def answered(self, reply: Message | None) -> "Dialogue":
        """With the reply; one to a prefilled answer continues it."""
        return self if reply is None else Dialogue(_merged([*self.spoken, ("assistant", _normal(reply))]))

    def before_last_user(self) -> "Dialogue":
        """Up to and including the last thing that the assistant said."""
        return Dialogue(self.spoken[:-1] if self.spoken and self.spoken[-1][0] == "user" else self.spoken)

    @property
    def begins_turn(self) -> bool:
        """Whether the user has just spoken: not so where a request brings the results of tools."""
        return not self.after_user and bool(self.spoken) and self.spoken[-1][0] == "user"

    @property
    def user_turns(self) -> int:
        """Times that the user began to speak."""
        return sum(role == "user" for role, _ in self.spoken)

    def key(self, salt: bytes, kind: KeyKind) -> bytes | None:
        """The hash under which this can be found; None where it would not tell conversations apart."""
        spoken = self.spoken
        if kind == "users":
            spoken = tuple(pair for pair in spoken if pair[0] == "user")
        elif kind == "tail":
            spoken = spoken[-2:] if [role for role, _ in spoken[-2:]] == ["user", "assistant"] else ()
        if not spoken or (kind in ("users", "tail") and sum(len(text) for _, text in spoken) < WEAK_CHARACTERS):
            return None
        parts = (part.encode("utf-8", "surrogatepass") for pair in spoken for part in pair)
        return salted(salt, b"eq-" + kind.encode(), *parts)


def _normal(message: Message) -> str:
    text = _REASONING.sub(" ", message.text) if message.role == "assistant" else message.text
    return "".join(text.split())


def _merged(spoken: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    merged: list[tuple[str, str]] = []
    for role, text in spoken:
        if text and merged and merged[-1][0] == role:
            merged[-1] = (role, merged[-1][1] + text)
        elif text:
            merged.append((role, text))
    return tuple(merged)

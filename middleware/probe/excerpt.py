"""The part of a conversation that a judge is shown: whole turns from its end, redacted, with every cut stated.

What was odd about it is said in flags, which go with the rating.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from middleware.probe.injection import steering
from middleware.probe.redaction import redacted
from middleware.probe.unmasking import visible
from middleware.records.conversation import OMITTED, Message, ProbeFlag

__all__ = ["Excerpt", "excerpt", "flags_of", "shown_to_judge", "up_to_user"]

_ROOM = 20_000  # more than the longest thing that redaction takes out, a private key
_SPEAKERS = {"user": "User", "assistant": "Assistant"}


@dataclass(frozen=True, slots=True)
class Excerpt:
    """text: speakers and what they said. left_out: earlier messages that are not shown. flags: what was odd about it.

    shown: the messages that it was made of, as they came. shortened: whether the middle of one is left out.
    """

    text: str
    left_out: int
    shown: tuple[Message, ...] = ()
    shortened: bool = False
    flags: tuple[ProbeFlag, ...] = ()


def shown_to_judge(messages: Sequence[Message], emotions: Sequence[str], *, characters: int) -> Excerpt:
    """What a judge is shown of these messages: without invisible characters, redacted, cut; and what was odd."""
    cut = excerpt(messages, characters=characters, clean=lambda text: redacted(visible(text).text))
    return replace(cut, flags=flags_of(cut, emotions))


def flags_of(cut: Excerpt, emotions: Sequence[str]) -> tuple[ProbeFlag, ...]:
    """By name. Attempts are looked for in what the user said, all of it that is shown taken together.

    An assistant writes lists and role names of its own accord, so its text is looked at for dictated scores alone: the
    history comes from the client, which may have invented it.
    """
    said = "\n".join(message.text for message in cut.shown if message.role == "user")
    replied = "\n".join(message.text for message in cut.shown if message.role != "user")
    flags: set[ProbeFlag] = {*steering(said, emotions), *(steering(replied, emotions) & {"scores"})}
    if cut.left_out:
        flags.add("cut")
    if cut.shortened:
        flags.add("shortened")
    if any(visible(message.text).removed for message in cut.shown):
        flags.add("invisible")
    return tuple(sorted(flags))


def excerpt(messages: Sequence[Message], *, characters: int, clean: Callable[[str], str]) -> Excerpt:
    """The last turns that fit in about so many characters; the last one always, shortened in its middle if need be.

    messages: the last is the one that is asked about. Prompts of the system and messages of tools are not shown.
    clean: applied to each message before anything is cut, so that no half of a secret is left.
    """
    spoken = [message for message in messages if message.role in _SPEAKERS and message.text.strip()]
    turns = _turns(spoken)
    shown: list[Message] = []
    raw: list[Message] = []
    shortened = False
    left = characters
    for turn in reversed(turns):
        cleaned = [Message(message.role, _cleaned(message.text, clean, characters)) for message in turn]
        if not shown:
            each = max(40, characters // len(cleaned))
            shortened = any(len(message.text) > each for message in cleaned)
            cleaned = [Message(message.role, _shortened(message.text, each)) for message in cleaned]
        size = sum(len(message.text) for message in cleaned)
        if shown and size > left:
            break
        shown, raw = cleaned + shown, turn + raw
        left -= size
    earlier = sum(int(message.text) for message in messages if message.role == OMITTED)
    return Excerpt("\n".join(map(_lines, shown)), earlier + len(spoken) - len(shown), tuple(raw), shortened)


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


def _cleaned(text: str, clean: Callable[[str], str], characters: int) -> str:
    """All of it; of a huge text both ends, with room to spare: its middle is left out anyway, and cleaning takes time.

    The ends are cut at white space and cleaned each for itself, so that no half of a word is left.
    """
    room = 2 * characters + _ROOM
    if len(text) <= 2 * room:
        return clean(text)
    head, _, _ = text[:room].rpartition(" ")
    _, _, tail = text[-room:].partition(" ")
    return f"{clean(head)}\n[{len(text) - len(head) - len(tail)} characters left out]\n{clean(tail)}"


def _shortened(text: str, characters: int) -> str:
    if len(text) <= characters:
        return text
    half = characters // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"


def _lines(message: Message) -> str:
    # Further lines are indented, so that "Assistant:" at a line's start is never the user's own text.
    return f"{_SPEAKERS[message.role]}: " + "\n  ".join(message.text.strip().splitlines())

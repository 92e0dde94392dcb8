"""Takes the salted hashes of an exchange by which the next one finds it, and by which its conversation is sampled."""

import threading
from collections import OrderedDict
from collections.abc import Iterable

from middleware.records.conversation import Message, Transcript
from middleware.records.observation import Trace
from middleware.traffic.dialogue import WEAK_CHARACTERS, Dialogue
from middleware.traffic.hashing import id_of, salted

__all__ = ["Openings", "trace_of"]


def trace_of(salt: bytes, transcript: Transcript) -> Trace:
    """The hashes of an exchange. Pure."""
    asked = Dialogue.of(transcript.messages)
    heard, before = asked.answered(transcript.reply), asked.before_last_user()
    asked_key = asked.key(salt, "asked")
    sure = (
        _response_key(salt, transcript.previous_response_id),
        asked_key if asked.after_user else None,  # a tool was called without a word
        before.key(salt, "whole"),
    )
    unsure = (
        before.key(salt, "tail"),  # the client sends only the last messages
        before.key(salt, "users"),  # the client changed the reply
    )
    after = (
        asked_key,
        heard.key(salt, "whole") if transcript.reply is not None else None,
        heard.key(salt, "tail"),
        asked.key(salt, "users"),
        _response_key(salt, transcript.response_id),
    )
    return Trace(
        before=_there((*sure, *unsure)),
        awaits=_there(sure),
        after=_there(after),
        asked=asked_key or b"",
        system=_system(salt, transcript.messages),
        user_turns=asked.user_turns,
        begins_turn=asked.begins_turn,
    )


class Openings:
    """Says how a conversation began, as an id to sample by: every turn and every process finds the same one.

    That is the user's first message, together with the reply to it where the message is too short to tell
    conversations apart. Where the server keeps the conversation (``previous_response_id``) the beginning is not
    repeated: it is remembered for as many responses as capacity says, and only in this process. Thread-safe.
    """

    def __init__(self, salt: bytes, capacity: int = 50_000) -> None:
        self._salt = salt
        self._capacity = capacity
        self._by_response: OrderedDict[bytes, str] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, transcript: Transcript, *, conversation: str = "", key_id: str = "") -> str | None:
        """The id, or None where the beginning is not known here. conversation: salted id, where it was named."""
        with self._lock:
            found = conversation or self._found(transcript, key_id)
            response = _response_key(self._salt, transcript.response_id)
            if found is not None and response is not None:
                self._by_response[response] = found
                self._by_response.move_to_end(response)
                while len(self._by_response) > self._capacity:
                    self._by_response.popitem(last=False)
            return found

    def _found(self, transcript: Transcript, key_id: str) -> str | None:
        before = _response_key(self._salt, transcript.previous_response_id)
        if before is not None:
            return self._by_response.get(before)
        spoken = Dialogue.of(transcript.messages).answered(transcript.reply).spoken
        first = next((number for number, (role, _) in enumerate(spoken) if role == "user"), None)
        if first is None:
            return None
        length = 1 if len(spoken[first][1]) >= WEAK_CHARACTERS else 2
        parts = [text.encode("utf-8", "surrogatepass") for _, text in spoken[first : first + length]]
        return id_of(salted(self._salt, b"eq-opening", key_id.encode(), *parts))


def _there(keys: Iterable[bytes | None]) -> tuple[bytes, ...]:
    return tuple(key for key in keys if key is not None)


def _response_key(salt: bytes, response_id: str) -> bytes | None:
    return salted(salt, b"eq-response", response_id.encode("utf-8", "surrogatepass")) if response_id else None


def _system(salt: bytes, messages: Iterable[Message]) -> bytes:
    texts = (
        " ".join(message.text.split()).encode("utf-8", "surrogatepass")
        for message in messages
        if message.role == "system"
    )
    return salted(salt, b"eq-system", *texts)

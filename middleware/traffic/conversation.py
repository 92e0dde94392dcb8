"""Recognises conversations without help: the next request repeats the messages so far.

Only salted hashes are kept, in a table of bounded size that this object owns. Where two strangers said the same so
far, the credential, the system prompt and who has not gone on yet decide; ``x-eqwatch-conversation`` leaves no doubt.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from middleware.records.conversation import Message, Transcript, Turn
from middleware.records.exchange import Exchange
from middleware.traffic.dialogue import Dialogue
from middleware.traffic.hashing import conversation_id, id_of, salted
from middleware.traffic.openai_chat import read_request

__all__ = ["ConversationTracker"]

_PLACES_PER_KEY = 8


@dataclass(slots=True)
class _Place:
    """Where a conversation stood after an exchange. continued: a later exchange was taken for its successor."""

    conversation: str
    deployment: str
    key_id: str
    system: bytes
    index: int
    continued: bool = False

    def may_precede(self, here: "_Place") -> bool:
        """Same deployment, same credential where it is known, same name where the client gave one."""
        return (
            self.deployment == here.deployment
            and (not self.key_id or self.key_id == here.key_id)
            and (not here.conversation or self.conversation == here.conversation)
        )


class ConversationTracker:
    """Gives each exchange its place. Thread-safe; exchanges of a conversation have to come in order.

    capacity: hashes that are kept, about five for each exchange; the least recently used go first.
    """

    def __init__(self, salt: bytes, capacity: int = 100_000) -> None:
        self._salt = salt
        self._capacity = capacity
        self._places: OrderedDict[bytes, list[_Place]] = OrderedDict()
        self._minted = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._places)

    def observe(self, deployment: str, exchange: Exchange, transcript: Transcript) -> Turn:
        """The turn that this exchange is; from now on its successor can find it."""
        asked = Dialogue.of(transcript.messages)
        named = conversation_id(self._salt, exchange.conversation) if exchange.conversation else ""
        here = _Place(named, deployment, exchange.key_id, self._system(transcript.messages), 0)
        with self._lock:
            before = self._predecessor(here, asked, transcript)
            here.index = self._index(before, here, asked)
            if before is not None:
                before.continued = True
                here.conversation = before.conversation
            elif not here.conversation:
                here.conversation = self._mint(asked, exchange)
            for key in self._keys(here, asked, transcript):
                self._keep(key, here)
        ended_at = exchange.started_at + exchange.duration_seconds
        return Turn(deployment, here.conversation, here.index, transcript, ended_at)

    def lookup(self, messages: Iterable[Mapping[str, Any]]) -> str | None:
        """The id of the newest conversation with these chat messages, with or without the last reply; or None."""
        asked = read_request({"messages": [dict(message) for message in messages]})
        if asked is None:
            return None
        dialogue = Dialogue.of(asked.messages)
        keys = (
            dialogue.key(self._salt, "whole"),
            dialogue.key(self._salt, "asked"),
            dialogue.before_last_user().key(self._salt, "whole"),
            dialogue.key(self._salt, "users"),
            dialogue.key(self._salt, "tail"),
        )
        with self._lock:
            found = (places for key in keys if key is not None and (places := self._places.get(key)))
            return next((places[-1].conversation for places in found), None)

    def _predecessor(self, here: _Place, asked: Dialogue, transcript: Transcript) -> _Place | None:
        heard = asked.before_last_user()
        keys = [
            self._response_key(transcript.previous_response_id),
            asked.key(self._salt, "asked") if asked.after_user else None,  # a tool was called without a word
            heard.key(self._salt, "whole"),
            heard.key(self._salt, "tail"),  # the client sends only the last messages
            heard.key(self._salt, "users"),  # the client changed the reply
        ]
        for key in keys:
            fitting = [place for place in self._places.get(key or b"", ()) if place.may_precede(here)]
            if fitting:
                # max takes the first of equals: the newest comes first.
                return max(reversed(fitting), key=lambda place: (place.system == here.system, not place.continued))
        return None

    def _index(self, before: _Place | None, here: _Place, asked: Dialogue) -> int:
        """Counts on from the predecessor; where only the name is known, messages that were left out count too."""
        if before is not None:
            return before.index + asked.begins_turn
        repeated = self._places.get(asked.key(self._salt, "asked") or b"", ())
        for place in reversed(repeated):
            if here.conversation and place.conversation == here.conversation:
                return place.index
        known = self._places.get(self._name_key(here.conversation), ())
        return max(1, asked.user_turns, *(place.index + asked.begins_turn for place in known))

    def _mint(self, asked: Dialogue, exchange: Exchange) -> str:
        self._minted += 1
        seed = f"{exchange.started_at!r}:{self._minted}".encode()
        return id_of(salted(self._salt, b"eq-minted", asked.key(self._salt, "asked") or b"", seed))

    def _keys(self, here: _Place, asked: Dialogue, transcript: Transcript) -> list[bytes]:
        heard = asked.answered(transcript.reply)
        keys = [
            asked.key(self._salt, "asked"),
            heard.key(self._salt, "whole") if transcript.reply is not None else None,
            heard.key(self._salt, "tail"),
            asked.key(self._salt, "users"),
            self._response_key(transcript.response_id),
            self._name_key(here.conversation),
        ]
        return [key for key in keys if key is not None]

    def _keep(self, key: bytes, place: _Place) -> None:
        places = self._places.setdefault(key, [])
        places.append(place)
        del places[:-_PLACES_PER_KEY]
        self._places.move_to_end(key)
        while len(self._places) > self._capacity:
            self._places.popitem(last=False)

    def _system(self, messages: Iterable[Message]) -> bytes:
        texts = (
            " ".join(message.text.split()).encode("utf-8", "surrogatepass")
            for message in messages
            if message.role == "system"
        )
        return salted(self._salt, b"eq-system", *texts)

    def _response_key(self, response_id: str) -> bytes | None:
        return salted(self._salt, b"eq-response", response_id.encode()) if response_id else None

    def _name_key(self, conversation: str) -> bytes:
        return salted(self._salt, b"eq-name", conversation.encode())

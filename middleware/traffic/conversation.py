"""Recognises conversations without help: the next request repeats the messages so far.

Only salted hashes are kept, in a table of bounded size that this object owns. Where two strangers said the same so
far, the credential, the system prompt and who has not gone on yet decide; ``x-eqwatch-conversation`` leaves no doubt.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from middleware.records.conversation import Turn
from middleware.records.observation import Observation
from middleware.records.place import Place
from middleware.traffic.dialogue import Dialogue
from middleware.traffic.hashing import exchange_key, id_of, salted
from middleware.traffic.openai_chat import read_request

__all__ = ["ConversationTracker"]

_PLACES_PER_KEY = 8
_AWAITED_SHARE = 10


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

    def may_have_followed(self, here: "_Place") -> bool:
        """The same, of an exchange that comes after its successor, whose conversation has an id already."""
        return (
            self.deployment == here.deployment
            and (not here.key_id or here.key_id == self.key_id)
            and (not here.conversation or here.conversation == self.conversation)
        )


class ConversationTracker:
    """Gives each exchange its place. Thread-safe; exchanges of a conversation should come in order.

    One that comes late, as from a pod that is slower than the one that had the next turn, still joins its successor.
    capacity: hashes that are kept, about five for each exchange; the least recently used go first.
    """

    def __init__(self, salt: bytes, capacity: int = 100_000) -> None:
        self._salt = salt
        self._capacity = capacity
        self._places: OrderedDict[bytes, list[_Place]] = OrderedDict()
        self._awaited: OrderedDict[bytes, _Place] = OrderedDict()
        self._minted = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._places)

    def observe(self, heard: Observation) -> Turn:
        """The turn that this exchange is; from now on its successor can find it."""
        return self.placed(heard)[0]

    def placed(self, heard: Observation) -> tuple[Turn, Place]:
        """The turn, and what has to be kept of it for `restore`."""
        trace = heard.trace
        here = _Place(heard.conversation, heard.deployment, heard.key_id, trace.system, 0)
        with self._lock:
            before = self._predecessor(here, trace.before)
            after = self._successor(here, trace.after)
            here.index = self._index(before, after, here, heard)
            if before is not None:
                before.continued = True
                here.conversation = before.conversation
                if after is not None:
                    after.conversation = before.conversation
            elif after is not None:
                here.conversation = after.conversation
            elif not here.conversation:
                here.conversation = self._mint(heard)
            here.continued = after is not None
            keys = (*trace.after, self._name_key(here.conversation))
            for key in keys:
                self._keep(key, here)
            if before is None:
                self._await(trace.awaits, here)
            turn = Turn(heard.deployment, here.conversation, here.index, heard.transcript, heard.at, heard.started_at)
        exchange = exchange_key(self._salt, heard.id)
        return turn, Place(
            turn.conversation, turn.deployment, heard.key_id, trace.system, turn.index, keys, exchange, heard.at
        )

    def restore(self, places: Iterable[Place]) -> None:
        """Know these places again, oldest first."""
        with self._lock:
            for place in places:
                here = _Place(place.conversation, place.deployment, place.key_id, place.system, place.turn)
                for key in place.keys:
                    self._keep(key, here)

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

    def _predecessor(self, here: _Place, keys: Sequence[bytes]) -> _Place | None:
        for key in keys:
            fitting = [place for place in self._places.get(key, ()) if place.may_precede(here)]
            if fitting:
                # max takes the first of equals: the newest comes first.
                return max(reversed(fitting), key=lambda place: (place.system == here.system, not place.continued))
        return None

    def _successor(self, here: _Place, keys: Sequence[bytes]) -> _Place | None:
        """An exchange that came before this one though it was said later, and found nobody to follow."""
        for key in keys:
            place = self._awaited.get(key)
            if place is not None and place.may_have_followed(here):
                del self._awaited[key]
                return place
        return None

    def _await(self, keys: Sequence[bytes], place: _Place) -> None:
        for key in keys:
            self._awaited[key] = place
            self._awaited.move_to_end(key)
        while len(self._awaited) > self._capacity // _AWAITED_SHARE:
            self._awaited.popitem(last=False)

    def _index(self, before: _Place | None, after: _Place | None, here: _Place, heard: Observation) -> int:
        """Counts on from the predecessor; where only the name is known, messages that were left out count too."""
        trace = heard.trace
        if before is not None:
            return before.index + trace.begins_turn
        if after is not None:
            return max(1, trace.user_turns, after.index - 1)
        repeated = self._places.get(trace.asked, ())
        for place in reversed(repeated):
            if here.conversation and place.conversation == here.conversation:
                return place.index
        known = self._places.get(self._name_key(here.conversation), ()) if here.conversation else ()
        return max(1, trace.user_turns, *(place.index + trace.begins_turn for place in known))

    def _mint(self, heard: Observation) -> str:
        self._minted += 1
        seed = f"{heard.at!r}:{self._minted}".encode()
        return id_of(salted(self._salt, b"eq-minted", heard.trace.asked, seed))

    def _keep(self, key: bytes, place: _Place) -> None:
        places = self._places.setdefault(key, [])
        places.append(place)
        del places[:-_PLACES_PER_KEY]
        self._places.move_to_end(key)
        while len(self._places) > self._capacity:
            self._places.popitem(last=False)

    def _name_key(self, conversation: str) -> bytes:
        return salted(self._salt, b"eq-name", conversation.encode())

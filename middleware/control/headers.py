"""Tells the relay what to say in ``x-eqwatch-emotions`` of a conversation's next response. In memory only.

The relay knows a conversation by the value of ``x-eqwatch-conversation``, everything else by its salted id: the newest
names are kept here, and never stored.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable

from middleware.awareness.header import header_value
from middleware.awareness.recent import Told
from middleware.records.exchange import Exchange
from middleware.traffic.hashing import conversation_id

__all__ = ["EmotionsHeader"]

_REMEMBERED = 10_000


class EmotionsHeader:
    """Owns the names. tell: conversation, header value and when its turn ended, to the relay.

    said: called with each estimate that the relay knows from then on.
    """

    def __init__(self, salt: bytes, *, tell: Callable[[str, str, float], object], capacity: int = _REMEMBERED) -> None:
        self._salt = salt
        self._tell = tell
        self._capacity = capacity
        self._names: OrderedDict[str, str] = OrderedDict()
        self.said: list[Callable[[Told], object]] = []

    def __len__(self) -> int:
        return len(self._names)

    def note(self, exchange: Exchange) -> None:
        """Remember what the application calls this conversation; the longest unheard of goes."""
        if not exchange.conversation:
            return
        identity = conversation_id(self._salt, exchange.conversation)
        self._names[identity] = exchange.conversation
        self._names.move_to_end(identity)
        while len(self._names) > self._capacity:
            self._names.popitem(last=False)

    def forget(self, conversations: Iterable[str]) -> None:
        """Of erased conversations nothing is kept, nor said any more."""
        for conversation in conversations:
            if (name := self._names.pop(conversation, None)) is not None:
                self._tell(name, "", 0.0)

    def take(self, told: Told) -> None:
        """A new estimate."""
        if (name := self._names.get(told.result.conversation)) is None:
            return
        self._tell(name, header_value(told.found), told.result.ended_at)
        for hear in self.said:
            hear(told)

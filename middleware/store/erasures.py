"""Which conversations were erased while this process runs, so that work under way writes nothing of them any more.

In memory: a probe, a turn or a place that comes late dies with the process that holds it, and no file keeps the id.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence

__all__ = ["Erasures"]

_REMEMBERED = 10_000


class Erasures:
    """Owns when each conversation (salted id) was erased. Used from any thread.

    writing: held while something that names a conversation is written, and while conversations are erased: what is
    written is either there to be erased or comes after. capacity: the newest that are known.
    """

    def __init__(self, *, capacity: int = _REMEMBERED) -> None:
        self.writing = threading.Lock()
        self._capacity = capacity
        self._at: OrderedDict[str, float] = OrderedDict()

    def note(self, conversations: Sequence[str], at: float) -> None:
        """What ended until then (Unix seconds) is gone; a conversation that goes on is new data."""
        for conversation in conversations:
            self._at[conversation] = at
            self._at.move_to_end(conversation)
            while len(self._at) > self._capacity:
                self._at.popitem(last=False)

    def covers(self, conversation: str, ended_at: float) -> bool:
        """Whether what ended then (Unix seconds) in this conversation was erased."""
        at = self._at.get(conversation)
        return at is not None and ended_at <= at

"""Whether the application reads an estimate before its next call. In memory, bounded; no I/O.

A call counts as informed where an estimate of its conversation was read after the call before it had begun and before
it began itself. What was read is not known to have been used.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from middleware.awareness.recent import Told
from middleware.records.conversation import Turn
from middleware.records.informed import UNREAD, Call, Channel

__all__ = ["Adoption", "Read"]

_REMEMBERED = 10_000
_READS = 8


@dataclass(frozen=True, slots=True)
class Read:
    """An estimate that the application got. at, ended_at: of the read, and of the turn that it is about."""

    channel: Channel
    deployment: str
    conversation: str
    at: float
    ended_at: float

    @property
    def age_seconds(self) -> float:
        """Of the estimate when it was read."""
        return max(0.0, self.at - self.ended_at)


@dataclass(slots=True)
class _Conversation:
    """turn: the last call's; estimated_at: when the first estimate was there, header_at: when the relay knew it."""

    turn: int = 0
    estimated_at: float | None = None
    header: tuple[float, float] | None = None
    reads: list[Read] = field(default_factory=list)


class Adoption:
    """Owns what is known of each conversation. on_read, on_call: told of each read and each call; must not block.

    on_call: is given None where no estimate was there when the call began.
    """

    def __init__(
        self,
        *,
        on_read: Callable[[Read], object],
        on_call: Callable[[str, Call | None], object],
        capacity: int = _REMEMBERED,
    ) -> None:
        self._on_read = on_read
        self._on_call = on_call
        self._capacity = capacity
        self._known: OrderedDict[str, _Conversation] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def estimated(self, told: Told) -> None:
        """An estimate is there to be read."""
        known = self._of(told.result.conversation)
        if known.estimated_at is None:
            known.estimated_at = told.at

    def in_header(self, told: Told) -> None:
        """The relay says this with the next responses of the conversation."""
        self._of(told.result.conversation).header = (told.at, told.result.ended_at)

    def read(self, read: Read) -> None:
        """The application got an estimate."""
        known = self._of(read.conversation)
        known.reads = [*known.reads, read][-_READS:]
        self._on_read(read)

    def called(self, turn: Turn) -> None:
        """A call ended. Further exchanges of the same turn, such as calls of tools, belong to the first one."""
        known = self._of(turn.conversation)
        if turn.index <= known.turn:
            return
        known.turn = turn.index
        began = turn.started_at or turn.at
        before = [read for read in known.reads if read.at <= began]
        known.reads = [read for read in known.reads if read.at > began]
        if known.estimated_at is None or known.estimated_at > began:
            self._on_call(turn.deployment, None)
        else:
            last = before[-1] if before else None
            channel, age = (last.channel, last.age_seconds) if last is not None else (UNREAD, 0.0)
            self._on_call(
                turn.deployment,
                Call(turn.conversation, turn.index, turn.deployment, channel, age, began),  # type: ignore[arg-type]
            )
        if known.header is not None and known.header[0] <= began:
            self.read(Read("header", turn.deployment, turn.conversation, turn.at, known.header[1]))

    def forget(self, conversations: Iterable[str]) -> None:
        """Of erased conversations nothing is kept."""
        for conversation in conversations:
            self._known.pop(conversation, None)

    def _of(self, conversation: str) -> _Conversation:
        known = self._known.setdefault(conversation, _Conversation())
        self._known.move_to_end(conversation)
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return known

"""Whether the application had read an estimate before each of its calls."""

from middleware.awareness.adoption import Adoption, Read
from middleware.awareness.recent import Recent, Told
from middleware.records.conversation import Message, ProbeResult, Transcript, Turn
from middleware.records.informed import Call

SPOKEN = Transcript("openai_chat", "m", (Message("user", "x"),), None, streamed=False)


class Application:
    """A conversation whose turns end 5 s after they begin and are estimated 1 s later. calls: as they were counted."""

    def __init__(self, **changes: int) -> None:
        self.calls: list[Call | None] = []
        self.reads: list[Read] = []
        self.adoption = Adoption(on_read=self.reads.append, on_call=lambda _, call: self.calls.append(call), **changes)

    def estimate(self, turn: int, at: float) -> Told:
        """A judge has answered."""
        told: list[Told] = []
        recent = Recent()
        recent.listeners.append(told.append)
        recent.take(ProbeResult("tutor", "c", turn, "perception", "scored", {"Joy": 1.0}, at=at, turn_ended_at=at - 1))
        self.adoption.estimated(told[0])
        return told[0]

    def call(self, turn: int, began: float) -> None:
        """A turn passed the relay."""
        self.adoption.called(Turn("tutor", "c", turn, SPOKEN, began + 5, began))

    def read(self, at: float, channel: str = "pull") -> None:
        """The application got the estimate of a turn that ended 4 s before."""
        self.adoption.read(Read(channel, "tutor", "c", at, at - 4))  # type: ignore[arg-type]

    @property
    def outcomes(self) -> list[str | None]:
        """By call: the channel, "none", or None where no estimate was there."""
        return [call.channel if call is not None else None for call in self.calls]


def test_a_call_is_informed_by_a_read_since_the_call_before() -> None:
    """The first call has nothing to read; a read counts for the next call, and for that one only."""
    user = Application()
    user.call(1, 100)
    user.estimate(1, 106)
    user.read(108)
    user.call(2, 110)
    user.call(3, 130)
    assert user.outcomes == [None, "pull", "none"]
    informed = user.calls[1]
    assert informed is not None
    assert (informed.turn, informed.age_seconds, informed.at, informed.informed) == (2, 4.0, 110, True)


def test_a_read_while_a_call_runs_is_for_the_next_one() -> None:
    """What is read after a call began can't have informed it, though the call is counted when it ends."""
    user = Application()
    user.call(1, 100)
    user.estimate(1, 106)
    user.read(112, "stream")
    user.call(2, 110)
    user.call(3, 120)
    assert user.outcomes == [None, "none", "stream"]


def test_an_estimate_that_came_too_late_is_no_missed_one() -> None:
    """Where none was there when the call began, nothing could be read."""
    user = Application()
    user.call(1, 100)
    user.estimate(1, 111)
    user.call(2, 110)
    assert user.outcomes == [None, None]


def test_the_header_informs_the_call_after_the_response_that_carried_it() -> None:
    """An estimate that the relay knew before a call began came with its response, in time for the next call."""
    user = Application()
    user.call(1, 100)
    user.adoption.in_header(user.estimate(1, 106))
    user.call(2, 110)
    assert [(read.channel, read.at, read.age_seconds) for read in user.reads] == [("header", 115, 10)]
    user.call(3, 120)
    assert user.outcomes == [None, "none", "header"]


def test_calls_of_tools_belong_to_their_turn() -> None:
    """Several exchanges of one turn count once."""
    user = Application()
    user.call(1, 100)
    user.estimate(1, 106)
    user.call(2, 110)
    user.call(2, 112)
    assert user.outcomes == [None, "none"]


def test_what_is_remembered_is_bounded() -> None:
    """Conversations that were not heard of for longest go, and of reads the newest few stay."""
    user = Application(capacity=2)
    for conversation in "abc":
        for at in range(20):
            user.adoption.read(Read("pull", "tutor", conversation, float(at), 0.0))
    assert len(user.adoption) == 2

"""The rated turns of the newest conversations, from stored results: what the statistics of emotions are made of.

Sessions: a conversation that rests longer than the time after which a turn counts as censored goes on as a new one.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from middleware.records.conversation import ProbeResult
from middleware.records.informed import Call

__all__ = ["Fate", "RatedTurn", "RatingLog", "Session", "fates", "followed"]

Ratings = Mapping[str, float]
Fate = Literal["followed", "unrated", "censored", "pending"]


@dataclass(slots=True)
class RatedTurn:
    """What is known of a user turn; None and absent keys: not rated, or not readably. at: when it last grew.

    perceived, again: by the model under test, and a second time; predicted: for the next turn. expressed,
    expressed_again: by judge of the answer key. informed: whether the application had read an estimate before its call;
    None where none was there to be read.
    """

    turn: int
    ended_at: float
    at: float = 0.0
    perceived: Ratings | None = None
    perceived_by: str = ""
    again: Ratings | None = None
    predicted: Ratings | None = None
    expressed: dict[str, Ratings] = field(default_factory=dict)
    expressed_again: dict[str, Ratings] = field(default_factory=dict)
    informed: bool | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """Turns of one conversation without a long rest, in order; never empty."""

    conversation: str
    turns: tuple[RatedTurn, ...]

    def closes_at(self, gap: float) -> float:
        """When it is over, unless somebody goes on before."""
        return self.turns[-1].ended_at + gap


class RatingLog:
    """The newest conversations of one deployment. versions: of each judge of the answer key; others are left out.

    emotions: a rating that names others (the set was changed) is left out. capacity: conversations that are kept.
    """

    def __init__(self, emotions: Sequence[str], versions: Mapping[str, str], *, capacity: int) -> None:
        self._emotions = frozenset(emotions)
        self._versions = dict(versions)
        self._capacity = capacity
        self._conversations: OrderedDict[str, dict[int, RatedTurn]] = OrderedDict()
        self._informed: dict[str, dict[int, bool]] = {}

    def __len__(self) -> int:
        return len(self._conversations)

    def add(self, result: ProbeResult) -> None:
        """Take a result; the first readable one of a kind and judge stays, as in the store.

        A rating of text that tried to steer the judge is left out: whoever writes such text would move the windows.
        """
        turns = self._conversations.setdefault(result.conversation, {})
        self._conversations.move_to_end(result.conversation)
        while len(self._conversations) > self._capacity:
            gone, _ = self._conversations.popitem(last=False)
            self._informed.pop(gone, None)
        if result.turn not in turns:
            informed = self._informed.get(result.conversation, {}).get(result.turn)
            turns[result.turn] = RatedTurn(result.turn, result.ended_at, informed=informed)
        turn = turns[result.turn]
        turn.at = max(turn.at, result.at)
        if result.outcome == "scored" and self._emotions == result.emotions.keys() and not result.steered:
            self._rate(turn, result)

    def forget(self, conversations: Iterable[str]) -> None:
        """Remove all that is known of these."""
        for conversation in conversations:
            self._conversations.pop(conversation, None)
            self._informed.pop(conversation, None)

    def called(self, call: Call) -> None:
        """Take whether a call was informed; one of a conversation that is not known is left out."""
        if (turns := self._conversations.get(call.conversation)) is not None:
            # Apart from the turn, which may be rated later or never: a call alone makes no rated turn.
            self._informed.setdefault(call.conversation, {})[call.turn] = call.informed
            if call.turn in turns:
                turns[call.turn].informed = call.informed

    def _rate(self, turn: RatedTurn, result: ProbeResult) -> None:
        known = result.judge in self._versions
        if known and result.judge_version != self._versions[result.judge]:
            return
        match result.kind:
            case "perception" if turn.perceived is None:
                turn.perceived, turn.perceived_by = result.emotions, result.judge
            case "anticipation" if turn.predicted is None:
                turn.predicted = result.emotions
            case "expressed" if known:
                turn.expressed.setdefault(result.judge, result.emotions)
            case "retest" if known:
                turn.expressed_again.setdefault(result.judge, result.emotions)
            case "retest" if turn.again is None and result.judge == (turn.perceived_by or result.judge):
                turn.again = result.emotions
            case _:
                pass

    def sessions(self, gap: float) -> Iterator[Session]:
        """Every session, those of a conversation in order. gap: seconds of rest that end one."""
        for conversation, turns in self._conversations.items():
            current: list[RatedTurn] = []
            for number in sorted(turns):
                if current and turns[number].ended_at - current[-1].ended_at > gap:
                    yield Session(conversation, tuple(current))
                    current = []
                current.append(turns[number])
            yield Session(conversation, tuple(current))


def followed(session: Session) -> Iterator[tuple[RatedTurn, RatedTurn]]:
    """Each turn with the very next one; a turn that nobody saw in between leaves a gap and no pair."""
    for turn, after in zip(session.turns, session.turns[1:], strict=False):
        if after.turn == turn.turn + 1:
            yield turn, after


def fates(session: Session, judge: str, *, gap: float, now: float) -> Iterator[tuple[RatedTurn, Fate]]:
    """What became of each prediction. unrated: the user went on, and the answer key could not say how."""
    after = {turn.turn: following for turn, following in followed(session)}
    for number, turn in enumerate(session.turns):
        if turn.predicted is None:
            continue
        if number == len(session.turns) - 1:
            yield turn, "censored" if session.closes_at(gap) <= now else "pending"
        else:
            rated = turn.turn in after and judge in after[turn.turn].expressed
            yield turn, "followed" if rated else "unrated"

"""From rated turns to the numbers of the current window. Pure: the same turns give the same report."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from middleware.probe.rated import Fate, RatedTurn, Session, fates, followed
from middleware.records.emotion_report import Adoption, Agreement, Censoring, NextIntensity
from middleware.records.emotions import distress_of
from scorer.agreement import Loss, loss_points, mean_loss, meaning, retest_ratio
from scorer.anticipation import Foresight, Skill, skill
from scorer.censoring import bands, bounds, weights
from scorer.relief import Expectation, Relief, learn, relief
from scorer.repeatability import Repeatability, repeatability

__all__ = ["LossKey", "Study", "losses_of"]

Floats: TypeAlias = npt.NDArray[np.float64]
LossKey: TypeAlias = tuple[str, str, str, int]
"""What a loss is of: ``agreement``, ``retest`` or ``anticipation``; judge; conversation; turn."""

_NO_MEANING = {
    "quality": "Quality: the reference has the better benchmark score, so agreeing with it is being right more often.",
    "change_signal": "Change signal only: nothing shows that the reference is the better judge, so a change of this "
    "number says that one of the two changed, not which, and not that it became worse.",
}


@dataclass(frozen=True, slots=True)
class _Pair:
    """A turn with a next one that the judge rated as well."""

    conversation: int
    turn: RatedTurn
    after: RatedTurn


class Study:
    """The sessions of one deployment, seen through one judge. gap, now: seconds; see `fates`."""

    def __init__(
        self, sessions: Sequence[Session], emotions: Sequence[str], judge: str, *, gap: float, now: float
    ) -> None:
        self._sessions = sessions
        self._emotions = tuple(emotions)
        self._judge = judge
        numbers: dict[str, int] = {}
        for session in sessions:
            numbers.setdefault(session.conversation, len(numbers))
        self._numbers = numbers
        self._fates: list[tuple[RatedTurn, Fate]] = [
            found for session in sessions for found in fates(session, judge, gap=gap, now=now)
        ]
        self._pairs = [
            _Pair(numbers[session.conversation], turn, after)
            for session in sessions
            for turn, after in followed(session)
            if judge in turn.expressed and judge in after.expressed
        ]
        known = [(turn, fate) for turn, fate in self._fates if fate in ("followed", "censored")]
        self._bands = bands(
            np.array([distress_of(turn.predicted or {}) for turn, _ in known]),
            np.array([fate == "censored" for _, fate in known], dtype=np.bool_),
        )

    @property
    def conversations(self) -> int:
        """In the window."""
        return len(self._numbers)

    @property
    def turns(self) -> int:
        """Rated by anybody."""
        return sum(len(session.turns) for session in self._sessions)

    def skills(self) -> dict[str, Skill]:
        """By emotion, over predictions with an answer, each weighed for those like it whose users left."""
        pairs = [pair for pair in self._pairs if pair.turn.predicted is not None and pair.turn.perceived is not None]
        if not pairs:
            return {}
        weigh = weights(np.array([distress_of(pair.turn.predicted or {}) for pair in pairs]), self._bands)
        return {emotion: skill(self._foresight(pairs, emotion, weigh)) for emotion in self._emotions}

    def _foresight(self, pairs: Sequence[_Pair], emotion: str, weigh: Floats) -> Foresight:
        judge = self._judge
        return Foresight(
            conversation=np.array([pair.conversation for pair in pairs], dtype=np.int64),
            before=np.array([pair.turn.expressed[judge][emotion] for pair in pairs]),
            perceived=np.array([(pair.turn.perceived or {})[emotion] for pair in pairs]),
            predicted=np.array([(pair.turn.predicted or {})[emotion] for pair in pairs]),
            after=np.array([pair.after.expressed[judge][emotion] for pair in pairs]),
            weights=weigh,
        )

    def censoring(self) -> Censoring:
        """What became of the predictions."""
        count = {fate: sum(found == fate for _, found in self._fates) for fate in Fate.__args__}  # type: ignore[attr-defined]
        decided = count["followed"] + count["censored"]
        share = count["censored"] / decided if decided else None
        return Censoring(count["followed"], count["unrated"], count["censored"], count["pending"], share, self._bands)

    def next_intensity(self) -> dict[str, NextIntensity]:
        """By emotion: the mean after a prediction, with what those who left could make of it."""
        pairs = [
            (turn, after)
            for session in self._sessions
            for turn, after in followed(session)
            if turn.predicted is not None and self._judge in after.expressed
        ]
        if not pairs:
            return {}
        weigh = weights(np.array([distress_of(turn.predicted or {}) for turn, _ in pairs]), self._bands)
        censored = sum(fate == "censored" for _, fate in self._fates)
        found = {}
        for emotion in self._emotions:
            values = np.array([after.expressed[self._judge][emotion] for _, after in pairs])
            observed = float(values.mean())
            lowest, highest = bounds(observed, len(values), censored)
            weighted = float(np.average(values, weights=weigh))
            found[emotion] = NextIntensity(observed, weighted, lowest, highest)
        return found

    def expectations(self) -> dict[str, Expectation]:
        """The expected change by emotion, to be frozen; empty where there are too few turns to learn from."""
        found = {emotion: learn(*self._changes(emotion)) for emotion in self._emotions}
        return {emotion: expected for emotion, expected in found.items() if expected is not None}

    def reliefs(self, expected: Mapping[str, Expectation]) -> dict[str, Relief]:
        """By emotion, against the frozen expectation."""
        found = {
            emotion: relief(expected[emotion], *self._changes(emotion))
            for emotion in self._emotions
            if emotion in expected
        }
        return {emotion: one for emotion, one in found.items() if one is not None}

    def adoption(self) -> Adoption | None:
        """Of the calls of these turns; None where an estimate was there for none of them."""
        known = [turn.informed for session in self._sessions for turn in session.turns if turn.informed is not None]
        return Adoption(sum(known), len(known), sum(known) / len(known)) if known else None

    def reliefs_by_read(self, expected: Mapping[str, Expectation], *, informed: bool) -> dict[str, Relief]:
        """As `reliefs`, of replies whose call was informed, or was not although an estimate was there."""
        pairs = [pair for pair in self._pairs if pair.turn.informed is informed]
        found = {emotion: relief(line, *self._changes(emotion, pairs)) for emotion, line in expected.items()}
        return {emotion: one for emotion, one in found.items() if one is not None}

    def _changes(
        self, emotion: str, pairs: Sequence[_Pair] | None = None
    ) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
        pairs = self._pairs if pairs is None else pairs
        return (
            np.array([pair.conversation for pair in pairs], dtype=np.int64),
            np.array([pair.turn.expressed[self._judge][emotion] for pair in pairs]),
            np.array([pair.after.expressed[self._judge][emotion] for pair in pairs]),
        )

    def loss(self, kind: str, judge: str) -> Loss | None:
        """Mean of one kind of loss; see `losses_of`."""
        found = [(key, loss) for key, (loss, _) in losses_of(self._sessions, judge).items() if key[0] == kind]
        conversations = np.array([self._numbers[key[2]] for key, _ in found], dtype=np.int64)
        return mean_loss(np.array([loss for _, loss in found]), conversations)

    def agreement(self, judge: str, *, judge_points: float | None, model_points: float | None) -> Agreement | None:
        """With one judge, labelled with what it means; None where no turn was rated by both."""
        found = self.loss("agreement", judge)
        if found is None:
            return None
        says = meaning(judge_points, model_points)
        return Agreement(found, says, _NO_MEANING[says])

    def repeatability(self) -> dict[str, Repeatability]:
        """How well whoever perceives repeats itself, by emotion; empty without retests."""
        pairs = [
            (turn.perceived, turn.again)
            for session in self._sessions
            for turn in session.turns
            if turn.perceived is not None and turn.again is not None
        ]
        found = {
            emotion: repeatability([first[emotion] for first, _ in pairs], [again[emotion] for _, again in pairs])
            for emotion in self._emotions
        }
        return {emotion: one for emotion, one in found.items() if one is not None}

    def retest_ratio(self, judge: str) -> float | None:
        """How much of the variance of a judge's ratings is no noise."""
        pairs = [
            (turn.expressed[judge], turn.expressed_again[judge])
            for session in self._sessions
            for turn in session.turns
            if judge in turn.expressed and judge in turn.expressed_again
        ]
        return retest_ratio([first for first, _ in pairs], [again for _, again in pairs])


def losses_of(sessions: Sequence[Session], judge: str) -> dict[LossKey, tuple[float, float]]:
    """Every loss in points that is complete, and when it became so. judge: of agreement and anticipation."""
    return dict(_losses(sessions, judge))


def _losses(sessions: Sequence[Session], judge: str) -> Iterator[tuple[LossKey, tuple[float, float]]]:
    for session in sessions:
        name = session.conversation
        for turn in session.turns:
            expressed = turn.expressed.get(judge)
            if turn.perceived is not None and expressed is not None and turn.perceived_by != judge:
                yield ("agreement", judge, name, turn.turn), (loss_points(turn.perceived, expressed), turn.at)
            if turn.perceived is not None and turn.again is not None:
                yield ("retest", "", name, turn.turn), (loss_points(turn.again, turn.perceived), turn.at)
        for turn, after in followed(session):
            shown = after.expressed.get(judge)
            if turn.predicted is not None and shown is not None:
                at = max(turn.at, after.at)
                yield ("anticipation", judge, name, turn.turn), (loss_points(turn.predicted, shown), at)

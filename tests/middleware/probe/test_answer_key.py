"""The answer key: every sampled turn is rated once by its judge, some twice, and what is not is counted."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from middleware.errors import CallRefused
from middleware.metrics import Metrics
from middleware.probe.answer_key import AnswerKey
from middleware.probe.judging import Rating
from middleware.records.conversation import Message, ProbeResult

EMOTIONS = ("Confusion", "Boredom")


class Scripted:
    """A judge that answers as told, and remembers what it was shown."""

    name, version, repeats = "reference", "pinned-1", False

    def __init__(self, answer: Callable[[str], Rating]) -> None:
        self.answer = answer
        self.shown: list[str] = []

    async def rate(self, messages: Sequence[Message], _emotions: tuple[str, ...]) -> Rating:
        self.shown.append(messages[-1].text)
        return self.answer(messages[-1].text)


def scored(_: str) -> Rating:
    return Rating("scored", {"Confusion": 6.0, "Boredom": 1.0}, prompt_tokens=90, latency_seconds=0.5)


def worked(key: AnswerKey, turns: list[Any]) -> None:
    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:
            for turn in turns:
                key.offer(turn)
            task = group.create_task(key.run())
            await key.drained()
            task.cancel()

    asyncio.run(scenario())


def counted(metrics: Metrics) -> dict[str, float]:
    (family,) = metrics.judge_ratings_total.collect()
    return {s.labels["outcome"]: s.value for s in family.samples if s.name.endswith("_total")}


@pytest.fixture
def saved() -> list[ProbeResult]:
    return []


def test_a_turn_is_rated_once_however_many_exchanges_it_took(
    metrics: Metrics, kit: Any, saved: list[ProbeResult]
) -> None:
    """With the judge and its version; turns of deployments that are not its own are left alone."""
    judge = Scripted(scored)
    key = AnswerKey(judge, {"tutor": EMOTIONS}, save=saved.append, metrics=metrics, clock=lambda: 5.0)
    worked(key, [kit.turn(), kit.turn(), kit.turn(number=2)])
    assert [(r.kind, r.conversation, r.turn, r.judge, r.judge_version) for r in saved] == [
        ("expressed", "eq_1", 1, "reference", "pinned-1"),
        ("expressed", "eq_2", 2, "reference", "pinned-1"),
    ]
    assert saved[0].emotions == {"Confusion": 6.0, "Boredom": 1.0}
    assert (saved[0].at, saved[0].turn_ended_at, saved[0].prompt_tokens) == (5.0, 1_800_000_000.0, 90)
    assert counted(metrics) == {"scored": 2}
    other = AnswerKey(judge, {"shop": EMOTIONS}, save=saved.append, metrics=metrics)
    worked(other, [kit.turn(number=3)])
    assert len(saved) == 2


def test_chosen_turns_are_rated_twice(metrics: Metrics, kit: Any, saved: list[ProbeResult]) -> None:
    """As a retest of the same judge; one that always repeats itself is not asked again."""
    judge = Scripted(scored)
    chosen = {"emotions": {"tutor": EMOTIONS}, "save": saved.append, "metrics": metrics, "retest": lambda *_: True}
    worked(AnswerKey(judge, **chosen), [kit.turn()])
    assert [result.kind for result in saved] == ["expressed", "retest"]
    judge.repeats = True
    worked(AnswerKey(judge, **chosen), [kit.turn(number=2)])
    assert [result.kind for result in saved] == ["expressed", "retest", "expressed"]


def test_failures_of_any_kind_are_counted_and_harm_no_other_turn(
    metrics: Metrics, kit: Any, saved: list[ProbeResult]
) -> None:
    """An unreadable answer is kept; a refused call, a defect and a full queue leave a count; no text is logged."""

    def answer(text: str) -> Rating:
        if "refuse" in text:
            raise CallRefused("paused", "stopped")
        if "defect" in text:
            raise ValueError("heliotrope")
        return Rating("unparseable", {}, "no_scores") if "unreadable" in text else scored(text)

    key = AnswerKey(
        Scripted(answer), {"tutor": EMOTIONS}, save=saved.append, metrics=metrics, waiting=4, retest=lambda *_: True
    )
    with capture_logs() as logs:
        said = ["refuse", "defect heliotrope", "unreadable", "fine", "too many"]
        worked(key, [kit.turn(text, number=number) for number, text in enumerate(said, start=1)])
    assert counted(metrics) == {"paused": 1, "error": 1, "unparseable": 1, "scored": 1, "queue_full": 1}
    assert sorted((result.kind, result.outcome) for result in saved) == [
        ("expressed", "scored"),
        ("expressed", "unparseable"),
        ("retest", "scored"),
    ]
    assert "heliotrope" not in repr(logs)


def test_nobody_is_their_own_answer_key(metrics: Metrics, kit: Any, saved: list[ProbeResult]) -> None:
    """A turn that the judging model itself replied to is counted and not rated."""
    judge = Scripted(scored)
    emotions = {"tutor": EMOTIONS}
    key = AnswerKey(
        judge, emotions, save=saved.append, metrics=metrics, itself=lambda turn: turn.transcript.model == "small"
    )
    worked(key, [kit.turn()])
    assert (judge.shown, saved, counted(metrics)) == ([], [], {"own_model": 1})


def test_a_deployment_has_the_judge_as_its_own_budget_pays_for_it(
    metrics: Metrics, kit: Any, saved: list[ProbeResult]
) -> None:
    """The same judge by name and version, asked in place of the shared one."""
    shared, own = Scripted(scored), Scripted(scored)
    key = AnswerKey(shared, {"tutor": EMOTIONS}, save=saved.append, metrics=metrics, own={"tutor": own})
    worked(key, [kit.turn()])
    assert (len(own.shown), shared.shown, len(saved)) == (1, [], 1)

"""Judges: the reference model and the local anchor give ratings, and every failure is an outcome."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from middleware.benchmark.limiter import ConcurrencyRule, Limiter
from middleware.errors import CallRefused
from middleware.probe.judging import AnchorJudge, Asker, Asking, Judge, Rating, ReferenceJudge
from middleware.records.conversation import Message
from middleware.upstream import Estimate, UpstreamClient

EMOTIONS = ("Confusion", "Boredom")
SAID = (
    Message("system", "You are a tutor."),
    Message("user", "I don't get fractions."),
    Message("assistant", "Let me explain."),
    Message("user", "Still not. My mail is ada@example.org"),
    Message("assistant", "Once more, slowly."),
)


def reference(url: str, **meter: Any) -> tuple[ReferenceJudge[Any], UpstreamClient]:
    client = UpstreamClient(base_url=url, api_key="judge-key", timeout_seconds=10, **meter)
    return ReferenceJudge(Asker(client, config=Asking(), limiter=Limiter(ConcurrencyRule(2))), "pinned-1"), client


def rated(judge: Judge, *clients: UpstreamClient) -> Rating:
    async def scenario() -> Rating:
        try:
            return await judge.rate(SAID, EMOTIONS)
        finally:
            for client in clients:
                await client.aclose()

    return asyncio.run(scenario())


def test_the_reference_rates_the_users_last_words_in_the_form_of_the_probes(judge: Any, kit: Any) -> None:
    """Its own model is asked, redacted, between lines with a fresh code, without the reply or anybody's prediction."""
    judge.answer = lambda _: kit.completion(json.dumps({"Confusion": 7, "Boredom": 2}))
    asked, client = reference(judge.url)
    found = rated(asked, client)
    assert (found.outcome, found.emotions) == ("scored", {"Confusion": 7.0, "Boredom": 2.0})
    assert (asked.name, asked.version, asked.repeats) == ("reference", "pinned-1", False)
    (sent,) = judge.requests
    assert sent["model"] == "pinned-1"
    assert sent["response_format"]["type"] == "json_schema"
    prompt = sent["messages"][-1]["content"]
    assert "Still not." in prompt
    assert "At this point, the user feels..." in prompt
    assert "slowly" not in prompt
    assert "ada@example.org" not in prompt


def test_two_calls_carry_two_codes(judge: Any, kit: Any) -> None:
    """So that no text can know the lines between which it will stand."""
    judge.answer = lambda _: kit.completion('{"Confusion": 1, "Boredom": 1}')
    asked, client = reference(judge.url)

    async def twice() -> None:
        async with client:
            await asked.rate(SAID, EMOTIONS)
            await asked.rate(SAID, EMOTIONS)

    asyncio.run(twice())
    first, second = (request["messages"][-1]["content"] for request in judge.requests)
    assert first != second


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ((200, {}, "no JSON"), "api_error"),
        ((503, {}, "{}"), "api_error"),
    ],
)
def test_a_failing_reference_is_an_outcome(judge: Any, reply: Any, outcome: str) -> None:
    """Missing is never zero."""
    judge.answer = lambda _: reply
    asked, client = reference(judge.url)
    found = rated(asked, client)
    assert (found.outcome, found.emotions) == (outcome, {})


def test_a_score_that_is_out_of_range_or_missing_is_unparseable(judge: Any, kit: Any) -> None:
    """As for the model under test."""
    for text in ('{"Confusion": 70, "Boredom": 2}', '{"Confusion": 7}', "no scores today"):
        judge.answer = lambda _, text=text: kit.completion(text)
        asked, client = reference(judge.url)
        assert rated(asked, client).outcome == "unparseable"


def test_a_call_that_the_budget_refuses_is_not_made(judge: Any) -> None:
    """It is raised, and the answer key counts it."""

    class Closed:
        async def reserve(self, _estimate: Estimate) -> Any:
            raise CallRefused("budget", "the day's tokens are spent")

    asked, client = reference(judge.url, meter=Closed())
    with pytest.raises(CallRefused):
        rated(asked, client)
    assert judge.requests == []


class FakeAnchor:
    """Remembers what it was shown."""

    version = "fake-1"

    def __init__(self) -> None:
        self.shown: list[tuple[str, tuple[str, ...]]] = []

    def rate(self, text: str, emotions: Sequence[str], context: Sequence[str] = ()) -> dict[str, float]:
        self.shown.append((text, tuple(context)))
        return {emotion: 11.0 if emotion == "Confusion" else 3.25 for emotion in emotions}


def test_the_anchor_rates_without_any_call() -> None:
    """The user's last words, with what the user said before as context, redacted; intensities stay within 0..10."""
    anchor = FakeAnchor()
    asked = AnchorJudge(anchor)
    found = rated(asked)
    assert (found.outcome, found.emotions) == ("scored", {"Confusion": 10.0, "Boredom": 3.25})
    assert (asked.name, asked.version, asked.repeats) == ("anchor", "fake-1", True)
    ((text, context),) = anchor.shown
    assert text.startswith("Still not.")
    assert "ada@example.org" not in text
    assert context == ("I don't get fractions.",)


def test_the_anchor_has_nothing_to_say_where_the_user_said_nothing() -> None:
    """An image alone, for example."""
    asked = AnchorJudge(FakeAnchor())
    found = asyncio.run(asked.rate((Message("user", "  "),), EMOTIONS))
    assert (found.outcome, found.reason) == ("unparseable", "no_text")


def test_the_anchor_rates_a_turn_once_for_all_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once and afterwards, also where who asked first does not wait; other words or emotions are rated anew."""
    anchor = FakeAnchor()
    asked = AnchorJudge(anchor)
    monkeypatch.setattr("middleware.probe.judging._KNOWN_RATINGS", 2)

    async def scenario() -> None:
        first = asyncio.ensure_future(asked.rate(SAID, EMOTIONS))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(asked.rate(SAID, EMOTIONS))
        await asyncio.sleep(0)
        first.cancel()
        found = await second
        again = await asked.rate(SAID, EMOTIONS)
        assert (found.emotions, found.flags) == (again.emotions, again.flags)
        assert len(anchor.shown) == 1
        await asked.rate(SAID, EMOTIONS[:1])
        await asked.rate((Message("user", "Now I do."),), EMOTIONS)
        assert len(anchor.shown) == 3
        await asked.rate(SAID, EMOTIONS)  # only the newest are kept
        assert len(anchor.shown) == 4

    asyncio.run(scenario())


def test_the_anchor_pauses_before_each_rating_while_traffic_needs_the_processor() -> None:
    """Each new rating then waits first; what is known already is told at once, and afterwards nothing waits."""
    anchor = FakeAnchor()
    busy = True
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        assert len(anchor.shown) == len(pauses)
        pauses.append(seconds)

    asked = AnchorJudge(anchor, busy=lambda: busy, pause=pause)

    async def scenario() -> None:
        nonlocal busy
        for said in (SAID, SAID, (Message("user", "Now I do."),)):
            assert (await asked.rate(said, EMOTIONS)).outcome == "scored"
        assert len(pauses) == 2
        assert min(pauses) > 0
        busy = False
        await asked.rate((Message("user", "All of it."),), EMOTIONS)
        assert (len(pauses), len(anchor.shown)) == (2, 3)

    asyncio.run(scenario())


def test_a_failure_of_the_anchor_is_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is raised to who asked; the next one is rated."""
    anchor = FakeAnchor()
    asked = AnchorJudge(anchor)

    async def scenario() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(anchor, "rate", lambda *_: {})
            with pytest.raises(KeyError):
                await asked.rate(SAID, EMOTIONS)
        assert (await asked.rate(SAID, EMOTIONS)).outcome == "scored"

    asyncio.run(scenario())

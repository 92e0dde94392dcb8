"""Who rates in which deployment: what is configured and installed, and a clear refusal where something is missing."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from middleware.control.budget import Budget
from middleware.control.judges import Judges, judges_itself, make_judges
from middleware.control.prices import caps_of, deployment_caps, prices_of
from middleware.control.switch import CallSwitch
from middleware.errors import AnchorMissing, CallRefused, ConfigurationError
from middleware.metrics import Metrics
from middleware.records.conversation import Message, Transcript, Turn
from middleware.settings import Settings, load_settings
from middleware.store import Store


class Loaded:
    """Stands for the anchor."""

    version = "fake-1"

    def rate(self, _text: str, emotions: Sequence[str], _context: Sequence[str] = ()) -> dict[str, float]:
        return dict.fromkeys(emotions, 1.0)


def missing() -> Any:
    raise AnchorMissing("install it")


def settings(tmp_path: Path, deployment: str = "", judge: str = "") -> Settings:
    path = tmp_path / "eqwatch.toml"
    path.write_text(
        f"""
        {judge}
        [[deployments]]
        name = "tutor"
        kind = "tutoring"
        purpose = "a test of judges"
        {deployment}
        """
    )
    return load_settings(path)


def made(given: Settings, store: Store, load: Any = missing) -> Judges:
    async def scenario() -> Judges:
        switch = CallSwitch(store, enabled=True)
        day, run = caps_of(given.budget)
        prices, metrics = prices_of(given.budget), Metrics(CollectorRegistry())
        own = deployment_caps(given.deployments)
        budget = Budget(
            store, switch=switch, day=day, run=run, deployments=own, prices=prices, metrics=metrics, clock=lambda: 0.0
        )
        async with AsyncExitStack() as stack:
            return make_judges(given, stack, budget, load=load)

    return asyncio.run(scenario())


def names(given: Settings, judges: Judges) -> list[tuple[str, str]]:
    return [(judge.name, judge.version) for judge in judges.of(given.deployments[0])]


REFERENCE = '[judge]\nurl = "http://judge"\nmodel = "pinned-1"'


def test_all_that_are_there_rate_and_the_reference_is_the_answer_key(tmp_path: Path, store: Store) -> None:
    """The anchor beside it tells changed users from a changed model."""
    given = settings(tmp_path, judge=REFERENCE)
    assert names(given, made(given, store, Loaded)) == [("reference", "pinned-1"), ("anchor", "fake-1")]
    assert names(given, made(given, store)) == [("reference", "pinned-1")]
    alone = settings(tmp_path)
    assert names(alone, made(alone, store, Loaded)) == [("anchor", "fake-1")]
    assert names(alone, made(alone, store)) == []


def test_a_deployment_may_choose(tmp_path: Path, store: Store) -> None:
    """In its own order; the anchor is not even loaded where nobody wants it."""
    given = settings(tmp_path, 'judges = ["anchor", "reference"]', REFERENCE)
    assert [name for name, _ in names(given, made(given, store, Loaded))] == ["anchor", "reference"]

    def never() -> Any:
        raise AssertionError("loaded")

    given = settings(tmp_path, 'judges = ["reference"]', REFERENCE)
    assert names(given, made(given, store, never)) == [("reference", "pinned-1")]


@pytest.mark.parametrize("deployment", ['judges = ["anchor"]', "anchor_only = true"])
def test_an_anchor_that_is_needed_has_to_be_installed(tmp_path: Path, store: Store, deployment: str) -> None:
    """Said at the start, not at the first turn."""
    with pytest.raises(AnchorMissing):
        made(settings(tmp_path, deployment), store)


def test_a_reference_without_a_key_is_none(tmp_path: Path, store: Store) -> None:
    """At the upstream's own URL the operator's key is used; without one, nobody is asked."""
    given = settings(tmp_path, 'judges = ["reference"]', '[judge]\nmodel = "pinned-1"')
    with pytest.raises(ConfigurationError, match=r"set judge\.model and its api_key"):
        made(given, store)


def test_a_budget_of_a_deployments_own_pays_for_its_ratings(tmp_path: Path, store: Store) -> None:
    """Of 0 tokens nothing is asked, while the shared reference would be; name and version are the same."""
    given = settings(tmp_path, "tokens_per_day = 0", REFERENCE)
    judges = made(given, store)
    (own,) = judges.of(given.deployments[0])
    assert own is not judges.reference
    assert names(given, judges) == [("reference", "pinned-1")]
    with pytest.raises(CallRefused, match=r"0 of 0 tokens.*deployments\.tokens_per_day"):
        asyncio.run(own.rate([Message("user", "I am lost.")], ("Confusion", "Boredom")))


@pytest.mark.parametrize(
    ("judge_url", "deployment", "said", "itself"),
    [
        ("http://up:1/v1", "", "pinned-1", True),  # both ways to write the upstream's URL
        ("", "", "pinned-1", True),
        ("", "", "another", False),
        ("", 'model = "another"', "pinned-1", False),  # that one is asked, whoever replied
        ("http://judge", "", "pinned-1", False),  # the same name elsewhere is another model
    ],
)
def test_the_model_that_traffic_names_is_not_its_own_judge(
    tmp_path: Path, judge_url: str, deployment: str, said: str, itself: bool
) -> None:
    """Where no model is configured, it is known only as a turn comes."""
    judge = '[upstream]\nurl = "http://up:1"\n[judge]\nmodel = "pinned-1"\n'
    given = settings(tmp_path, deployment, judge + (f'url = "{judge_url}"' if judge_url else ""))
    transcript = Transcript("openai_chat", said, (Message("user", "I am lost."),), None, streamed=False)
    assert judges_itself(given)(Turn("tutor", "eq_1", 1, transcript, 0.0)) is itself

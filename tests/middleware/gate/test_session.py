"""Carrying a gate out against the shipped fake upstream on a loopback socket."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from types import SimpleNamespace
from typing import Any

import pytest

from middleware.benchmark.fake_upstream import (
    FakeServer,
    FakeUpstream,
    FaultPlan,
    PromptBook,
    Recording,
    Stages,
    bind,
    create_app,
    parse_fault,
)
from middleware.benchmark.protocol import make_protocol
from middleware.benchmark.runner import RetryPolicy
from middleware.errors import UpstreamError
from middleware.gate import GateRequest, Subject, Watch, gate_to_carry_out, run_gate
from middleware.gate.session import Decided
from middleware.store import Store
from middleware.upstream import UpstreamClient
from scorer.comparison import GateRules
from scorer.items import ItemSet

Carry = Callable[..., Decided]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'eqwatch.db'}")
    store.open()
    yield store
    store.close()


@pytest.fixture
def fake(small_set: ItemSet, kit: SimpleNamespace) -> FakeUpstream:
    """`good` and `same` answer perfectly, `bad` poorly."""
    texts = {"good": kit.PERFECT, "same": kit.PERFECT, "bad": kit.POOR}
    stages = {
        name: [Recording(revise=False, texts=kit.all_say(small_set, text), fingerprint=f"fp_{name}")]
        for name, text in texts.items()
    }
    return FakeUpstream(book=PromptBook([small_set]), stages=Stages(stages))


@pytest.fixture
def url(fake: FakeUpstream) -> Iterator[str]:
    ready: Queue[str] = Queue()
    server = FakeServer(create_app(fake), bind("127.0.0.1", 0), ready.put)
    thread = threading.Thread(target=server.serve_listener)
    thread.start()
    yield ready.get(timeout=30).removesuffix("/v1")
    server.should_exit = True
    thread.join()


@pytest.fixture
def carry_out(url: str, small_set: ItemSet, store: Store, tmp_path: Path) -> Carry:
    """carry_out(baseline, candidate, rules): the gate, with every call noted in the given list."""

    def run(
        baseline: str, candidate: str, rules: GateRules, *, asked: list[tuple[str, str]] | None = None, **options: Any
    ) -> Decided:
        class Noting(UpstreamClient):
            async def complete(self, messages: Any, **parameters: Any) -> Any:
                if asked is not None:
                    asked.append((parameters["model"], messages[-1]["content"]))
                return await super().complete(messages, **parameters)

        request = GateRequest(
            Subject(url, baseline), Subject(url, candidate), small_set, make_protocol(small_set), rules
        )

        async def scenario() -> Decided:
            with gate_to_carry_out(request, store, tmp_path, at=100.0, fresh=False) as runs:
                async with Noting(base_url=url, api_key=None) as client:
                    return await run_gate(
                        request,
                        runs,
                        clients={"baseline": client, "candidate": client},
                        store=store,
                        retry=RetryPolicy(attempts=2, first_wait=0.01, longest_wait=0.02),
                        now=lambda: 100.0,
                        **options,
                    )

        return asyncio.run(scenario())

    return run


def test_items_are_interleaved(carry_out: Carry, small_set: ItemSet, store: Store) -> None:
    """Each item is asked of both versions in turn, in an order and with a first version that the seed draws."""
    asked: list[tuple[str, str]] = []
    decided = carry_out("good", "same", GateRules(margin=1.0, max_passes=1), asked=asked, concurrency=1)
    assert decided.comparison.verdict == "pass"
    assert len(asked) == 40
    pairs = [asked[at : at + 2] for at in range(0, 40, 2)]
    assert all(first[1] == second[1] and {first[0], second[0]} == {"good", "same"} for first, second in pairs)
    assert {first[0] for first, _ in pairs} == {"good", "same"}
    prompts = [first[1] for first, _ in pairs]
    assert len(set(prompts)) == 20
    assert prompts != sorted(prompts)
    for run in (decided.runs.baseline, decided.runs.candidate):
        saved = store.run(run.id)
        assert saved is not None
        assert (saved.status, saved.score_points, saved.purpose) == ("finished", 100.0, "gate")


def test_regression_stops_at_pass_one(carry_out: Carry, fake: FakeUpstream) -> None:
    """A clear regression is decided at the first look; the rest of the budget is not spent."""
    seen: list[float] = []
    decided = carry_out("good", "bad", GateRules(max_passes=8), watch=Watch(look=lambda c: seen.append(c.passes)))
    assert (decided.comparison.verdict, decided.comparison.passes, seen) == ("regressed", 1, [1])
    assert fake.requests == 40


def test_goes_on_after_a_failure(carry_out: Carry, fake: FakeUpstream, store: Store) -> None:
    """A gate whose upstream dies stops with what failed; later it asks only what is open and decides."""
    answered: list[str] = []

    def die_after_ten(role: str, _: object) -> None:
        answered.append(role)
        if len(answered) == 10:
            fake.faults = FaultPlan((parse_fault("500"),), seed=0)

    with pytest.raises(UpstreamError, match=r"(baseline good|candidate bad).*failed 8 items in a row"):
        carry_out("good", "bad", GateRules(max_passes=1), concurrency=2, watch=Watch(result=die_after_ten))
    fake.faults = FaultPlan((), seed=0)
    before = [len([r for r in store.item_results(run.id) if r.outcome == "scored"]) for run in store.runs("gate")]
    asked: list[tuple[str, str]] = []
    decided = carry_out("good", "bad", GateRules(max_passes=1), asked=asked)
    assert len(before) == 2
    assert len(asked) == 40 - sum(before)
    assert decided.comparison.verdict == "regressed"


def test_decided_again_without_a_call(carry_out: Carry, fake: FakeUpstream, store: Store) -> None:
    """A gate that was killed between its last answer and its verdict decides the same from what is saved."""
    first = carry_out("good", "bad", GateRules(max_passes=1))
    # As if the kill had come before the runs were closed.
    store.finish_run(first.runs.baseline.id, "running", None, None, 0.0)
    again = carry_out("good", "bad", GateRules(max_passes=1))
    assert again.runs.gate_id == first.runs.gate_id
    assert again.comparison == first.comparison
    assert fake.requests == 40

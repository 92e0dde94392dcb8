"""Runs against the shipped fake upstream over loopback, saved in a real SQLite store."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from middleware.benchmark.fake_upstream import FakeUpstream, FaultPlan, Recording, Stages, parse_fault
from middleware.benchmark.limiter import ConcurrencyRule, Limiter
from middleware.benchmark.outcomes import RunReport
from middleware.benchmark.protocol import make_protocol
from middleware.benchmark.runner import LeaseLost, RetryPolicy, UpstreamGaveUp, run_benchmark
from middleware.errors import StoreUnavailable, UpstreamError
from middleware.records.benchmark import ItemResult, Run
from middleware.store import Fence, Store
from middleware.upstream import UpstreamClient, http_client
from scorer.items import ItemSet

Serve = Callable[[FakeUpstream], str]
QUICK = RetryPolicy(first_wait=0.01, longest_wait=0.05)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'eqwatch.db'}")
    store.open()
    yield store
    store.close()


def new_run(item_set: ItemSet, *, passes: int = 1, model: str = "m", **protocol: Any) -> Run:
    return Run(
        id="r1",
        deployment="manual",
        purpose="manual",
        protocol=make_protocol(item_set, **protocol),
        model=model,
        upstream="http://127.0.0.1",
        item_ids=tuple(item.id for item in item_set.items),
        passes=passes,
        started_at=1.0,
    )


def carry_out(
    run: Run,
    item_set: ItemSet,
    store: Store,
    url: str,
    *,
    limiter: Limiter | None = None,
    client_type: type[UpstreamClient] = UpstreamClient,
    **options: Any,
) -> RunReport:
    async def scenario() -> RunReport:
        async with client_type(base_url=url, api_key="k") as client:
            options.setdefault("retry", QUICK)
            limits = limiter or Limiter(ConcurrencyRule(4))
            return await run_benchmark(run, item_set, client=client, store=store, limiter=limits, **options)

    return asyncio.run(scenario())


def faulty(fake: FakeUpstream, *specs: str) -> FakeUpstream:
    fake.faults = FaultPlan(tuple(parse_fault(spec) for spec in specs), seed=0)
    return fake


def test_run(serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, store: Store) -> None:
    """A run asks every item once, saves each outcome with tokens and latency, scores all and is closed."""
    seen: list[ItemResult] = []
    report = carry_out(new_run(small_set), small_set, store, serve_fake(fake), progress=seen.append)
    assert (report.score.points, report.score.parseable, report.outcomes) == (100.0, 20, {"scored": 20})
    assert report.answered == fake.requests == len(seen) == 20
    saved = store.item_results("r1")
    assert {result.item_id for result in saved} == set(small_set.by_id)
    assert all(result.score == 10.0 and result.answer["Pride"] == 8 for result in saved)
    assert all(result.latency_seconds > 0 and result.system_fingerprint == "fp_perfect" for result in saved)
    assert report.prompt_tokens == sum(result.prompt_tokens for result in saved) > 20 * 100
    assert report.completion_tokens == sum(result.completion_tokens for result in saved)
    run = store.run("r1")
    assert run is not None
    assert (run.status, run.score_points, run.parseable) == ("finished", 100.0, 20)


def test_concurrency(serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, store: Store) -> None:
    """Calls go out at the configured concurrency from the start, and never more."""
    fake.latency = 0.1
    under_way, most, full = 0, 0, asyncio.Event()

    class Waiting(UpstreamClient):
        async def complete(self, messages: Any, **parameters: Any) -> Any:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            if under_way == 5:
                full.set()
            await full.wait()
            try:
                return await super().complete(messages, **parameters)
            finally:
                under_way -= 1

    limiter = Limiter(ConcurrencyRule(5))
    carry_out(new_run(small_set), small_set, store, serve_fake(fake), limiter=limiter, client_type=Waiting)
    assert most == 5


def test_every_outcome_is_kept_apart(
    serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, store: Store, perfect: Recording
) -> None:
    """Scored, unparseable, refused, truncated, failed and timed-out calls are six different things."""
    texts = dict(perfect.texts) | {"i1": "I'm sorry, but I cannot help with that request."}
    fake.stages = Stages({"m": [Recording(revise=False, texts=texts, fingerprint="fp")]})
    url = serve_fake(faulty(fake, "cut-off:every=7", "500:every=19"))
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes a connection and never answers

        class OneHangs(UpstreamClient):
            async def complete(self, messages: Any, **parameters: Any) -> Any:
                if "The 0. bridge" not in messages[-1]["content"]:
                    return await super().complete(messages, **parameters)
                there = f"http://127.0.0.1:{silent.getsockname()[1]}"
                async with http_client() as http:
                    client = UpstreamClient(base_url=there, api_key="k", timeout_seconds=0.2, http=http)
                    return await client.complete(messages, **parameters)

        report = carry_out(
            new_run(small_set),
            small_set,
            store,
            url,
            client_type=OneHangs,
            limiter=Limiter(ConcurrencyRule(1)),
            retry=RetryPolicy(attempts=1),
        )
    # Asked one after another: i0 hangs, i7 and i14 are cut off, i19 meets the 500.
    results = {result.item_id: result for result in report.results}
    assert (results["i0"].outcome, results["i0"].reason) == ("timeout", "timeout")
    assert (results["i1"].outcome, results["i1"].score) == ("refused", None)
    assert [results[name].outcome for name in ("i7", "i14")] == ["truncated", "truncated"]
    assert (results["i19"].outcome, results["i19"].reason) == ("api_error", "server_error")
    assert report.outcomes == {"scored": 15, "refused": 1, "truncated": 2, "timeout": 1, "api_error": 1}
    assert report.score.parseable == 15
    assert report.score.points == 100.0


def test_retries_keep_the_sampling_parameters(
    serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, store: Store
) -> None:
    """Calls that fail are tried again with exactly the parameters of the first try."""
    asked: list[dict[str, Any]] = []

    class Noting(UpstreamClient):
        async def complete(self, messages: Any, **parameters: Any) -> Any:
            asked.append(parameters)
            return await super().complete(messages, **parameters)

    run = new_run(small_set, temperature=0.3, max_tokens=99, seed=11)
    url = serve_fake(faulty(fake, "500:every=2"))
    patient = RetryPolicy(attempts=30, first_wait=0.01, longest_wait=0.05)
    report = carry_out(run, small_set, store, url, client_type=Noting, retry=patient)
    assert report.outcomes == {"scored": 20}
    assert len(asked) > 30
    expected = {"model": "m", "temperature": 0.3, "max_tokens": 99, "seed": 11, "schema": None}
    assert all(parameters == expected for parameters in asked)


def test_rate_limit_slows_down(serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, store: Store) -> None:
    """A 429 lowers the concurrency and holds all calls for as long as the server asks; no item is lost."""
    limiter = Limiter(ConcurrencyRule(8))
    url = serve_fake(faulty(fake, "429:first=3,seconds=0.2"))
    started = time.monotonic()
    report = carry_out(new_run(small_set), small_set, store, url, limiter=limiter)
    assert report.outcomes == {"scored": 20}
    assert limiter.rule.allowed() < 8
    assert limiter.rule.paused_until >= started + 0.2


def test_structured_answers(serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, store: Store) -> None:
    """With answer format json_schema the recorded numbers arrive and score the same."""
    report = carry_out(new_run(small_set, answer_format="json_schema"), small_set, store, serve_fake(fake))
    assert report.score.points == 100.0
    assert report.results[0].text.startswith("{")


def test_passes(serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, store: Store) -> None:
    """Several passes ask every item as often, and count apart."""
    report = carry_out(new_run(small_set, passes=3), small_set, store, serve_fake(fake))
    assert fake.requests == 60
    assert report.outcomes == {"scored": 60}
    assert {result.repetition for result in report.results} == {0, 1, 2}
    assert report.score.items == 20


def test_cancelled_run_goes_on(serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, store: Store) -> None:
    """A run that is stopped in the middle asks only what is open when it goes on, and scores like one in one go."""
    run, url = new_run(small_set), serve_fake(fake)
    fake.latency = 0.02

    def stop_after_seven(_: ItemResult) -> None:
        if len(store.item_results("r1")) >= 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(run, small_set, store, url, progress=stop_after_seven)
    saved = len(store.item_results("r1"))
    assert 7 <= saved < 20
    stopped = store.unfinished_run("manual", run.protocol.key, "m")
    assert stopped is not None
    asked: list[Any] = []

    class Noting(UpstreamClient):
        async def complete(self, messages: Any, **parameters: Any) -> Any:
            asked.append(messages)
            return await super().complete(messages, **parameters)

    report = carry_out(stopped, small_set, store, url, client_type=Noting)
    assert len(asked) == 20 - saved
    assert (report.score.points, report.outcomes) == (100.0, {"scored": 20})
    assert store.unfinished_run("manual", run.protocol.key, "m") is None


def test_finished_run_asks_nothing(serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, store: Store) -> None:
    """Carrying out a finished run again reads its score and asks nothing."""
    run, url = new_run(small_set), serve_fake(fake)
    first = carry_out(run, small_set, store, url)
    assert carry_out(run, small_set, store, url).score == first.score
    assert fake.requests == 20


def test_dead_upstream_stops_the_run(serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, store: Store) -> None:
    """Where everything fails the run stops early and stays open; once the upstream is back, failed items count anew."""
    run, url = new_run(small_set), serve_fake(faulty(fake, "503:seconds=0"))
    with pytest.raises(UpstreamGaveUp, match="8 items in a row") as caught:
        carry_out(run, small_set, store, url)
    assert caught.value.reason == "server_error"
    assert len(store.item_results("r1")) < 20
    faulty(fake)
    report = carry_out(run, small_set, store, url)
    assert report.outcomes == {"scored": 20}


def test_nothing_answered_leaves_the_run_open(
    serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, store: Store
) -> None:
    """A short run without a single answer measured nothing: it is not closed with a score."""
    run = new_run(small_set)
    short = Run(**{name: getattr(run, name) for name in Run.__dataclass_fields__} | {"item_ids": ("i1", "i2")})
    report = carry_out(short, small_set, store, serve_fake(faulty(fake, "500")))
    assert (report.answered, report.outcomes) == (0, {"api_error": 2})
    assert store.unfinished_run("manual", run.protocol.key, "m") is not None


def test_wrong_model_stops_at_once(serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, store: Store) -> None:
    """A 404 means that all other calls would fail alike: the run stops without trying them."""
    with pytest.raises(UpstreamError, match="model_not_found") as caught:
        carry_out(new_run(small_set, model="stranger"), small_set, store, serve_fake(fake))
    assert caught.value.status == 404
    assert fake.requests <= 4
    assert store.item_results("r1") == []


def test_nobody_there(small_set: ItemSet, store: Store) -> None:
    """An address at which nothing ever answers is given up after a few tries, not after all items."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        with pytest.raises(UpstreamGaveUp, match="check the upstream URL"):
            carry_out(new_run(small_set), small_set, store, f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert store.item_results("r1") == []


def test_impatience(serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, store: Store) -> None:
    """A server that asks to wait for an hour ends the run for now, at once."""
    with pytest.raises(UpstreamGaveUp, match="wait 3600 s"):
        carry_out(new_run(small_set), small_set, store, serve_fake(faulty(fake, "429:seconds=3600")))
    assert fake.requests <= 4


def test_lost_lease_writes_nothing(serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, store: Store) -> None:
    """A run whose lease went to another owner asks and writes nothing more."""
    token = store.claim_slot("batch", 100.0, "first", 10.0, 100.0)
    assert token is not None
    fence = Fence("batch", 100.0, token)
    newer = store.claim_slot("batch", 100.0, "second", 10.0, 200.0)
    assert newer is not None
    with pytest.raises(LeaseLost):
        carry_out(new_run(small_set), small_set, store, serve_fake(fake), fence=fence)
    assert fake.requests == 0
    assert store.item_results("r1") == []


@pytest.mark.parametrize("item", [0, 19])
def test_what_a_lost_lease_keeps_from_being_saved_is_not_told(
    serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, store: Store, item: int
) -> None:
    """The lease is lost while an item is asked: its answer is not counted, and the run is not reported as finished."""
    fence = Fence("batch", 100.0, store.claim_slot("batch", 100.0, "first", 10.0, 100.0) or 0)
    told: list[ItemResult] = []

    class Overtaken(UpstreamClient):
        async def complete(self, messages: Any, **parameters: Any) -> Any:
            if f"The {item}. bridge" in messages[-1]["content"]:
                assert store.claim_slot("batch", 100.0, "second", 10.0, 200.0) is not None
            return await super().complete(messages, **parameters)

    with pytest.raises(LeaseLost):
        carry_out(
            new_run(small_set),
            small_set,
            store,
            serve_fake(fake),
            client_type=Overtaken,
            limiter=Limiter(ConcurrencyRule(1)),
            fence=fence,
            progress=told.append,
        )
    assert sorted(result.item_id for result in told) == [result.item_id for result in store.item_results("r1")]
    run = store.run("r1")
    assert run is not None
    assert (run.status, run.score_points) == ("running", None)


def test_a_lease_that_is_lost_at_the_end_leaves_no_report(
    serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the store refused to close is not reported as closed."""
    fence = Fence("batch", 100.0, store.claim_slot("batch", 100.0, "first", 10.0, 100.0) or 0)
    really_finish = store.finish_run

    def finish_run(*arguments: Any, **options: Any) -> bool:
        assert store.claim_slot("batch", 100.0, "second", 10.0, 200.0) is not None
        return really_finish(*arguments, **options)

    monkeypatch.setattr(store, "finish_run", finish_run)
    with pytest.raises(LeaseLost):
        carry_out(new_run(small_set), small_set, store, serve_fake(fake), fence=fence)


def test_an_answer_that_was_saved_although_saving_seemed_to_fail_is_told_once(
    serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The try that follows finds it there: it counts as saved."""
    really_save, told = store.save_item, []

    def save_item(result: ItemResult, **options: Any) -> bool:
        if not really_save(result, **options):
            return False
        raise StoreUnavailable("lost after the commit")

    monkeypatch.setattr(store, "save_item", save_item)
    report = carry_out(new_run(small_set), small_set, store, serve_fake(fake), progress=told.append)
    assert (report.outcomes, len(told), fake.requests) == ({"scored": 20}, 20, 20)


def test_store_that_fails_for_a_while(
    serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer whose saving fails is saved on a later try and not asked again."""
    failures = iter([StoreUnavailable("locked")] * 5)
    really_save = store.save_item

    def save_item(result: ItemResult, **options: Any) -> bool:
        error = next(failures, None)
        if error is not None:
            raise error
        return really_save(result, **options)

    monkeypatch.setattr(store, "save_item", save_item)
    report = carry_out(new_run(small_set), small_set, store, serve_fake(fake))
    assert (report.outcomes, fake.requests) == ({"scored": 20}, 20)


def test_system_prompt(serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, store: Store) -> None:
    """A run under a system prompt sends it, and has another protocol than one without."""
    run = new_run(small_set, system_prompt="You are a tutor.")
    report = carry_out(run, small_set, store, serve_fake(fake), system_prompt="You are a tutor.")
    assert report.score.points == 100.0
    assert report.prompt_tokens == 20 * 4 + sum(
        result.prompt_tokens - 4 for result in report.results
    )  # "You are a tutor." is four tokens
    assert run.protocol.key != new_run(small_set).protocol.key

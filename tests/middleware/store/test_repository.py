"""What is saved comes back, once, on SQLite and PostgreSQL alike."""

import dataclasses
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, StatementError

from middleware.errors import StoreUnavailable
from middleware.records.benchmark import ItemResult, Protocol, Run
from middleware.records.conversation import ProbeResult
from middleware.records.event import Event
from middleware.store import Store, journal

PROTOCOL = Protocol(
    item_set="tutoring",
    item_set_sha256="ab",
    prompt_version="1",
    scoring_profile="tolerant",
    temperature=0.01,
    max_tokens=60,
    seed=7,
    answer_format="text",
    revise=False,
)
RUN = Run(
    id="run-1",
    deployment="tutor",
    purpose="batch",
    protocol=PROTOCOL,
    model="small",
    upstream="http://127.0.0.1:1",
    item_ids=("b", "a"),
    passes=2,
    started_at=1_800_000_000.25,
)
RESULT = ItemResult(
    run_id="run-1",
    item_id="a",
    repetition=0,
    outcome="scored",
    score=7.25,
    answer={"Joy": 1.5, "Anger": 0.0},
    text="Joy: 1.5\nAnger: 0",
    prompt_tokens=30,
    completion_tokens=9,
    latency_seconds=0.5,
    answered_model="small-2",
    system_fingerprint="fp",
    at=1_800_000_001.5,
)
PROBE = ProbeResult(
    deployment="tutor",
    conversation="c1",
    turn=1,
    kind="perception",
    outcome="scored",
    emotions={"Confusion": 6.0, "Boredom": 2.0},
    judge="small",
    prompt_tokens=100,
    completion_tokens=20,
    latency_seconds=0.2,
    at=1_800_000_010.0,
    turn_ended_at=1_800_000_009.5,
)


def test_a_run_comes_back_as_it_was_saved(store: Store) -> None:
    """Order of items, seed and times survive, and saving the same run again changes nothing."""
    store.begin_run(RUN)
    store.begin_run(dataclasses.replace(RUN, model="other"))
    assert store.run("run-1") == RUN
    assert store.run("run-2") is None


def test_runs_are_listed_newest_first_and_by_deployment(store: Store) -> None:
    """The limit cuts the oldest."""
    for number, deployment in enumerate(["tutor", "shop", "tutor"]):
        store.begin_run(dataclasses.replace(RUN, id=f"r{number}", deployment=deployment, started_at=float(number)))
    assert [run.id for run in store.runs()] == ["r2", "r1", "r0"]
    assert [run.id for run in store.runs("tutor", limit=1)] == ["r2"]


def test_only_a_running_run_of_the_same_protocol_and_model_can_be_resumed(store: Store) -> None:
    """A finished one, another model's or another protocol's is not offered."""
    store.begin_run(RUN)
    assert store.unfinished_run("tutor", PROTOCOL.key, "small") == RUN
    assert store.unfinished_run("tutor", PROTOCOL.key, "large") is None
    assert store.unfinished_run("tutor", dataclasses.replace(PROTOCOL, seed=8).key, "small") is None
    assert store.finish_run("run-1", "finished", 61.5, 2, 1_800_000_100.0)
    assert store.unfinished_run("tutor", PROTOCOL.key, "small") is None
    finished = store.run("run-1")
    assert finished is not None
    assert (finished.status, finished.score_points, finished.parseable) == ("finished", 61.5, 2)


def test_an_item_result_comes_back_as_it_was_saved(store: Store) -> None:
    """Every field, through both lists."""
    store.begin_run(RUN)
    store.mark_attempted("run-1", "a", 0, 1_800_000_001.0)
    assert store.item_results("run-1") == []
    assert store.save_item(RESULT)
    assert store.item_results("run-1") == [RESULT]
    assert store.item_history("tutor", "a", 5) == [RESULT]
    assert store.item_history("shop", "a", 5) == []


def test_an_acknowledged_answer_is_never_written_over(store: Store) -> None:
    """Saving again says False and changes nothing, but a failed call is replaced by its repetition."""
    store.begin_run(RUN)
    failed = dataclasses.replace(RESULT, outcome="timeout", score=None, answer={}, text="")
    assert store.save_item(failed)
    assert store.save_item(RESULT)
    assert not store.save_item(RESULT)
    assert not store.save_item(dataclasses.replace(RESULT, score=1.0))
    assert not store.save_item(failed)
    assert store.item_results("run-1") == [RESULT]


def test_the_answers_to_one_item_of_a_set_come_with_their_runs(store: Store) -> None:
    """Newest first, over all deployments; the same id in another set is another item."""
    for number, item_set in enumerate(("tutoring", "tutoring", "tutoring_b", "tutor%")):
        protocol = dataclasses.replace(PROTOCOL, item_set=item_set)
        run = dataclasses.replace(RUN, id=f"run-{number}", protocol=protocol, deployment=f"d{number}")
        store.begin_run(run)
        store.save_item(dataclasses.replace(RESULT, run_id=run.id, at=RESULT.at + number))
    found = store.item_answers("tutoring", "a")
    assert [(run.id, run.deployment, result.run_id) for run, result in found] == [
        ("run-1", "d1", "run-1"),
        ("run-0", "d0", "run-0"),
    ]
    assert found[1][1] == dataclasses.replace(RESULT, run_id="run-0")
    assert [run.id for run, _ in store.item_answers("tutor%", "a")] == ["run-3"]
    assert store.item_answers("tutoring", "b") == []
    assert len(store.item_answers("tutoring", "a", limit=1)) == 1


def test_probes_of_a_span_of_time(store: Store) -> None:
    """From its begin on, and before its end."""
    for turn, at in enumerate((10.0, 20.0, 30.0), 1):
        store.save_probe(dataclasses.replace(PROBE, turn=turn, at=at))
    assert [probe.at for probe in store.probes(since=10.0, until=30.0)] == [20.0, 10.0]


def test_tokens_are_told_by_purpose_and_type(store: Store) -> None:
    """Sums since the start of the minute; what was before is not in them."""
    for purpose, type_, tokens, at in (
        ("benchmark", "prompt", 5, 100.0),
        ("benchmark", "prompt", 7, 130.0),
        ("benchmark", "completion", 2, 190.0),
        ("probe", "prompt", 3, 200.0),
    ):
        store.add_tokens(purpose, type_, tokens, at)
    assert store.token_usage(125.0) == {
        ("benchmark", "prompt"): 7,
        ("benchmark", "completion"): 2,
        ("probe", "prompt"): 3,
    }


def test_a_refusal_is_an_answer(store: Store) -> None:
    """What the model did say stays, whether it could be scored or not."""
    store.begin_run(RUN)
    refused = dataclasses.replace(RESULT, outcome="refused", score=None, answer={}, reason="refusal")
    assert store.save_item(refused)
    assert not store.save_item(RESULT)
    assert store.item_results("run-1") == [refused]


def test_a_result_without_its_run_is_a_defect_of_the_caller(store: Store) -> None:
    """It is not taken for an unavailable store."""
    with pytest.raises(IntegrityError):
        store.save_item(RESULT)


@pytest.mark.parametrize(
    "odd", ["nul \x00 inside", "lone \ud83d surrogate", "emoji 🙂 and \u202e"], ids=["nul", "surrogate", "emoji"]
)
def test_any_text_of_a_model_can_be_stored(store: Store, odd: str) -> None:
    """What a database can't hold is replaced, the rest stays as it was."""
    store.begin_run(RUN)
    assert store.save_item(dataclasses.replace(RESULT, text=odd, answered_model=odd, reason=""))
    (found,) = store.item_results("run-1")
    assert found.text == odd.replace("\x00", "\ufffd").replace("\ud83d", "?")


def test_probes_come_back_once_each(store: Store) -> None:
    """A second save of the same judge, turn and kind changes nothing; another kind is another result."""
    later = dataclasses.replace(PROBE, kind="anticipation", at=PROBE.at + 1)
    assert store.save_probe(PROBE)
    assert not store.save_probe(dataclasses.replace(PROBE, emotions={"Confusion": 0.0}))
    assert store.save_probe(later)
    assert store.probes("tutor") == [later, PROBE]
    assert store.probes(since=PROBE.at + 0.5) == [later]
    assert store.probes("shop") == []
    assert store.emotions_of("c1") == [later, PROBE]
    assert store.emotions_of("c2") == []


def test_a_failed_probe_gives_way_to_a_scored_one(store: Store) -> None:
    """And never the other way round."""
    failed = dataclasses.replace(PROBE, outcome="api_error", emotions={}, reason="rate_limited")
    assert store.save_probe(failed)
    assert store.save_probe(PROBE)
    assert not store.save_probe(failed)
    assert store.probes("tutor") == [PROBE]


def test_states_are_replaced_whole(store: Store) -> None:
    """Nothing of the old value is left, and a missing one is None."""
    assert store.load_state("detector:tutor") is None
    store.save_state("detector:tutor", {"cusum": 1.5, "old": [1, 2]})
    store.save_state("detector:tutor", {"cusum": 2.5})
    assert store.load_state("detector:tutor") == {"cusum": 2.5}


def test_a_state_with_a_nan_is_refused(store: Store) -> None:
    """A missing number has to be None, on both databases."""
    with pytest.raises((StatementError, ValueError), match="not JSON compliant"):
        store.save_state("detector", {"value": math.nan})


def test_events_have_growing_ids_to_read_on_from(store: Store) -> None:
    """Reading after an id gives only what came later."""
    events = [Event(kind="upgrade_declared", deployment="tutor", at=float(n), details={"to": n}) for n in range(3)]
    ids = [store.save_event(event) for event in events]
    assert ids == sorted(set(ids))
    assert store.events(since_id=ids[0]) == [
        dataclasses.replace(event, id=id_) for event, id_ in zip(events[1:], ids[1:], strict=True)
    ]
    assert len(store.events(limit=2)) == 2


def test_tokens_add_up_by_purpose_from_a_time_on(store: Store) -> None:
    """Both types count; what was before the minute of the given time doesn't."""
    store.add_tokens("probe", "prompt", 100, 600.0)
    store.add_tokens("probe", "prompt", 50, 659.0)
    store.add_tokens("probe", "completion", 7, 660.0)
    store.add_tokens("benchmark", "prompt", 1000, 660.0)
    assert store.tokens_used("probe", 630.0) == 157
    assert store.tokens_used("probe", 660.0) == 7
    assert store.tokens_used(None, 0.0) == 1157
    assert store.tokens_used("judge", 0.0) == 0


def test_a_closed_store_says_so(store: Store) -> None:
    """It can be opened again with everything in it."""
    store.begin_run(RUN)
    store.close()
    with pytest.raises(StoreUnavailable) as caught:
        store.run("run-1")
    assert caught.value.reason == "closed"
    store.open()
    assert store.run("run-1") == RUN


def test_closing_waits_for_what_is_under_way(store: Store) -> None:
    """A thread that a cancelled worker left behind ends its transaction first, and begins no other one."""
    begun, goes_on, order = threading.Event(), threading.Event(), []

    def read() -> None:
        with store._reading() as connection:
            begun.set()
            assert goes_on.wait(60)
            order.append(connection.execute(text("SELECT 'read'")).scalar_one())
        with pytest.raises(StoreUnavailable, match="not open"):
            store.save_state("late", {})

    def close() -> None:
        store.close()
        order.append("closed")

    with ThreadPoolExecutor(2) as pool:
        reading = pool.submit(read)
        assert begun.wait(60)
        closing = pool.submit(close)
        while not _refuses(store):
            time.sleep(0.001)
        time.sleep(0.05)  # what is closed too early is closed now
        goes_on.set()
        reading.result()
        closing.result()
    assert order == ["read", "closed"]


def _refuses(store: Store) -> bool:
    try:
        store.load_state("x")
    except StoreUnavailable:
        return True
    return False


def test_a_store_knows_whether_its_last_transactions_worked(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is told by its reason until one of its kind works again; reading does not excuse writing."""
    assert store.failing == ""
    with monkeypatch.context() as patch:
        patch.setattr(journal, "save_state", _full)
        with pytest.raises(StoreUnavailable):
            store.save_state("x", {})
    assert store.load_state("x") is None
    assert store.failing == "disk_full"
    store.save_state("x", {})
    assert store.failing == ""


def _full(*_: object) -> None:
    raise StoreUnavailable("the disk is full", reason="disk_full")

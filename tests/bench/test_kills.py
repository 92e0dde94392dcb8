"""SIGKILLs at random moments of real processes, in a size for CI; and that the study would see what it looks for."""

import random
from pathlib import Path

import pytest
from sqlalchemy import create_engine, delete, update

from bench.kills.replay import differences
from bench.kills.running import kill_runs
from bench.kills.seen import Seen
from bench.kills.serving import kill_control
from middleware.benchmark.watch import Watch
from middleware.control.plans import benchmark_plans
from middleware.records.benchmark import ItemResult, Protocol, Run
from middleware.settings import load_settings
from middleware.store import Store
from middleware.store.schema import item_results

CONFIG = '[benchmark]\nmodel = "m"\nitems = ["starter"]\nbatch = 6\n'


@pytest.mark.timeout(600)
def test_control_killed_at_random_moments(tmp_path: Path) -> None:
    """What is known is what the batches in the store give, each taken in once, and nothing that was seen is lost."""
    outcome = kill_control(tmp_path, f"sqlite:///{tmp_path / 'data' / 'eqwatch.db'}", 8, random.Random(17), print)
    assert outcome.problems == ()
    assert int(outcome.figures["answers"]) > 24
    assert int(outcome.figures["events"]) > 0


@pytest.mark.timeout(600)
def test_a_run_killed_at_random_moments(tmp_path: Path) -> None:
    """Its report is that of a run that nobody killed; no answer that was saved is asked again, no call is forgotten."""
    outcome = kill_runs(tmp_path, 4, random.Random(17), print)
    assert outcome.problems == ()
    assert int(outcome.figures["acknowledged before the last kill"]) > 0


def test_the_study_sees_what_is_lost_and_what_changed(tmp_path: Path) -> None:
    """A row that is gone and a score that is another one are told, by their key."""
    url = f"sqlite:///{tmp_path / 'eqwatch.db'}"
    protocol = Protocol("s", "", "1", "tolerant", 0.0, 60, None, "text", False)
    with Store(url) as store:
        store.begin_run(Run("r", "tutor", "batch", protocol, "m", "u", ("a", "b"), 1, 0.0))
        for item in "ab":
            store.save_item(ItemResult("r", item, 0, "scored", score=1.0, at=1.0))
    seen = Seen(url)
    assert seen.look() == []
    assert seen.count(item_results) == 2
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(delete(item_results).where(item_results.c.item_id == "a"))
        connection.execute(update(item_results).where(item_results.c.item_id == "b").values(score=2.0))
    engine.dispose()
    assert sorted(seen.look()) == ["item_results r a 0: lost", "item_results r b 0: changed"]


@pytest.mark.parametrize("twice", [False, True])
def test_the_study_sees_a_batch_that_was_counted_twice(tmp_path: Path, twice: bool) -> None:
    """A state into which one batch went twice is not what the store's batches give."""
    config = tmp_path / "eqwatch.toml"
    config.write_text(CONFIG)
    (plan,) = benchmark_plans(load_settings(config, {"data_dir": tmp_path}))
    url = f"sqlite:///{tmp_path / 'eqwatch.db'}"
    with Store(url) as store:
        watch = Watch(plan, epoch=1)
        watch.start(0.0)
        for _ in range(3):
            run = Run(watch.run_id(), "default", "batch", plan.protocol, "m", "u", watch.next_items(), 1, 0.0)
            store.begin_run(run)
            for item in run.item_ids:
                store.save_item(ItemResult(run.id, item, 0, "scored", score=9.0, answered_model="m", at=1.0))
            store.finish_run(run.id, "finished", 90.0, 6, 1.0)
            watch.take(store.item_results(run.id), at=1.0)
        if twice:
            state = watch.state
            watch.take(store.item_results(run.id), at=1.0)
            watch.skip(1.0)
            saved = {**watch.to_saved(), "index": state.index}
        else:
            saved = watch.to_saved()
        store.save_state(plan.name, saved)
    found, batches = differences(url, config, tmp_path)
    assert batches == 3
    assert ("passes is not what the batches give" in found) is twice
    assert bool(found) is twice

"""A watch makes a baseline from passes, then compares; its state survives a restart exactly."""

import json
from collections.abc import Iterator

import numpy as np
import pytest

from middleware.benchmark.protocol import make_protocol
from middleware.benchmark.watch import Plan, Watch
from middleware.records.benchmark import ItemResult
from scorer.items import Item, ItemSet

ITEMS = 24
EMOTIONS = ("Joyful", "Angry", "Afraid", "Proud")


def item_set() -> ItemSet:
    items = tuple(
        Item(id=f"i{n:02d}", emotions=EMOTIONS, prompt="", reference=None, reference_fullscale=(5.0, 0.0, 8.0, 2.0))
        for n in range(ITEMS)
    )
    return ItemSet(name="made-up", version="v2", language="en", items=items, official=False, sha256="0" * 64)


@pytest.fixture
def plan() -> Plan:
    return Plan(
        deployment="default",
        item_set=item_set(),
        protocol=make_protocol(item_set()),
        model="m",
        batch=8,
        rotation_seed=3,
        passes=5,
        batches_per_year=8766.0,
    )


def answered(watch: Watch, *, fall: float, rng: np.random.Generator) -> list[ItemResult]:
    """One batch as a model would answer it: 8 item units less ``fall``, with a little noise."""
    return [
        ItemResult(
            run_id=watch.run_id(),
            item_id=item,
            repetition=0,
            outcome="scored",
            score=8.0 - fall + float(rng.normal(0, 0.1)),
            # The model wrote the emotions in another order than the item has.
            answer=dict(zip(reversed(EMOTIONS), (2.0, 8.0, 0.0, 5.0 - fall), strict=True)),
        )
        for item in watch.next_items()
    ]


def play(watch: Watch, batches: int, *, fall: float = 0.0, seed: int = 1) -> Iterator[str]:
    rng = np.random.default_rng(seed)
    for number in range(batches):
        for event in watch.take(answered(watch, fall=fall, rng=rng), at=1000.0 + number):
            yield f"{event.kind} {event.details.get('condition', '')}".strip()


def test_five_passes_make_a_baseline_and_say_how_many_are_missing(plan: Plan) -> None:
    """Commissioning counts whole passes; at the last batch of the fifth the baseline is frozen and announced."""
    watch = Watch(plan)
    assert watch.standing.state == "not_measured"
    assert list(play(watch, 14)) == []
    assert (watch.standing.state, watch.standing.passes_done, watch.standing.passes_needed) == ("commissioning", 4, 5)
    assert list(play(watch, 1)) == ["baseline_accepted"]
    assert watch.standing.state == "fine"
    assert watch.standing.baseline_points == pytest.approx(80.0, abs=0.5)


def test_a_model_that_stays_the_same_stays_fine(plan: Plan) -> None:
    """No event and no incident over fifty batches like the baseline's."""
    watch = Watch(plan)
    assert list(play(watch, 15)) == ["baseline_accepted"]
    assert list(play(watch, 50, seed=2)) == []
    assert watch.standing.state == "fine"
    assert watch.reading is not None
    assert watch.reading.cusum_ratio < 1.0


def test_a_worse_model_opens_one_incident_that_stays_open(plan: Plan) -> None:
    """The fall is seen within two passes, told once, and stays until somebody or something closes it."""
    watch = Watch(plan)
    list(play(watch, 15))
    events = list(play(watch, 9, fall=2.0, seed=2))
    assert events.count("incident_opened regressed") == 1
    assert watch.standing.state == "regressed"
    assert watch.standing.delta_points is not None
    assert watch.standing.delta_points < -5.0
    assert list(play(watch, 2, fall=2.0, seed=3)) == []


def test_a_restored_watch_goes_on_exactly(plan: Plan) -> None:
    """Saved as JSON in commissioning and in detection, and restored, it ends where an uninterrupted one ends."""
    whole, broken = Watch(plan), Watch(plan)
    for fall, seed in ((0.0, 1), (0.0, 2), (0.0, 3), (1.0, 4)):
        list(play(whole, 7, fall=fall, seed=seed))
        broken = Watch(plan, json.loads(json.dumps(broken.saved())))
        list(play(broken, 7, fall=fall, seed=seed))
    assert broken.saved() == json.loads(json.dumps(whole.saved()))
    assert broken.run_id() == whole.run_id()
    assert broken.next_items() == whole.next_items()


def test_a_model_that_cannot_be_read_gets_no_baseline(plan: Plan) -> None:
    """Unreadable answers are outcomes, never zeros: commissioning goes on and says why."""
    watch = Watch(plan)
    for _ in range(15):
        results = [ItemResult(watch.run_id(), item, 0, "unparseable", "no_scores") for item in watch.next_items()]
        assert watch.take(results, at=1.0) == []
    assert watch.standing.state == "not_measured"
    assert "readable" in watch.standing.detail
    assert watch.standing.score_points is None


def test_an_acknowledged_incident_is_closed_or_begins_a_new_baseline(plan: Plan) -> None:
    """Closing restarts the statistics; accepting the new state restarts commissioning; another id does nothing."""
    watch = Watch(plan)
    list(play(watch, 15))
    list(play(watch, 9, fall=2.0))
    watch.opened(41)
    assert watch.acknowledge(40, new_baseline=False, at=1.0) is None
    closed = watch.acknowledge(41, new_baseline=True, at=2.0)
    assert closed is not None
    assert closed.kind == "incident_closed"
    assert list(play(watch, 15, fall=2.0)) == ["baseline_accepted"]
    assert watch.standing.baseline_points == pytest.approx(60.0, abs=0.5)


def test_batches_have_names_that_follow_from_the_state(plan: Plan) -> None:
    """The same batch has the same run id before and after a crash; the next one has another."""
    watch = Watch(plan)
    first = watch.run_id()
    assert Watch(plan, watch.saved()).run_id() == first
    list(play(watch, 1))
    assert watch.run_id() != first

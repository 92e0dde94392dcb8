"""A watch makes a baseline from passes, then compares; its state survives a restart exactly."""

import json
from dataclasses import replace

import numpy as np
import pytest

from middleware.benchmark.levels import is_below
from middleware.benchmark.plan import Plan
from middleware.benchmark.protocol import make_protocol
from middleware.benchmark.watch import Taken, Watch
from middleware.records.baseline import BaselineRecord
from middleware.records.benchmark import ItemResult
from middleware.records.event import Event
from scorer.baseline import Baseline
from scorer.items import Item, ItemSet
from scorer.reference import Difference

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


def answered(
    watch: Watch, *, fall: float, rng: np.random.Generator, who: tuple[str, str] = ("m", "fp_1"), at: float = 0.0
) -> list[ItemResult]:
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
            answered_model=who[0],
            system_fingerprint=who[1],
            at=at,
        )
        for item in watch.next_items()
    ]


class Player:
    """Feeds a watch batch by batch and numbers what it tells, as the store would."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.now = 1000.0
        self.events: list[Event] = []
        self.records: list[BaselineRecord] = []

    def __call__(
        self, batches: int, *, fall: float = 0.0, seed: int = 1, who: tuple[str, str] = ("m", "fp_1")
    ) -> list[str]:
        """What was told, in words, over so many batches."""
        rng = np.random.default_rng(seed)
        told: list[str] = []
        for _ in range(batches):
            self.now += 3600.0
            results = answered(self.watch, fall=fall, rng=rng, who=who, at=self.now)
            taken = self.watch.take(results, at=self.now)
            self.keep(taken)
            told += [_words(event) for event in taken.events]
        return told

    def keep(self, taken: Taken) -> None:
        """Give ids."""
        first = len(self.events) + 1
        self.events += taken.events
        if taken.baseline is not None:
            self.records.append(taken.baseline)
        self.watch.numbered(
            taken, range(first, first + len(taken.events)), len(self.records) if taken.baseline else None
        )

    def until(self, kind: str, *, most: int = 60, fall: float = 0.0, who: tuple[str, str] = ("m", "fp_1")) -> Event:
        """Play until an event of that kind is told."""
        for number in range(most):
            self(1, fall=fall, seed=100 + number, who=who)
            if self.events and self.events[-1].kind == kind:
                return self.events[-1]
        raise AssertionError(f"no {kind} within {most} batches: {[e.kind for e in self.events]}")


def _words(event: Event) -> str:
    more = [str(event.details[name]) for name in ("kind", "cause", "verdict") if name in event.details]
    return " ".join([event.kind, *more])


@pytest.fixture
def play(plan: Plan) -> Player:
    """A watch with nothing behind it."""
    return Player(Watch(plan))


@pytest.fixture
def settled(play: Player) -> Player:
    """A watch with a baseline."""
    assert play(15) == ["baseline_accepted"]
    return play


def test_five_passes_make_a_baseline_and_say_how_many_are_missing(play: Player) -> None:
    """Commissioning counts whole passes; at the last batch of the fifth the baseline is frozen and announced."""
    watch = play.watch
    assert watch.standing.state == "not_measured"
    assert play(14) == []
    assert (watch.standing.state, watch.standing.passes_done, watch.standing.passes_needed) == ("commissioning", 4, 5)
    assert "1 more pass of 3 batches" in watch.standing.detail
    assert "at least 3 days" in watch.standing.detail
    assert play(1) == ["baseline_accepted"]
    assert watch.standing.state == "fine"
    assert watch.standing.baseline_points == pytest.approx(80.0, abs=0.5)
    [record] = play.records
    assert record.accepted_at == record.created_at == play.now
    assert record.days == pytest.approx(14 / 24)
    assert record.identities == ("m|fp_1",)
    assert watch.standing.baseline_id == 1


def test_commissioning_goes_on_until_it_spans_enough_days(plan: Plan) -> None:
    """Five passes within hours are not days: the baseline waits, and keeps passes of all the time."""
    play = Player(Watch(replace(plan, min_days=2.0)))
    assert play(30) == []
    assert "span 2 days" in play.watch.standing.detail
    assert play.until("baseline_accepted").at == play.now
    [record] = play.records
    assert record.days >= 2.0
    assert 5 <= record.value["passes"] <= 10


def test_a_model_that_stays_the_same_stays_fine(settled: Player) -> None:
    """No event and no incident over fifty batches like the baseline's."""
    assert settled(50, seed=2) == []
    assert settled.watch.standing.state == "fine"
    assert settled.watch.reading is not None
    assert settled.watch.reading.cusum_ratio < 1.0


def test_a_worse_model_opens_one_incident_with_beginning_and_figures(settled: Player) -> None:
    """The fall is seen within two passes and told once; the event says since when, how far and how sure."""
    settled(4, seed=9)
    before = settled.now
    assert settled(9, fall=2.0, seed=2).count("incident_opened regression") == 1
    opened = next(event for event in settled.events if event.details.get("kind") == "regression")
    standing = settled.watch.standing
    assert (standing.state, standing.incident) == ("regressed", settled.events.index(opened) + 1)
    details = opened.details
    assert before <= float(details["since"] or 0) <= before + 3 * 3600.0
    assert float(details["points"] or 0) < -5.0
    assert float(details["lower"] or 0) <= float(details["points"] or 0) <= float(details["upper"] or 0) < 0.0
    assert 1 <= int(details["batches"] or 0) <= 9
    assert int(details["items"] or 0) == 8 * int(details["batches"] or 0)
    assert [word for word in settled(6, fall=2.0, seed=3) if "incident_opened" in word] == []


def test_an_alarm_restarts_the_statistics_and_a_whole_good_pass_ends_it(settled: Player) -> None:
    """Evidence does not pile up for months; once every item was asked again without a loss, the incident is over."""
    settled.until("incident_opened", fall=2.0)
    state = settled.watch.state.detector
    assert state is not None
    settled(20, fall=2.0)
    assert settled.watch.standing.state == "regressed"
    told = settled(10)
    assert "incident_closed regression recovered" in told
    assert "incident_closed change rolled_back" in told
    closed = next(e for e in settled.events if e.kind == "incident_closed" and e.details["kind"] == "regression")
    opened = settled.events[int(closed.details["incident"] or 0) - 1]
    assert (opened.kind, opened.details["kind"]) == ("incident_opened", "regression")
    assert closed.details["seconds"] == closed.at - opened.at
    assert (settled.watch.standing.state, settled.watch.standing.incident) == ("fine", 0)


def test_suspicion_steps_the_sampling_up_and_an_incident_back(settled: Player) -> None:
    """Between suspicion and page batches should come more often; afterwards nothing is gained by it."""
    assert not settled.watch.stepped_up
    seen = set()
    for number in range(20):
        settled(1, fall=0.4, seed=number)
        seen.add((settled.watch.standing.state, settled.watch.stepped_up))
        if settled.watch.standing.state == "regressed":
            break
    assert ("regressed", False) in seen
    assert ("fine", True) not in seen
    assert settled.watch.standing.stepped_up is False
    assert not any(up for state, up in seen if state != "suspected")


def test_a_restored_watch_goes_on_exactly(plan: Plan) -> None:
    """Saved as JSON in commissioning, in detection, in an upgrade, it ends where an uninterrupted one ends."""
    whole, broken = Player(Watch(plan)), Player(Watch(plan))
    who = ("m", "fp_1")
    for fall, seed in ((0.0, 1), (0.0, 2), (0.0, 3), (1.0, 4), (0.0, 5), (0.0, 6)):
        who = ("m", "fp_2") if seed == 5 else who
        whole(7, fall=fall, seed=seed, who=who)
        broken.watch = Watch(plan, json.loads(json.dumps(broken.watch.to_saved())))
        broken(7, fall=fall, seed=seed, who=who)
    assert json.dumps(broken.watch.to_saved()) == json.dumps(whole.watch.to_saved())
    assert broken.watch.standing == whole.watch.standing
    assert [e.kind for e in broken.events] == [e.kind for e in whole.events]
    assert broken.watch.run_id() == whole.watch.run_id()
    assert broken.watch.next_items() == whole.watch.next_items()


def test_a_state_of_another_schema_is_refused(plan: Plan) -> None:
    """What an older version saved is not guessed at."""
    saved = Watch(plan).to_saved()
    with pytest.raises(ValueError, match="schema 1"):
        Watch(plan, {**saved, "schema": 1})
    with pytest.raises(ValueError, match="can't be read"):
        Watch(plan, {"schema": saved["schema"]})


def test_a_model_that_cannot_be_read_gets_no_baseline(play: Player) -> None:
    """Unreadable answers are outcomes, never zeros: commissioning goes on and says why."""
    watch = play.watch
    for _ in range(15):
        results = [ItemResult(watch.run_id(), item, 0, "unparseable", "no_scores") for item in watch.next_items()]
        assert watch.take(results, at=1.0).events == ()
    assert watch.standing.state == "not_measured"
    assert "readable" in watch.standing.detail
    assert watch.standing.score_points is None


def test_calls_that_failed_say_nothing_about_the_model(settled: Player) -> None:
    """An outage of some calls is neither a loss nor an unreadable answer."""
    watch = settled.watch
    before = watch.standing.score_points
    results = [ItemResult(watch.run_id(), item, 0, "api_error", "server_error") for item in watch.next_items()]
    assert watch.take(results, at=settled.now).events == ()
    assert watch.standing.score_points == before


def test_an_acknowledged_incident_is_closed_or_begins_a_new_baseline(settled: Player) -> None:
    """Closing restarts the statistics; accepting the new level restarts commissioning; another id does nothing."""
    settled.until("incident_opened", fall=2.0)
    settled(6, fall=2.0)
    watch = settled.watch
    incident = watch.standing.incident
    assert watch.acknowledge(incident + 40, new_baseline=False, at=1.0) is None
    assert watch.acknowledge(0, new_baseline=False, at=1.0) is None
    closed = watch.acknowledge(incident, new_baseline=True, at=2.0)
    assert closed is not None
    assert {(e.kind, e.details["cause"]) for e in closed} == {("incident_closed", "acknowledged")}
    assert watch.standing.state == "commissioning"
    assert "baseline_accepted" in settled(18, fall=2.0)
    assert watch.standing.baseline_points == pytest.approx(60.0, abs=0.5)


def test_an_incident_that_was_only_acknowledged_opens_again_if_it_goes_on(settled: Player) -> None:
    """The old baseline stays the yardstick."""
    settled.until("incident_opened", fall=2.0)
    settled(6, fall=2.0)
    assert settled.watch.acknowledge(settled.watch.standing.incident, new_baseline=False, at=settled.now)
    assert settled.watch.standing.state != "regressed"
    assert "incident_opened regression" in settled(12, fall=2.0)


def test_batches_have_names_that_follow_from_the_state(plan: Plan) -> None:
    """The same batch has the same run id before and after a crash; the next one has another, and so has a new epoch."""
    play = Player(Watch(plan, epoch=7))
    first = play.watch.run_id()
    assert Watch(plan, play.watch.to_saved()).run_id() == first
    play(1)
    assert play.watch.run_id() != first
    assert Watch(plan, epoch=8).run_id() != first
    assert "/" not in Watch(replace(plan, model="lab/model:1")).run_id()


def test_the_distance_to_the_reference_of_record_is_told(settled: Player) -> None:
    """Against the first accepted baseline, however many were accepted since."""
    watch = settled.watch
    assert watch.standing.reference_points is None
    watch.reference = Baseline.from_dict(settled.records[0].value)
    settled(3)
    standing = watch.standing
    assert standing.reference_points == pytest.approx(0.0, abs=0.6)
    assert standing.reference_lower is not None
    assert standing.reference_upper is not None
    assert standing.reference_lower < 0.0 < standing.reference_upper


def test_branches_have_scores_of_their_own(plan: Plan) -> None:
    """Each branch that the items name, over the newest answer to each."""
    items = tuple(
        replace(item, branch="perceiving" if n % 2 else "managing") for n, item in enumerate(plan.item_set.items)
    )
    play = Player(Watch(replace(plan, item_set=replace(plan.item_set, items=items))))
    play(3)
    assert play.watch.standing.branch_points == pytest.approx({"managing": 80.0, "perceiving": 80.0}, abs=1.0)


def test_losses_that_add_up_to_the_margin_are_told_once(settled: Player) -> None:
    """Told when the level has fallen below the reference of record by the margin, and again when it came back."""
    settled.watch.reference = Baseline.from_dict(settled.records[0].value)
    margin = settled.watch.plan.margin
    assert not [told for told in settled(9, fall=0.0) if told.startswith("reference")]
    told = settled(18, fall=0.3)
    assert [each for each in told if each.startswith("reference")] == ["reference_margin_crossed"]
    event = next(event for event in settled.events if event.kind == "reference_margin_crossed")
    assert float(event.details["points"] or 0.0) <= -margin
    assert float(event.details["upper"] or 0.0) < 0.0
    assert event.details["margin"] == margin
    again = Player(Watch(settled.watch.plan, json.loads(json.dumps(settled.watch.to_saved()))))
    again.watch.reference = settled.watch.reference
    again.now, again.events = settled.now, []
    assert not [each for each in again(9, fall=0.3) if each.startswith("reference")], "a restart tells nothing twice"
    back = [each for each in again(18, fall=0.0) if each.startswith("reference")]
    assert back == ["reference_margin_recovered"]


@pytest.mark.parametrize(
    ("points", "upper", "before", "expected"),
    [
        (-1.2, -0.7, False, True),
        (-1.2, -0.4, False, False),
        (-0.9, -0.4, False, False),
        (-0.9, -0.4, True, True),
        (-0.6, 0.2, True, True),
        (-0.4, 0.2, True, False),
    ],
)
def test_the_margin_has_a_hysteresis(points: float, upper: float, before: bool, expected: bool) -> None:
    """It begins at the margin once twice the interval's half-width lies below zero, and ends at half the margin."""
    assert is_below(Difference(points, points - 1.0, upper, 24), 1.0, before=before) is expected

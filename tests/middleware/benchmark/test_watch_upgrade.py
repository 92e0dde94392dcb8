"""A change of version is noticed or declared, judged against the old baseline, and taken back by a rollback."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from middleware.benchmark.plan import Plan
from middleware.benchmark.protocol import make_protocol
from middleware.benchmark.watch import Taken, Watch
from middleware.records.baseline import BaselineRecord
from middleware.records.benchmark import ItemResult
from middleware.records.event import Event
from scorer.items import Item, ItemSet

EMOTIONS = ("Joyful", "Angry", "Afraid", "Proud")
ITEMS = 48
OLD, NEW = ("m", "fp_1"), ("m-2", "fp_2")
# How a version answers: item units lost on average, and how much on single items besides.
Model = Callable[[str], float]


def same(_item: str) -> float:
    return 0.0


def worse(_item: str) -> float:
    return 1.5


def other(item: str) -> float:
    """As good, with other strengths."""
    return 0.6 if int(item[1:]) % 2 else -0.6


@pytest.fixture
def plan() -> Plan:
    items = tuple(
        Item(f"i{n:02d}", EMOTIONS, "", None, (5.0, 0.0, 8.0, 2.0), cluster=f"d{n // 2}") for n in range(ITEMS)
    )
    item_set = ItemSet("made-up", "v2", "en", items, official=False, sha256="0" * 64)
    return Plan("default", item_set, make_protocol(item_set), "m", 12, 3, 5, 8766.0, upgrade_passes=4, margin=2.0)


class Installation:
    """A watch whose batches are answered by one version or another; numbers what it tells."""

    def __init__(self, plan: Plan) -> None:
        self.watch = Watch(plan)
        self.now = 1000.0
        self.events: list[Event] = []
        self.records: list[BaselineRecord] = []
        self.rng = np.random.default_rng(4)

    def play(self, batches: int, model: Model = same, *, who: tuple[str, str] = OLD, old_share: int = 0) -> list[str]:
        """Kinds of what was told. old_share: of each batch so many items are still answered by the old version."""
        told: list[str] = []
        for _ in range(batches):
            self.now += 60.0
            asked = self.watch.next_items()
            results = [self._answer(item, same(item), OLD) for item in asked[:old_share]]
            results += [self._answer(item, model(item), who) for item in asked[old_share:]]
            told += self.tell(self.watch.take(results, at=self.now))
        return told

    def _answer(self, item: str, loss: float, who: tuple[str, str]) -> ItemResult:
        values = (5.0 - 3 * loss, 0.0, 8.0, 2.0)
        return ItemResult(
            run_id="r",
            item_id=item,
            repetition=0,
            outcome="scored",
            score=8.0 - loss + float(self.rng.normal(0.0, 0.15)),
            answer=dict(zip(EMOTIONS, values, strict=True)),
            answered_model=who[0],
            system_fingerprint=who[1],
            at=self.now,
        )

    def tell(self, taken: Taken | list[Event]) -> list[str]:
        """Keep and number."""
        taken = taken if isinstance(taken, Taken) else Taken(tuple(taken))
        first = len(self.events) + 1
        self.events += taken.events
        if taken.baseline is not None:
            self.records.append(replace(taken.baseline, id=len(self.records) + 1))
        saved = self.watch.numbered(
            taken, range(first, first + len(taken.events)), len(self.records) if taken.baseline else None
        )
        reference = self.watch.reference
        self.watch = Watch(self.watch.plan, json.loads(json.dumps(saved)))  # every batch is a restart
        self.watch.reference = reference
        return [event.kind for event in taken.events]

    def last(self, kind: str) -> Event:
        return next(event for event in reversed(self.events) if event.kind == kind)

    @property
    def verdict(self) -> str:
        upgrade = self.watch.standing.upgrade
        return upgrade.verdict if upgrade is not None else ""


@pytest.fixture
def installation(plan: Plan) -> Installation:
    """With a baseline of the old version."""
    found = Installation(plan)
    assert found.play(20) == ["baseline_accepted"]
    return found


def test_a_new_name_that_stays_is_an_upgrade_and_a_worse_one_regressed(installation: Installation) -> None:
    """Noticed after two dozen answers, judged after a whole pass of it, told with its figures, an incident opened."""
    told = installation.play(2, worse, who=NEW)
    assert "upgrade_noticed" in told
    assert installation.watch.stepped_up
    told += installation.play(8, worse, who=NEW)
    assert "upgrade_verdict" in told
    details = installation.last("upgrade_verdict").details
    assert (details["verdict"], details["from_model"], details["to_model"]) == ("regressed", "m", "m-2")
    assert float(details["upper"] or 0) < -2.0
    assert float(details["points"] or 0) == pytest.approx(-15.0, abs=1.0)
    assert (details["passes"], details["items"]) == (1, ITEMS)
    standing = installation.watch.standing
    assert (standing.state, installation.verdict) == ("regressed", "regressed")
    assert standing.incident
    opened = [event.details["kind"] for event in installation.events if event.kind == "incident_opened"]
    assert opened == ["change", "regression"], "the change was seen before its version was"
    assert installation.last("incident_closed").details["cause"] == "noticed"


def test_an_equal_version_with_other_answers_passes_and_gets_a_baseline_of_its_own(installation: Installation) -> None:
    """Nobody is paged; until the new baseline stands, "worse?" is asked of the old one."""
    told = installation.play(30, other, who=NEW)
    assert told == ["upgrade_noticed", "upgrade_verdict", "baseline_accepted"]
    assert installation.verdict == "pass"
    assert [record.source for record in installation.records] == ["commissioning", "upgrade"]
    assert installation.records[1].identities == ("m-2|fp_2",)
    assert installation.watch.standing.baseline_id == 2
    assert installation.play(12, other, who=NEW) == []
    assert installation.watch.standing.state == "fine"


def test_the_same_model_under_another_fingerprint_keeps_its_baseline(installation: Installation) -> None:
    """Same answers: it passes, and nothing has to be learnt anew."""
    told = installation.play(40, same, who=("m", "fp_9"))
    assert told == ["upgrade_noticed", "upgrade_verdict"]
    assert installation.verdict == "pass"
    assert installation.watch.standing.baseline_id == 1
    assert installation.play(8, same, who=OLD) == []


def test_a_rollback_takes_the_upgrade_back_and_closes_the_incident(installation: Installation) -> None:
    """The old version answers again: no upgrade is left, no incident, and the old baseline goes on."""
    installation.play(10, worse, who=NEW)
    assert installation.watch.standing.incident
    told = installation.play(3, same, who=OLD)
    assert {"upgrade_withdrawn", "incident_closed"} <= set(told)
    assert installation.last("incident_closed").details["cause"] == "rolled_back"
    standing = installation.watch.standing
    assert (standing.state, standing.upgrade, standing.incident) == ("fine", None, 0)
    assert installation.play(12) == []
    assert "upgrade_verdict" in installation.play(10, worse, who=NEW), "a second attempt is judged again"


def test_a_backend_that_goes_before_it_was_judged_is_no_version(installation: Installation) -> None:
    """Two backends that take turns by the day are noticed once, and never again."""
    assert installation.play(3, same, who=NEW) == ["upgrade_noticed"]
    assert installation.play(3, same, who=OLD) == ["upgrade_withdrawn"]
    for _ in range(4):
        assert installation.play(4, same, who=NEW) == []
        assert installation.play(4, same, who=OLD) == []
    assert installation.watch.standing.upgrade is None


def test_answers_of_the_old_version_do_not_count_for_the_new_one(installation: Installation) -> None:
    """While a rollout leaves a quarter of the answers to the old version, the loss is not diluted."""
    installation.play(2, worse, who=NEW)
    told = installation.play(8, worse, who=NEW, old_share=3)
    assert "upgrade_verdict" in told
    assert float(installation.last("upgrade_verdict").details["points"] or 0) == pytest.approx(-15.0, abs=1.0)


def test_a_declared_upgrade_closes_what_is_open_and_is_judged(installation: Installation) -> None:
    """The name may stay the same; from the declaration on the answers are the new version's."""
    installation.play(12, worse)
    assert installation.watch.standing.state == "regressed"
    told = installation.tell(installation.watch.declare("", "assistant-2", at=installation.now))
    assert set(told) == {"incident_closed"}
    assert installation.last("incident_closed").details["cause"] == "declared"
    assert installation.watch.standing.state == "comparing"
    told = installation.play(30, other)
    assert told == ["upgrade_verdict", "baseline_accepted"]
    assert installation.last("upgrade_verdict").details["to_model"] == "assistant-2"


def test_a_declaration_and_the_new_name_a_little_later_are_one_upgrade(installation: Installation) -> None:
    """Answers between the declaration and the rollout belong to the old version."""
    installation.tell(installation.watch.declare("m", "m-2", at=installation.now))
    installation.play(2, same, who=OLD)
    told = installation.play(12, worse, who=NEW)
    assert told.count("upgrade_verdict") == 1
    details = installation.last("upgrade_verdict").details
    assert (details["declared"], details["from_model"], details["to_model"]) == (True, "m", "m-2")
    assert float(details["points"] or 0) == pytest.approx(-15.0, abs=1.0)


def test_declaring_the_old_version_again_is_a_rollback(installation: Installation) -> None:
    """For upstreams whose answers do not say who they are."""
    nobody = ("", "")
    installation.tell(installation.watch.declare("v1", "v2", at=installation.now))
    installation.play(8, worse, who=nobody)
    assert installation.verdict == "regressed"
    told = installation.tell(installation.watch.declare("v2", "v1", at=installation.now))
    assert "upgrade_withdrawn" in told
    assert installation.watch.standing.upgrade is None


def test_an_undecided_upgrade_waits_for_a_decision_and_its_baseline_for_acceptance(plan: Plan) -> None:
    """A loss at the margin is not accepted by itself: a baseline is made, and putting it in force settles it."""
    found = Installation(replace(plan, margin=1.0, upgrade_passes=1))
    found.play(20)

    def near_the_margin(item: str) -> float:
        return 0.1 + (0.6 if int(item[1:]) // 2 % 2 else -0.6)

    told = found.play(30, near_the_margin, who=NEW)
    assert found.verdict == "undecided"
    assert "baseline_created" in told
    standing = found.watch.standing
    assert standing.baseline_id == 1
    assert "waits to be accepted" in standing.detail
    record = replace(found.records[1], accepted_at=found.now)
    found.tell(found.watch.adopt(record, at=found.now))
    standing = found.watch.standing
    assert standing.baseline_id == 2
    assert standing.upgrade is not None
    assert standing.upgrade.accepted
    assert found.play(8, near_the_margin, who=NEW) == []


def test_accepting_a_regressed_upgrade_through_its_incident_makes_its_level_the_baseline(
    installation: Installation,
) -> None:
    """The operator knows better: what is measured from then on counts as normal."""
    installation.play(10, worse, who=NEW)
    events = installation.watch.acknowledge(
        installation.watch.standing.incident, new_baseline=True, at=installation.now
    )
    assert events is not None
    installation.tell(events)
    upgrade = installation.watch.standing.upgrade
    assert upgrade is not None
    assert upgrade.accepted
    assert "baseline_accepted" in installation.play(25, worse, who=NEW)
    assert installation.watch.standing.state == "fine"


def test_another_configured_model_is_an_upgrade_and_back_again_a_rollback(installation: Installation) -> None:
    """The model is the subject, not part of the protocol: its successor is compared with its baseline."""
    saved = installation.watch.to_saved()
    installation.watch = Watch(replace(installation.watch.plan, model="m-2"), saved)
    assert installation.tell(installation.watch.start(installation.now)) == ["upgrade_noticed"]
    told = installation.play(10, worse, who=NEW)
    assert "upgrade_verdict" in told
    installation.watch = Watch(replace(installation.watch.plan, model="m"), installation.watch.to_saved())
    assert "upgrade_withdrawn" in installation.tell(installation.watch.start(installation.now))
    assert installation.play(12, same, who=OLD) == []
    assert installation.watch.standing.state == "fine"


def test_a_new_version_in_the_middle_of_commissioning_begins_it_anew(plan: Plan) -> None:
    """No baseline is made of two models."""
    found = Installation(plan)
    found.play(16, same, who=OLD)
    told = found.play(30, worse, who=NEW)
    assert told == ["upgrade_noticed", "baseline_accepted"]
    assert found.watch.standing.baseline_points == pytest.approx(65.0, abs=0.5)


def test_a_watch_of_another_item_set_hears_of_it(plan: Plan) -> None:
    """One deployment has one model: what one item set notices, the others compare from then on."""
    first, second = Installation(plan), Installation(plan)
    first.play(20)
    second.play(20)
    first.play(2, worse, who=NEW)
    second.tell(second.watch.notice(first.watch, at=second.now))
    assert second.verdict == "comparing"
    assert second.watch.notice(first.watch, at=second.now) == []
    first.play(4, same, who=OLD)
    second.tell(second.watch.notice(first.watch, at=second.now))
    assert second.watch.standing.upgrade is None


def test_a_baseline_of_another_protocol_is_refused_by_field(installation: Installation) -> None:
    """The message names what differs, and both values."""
    record = installation.records[0]
    warm = replace(record, protocol=replace(record.protocol, temperature=0.7))
    with pytest.raises(ValueError, match=r"temperature is 0\.7 and 0\.01"):
        installation.watch.adopt(warm, at=1.0)

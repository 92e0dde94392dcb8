"""The emotions of a deployment over time: computed by hand, told once, and the same after a restart."""

import asyncio
from typing import Any
from unittest.mock import patch

import pytest
from prometheus_client import CollectorRegistry

from middleware.control.emotions import EmotionExport, Emotions
from middleware.errors import StoreUnavailable
from middleware.metrics import Metrics, render
from middleware.probe.drift_windows import DriftRule
from middleware.probe.emotion_state import EmotionRule, Look
from middleware.records.conversation import ProbeResult
from middleware.records.emotion_report import Adoption, Drift, EmotionReport
from middleware.records.event import Event
from middleware.records.informed import Call
from middleware.store import Store
from scorer.agreement import loss_points

EMOTIONS = ("Confusion", "Curiosity")
GAP = 600.0
RULE = EmotionRule(
    deployment="tutor",
    emotions=EMOTIONS,
    versions={"reference": "pinned-1", "anchor": "anchor-1"},
    drift=DriftRule(reference=20, window=20, least=15, floor=0.5),
    gap=GAP,
)


class Looked(Exception):
    """The worker has come to the end of a round."""


class Watch:
    """Emotions over a store, with what they told; `again` is a restart."""

    def __init__(self, store: Store, clock: Any, rule: EmotionRule = RULE) -> None:
        self.store, self.clock, self.rule = store, clock, rule
        self.events: list[Event] = []
        self.again()

    def again(self) -> None:
        self.registry = CollectorRegistry()
        self.emotions = Emotions(
            [self.rule],
            store=self.store,
            metrics=Metrics(self.registry),
            publish=self.events.append,
            clock=self.clock,
            interval_seconds=3600.0,
        )
        self.look()

    def look(self) -> EmotionReport:
        async def once() -> None:
            """One round of the worker, to its end: it sleeps only once everything is kept."""
            with patch("middleware.control.emotions.asyncio.sleep", side_effect=Looked), pytest.raises(Looked):
                await self.emotions.run()

        asyncio.run(once())
        report = self.emotions.report("tutor")
        assert report is not None
        return report

    def save(self, result: ProbeResult) -> None:
        self.store.save_probe(result)
        self.emotions.take(result)

    def samples(self) -> dict[str, float]:
        lines = render(self.registry, "")[0].decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}

    def converse(self, name: str, turns: list[dict[str, Any]]) -> None:
        """One conversation, a minute a turn; each turn gives intensities (of both emotions) by kind."""
        for number, said in enumerate(turns, start=1):
            for key, intensity in said.items():
                kind, _, judge = key.partition("_by_")
                version = {"reference": "pinned-1", "anchor": "anchor-1"}.get(judge, "")
                self.save(
                    ProbeResult(
                        deployment="tutor",
                        conversation=name,
                        turn=number,
                        kind=kind,  # type: ignore[arg-type]
                        outcome="scored",
                        emotions={"Confusion": intensity, "Curiosity": 10.0 - intensity},
                        judge=judge or "small",
                        judge_version=version,
                        at=self.clock.now + 1.0,
                        turn_ended_at=self.clock.now,
                    )
                )
            self.clock.now += 60.0


@pytest.fixture
def watch(store: Store, clock: Any) -> Watch:
    return Watch(store, clock)


def called(watch: Watch, name: str, number: int, channel: str) -> None:
    """A call of the application, as control keeps it."""
    call = Call(name, number, "tutor", channel, 1.0, watch.clock.now)  # type: ignore[arg-type]
    watch.store.save_call(call)
    watch.emotions.called(call)


def turn(perceived: float, expressed: float, predicted: float | None = None) -> dict[str, float]:
    said = {"perception": perceived, "expressed_by_reference": expressed, "expressed_by_anchor": expressed}
    return said if predicted is None else {**said, "anticipation": predicted}


def drift(report: EmotionReport, signal: str, emotion: str = "Confusion") -> Drift:
    return next(one for one in report.drift if (one.signal, one.emotion) == (signal, emotion))


def test_nothing_is_known_before_anything_was_rated(watch: Watch) -> None:
    """Missing is no sample and None, never zero; who would rate is said."""
    report = watch.look()
    assert (report.judge, report.judge_version) == ("reference", "pinned-1")
    assert (report.skill, report.relief, report.anticipation_loss, report.agreement) == ({}, {}, None, {})
    assert drift(report, "perception").distance is None
    names = {name.partition("{")[0] for name in watch.samples()}
    assert not {n for n in names if "skill" in n or "relief" in n or "distance" in n or "evidence" in n}


def test_losses_agreement_and_censoring_come_out_as_by_hand(watch: Watch) -> None:
    """Two turns: the prediction 4 is held against the 6 of the next turn, and the last prediction waits."""
    watch.converse("c1", [turn(5.0, 7.0, 4.0), turn(6.0, 6.0, 2.0)])
    report = watch.look()

    def both(intensity: float) -> dict[str, float]:
        return {"Confusion": intensity, "Curiosity": 10.0 - intensity}

    assert report.anticipation_loss is not None
    assert report.anticipation_loss.mean == pytest.approx(loss_points(both(4.0), both(6.0)))
    assert report.agreement["reference"].loss.mean == pytest.approx(loss_points(both(5.0), both(7.0)) / 2.0)
    assert report.agreement["reference"].means == "change_signal"
    assert report.censoring is not None
    assert (report.censoring.followed, report.censoring.censored, report.censoring.pending) == (1, 0, 1)
    watch.clock.now += GAP
    report = watch.look()
    assert report.censoring is not None
    assert (report.censoring.followed, report.censoring.censored, report.censoring.pending) == (1, 1, 0)
    # Predicted distress is Confusion: 4 went on, 2 left; their bands are [2, 4) and [4, 6).
    assert [(band.turns, band.censored) for band in report.censoring.bands] == [(0, 0), (1, 1), (1, 0), (0, 0), (0, 0)]
    assert report.next_intensity["Confusion"].observed == 6.0
    assert (report.next_intensity["Confusion"].lowest, report.next_intensity["Confusion"].highest) == (3.0, 8.0)
    samples = watch.samples()
    assert samples['eqwatch_anticipation_censored_total{deployment="tutor"}'] == 1
    assert samples['eqwatch_anticipation_loss_points_count{deployment="tutor"}'] == 1
    assert samples['eqwatch_probe_agreement_loss_points_count{deployment="tutor",reference="anchor"}'] == 2


def test_a_next_turn_after_a_restart_answers_the_prediction_and_nothing_is_told_twice(watch: Watch) -> None:
    """Pairs, censored turns and losses are made of what is stored."""
    watch.converse("c1", [turn(5.0, 7.0, 4.0)])
    watch.converse("c2", [turn(5.0, 7.0, 9.0)])
    watch.look()
    watch.again()
    assert (
        watch.samples().get('eqwatch_probe_agreement_loss_points_count{deployment="tutor",reference="anchor"}') is None
    )
    result = ProbeResult(
        "tutor", "c1", 2, "expressed", "scored", {"Confusion": 6.0, "Curiosity": 4.0}, judge="reference",
        judge_version="pinned-1", at=watch.clock.now, turn_ended_at=watch.clock.now,
    )  # fmt: skip
    watch.save(result)
    report = watch.look()
    assert report.anticipation_loss is not None
    assert report.anticipation_loss.turns == 1
    watch.clock.now += GAP
    watch.look()
    assert watch.samples()['eqwatch_anticipation_censored_total{deployment="tutor"}'] == 1  # c2 left
    watch.again()
    assert watch.samples()['eqwatch_anticipation_censored_total{deployment="tutor"}'] == 0


def test_relief_is_what_goes_beyond_the_frozen_expectation(watch: Watch) -> None:
    """Twenty conversations in which confusion halves; then it falls to nothing, which is 3 beyond the expected 3."""
    for number in range(20):
        watch.converse(f"r{number}", [turn(4.0, 4.0), turn(2.0, 2.0), turn(1.0, 1.0)])
    watch.clock.now += GAP
    assert watch.look().relief["Confusion"].change == pytest.approx(0.0, abs=1e-9)
    watch.again()
    for number in range(20):
        watch.converse(f"n{number}", [turn(6.0, 6.0), turn(0.0, 0.0)])
    watch.clock.now += GAP
    report = watch.look()
    assert report.relief["Confusion"].change == pytest.approx(-3.0)
    assert report.relief["Confusion"].observed == pytest.approx(-6.0)
    assert watch.samples()['eqwatch_relief_intensity_change{deployment="tutor",emotion="Confusion"}'] == pytest.approx(
        -3
    )


def test_adoption_and_relief_with_and_without_a_read(watch: Watch) -> None:
    """Of replies after a read, confusion falls by 3 more than expected, of the others not at all; over a restart."""
    for number in range(20):
        fall = float(number % 3)
        watch.converse(f"r{number}", [turn(6.0, 6.0), turn(6.0 - fall, 6.0 - fall), turn(6.0 - fall, 6.0 - fall)])
    watch.clock.now += 2 * GAP
    watch.look()
    assert watch.look().adoption is None
    expected = watch.look().relief["Confusion"]
    for number in range(20):
        level = 3.0 if number % 2 else 6.0
        name = f"n{number}"
        watch.converse(name, [turn(6.0, 6.0), turn(6.0, 6.0), turn(level, level)])
        called(watch, name, 2, "pull" if number % 2 else "none")
    watch.clock.now += 2 * GAP
    for report in (watch.look(), (watch.again(), watch.look())[1]):
        assert report.adoption is not None
        assert (report.adoption.informed, report.adoption.calls, report.adoption.ratio) == (10, 20, 0.5)
        read, unread = report.relief_read["Confusion"], report.relief_unread["Confusion"]
        assert (read.turns, unread.turns) == (10, 10)
        assert read.change - unread.change == pytest.approx(-3.0)
        assert read.observed == pytest.approx(-3.0)
    assert expected.turns == 40
    samples = watch.samples()
    assert samples['eqwatch_awareness_adoption_ratio{deployment="tutor"}'] == 0.5
    with_read = samples['eqwatch_relief_read_intensity_change{deployment="tutor",emotion="Confusion",read="yes"}']
    without = samples['eqwatch_relief_read_intensity_change{deployment="tutor",emotion="Confusion",read="no"}']
    assert with_read - without == pytest.approx(-3.0)


@pytest.mark.parametrize(("expressed", "cause"), [(2.0, "model"), (8.0, "users")])
def test_drift_is_told_once_and_the_answer_key_says_who_changed(watch: Watch, expressed: float, cause: str) -> None:
    """What the model perceives moves from 2 to 8; a restart in between changes nothing."""
    for number in range(20):
        watch.converse(f"r{number}", [turn(2.0 + 0.1 * (number % 3), 2.0)])
    watch.clock.now += GAP
    watch.look()
    for number in range(8):
        watch.converse(f"a{number}", [turn(8.0, expressed)])
    watch.clock.now += GAP
    half = drift(watch.look(), "perception")
    assert not half.active  # eight of the fifteen that are needed
    watch.again()
    for number in range(12):
        watch.converse(f"b{number}", [turn(8.0, expressed)])
    watch.clock.now += GAP
    report = watch.look()
    found = drift(report, "perception")
    assert found.active
    assert found.distance == pytest.approx(8.0 - (2.0 + 0.1 * 19 / 20), abs=1e-6)
    assert found.current_conversations == 20
    assert report.cause == cause
    told = [event for event in watch.events if event.details["signal"] == "perception"]
    assert sorted(str(event.details["emotion"]) for event in told) == ["Confusion", "Curiosity"]
    assert {event.kind for event in watch.events} == {"emotion_drift"}
    watch.look()
    watch.again()
    assert len([event for event in watch.events if event.details["signal"] == "perception"]) == 2
    samples = watch.samples()
    assert samples['eqwatch_drift_active{deployment="tutor",emotion="Confusion"}'] == 1
    assert samples['eqwatch_drift_window_conversations{deployment="tutor",window="current"}'] == 20
    assert samples['eqwatch_drift_evidence_ratio{deployment="tutor",emotion="Confusion"}'] >= 1
    key = 'eqwatch_drift_expressed_wasserstein_distance{deployment="tutor",emotion="Confusion",reference="anchor"}'
    assert samples[key] == pytest.approx(expressed - 2.0)


def test_a_new_version_of_the_reference_starts_its_windows_over(store: Store, clock: Any) -> None:
    """Ratings of two judges are never put into one window; the model's own perceptions go on."""
    watch = Watch(store, clock)
    for number in range(20):
        watch.converse(f"r{number}", [turn(2.0, 2.0), turn(2.0, 2.0)])
    watch.clock.now += GAP
    watch.look()
    other = EmotionRule("tutor", EMOTIONS, {"reference": "pinned-2", "anchor": "anchor-1"}, RULE.drift, GAP)
    report = Watch(store, clock, other).look()
    assert drift(report, "reference").reference_conversations == 0
    assert drift(report, "perception").reference_conversations == 20
    assert drift(report, "anchor").reference_conversations == 20
    assert report.relief == {}


def drifted(watch: Watch) -> None:
    """A reference window that was looked at, then as many conversations far from it that were not."""
    for number in range(20):
        watch.converse(f"r{number}", [turn(2.0 + 0.1 * (number % 3), 2.0)])
    watch.clock.now += GAP
    watch.look()
    for number in range(20):
        watch.converse(f"a{number}", [turn(8.0, 2.0)])
    watch.clock.now += GAP


def test_a_drift_that_the_store_did_not_take_is_told_with_the_next_look(watch: Watch) -> None:
    """Once, with its id, together with the state: neither without the other."""
    drifted(watch)
    away = StoreUnavailable("away", reason="disk_full")
    with patch.object(watch.store, "save_state", side_effect=away):
        watch.look()
    assert watch.events == []
    watch.look()
    watch.look()
    perceived = [event for event in watch.events if event.details["signal"] == "perception"]
    assert sorted(str(event.details["emotion"]) for event in perceived) == ["Confusion", "Curiosity"]
    assert watch.store.events() == watch.events


def test_a_drift_is_shown_once_its_event_is_saved(watch: Watch) -> None:
    """Report and metrics are those of the look before until the store has the event; where it is away they go on."""
    drifted(watch)
    save = watch.store.save_state
    name = 'eqwatch_drift_active{deployment="tutor",emotion="Confusion"}'
    during: list[tuple[bool, float | None]] = []

    def shown() -> tuple[bool, float | None]:
        report = watch.emotions.report("tutor")
        assert report is not None
        return drift(report, "perception").active, watch.samples().get(name)

    def watched(*given: Any) -> Any:
        ids = save(*given)
        during.append(shown())
        return ids

    with patch.object(watch.store, "save_state", side_effect=watched):
        watch.look()
    assert during == [(False, None)]
    assert shown() == (True, 1.0)
    at = watch.clock.now = watch.clock.now + 60.0
    with patch.object(watch.store, "save_state", side_effect=StoreUnavailable("away", reason="disk_full")):
        assert watch.look().at == at


def test_what_is_no_longer_known_does_not_stay_at_its_last_value() -> None:
    """A drift that was reported, adoption and repeatability go with what they rested on: no alert fires on a memory."""
    registry = CollectorRegistry()
    export = EmotionExport(Metrics(registry))
    known = Drift("perception", "Confusion", 2.0, 3.0, True, 2.0, 4.0, 20, 20)
    report = EmotionReport(
        "tutor", 0.0, ("Confusion",), adoption=Adoption(10, 20, 0.5), retest_ratio={"reference": 0.9}, drift=(known,)
    )
    export.look(Look(report, {}, 0, ()))
    names = ("drift_active", "drift_evidence_ratio", "awareness_adoption_ratio", "judge_retest_ratio")

    def shown() -> set[str]:
        text = render(registry, "")[0].decode()
        return {name for name in names if f"\neqwatch_{name}{{" in text}

    assert shown() == set(names)
    unknown = Drift("perception", "Confusion", None, None, False, None, None, 0, 0)
    export.look(Look(EmotionReport("tutor", 1.0, ("Confusion",), drift=(unknown,)), {}, 0, ()))
    assert shown() == set()

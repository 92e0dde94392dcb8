"""What is known of one subject under one protocol: commissioning until a baseline stands, then detection.

A reducer over batches: it asks nothing, saves nothing and reads no clock. Its state is JSON, so that any replica can go
on where another one stopped. The statistics are scorer.detection's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from middleware.benchmark.rotation import batch_items, batches_per_pass
from middleware.records.benchmark import ItemResult, Protocol
from middleware.records.event import Event
from middleware.records.standing import Standing, StandingState
from scorer.baseline import Baseline, Observation
from scorer.detection import Detector, DetectorConfig, DetectorState, Reading
from scorer.items import ItemSet

__all__ = ["Plan", "Watch", "WatchState"]

_POINTS_PER_UNIT = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is watched and how: batch is items per batch, passes the commissioning passes that make a baseline."""

    deployment: str
    item_set: ItemSet
    protocol: Protocol
    model: str
    batch: int
    rotation_seed: int
    passes: int
    batches_per_year: float

    @property
    def name(self) -> str:
        """Of the saved state: one per deployment, model and protocol."""
        return f"watch|{self.deployment}|{self.model}|{self.protocol.key}"

    @property
    def item_ids(self) -> tuple[str, ...]:
        """All items, in the order of the set."""
        return tuple(item.id for item in self.item_set.items)

    @property
    def batches_per_pass(self) -> int:
        """Batches in which every item comes round once."""
        return batches_per_pass(len(self.item_ids), self.batch)


@dataclass(frozen=True, slots=True)
class WatchState:
    """index: of the next batch. passes: commissioning observations, one list per pass, the last one may be incomplete.

    latest: the newest score of each item, item units, None where unreadable. detector: once a baseline stands.
    change: the answers differ from the baseline's. incident: id of the open incident's event, 0 for none.
    """

    index: int = 0
    last_slot: float | None = None
    passes: tuple[tuple[Observation, ...], ...] = ()
    baseline: Baseline | None = None
    baseline_at: float | None = None
    detector: DetectorState | None = None
    standing: Standing | None = None
    incident: int = 0
    change: bool = False
    latest: Mapping[str, float | None] = field(default_factory=dict)


class Watch:
    """The reducer. Making one with a baseline calibrates the detector, about a second of CPU: do it off the loop."""

    def __init__(self, plan: Plan, saved: Mapping[str, Any] | None = None) -> None:
        self.plan = plan
        self.state = _restored(saved) if saved is not None else WatchState()
        self.reading: Reading | None = None
        self._detector = self._calibrated(self.state.baseline) if self.state.baseline is not None else None

    def _calibrated(self, baseline: Baseline) -> Detector:
        return Detector(baseline, DetectorConfig(batches_per_year=self.plan.batches_per_year))

    @property
    def standing(self) -> Standing:
        """Where the subject stands now."""
        if self.state.standing is not None:
            return self.state.standing
        return Standing(
            deployment=self.plan.deployment,
            item_set=self.plan.item_set.name,
            state="not_measured",
            model=self.plan.model,
            passes_needed=self.plan.passes,
            detail="No batch has finished yet.",
        )

    def run_id(self) -> str:
        """Of the next batch. It follows from the state, so a batch that was killed is resumed, never run twice."""
        digest = self.plan.item_set.sha256[:8]
        return f"{self.plan.deployment}-{self.plan.item_set.name}-{digest}-{self.plan.model}-{self.state.index:06d}"

    def next_items(self) -> tuple[str, ...]:
        """What the next batch asks."""
        return batch_items(
            self.plan.item_ids, size=self.plan.batch, seed=self.plan.rotation_seed, index=self.state.index
        )

    def skip(self, slot: float) -> None:
        """The slot is over, without a batch."""
        self.state = replace(self.state, last_slot=slot)

    def failed(self, why: str, *, at: float) -> None:
        """A batch got no answers: nothing was measured, and the standing says why."""
        since = self.state.standing.since if self.state.standing is not None else at
        self.state = replace(self.state, standing=replace(self.standing, detail=why, since=since))

    def take(self, results: Sequence[ItemResult], *, at: float) -> list[Event]:
        """Take in a finished batch; what happened that people should hear of. at: Unix seconds, UTC."""
        observations = tuple(_observed(result, self.plan.item_set) for result in results)
        latest = {**self.state.latest, **{o.item_id: o.score for o in observations}}
        self.state = replace(self.state, latest=latest)
        if self._detector is None:
            events = self._commission(observations, at)
        else:
            events = self._detect(self._detector, observations, at)
        self.state = replace(self.state, index=self.state.index + 1)
        return events

    def _commission(self, observations: tuple[Observation, ...], at: float) -> list[Event]:
        starts = self.state.index % self.plan.batches_per_pass == 0
        done = self.state.passes if starts or not self.state.passes else self.state.passes[:-1]
        current = () if starts or not self.state.passes else self.state.passes[-1]
        passes = (*done, (*current, *observations))
        complete = len(passes) if (self.state.index + 1) % self.plan.batches_per_pass == 0 else len(passes) - 1
        self.state = replace(self.state, passes=passes)
        if complete >= self.plan.passes:
            return self._accept(at)
        self.state = replace(self.state, standing=self._commissioning(complete, at))
        return []

    def _commissioning(self, complete: int, at: float) -> Standing:
        before = self.state.standing
        return Standing(
            deployment=self.plan.deployment,
            item_set=self.plan.item_set.name,
            state="commissioning",
            model=self.plan.model,
            since=before.since if before is not None else at,
            last_batch_at=at,
            score_points=self._points(),
            passes_done=complete,
            passes_needed=self.plan.passes,
        )

    def _accept(self, at: float) -> list[Event]:
        """Freeze the baseline; where the model could not be read, say so and go on commissioning."""
        wanted = self.state.passes[-self.plan.passes :]
        try:
            baseline = Baseline.from_passes(wanted, protocol_key=self.plan.protocol.key)
        except ValueError as error:
            standing = replace(self._commissioning(len(wanted), at), state="not_measured", detail=str(error))
            self.state = replace(self.state, passes=wanted[1:], standing=standing)
            return []
        self._detector = self._calibrated(baseline)
        standing = Standing(
            deployment=self.plan.deployment,
            item_set=self.plan.item_set.name,
            state="fine",
            model=self.plan.model,
            since=at,
            last_batch_at=at,
            score_points=baseline.points,
            baseline_points=baseline.points,
            baseline_at=at,
        )
        self.state = replace(
            self.state,
            passes=(),
            baseline=baseline,
            baseline_at=at,
            detector=self._detector.start(),
            standing=standing,
        )
        details: dict[str, Any] = {"item_set": self.plan.item_set.name, "points": baseline.points}
        return [Event("baseline_accepted", self.plan.deployment, at, {**details, "passes": baseline.passes})]

    def _detect(self, detector: Detector, observations: Sequence[Observation], at: float) -> list[Event]:
        state = self.state.detector if self.state.detector is not None else detector.start()
        state, reading = detector.update(state, observations)
        self.reading = reading
        before = self.standing
        now = _condition(reading, incident_open=before.state == "regressed")
        standing = replace(
            before,
            state=now,
            since=before.since if now == before.state else at,
            last_batch_at=at,
            score_points=self._points(),
            delta_points=reading.delta_points,
            delta_lower=reading.delta_lower,
            delta_upper=reading.delta_upper,
            detail="",
        )
        self.state = replace(self.state, detector=state, standing=standing, change=reading.change)
        if now == before.state or now not in {"regressed", "changed"}:
            return []
        details = {
            "item_set": self.plan.item_set.name,
            "model": self.plan.model,
            "delta_points": reading.delta_points,
            "delta_lower": reading.delta_lower,
            "delta_upper": reading.delta_upper,
        }
        return [Event("incident_opened", self.plan.deployment, at, {**details, "condition": now})]

    def _points(self) -> float | None:
        """The score over the newest answer to each item; None before any could be read."""
        scores = [score for score in self.state.latest.values() if score is not None]
        return _POINTS_PER_UNIT * sum(scores) / len(scores) if scores else None

    def opened(self, incident: int) -> None:
        """The incident's event got this id."""
        standing = replace(self.standing, incident=incident)
        self.state = replace(self.state, incident=incident, standing=standing)

    def acknowledge(self, incident: int, *, new_baseline: bool, at: float) -> Event | None:
        """Close the open incident; with new_baseline commissioning starts anew. None where it is another incident."""
        if incident == 0 or incident != self.state.incident:
            return None
        details: dict[str, Any] = {"incident": incident, "new_baseline": new_baseline}
        if new_baseline or self._detector is None:
            start = -(-self.state.index // self.plan.batches_per_pass) * self.plan.batches_per_pass
            self.state = WatchState(index=start, last_slot=self.state.last_slot)
            self._detector = None
        else:
            standing = replace(
                self.standing,
                state="suspected",
                since=at,
                incident=0,
                detail="The incident was acknowledged; the level is still compared with the old baseline.",
            )
            self.state = replace(
                self.state, detector=self._detector.start(), standing=standing, incident=0, change=False
            )
        return Event("incident_closed", self.plan.deployment, at, details)

    def saved(self) -> dict[str, Any]:
        """The state as JSON values; `Watch(plan, saved)` goes on from it."""
        state = self.state
        return {
            "index": state.index,
            "last_slot": state.last_slot,
            "passes": [[[o.item_id, o.score, o.answer] for o in one] for one in state.passes],
            "baseline": state.baseline.to_dict() if state.baseline is not None else None,
            "baseline_at": state.baseline_at,
            "detector": state.detector.to_dict() if state.detector is not None else None,
            "standing": asdict(state.standing) if state.standing is not None else None,
            "incident": state.incident,
            "change": state.change,
            "latest": dict(state.latest),
        }


def _restored(saved: Mapping[str, Any]) -> WatchState:
    baseline, detector, standing = saved["baseline"], saved["detector"], saved["standing"]
    return WatchState(
        index=saved["index"],
        last_slot=saved["last_slot"],
        passes=tuple(
            tuple(
                Observation(item, score, tuple(answer) if answer is not None else None) for item, score, answer in one
            )
            for one in saved["passes"]
        ),
        baseline=Baseline.from_dict(baseline) if baseline is not None else None,
        baseline_at=saved["baseline_at"],
        detector=DetectorState.from_dict(detector) if detector is not None else None,
        standing=Standing(**standing) if standing is not None else None,
        incident=saved["incident"],
        change=saved["change"],
        latest=saved["latest"],
    )


def _observed(result: ItemResult, item_set: ItemSet) -> Observation:
    """The answer in the item's own order of emotions, whatever order the model wrote them in."""
    emotions = item_set.by_id[result.item_id].emotions
    complete = result.outcome == "scored" and all(emotion in result.answer for emotion in emotions)
    answer = tuple(result.answer[emotion] for emotion in emotions) if complete else None
    return Observation(result.item_id, result.score, answer)


def _condition(reading: Reading, *, incident_open: bool) -> StandingState:
    """A regression stays until the detector says that it has ended."""
    if reading.regression or incident_open:
        return "regressed"
    if reading.change:
        return "changed"
    return "suspected" if reading.suspected else "fine"

"""The base of a watch: its state, the detector of the baseline in force, and the incidents that follow from it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from middleware.benchmark.collecting import Collected
from middleware.benchmark.plan import Plan
from middleware.benchmark.stands import condition_of
from middleware.benchmark.upgrade import Upgrade
from middleware.benchmark.watch_events import incident_events
from middleware.benchmark.watch_state import Rise, WatchState, restored
from middleware.records.event import Event
from scorer.baseline import Baseline, Observation
from scorer.detection import (
    Detector,
    DetectorConfig,
    DetectorState,
    IncidentStep,
    Kind,
    Reading,
    end,
    follow,
)

__all__ = ["KINDS", "Detecting"]

KINDS: tuple[Kind, ...] = ("regression", "change")


class Detecting:
    """Owns the state. Making one with a baseline may calibrate its detector, a second of CPU: do it off the loop.

    Raises ValueError where the saved state is of another schema.
    """

    def __init__(self, plan: Plan, saved: Mapping[str, Any] | None = None, *, epoch: int = 0) -> None:
        self.plan = plan
        fresh = WatchState(epoch=epoch, model=plan.model, collected=Collected(begins=0))
        self.state = restored(saved) if saved is not None else fresh
        self.reading: Reading | None = None
        self._detector: Detector | None = None
        if self.state.baseline is not None:
            self._arm(self.state.baseline)

    def _arm(self, baseline: Baseline) -> None:
        """Calibrate the detector, unless that was done for the same baseline and settings, and read where it stands."""
        plan = self.plan
        config = DetectorConfig(plan.batches_per_year, plan.batch, plan.false_alarms_per_year)
        name = f"{config.batches_per_year:g}|{config.batch_items}|{config.false_alarms_per_year:g}|{baseline.digest}"
        known = self.state.limits
        self._detector = Detector(
            baseline, config, cusum_limits=known[1] if known is not None and known[0] == name else None
        )
        state = self.state.detector
        if state is None or state.baseline_digest != baseline.digest:
            state = self._detector.start()
        self.reading = self._detector.read(state)
        self.state = replace(self.state, limits=(name, self._detector.cusum_limits), detector=state)

    def _put_in_force(self, baseline: Baseline, at: float) -> list[Event]:
        """Everything is compared with this one from now on."""
        step = end(self.state.incidents, "acknowledged", at=at)
        events = incident_events(self.plan, self.state, step, self.reading)
        upgrade = self.state.upgrade
        if upgrade is not None and not upgrade.settled:
            standing = replace(upgrade.standing, accepted=upgrade.standing.verdict != "pass")
            upgrade = Upgrade(standing, settled=True)
        self.state = replace(
            self.state,
            incidents=step.state,
            incident_ids={},
            rises={},
            grounds={},
            upgrade=upgrade,
            collected=None,
            accept=True,
            baseline=baseline,
            detector=None,
            identities=replace(self.state.identities, before=()),
        )
        self._arm(baseline)
        self._settle_condition(at)
        return events

    def _detect(self, detector: Detector, observations: Sequence[Observation], at: float) -> list[Event]:
        before = self.state.detector if self.state.detector is not None else detector.start()
        state, reading = detector.update(before, observations)
        self.reading = reading
        self.state = replace(self.state, detector=state, rises=_rises(self.state.rises, state, reading, at))
        upgrade = self.state.upgrade
        if upgrade is not None and not upgrade.settled:
            # That another version answers otherwise is known; whether it answers worse is the question.
            reading = replace(reading, change=False)
        return self._apply(follow(self.state.incidents, reading, at=at))

    def _apply(self, step: IncidentStep) -> list[Event]:
        """Take a step of the incidents: restart what has to be, and tell."""
        events = incident_events(self.plan, self.state, step, self.reading)
        detector = self.state.detector
        if self._detector is not None and detector is not None:
            for kind in step.restart:
                detector = self._detector.restart(detector, kind)
        closed = {incident.kind for incident in step.closed}
        began = {i.kind: self.state.rises[i.kind] for i in step.opened if i.kind in self.state.rises}
        grounds = {kind: rise for kind, rise in self.state.grounds.items() if kind not in closed}
        self.state = replace(
            self.state,
            detector=detector,
            incidents=step.state,
            incident_ids={kind: known for kind, known in self.state.incident_ids.items() if kind not in closed},
            rises={kind: rise for kind, rise in self.state.rises.items() if kind not in step.restart},
            grounds={**grounds, **began},
        )
        return events

    def _settle_condition(self, at: float) -> None:
        condition = condition_of(self.state, self.reading)
        if self.state.baseline is None and self.state.detail:
            condition = "not_measured"
        if condition != self.state.condition or self.state.since is None:
            self.state = replace(self.state, condition=condition, since=at)


def _rises(rises: Mapping[Kind, Rise], state: DetectorState, reading: Reading, at: float) -> dict[Kind, Rise]:
    """Which statistics are off the ground, and since when."""
    up: dict[Kind, bool] = {"regression": max(state.cusums) > 0.0, "change": state.onsets[0] > 0.0}
    found: dict[Kind, Rise] = {}
    for kind in KINDS:
        if up[kind]:
            rise = rises.get(kind, Rise(at))
            found[kind] = replace(rise, batches=rise.batches + 1, items=rise.items + reading.used)
    return found

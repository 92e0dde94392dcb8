"""What is known of one deployment's model on one item set: commissioning, detection, incidents, upgrades.

A reducer over batches: it asks nothing, saves nothing and reads no clock. Its state is JSON, so that any replica can go
on where another one stopped. The statistics are the scorer's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from middleware.benchmark.collecting import Collected, observed
from middleware.benchmark.detecting import KINDS
from middleware.benchmark.identity import Identities
from middleware.benchmark.levels import is_below, reference_difference, remembered
from middleware.benchmark.outcomes import is_answer
from middleware.benchmark.plan import Plan
from middleware.benchmark.rotation import batch_items
from middleware.benchmark.soundness import require_sound
from middleware.benchmark.stands import standing_of, stepped_up
from middleware.benchmark.upgrading import Upgrading
from middleware.benchmark.watch_events import baseline_event, reference_event
from middleware.records.baseline import BaselineRecord
from middleware.records.benchmark import ItemResult
from middleware.records.event import Event
from middleware.records.standing import Standing
from scorer.baseline import Baseline
from scorer.detection import IncidentState, Kind, end

__all__ = ["Taken", "Watch"]


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a batch: what people should hear of, and a baseline that was made."""

    events: tuple[Event, ...] = ()
    baseline: BaselineRecord | None = None


class Watch(Upgrading):
    """The reducer: a batch in, what came of it out.

    reference: of record, where there is one. other_protocol: in what the protocol differs from that of the baseline
    that was in force before. Neither is saved.
    """

    def __init__(self, plan: Plan, saved: Mapping[str, Any] | None = None, *, epoch: int = 0) -> None:
        super().__init__(plan, saved, epoch=epoch)
        self.reference: Baseline | None = None
        self.other_protocol = ""

    @property
    def standing(self) -> Standing:
        """Where the subject stands now."""
        found = standing_of(self.plan, self.state, self.reading, self.reference)
        if self.other_protocol and self.state.baseline is None:
            why = f"The accepted baseline can't be compared with, its protocol differs: {self.other_protocol}."
            return replace(found, detail=f"{why} {found.detail}".strip())
        return found

    @property
    def stepped_up(self) -> bool:
        """Whether batches should come more often for now."""
        return stepped_up(self.state, self.reading)

    def run_id(self) -> str:
        """Of the next batch. It follows from the state, so a batch that was killed is resumed, never run twice."""
        return f"{self.plan.run_prefix}-{self.state.epoch}-{self.state.index:06d}"

    def next_items(self) -> tuple[str, ...]:
        """What the next batch asks."""
        plan = self.plan
        return batch_items(plan.item_ids, size=plan.batch, seed=plan.rotation_seed, index=self.state.index)

    # -- what happens to it

    def skip(self, slot: float) -> None:
        """The slot is over, with or without a batch."""
        self.state = replace(self.state, last_slot=slot)

    def failed(self, why: str, *, at: float) -> None:
        """A batch got no answers: nothing was measured, and the standing says why."""
        since = self.state.since if self.state.since is not None else at
        self.state = replace(self.state, detail=why, since=since)

    def take(self, results: Sequence[ItemResult], *, at: float) -> Taken:
        """Take in a finished batch. at: Unix seconds, UTC."""
        index = self.state.index
        self.state = replace(self.state, index=index + 1, last_batch_at=at, detail="")
        events = self._identify(results, at)
        # A call that failed says nothing about the model; an answer that can't be read does.
        answers = [result for result in results if is_answer(result)]
        observations = [observed(result, self.plan.item_set) for result in answers]
        own = [observed(result, self.plan.item_set) for result in self._own(answers)]
        self.state = replace(self.state, recent=remembered(self.state.recent, own))
        events += self._follow_reference(at)
        if self._detector is not None:
            events += self._detect(self._detector, observations, at)
        record = None
        if self.state.collected is not None:
            collected = self.state.collected.add(own, index=index, per_pass=self.plan.batches_per_pass, at=at)
            more, record = self._gathered(self.state.collected, collected, at)
            events += more
        if self.state.collected is not None:
            self.state = replace(self.state, index=max(self.state.index, self.state.collected.begins))
        self._settle_condition(at)
        return Taken(tuple(events), record)

    def adopt(self, record: BaselineRecord, *, at: float) -> list[Event]:
        """Compare with this baseline from now on. ValueError: it is of another protocol."""
        differences = record.protocol.differences(self.plan.protocol)
        if differences:
            raise ValueError(f"this baseline can't be compared with, its protocol differs: {'; '.join(differences)}")
        self.state = replace(
            self.state, baseline_id=record.id, retired_id=0, model=record.model, baseline_at=record.accepted_at or at
        )
        if record.identities:
            self.state = replace(self.state, identities=Identities(known=record.identities))
        events = self._put_in_force(Baseline.from_dict(record.value), at)
        if self.state.model == self.plan.model:
            return events
        return [*events, *self.start(at)]

    def acknowledge(self, incident: int, *, new_baseline: bool, at: float) -> list[Event] | None:
        """Close the open incident of this id; with new_baseline its level becomes the accepted one, as soon as it is
        measured. None where no open incident has this id."""
        kinds: list[Kind] = [kind for kind, known in self.state.incident_ids.items() if known == incident != 0]
        if not kinds:
            return None
        step = end(self.state.incidents, "acknowledged", at=at, kinds=KINDS if new_baseline else kinds)
        events = self._apply(step)
        if new_baseline:
            self._accept_level()
        self._settle_condition(at)
        return events

    def numbered(self, taken: Taken, event_ids: Sequence[int], baseline_id: int | None) -> dict[str, Any]:
        """The state to save, once it is known under which ids the events and the baseline are saved."""
        ids = dict(self.state.incident_ids)
        for event, identity in zip(taken.events, event_ids, strict=True):
            if event.kind == "incident_opened" and _is_open(self.state.incidents, event):
                ids["regression" if event.details["kind"] == "regression" else "change"] = identity
        self.state = replace(self.state, incident_ids=ids, revision=self.state.revision + 1)
        if taken.baseline is not None and taken.baseline.accepted_at is not None and baseline_id is not None:
            self.state = replace(self.state, baseline_id=baseline_id)
        return self.state.to_dict()

    def to_saved(self) -> dict[str, Any]:
        """The state as JSON values; `Watch(plan, saved)` goes on from it."""
        return self.state.to_dict()

    def _follow_reference(self, at: float) -> list[Event]:
        """Tell when small losses, none of them an alarm of its own, have added up to the margin, and when they went."""
        distance = reference_difference(self.reference, self.state.recent)
        before = self.state.below_reference
        if distance is None or is_below(distance, self.plan.margin, before=before) == before:
            return []
        self.state = replace(self.state, below_reference=not before)
        return [reference_event(self.plan, distance, at, below=not before)]

    # -- baselines

    def _gathered(self, before: Collected, now: Collected, at: float) -> tuple[list[Event], BaselineRecord | None]:
        """What follows from a batch more: a look at an upgrade, a baseline."""
        plan = self.plan
        self.state = replace(self.state, collected=now)
        if now.complete == before.complete:
            return [], None
        events: list[Event] = []
        if self.state.upgrade is not None and self.state.upgrade.comparing:
            events = self._judge(self.state.upgrade, now, at)
        comparing = self.state.upgrade is not None and self.state.upgrade.comparing
        if self.state.collected is None or comparing or now.complete < plan.passes:
            return events, None
        if now.days < plan.min_days:
            self.state = replace(self.state, collected=now.thinned() if now.complete >= 2 * plan.passes else now)
            return events, None
        more, record = self._freeze(now, at)
        return events + more, record

    def _freeze(self, collected: Collected, at: float) -> tuple[list[Event], BaselineRecord | None]:
        """Make the baseline; where the model could not be read, say so and go on."""
        plan = self.plan
        try:
            require_sound(collected.whole, plan.item_set)
            baseline = Baseline.from_passes(collected.whole, protocol_key=plan.protocol.key)
        except ValueError as error:
            self.state = replace(self.state, collected=collected.without_first(), detail=f"No baseline yet: {error}.")
            return [], None
        accepted = self.state.accept or self.state.baseline is None
        record = BaselineRecord(
            deployment=plan.deployment,
            item_set=plan.item_set.name,
            model=plan.model,
            protocol=plan.protocol,
            digest=baseline.digest,
            created_at=at,
            source="upgrade" if self.state.upgrade is not None else "commissioning",
            value=baseline.to_dict(),
            identities=self.state.identities.known,
            days=collected.days,
            accepted_at=at if accepted else None,
        )
        kind = "baseline_accepted" if accepted else "baseline_created"
        events = [baseline_event(kind, plan, baseline, collected.days, at)]
        self.state = replace(self.state, collected=None)
        if accepted:
            self.state = replace(self.state, baseline_at=at)
            events += self._put_in_force(baseline, at)
        return events, record

    def _accept_level(self) -> None:
        """What is measured from now on is the accepted level: a baseline of it is being made, or is begun."""
        upgrade = self.state.upgrade
        if upgrade is not None and not upgrade.settled and self.state.collected is not None:
            standing = replace(upgrade.standing, accepted=True)
            self.state = replace(self.state, accept=True, upgrade=replace(upgrade, standing=standing))
            return
        boundary = self._boundary()
        self.state = replace(
            self.state,
            index=boundary,
            collected=Collected(begins=boundary),
            accept=True,
            baseline=None,
            baseline_id=0,
            baseline_at=None,
            retired_id=self.state.baseline_id,
            detector=None,
            recent={},
        )
        self._detector, self.reading = None, None


def _is_open(incidents: IncidentState, event: Event) -> bool:
    found = incidents.regression if event.details["kind"] == "regression" else incidents.change
    return found is not None and found.opened_at == event.at

"""How a watch deals with versions: notices a new one, judges it against the old one's baseline, notices a rollback."""

from collections.abc import Sequence
from dataclasses import replace

from middleware.benchmark.collecting import Collected
from middleware.benchmark.detecting import Detecting
from middleware.benchmark.identity import Identities, identities_of, model_of, observe, took_over
from middleware.benchmark.upgrade import Upgrade, judged, verdict_event
from middleware.benchmark.watch_events import upgrade_event
from middleware.records.benchmark import ItemResult
from middleware.records.event import Event
from middleware.records.standing import UpgradeStanding
from scorer.detection import declare, end, judge_worse, roll_back

__all__ = ["Upgrading"]


class Upgrading(Detecting):
    """Versions of the model behind one name, or behind the names that were configured one after another."""

    @property
    def version(self) -> str:
        """The model name that answers, as far as it is known; steady where several backends alternate."""
        return model_of(self.state.identities.known) or self.plan.model

    def start(self, at: float) -> list[Event]:
        """After a restart: where another model is configured now, that is an upgrade, and a return to the one before it
        takes the upgrade back."""
        before, now = self.state.model, self.plan.model
        if before == now:
            return []
        self.state = replace(self.state, model=now, declared_at=at)
        upgrade = self.state.upgrade
        if upgrade is not None and not upgrade.settled and upgrade.standing.from_model == now:
            return self._withdraw(at)
        self.state = replace(self.state, identities=Identities(before=self.state.identities.known))
        return [
            upgrade_event("upgrade_noticed", self.plan, before, now, at, configured=True),
            *self._begin(before, now, at, declared=True),
        ]

    def declare(self, from_model: str, to_model: str, *, at: float) -> list[Event]:
        """Somebody says that the version changes now, or that it changes back."""
        self.state = replace(self.state, declared_at=at)
        upgrade = self.state.upgrade
        if upgrade is not None and not upgrade.settled and to_model == upgrade.standing.from_model != "":
            return self._withdraw(at)
        events = self._begin(from_model or self.version, to_model, at, declared=True)
        self._settle_condition(at)
        return events

    def notice(self, other: "Upgrading", *, at: float) -> list[Event]:
        """Another watch of the same deployment saw that the version changed, or changed back."""
        seen, upgrade = other.state.identities, other.state.upgrade
        if set(seen.known) <= set(self.state.identities.known):
            return []
        if set(seen.known) & set(self.state.identities.before):
            return self._withdraw(at)
        self.state = replace(self.state, identities=replace(seen, before=self.state.identities.known))
        from_model = upgrade.standing.from_model if upgrade is not None else ""
        events = self._begin(from_model or self.version, other.version, at, declared=False)
        self._settle_condition(at)
        return events

    def _identify(self, results: Sequence[ItemResult], at: float) -> list[Event]:
        """Whether another version took over, judged by what the answers say of themselves."""
        self.state = replace(self.state, identities=observe(self.state.identities, identities_of(results)))
        identities = self.state.identities
        if not took_over(identities):
            return []
        if identities.returned:
            return self._withdraw(at)
        before, now = model_of(identities.known), model_of(identities.strange)
        fingerprints = {
            "from_fingerprint": identities.known[-1].rpartition("|")[2],
            "to_fingerprint": identities.strange[-1].rpartition("|")[2],
        }
        self.state = replace(self.state, identities=identities.replaced())
        noticed = upgrade_event("upgrade_noticed", self.plan, before, now, at, configured=False, **fingerprints)
        return [noticed, *self._begin(before, now, at, declared=False)]

    def _begin(self, from_model: str, to_model: str, at: float, *, declared: bool) -> list[Event]:
        """Judge a new version from the next pass on; without a baseline, only begin the commissioning anew."""
        boundary = self._boundary()
        collected = Collected(begins=boundary)
        if self.state.baseline is None:
            self.state = replace(self.state, index=boundary, collected=collected, recent={})
            return []
        open_ = self.state.upgrade if self.state.upgrade is not None and not self.state.upgrade.settled else None
        if open_ is not None and open_.comparing and open_.standing.declared:
            # Declared, and seen a little later: one upgrade, whose answers begin now.
            from_model, to_model, declared = open_.standing.from_model, open_.standing.to_model, True
        elif open_ is not None:
            from_model = open_.standing.from_model  # the baseline is still the version's before
        standing = UpgradeStanding(from_model, to_model, at, "comparing", declared, passes_max=self.plan.upgrade_passes)
        step = (
            declare(self.state.incidents, at=at)
            if declared
            else end(self.state.incidents, "noticed", at=at, kinds=("change",))
        )
        self.state = replace(
            self.state, index=boundary, upgrade=Upgrade(standing), collected=collected, accept=False, recent={}
        )
        return self._apply(step)

    def _withdraw(self, at: float) -> list[Event]:
        """The version before is back."""
        identities, upgrade = self.state.identities, self.state.upgrade
        if self.state.baseline is None or upgrade is None:
            self.state = replace(self.state, identities=identities.merged())
            return []
        # One that went away before it was judged and that nobody declared is a further backend.
        alternates = upgrade.comparing and not upgrade.standing.declared
        self.state = replace(
            self.state,
            identities=identities.merged() if alternates else identities.restored(),
            upgrade=None,
            collected=None,
            accept=True,
            recent={},
        )
        standing = upgrade.standing
        withdrawn = upgrade_event("upgrade_withdrawn", self.plan, standing.from_model, standing.to_model, at)
        events = [withdrawn, *self._apply(roll_back(self.state.incidents, at=at))]
        self._settle_condition(at)
        return events

    def _judge(self, upgrade: Upgrade, collected: Collected, at: float) -> list[Event]:
        """After a whole pass of the new version."""
        if self.state.baseline is None:
            return []
        plan = self.plan
        upgrade = judged(upgrade, self.state.baseline, collected.whole, plan.rules, plan.clusters, at=at)
        self.state = replace(self.state, upgrade=upgrade)
        if upgrade.comparing:
            return []
        events = [verdict_event(upgrade, plan.deployment, plan.item_set.name, len(plan.item_ids), at=at)]
        incidents = self.state.incidents
        if upgrade.standing.verdict == "regressed" and self.reading is not None:
            return events + self._apply(judge_worse(incidents, self.reading, at=at))
        if upgrade.standing.verdict != "pass":
            return events
        if incidents.regression is not None:
            events += self._apply(end(incidents, "recovered", at=at, kinds=("regression",)))
        if self.reading is not None and not (self.reading.change or self.reading.change_suspected):
            # The same answers under another name: the old baseline goes on holding, and nothing has to be learnt anew.
            self.state = replace(
                self.state,
                upgrade=replace(upgrade, settled=True),
                collected=None,
                accept=True,
                identities=self.state.identities.merged(),
            )
        else:
            self.state = replace(self.state, accept=True)
        return events

    def _own(self, results: Sequence[ItemResult]) -> list[ItemResult]:
        """Without the answers that a rollout in progress still took from the old version."""
        identities = self.state.identities
        old = set(identities.before) - set(identities.known)
        return [result for result in results if not old & set(identities_of([result]))]

    def _boundary(self) -> int:
        """Index of the first batch of the next whole pass."""
        return -(-self.state.index // self.plan.batches_per_pass) * self.plan.batches_per_pass

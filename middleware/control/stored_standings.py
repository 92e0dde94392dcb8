"""Where things stood when a sidecar last saved: for a look at the store while none is running. Nothing is changed."""

from collections.abc import Sequence

from middleware.benchmark.plan import Plan
from middleware.benchmark.watch import Watch
from middleware.records.standing import Standing
from middleware.store import Store
from scorer.baseline import Baseline

__all__ = ["stored_standings"]


def stored_standings(plans: Sequence[Plan], store: Store) -> list[Standing]:
    """One for each plan; `not_measured` where nothing was saved. Raises StoreUnavailable."""
    return [_standing(plan, store) for plan in plans]


def _standing(plan: Plan, store: Store) -> Standing:
    saved = store.load_state(plan.name)
    if saved is None:
        return _unknown(plan, "No batch has finished yet.")
    try:
        watch = Watch(plan, saved)
    except ValueError as error:
        return _unknown(plan, f"The saved state can't be used: {error}.")
    reference = store.baseline_ids(plan.deployment, plan.protocol.key)[1]
    record = store.baseline(reference) if reference is not None else None
    if record is not None:
        watch.reference = Baseline.from_dict(record.value)
    return watch.standing


def _unknown(plan: Plan, why: str) -> Standing:
    return Standing(plan.deployment, plan.item_set.name, "not_measured", plan.model, detail=why)

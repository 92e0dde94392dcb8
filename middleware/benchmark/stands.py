"""From what a watch remembers to where its subject stands, in the words and figures that people see. Pure."""

from middleware.benchmark.levels import branch_points, reference_difference, score_points
from middleware.benchmark.plan import Plan
from middleware.benchmark.watch_state import WatchState
from middleware.records.standing import Standing, StandingState
from scorer.baseline import RECOMMENDED_DAYS, Baseline
from scorer.detection import Reading

__all__ = ["condition_of", "standing_of", "stepped_up"]

_YEAR_DAYS = 365.25


def condition_of(state: WatchState, reading: Reading | None) -> StandingState:
    """The worst that holds. Without a baseline that is commissioning."""
    if state.baseline is None:
        return "commissioning"
    if state.incidents.regression is not None:
        return "regressed"
    if state.incidents.change is not None:
        return "changed"
    if state.upgrade is not None and state.upgrade.comparing:
        return "comparing"
    return "suspected" if reading is not None and reading.suspected else "fine"


def stepped_up(state: WatchState, reading: Reading | None) -> bool:
    """Whether answers are worth more soon: a fall is suspected and not yet paged, or an upgrade is being judged."""
    if state.upgrade is not None and state.upgrade.comparing:
        return True
    return state.incidents.regression is None and reading is not None and reading.suspected


def standing_of(plan: Plan, state: WatchState, reading: Reading | None, reference: Baseline | None) -> Standing:
    """The whole of it. reference: of record, or None where there is none yet."""
    collected, baseline, upgrade = state.collected, state.baseline, state.upgrade
    distance = reference_difference(reference, state.recent)
    begun = state.last_batch_at is not None or baseline is not None
    return Standing(
        deployment=plan.deployment,
        item_set=plan.item_set.name,
        state=state.condition if begun else "not_measured",
        model=plan.model,
        since=state.since,
        last_batch_at=state.last_batch_at,
        score_points=score_points(state.recent),
        baseline_points=baseline.points if baseline is not None else None,
        baseline_at=state.baseline_at,
        delta_points=reading.delta_points if reading is not None else None,
        delta_lower=reading.delta_lower if reading is not None else None,
        delta_upper=reading.delta_upper if reading is not None else None,
        passes_done=collected.complete if collected is not None else 0,
        passes_needed=plan.passes if collected is not None else 0,
        incident=state.incident_ids.get("regression", 0) or state.incident_ids.get("change", 0),
        detail=state.detail or _detail(plan, state, begun=begun),
        baseline_id=state.baseline_id,
        reference_points=distance.points if distance is not None else None,
        reference_lower=distance.lower if distance is not None else None,
        reference_upper=distance.upper if distance is not None else None,
        branch_points=branch_points(state.recent, plan.item_set),
        upgrade=upgrade.standing if upgrade is not None else None,
        stepped_up=stepped_up(state, reading),
    )


def _detail(plan: Plan, state: WatchState, *, begun: bool) -> str:
    if not begun:
        return "No batch has finished yet."
    if state.baseline is None and state.collected is not None:
        return _commissioning(plan, state)
    if state.upgrade is None or state.upgrade.settled:
        return ""
    if state.upgrade.comparing:
        return f"Pass {state.upgrade.standing.passes + 1} of at most {plan.upgrade_passes} is being asked."
    if state.collected is not None:
        return (
            f"{state.collected.complete} of {plan.passes} passes towards a baseline of the new version; until then "
            "it is compared with the old one."
        )
    return "The new version's baseline is made and waits to be accepted: eqwatch baseline list."


def _commissioning(plan: Plan, state: WatchState) -> str:
    collected = state.collected
    if collected is None:
        return ""
    missing = max(0, plan.passes - collected.complete)
    words = f"{missing} more {'pass' if missing == 1 else 'passes'} of {plan.batches_per_pass} batches"
    if missing == 0 and collected.days < plan.min_days:
        words = f"Passes go on until they span {plan.min_days:g} days ({collected.days:.1f} so far)"
    advice = (
        ""
        if plan.min_days >= RECOMMENDED_DAYS
        else f" Passes over at least {RECOMMENDED_DAYS:g} days show how days differ."
    )
    return f"{words}, or make one at once: eqwatch baseline create.{advice}"

"""Where things stand, with the reason and the remedy where nothing is measured."""

from dataclasses import replace

from middleware.admin.state import AdminState
from middleware.records.standing import Standing

__all__ = ["explained", "known_standings"]


def known_standings(state: AdminState) -> tuple[Standing, ...]:
    """What the detectors last said, in their order."""
    return tuple(explained(state, standing) for standing in state.standings())


def explained(state: AdminState, standing: Standing) -> Standing:
    """The standing; if nothing is measured, with what to do next, unless the detectors gave a reason of their own."""
    if standing.state != "not_measured":
        return standing
    benchmark = state.benchmark
    if benchmark.missing:
        detail = f"No benchmark is configured: set {' and '.join(benchmark.missing)}, then restart."
    elif not benchmark.enabled:
        detail = "The benchmark is switched off: set [benchmark] enabled = true, then restart."
    elif standing.detail:
        return standing
    elif state.paused():
        detail = "The benchmark is paused: POST /api/v1/benchmark/resume goes on with it."
    else:
        minutes = benchmark.interval.total_seconds() / 60
        detail = (
            f"The first batch has not finished. A batch of {benchmark.batch} items is due every {minutes:g} minutes."
        )
    return replace(standing, detail=detail)

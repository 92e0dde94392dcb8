"""The oracle for "counted twice": a watch that takes in what the store holds, each batch once, must stand where the
killed one stands."""

import json
from pathlib import Path
from typing import Any

from middleware.benchmark.plan import Plan
from middleware.benchmark.watch import Watch
from middleware.control.plans import benchmark_plans
from middleware.settings import load_settings
from middleware.store import Store

__all__ = ["differences"]

# What batches leave behind. Times, and what was last said of it, depend on when a batch was taken in.
_PARTS = ("index", "baseline", "detector", "recent", "identities", "passes", "condition")


def differences(store_url: str, config: Path, data_dir: Path) -> tuple[list[str], int]:
    """In what the saved state differs from one that is computed anew, in words; and how many batches it has."""
    (plan,) = benchmark_plans(load_settings(config, {"data_dir": data_dir}))
    with Store(store_url) as store:
        saved = store.load_state(plan.name)
        if saved is None:
            return ["no state was saved"], 0
        anew = _anew(store, plan, Watch(plan, saved))
    pairs = [(part, _part(anew, part), _part(saved, part)) for part in _PARTS]
    return [f"{part} is not what the batches give" for part, own, found in pairs if own != found], int(saved["index"])


def _part(state: dict[str, Any], name: str) -> Any:
    """As JSON; passes are those on the way to a baseline."""
    value = (state["collected"] or {}).get("passes") if name == "passes" else state[name]
    return json.loads(json.dumps(value))


def _anew(store: Store, plan: Plan, killed: Watch) -> dict[str, Any]:
    fresh = Watch(plan, epoch=killed.state.epoch)
    fresh.start(0.0)
    while fresh.state.index < killed.state.index:
        run = store.run(fresh.run_id())
        if run is None or run.finished_at is None:
            raise LookupError(f"batch {fresh.run_id()} was taken in, but the store does not have all of it")
        taken = fresh.take(store.item_results(run.id), at=run.finished_at)
        fresh.numbered(taken, range(1, len(taken.events) + 1), 1)
    return fresh.to_saved()

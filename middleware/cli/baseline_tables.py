"""How baselines look on a terminal and as JSON."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from middleware.benchmark.baselines import content_of
from middleware.benchmark.watch_state import restored
from middleware.cli.printing import print_table
from middleware.control.plans import benchmark_configured, benchmark_plans
from middleware.records.baseline import BaselineRecord
from middleware.settings import Settings
from middleware.store import Store
from scorer.baseline import RECOMMENDED_DAYS, RECOMMENDED_PASSES
from scorer.reference import Difference

__all__ = [
    "difference_words",
    "in_force_ids",
    "print_baseline",
    "print_commissioning",
    "print_list",
    "row_of",
]


def in_force_ids(store: Store) -> set[int]:
    """The ids of all baselines that are compared with."""
    keys = {(record.deployment, record.protocol.key) for record in store.baselines()}
    found = (store.baseline_ids(deployment, key)[0] for deployment, key in keys)
    return {identity for identity in found if identity is not None}


def row_of(record: BaselineRecord, force: Collection[int]) -> dict[str, Any]:
    """The JSON form of a baseline without its items. Times: Unix seconds, UTC; run_sd_points: SD of one pass."""
    baseline = content_of(record)
    return {
        "id": record.id,
        "deployment": record.deployment,
        "item_set": record.item_set,
        "version": record.version,
        "model": record.model,
        "score": baseline.points,
        "items": baseline.size,
        "excluded": list(baseline.excluded),
        "passes": baseline.passes,
        "days": record.days,
        "run_sd_points": baseline.run_sd_points,
        "source": record.source,
        "created_at": record.created_at,
        "accepted_at": record.accepted_at,
        "in_force": record.id in force,
        "reference": record.reference,
        "protocol": record.protocol.key,
        "digest": record.digest,
    }


def print_list(records: Sequence[BaselineRecord], force: Collection[int], console: Console) -> None:
    """A table, oldest first."""
    if not records:
        console.print("no baselines yet: eqwatch baseline create makes one, and so does serve", soft_wrap=True)
        return
    table = Table()
    for name in ("id", "deployment", "items", "model"):
        table.add_column(name)
    for name in ("score", "noise", "passes", "days"):
        table.add_column(name, justify="right")
    for name in ("made", "accepted", ""):
        table.add_column(name)
    for record in records:
        row = row_of(record, force)
        marks = [word for word, holds in (("in force", row["in_force"]), ("reference", record.reference)) if holds]
        table.add_row(
            str(record.id),
            escape(record.deployment),
            escape(f"{record.item_set} v{record.version}"),
            escape(record.model),
            f"{row['score']:.1f}",
            f"{row['run_sd_points']:.2f}",
            str(row["passes"]),
            f"{record.days:.1f}",
            _date(record.created_at),
            _date(record.accepted_at) if record.accepted_at is not None else "no",
            ", ".join(marks),
        )
    print_table(table, console)


def print_baseline(record: BaselineRecord, force: Collection[int], console: Console) -> None:
    """One baseline in words, with what could be better about it."""
    row = row_of(record, force)
    status = "in force" if row["in_force"] else "accepted before" if record.accepted_at is not None else "not accepted"
    title = (
        f"baseline {record.id}: {record.model} on {record.item_set}, version {record.version} of {record.deployment}"
    )
    lines = [
        f"{title}, {status}{', reference of record' if record.reference else ''}",
        f"score {row['score']:.2f} points over {row['items']} items; a pass varies by {row['run_sd_points']:.2f} (SD)",
        f"{row['passes']} passes within {record.days:.1f} days, made {_date(record.created_at)} ({record.source})",
    ]
    if row["excluded"]:
        lines.append(f"{len(row['excluded'])} items are left out: too few of their answers could be read")
    if row["passes"] < RECOMMENDED_PASSES:
        lines.append(f"{RECOMMENDED_PASSES} passes are recommended: with fewer there are more false alarms")
    if record.days < RECOMMENDED_DAYS:
        lines.append(
            f"passes over at least {RECOMMENDED_DAYS:g} days are recommended: these do not show how days differ"
        )
    if record.accepted_at is None:
        lines.append(f"put it in force: eqwatch baseline accept {record.id}")
    for line in lines:
        console.print(escape(line), highlight=False, soft_wrap=True)


def print_commissioning(settings: Settings, store: Store, console: Console) -> None:
    """How far `serve` is with the baselines that it is making."""
    if not benchmark_configured(settings):
        return
    for plan in benchmark_plans(settings):
        saved: Mapping[str, Any] | None = store.load_state(plan.name)
        try:
            state = restored(saved) if saved is not None else None
        except ValueError:
            state = None
        if state is None or state.collected is None:
            continue
        done = state.collected.complete
        missing = max(0, plan.passes - done)
        console.print(
            f"{plan.deployment} on {plan.item_set.name}: {done} of {plan.passes} passes of the next baseline are done, "
            f"{missing} more are needed; they span {state.collected.days:.1f} days so far "
            f"({RECOMMENDED_DAYS:g} are recommended)",
            highlight=False,
            soft_wrap=True,
        )


def difference_words(first: BaselineRecord, second: BaselineRecord, found: Difference) -> str:
    """The later one against the earlier one, in a sentence."""
    return (
        f"baseline {second.id} ({escape(second.model)}) is {found.points:+.2f} points against baseline {first.id} "
        f"({escape(first.model)}), 95 % interval {found.lower:+.2f} to {found.upper:+.2f}, over {found.items} items"
    )


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")

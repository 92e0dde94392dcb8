"""`eqwatch compare A B`: two runs or baselines, item by item, with an interval. Other protocols are refused."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from middleware.admin.verdict import points
from middleware.benchmark.baselines import content_of
from middleware.benchmark.item_sets import load
from middleware.cli.exit_codes import NO, UNDECIDED
from middleware.cli.options import DataDir
from middleware.cli.printing import output, print_table
from middleware.errors import ConfigurationError, ItemSetError
from middleware.records.baseline import BaselineRecord
from middleware.records.benchmark import ItemResult, Protocol, Run
from middleware.settings import Settings, load_settings
from middleware.store import Store
from scorer.baseline import Baseline
from scorer.comparison import Comparison, GateRules, Paired, compare_with_baseline
from scorer.comparison import compare as compare_passes
from scorer.reference import baseline_difference

__all__ = ["compare"]

_TWO_SIDED_95 = 0.025
_EXIT = {"pass": 0, "regressed": NO, "undecided": UNDECIDED, "unmeasured": UNDECIDED}
Passes = list[dict[str, float | None]]


@dataclass(frozen=True, slots=True)
class _Side:
    """A run with its passes, or a baseline."""

    name: str
    model: str
    protocol: Protocol
    baseline: Baseline | None
    passes: Passes


@dataclass(frozen=True, slots=True)
class _Found:
    """Later minus earlier in points with a 95 % interval; items: those with a pair; by_item: points, None: no pair."""

    verdict: str
    reason: str
    points: float
    lower: float
    upper: float
    by_item: Mapping[str, float | None]
    readable: tuple[float, float] | None


def compare(
    earlier: Annotated[str, typer.Argument(metavar="A", help="A run of `eqwatch runs`, or the id of a baseline.")],
    later: Annotated[str, typer.Argument(metavar="B", help="What is compared with it: the same.")],
    margin: Annotated[float, typer.Option(min=0.01, max=100, help="Points that B may be worse.")] = 1.0,
    worst: Annotated[int, typer.Option(min=0, max=1000, help="How many of the items that lost most to list.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    data_dir: DataDir = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file; default: eqwatch.toml if there.")] = None,
) -> None:
    """How far B is from A: the paired difference over the items of both, with a 95 % interval, and the worst items.

    The interval says how sure it is of these items. What was asked in another way is refused, with what differs. Exit
    code 0: B is not worse by the margin. 1: it is worse. 3: undecided, or too few items in common.

    Example: eqwatch compare 3 20261128T072047Z-fb01d56a
    """
    settings = load_settings(config, {"data_dir": data_dir} if data_dir is not None else {})
    with Store(settings.store_url) as store:
        a, b = _side(store, earlier), _side(store, later)
    differences = a.protocol.differences(b.protocol)
    if differences:
        raise ConfigurationError(
            f"{a.name} and {b.name} can't be compared, their protocols differ: {'; '.join(differences)}"
        )
    found = _compared(a, b, margin, _clusters(a.protocol.item_set, settings))
    if as_json:
        print(json.dumps(_json(a, b, found, worst), ensure_ascii=False, allow_nan=False))
    else:
        _print(a, b, found, worst, margin)
    raise typer.Exit(_EXIT[found.verdict])


def _side(store: Store, name: str) -> _Side:
    if name.isdecimal():
        record = store.baseline(int(name))
        if record is not None:
            return _of_baseline(record)
    run = store.run(name)
    if run is None:
        raise ConfigurationError(f"{name!r} is neither a run (eqwatch runs) nor a baseline (eqwatch baseline list)")
    return _of_run(run, store.item_results(run.id))


def _of_baseline(record: BaselineRecord) -> _Side:
    return _Side(f"baseline {record.id}", record.model, record.protocol, content_of(record), [])


def _of_run(run: Run, results: list[ItemResult]) -> _Side:
    """A missing call is not asked, an answer that can't be read is None: missing is never zero."""
    passes: Passes = [{} for _ in range(run.passes)]
    for result in results:
        if result.outcome not in {"api_error", "timeout"} and result.repetition < run.passes:
            passes[result.repetition][result.item_id] = result.score
    if not any(passes):
        raise ConfigurationError(f"run {run.id} has no answers")
    return _Side(f"run {run.id}", run.model, run.protocol, None, passes)


def _compared(a: _Side, b: _Side, margin: float, clusters: Mapping[str, str]) -> _Found:
    if a.baseline is not None and b.baseline is not None:
        return _baselines(a.baseline, b.baseline, margin)
    if b.baseline is not None:
        raise ConfigurationError(f"{a.name} can't be the earlier one of a baseline: swap them")
    if a.baseline is not None:
        return _said(compare_with_baseline(a.baseline, b.passes, _rules(margin, len(b.passes)), clusters))
    number = min(len(a.passes), len(b.passes))
    asked = dict.fromkeys(item for one in b.passes for item in one)
    both = list(dict.fromkeys(item for one in a.passes for item in one if item in asked))
    if not both:
        raise ConfigurationError(f"{a.name} and {b.name} have no item in common")
    paired = Paired.of(both, a.passes[:number], b.passes[:number], clusters)
    return _said(compare_passes(paired, _rules(margin, number)))


def _rules(margin: float, passes: int) -> GateRules:
    """One look after all passes, with the bounds of a two-sided 95 % interval."""
    looks = math.ceil(math.log2(passes)) + 1
    return GateRules(margin, passes, alpha=_TWO_SIDED_95 * 2.0**looks)


def _said(found: Comparison) -> _Found:
    these = found.these_items
    return _Found(
        found.verdict or "undecided",
        found.reason,
        these.points,
        these.lower,
        these.upper,
        found.item_points,
        (found.readable_baseline, found.readable_candidate),
    )


def _baselines(a: Baseline, b: Baseline, margin: float) -> _Found:
    found = baseline_difference(a, b)
    before = dict(zip(a.item_ids, a.means.tolist(), strict=True))
    after = dict(zip(b.item_ids, b.means.tolist(), strict=True))
    by_item = {item: 10.0 * (after[item] - value) if item in after else None for item, value in before.items()}
    if found is None:
        return _Found("unmeasured", "too few items in common", math.nan, math.nan, math.nan, by_item, None)
    verdict, reason = "undecided", "the interval holds both no loss and a loss over the margin"
    if found.lower > -margin:
        verdict, reason = "pass", "worse within the margin" if found.upper < 0.0 else "not worse than the margin"
    elif found.upper < 0.0:
        verdict, reason = "regressed", "worse than the margin" if found.upper < -margin else "worse, margin unresolved"
    return _Found(verdict, reason, found.points, found.lower, found.upper, by_item, None)


def _clusters(item_set: str, settings: Settings) -> Mapping[str, str]:
    """Items of one dialogue belong together; where the set is not here each stands for itself."""
    try:
        loaded = load(item_set, settings.data_dir)
    except ItemSetError:
        return {}
    return {item.id: item.cluster for item in loaded.items if item.cluster}


def _worst(found: _Found, count: int) -> list[tuple[str, float]]:
    known = [(item, value) for item, value in found.by_item.items() if value is not None and value < 0.0]
    return sorted(known, key=lambda row: row[1])[:count]


def _json(a: _Side, b: _Side, found: _Found, worst: int) -> dict[str, Any]:
    def known(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "a": {"name": a.name, "model": a.model},
        "b": {"name": b.name, "model": b.model},
        "protocol": a.protocol.key,
        "verdict": found.verdict,
        "reason": found.reason,
        "points": known(found.points),
        "lower": known(found.lower),
        "upper": known(found.upper),
        "confidence": 1.0 - 2.0 * _TWO_SIDED_95,
        "items": sum(value is not None for value in found.by_item.values()),
        "readable": None if found.readable is None else {"a": found.readable[0], "b": found.readable[1]},
        "worst": [{"item": item, "points": value} for item, value in _worst(found, worst)],
        "item_points": dict(found.by_item),
    }


def _print(a: _Side, b: _Side, found: _Found, worst: int, margin: float) -> None:
    console = output()
    colour = {"pass": "bold green", "regressed": "bold red"}.get(found.verdict, "bold yellow")
    items = sum(value is not None for value in found.by_item.values())
    console.print(f"{escape(b.name)} ({escape(b.model)}) against {escape(a.name)} ({escape(a.model)})", highlight=False)
    if math.isfinite(found.points):
        console.print(
            f"[bold]{points(found.points)}[/] points, 95% interval {_end(found.lower)} to {_end(found.upper)}, "
            f"over {items} items",
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"[{colour}]{found.verdict}[/]: {found.reason} (margin {margin:g})", highlight=False, soft_wrap=True)
    if found.readable is not None and found.readable[0] != found.readable[1]:
        shares = f"readable answers: {found.readable[0]:.1%} and {found.readable[1]:.1%}"
        console.print(shares, highlight=False)
    if rows := _worst(found, worst):
        table = Table(title="items that lost most, in points", title_justify="left")
        table.add_column("item")
        table.add_column("change", justify="right")
        for item, value in rows:
            table.add_row(escape(item), points(value))
        print_table(table, console)


def _end(value: float) -> str:
    return points(value) if math.isfinite(value) else "unknown"

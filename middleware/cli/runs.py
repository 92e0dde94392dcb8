"""`eqwatch runs`: the benchmark runs that are stored, and the items of one of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from middleware.admin.api import run_body, run_detail
from middleware.admin.bodies import RunBody, RunDetail
from middleware.cli.asking import AdminApi, Token, Url
from middleware.cli.exit_codes import UNDECIDED
from middleware.cli.options import DataDir
from middleware.cli.printing import output, print_table
from middleware.errors import NothingThere
from middleware.settings import load_settings
from middleware.store import Store

__all__ = ["runs"]

_LOOKED_AT = 1000
_TABLE_WIDTH = 140


def runs(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="One run, with its items.")] = None,
    deployment: Annotated[str | None, typer.Option(help="Only of this deployment.")] = None,
    items: Annotated[str | None, typer.Option(help="Only on this item set.")] = None,
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
    purpose: Annotated[str | None, typer.Option(metavar="batch|manual|gate", help="Only for this purpose.")] = None,
    status: Annotated[str | None, typer.Option(metavar="running|finished|stopped", help="Only in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=_LOOKED_AT, help="How many at most, the newest.")] = 20,
    url: Url = None,
    token: Token = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON value.")] = False,
    data_dir: DataDir = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file; default: eqwatch.toml if there.")] = None,
) -> None:
    """List benchmark runs, newest first, or show one with its items.

    Reads the store, or with --url a running sidecar. Filters look at the newest 1000 runs. Exit code 3: no such run.

    Example: eqwatch runs --deployment default --limit 5
    """
    settings = load_settings(config, {"data_dir": data_dir} if data_dir is not None else {})
    source = AdminApi(url, token) if url is not None else Store(settings.store_url)
    if run is not None:
        _show(_detail(source, run), as_json=as_json)
        return
    wanted = {"item_set": items, "model": model, "purpose": purpose, "status": status}
    found = [
        one
        for one in _listed(source, deployment)
        if all(value is None or getattr(one, name) == value for name, value in wanted.items())
    ][:limit]
    if as_json:
        print(json.dumps([one.model_dump() for one in found], ensure_ascii=False))
    else:
        _print(found, output())
    if not found:
        raise typer.Exit(UNDECIDED)


def _listed(source: AdminApi | Store, deployment: str | None) -> list[RunBody]:
    if isinstance(source, AdminApi):
        parameters: dict[str, str | int] = {"limit": _LOOKED_AT}
        if deployment is not None:
            parameters["deployment"] = deployment
        return [RunBody.model_validate(one) for one in source.get("/api/v1/runs", parameters)]
    with source as store:
        return [run_body(one) for one in store.runs(deployment, _LOOKED_AT)]


def _detail(source: AdminApi | Store, run_id: str) -> RunDetail:
    if isinstance(source, AdminApi):
        return RunDetail.model_validate(source.get(f"/api/v1/runs/{run_id}"))
    with source as store:
        found = store.run(run_id)
        if found is None:
            raise NothingThere(f"the store has no run {run_id!r}: see eqwatch runs")
        return run_detail(found, store.item_results(run_id))


def _print(found: Sequence[RunBody], console: Console) -> None:
    if not found:
        console.print("no runs: eqwatch run makes one, and so does serve", soft_wrap=True)
        return
    if console.width < _TABLE_WIDTH:
        for one in found:
            console.print(_lines(one), highlight=False, soft_wrap=True)
        return
    table = Table()
    for name in ("run", "started (UTC)", "deployment", "model", "items"):
        table.add_column(name, overflow="fold")
    table.add_column("score", justify="right")
    table.add_column("readable", justify="right")
    for name in ("purpose", "status"):
        table.add_column(name)
    for one in found:
        table.add_row(
            escape(one.id),
            _started(one),
            escape(one.deployment),
            escape(one.model),
            escape(one.item_set),
            "-" if one.score is None else f"{one.score:.1f}",
            _readable(one),
            one.purpose,
            one.status,
        )
    print_table(table, console)


def _lines(one: RunBody) -> str:
    """In a narrow terminal: the id by itself, to be copied, and what else there is under it."""
    score = "no score" if one.score is None else f"{one.score:.1f} points"
    about = f"{escape(one.deployment)}, {escape(one.model)}, {escape(one.item_set)}"
    figures = f"{score}, {_readable(one)} readable, {one.purpose}, {one.status}"
    return f"[bold]{escape(one.id)}[/]\n  {_started(one)} UTC  {figures}\n  {about}"


def _started(one: RunBody) -> str:
    return datetime.fromtimestamp(one.started_at, UTC).strftime("%Y-%m-%d %H:%M")


def _readable(one: RunBody) -> str:
    return "-" if one.parseable is None else f"{one.parseable} of {one.items}"


def _show(found: RunDetail, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.model_dump(), ensure_ascii=False))
        return
    console = output()
    _print([found], console)
    table = Table(title="items, in points, the worst first", title_justify="left")
    table.add_column("item")
    table.add_column("score", justify="right")
    for name, points in sorted(found.item_scores.items(), key=lambda row: (row[1] is None, row[1] or 0.0)):
        table.add_row(escape(name), "-" if points is None else f"{points:.1f}")
    print_table(table, console)
    outcomes = ", ".join(f"{count} {name}" for name, count in found.outcomes.items())
    console.print(outcomes or "nothing was answered yet", highlight=False, soft_wrap=True)
    for flag in found.flags:
        console.print(f"[bold yellow]degenerate[/]: {escape(flag)}", highlight=False, soft_wrap=True)

"""`eqwatch status`: is the models' EQ all right? The verdict of the status page in a terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from middleware.admin.bodies import VerdictBody
from middleware.admin.verdict import Verdict, overall, points, ranked, span, verdict
from middleware.admin.verdict_body import verdict_body, verdict_of
from middleware.cli.asking import AdminApi, Token, Url, url_of
from middleware.cli.exit_codes import NO, UNDECIDED
from middleware.cli.options import DataDir
from middleware.cli.printing import output, print_table
from middleware.control.plans import benchmark_plans, missing_settings
from middleware.control.stored_standings import stored_standings
from middleware.errors import ConfigurationError, NothingThere, NotReached
from middleware.settings import Settings, load_settings
from middleware.settings.secrets import revealed
from middleware.store import Store

__all__ = ["exit_code", "status"]

_COLORS = {"bad": "bold red", "warn": "bold yellow", "none": "bold", "info": "bold blue", "good": "bold green"}
_TABLE_WIDTH = 130
_INCIDENT = frozenset({"regressed", "changed"})


def status(
    url: Url = None,
    token: Token = None,
    deployment: Annotated[str | None, typer.Option(help="Only of this deployment.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as one JSON array.")] = False,
    data_dir: DataDir = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file; default: eqwatch.toml if there.")] = None,
) -> None:
    """Is the models' EQ all right? Every deployment and item set, the worst first.

    Asks the running sidecar (--url, else where the configuration says that it listens); where none runs, the store says
    how things stood. Exit code 0: all fine. 1: an incident is open. 3: undecided, out of date or not measured yet.

    Example: eqwatch status --url http://127.0.0.1:8081
    """
    settings = load_settings(config, {"data_dir": data_dir} if data_dir is not None else {})
    found, source = _verdicts(settings, url, token)
    found = ranked([one for one in found if deployment in {None, one.standing.deployment}])
    if not found and deployment is not None:
        raise ConfigurationError(f"--deployment {deployment}: nothing is watched under this name")
    if as_json:
        print(json.dumps([verdict_body(one).model_dump() for one in found], ensure_ascii=False))
    else:
        _print(found, source, settings, output())
    raise typer.Exit(exit_code(found))


def exit_code(found: Sequence[Verdict]) -> int:
    """0 where all is fine, 1 where an incident is open, else 3."""
    if any(one.standing.state in _INCIDENT for one in found):
        return NO
    return 0 if found and all(one.tone == "good" for one in found) else UNDECIDED


def _verdicts(settings: Settings, url: str | None, token: str | None) -> tuple[list[Verdict], str]:
    """The verdicts and where they are from."""
    if url is not None:
        return _asked(AdminApi(url, token)), url
    own = url_of(settings)
    if own is not None:
        try:
            return _asked(AdminApi(own, token or revealed(settings.admin.token) or None)), own
        except NotReached as error:
            if not error.nobody_there:
                raise
    interval = settings.benchmark.interval
    with Store(settings.store_url) as store:
        standings = stored_standings(benchmark_plans(settings), store)
    return [
        verdict(one, now=time.time(), interval=interval) for one in standings
    ], "the store: no sidecar is running here"


def _asked(api: AdminApi) -> list[Verdict]:
    try:
        content: Any = api.get("/api/v1/verdicts")
        return [verdict_of(VerdictBody.model_validate(one)) for one in content]
    except (NothingThere, ValidationError, TypeError):
        raise NotReached(f"{api.url} answers in another shape: it is another version, or no sidecar") from None


def _print(found: Sequence[Verdict], source: str, settings: Settings, console: Console) -> None:
    if not found:
        missing = " and ".join(missing_settings(settings))
        words = f"set {missing}" if missing else "no deployment and item set is configured"
        console.print(f"[bold]Not measured[/]: {escape(words)}", highlight=False, soft_wrap=True)
        return
    whole = overall(found)
    count = f" ({len(found)} watched: {whole.count})" if whole.count else ""
    console.print(f"[{_COLORS[whole.tone]}]{escape(whole.headline)}[/]{escape(count)}", highlight=False, soft_wrap=True)
    first = found[0]
    if first.cause is not None:
        cause = f"After the upgrade from {first.cause.from_model or '?'} to {first.cause.to_model or '?'}"
        console.print(f"{escape(cause)}, {_moment(first.cause.since)}.", highlight=False, soft_wrap=True)
    for words in (first.words, first.next_step):
        if words:
            console.print(escape(words), highlight=False, soft_wrap=True)
    print_table(_table(found, narrow=console.width < _TABLE_WIDTH), console)
    console.print(f"[dim]from {escape(source)}[/]", highlight=False, soft_wrap=True)


def _table(found: Sequence[Verdict], *, narrow: bool) -> Table:
    """narrow: without what the words above say of the worst one, so that nothing is cut."""
    table = Table(box=box.SIMPLE_HEAD if narrow else box.HEAVY_HEAD, pad_edge=not narrow, padding=(0, 1))
    for name in ("deployment", "items", "verdict"):
        table.add_column(name)
    table.add_column("change, 95% interval", justify="right")
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("last batch")
    if not narrow:
        table.add_column("since")
        table.add_column("upgrade")
    for one in found:
        standing, upgrade = one.standing, one.standing.upgrade
        ago = "-" if standing.last_batch_at is None else f"{span(time.time() - standing.last_batch_at)} ago"
        cells = [
            escape(standing.deployment),
            escape(standing.item_set),
            f"[{_COLORS[one.tone]}]{escape(one.headline)}[/]",
            _change(one),
            "-" if standing.score_points is None else f"{standing.score_points:.1f}",
            ago,
        ]
        if not narrow:
            cells.append("-" if standing.since is None else _moment(standing.since))
            cells.append("-" if upgrade is None else escape(f"{upgrade.to_model}: {upgrade.verdict}"))
        table.add_row(*cells)
    return table


def _change(found: Verdict) -> str:
    standing = found.standing
    if standing.delta_points is None:
        return "-"
    if standing.delta_lower is None or standing.delta_upper is None:
        return points(standing.delta_points)
    return f"{points(standing.delta_points)} ({points(standing.delta_lower)} to {points(standing.delta_upper)})"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")

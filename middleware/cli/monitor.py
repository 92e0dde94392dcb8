"""`eqwatch monitor`: the one process of a fleet that owns schedule, baselines, detectors, pairing and awareness."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from middleware.admin.access import is_local
from middleware.cli.serving import checked, said_of_benchmark, said_of_deployments
from middleware.control.composition import serve as serve_control
from middleware.control.logs import configure_logs
from middleware.errors import ConfigurationError
from middleware.settings import Settings, load_settings
from middleware.settings.secrets import shared_salt

__all__ = ["monitor"]


def monitor(
    upstream: Annotated[str | None, typer.Option(help="Chat API that benchmark and probes ask.")] = None,
    admin_listen: Annotated[
        str | None, typer.Option(help="Where sidecars report, and API, metrics and status page are. [127.0.0.1:8081]")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where the store and the items are kept.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file; default: eqwatch.toml if there.")] = None,
) -> None:
    """Watch for a whole fleet: sidecars started with `eqwatch serve --monitor URL` report here.

    It passes no traffic. Run one: with SQLite, or with PostgreSQL as store.url. Needs EQWATCH_SALT, the same as theirs.

    Example: EQWATCH_SALT=… EQWATCH_ADMIN_INGEST_TOKEN=… eqwatch monitor --admin-listen 0.0.0.0:8081
    """
    overrides: dict[str, Any] = {}
    if upstream:
        overrides["upstream"] = {"url": upstream}
    if admin_listen:
        overrides["admin"] = {"listen": admin_listen}
    if data_dir:
        overrides["data_dir"] = data_dir
    settings = load_settings(config, overrides)
    _check(settings)
    typer.echo(f"eqwatch: sidecars report to {_url(settings)}, with EQWATCH_MONITOR_TOKEN", err=True)
    typer.echo(f"eqwatch: {said_of_benchmark(settings)}", err=True)
    typer.echo(f"eqwatch: {said_of_deployments(settings)}", err=True)
    configure_logs(settings.log, sys.stderr)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        raise typer.Exit(runner.run(serve_control(settings, None)))


def _check(settings: Settings) -> None:
    shared_salt(settings, "eqwatch monitor")
    admin = settings.admin
    if not is_local(admin.listen) and admin.ingest_token is None and admin.operate_token is None:
        raise ConfigurationError(
            f"admin.listen {admin.listen!r} is reachable from outside and no sidecar could report: set "
            "EQWATCH_ADMIN_INGEST_TOKEN, and give it to the sidecars as EQWATCH_MONITOR_TOKEN"
        )
    if settings.upstream.api_key is not None and not settings.upstream.url:
        raise ConfigurationError(
            "upstream.url is missing: benchmark and probes ask it; pass --upstream URL, or set EQWATCH_UPSTREAM_URL"
        )
    checked(settings)


def _url(settings: Settings) -> str:
    return f"{'https' if settings.admin.certificate else 'http'}://{settings.admin.listen}"

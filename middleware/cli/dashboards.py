"""`eqwatch dashboards`: writes the Grafana dashboards as JSON files."""

from pathlib import Path
from typing import Annotated

import typer

from middleware.errors import ConfigurationError
from middleware.observe.dashboards import dashboard_files

__all__ = ["dashboards"]

STATUS_URL = "http://127.0.0.1:8081"


def dashboards(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Directory for the files; made if it is not there.")],
    status_url: Annotated[
        str, typer.Option(metavar="URL", help="Where people reach the status page; each dashboard can change it.")
    ] = STATUS_URL,
    runbooks_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where docs/runbooks can be read; without it panels only name the runbook."),
    ] = None,
) -> None:
    """Write Grafana dashboards: Overview, Upgrade comparison, Emotions by deployment, Operations.

    They need a Prometheus data source and nothing else: job, instance and deployment are variables. Needs the extra
    `dashboards`.

    Example: eqwatch dashboards --out /etc/grafana/dashboards --status-url https://eqwatch.example.com
    """
    files = dashboard_files(status_url=status_url.rstrip("/"), runbooks_url=runbooks_url)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (out / name).write_text(text, encoding="utf-8")
            typer.echo(str(out / name))
    except OSError as error:
        raise ConfigurationError(f"--out {out} can't be written: {error}") from None

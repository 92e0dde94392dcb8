"""`eqwatch rules`: the recording and alerting rules, for Prometheus or for its operator."""

import json
from typing import Annotated

import typer
from rich.table import Table

from middleware.cli.printing import print_table
from middleware.errors import ConfigurationError

__all__ = ["rules"]


def rules(
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="A rules file for Prometheus (the default).")
    ] = False,
    prometheus_operator: Annotated[
        bool, typer.Option("--prometheus-operator", help="A PrometheusRule for the Prometheus operator.")
    ] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set a threshold; repeats.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List what can be set, with its range.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --list: print one JSON value.")] = False,
) -> None:
    """Print the recording and alerting rules as YAML.

    Every alert has a summary, a description with the figures, a link to its runbook, a least n, and hysteresis.

    Example: eqwatch rules --set regression_points=1 --set EQRegression.for=10m > eqwatch.rules.yml
    """
    from middleware.observe import operator_file, rules_file

    if prometheus and prometheus_operator:
        raise ConfigurationError("--prometheus and --prometheus-operator exclude one another: keep one")
    if list_:
        _list(as_json)
    elif as_json:
        raise ConfigurationError("--json goes with --list: rules are YAML")
    else:
        print(operator_file(settings or ()) if prometheus_operator else rules_file(settings or ()), end="")


def _list(as_json: bool) -> None:
    from middleware.observe import SETTINGS
    from middleware.observe.alerts_doc import span

    if as_json:
        print(
            json.dumps([{"name": t.name, "default": t.default, "range": span(t), "about": t.about} for t in SETTINGS])
        )
        return
    table = Table("name", "default", "range", "what it is")
    for threshold in SETTINGS:
        table.add_row(threshold.name, threshold.default, span(threshold), threshold.about)
    print_table(table)

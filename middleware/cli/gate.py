"""`eqwatch gate`: decides an upgrade. Exit 0 pass, 1 regressed, 2 wrong use, 3 undecided, 4 could not measure."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from middleware.benchmark.item_sets import load
from middleware.benchmark.protocol import make_protocol
from middleware.cli.gating import GateCalls, carry_out, print_gate, say_forecast
from middleware.cli.options import Contamination, VariantSeed
from middleware.cli.run import answer_format_named, text_of
from middleware.cli.spending import DryRun, Limits, MaxCost, MaxTokensTotal
from middleware.errors import ConfigurationError
from middleware.gate import GateRequest, Subject, report_formats, write_reports
from middleware.gate.as_json import as_json
from middleware.settings import Settings, load_settings
from middleware.settings.secrets import revealed
from middleware.upstream import normalise_upstream
from scorer.comparison import GateRules
from scorer.variants import variant_of

__all__ = ["CANDIDATE_KEY", "EXIT_CODES", "gate"]

CANDIDATE_KEY = "EQWATCH_CANDIDATE_API_KEY"
EXIT_CODES = {"pass": 0, "regressed": 1, "undecided": 3, "unmeasured": 4}


def gate(
    baseline: Annotated[str, typer.Option(help="Model that is in use.")],
    candidate: Annotated[str, typer.Option(help="Model that would replace it.")],
    upstream: Annotated[str | None, typer.Option(help="Chat API: its origin, or the SDK-style base URL.")] = None,
    candidate_upstream: Annotated[str | None, typer.Option(help="Chat API of the candidate, if another.")] = None,
    items: Annotated[str, typer.Option(help="Item set: a name from `eqwatch items list`, or a file.")] = "bundled",
    margin: Annotated[float, typer.Option(min=0.01, max=100, help="Points that the candidate may be worse.")] = 1.0,
    max_passes: Annotated[int, typer.Option(min=1, max=1024, help="Passes over all items at most.")] = 4,
    report: Annotated[
        list[Path] | None, typer.Option(help="Write a report; .html, .md, .json or .xml (JUnit); repeats.")
    ] = None,
    answer_format: Annotated[str, typer.Option(metavar="text|json_schema", help="How to answer.")] = "text",
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Calls at once at each upstream.")] = 16,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="Sampling temperature.")] = 0.01,
    max_tokens: Annotated[int | None, typer.Option(min=8, help="Completion allowance; default by format.")] = None,
    reasoning_tokens: Annotated[
        int, typer.Option(min=0, help="Tokens a reasoning model may think in, on top of the answer's allowance.")
    ] = 0,
    timeout: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Time limit of one call.")] = 120.0,
    system_prompt: Annotated[Path | None, typer.Option(metavar="FILE", help="System prompt to ask under.")] = None,
    order_seed: Annotated[int, typer.Option(min=0, help="Seed of the order in which items are asked.")] = 0,
    contamination: Contamination = False,
    variant_seed: VariantSeed = 1,
    max_tokens_total: MaxTokensTotal = None,
    max_cost: MaxCost = None,
    dry_run: DryRun = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew where an unfinished gate could go on.")] = False,
    as_json_: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the store and the items are kept; default: as configured.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file; default: eqwatch.toml if there.")] = None,
) -> None:
    """Decide whether a candidate may replace a baseline: the same items on both, in turn.

    Exit code 0: pass. 1: regressed. 3: undecided, and what would decide it. 2: wrong use. 4: could not measure. Keys
    come from EQWATCH_UPSTREAM_API_KEY and EQWATCH_CANDIDATE_API_KEY. After a crash the same command goes on.

    Example: eqwatch gate --upstream https://api.example.com/v1 --baseline model-1 --candidate model-2
    """
    reports = report or []
    report_formats(reports)
    overrides: dict[str, Any] = {"data_dir": data_dir} if data_dir is not None else {}
    if upstream is not None:
        overrides["upstream"] = {"url": upstream}
    settings = load_settings(config, overrides)
    if not settings.upstream.url:
        raise ConfigurationError("no upstream: pass --upstream URL, or set EQWATCH_UPSTREAM_URL")
    ours = normalise_upstream(settings.upstream.url)
    theirs = normalise_upstream(candidate_upstream) if candidate_upstream is not None else ours
    item_set = load(items, settings.data_dir)
    system_text = text_of(system_prompt)
    protocol = make_protocol(
        item_set,
        answer_format=answer_format_named(answer_format),
        temperature=temperature,
        max_tokens=max_tokens,
        system_prompt=system_text,
        reasoning_tokens=reasoning_tokens,
    )
    request = GateRequest(
        Subject(ours, baseline),
        Subject(theirs, candidate),
        item_set,
        protocol,
        GateRules(margin, max_passes),
        order_seed,
        variant_of(item_set, variant_seed) if contamination else None,
    )
    keys = _keys(settings, same=ours == theirs)
    calls = GateCalls(settings, keys, concurrency, timeout, system_text, Limits(max_tokens_total, max_cost))
    if dry_run:
        say_forecast(request, calls, as_json=as_json_)
        return
    found = carry_out(request, calls, fresh=fresh)
    write_reports(found, reports)
    if as_json_:
        print(json.dumps(as_json(found), ensure_ascii=False, allow_nan=False))
    else:
        print_gate(found, reports)
    raise typer.Exit(EXIT_CODES[found.verdict])


def _keys(settings: Settings, *, same: bool) -> tuple[str | None, str | None]:
    """A key goes to its own upstream only: the candidate's falls back to the other where both are one."""
    ours = revealed(settings.upstream.api_key) or None
    theirs = os.environ.get(CANDIDATE_KEY) or (ours if same else None)
    return ours, theirs

"""`eqwatch run`: one benchmark run against an OpenAI-compatible or Anthropic endpoint, saved and resumable."""

import json
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import typer

from middleware.benchmark.contamination import gap_between, variant_request
from middleware.benchmark.item_sets import load
from middleware.benchmark.manual import RunRequest
from middleware.benchmark.protocol import AnswerFormat, make_protocol
from middleware.cli.measuring import Calls, measure, measure_with_variant, print_report, report_json, say_forecast
from middleware.cli.options import Contamination, DataDir, VariantSeed
from middleware.cli.spending import DryRun, Limits, MaxCost, MaxTokensTotal
from middleware.cli.tables import profile_named
from middleware.errors import ConfigurationError, UpstreamError
from middleware.settings import Settings, load_settings
from middleware.upstream import normalise_upstream

__all__ = ["answer_format_named", "run", "text_of"]


def run(
    upstream: Annotated[str | None, typer.Option(help="Chat API: its origin, or the SDK-style base URL.")] = None,
    model: Annotated[str | None, typer.Option(help="Model name to ask; default: as configured.")] = None,
    items: Annotated[str, typer.Option(help="Item set: a name from `eqwatch items list`, or a file.")] = "bundled",
    revise: Annotated[bool, typer.Option("--revise", help="Ask for a critique and a second pass too.")] = False,
    passes: Annotated[int, typer.Option(min=1, max=1000, help="How often each item is asked.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Calls at once, to begin with.")] = 16,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only so many items, evenly spaced.")] = None,
    answer_format: Annotated[str, typer.Option(metavar="text|json_schema", help="How to answer.")] = "text",
    scoring_profile: Annotated[
        str | None,
        typer.Option(
            metavar="official|lm-eval|tolerant", help="Default: official for official sets, tolerant for all others."
        ),
    ] = None,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="Sampling temperature.")] = 0.01,
    max_tokens: Annotated[int | None, typer.Option(min=8, help="Completion allowance; default by format.")] = None,
    reasoning_tokens: Annotated[
        int, typer.Option(min=0, help="Tokens a reasoning model may think in, on top of the answer's allowance.")
    ] = 0,
    seed: Annotated[int | None, typer.Option(help="Sampling seed to send.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Time limit of one call.")] = 120.0,
    system_prompt: Annotated[Path | None, typer.Option(metavar="FILE", help="System prompt to ask under.")] = None,
    contamination: Contamination = False,
    variant_seed: VariantSeed = 1,
    max_tokens_total: MaxTokensTotal = None,
    max_cost: MaxCost = None,
    dry_run: DryRun = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew where an unfinished run could go on.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    data_dir: DataDir = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file; default: eqwatch.toml if there.")] = None,
) -> None:
    """Run the benchmark once against a model; the key comes from EQWATCH_UPSTREAM_API_KEY.

    Every answer is saved at once: after Ctrl-C or a crash the same command goes on where it was.

    Example: eqwatch run --upstream https://api.example.com/v1 --model my-model --items eqbench-v2
    """
    overrides: dict[str, Any] = {"data_dir": data_dir} if data_dir is not None else {}
    if upstream is not None:
        overrides["upstream"] = {"url": upstream}
    settings = load_settings(config, overrides)
    item_set = load(items, settings.data_dir)
    system_text = text_of(system_prompt)
    protocol = make_protocol(
        item_set,
        profile=profile_named(scoring_profile),
        revise=revise,
        answer_format=answer_format_named(answer_format),
        temperature=temperature,
        max_tokens=max_tokens,
        seed=seed,
        system_prompt=system_text,
        reasoning_tokens=reasoning_tokens,
    )
    request = RunRequest(_upstream(settings), _model(model, settings), item_set, protocol, passes, limit)
    calls = Calls(settings, concurrency, timeout, system_text, Limits(max_tokens_total, max_cost))
    variant = variant_request(request, variant_seed) if contamination else None
    if dry_run:
        say_forecast(request, calls, as_json=as_json, variant=variant)
        return
    report, changed = (
        (measure(request, calls, fresh=fresh), None)
        if variant is None
        else measure_with_variant(request, variant, calls, fresh=fresh)
    )
    gap = gap_between(report, changed, item_set) if changed is not None else None
    if as_json:
        print(json.dumps(report_json(report, changed, gap), ensure_ascii=False))
    else:
        print_report(report, changed, gap)
    if not report.answered:
        raise UpstreamError("server_error", f"{request.upstream} answered no item of the run: nothing was measured")


def _upstream(settings: Settings) -> str:
    if not settings.upstream.url:
        raise ConfigurationError("no upstream: pass --upstream URL, or set EQWATCH_UPSTREAM_URL")
    return normalise_upstream(settings.upstream.url)


def _model(named: str | None, settings: Settings) -> str:
    model = named or settings.benchmark.model
    if not model:
        raise ConfigurationError("no model: pass --model NAME, or set EQWATCH_BENCHMARK_MODEL")
    return model


def answer_format_named(value: str) -> AnswerFormat:
    """The answer format of that name; raises ConfigurationError for any other word."""
    if value not in get_args(AnswerFormat):
        raise ConfigurationError(f"--answer-format {value}: choose {' or '.join(get_args(AnswerFormat))}")
    return cast(AnswerFormat, value)


def text_of(file: Path | None) -> str:
    """The system prompt in a file, empty without one; raises ConfigurationError."""
    if file is None:
        return ""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--system-prompt {file} can't be read: {error}") from None

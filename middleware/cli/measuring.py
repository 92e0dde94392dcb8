"""A benchmark run as seen from a terminal: carried out with progress, then shown as tables or JSON."""

import asyncio
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from middleware.benchmark.estimate import earlier_results, forecast
from middleware.benchmark.limiter import ConcurrencyRule, Limiter
from middleware.benchmark.manual import MANUAL, RunRequest, run_to_carry_out
from middleware.benchmark.outcomes import RunReport
from middleware.benchmark.runner import Progress as OnResult
from middleware.benchmark.runner import run_benchmark
from middleware.cli.spending import Limits, budget_of, print_forecast
from middleware.cli.tables import print_failures, print_score
from middleware.records.benchmark import ItemResult, Run
from middleware.settings import Settings
from middleware.store import Store
from middleware.upstream import UpstreamClient, http_client

__all__ = ["Calls", "measure", "print_report", "report_json", "say_forecast"]

_PLAIN_LINES = 10


@dataclass(frozen=True, slots=True)
class Calls:
    """How the upstream is called. settings: for key, dialect and trust store."""

    settings: Settings
    concurrency: int
    timeout_seconds: float
    system_prompt: str = ""
    limits: Limits = field(default_factory=Limits)


def measure(request: RunRequest, calls: Calls, *, fresh: bool) -> RunReport:
    """Carry the run out, showing progress on standard error. Ctrl-C leaves it resumable and says so."""
    settings = calls.settings
    errors = Console(stderr=True)
    with (
        Store(settings.store_url) as store,
        run_to_carry_out(request, store, settings.data_dir, at=time.time(), fresh=fresh) as run,
    ):
        done = sum(1 for result in store.item_results(run.id) if result.outcome not in {"api_error", "timeout"})
        total = len(run.item_ids) * run.passes
        if done:
            errors.print(
                f"going on with run {run.id}: {done} of {total} answers are there (--fresh: start anew)",
                soft_wrap=True,
            )
        with _progress(errors, total, done) as on_result:
            try:
                return asyncio.run(_call(run, request, calls, store, on_result))
            except KeyboardInterrupt:
                errors.print(
                    f"interrupted: answers so far are saved as run {run.id}; the same command goes on",
                    soft_wrap=True,
                )
                raise


def say_forecast(request: RunRequest, calls: Calls, *, as_json: bool) -> None:
    """What the run would take, from the prompts and from earlier answers under the same protocol. Asks nothing."""
    with Store(calls.settings.store_url) as store:
        one = forecast(
            request.item_set,
            [request.item_set.by_id[item_id] for item_id in request.item_ids],
            request.protocol,
            system_prompt=calls.system_prompt,
            concurrency=calls.concurrency,
            earlier=earlier_results(store, MANUAL, request.protocol.key, request.model),
        )
        budget = budget_of(calls.settings, store, calls.limits, time.time)
        print_forecast({"run": one.times(request.passes)}, budget, as_json=as_json)


async def _call(run: Run, request: RunRequest, calls: Calls, store: Store, on_result: OnResult) -> RunReport:
    upstream = calls.settings.upstream
    verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=upstream.ca_file) if upstream.ca_file else True
    connections = calls.concurrency + 1
    budget = budget_of(calls.settings, store, calls.limits, time.time)
    async with http_client(connections=connections, timeout_seconds=calls.timeout_seconds, verify=verify) as http:
        client = UpstreamClient(
            base_url=run.upstream,
            api_key=upstream.api_key.get_secret_value() if upstream.api_key else None,
            dialect=upstream.dialect,
            timeout_seconds=calls.timeout_seconds,
            allowance_field=upstream.token_limit_field,
            http=http,
            meter=budget.meter("run", run.id),
        )
        try:
            return await run_benchmark(
                run,
                request.item_set,
                client=client,
                store=store,
                limiter=Limiter(ConcurrencyRule(calls.concurrency)),
                system_prompt=calls.system_prompt,
                progress=on_result,
            )
        finally:
            await budget.flush()


@contextmanager
def _progress(console: Console, total: int, done: int) -> Iterator[OnResult]:
    """A bar on a terminal, a line for each tenth elsewhere."""
    counts = {"answers": done, "unread": 0}

    def words() -> str:
        return f"{counts['unread']} without a score" if counts["unread"] else "all read so far"

    if console.is_terminal:
        columns = (TextColumn("asking"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, TextColumn("{task.description}"), console=console) as bar:
            task = bar.add_task("", total=total, completed=done)

            def drawn(result: ItemResult) -> None:
                counts["unread"] += result.outcome != "scored"
                bar.update(task, advance=1, description=words())

            yield drawn
        return

    def plain(result: ItemResult) -> None:
        counts["answers"] += 1
        counts["unread"] += result.outcome != "scored"
        if counts["answers"] * _PLAIN_LINES // total > (counts["answers"] - 1) * _PLAIN_LINES // total:
            console.print(f"{counts['answers']} of {total} answers, {words()}", highlight=False, soft_wrap=True)

    yield plain


def report_json(report: RunReport) -> dict[str, Any]:
    """The JSON form of a run."""
    return report.score.to_json() | {
        "valid": report.valid,
        "flags": [{"name": flag.name, "share": round(flag.share, 4), "words": flag.words} for flag in report.flags],
        "outcomes": report.outcomes,
        "tokens": {
            "prompt": report.prompt_tokens,
            "completion": report.completion_tokens,
            "reasoning": report.reasoning_tokens,
            "total": report.prompt_tokens + report.completion_tokens,
        },
        "model": report.run.model,
        "answered_models": sorted({result.answered_model for result in report.results if result.answered_model}),
        "system_fingerprints": sorted(
            {result.system_fingerprint for result in report.results if result.system_fingerprint}
        ),
        "item_set": report.run.protocol.item_set,
        "protocol": report.run.protocol.key,
        "run_id": report.run.id,
    }


def print_report(report: RunReport) -> None:
    """Outcome table, score, examples of failures and cost."""
    console = Console()
    print_failures(report.results, console=console)
    run = report.run
    title = f"{run.model} on {run.protocol.item_set}"
    print_score(report.score, title=title, outcomes=report.outcomes, items=False, console=console)
    latencies = sorted(result.latency_seconds for result in report.results)
    middle = latencies[len(latencies) // 2] if latencies else 0.0
    for flag in report.flags:
        console.print(f"[bold yellow]degenerate[/]: {flag.words}; such a run has no score", highlight=False)
    reasoning = f" ({report.reasoning_tokens} of them reasoning)" if report.reasoning_tokens else ""
    console.print(
        f"cost {report.prompt_tokens} prompt and {report.completion_tokens} completion tokens{reasoning}, "
        f"median answer in {middle:.2f} s; saved as run {run.id}",
        highlight=False,
        soft_wrap=True,
    )

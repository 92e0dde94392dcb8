"""A benchmark run as seen from a terminal: carried out with progress, then shown as tables or JSON."""

import asyncio
import ssl
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from middleware.benchmark.contamination import pair_to_carry_out
from middleware.benchmark.estimate import earlier_results, forecast
from middleware.benchmark.limiter import ConcurrencyRule, Limiter
from middleware.benchmark.manual import MANUAL, RunRequest, run_to_carry_out
from middleware.benchmark.outcomes import RunReport, is_answer
from middleware.benchmark.run_store import StoreThread
from middleware.benchmark.runner import Progress as OnResult
from middleware.benchmark.runner import RetryPolicy, RunSession
from middleware.benchmark.together import carry_out_together
from middleware.cli.printing import output
from middleware.cli.spending import Limits, budget_of, print_forecast
from middleware.cli.tables import print_failures, print_score
from middleware.control.tracing import traced
from middleware.gate.contamination import contamination_json
from middleware.gate.words import contamination
from middleware.records.benchmark import ItemResult, Run
from middleware.settings import Settings
from middleware.store import Store
from middleware.upstream import UpstreamClient, http_client
from scorer.contamination import Contamination
from scorer.items import ItemSet

__all__ = ["Calls", "measure", "measure_with_variant", "print_report", "report_json", "say_forecast"]

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
    with (
        Store(settings.store_url) as store,
        run_to_carry_out(request, store, settings.data_dir, at=time.time(), fresh=fresh) as run,
    ):
        (report,) = _carried_out([(run, request.item_set)], calls, store)
        return report


def measure_with_variant(
    request: RunRequest, variant: RunRequest, calls: Calls, *, fresh: bool
) -> tuple[RunReport, RunReport]:
    """The same for the originals and a variant of them, asked in turn, under one budget."""
    settings = calls.settings
    with (
        Store(settings.store_url) as store,
        pair_to_carry_out(request, variant, store, settings.data_dir, at=time.time(), fresh=fresh) as (run, changed),
    ):
        original, other = _carried_out([(run, request.item_set), (changed, variant.item_set)], calls, store)
        return original, other


def _carried_out(runs: Sequence[tuple[Run, ItemSet]], calls: Calls, store: Store) -> list[RunReport]:
    errors, first = Console(stderr=True), runs[0][0]
    results = [result for run, _ in runs for result in store.item_results(run.id)]
    done = sum(1 for result in results if is_answer(result))
    total = sum(len(run.item_ids) * run.passes for run, _ in runs)
    if done:
        words = f"going on with run {first.id}: {done} of {total} answers are there (--fresh: start anew)"
        errors.print(words, soft_wrap=True)
    with _progress(errors, total, done) as on_result:
        try:
            return asyncio.run(_call(runs, calls, store, on_result))
        except KeyboardInterrupt:
            words = f"interrupted: answers so far are saved as run {first.id}; the same command goes on"
            errors.print(words, soft_wrap=True)
            raise


def say_forecast(request: RunRequest, calls: Calls, *, as_json: bool, variant: RunRequest | None = None) -> None:
    """What the run would take, from the prompts and from earlier answers under the same protocol. Asks nothing."""
    asked = {"run": request} | ({"variants": variant} if variant is not None else {})
    with Store(calls.settings.store_url) as store:
        rows = {
            name: forecast(
                each.item_set,
                [each.item_set.by_id[item_id] for item_id in each.item_ids],
                each.protocol,
                system_prompt=calls.system_prompt,
                concurrency=calls.concurrency,
                earlier=earlier_results(store, MANUAL, each.protocol.key, each.model),
            ).times(each.passes)
            for name, each in asked.items()
        }
        print_forecast(rows, budget_of(calls.settings, store, calls.limits, time.time), as_json=as_json)


async def _call(
    runs: Sequence[tuple[Run, ItemSet]], calls: Calls, store: Store, on_result: OnResult
) -> list[RunReport]:
    upstream, first = calls.settings.upstream, runs[0][0]
    verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=upstream.ca_file) if upstream.ca_file else True
    connections = calls.concurrency + 1
    budget = budget_of(calls.settings, store, calls.limits, time.time)
    limiter = Limiter(ConcurrencyRule(calls.concurrency))
    async with (
        http_client(connections=connections, timeout_seconds=calls.timeout_seconds, verify=verify) as http,
        AsyncExitStack() as stack,
    ):
        tracing = stack.enter_context(traced(calls.settings.tracing))
        client = UpstreamClient(
            base_url=first.upstream,
            api_key=upstream.api_key.get_secret_value() if upstream.api_key else None,
            dialect=upstream.dialect,
            timeout_seconds=calls.timeout_seconds,
            allowance_field=upstream.token_limit_field,
            http=http,
            meter=budget.meter("run", first.id),
            tracing=tracing,
        )
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="eqwatch-run") as thread:

            def session(run: Run, item_set: ItemSet) -> RunSession:
                return RunSession(
                    run=run,
                    item_set=item_set,
                    client=client,
                    store=StoreThread(store, thread, None),
                    limiter=limiter,
                    system_prompt=calls.system_prompt,
                    retry=RetryPolicy(),
                    progress=on_result,
                    now=time.time,
                )

            try:
                return await carry_out_together([session(run, item_set) for run, item_set in runs])
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


def report_json(report: RunReport, variant: RunReport | None, gap: Contamination | None) -> dict[str, Any]:
    """The JSON form of a run; gap: between it and its variant, where one was asked."""
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
        "contamination": None
        if gap is None or variant is None
        else contamination_json(gap)
        | {
            "item_set": variant.run.protocol.item_set,
            "run_id": variant.run.id,
            "words": contamination(report.run.model, gap),
        },
    }


def print_report(report: RunReport, variant: RunReport | None, gap: Contamination | None) -> None:
    """Outcome table, score, examples of failures and cost; the gap between it and its variant, where one was asked."""
    console = output()
    print_failures(report.results, console=console)
    run = report.run
    title = f"{run.model} on {run.protocol.item_set}"
    print_score(report.score, title=title, outcomes=report.outcomes, items=False, console=console)
    latencies = sorted(result.latency_seconds for result in report.results)
    middle = latencies[len(latencies) // 2] if latencies else 0.0
    for flag in report.flags:
        console.print(f"[bold yellow]degenerate[/]: {flag.words}; such a run has no score", highlight=False)
    if gap is not None:
        console.print(escape(contamination(run.model, gap)), highlight=False, soft_wrap=True)
    prompt, completion, thought = (
        sum(getattr(each, name) for each in (report, variant) if each is not None)
        for name in ("prompt_tokens", "completion_tokens", "reasoning_tokens")
    )
    reasoning = f" ({thought} of them reasoning)" if thought else ""
    console.print(
        f"cost {prompt} prompt and {completion} completion tokens{reasoning}, "
        f"median answer in {middle:.2f} s; saved as run {run.id}",
        highlight=False,
        soft_wrap=True,
    )

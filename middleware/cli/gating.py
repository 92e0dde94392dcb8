"""A gate as seen from a terminal: carried out with progress, then the verdict with its figures."""

import asyncio
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from middleware.benchmark.estimate import earlier_results, forecast
from middleware.cli.printing import output, print_table
from middleware.cli.spending import Limits, budget_of, print_forecast
from middleware.control.tracing import traced
from middleware.gate import (
    GateReport,
    GateRequest,
    GateUnmeasured,
    KnownByHeart,
    Watch,
    ask_variants,
    gate_to_carry_out,
    make_report,
    run_gate,
)
from middleware.gate.request import GATE, GateRuns, Role
from middleware.gate.session import Decided
from middleware.gate.words import (
    contamination,
    difference,
    explanation,
    flattery,
    headline,
    interval,
    new_dialogues,
    next_step,
    points,
    signed,
)
from middleware.records.benchmark import ItemResult
from middleware.settings import Settings
from middleware.store import Store
from middleware.upstream import UpstreamClient, http_client
from scorer.comparison import Comparison

__all__ = ["GateCalls", "carry_out", "print_gate", "say_forecast"]

_PLAIN_LINES = 5
_COLOURS = {"pass": "green", "regressed": "red", "undecided": "yellow", "unmeasured": "yellow"}


@dataclass(frozen=True, slots=True)
class GateCalls:
    """How the upstreams are called. keys: of baseline and candidate."""

    settings: Settings
    keys: tuple[str | None, str | None]
    concurrency: int
    timeout_seconds: float
    system_prompt: str = ""
    limits: Limits = field(default_factory=Limits)


def carry_out(request: GateRequest, calls: GateCalls, *, fresh: bool) -> GateReport:
    """Carry the gate out, showing progress on standard error. Ctrl-C leaves it resumable and says so."""
    settings, errors = calls.settings, Console(stderr=True)
    with (
        Store(settings.store_url) as store,
        gate_to_carry_out(request, store, settings.data_dir, at=time.time(), fresh=fresh) as runs,
    ):
        known = sum(len(store.item_results(run.id)) for run in runs.all)
        if known:
            words = f"going on with {runs.gate_id}: {known} answers are there (--fresh: start anew)"
            errors.print(words, soft_wrap=True, highlight=False)
        with _progress(errors) as watch:
            try:
                decided, known_by_heart = asyncio.run(_call(request, runs, calls, store, watch))
            except KeyboardInterrupt:
                errors.print(f"interrupted: answers so far are saved as {runs.gate_id}; the same command goes on")
                raise
        return make_report(request, decided, known_by_heart)


async def _call(
    request: GateRequest, runs: GateRuns, calls: GateCalls, store: Store, watch: Watch
) -> tuple[Decided, tuple[KnownByHeart, ...]]:
    upstream = calls.settings.upstream
    verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=upstream.ca_file) if upstream.ca_file else True
    connections = 2 * calls.concurrency + 2
    budget = budget_of(calls.settings, store, calls.limits, time.time)
    async with (
        http_client(connections=connections, timeout_seconds=calls.timeout_seconds, verify=verify) as http,
        AsyncExitStack() as stack,
    ):
        tracing = stack.enter_context(traced(calls.settings.tracing))

        def client(url: str, key: str | None) -> UpstreamClient:
            return UpstreamClient(
                base_url=url,
                api_key=key,
                dialect=upstream.dialect,
                timeout_seconds=calls.timeout_seconds,
                allowance_field=upstream.token_limit_field,
                http=http,
                meter=budget.meter("gate", runs.gate_id),
                tracing=tracing,
            )

        clients: dict[Role, UpstreamClient] = {
            "baseline": client(request.baseline.upstream, calls.keys[0]),
            "candidate": client(request.candidate.upstream, calls.keys[1]),
        }
        try:
            try:
                decided = await run_gate(
                    request,
                    runs,
                    clients=clients,
                    store=store,
                    concurrency=calls.concurrency,
                    system_prompt=calls.system_prompt,
                    watch=watch,
                )
            except GateUnmeasured as error:
                Console(stderr=True).print(f"eqwatch: {escape(str(error))}", highlight=False, soft_wrap=True)
                decided = error.decided
            return decided, await ask_variants(
                request,
                decided,
                clients=clients,
                store=store,
                concurrency=calls.concurrency,
                system_prompt=calls.system_prompt,
                watch=watch,
            )
        finally:
            await budget.flush()


def say_forecast(request: GateRequest, calls: GateCalls, *, as_json: bool) -> None:
    """What the gate would take at least (one pass decides) and at most. Asks nothing."""
    with Store(calls.settings.store_url) as store:
        earlier = earlier_results(store, GATE, request.protocol.key, request.baseline.model)
        one = forecast(
            request.item_set,
            request.item_set.items,
            request.protocol,
            system_prompt=calls.system_prompt,
            concurrency=calls.concurrency,
            earlier=earlier,
        ).times(2)
        rows = {"one_pass": one, "all_passes": one.times(request.rules.max_passes)}
        if request.variant is not None:
            rows["variants"] = one  # the same questions but for names and order, once to both versions
        budget = budget_of(calls.settings, store, calls.limits, time.time)
        print_forecast(rows, budget, as_json=as_json)


def _look_words(look: Comparison) -> str:
    decision = look.verdict or "another look is needed"
    return f"after pass {look.passes}: {difference(look.these_items)}: {decision}"


@contextmanager
def _progress(console: Console) -> Iterator[Watch]:
    """A bar for each pass on a terminal, a few lines elsewhere."""
    if not console.is_terminal:
        yield _plain(console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        tasks: list[TaskID] = []

        def begun(number: int, calls: int, done: int) -> None:
            tasks.append(bar.add_task(f"pass {number}, both versions", total=calls, completed=done))

        def result(_role: Role, _result: ItemResult) -> None:
            bar.update(tasks[-1], advance=1)

        def look(found: Comparison) -> None:
            bar.console.print(_look_words(found), highlight=False, soft_wrap=True)

        def variants(calls: int) -> None:
            tasks.append(bar.add_task("variants, both versions", total=calls))

        yield Watch(begun, result, look, variants)


def _plain(console: Console) -> Watch:
    state = {"calls": 0, "done": 0}
    names: list[str] = []

    def begun(number: int, calls: int, done: int) -> None:
        names.append(f"pass {number}")
        state.update({"calls": calls, "done": done})

    def variants(calls: int) -> None:
        names.append("variants")
        state.update({"calls": calls, "done": 0})

    def result(_role: Role, _result: ItemResult) -> None:
        state["done"] += 1
        done, calls = state["done"], state["calls"]
        if done * _PLAIN_LINES // calls > (done - 1) * _PLAIN_LINES // calls:
            console.print(f"{names[-1]}: {done} of {calls} answers", highlight=False, soft_wrap=True)

    def look(found: Comparison) -> None:
        console.print(_look_words(found), highlight=False, soft_wrap=True)

    return Watch(begun, result, look, variants)


def print_gate(report: GateReport, files: Sequence[Path]) -> None:
    """Verdict, figures, what to do next. The answers' texts are in the reports, not here."""
    console = output()
    colour = "yellow" if report.comparison.declined else _COLOURS[report.verdict]
    console.print(f"[bold {colour}]{headline(report)}[/]", highlight=False)
    for text in filter(None, (explanation(report), next_step(report), new_dialogues(report), flattery(report))):
        console.print(escape(text), highlight=False, soft_wrap=True)
    for each in report.contamination:
        console.print(escape(contamination(each.model, each.found)), highlight=False, soft_wrap=True)
    print_table(_sides(report), console)
    if report.worst:
        lost = ", ".join(f"{each.change.item_id} ({signed(each.change.change)})" for each in report.worst)
        console.print(f"lost most: {escape(lost)}", highlight=False, soft_wrap=True)
    for file in files:
        console.print(f"report: {escape(str(file))}", highlight=False, soft_wrap=True)


def _sides(report: GateReport) -> Table:
    table = Table()
    for name in ("", "model"):
        table.add_column(name)
    for name in ("score", "readable", "tokens"):
        table.add_column(name, justify="right")
    for side in (report.baseline, report.candidate):
        tokens = f"{side.prompt_tokens + side.completion_tokens:,}"
        readable = f"{side.parseable:g} of {report.items}"
        table.add_row(side.role, escape(side.model), points(side.points, 2), readable, tokens)
    table.add_row(
        "difference", interval(report.comparison.these_items), signed(report.comparison.these_items.points, 2)
    )
    return table

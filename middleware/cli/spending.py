"""The budget of a command that makes calls, and what `--dry-run` says of them."""

import asyncio
import json
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import typer
from rich.table import Table

from middleware.benchmark.estimate import Forecast
from middleware.cli.printing import output, print_table
from middleware.control.budget import Budget
from middleware.control.prices import Prices, caps_of, prices_of
from middleware.control.switch import CallSwitch
from middleware.errors import ConfigurationError
from middleware.settings import Settings
from middleware.store import Store

__all__ = ["DryRun", "Limits", "MaxCost", "MaxTokensTotal", "budget_of", "print_forecast"]

MaxTokensTotal: TypeAlias = Annotated[
    int | None, typer.Option(min=1, metavar="TOKENS", help="Most tokens of this run in all; kept before each call.")
]
MaxCost: TypeAlias = Annotated[
    float | None, typer.Option(min=0, metavar="MONEY", help="Most money of this run, at the prices of \\[budget].")
]
DryRun: TypeAlias = Annotated[
    bool,
    typer.Option("--dry-run", help="Say what calls, tokens, money and minutes it would take; ask nothing."),
]


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps of this run from the command line; None: as configured."""

    tokens: int | None = None
    money: float | None = None


def budget_of(settings: Settings, store: Store, limits: Limits, clock: Any) -> Budget:
    """The budget that this command shares with everything on the same store. Raises ConfigurationError."""
    prices = prices_of(settings.budget)
    if limits.money is not None and not prices.known:
        raise ConfigurationError(
            "--max-cost needs prices: set [budget] price_per_million_prompt_tokens and "
            "price_per_million_completion_tokens, or EQWATCH_BUDGET_PRICE_PER_MILLION_PROMPT_TOKENS and so on"
        )
    day, run = caps_of(settings.budget, overrides={"tokens_per_run": limits.tokens, "money_per_run": limits.money})
    switch = CallSwitch(store, enabled=settings.upstream.own_calls)
    switch.load()
    return Budget(store, switch=switch, day=day, run=run, prices=prices, clock=clock)


def print_forecast(rows: dict[str, Forecast], budget: Budget, *, as_json: bool) -> None:
    """Each case by its name, and what the day's budget has left."""
    left_today = asyncio.run(budget.left_today())
    if as_json:
        print(_json(rows, budget.prices, left_today))
    else:
        _print_table(rows, budget.prices, left_today)


def _json(rows: dict[str, Forecast], prices: Prices, left_today: int | None) -> str:
    """One JSON object; money is null without prices."""
    return json.dumps(
        {
            "dry_run": True,
            "currency": prices.currency,
            "tokens_left_today": left_today,
            **{name: _row_json(row, prices) for name, row in rows.items()},
        }
    )


def _row_json(row: Forecast, prices: Prices) -> dict[str, Any]:
    return {
        "calls": row.calls,
        "prompt_tokens": row.prompt,
        "completion_tokens": row.completion,
        "tokens": row.prompt + row.completion,
        "tokens_at_most": row.at_most_prompt + row.at_most_completion,
        "cost": _cost(prices, row.prompt, row.completion),
        "cost_at_most": _cost(prices, row.at_most_prompt, row.at_most_completion),
        "minutes": round(row.seconds / 60, 2),
        "from_earlier_answers": row.measured,
    }


def _print_table(rows: dict[str, Forecast], prices: Prices, left_today: int | None) -> None:
    console, table = output(), Table()
    for column in ("", "calls", "tokens", "at most", "cost", "at most", "minutes"):
        table.add_column(column, justify="right" if column else "left")
    for name, row in rows.items():
        tokens, at_most = row.prompt + row.completion, row.at_most_prompt + row.at_most_completion
        table.add_row(
            name.replace("_", " "),
            f"{row.calls:,}",
            f"{tokens:,}",
            f"{at_most:,}",
            _money(prices, _cost(prices, row.prompt, row.completion)),
            _money(prices, _cost(prices, row.at_most_prompt, row.at_most_completion)),
            f"{row.seconds / 60:.1f}",
        )
    print_table(table, console)
    basis = "earlier answers of this model" if any(row.measured for row in rows.values()) else "the prompts' length"
    console.print(f"estimated from {basis}; nothing was asked", highlight=False, soft_wrap=True)
    if not prices.known:
        console.print("no prices are configured (\\[budget] price_per_million_…): cost unknown", soft_wrap=True)
    if left_today is not None:
        console.print(f"left of today's budget: {left_today:,} tokens", highlight=False, soft_wrap=True)


def _cost(prices: Prices, prompt: int, completion: int) -> float | None:
    cost = prices.cost(prompt, completion)
    return None if cost is None else round(cost, 4)


def _money(prices: Prices, cost: float | None) -> str:
    return "unknown" if cost is None else f"{cost:.2f} {prices.currency}"

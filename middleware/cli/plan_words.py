"""What a plan says, in words and numbers: delays, false alarms, cost, and what can't be detected."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from middleware.benchmark.estimate import Forecast
from middleware.cli.printing import print_table
from middleware.control.prices import Prices
from scorer.detection.prospect import Prospect

__all__ = ["MONTH_DAYS", "Outlook", "as_json", "print_outlook"]

MONTH_DAYS = 365.25 / 12
_SURE = 0.9


@dataclass(frozen=True, slots=True)
class Outlook:
    """origin: of the noise, in words. month: tokens of one pass over the items; calls_per_month: at the usual interval.

    most_days: after which a simulation gave up. stretched_by_budget: the day's tokens allow no shorter intervals.
    """

    origin: str
    item_set: str
    items: int
    run_sd_points: float
    batch: int
    interval: timedelta
    suspected_interval: timedelta
    stretched_by_budget: bool
    false_alarms_per_year: float
    most_days: float
    installations: int
    prospects: tuple[Prospect, ...]
    month: Forecast
    calls_per_month: float
    prices: Prices

    @property
    def tokens_per_month(self) -> tuple[int, int]:
        """Prompt and completion."""
        share = self.calls_per_month / max(1, self.month.calls)
        return round(self.month.prompt * share), round(self.month.completion * share)

    @property
    def money_per_month(self) -> float | None:
        """In the prices' currency; None where a price is not known."""
        return self.prices.cost(*self.tokens_per_month)

    @property
    def smallest_sure(self) -> float | None:
        """The smallest simulated fall that nine of ten installations found."""
        return min((each.points for each in self.prospects if each.found >= _SURE), default=None)


def as_json(outlook: Outlook) -> dict[str, Any]:
    """Plain JSON values; null is not found, or not known."""
    prompt, completion = outlook.tokens_per_month
    return {
        "noise": outlook.origin,
        "item_set": outlook.item_set,
        "items": outlook.items,
        "run_sd_points": outlook.run_sd_points,
        "batch": outlook.batch,
        "interval_seconds": outlook.interval.total_seconds(),
        "suspected_interval_seconds": outlook.suspected_interval.total_seconds(),
        "stretched_by_budget": outlook.stretched_by_budget,
        "false_alarms_per_year": outlook.false_alarms_per_year,
        "installations": outlook.installations,
        "most_days": outlook.most_days,
        "falls": [asdict(each) for each in outlook.prospects],
        "smallest_found_by_nine_of_ten": outlook.smallest_sure,
        "calls_per_month": round(outlook.calls_per_month),
        "prompt_tokens_per_month": prompt,
        "completion_tokens_per_month": completion,
        "tokens_from_earlier_answers": outlook.month.measured,
        "money_per_month": outlook.money_per_month,
        "currency": outlook.prices.currency,
    }


def print_outlook(outlook: Outlook, console: Console) -> None:
    """Words, a table, and the limits."""

    def say(text: str) -> None:
        console.print(escape(text), highlight=False, soft_wrap=True)

    say(
        f"{outlook.item_set}, {outlook.items} items; {outlook.origin}: one pass varies by "
        f"{outlook.run_sd_points:.2f} points (SD)"
    )
    one_pass = outlook.items / outlook.batch * outlook.interval / timedelta(days=1)
    say(
        f"{outlook.batch} items every {_span(outlook.interval)}, every {_span(outlook.suspected_interval)} while a "
        f"fall is suspected; one pass takes {_days(one_pass)}"
    )
    if outlook.stretched_by_budget:
        say("the token budget of a day allows no shorter intervals than these")
    print_table(_table(outlook), console)
    say(
        f"false pages: about {outlook.false_alarms_per_year:.2g} a year from this detector, calibrated by "
        "simulation, not guaranteed"
    )
    _say_cost(outlook, say)
    _say_limits(outlook, say)


def _table(outlook: Outlook) -> Table:
    table = Table(title=f"time until a fall is paged, {outlook.installations} simulated installations")
    table.add_column("fall", justify="right")
    for name in ("items, median", "items, 9 of 10", "time, median", "time, 9 of 10"):
        table.add_column(name, justify="right")
    never = f"not in {_days(outlook.most_days)}"
    for each in outlook.prospects:
        items = [f"{value:.0f}" if value is not None else "-" for value in (each.median_items, each.p90_items)]
        days = [_days(value) if value is not None else never for value in (each.median_days, each.p90_days)]
        table.add_row(f"{each.points:g} points", *items, *days)
    return table


def _say_cost(outlook: Outlook, say: Callable[[str], None]) -> None:
    prompt, completion = outlook.tokens_per_month
    basis = "earlier answers" if outlook.month.measured else "the prompts' length"
    money = outlook.money_per_month
    price = "no prices known: --price-prompt and --price-completion" if money is None else ""
    price = price or f"{money:.2f} {outlook.prices.currency}"
    say(
        f"cost a month: {outlook.calls_per_month:,.0f} calls, {prompt:,} prompt and {completion:,} completion tokens "
        f"(from {basis}); {price}"
    )


def _say_limits(outlook: Outlook, say: Callable[[str], None]) -> None:
    missed = [each.points for each in outlook.prospects if each.found < _SURE]
    sure = outlook.smallest_sure
    if missed:
        words = ", ".join(f"{points:g}" for points in missed)
        say(f"out of reach in {_days(outlook.most_days)} for one in ten installations or more: {words} points")
    if sure is None:
        say("no simulated fall was found by nine of ten: ask more items, or more often")
    say(
        "never found: falls of half a point (the tolerance alone is that wide), falls on what the items do not ask, "
        "and quality while answers can't be read. Small upgrades that add up are seen against the reference of record."
    )


def _days(days: float) -> str:
    if days < 1.0 / 24.0:
        return f"{days * 1440:.0f} min"
    if days < 2.0:
        return f"{days * 24:.1f} h"
    return f"{days:.1f} days" if days < 10.0 else f"{days:.0f} days"


def _span(interval: timedelta) -> str:
    seconds = interval.total_seconds()
    if seconds < 120:
        return f"{round(seconds, 1):g} s"
    return f"{round(seconds / 60, 1):g} min" if seconds < 7200 else f"{round(seconds / 3600, 1):g} h"

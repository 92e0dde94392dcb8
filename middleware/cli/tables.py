"""How scores, outcomes and failures look on a terminal, and the few words that several commands read alike."""

from collections.abc import Iterable, Mapping
from typing import cast, get_args

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from middleware.cli.printing import output, print_table
from middleware.errors import ConfigurationError
from middleware.records.benchmark import ItemResult
from scorer.answers import Profile
from scorer.runs import VALID_SHARE, RunScore

__all__ = ["print_failures", "print_score", "profile_named"]

_MEANING = {
    "scored": "read and scored",
    "unparseable": "answered, but no scores could be read",
    "refused": "the model declined",
    "truncated": "the answer was cut off",
    "api_error": "no answer from the upstream",
    "timeout": "no answer in time",
    "missing": "never asked, or never recorded",
}
_EXAMPLES = 3
_EXCERPT = 160


def profile_named(name: str | None) -> Profile | None:
    """The scoring profile of that name; raises ConfigurationError for any other word."""
    if name is None or name in get_args(Profile):
        return cast(Profile | None, name)
    raise ConfigurationError(f"--scoring-profile {name}: choose {', '.join(get_args(Profile))}")


def print_score(
    score: RunScore,
    *,
    title: str,
    outcomes: Mapping[str, int] | None = None,
    items: bool = True,
    console: Console | None = None,
) -> None:
    """Items, outcome classes and the score with its validity."""
    console = console or output()
    if items:
        print_table(_item_table(score), console)
    console.print(f"[bold]{escape(title)}[/]", highlight=False, soft_wrap=True)
    table = Table()
    table.add_column("outcome")
    table.add_column("count", style="bold", justify="right")
    table.add_column("meaning", style="dim")
    for name, count in (outcomes if outcomes is not None else score.outcomes).items():
        table.add_row(name, str(count), _MEANING.get(name, ""))
    print_table(table, console)
    share = score.parseable / score.items
    points = f"score [bold]{score.points:.2f}[/] points (100 = perfect)" if score.parseable else "[bold]no score[/]"
    console.print(
        f"{points}, "
        f"{round(score.parseable)} of {score.items} items readable ({share:.1%}), profile {score.scoring_profile}",
        highlight=False,
        soft_wrap=True,
    )
    if not score.valid:
        console.print(
            f"[bold yellow]not valid[/]: a score counts from {VALID_SHARE:.1%} readable items on; "
            "it says little about the model's emotional intelligence",
            highlight=False,
            soft_wrap=True,
        )


def _item_table(score: RunScore) -> Table:
    table = Table(title="items, in points", title_justify="left")
    table.add_column("item")
    table.add_column("score", justify="right")
    for name, points in score.item_points.items():
        table.add_row(escape(name), "-" if points is None else f"{points:.1f}")
    return table


def print_failures(results: Iterable[ItemResult], *, console: Console | None = None) -> None:
    """How often items failed in which way, and a few examples of each with what the model said."""
    console = console or output()
    kinds: dict[str, list[ItemResult]] = {}
    for result in results:
        if result.outcome != "scored":
            kinds.setdefault(f"{result.outcome}: {result.reason}" if result.reason else result.outcome, []).append(
                result
            )
    for kind, failed in kinds.items():
        console.print(f"[yellow]{escape(kind)}[/], {_times(len(failed))}, such as", highlight=False)
        for result in failed[:_EXAMPLES]:
            console.print(f"  item {escape(result.item_id)}: {escape(_excerpt(result.text))}", highlight=False)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _excerpt(text: str) -> str:
    words = " ".join(text.split())
    return (words[:_EXCERPT] + "…" if len(words) > _EXCERPT else words) or "(no text)"

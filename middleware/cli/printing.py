"""Standard output of the commands: tables whose ids and names stay whole, on a terminal and through a pipe."""

import os

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

__all__ = ["output", "print_table"]

# Wider than any table here: what is piped is searched and cut by programs, which a fold would trip.
_WIDE = 1000


def output() -> Console:
    """A console on standard output. Where that is no terminal, lines are as long as they are (COLUMNS limits them)."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDE
    return console


def print_table(table: Table, console: Console | None = None) -> None:
    """Print it; only cells of several words may wrap, between words.

    On a terminal that is too narrow even so, lines run over its edge: an id that is cut can't be copied.
    """
    console = console or output()
    options = console.options.update(max_width=_WIDE)
    for column in table.columns:
        if not any(" " in str(cell) for cell in column.cells):
            column.no_wrap = True
    before = console.width
    console.width = max(before, Measurement.get(console, options, table).minimum)
    try:
        console.print(table)
    finally:
        console.width = before

"""The report as tables of text, and three ways to show them: rich on a terminal, plain lines, Markdown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table as RichTable

from bench.proxy.bars import outcomes
from bench.proxy.figures import Change, Spread, spread
from bench.proxy.report import Report
from bench.proxy.streams import Cancellation
from bench.proxy.summary import MEASURES, figure, measured_loads, ratios_of

__all__ = ["Table", "as_markdown", "show", "tables"]

_ALWAYS = ("cpu", "rps", "added_p50", "added_p99")
_STREAMING = ("cpu", "added_first", "chunk_p99")
_LAST = ("errors", "foreign")


@dataclass(frozen=True, slots=True)
class Table:
    """Title, column heads, and rows of as many cells; the first column is text, the others are figures."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def number(value: float) -> str:
    """Three figures or so, never an exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _cell(found: Spread | None) -> str:
    if found is None:
        return "-"
    if found.rounds == 1 or found.low == found.high:
        return number(found.median)
    return f"{number(found.median)} ({number(found.low)}..{number(found.high)})"


def _load_table(report: Report, load: str) -> Table:
    streaming = load.startswith("sse")
    columns = [load]
    shown = []
    for key in (*(_STREAMING if streaming else _ALWAYS), *_LAST):
        measure = MEASURES[key]
        unit = (" per chunk" if streaming else " per request") if key == "cpu" else ""
        columns += [measure.title + unit, "x nginx"] if measure.ratio else [measure.title]
        shown.append(measure)
    rows = []
    for target in report.targets:
        if not any(s.target == target and s.load == load for s in report.samples):
            continue
        row = [target]
        for measure in shown:
            found = figure(report, load, target, measure)
            row += [_cell(found.value), _cell(found.ratio)] if measure.ratio else [_cell(found.value)]
        rows.append(row)
    return Table(load, columns, rows)


def _control_table(report: Report) -> Iterator[Table]:
    rows = []
    for load in measured_loads(report):
        for target in report.targets:
            found = figure(report, load, target, MEASURES["control"]).value
            if found:
                own = figure(report, load, target, MEASURES["cpu"]).value
                rows.append([f"{target}, {load}", _cell(own), _cell(found)])
    if rows:
        yield Table("stand-in control beside the relay", ["target, load", "relay's CPU µs", "control's CPU µs"], rows)


def _ends(found: list[Cancellation]) -> list[str]:
    if not found:
        return ["-", "-"]
    worst = min(found, key=lambda c: c.cancelled)
    return [f"{worst.cancelled}/{worst.running}", number(max(c.last_ms for c in found))]


def _stream_table(report: Report) -> Iterator[Table]:
    rows = []
    for target in report.targets:
        memory, streamed = report.memory.get(target, []), report.streamed.get(target, [])
        if not memory and not streamed:
            continue
        ratio = ratios_of(memory, report.memory.get("nginx", []))
        ends = [*_ends(streamed), *_ends(report.waiting.get(target, []))]
        rows.append([target, _cell(spread(memory)), _cell(ratio), *ends])
    if rows:
        columns = [
            "target",
            "KiB per stream",
            "x nginx",
            "cancelled, streamed",
            "last, ms",
            "cancelled, waiting",
            "last, ms",
        ]
        yield Table("1,000 open streams, and 20 clients that leave", columns, rows)


def _percent(change: Change | None) -> str:
    return "-" if change is None else f"{change.percent:+.1f} % ({change.low:+.1f}..{change.high:+.1f})"


def _fault_table(report: Report) -> Iterator[Table]:
    if report.faults:
        columns = ["control", "CPU change (95 % interval)", "p99 change", "requests", "errors", "stalled", "pairs"]
        rows = [
            [
                f.fault,
                _percent(f.cpu_change),
                _percent(f.p99_change),
                f"{f.requests:,}",
                str(f.errors),
                str(f.stalled),
                str(f.cpu_change.pairs) if f.cpu_change else "-",
            ]
            for f in report.faults
        ]
        yield Table("faults of control", columns, rows)


def _bar_table(report: Report) -> Table:
    words = {True: "met", False: "MISSED", None: "not measured"}
    rows = [[o.bar, o.limit, o.found or "-", words[o.met]] for o in outcomes(report)]
    return Table("bars", ["bar", "limit", "found", ""], rows)


def tables(report: Report) -> Iterator[Table]:
    """All tables of a report."""
    for load in measured_loads(report):
        yield _load_table(report, load)
    yield from _control_table(report)
    yield from _stream_table(report)
    yield from _fault_table(report)
    yield _bar_table(report)


def show(report: Report, console: Console) -> None:
    """Rich tables where the console is a terminal, else one line of aligned cells for each row."""
    for table in tables(report):
        if console.is_terminal:
            rich = RichTable(title=table.title, title_justify="left")
            for i, column in enumerate(table.columns):
                rich.add_column(column, justify="left" if i == 0 else "right")
            for row in table.rows:
                rich.add_row(*row)
            console.print(rich)
            continue
        lines = [table.columns, *table.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]
        print(f"\n{table.title}", file=console.file)
        for line in lines:
            cells = [
                cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
            ]
            print("  ".join(cells).rstrip(), file=console.file)


def as_markdown(report: Report) -> str:
    """Date, machine, command and all tables, as a section to be put into a page."""
    m = report.machine
    lines = [
        f"Measured on {report.date}, {report.rounds} rounds, seed {report.seed}.",
        "",
        f"Machine: {m.cpus} x {m.cpu}, {m.memory_gib:g} GiB, {m.kernel}; Python {m.python}, nginx {m.nginx}.",
        "",
        f"Command: `{report.command}`",
        "",
        *(f"Left out: {reason}." for reason in report.skipped),
    ]
    for table in tables(report):
        lines += ["", f"**{table.title}**", "", "| " + " | ".join(table.columns) + " |"]
        lines.append("|" + "|".join(" --- " if i == 0 else " ---: " for i in range(len(table.columns))) + "|")
        lines += ["| " + " | ".join(row) + " |" for row in table.rows]
    return "\n".join(lines) + "\n"

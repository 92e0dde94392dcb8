"""The figures of a study as Markdown."""

from collections.abc import Iterable, Sequence

from bench.detection.answers import NOISES
from bench.detection.study import Bar, Figures
from bench.detection.trials import RULES

__all__ = ["as_markdown", "bar_lines"]

_TITLES = {
    "CUSUM": "CUSUMs over their limit",
    "evidence": "e-detector",
    "joint": "joint: CUSUM and evidence over c/20",
    "regression": "**joint and level condition (pages)**",
    "change": "change detector (warns)",
}
_LEVELS = [noise.name for noise in NOISES]


def as_markdown(figures: Figures) -> str:
    """All tables."""
    return "\n\n".join([_falls(figures), _nulls(figures), _swaps(figures), _silent(figures)])


def bar_lines(bars: Sequence[Bar]) -> list[str]:
    """One line per bar; a figure over its limit by no more than chance allows is called so."""
    words = {(True, True): "met", (True, False): "within chance", (False, False): "MISSED"}
    return [f"{words[bar.met, bar.reached]:13}  {bar.value:8.3g} of {bar.limit:g}  {bar.name}" for bar in bars]


def _falls(figures: Figures) -> str:
    cases = list(figures.falls)
    rows = [
        [_TITLES[rule], *("/".join(_count(v) for v in figures.falls[case][rule]) for case in cases)] for rule in RULES
    ]
    head = ["median/p90 item evaluations until the alarm", *(f"{points:g} {noise}" for points, noise in cases)]
    return _table(head, rows)


def _nulls(figures: Figures) -> str:
    names = list(dict.fromkeys(name for name, _ in figures.nulls))
    rows = [
        [_TITLES[rule], *("/".join(_share(figures.nulls[name, level][rule]) for level in _LEVELS) for name in names)]
        for rule in RULES
    ]
    return _table(["P(any alarm in a year), LOW/MID/HIGH", *names], rows)


def _swaps(figures: Figures) -> str:
    names = list(dict.fromkeys(name for name, _ in figures.swaps))
    rules = ("joint", "regression", "change")
    rows = [
        [name, *("/".join(_share(figures.swaps[name, level][rule]) for level in _LEVELS) for rule in rules)]
        for name in names
    ]
    head = ["swap to an equal or better model: P(alarm in 30 days), LOW/MID/HIGH", *(_TITLES[rule] for rule in rules)]
    return _table(head, rows)


def _silent(figures: Figures) -> str:
    rows = [[level, "/".join(_count(value) for value in values)] for level, values in figures.silent.items()]
    return _table(["silent swap (gpt-4-0314 -> gpt-4-1106-preview)", "median/p90 item evaluations until flagged"], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _count(value: float) -> str:
    return "never" if value == float("inf") else f"{value:.0f}"


def _share(value: float) -> str:
    return f"{value:.2f}".removeprefix("0") if 0.0 < value < 1.0 else f"{value:.0f}"

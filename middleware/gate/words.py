"""What a gate found, in sentences: the same in every form of the report and on the terminal."""

import math

from middleware.gate.report import GateReport
from scorer.comparison import Interval
from scorer.contamination import Contamination

__all__ = [
    "contamination",
    "difference",
    "explanation",
    "flattery",
    "headline",
    "interval",
    "new_dialogues",
    "next_step",
    "points",
    "signed",
]

_MINUS = "\N{MINUS SIGN}"


def points(value: float | None, digits: int = 1) -> str:
    """A number of points, a dash for none."""
    if value is None or math.isnan(value):
        return "\N{EN DASH}"
    if math.isinf(value):
        return "\N{INFINITY}" if value > 0 else f"{_MINUS}\N{INFINITY}"
    return f"{value:.{digits}f}".replace("-", _MINUS)


def signed(value: float | None, digits: int = 1) -> str:
    """A difference: with its sign, 0 without one."""
    text = points(value, digits)
    return f"+{text}" if value is not None and value > 0 and float(f"{value:.{digits}f}") != 0 else text


def interval(found: Interval | Contamination, digits: int = 2) -> str:
    """Both bounds; in words where too little was seen for any."""
    if math.isinf(found.lower) and math.isinf(found.upper):
        return "no interval yet"
    return f"{signed(found.lower, digits)} to {signed(found.upper, digits)}"


def difference(found: Interval) -> str:
    """The difference with its interval."""
    return f"{signed(found.points, 2)} points ({interval(found)})"


def headline(report: GateReport) -> str:
    """The verdict in one short sentence."""
    match report.verdict:
        case "pass" if report.comparison.declined:
            return "Pass, with a small measurable decline"
        case "pass":
            return "Pass: not worse by the margin"
        case "regressed" if report.comparison.reason.startswith("fewer"):
            return "Regressed: fewer readable answers"
        case "regressed":
            return "Regressed: the candidate is worse"
        case "undecided":
            return "Undecided: not enough evidence yet"
        case _:
            return "Not measured"


def explanation(report: GateReport) -> str:
    """What was found, with its numbers."""
    found, margin = report.comparison.these_items, f"{report.rules.margin:g}"
    passes = _count(report.comparison.passes, "pass", "passes")
    start = f"On these {report.items} items, after {passes}, {report.candidate.model} differs from "
    start += f"{report.baseline.model} by {difference(found)}; the margin is {_MINUS}{margin}."
    match report.verdict:
        case "pass" if report.comparison.declined:
            return f"{start} The interval lies above the margin, but below zero."
        case "pass":
            return f"{start} The whole interval lies above the margin."
        case "regressed" if report.comparison.reason.startswith("fewer"):
            shares = f"{report.comparison.readable_baseline:.1%} before, {report.comparison.readable_candidate:.1%} now"
            return f"Fewer answers of {report.candidate.model} can be read: {shares}. {start}"
        case "regressed" if found.upper < -report.rules.margin:
            return f"{start} The whole interval lies below the margin."
        case "regressed":
            return f"{start} The whole interval lies below zero; whether the loss exceeds the margin stays open."
        case "undecided":
            return f"{start} The interval holds the margin and zero."
        case _:
            return f"Nothing can be said: {report.comparison.reason}."


def next_step(report: GateReport) -> str:
    """What to do now; for an undecided gate, how much more would decide it."""
    match report.verdict:
        case "pass" if report.comparison.declined:
            return "The loss is within what was allowed; several upgrades like this one add up."
        case "pass":
            return "Nothing in the way of the upgrade as far as these items go."
        case "regressed":
            return "Keep the baseline, and read the items below that lost most."
        case "undecided":
            return _what_would_decide(report)
        case _:
            return "Look at the outcomes of both versions below, mend the cause, and run the same command again."


def _what_would_decide(report: GateReport) -> str:
    found, needed = report.comparison, report.comparison.passes_to_decide
    if needed is not None and found.passes == 1:
        text = (
            f"If the difference stays as it is, at most {needed} passes decide it (--max-passes {needed}); probably "
            "far fewer, as one pass can't tell the noise of answers from real change: --max-passes 4 measures it."
        )
    elif needed is not None:
        text = f"If the difference stays as it is, about {needed} passes decide it: --max-passes {needed}."
    elif found.passes == 1:
        text = (
            "The difference lies so close to the margin that one pass can't tell how many would decide; "
            "--max-passes 4 narrows the interval and measures the noise."
        )
    else:
        text = "The difference lies so close to the margin that no sensible number of passes decides it."
    if math.isfinite(found.deciding_margin):
        wide = math.ceil(found.deciding_margin * 10) / 10
        text += f" These answers would have passed with --margin {wide:g}."
    return text


def new_dialogues(report: GateReport) -> str:
    """The verdict on dialogues like these that were not asked."""
    found = report.comparison.new_dialogues
    start = f"For new dialogues of this kind: {difference(found.interval)}, from {found.dialogues} dialogues"
    match found.verdict:
        case "pass":
            return f"{start}: not worse by the margin."
        case "regressed":
            return f"{start}: worse than the margin."
        case "undecided" if found.dialogues_to_decide is not None:
            return (
                f"{start}: undecided. More passes do not narrow this, more dialogues do: about "
                f"{found.dialogues_to_decide} would decide it."
            )
        case "undecided":
            return f"{start}: undecided, and no sensible number of dialogues would decide it."
        case _:
            return "For new dialogues of this kind nothing can be said: too few dialogues."


def flattery(report: GateReport) -> str:
    """The check on items whose kind answer is the wrong one; empty where the set has too few of them."""
    found = report.flattery
    if found is None:
        return ""
    change = f"{signed(found.points)} points ({signed(found.lower)} to {signed(found.upper)})"
    start = f"Warmth is not flattery: on the {found.items} items whose kind answer is the wrong one, {change}"
    if found.upper < 0:
        return f"{start}. The candidate falls for the kind answer more often."
    if found.lower > 0:
        return f"{start}. The candidate falls for the kind answer less often."
    return f"{start}. No change that these few items can show."


def contamination(model: str, found: Contamination) -> str:
    """Whether the model knows the items by heart, with the gap and its interval."""
    match found.verdict:
        case "knows_originals":
            start = f"{model} knows the originals"
            end = "Its score here says less about how it reads dialogues that it has never met."
        case "no_sign":
            start, end = f"No sign that {model} knows the items by heart", ""
        case _:
            return f"Whether {model} knows the items by heart was not measured: {found.reason}."
    gap = f"{signed(found.gap)} points ({interval(found, 1)})"
    return (
        f"{start}: {points(found.original)} points on {found.items} items, {points(found.variant)} on the same ones "
        f"with other names and the emotions in another order, a gap of {gap}. {end}"
    ).rstrip()


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"

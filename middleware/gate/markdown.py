"""The report as Markdown, for a pull request or a job summary."""

import re
from datetime import UTC, datetime

from middleware.gate.changes import Answer, WorstItem
from middleware.gate.report import GateReport, Side
from middleware.gate.words import (
    contamination,
    explanation,
    flattery,
    headline,
    interval,
    new_dialogues,
    next_step,
    points,
    signed,
)

__all__ = ["to_markdown"]

_MARKS = {
    "pass": "\N{WHITE HEAVY CHECK MARK}",
    "regressed": "\N{CROSS MARK}",
    "undecided": "\N{WHITE QUESTION MARK ORNAMENT}",
}
_EMOTIONS = 10


def to_markdown(report: GateReport) -> str:
    """Verdict first, then figures, then what changed."""
    mark = _MARKS.get(report.verdict, "\N{WARNING SIGN}")
    parts = [
        f"# {mark} {headline(report)}",
        f"{_text(explanation(report))}\n\n**Next:** {_text(next_step(report))}\n\n{_text(new_dialogues(report))}",
        _text(flattery(report)),
        _contamination(report),
        _sides(report),
        _looks(report),
        _groups(report),
        _emotions(report),
        _worst(report),
        _foot(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _foot(report: GateReport) -> str:
    ended, protocol = datetime.fromtimestamp(report.finished_at, UTC), report.protocol
    return (
        f"<sub>eqwatch gate {report.gate_id}, {ended:%Y-%m-%d %H:%M} UTC, item set {_text(protocol.item_set)}, "
        f"answer format {protocol.answer_format}, temperature {protocol.temperature:g}</sub>"
    )


def _sides(report: GateReport) -> str:
    rows = [_side(side, report.items) for side in (report.baseline, report.candidate)]
    return _table(["", "model", "score", "readable", "tokens", "answered as"], rows)


def _side(side: Side, items: int) -> list[str]:
    tokens = f"{side.prompt_tokens + side.completion_tokens:,}"
    known = ", ".join((*side.answered_models, *side.fingerprints))
    readable = f"{side.parseable:g} of {items}"
    return [side.role, _text(side.model), points(side.points, 2), readable, tokens, _text(known)]


def _looks(report: GateReport) -> str:
    rows = [
        [str(look.passes), signed(look.these_items.points, 2), interval(look.these_items), look.verdict or "go on"]
        for look in report.looks
    ]
    return "## Looks\n\n" + _table(["after passes", "difference", "interval", "decision"], rows)


def _groups(report: GateReport) -> str:
    if not report.groups:
        return ""
    rows = [
        [_text(each.name), str(each.items), signed(each.points), f"{signed(each.lower)} to {signed(each.upper)}"]
        for each in report.groups
    ]
    return "## By kind of item\n\n" + _table(["items tagged", "items", "difference", "95 % interval"], rows)


def _contamination(report: GateReport) -> str:
    if not report.contamination:
        return ""
    lines = [f"- {each.role}: {_text(contamination(each.model, each.found))}" for each in report.contamination]
    return "## Known by heart?\n\n" + "\n".join(lines)


def _emotions(report: GateReport) -> str:
    changed = [each for each in report.emotions if each.error_change > 0][:_EMOTIONS]
    if not changed:
        return ""
    rows = [
        [
            _text(each.emotion),
            str(each.items),
            *(points(value) for value in (each.reference, each.baseline, each.candidate)),
            signed(each.error_change),
        ]
        for each in changed
    ]
    head = ["emotion", "items", "reference", "baseline says", "candidate says", "further off by"]
    return "## Emotions that the candidate reads less well\n\n" + _table(head, rows)


def _worst(report: GateReport) -> str:
    if not report.worst:
        return ""
    return "## Items that lost most\n\n" + "\n\n".join(_worst_item(each) for each in report.worst)


def _worst_item(worst: WorstItem) -> str:
    change = worst.change
    title = (
        f"<details><summary>item {_text(change.item_id)}: {signed(change.change)} points "
        f"({points(change.baseline)} to {points(change.candidate)})</summary>"
    )
    rows = [
        [_text(emotion), points(value), *(_score(answer, emotion) for answer in (worst.baseline, worst.candidate))]
        for emotion, value in worst.reference.items()
    ]
    table = _table([f"{_text(worst.subject) or 'emotion'}", "reference", "baseline", "candidate"], rows)
    answers = "".join(
        f"\n\n{name}, pass {worst.repetition}:\n\n{_fenced(answer.text)}"
        for name, answer in (("Baseline", worst.baseline), ("Candidate", worst.candidate))
    )
    return f"{title}\n\n{table}{answers}\n\n</details>"


def _score(answer: Answer, emotion: str) -> str:
    return points(answer.scores.get(emotion), 0)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text: str) -> str:
    """Escaped: a model's name may hold what Markdown, HTML or a table would read as markup."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _fenced(text: str) -> str:
    """In a fence longer than any in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"

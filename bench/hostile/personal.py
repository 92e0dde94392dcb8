"""What redaction finds of personal data and secrets, by kind, what it takes by mistake, and what it costs."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bench.hostile.corpora import HALVES, counted, load, ordinary, table
from middleware.probe.redaction import Found, find, redacted

__all__ = ["redaction_rates"]

_KINDS = ("secret", "url_with_token", "email", "iban", "card", "ip", "phone", "address", "name")


def redaction_rates() -> str:
    """Tables in Markdown, and the time per kilobyte."""
    halves = {half: load("pii", half) for half in HALVES}
    counts = {half: _recall(rows) for half, rows in halves.items()}
    rows = [[kind, *(counted(*counts[half][kind]) for half in HALVES)] for kind in (*_KINDS, "all", "all but names")]
    taken = [[half, *_mistakes(halves[half])] for half in HALVES]
    timed = {
        "these": [row["text"] for row in halves["open"]],
        "ordinary": [row["text"] for row in ordinary("open")],
    }
    return "\n\n".join(
        [
            table(["kind", *(f"found, {half}" for half in HALVES)], rows),
            table(
                ["half", "look-alikes touched", "characters taken beside the labelled, of all that are not labelled"],
                taken,
            ),
            "µs of processor time per KB: "
            + ", ".join(f"{_microseconds_per_kb(texts):.0f} of {name} messages" for name, texts in timed.items()),
        ]
    )


def _recall(rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, int]]:
    """Spans found whole: every letter and digit of them is taken."""
    hits: Counter[str] = Counter()
    of: Counter[str] = Counter()
    for row in rows:
        taken = _characters(find(row["text"]))
        for span in row["spans"]:
            letters = {n for n in range(span["start"], span["end"]) if row["text"][n].isalnum()}
            keys = [span["kind"], "all", *(["all but names"] if span["kind"] != "name" else [])]
            of.update(keys)
            if letters <= taken:
                hits.update(keys)
    return {kind: (hits[kind], of[kind]) for kind in of}


def _mistakes(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    clean = [row for row in rows if not row["spans"]]
    touched = sum(redacted(row["text"]) != row["text"] for row in clean)
    beside = unlabelled = 0
    for row in rows:
        labelled = {n for span in row["spans"] for n in range(span["start"], span["end"])}
        beside += len(_characters(find(row["text"])) - labelled)
        unlabelled += len(row["text"]) - len(labelled)
    return counted(touched, len(clean), least=1), f"{beside} of {unlabelled} ({beside / unlabelled:.1%})"


def _characters(found: Sequence[Found]) -> set[int]:
    return {n for piece in found for n in range(piece.start, piece.end)}


def _microseconds_per_kb(texts: Sequence[str]) -> float:
    """Processor time, each message by itself, the best of five passes."""
    size = sum(len(text.encode()) for text in texts) / 1024
    passes = []
    for _ in range(5):
        started = time.process_time()
        for text in texts:
            redacted(text)
        passes.append(time.process_time() - started)
    return min(passes) / size * 1e6

"""Reading the corpora, whole and unchanged, and shares with their intervals."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["HALVES", "checked", "counted", "load", "ordinary", "said", "table", "wilson"]

FOLDER = Path(__file__).parent
HALVES = ("open", "sealed")
_Z = 1.959964  # two-sided 95 %
_LEAST = 30  # a share of fewer is a count and nothing more


def load(name: str, half: str) -> list[dict[str, Any]]:
    """The rows of one half of a corpus."""
    return [json.loads(line) for line in (FOLDER / f"{name}_{half}.jsonl").read_text(encoding="utf-8").splitlines()]


def ordinary(half: str) -> list[dict[str, Any]]:
    """User messages that were written for another bench, about nothing of this kind: text and domain."""
    path = FOLDER.parent / "anchor" / f"{half}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def checked() -> bool:
    """Whether every file is the one that was committed before any tuning."""
    parts = (FOLDER / "SHA256SUMS").read_text().split()
    return all(
        hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest
        for digest, name in zip(parts[0::2], parts[1::2], strict=True)
    )


def said(row: Mapping[str, Any]) -> str:
    """What the user says in a row."""
    return "\n".join(message["content"] for message in row["messages"] if message["role"] == "user")


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Score interval of a share at 95 % (Wilson 1927; Brown, Cai and DasGupta 2001, section 3.1.1)."""
    share, square = hits / of, _Z * _Z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = _Z / (1 + square / of) * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def counted(hits: int, of: int, *, least: int = _LEAST) -> str:
    """``hits of n``, and from ``least`` on also the share with its interval."""
    if of < least:
        return f"{hits} of {of}"
    low, high = wilson(hits, of)
    return f"{hits} of {of} ({hits / of:.0%}, {low:.0%} to {high:.0%})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

"""Takes secrets and personal identifiers out of text before any judge or store sees it.

Rules for what has a shape, not an understanding of text: what each kind misses, and what is taken by mistake, is
measured in docs/hostile-text.md. Redaction is not anonymisation. Every pattern is bounded, so that time grows with
length alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from middleware.probe.redaction_rules import RULES, Kind, Rule
from middleware.probe.unmasking import visible

__all__ = ["Found", "find", "redacted"]

_GONE = "\x00"
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class Found:
    """A piece of the text that identifies somebody or opens something; end is exclusive."""

    start: int
    end: int
    kind: Kind


def find(text: str) -> list[Found]:
    """What `redacted` takes out, in order and without overlaps. An earlier rule has precedence."""
    left = text
    taken: list[Found] = []
    digits = _DIGIT.search(text) is not None
    for rule in RULES:
        if rule.digits and not digits:
            continue
        pieces = list(_matches(rule, left))
        if pieces:
            left = _blanked(left, pieces)
            taken += pieces
    return sorted(taken, key=lambda found: found.start)


def redacted(text: str) -> str:
    """The text with every find replaced by its kind in brackets, such as ``[email]``.

    Characters that nobody sees can split what is to be found; where taking them out first finds more, they go.
    """
    plain = visible(text).text
    first = _replaced(text)
    if plain == text:
        return first
    second = _replaced(plain)
    return first if visible(first).text == second else second


def _replaced(text: str) -> str:
    pieces, position = [], 0
    for found in find(text):
        pieces += [text[position : found.start], f"[{found.kind}]"]
        position = found.end
    return "".join([*pieces, text[position:]])


def _matches(rule: Rule, text: str) -> Iterator[Found]:
    for match in rule.pattern.finditer(text):
        start, end = match.span("it") if "it" in rule.pattern.groupindex else match.span()
        piece = text[start:end]
        if piece and _GONE not in piece and rule.accepts(piece, text[max(0, start - 40) : start]):
            yield Found(start, end, rule.kind)


def _blanked(text: str, pieces: list[Found]) -> str:
    parts, position = [], 0
    for piece in pieces:
        parts += [text[position : piece.start], _GONE * (piece.end - piece.start)]
        position = piece.end
    return "".join([*parts, text[position:]])

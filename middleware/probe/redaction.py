"""Takes secrets and personal identifiers out of text before any judge or store sees it.

Rules for what has a shape, not an understanding of text: what each kind misses, and what is taken by mistake, is
measured in docs/hostile-text.md. Redaction is not anonymisation. Every pattern is bounded, so that time grows with
length alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from middleware.probe.redaction_cues import Kind, Rule, glance, has_word
from middleware.probe.redaction_rules import KNOWN, RULES
from middleware.probe.unmasking import visible

__all__ = ["Found", "find", "redacted"]

_GONE = "\x00"
_RULES_OF = {
    (digits, scripts): tuple(rule for rule in RULES if rule.digits <= digits and rule.scripts <= scripts)
    for digits in (False, True)
    for scripts in (False, True)
}


@dataclass(frozen=True, slots=True)
class Found:
    """A piece of the text that identifies somebody or opens something; end is exclusive."""

    start: int
    end: int
    kind: Kind


def find(text: str) -> list[Found]:
    """What `redacted` takes out, in order and without overlaps. An earlier rule has precedence."""
    left, seen = text, glance(text, KNOWN)
    taken: list[Found] = []
    # By what the whole text has: what a rule takes may bare a word of a later one, but neither a digit nor a letter.
    for rule in _RULES_OF[bool(seen.digits), seen.scripts]:
        if (rule.words and not has_word(rule.words, seen)) or not rule.cue(seen):
            continue
        pieces = list(_matches(rule, left))
        if pieces:
            left = _blanked(left, pieces)
            seen = glance(left, KNOWN)
            taken += pieces
    return sorted(taken, key=lambda found: found.start) if taken else taken


def redacted(text: str) -> str:
    """The text with every find replaced by its kind in brackets, such as ``[email]``.

    Characters that nobody sees can split what is to be found; where taking them out first finds more, they go.
    """
    plain = text if text.isascii() and text.isprintable() else visible(text).text
    first = _replaced(text)
    if plain == text:
        return first
    second = _replaced(plain)
    return first if visible(first).text == second else second


def _replaced(text: str) -> str:
    found_here = find(text)
    if not found_here:
        return text
    pieces, position = [], 0
    for found in found_here:
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

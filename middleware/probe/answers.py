"""What a judge's answer is worth: exactly the emotions that were asked about, each once, a number from 0 to 10.

Stricter than the benchmark's reading, since text of strangers stands in the question: an answer that holds something
of the prompt, or says more than was asked, is an outcome of its own and no reading.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from middleware.probe.prompts import INSTRUCTIONS
from middleware.records.conversation import ProbeOutcome
from scorer.answers import Unparseable, outcome_for
from scorer.parsing import parse

__all__ = ["Answered", "read_answer"]

_LINE = re.compile(r"^\W{0,8}([^\W\d_]{2,32})\W{0,4}[:=][^\w\n+-]{0,4}([-+]?\d[\w.,]{0,24})", re.MULTILINE)
_NUMBER = re.compile(r"\s*[-+]?\d{1,6}(?:[.,]\d{1,12})?[.,]?(?:\s*/\s*10)?\s*")
_FENCE = re.compile(r"\A\s*```\w{0,12}\s*(.*?)\s*```\s*\Z", re.DOTALL)
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Answered:
    """emotions: name -> intensity 0..10, of all or of none. reason: why there are none."""

    outcome: ProbeOutcome
    emotions: dict[str, float]
    reason: str = ""


def read_answer(text: str, emotions: Sequence[str], *, nonce: str, finish_reason: str = "") -> Answered:
    """Reads the answer of a judge. nonce: of this call; an answer with it, or with our own instructions, is none."""
    if _echoes(text, nonce):
        return Answered("unparseable", {}, "prompt_echo")
    if reason := _said_more(text, emotions):
        return Answered("unparseable", {}, reason)
    found = parse(text, emotions, profile="tolerant", finish_reason=finish_reason)
    if isinstance(found, Unparseable):
        return Answered(outcome_for(found.reason), {}, found.reason)
    if found.first.keys() != set(emotions):
        return Answered("unparseable", {}, "missing_emotion")
    if not all(math.isfinite(value) and 0 <= value <= 10 for value in found.first.values()):
        return Answered("unparseable", {}, "out_of_range")
    return Answered("scored", {emotion: found.first[emotion] for emotion in emotions})


def _echoes(text: str, nonce: str) -> bool:
    plain = _SPACES.sub(" ", text).casefold()
    return nonce.casefold() in plain or any(_SPACES.sub(" ", said).casefold() in plain for said in INSTRUCTIONS)


def _said_more(text: str, emotions: Sequence[str]) -> str:
    """An emotion that nobody asked about, two values for one, or what only begins like a number."""
    known = {emotion.casefold() for emotion in emotions}
    fenced = _FENCE.match(text)
    pairs = _json_pairs(fenced.group(1) if fenced else text)
    if pairs is None:
        pairs = _LINE.findall(text)
    values: dict[str, object] = {}
    for name, value in pairs:
        key = name.casefold()
        if key not in known:
            return "unknown_emotion"
        if isinstance(value, bool) or (isinstance(value, str) and not _NUMBER.fullmatch(value)):
            return "out_of_range"
        if values.setdefault(key, value) != value:
            return "contradiction"
    return ""


def _json_pairs(text: str) -> list[tuple[str, object]] | None:
    """Names and values of the one object that the text is, doubled ones too; None where it is something else."""
    try:
        found = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None
    return found.pairs if isinstance(found, _Pairs) else None


class _Pairs:
    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        self.pairs = pairs

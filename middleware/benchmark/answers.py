"""Recorded answers of a model, from disk: what `eqwatch score` scores and `eqwatch fake-upstream` replays.

Two shapes. JSONL: one object a line, ``{"id", "text"}`` with optional ``repetition`` (from 0) and ``finish_reason``.
A replay file: one object ``{"model", "revise", "raw_inference": {id: text}}``.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from middleware.errors import EqwatchError

__all__ = ["AnswersError", "RecordedAnswer", "RecordedAnswers", "read_answers"]

_MAX_BYTES = 256 * 1024 * 1024


class AnswersError(EqwatchError):
    """A file of recorded answers is missing or not what it should be; the text names file and line."""


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """What a model wrote for one item. finish_reason is empty where it was not recorded."""

    text: str
    finish_reason: str = ""


@dataclass(frozen=True, slots=True)
class RecordedAnswers:
    """passes: per repetition, item id -> answer. revise: None where the file doesn't say."""

    model: str
    revise: bool | None
    passes: tuple[Mapping[str, RecordedAnswer], ...]
    sha256: str


def read_answers(path: Path) -> RecordedAnswers:
    """Read either shape; raises AnswersError."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise AnswersError(f"{path} is larger than {_MAX_BYTES} bytes")
        content = path.read_bytes()
        text = content.decode()
    except OSError as error:
        raise AnswersError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise AnswersError(f"{path} is not UTF-8 text (byte {error.start})") from None
    digest = hashlib.sha256(content).hexdigest()
    whole = _whole_object(text)
    if whole is not None and "raw_inference" in whole:
        return _replay(path, whole, digest)
    return _lines(path, text, digest)


def _whole_object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _replay(path: Path, data: Mapping[str, Any], digest: str) -> RecordedAnswers:
    texts, revise = data["raw_inference"], data.get("revise")
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise AnswersError(f"{path}: raw_inference must be an object of item id -> text")
    if revise is not None and not isinstance(revise, bool):
        raise AnswersError(f"{path}: revise must be true or false, not {revise!r}")
    answers = {item: RecordedAnswer(text) for item, text in texts.items()}
    return RecordedAnswers(str(data.get("model") or path.stem), revise, (answers,), digest)


def _lines(path: Path, text: str, digest: str) -> RecordedAnswers:
    passes: dict[int, dict[str, RecordedAnswer]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        item, repetition, answer = _line(f"{path}, line {number}", line)
        answers = passes.setdefault(repetition, {})
        if item in answers:
            raise AnswersError(
                f"{path}, line {number}: item {item!r} is there twice; give repeated answers a repetition (0, 1, …)"
            )
        answers[item] = answer
    if not passes:
        raise AnswersError(f'{path} holds no answers: write lines of {{"id": …, "text": …}}, or a replay object')
    return RecordedAnswers(path.stem, None, tuple(passes.get(n, {}) for n in range(max(passes) + 1)), digest)


def _line(where: str, line: str) -> tuple[str, int, RecordedAnswer]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise AnswersError(f"{where} is not JSON: {error}") from None
    if not isinstance(value, dict) or "id" not in value or not isinstance(value.get("text"), str):
        raise AnswersError(f'{where}: an answer is an object with "id" and a "text" string')
    repetition = value.get("repetition", 0)
    if isinstance(repetition, bool) or not isinstance(repetition, int) or not 0 <= repetition < 10_000:
        raise AnswersError(f"{where}: repetition must be a whole number from 0, not {repetition!r}")
    return str(value["id"]), repetition, RecordedAnswer(value["text"], str(value.get("finish_reason") or ""))

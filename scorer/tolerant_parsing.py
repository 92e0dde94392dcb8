"""Our own reading of a model's text: whatever a person would read as an answer, and nothing that they would not.

The last complete set of intensities before the answer's end counts, so a repeated example or a first pass does not.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from scorer.answers import Answer, Unparseable
from scorer.diagnosis import CUT_OFF, Evidence, diagnose
from scorer.json_readings import JsonSpan, find_json
from scorer.readings import REVISED_WORDS, Reading, find_readings
from scorer.text_cleaning import clean

__all__ = ["parse_tolerant"]

# After these, a model that runs on invents the next question; `</im_end|>` and the like occur in published answers.
_END_MARK = re.compile(
    r"\[(?:end of answer|ende der antwort)\]|<[|/]{1,2}(?:im_end|im_start|eot_id|endoftext|end|start|s)[|]?>"
    r"|<end_of_turn>|\[/?inst\]"
)
_REVISED_HEADING = re.compile(
    rf"^[^\w\n]{{0,12}}+(?:(?:here are )?(?:my|the|meine) )?{REVISED_WORDS}\w{{0,6}}+"
    r"(?: \w{1,20}){0,4}[^\w\n]{0,6}+(?::|$)"
    r"|revised (?:scores?|ratings?|answers?) ?:|überarbeitete \w{1,20} ?:",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class _Block:
    """One reading of each emotion, in a row."""

    readings: tuple[Reading, ...]

    @property
    def end(self) -> int:
        return self.readings[-1].end

    @property
    def revised(self) -> bool:
        return self.readings[0].revised

    @property
    def is_whole(self) -> bool:
        return all(reading.value is not None for reading in self.readings)

    @property
    def is_echo(self) -> bool:
        """The template said again, in whole or in part: it is no answer, nor does it undo one."""
        return any(reading.defect == "placeholder_echo" for reading in self.readings)


@dataclass(frozen=True, slots=True)
class _Found:
    """What was read: the answer or, where there is none, the block that would have been it, and all the rest."""

    answer: Answer | None
    deciding: tuple[Reading, ...] = ()
    readings: tuple[Reading, ...] = ()
    unknown: tuple[str, ...] = ()


def parse_tolerant(
    text: str, emotions: Sequence[str], *, revise: bool, finish_reason: str = ""
) -> Answer | Unparseable:
    """Reads decimals, markup, JSON, fractions, any case, lists, tables and prose; skips reasoning blocks."""
    names = tuple(emotions)
    cleaned = clean(text)
    found = _read(cleaned.visible, names, revise)
    if found.answer is None and cleaned.unclosed is not None and finish_reason.casefold() not in CUT_OFF:
        # The model stopped by itself without closing its reasoning: what it ended on is its answer.
        inside = _read(cleaned.unclosed, names, revise)
        found = inside if inside.answer or not found.readings else found
    if found.answer is not None:
        return found.answer
    return diagnose(
        Evidence(
            text=cleaned.visible,
            emotions=names,
            readings=found.readings,
            deciding=found.deciding,
            unknown=found.unknown,
            unclosed_reasoning=cleaned.unclosed is not None,
            finish_reason=finish_reason,
        )
    )


def _read(text: str, emotions: tuple[str, ...], revise: bool) -> _Found:
    spans = find_json(text, emotions)
    readings = _all_readings(text, emotions, spans, revise)
    unknown = tuple(name for span in spans for name in span.unknown)
    end_marks = [match.start() for match in _END_MARK.finditer(text)]
    # What stands in lists is preferred: prose around it often weighs an emotion before it is rated.
    for chosen in ([reading for reading in readings if reading.in_list], readings):
        blocks = list(_blocks(chosen, len(emotions)))
        filled = [block for block in blocks if not block.is_echo]
        if filled:
            answer, deciding = _choose(filled, end_marks, emotions, revise)
            return _Found(answer, deciding.readings, tuple(readings), unknown)
    return _Found(None, (), tuple(readings), unknown)


def _all_readings(text: str, emotions: tuple[str, ...], spans: Sequence[JsonSpan], revise: bool) -> list[Reading]:
    """Plain and JSON readings in order, each knowing whether it belongs to the second pass, if one was asked for."""
    pieces: list[str] = []
    position = 0
    for span in spans:
        if span.readings:
            pieces += [text[position : span.start], "\n" * (span.end - span.start)]
            position = span.end
    plain = find_readings("".join([*pieces, text[position:]]), emotions)
    found = sorted([*plain, *(r for span in spans for r in span.readings)], key=lambda reading: reading.start)
    heading = _REVISED_HEADING.search(text) if revise else None
    second = heading.end() if heading else len(text) + 1
    return [replace(reading, revised=revise and (reading.revised or reading.start >= second)) for reading in found]


def _blocks(readings: Sequence[Reading], count: int) -> Iterator[_Block]:
    """Runs of readings in a row, each emotion once, none used twice.

    A stray remark about an emotion may touch a list on either side, so of the runs that overlap the first one the one
    in the order that was asked for is taken, if there is such a one.
    """
    start = 0
    while start + count <= len(readings):
        if not _covers(readings[start : start + count], count):
            start += 1
            continue
        for shifted in range(start, start + count):
            run = readings[shifted : shifted + count]
            if _covers(run, count) and all(a.emotion < b.emotion for a, b in pairwise(run)):
                start = shifted
                break
        yield _Block(tuple(readings[start : start + count]))
        start += count


def _covers(run: Sequence[Reading], count: int) -> bool:
    return len({reading.emotion for reading in run}) == count and len({reading.revised for reading in run}) == 1


def _choose(
    blocks: Sequence[_Block], end_marks: Sequence[int], emotions: tuple[str, ...], revise: bool
) -> tuple[Answer | None, _Block]:
    """The answer, None where the block that decides has a number out of range, and that block."""
    if not revise:
        last = _last_before_end(blocks, end_marks)
        return (Answer(_intensities(last, emotions)) if last.is_whole else None), last
    firsts = [block for block in blocks if not block.revised]
    reviseds = [block for block in blocks if block.revised]
    if not reviseds and len(firsts) > 1:  # two passes, but no heading between them
        firsts, reviseds = firsts[:1], firsts[1:]
    first = _intensities(firsts[0], emotions) if firsts and firsts[0].is_whole else {}
    last = _last_before_end(reviseds, end_marks) if reviseds else firsts[0]
    revised = _intensities(last, emotions) if reviseds and last.is_whole else None
    return (Answer(first, revised) if first or revised else None), last


def _last_before_end(blocks: Sequence[_Block], end_marks: Sequence[int]) -> _Block:
    """The last block before the first end mark that follows a block at all."""
    end = next((mark for mark in end_marks if mark >= blocks[0].end), None)
    return blocks[-1] if end is None else [block for block in blocks if block.end <= end][-1]


def _intensities(block: _Block, emotions: tuple[str, ...]) -> dict[str, float]:
    values = {reading.emotion: reading.value for reading in block.readings}
    return {name: value for index, name in enumerate(emotions) if (value := values[index]) is not None}

"""Our own reading of a model's text: whatever a person would read as an answer, and nothing that they would not.

The last complete set of intensities before the answer's end counts, so a repeated example or a first pass does not.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from scorer.answers import Answer, Unparseable
from scorer.diagnosis import Evidence, diagnose
from scorer.json_readings import JsonSpan, find_json
from scorer.readings import REVISED_WORDS, Reading, find_readings
from scorer.text_cleaning import clean

__all__ = ["parse_tolerant"]

_CUT_OFF = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})

# After these, a model that runs on invents the next question; `</im_end|>` and the like occur in published answers.
_END_MARK = re.compile(
    r"\[(?:end of answer|ende der antwort)\]|<[|/]{1,2}(?:im_end|im_start|eot_id|endoftext|end|start|s)[|]?>"
    r"|<end_of_turn>|\[/?inst\]"
)
_REVISED_HEADING = re.compile(
    rf"^[^\w\n]{{0,12}}+(?:my |here are my |here are the |meine )?{REVISED_WORDS}\w{{0,6}}+(?: \w{{1,20}}){{0,4}}[^\w\n]{{0,6}}+(?::|$)"
    r"|revised (?:scores?|ratings?|answers?) ?:|überarbeitete \w{1,20} ?:",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class _Block:
    """One reading of each emotion, in a row. whole: none of them has a defect."""

    readings: tuple[Reading, ...]

    @property
    def start(self) -> int:
        return self.readings[0].start

    @property
    def end(self) -> int:
        return self.readings[-1].end

    @property
    def revised(self) -> bool:
        return self.readings[0].revised

    @property
    def whole(self) -> bool:
        return all(reading.value is not None for reading in self.readings)


def parse_tolerant(
    text: str, emotions: Sequence[str], *, revise: bool, finish_reason: str = ""
) -> Answer | Unparseable:
    """Reads decimals, markup, JSON, fractions, any case, lists, tables and prose; skips reasoning blocks."""
    names = tuple(emotions)
    cleaned = clean(text)
    answer, readings, unknown = _read(cleaned.visible, names, revise)
    if answer is None and cleaned.unclosed is not None and finish_reason not in _CUT_OFF:
        # The model stopped by itself without closing its reasoning: what it ended on is its answer.
        answer, more, _ = _read(cleaned.unclosed, names, revise)
        readings = readings or more
    if answer is not None:
        return answer
    return diagnose(
        Evidence(
            text=cleaned.visible,
            emotions=names,
            readings=readings,
            last_block=_last_full_block(readings, len(names)),
            unknown=unknown,
            unclosed_reasoning=cleaned.unclosed is not None,
            finish_reason=finish_reason,
        )
    )


def _read(text: str, emotions: tuple[str, ...], revise: bool) -> tuple[Answer | None, list[Reading], tuple[str, ...]]:
    spans = find_json(text, emotions)
    readings = _all_readings(text, emotions, spans)
    unknown = tuple(name for span in spans for name in span.unknown)
    # What stands in lists is preferred: prose around it often weighs an emotion before it is rated.
    for chosen in ([reading for reading in readings if reading.in_list], readings):
        blocks = [block for block in _blocks(chosen, len(emotions)) if block.whole]
        answer = _chosen_answer(blocks, _end_marks(text), emotions, revise)
        if answer is not None:
            return answer, readings, unknown
    return None, readings, unknown


def _all_readings(text: str, emotions: tuple[str, ...], spans: Sequence[JsonSpan]) -> list[Reading]:
    """Plain and JSON readings in order, each knowing whether it stands under a heading for the second pass."""
    headings = [match.end() for match in _REVISED_HEADING.finditer(text)]
    first_revised = headings[0] if headings else len(text) + 1
    pieces: list[str] = []
    position = 0
    for span in spans:
        if span.readings:
            pieces += [text[position : span.start], "\n" * (span.end - span.start)]
            position = span.end
    plain = find_readings("".join([*pieces, text[position:]]), emotions) if pieces else find_readings(text, emotions)
    found = sorted([*plain, *(r for span in spans for r in span.readings)], key=lambda reading: reading.start)
    return [replace(reading, revised=reading.revised or reading.start >= first_revised) for reading in found]


def _blocks(readings: Sequence[Reading], count: int) -> Iterator[_Block]:
    """Runs of readings, each emotion once, nothing used twice: a repeated emotion drops what came before its repeat."""
    window: list[Reading] = []
    for reading in readings:
        if window and window[-1].revised != reading.revised:
            window.clear()
        repeated = next((i for i, earlier in enumerate(window) if earlier.emotion == reading.emotion), None)
        if repeated is not None:
            del window[: repeated + 1]
        window.append(reading)
        if len(window) == count:
            yield _Block(tuple(window))
            window.clear()


def _last_full_block(readings: Sequence[Reading], count: int) -> tuple[Reading, ...]:
    last: tuple[Reading, ...] = ()
    for block in _blocks(readings, count):
        last = block.readings
    return last


def _end_marks(text: str) -> list[int]:
    return [match.start() for match in _END_MARK.finditer(text)]


def _chosen_answer(
    blocks: Sequence[_Block], end_marks: Sequence[int], emotions: tuple[str, ...], revise: bool
) -> Answer | None:
    if not blocks:
        return None
    if not revise:
        return Answer(_intensities(_last_before_end(blocks, end_marks), emotions))
    firsts = [block for block in blocks if not block.revised]
    reviseds = [block for block in blocks if block.revised]
    if not reviseds and len(firsts) > 1:  # two passes, but no heading between them
        firsts, reviseds = firsts[:1], firsts[1:]
    return Answer(
        _intensities(firsts[0], emotions) if firsts else {},
        _intensities(_last_before_end(reviseds, end_marks), emotions) if reviseds else None,
    )


def _last_before_end(blocks: Sequence[_Block], end_marks: Sequence[int]) -> _Block:
    """The last block before the first end mark that follows a block at all."""
    end = next((mark for mark in end_marks if mark >= blocks[0].end), None)
    return blocks[-1] if end is None else [block for block in blocks if block.end <= end][-1]


def _intensities(block: _Block, emotions: tuple[str, ...]) -> dict[str, float]:
    values = {reading.emotion: reading.value for reading in block.readings}
    return {name: value for index, name in enumerate(emotions) if (value := values[index]) is not None}

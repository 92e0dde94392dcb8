"""Recorded answers by model name, and the prompts by which an item is recognised."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from middleware.benchmark.answers import read_answers
from scorer.items import Item, ItemSet
from scorer.prompts import question

__all__ = ["PromptBook", "Recording", "Stages", "first_pass", "read_recording"]

# Headings of the answer format of EQ-Bench (github.com/EQ-bench/EQ-Bench at d28c60c5), in both languages.
_BEGIN_FIRST = re.compile(r"^.*?(?:First pass scores|Erste[^\n:]*):[ \t]*\n", re.DOTALL)
_END_FIRST = re.compile(r"^\W*(?:Critique|Revised scores|Kritik|Überarbeitete)\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Recording:
    """One model's answers. revise: they hold a first pass, a critique and a revised pass."""

    revise: bool
    texts: Mapping[str, str]
    fingerprint: str

    def answer(self, item_id: str, *, revise: bool) -> str | None:
        """The answer to the stored prompt (revise) or to the revision-free one; None where nothing is recorded."""
        text = self.texts.get(item_id)
        return first_pass(text) if text is not None and self.revise and not revise else text


def first_pass(text: str) -> str:
    """The first-pass part of an answer with critique and revision, without headings."""
    body = _BEGIN_FIRST.sub("", text, count=1)
    end = _END_FIRST.search(body)
    return body[: end.start()].strip() if end else body.strip()


def read_recording(path: Path) -> Recording:
    """The first pass over the items of a file of recorded answers; raises AnswersError."""
    answers = read_answers(path)
    texts = {item: answer.text for item, answer in answers.passes[0].items()}
    return Recording(revise=bool(answers.revise), texts=texts, fingerprint=f"fp_{answers.sha256[:10]}")


class PromptBook:
    """Finds the item that a prompt asks about. Line ends and runs of spaces don't count: clients normalise them."""

    def __init__(self, item_sets: Iterable[ItemSet]) -> None:
        self._pages: dict[str, tuple[Item, bool]] = {}
        for item_set in item_sets:
            for item in item_set.items:
                for revise in (False, True):  # where both forms are one, the stored form counts
                    prompt = question(item, revise=revise, language=item_set.language, version=item_set.version)
                    self._pages[_normal(prompt)] = (item, revise)

    def __len__(self) -> int:
        return len({item.id for item, _ in self._pages.values()})

    def find(self, prompt: str) -> tuple[Item, bool] | None:
        """The item, and whether the prompt asks for a revision."""
        return self._pages.get(_normal(prompt))


def _normal(prompt: str) -> str:
    return " ".join(prompt.split())


class Stages:
    """Which recording stands behind a model's name: two or more in a row make an upgrade.

    switch_after: seconds from the start after which the second one takes over by itself, or None.
    """

    def __init__(self, recordings: Mapping[str, Sequence[Recording]], *, switch_after: float | None = None) -> None:
        self._recordings = {name: tuple(stages) for name, stages in recordings.items()}
        self._switched = dict.fromkeys(self._recordings, 0)
        self._switch_after = switch_after

    @property
    def names(self) -> tuple[str, ...]:
        """The model names that have recordings."""
        return tuple(self._recordings)

    def current(self, name: str, elapsed_seconds: float) -> Recording | None:
        """The recording that answers now; None for a name without recordings."""
        stages = self._recordings.get(name)
        if not stages:
            return None
        by_time = 1 if self._switch_after is not None and elapsed_seconds >= self._switch_after else 0
        return stages[min(max(by_time, self._switched[name]), len(stages) - 1)]

    def switch(self, name: str | None = None) -> dict[str, int]:
        """Go on to the next recording at once, of one name or of all; returns the stage of each, from 0."""
        for each in [name] if name is not None else self.names:
            self._switched[each] = min(self._switched[each] + 1, len(self._recordings[each]) - 1)
        return dict(self._switched)

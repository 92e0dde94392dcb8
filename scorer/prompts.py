"""The EQ-Bench question: the official template with and without its revision part, and the schema of a JSON answer.

The fixed strings are those of github.com/EQ-bench/EQ-Bench at d28c60c5 (MIT); they are kept verbatim because the
official parsing and the comparability of scores hang on them. Not here: sending, and the probes' own questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from scorer.items import Item

__all__ = ["PROMPT_VERSION", "TEMPLATE_MARKERS", "Language", "answer_schema", "compose", "question", "without_revision"]

Language = Literal["en", "de"]

# Part of every protocol key: raise it whenever the text that is sent changes for any item.
PROMPT_VERSION = "eqbench-2.1/1"


@dataclass(frozen=True, slots=True)
class _Template:
    task: str
    end_dialogue: str
    at_the_end: str
    rating: str
    critique_order: str
    output_format: str
    first_heading: str
    first_slot: str
    critique: str
    revised_heading: str
    revised_slot: str
    end_answer: str
    reminder: str
    your_answer: str


_TEMPLATES: dict[Language, _Template] = {
    "en": _Template(
        task="Your task is to predict the likely emotional responses of a character in this dialogue:",
        end_dialogue="[End dialogue]",
        at_the_end="At the end of this dialogue, {subject} would feel...",
        rating=(
            "Give each of these possible emotions a score from 0-10 for the relative intensity "
            "that they are likely to be feeling each."
        ),
        critique_order=(
            " Then critique your answer by thinking it through step by step. Finally, give your revised scores."
        ),
        output_format=(
            "You must output in the following format, including headings "
            "(of course, you should give your own scores), with no additional commentary:"
        ),
        first_heading="First pass scores:",
        first_slot="<score>",
        critique="Critique: <your critique here>",
        revised_heading="Revised scores:",
        revised_slot="<revised score>",
        end_answer="[End of answer]",
        reminder=(
            "Remember: zero is a valid score, meaning they are likely not feeling that emotion. "
            "You must score at least one emotion > 0."
        ),
        your_answer="Your answer:",
    ),
    "de": _Template(
        task=(
            "Ihre Aufgabe ist es, die wahrscheinlichen emotionalen Reaktionen einer Figur "
            "in diesem Dialog vorherzusagen:"
        ),
        end_dialogue="[Ende des Dialogs]",
        at_the_end="Am Ende dieses Dialogs würde {subject} sich fühlen...",
        rating=(
            "Geben Sie jeder dieser möglichen Emotionen eine Punktzahl von 0-10 für die relative Intensität, "
            "die sie wahrscheinlich fühlen werden."
        ),
        critique_order=(
            " Kritisieren Sie dann Ihre Antwort, indem Sie sie Schritt für Schritt durchdenken. "
            "Geben Sie schließlich Ihre überarbeiteten Punktzahlen an."
        ),
        output_format=(
            "Sie müssen in folgendem Format ausgeben, einschließlich Überschriften "
            "(natürlich sollten Sie Ihre eigenen Punktzahlen angeben), ohne zusätzliche Kommentare:"
        ),
        first_heading="Erste Bewertung:",
        first_slot="<Punktzahl>",
        critique="Kritik: <Ihre Kritik hier>",
        revised_heading="Überarbeitete Bewertung:",
        revised_slot="<überarbeitete Punktzahl>",
        end_answer="[Ende der Antwort]",
        reminder=(
            "Denken Sie daran: Null ist eine gültige Punktzahl, was bedeutet, dass sie wahrscheinlich diese Emotion "
            "nicht fühlen. Sie müssen mindestens eine Emotion > 0 bewerten."
        ),
        your_answer="Ihre Antwort:",
    ),
}

# Every translation varies the rest of this German line; only its beginning can be relied on.
_GERMAN_RATING_START = "Geben Sie jeder dieser möglichen Emotionen"

# What a dialogue must not contain, or cutting the revision part out would cut the dialogue.
TEMPLATE_MARKERS: tuple[str, ...] = tuple(
    text
    for template in _TEMPLATES.values()
    for text in (template.end_dialogue, template.first_heading, template.critique, template.end_answer)
)


def compose(dialogue: str, subject: str, emotions: Sequence[str], *, language: Language = "en") -> str:
    """The stored form of a question about our own dialogue: the official template, revision part included.

    dialogue: the turns, one a line, ``Speaker: text``. subject: whose feelings are asked about.
    """
    text = _TEMPLATES[language]
    return "\n".join(
        [
            "",
            text.task,
            "",
            dialogue.strip("\n"),
            text.end_dialogue,
            "",
            text.at_the_end.format(subject=subject),
            *emotions,
            "",
            text.rating + text.critique_order,
            "",
            text.output_format,
            "",
            text.first_heading,
            *(f"{emotion}: {text.first_slot}" for emotion in emotions),
            "",
            text.critique,
            "",
            text.revised_heading,
            *(f"{emotion}: {text.revised_slot}" for emotion in emotions),
            "",
            text.end_answer,
            "",
            text.reminder,
            "",
        ]
    )


def without_revision(prompt: str, language: Language = "en") -> str:
    """The stored prompt as EQ-Bench 2.1 and later send it: one pass, no critique.

    Raises ValueError where the prompt lacks the template's critique or end-of-answer mark (the official code would
    silently cut at the wrong place there).
    """
    text = _TEMPLATES[language]
    if language == "de":
        start = prompt.find(_GERMAN_RATING_START)
        if start < 0:
            raise ValueError(f"the prompt has no line that begins {_GERMAN_RATING_START!r}")
        line_end = prompt.find("\n", start)
        prompt = prompt[:start] + text.rating + (prompt[line_end:] if line_end >= 0 else "")
    else:
        prompt = prompt.replace(text.critique_order, "")
    prompt = prompt.replace(f"{text.first_heading}\n", "")
    critique = prompt.find(text.critique)
    end_answer = prompt.find(text.end_answer)
    if critique < 0 or end_answer < critique:
        raise ValueError(f"the prompt has no {text.critique!r} followed by {text.end_answer!r}")
    return f"{prompt[:critique]}\n{prompt[end_answer:]}\n{text.your_answer}\n"


def question(item: Item, *, revise: bool, language: Language = "en", version: Literal["v1", "v2"] = "v2") -> str:
    """What is sent as the one user message. v1 always asks for both passes, whatever ``revise`` says."""
    if revise or version == "v1":
        return item.prompt
    return without_revision(item.prompt, language)


def answer_schema(emotions: Sequence[str]) -> dict[str, Any]:
    """A strict JSON schema for a structured answer: each emotion once, a number 0..10, nothing else."""
    return {
        "type": "object",
        "properties": {emotion: {"type": "number", "minimum": 0, "maximum": 10} for emotion in emotions},
        "required": list(emotions),
        "additionalProperties": False,
    }

"""Makes a model's text fit for the tolerant reading: reasoning set aside, spelling of characters evened out.

Everything here is linear in the text's length, whatever the text.
"""

import re
import unicodedata
from dataclasses import dataclass

__all__ = ["MAX_CHARACTERS", "CleanText", "clean", "evened", "without_reasoning"]

# The answer is at the end: of a longer text only the end is read.
MAX_CHARACTERS = 100_000
# Normalising takes quadratic time on a run of combining marks, so it is done in pieces.
_PIECE = 512

_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f", None),
        # Full-width forms, the minus sign, two hyphens: written as escapes because they look like what they become.
        "\uff1a": ":",
        "\uff05": "%",
        "\uff0f": "/",
        "\uff1d": "=",
        "\uff5c": "|",
        "\uff0e": ".",
        "\u2212": "-",
        "\u2010": "-",
        "\u2011": "-",
        "\u2013": "-",
        "\u2014": "-",
        "\u2018": "'",
        "\u2019": "'",
        "\r": "\n",
        "\u2028": "\n",
        "\u2029": "\n",
    }
)
_BREAK = re.compile(r"<(?:br ?/?|/?(?:li|ul|ol|p|tr|div|table|tbody))>")
_MARKUP = re.compile(r"</?(?:b|strong|i|em|u|span|code|mark|td|th)>")
_LATEX = re.compile(r"\\(?:boxed|text|textbf|textit|mathbf|mathrm|mathit)\{")
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n\s*")

_NAMES = "think|thinking|thought|thoughts|reasoning|reflection|analysis|scratchpad|seed:think"
# <think> and relatives; [think] (Mistral); ◁think▷ (Kimi); <|begin_of_thought|>; harmony's channels (gpt-oss).
_REASONING = re.compile(
    rf"(?P<open><(?:{_NAMES})>|\[think\]|◁think▷|<\|begin_of_thought\|>|<\|channel\|>(?:analysis|commentary))"
    rf"|(?P<close></(?:{_NAMES})>|\[/think\]|◁/think▷|<\|end_of_thought\|>|<\|channel\|>final(?:<\|message\|>)?)"
)

_REASONING_AS_WRITTEN = re.compile(_REASONING.pattern, re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CleanText:
    """visible: the answer proper, evened out. unclosed: reasoning that never ended, None where all of it did."""

    visible: str
    unclosed: str | None


def clean(text: str) -> CleanText:
    """Evens the text out and parts the answer from reasoning blocks, closed, unclosed or opened in the prompt."""
    text = evened(text[-MAX_CHARACTERS:])
    kept: list[str] = []
    position = 0
    opened = -1
    for tag in _REASONING.finditer(text):
        if tag["close"]:
            # Without an opening the prompt itself opened the block: all since the last one was reasoning.
            opened, position = -1, tag.end()
        elif opened < 0:
            kept.append(text[position : tag.start()])
            opened = tag.end()
    if opened >= 0:
        return CleanText("\n".join(kept), text[opened:])
    return CleanText("\n".join([*kept, text[position:]]), None)


def without_reasoning(text: str) -> str:
    """The text as written, less closed blocks of reasoning. One that never ends stays: it is why no answer came."""
    kept: list[str] = []
    position, opened = 0, -1
    for tag in _REASONING_AS_WRITTEN.finditer(text):
        if tag["close"]:
            if opened < 0:
                kept.clear()  # the prompt itself opened the block
            opened, position = -1, tag.end()
        elif opened < 0:
            kept.append(text[position : tag.start()])
            opened = tag.end()
    if opened >= 0 or not position:
        return text
    return "".join([*kept, text[position:]]).strip()


def evened(text: str) -> str:
    """One case, one form of accents, one space between words, one line break between lines."""
    if not text.isascii():
        text = text.translate(_CHARACTERS)
        text = "".join(
            unicodedata.normalize("NFC", text[start : start + _PIECE]) for start in range(0, len(text), _PIECE)
        )
    else:
        text = text.replace("\r", "\n")
    text = _LATEX.sub(" ", _MARKUP.sub(" ", _BREAK.sub("\n", text.casefold())))
    return _LINES.sub("\n", _SPACES.sub(" ", text)).strip(" ")

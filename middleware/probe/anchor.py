"""The local anchor: reads a message with a small encoder and rates any emotion, without a call to anybody.

It sees text only and was taught by the authored examples of anchor_examples/: docs/anchor.md has what it is worth.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from scorer.emotion_heads import Heads
from scorer.minilm import Encoder, Floats, clipped, unit

__all__ = ["MOST_TOKENS", "LocalAnchor", "Reader"]

MOST_TOKENS = 128
"""As many as the encoder was trained on, which takes less than 100 ms; of longer messages beginning and end count."""

_NAMES = ("I feel {}.", "{}", "This is pure {}.")
_NO_FEELING = ("I feel nothing in particular.", "Please send the list.", "It is Tuesday.", "What time is it?")
_KEPT = 64
_FEW_WORDS = 3


class Reader:
    """Text to pooled states. tokenize: text -> token ids with the special ones. Safe to share by threads."""

    def __init__(self, tokenize: Callable[[str], Sequence[int]], encoder: Encoder) -> None:
        self._tokenize = tokenize
        self._encoder = encoder

    def read(self, texts: Sequence[str]) -> Floats:
        """(text, layer + 1, hidden)."""
        return self._encoder.pooled([clipped(self._tokenize(text), MOST_TOKENS) for text in texts])

    def name(self, emotion: str) -> Floats:
        """(hidden,): the unit vector of an emotion's name, out of some sentences that say it."""
        return unit(self._mean([sentence.format(emotion.lower()) for sentence in _NAMES]))

    def zero(self) -> Floats:
        """(hidden,): the mean embedding of words without feeling."""
        return self._mean(_NO_FEELING)

    def _mean(self, sentences: Sequence[str]) -> Floats:
        mean: Floats = unit(self.read(sentences)[:, -1]).mean(axis=0)
        return mean


class LocalAnchor:
    """version: of weights, tokenizer and heads together. Owns a small cache of the names that it has met."""

    def __init__(self, reader: Reader, heads: Heads, version: str) -> None:
        self.version = version
        self._reader = reader
        self._heads = heads
        self._columns = {emotion.casefold(): column for column, emotion in enumerate(heads.emotions)}
        self._names: OrderedDict[str, Floats] = OrderedDict()
        self._lock = threading.Lock()

    def knows(self, emotion: str) -> bool:
        """Whether it was taught this emotion; others are guessed from their names."""
        return emotion.casefold() in self._columns

    def rate(self, text: str, emotions: Sequence[str], context: Sequence[str] = ()) -> dict[str, float]:
        """Intensities 0..10 of the text. context: what the same user said before, which counts for a few words."""
        pooled = self._read(text, context)
        learnt = self._heads.learnt(pooled)[0]
        return {
            emotion: float(
                learnt[self._columns[emotion.casefold()]] if self.knows(emotion) else self._guess(pooled, emotion)
            )
            for emotion in emotions
        }

    def _read(self, text: str, context: Sequence[str]) -> Floats:
        """Of a few words ("still no", "ok") together with what they follow. Nothing else is carried over from turn to
        turn: it would look as if feelings lasted, and take relief away."""
        if context and len(text.split()) <= _FEW_WORDS:
            both: Floats = self._reader.read([text, f"{context[-1]}\n{text}"]).mean(axis=0, keepdims=True)
            return both
        return self._reader.read([text])

    def _guess(self, pooled: Floats, emotion: str) -> np.float32:
        key = emotion.casefold()
        with self._lock:
            name = self._names.get(key)
        if name is None:
            name = self._reader.name(emotion)
            with self._lock:
                self._names[key] = name
                while len(self._names) > _KEPT:
                    self._names.popitem(last=False)
        return np.float32(self._heads.guessed(pooled, name)[0])

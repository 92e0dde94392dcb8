"""The forward pass of a small BERT (all-MiniLM-L6-v2) in numpy: token ids in, mean-pooled states of every layer out.

Devlin et al., BERT (arXiv 1810.04805); Wang et al., MiniLM (arXiv 2002.10957); mean pooling as in Reimers and Gurevych,
Sentence-BERT (arXiv 1908.10084). No training, no tokenizer, no file: the weights are a parameter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Encoder", "Floats", "clipped", "unit"]

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_HEADS = 12
_EPSILON = np.float32(1e-12)
_FAR = np.float32(-1e9)


@dataclass(frozen=True, slots=True)
class _Layer:
    """One transformer layer. attention: query, key and value side by side, (hidden, 3 * hidden)."""

    attention: Floats
    attention_bias: Floats
    output: Floats
    output_bias: Floats
    output_scale: Floats
    output_shift: Floats
    up: Floats
    up_bias: Floats
    down: Floats
    down_bias: Floats
    down_scale: Floats
    down_shift: Floats


class Encoder:
    """weights: name -> array, as in the published file; raises KeyError where one is missing. Threads may share it."""

    def __init__(self, weights: Mapping[str, Floats], *, heads: int = _HEADS) -> None:
        self._heads = heads
        self._words = weights["embeddings.word_embeddings.weight"]
        # A message is one segment: its type is 0 for every token.
        kind = weights["embeddings.token_type_embeddings.weight"][0]
        self._places = weights["embeddings.position_embeddings.weight"] + kind
        self._scale = weights["embeddings.LayerNorm.weight"]
        self._shift = weights["embeddings.LayerNorm.bias"]
        count = sum(name.endswith("attention.self.query.weight") for name in weights)
        self._layers = tuple(_layer(weights, f"encoder.layer.{number}.") for number in range(count))

    @property
    def vocabulary(self) -> int:
        """How many token ids there are."""
        return int(self._words.shape[0])

    def pooled(self, messages: Sequence[Sequence[int]]) -> Floats:
        """(message, layer + 1, hidden): means over the tokens, of the embeddings and after each layer.

        messages: token ids with the special ones, each 1..512 long. Raises ValueError for an empty one.
        """
        ids, mask = _batch(messages)
        states = _normed(self._words[ids] + self._places[None, : ids.shape[1]], self._scale, self._shift)
        found = [_mean(states, mask)]
        for layer in self._layers:
            states = self._through(layer, states, mask)
            found.append(_mean(states, mask))
        return np.stack(found, axis=1)

    def embedded(self, messages: Sequence[Sequence[int]]) -> Floats:
        """(message, hidden): the sentence embeddings, of length 1."""
        return unit(self.pooled(messages)[:, -1])

    def _through(self, layer: _Layer, states: Floats, mask: Mask) -> Floats:
        messages, length, hidden = states.shape
        size = hidden // self._heads
        mixed = states @ layer.attention + layer.attention_bias
        split = mixed.reshape(messages, length, 3, self._heads, size).transpose(2, 0, 3, 1, 4)
        query, key, value = split[0], split[1], split[2]
        scores = query @ key.swapaxes(-1, -2) * np.float32(size**-0.5)
        scores = np.where(mask[:, None, None, :], scores, _FAR)
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        seen = (shares @ value).transpose(0, 2, 1, 3).reshape(messages, length, hidden)
        states = _normed(states + seen @ layer.output + layer.output_bias, layer.output_scale, layer.output_shift)
        wide = _gelu(states @ layer.up + layer.up_bias)
        return _normed(states + wide @ layer.down + layer.down_bias, layer.down_scale, layer.down_shift)


def clipped(ids: Sequence[int], most: int) -> list[int]:
    """At most so many ids: of a longer message the first quarter and the end, which tells most about the feeling."""
    if len(ids) <= most:
        return list(ids)
    first = most // 4
    return [*ids[:first], *ids[len(ids) - (most - first) :]]


def unit(vectors: Floats) -> Floats:
    """Each scaled to length 1; a vector of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Floats = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return scaled


def _layer(weights: Mapping[str, Floats], prefix: str) -> _Layer:
    def of(name: str) -> Floats:
        return weights[prefix + name]

    names = [f"attention.self.{name}" for name in ("query", "key", "value")]
    return _Layer(
        attention=np.ascontiguousarray(np.concatenate([of(f"{name}.weight") for name in names]).T),
        attention_bias=np.concatenate([of(f"{name}.bias") for name in names]),
        output=np.ascontiguousarray(of("attention.output.dense.weight").T),
        output_bias=of("attention.output.dense.bias"),
        output_scale=of("attention.output.LayerNorm.weight"),
        output_shift=of("attention.output.LayerNorm.bias"),
        up=np.ascontiguousarray(of("intermediate.dense.weight").T),
        up_bias=of("intermediate.dense.bias"),
        down=np.ascontiguousarray(of("output.dense.weight").T),
        down_bias=of("output.dense.bias"),
        down_scale=of("output.LayerNorm.weight"),
        down_shift=of("output.LayerNorm.bias"),
    )


def _batch(messages: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.int64], Mask]:
    lengths = np.array([len(message) for message in messages])
    if lengths.min(initial=1) == 0:
        raise ValueError("a message without tokens has no embedding")
    ids = np.zeros((len(messages), int(lengths.max(initial=1))), dtype=np.int64)
    for row, message in enumerate(messages):
        ids[row, : len(message)] = message
    return ids, np.arange(ids.shape[1])[None, :] < lengths[:, None]


def _mean(states: Floats, mask: Mask) -> Floats:
    weights = mask[..., None].astype(np.float32)
    mean: Floats = (states * weights).sum(axis=1) / weights.sum(axis=1)
    return mean


def _normed(values: Floats, scale: Floats, shift: Floats) -> Floats:
    centred = values - values.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + _EPSILON)
    normed: Floats = centred / spread * scale + shift
    return normed


def _gelu(values: Floats) -> Floats:
    """x times the normal distribution function, which numpy lacks: Abramowitz and Stegun 7.1.26, exact to 1.5e-7."""
    size = np.abs(values) * np.float32(0.7071067811865476)
    t = 1.0 / (1.0 + np.float32(0.3275911) * size)
    inner = np.full_like(t, 1.061405429)
    for term in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        inner = inner * t + np.float32(term)
    error = 1.0 - inner * t * np.exp(-size * size)
    found: Floats = np.float32(0.5) * values * (1.0 + np.copysign(error, values))
    return found

"""From the pooled states of an encoder to intensities: a ridge regression per emotion, and a way to other emotions.

Hoerl and Kennard, Ridge regression (1970). An emotion that nothing was learnt for gets the mix of the learnt heads
whose names stand for it best: a kernel regression over names, so that "Anger" leans on annoyance and frustration.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scorer.minilm import Floats, unit

__all__ = ["Heads", "fit"]

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Heads:
    """emotions: those that were learnt. layers: of the encoder, whose states are looked at. centre: (layers, hidden).

    weight: (layers * hidden, emotions); bias: (emotions,). names: (emotions, hidden), unit vectors of their names.
    """

    emotions: tuple[str, ...]
    layers: tuple[int, ...]
    centre: Floats
    weight: Floats
    bias: Floats
    names: Floats

    def features(self, pooled: Floats) -> Floats:
        """(message, layers * hidden) of what Encoder.pooled gives."""
        return _features(pooled, self.layers, self.centre)

    def learnt(self, pooled: Floats) -> Floats:
        """(message, emotion): intensities 0..10 of the learnt emotions."""
        found: Floats = np.clip(self.features(pooled) @ self.weight + self.bias, 0.0, 10.0)
        return found

    def mixed(self, pooled: Floats, name: Floats, *, penalty: float = 0.3) -> Floats:
        """(message,): intensities 0..10 of an emotion that was not learnt. name: (hidden,), unit vector of its name."""
        similar = self.names @ self.names.T
        shares = np.linalg.solve(similar + penalty * np.eye(len(similar)), self.names @ name)
        found: Floats = np.clip(self.learnt(pooled) @ shares.astype(np.float32), 0.0, 10.0)
        return found


def fit(
    emotions: Sequence[str], pooled: Floats, labels: Reals, names: Floats, *, layers: Sequence[int], penalty: float
) -> Heads:
    """pooled: (example, layer, hidden). labels: (example, emotion), NaN where an example says nothing about one.

    penalty: of the squared weights, for features of length 1 per layer. Raises ValueError for an emotion without any.
    """
    centre = pooled.mean(axis=0)[list(layers)].astype(np.float32)
    features = _features(pooled, layers, centre).astype(np.float64)
    columns, biases = [], []
    for column, emotion in enumerate(emotions):
        known = ~np.isnan(labels[:, column])
        if not known.any():
            raise ValueError(f"no example says anything about {emotion}")
        weight, bias = _ridge(features[known], labels[known, column], penalty * len(layers))
        columns.append(weight)
        biases.append(bias)
    return Heads(
        emotions=tuple(emotions),
        layers=tuple(layers),
        centre=centre,
        weight=np.stack(columns, axis=1).astype(np.float32),
        bias=np.array(biases, dtype=np.float32),
        names=names,
    )


def _features(pooled: Floats, layers: Sequence[int], centre: Floats) -> Floats:
    chosen = unit(pooled[:, list(layers)] - centre)
    return chosen.reshape(len(chosen), -1)


def _ridge(features: Reals, labels: Reals, penalty: float) -> tuple[Reals, float]:
    """In the dual form: there are fewer examples than features."""
    mean, level = features.mean(axis=0), float(labels.mean())
    centred = features - mean
    shares = np.linalg.solve(centred @ centred.T + penalty * np.eye(len(features)), labels - level)
    weight: Reals = centred.T @ shares
    return weight, level - float(mean @ weight)

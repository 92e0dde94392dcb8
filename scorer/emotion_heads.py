"""From the pooled states of an encoder to intensities: kernel regressions on graded examples, and a guess for the rest.

Saunders, Gammerman and Vovk, Ridge regression learning algorithm in dual variables (1998), with a cubic kernel on unit
vectors: a message is rated by how much it resembles each example. The states are first cut down to their principal
components. An emotion without examples is guessed from its name: half by the cosine between name and message, half by
the heads of emotions with similar names, weighed as it works best where each taught emotion is left out in turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scorer.minilm import Floats, unit

__all__ = ["Heads", "Reals", "Teaching", "fit"]

Reals = npt.NDArray[np.float64]
Halves = npt.NDArray[np.float16]

_DEGREE = 3
_LEAN = 1.0
_HIGHEST = 10.0


@dataclass(frozen=True, slots=True)
class Teaching:
    """How heads are made. layers: of the encoder, whose states are looked at. components: that are kept of them.

    penalty: of the squared norm of each regression.
    """

    layers: tuple[int, ...] = (0, 3, 6)
    components: int = 160
    penalty: float = 0.1


@dataclass(frozen=True, slots=True)
class Heads:
    """emotions: those with examples. names: (emotion, hidden), unit vectors of their names. origin, zero: (hidden,),
    mean embeddings of the examples and of words without feeling. guess: level, share of the cosine, share of the mix.

    centre: (layer, hidden). projection: (layer * hidden, component); shift: (component,).
    examples: (example, component). weight: (example, emotion); bias: (emotion,). The two large ones are halves, which
    keeps the file small.
    """

    emotions: tuple[str, ...]
    layers: tuple[int, ...]
    centre: Floats
    projection: Halves
    shift: Floats
    examples: Halves
    weight: Floats
    bias: Floats
    names: Floats
    origin: Floats
    zero: Floats
    guess: Floats

    def learnt(self, pooled: Floats) -> Floats:
        """(message, emotion): intensities 0..10 of the taught emotions, of what Encoder.pooled gives."""
        places = _projected(_states(pooled, self.layers, self.centre), self.projection, self.shift)
        found: Floats = np.clip(_kernel(places, self.examples) @ self.weight + self.bias, 0.0, _HIGHEST)
        return found

    def guessed(self, pooled: Floats, name: Floats) -> Floats:
        """(message,): intensities 0..10 of an emotion without examples. name: (hidden,), unit vector of its name."""
        near = _cosines(pooled, name, self.origin, self.zero)
        mixed = self.learnt(pooled) @ _shares(self.names, name)
        level, cosine, mix = self.guess
        found: Floats = np.clip(level + cosine * near + mix * mixed, 0.0, _HIGHEST)
        return found


def fit(
    emotions: Sequence[str], pooled: Floats, labels: Reals, names: Floats, zero: Floats, teaching: Teaching
) -> Heads:
    """pooled: (example, layer, hidden). labels: (example, emotion), NaN where an example says nothing about one.

    names, zero: as Heads has them. Raises ValueError for an emotion without any label.
    """
    centre = pooled.mean(axis=0)[list(teaching.layers)].astype(np.float32)
    states = _states(pooled, teaching.layers, centre)
    projection, shift = _components(states, teaching.components)
    examples = _projected(states, projection, shift).astype(np.float16)
    likeness = _kernel(examples, examples).astype(np.float64)
    weight, bias = np.zeros(labels.shape), np.zeros(len(emotions))
    for column, emotion in enumerate(emotions):
        known = ~np.isnan(labels[:, column])
        if not known.any():
            raise ValueError(f"no example says anything about {emotion}")
        shares, level = _regression(likeness[np.ix_(known, known)], labels[known, column], teaching.penalty)
        weight[known, column], bias[column] = shares, level
    origin = unit(pooled[:, -1]).mean(axis=0)
    rated = np.clip(likeness @ weight + bias, 0.0, _HIGHEST)
    return Heads(
        emotions=tuple(emotions),
        layers=teaching.layers,
        centre=centre,
        projection=projection,
        shift=shift,
        examples=examples,
        weight=weight.astype(np.float32),
        bias=bias.astype(np.float32),
        names=names,
        origin=origin,
        zero=zero,
        guess=_left_out(pooled, labels, rated, names, origin, zero),
    )


def _states(pooled: Floats, layers: Sequence[int], centre: Floats) -> Floats:
    chosen = unit(pooled[:, list(layers)] - centre)
    return chosen.reshape(len(chosen), -1)


def _components(states: Floats, count: int) -> tuple[Halves, Floats]:
    """The principal directions, and what the mean is in them."""
    mean = states.mean(axis=0)
    _, _, directions = np.linalg.svd((states - mean).astype(np.float64), full_matrices=False)
    projection = directions[:count].T.astype(np.float16)
    return projection, mean @ projection.astype(np.float32)


def _projected(states: Floats, projection: Halves, shift: Floats) -> Floats:
    return unit(states @ projection.astype(np.float32) - shift)


def _kernel(places: Floats | Halves, examples: Halves) -> Floats:
    alike = places.astype(np.float32) @ examples.astype(np.float32).T
    found: Floats = ((1.0 + alike) / 2.0) ** _DEGREE
    return found


def _regression(likeness: Reals, labels: Reals, penalty: float) -> tuple[Reals, float]:
    """Shares of the examples and the level; the constant that the kernel gets is the level's own."""
    mean = float(labels.mean())
    shares = np.linalg.solve(likeness + 1.0 + penalty * np.eye(len(labels)), labels - mean)
    return np.asarray(shares, dtype=np.float64), mean + float(shares.sum())


def _cosines(pooled: Floats, name: Floats, origin: Floats, zero: Floats) -> Floats:
    near: Floats = unit(unit(pooled[:, -1]) - origin) @ unit(name - zero)
    return near


def _shares(names: Floats, name: Floats) -> Floats:
    """How much each taught emotion stands for a name: a kernel regression over centred names."""
    mean = names.mean(axis=0)
    centred, wanted = unit(names - mean), unit(name - mean)
    shares: Floats = np.linalg.solve(centred @ centred.T + _LEAN * np.eye(len(names)), centred @ wanted)
    return shares.astype(np.float32)


def _left_out(pooled: Floats, labels: Reals, rated: Reals, names: Floats, origin: Floats, zero: Floats) -> Floats:
    """Level and shares that foretell the labels of each emotion from its name and the other emotions' heads."""
    rows, truth = [], []
    for column in range(len(names)):
        known = ~np.isnan(labels[:, column])
        others = np.delete(np.arange(len(names)), column)
        near = _cosines(pooled[known], names[column], origin, zero)
        mixed = rated[known][:, others] @ _shares(names[others], names[column])
        rows.append(np.stack([np.ones(len(near)), near, mixed], axis=1))
        truth.append(labels[known, column])
    found, *_ = np.linalg.lstsq(np.concatenate(rows), np.concatenate(truth), rcond=None)
    guess: Floats = found.astype(np.float32)
    return guess

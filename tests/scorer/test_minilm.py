"""The encoder in numpy, beside a second one written with plain loops in double precision."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest

from scorer.minilm import Encoder, Floats, clipped, unit

HIDDEN, WIDE, HEADS, LAYERS, VOCABULARY = 24, 48, 4, 2, 50
Reals = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def weights() -> dict[str, Floats]:
    """Of a tiny encoder, at random."""
    draw = np.random.default_rng(5)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (VOCABULARY, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
        "embeddings.position_embeddings.weight": (32, HIDDEN),
        "embeddings.LayerNorm.weight": (HIDDEN,),
        "embeddings.LayerNorm.bias": (HIDDEN,),
    }
    square = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
    for prefix in (f"encoder.layer.{number}." for number in range(LAYERS)):
        for name in square:
            shapes |= {f"{prefix}{name}.weight": (HIDDEN, HIDDEN), f"{prefix}{name}.bias": (HIDDEN,)}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{prefix}{name}.weight": (HIDDEN,), f"{prefix}{name}.bias": (HIDDEN,)}
        shapes |= {f"{prefix}intermediate.dense.weight": (WIDE, HIDDEN), f"{prefix}intermediate.dense.bias": (WIDE,)}
        shapes |= {f"{prefix}output.dense.weight": (HIDDEN, WIDE), f"{prefix}output.dense.bias": (HIDDEN,)}
    return {name: draw.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def slow(weights: Mapping[str, Floats], ids: list[int]) -> list[Reals]:
    """The mean state after each layer, token by token and head by head."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}

    def norm(vector: Reals, name: str) -> Reals:
        spread = math.sqrt(float(np.var(vector)) + 1e-12)
        result: Reals = (vector - vector.mean()) / spread * w[f"{name}.weight"] + w[f"{name}.bias"]
        return result

    def dense(vector: Reals, name: str) -> Reals:
        result: Reals = w[f"{name}.weight"] @ vector + w[f"{name}.bias"]
        return result

    states = [
        norm(
            w["embeddings.word_embeddings.weight"][token]
            + w["embeddings.position_embeddings.weight"][place]
            + w["embeddings.token_type_embeddings.weight"][0],
            "embeddings.LayerNorm",
        )
        for place, token in enumerate(ids)
    ]
    means = [np.mean(states, axis=0)]
    size = HIDDEN // HEADS
    for number in range(LAYERS):
        at = f"encoder.layer.{number}."
        query, key, value = (
            [dense(state, f"{at}attention.self.{part}") for state in states] for part in ("query", "key", "value")
        )
        after = []
        for place, state in enumerate(states):
            seen = np.zeros(HIDDEN)
            for head in range(HEADS):
                piece = slice(head * size, (head + 1) * size)
                powers = [math.exp(float(query[place][piece] @ other[piece]) / math.sqrt(size)) for other in key]
                for power, other in zip(powers, value, strict=True):
                    seen[piece] += power / sum(powers) * other[piece]
            state = norm(state + dense(seen, f"{at}attention.output.dense"), f"{at}attention.output.LayerNorm")
            wide = dense(state, f"{at}intermediate.dense")
            bent = np.array([x * 0.5 * (1.0 + math.erf(x / math.sqrt(2.0))) for x in wide])
            after.append(norm(state + dense(bent, f"{at}output.dense"), f"{at}output.LayerNorm"))
        states = after
        means.append(np.mean(states, axis=0))
    return means


@pytest.mark.parametrize("ids", [[1], [3, 1, 4, 1, 5, 9, 2, 6], list(range(31))])
def test_every_layer_is_what_plain_loops_compute(weights: dict[str, Floats], ids: list[int]) -> None:
    """To single precision, after each layer."""
    pooled = Encoder(weights, heads=HEADS).pooled([ids])[0]
    assert pooled.shape == (LAYERS + 1, HIDDEN)
    np.testing.assert_allclose(pooled, np.stack(slow(weights, ids)), atol=2e-5)


def test_a_message_is_read_alike_alone_and_beside_longer_ones(weights: dict[str, Floats]) -> None:
    """Padding is not seen."""
    encoder = Encoder(weights, heads=HEADS)
    messages = [[7, 8], [1, 2, 3, 4, 5, 6, 7], [9]]
    alone = np.concatenate([encoder.pooled([message]) for message in messages])
    np.testing.assert_allclose(encoder.pooled(messages), alone, atol=1e-5)


def test_embeddings_have_length_one(weights: dict[str, Floats]) -> None:
    """So that their product is the cosine."""
    embedded = Encoder(weights, heads=HEADS).embedded([[7, 8], [1, 2, 3]])
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1.0, atol=1e-6)
    assert not unit(np.zeros((1, 3), dtype=np.float32)).any()


def test_a_message_without_tokens_is_refused(weights: dict[str, Floats]) -> None:
    """It has no mean."""
    with pytest.raises(ValueError, match="without tokens"):
        Encoder(weights, heads=HEADS).pooled([[1], []])


def test_of_a_long_message_the_first_quarter_and_the_end_are_kept() -> None:
    """And a short one whole."""
    assert clipped([1, 2, 3], 4) == [1, 2, 3]
    assert clipped(list(range(100)), 8) == [0, 1, 94, 95, 96, 97, 98, 99]

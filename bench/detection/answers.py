"""Real models' answers to the official items, and what noise makes of them.

The data are not part of this repository: EQWATCH_EQBENCH_DIR names a folder with the official 171 items and a matrix
of model x item answers. Noise: with probability `on` an answer A becomes clip(round(A + N(0, common) + N(0, single)),
0, 10), where `common` moves all emotions of an answer together.
"""

import csv
import gzip
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scorer import score_answers

__all__ = ["EMOTIONS", "HIGHEST", "NOISES", "Answers", "Noise", "folder", "jitter", "load"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

EMOTIONS = 4
HIGHEST = 10


@dataclass(frozen=True, slots=True)
class Noise:
    """on: probability that an answer is jittered at all. common, single: SD in steps of the 0..10 scale."""

    name: str
    on: float
    common: float
    single: float


NOISES = (Noise("LOW", 0.045, 0.6, 1.0), Noise("MID", 1.0, 0.35, 0.70), Noise("HIGH", 1.0, 0.65, 1.05))


@dataclass(frozen=True)
class Answers:
    """models: name -> [item, emotion]; references likewise; clusters: [item], the dialogue that an item is from."""

    models: Mapping[str, Ints]
    references: Floats
    clusters: Ints

    @property
    def items(self) -> int:
        """Number of items."""
        return len(self.references)

    def named(self, part: str) -> Ints:
        """The answers of the one model whose name holds part. LookupError: none or several."""
        found = [name for name in self.models if part in name]
        if len(found) != 1:
            raise LookupError(f"{part!r} names {len(found)} models: {found}")
        return self.models[found[0]]

    @cached_property
    def losses(self) -> Floats:
        """What each value of each emotion costs, item units, [item, emotion, value]; a score is 10 minus the sum."""
        losses = np.empty((self.items, EMOTIONS, HIGHEST + 1))
        for emotion in range(EMOTIONS):
            for value in range(HIGHEST + 1):
                answers = self.references.copy()
                answers[:, emotion] = value
                losses[:, emotion, value] = 10.0 - score_answers(answers, self.references, "v2")
        return losses

    def scores(self, items: Ints, answers: Ints) -> Floats:
        """Item units; items [...], answers [..., emotion]."""
        lost: Floats = self.losses[items[..., None], np.arange(EMOTIONS), answers].sum(axis=-1)
        return 10.0 - lost

    def points(self, answers: Ints) -> float:
        """The score of one answer to every item, without noise."""
        return 10.0 * float(self.scores(np.arange(self.items), answers).mean())

    def expected_scores(self, answers: Ints, noise: Noise, rng: np.random.Generator, draws: int = 2000) -> Floats:
        """Mean score of every item under noise, item units."""
        many = np.broadcast_to(answers, (draws, *answers.shape))
        noisy = jitter(many, [noise] * draws, rng)
        means: Floats = self.scores(np.broadcast_to(np.arange(self.items), noisy.shape[:-1]), noisy).mean(axis=0)
        return means


def jitter(answers: Ints, noises: Sequence[Noise], rng: np.random.Generator) -> Ints:
    """Noisy answers; answers [row, ..., emotion], one noise per row."""
    on, common, single = (np.array([getattr(n, name) for n in noises]) for name in ("on", "common", "single"))
    shape = (len(on), *(1 for _ in answers.shape[1:]))
    moved = rng.standard_normal((*answers.shape[:-1], 1), dtype=np.float32) * common.reshape(shape).astype(np.float32)
    moved = moved + rng.standard_normal(answers.shape, dtype=np.float32) * single.reshape(shape).astype(np.float32)
    if float(on.min()) < 1.0:
        moved *= rng.random((*answers.shape[:-1], 1), dtype=np.float32) < on.reshape(shape)
    noisy: Ints = np.clip(np.rint(answers + moved), 0, HIGHEST).astype(np.int64)
    return noisy


def folder() -> Path | None:
    """The data folder, where EQWATCH_EQBENCH_DIR names one that has the matrix."""
    named = os.environ.get("EQWATCH_EQBENCH_DIR", "")
    path = Path(named) if named else None
    return path if path is not None and (path / "response_matrix_v2.csv.gz").is_file() else None


def load(path: Path) -> Answers:
    """Read the items and every model that answered all of them."""
    items = json.loads((path / "eq_bench_v2_questions_171.json").read_text(encoding="utf-8"))
    clusters = json.loads((path / "v2_dialogue_clusters.json").read_text(encoding="utf-8"))
    by_model: dict[str, dict[str, list[int]]] = {}
    with gzip.open(path / "response_matrix_v2.csv.gz", "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            values = [row[f"first{k}"] for k in range(1, EMOTIONS + 1)]
            if all(values):
                by_model.setdefault(row["model"], {})[row["question_id"]] = [int(value) for value in values]
    references = [
        [float(item["reference_answer_fullscale"][f"emotion{k}_score"]) for k in range(1, EMOTIONS + 1)]
        for item in items.values()
    ]
    return Answers(
        models={m: np.array([a[i] for i in items]) for m, a in by_model.items() if len(a) == len(items)},
        references=np.array(references),
        clusters=np.array([int(clusters[item_id]) for item_id in items]),
    )

"""The learnt heads of the anchor as a file, and the authored examples that they are made from.

An example stands on a line ``intensities|message``; a line ``# Name Name …`` above says whose intensities they are.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from middleware.probe.anchor import Reader
from scorer.emotion_heads import Heads, Reals, Teaching, fit
from scorer.minilm import Floats

__all__ = ["EXAMPLES", "HEADS_FILE", "heads_bytes", "read_all", "read_examples", "read_heads", "taught_by"]

EXAMPLES = Path(__file__).parent / "anchor_examples"
HEADS_FILE = Path(__file__).parent / "anchor_heads.safetensors"

_BATCH = 16
_ARRAYS = tuple(field.name for field in fields(Heads) if field.name not in ("emotions", "layers"))


def read_examples(folder: Path = EXAMPLES) -> tuple[tuple[str, ...], list[str], Reals]:
    """The emotions, the messages, and (message, emotion) intensities with NaN where a file says nothing about one.

    Raises ValueError for a line that does not fit its heading.
    """
    names: list[str] = []
    found: list[tuple[str, dict[str, float]]] = []
    for path in sorted(folder.glob("*.txt")):
        heading: list[str] = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.startswith("#"):
                heading = line[1:].split()
                names += [name for name in heading if name not in names]
                continue
            values, bar, text = line.partition("|")
            numbers = [float(value) for value in values.split()]
            if not bar or not text or len(numbers) != len(heading) or not all(0 <= n <= 10 for n in numbers):
                raise ValueError(
                    f"{path.name}:{number}: not {len(heading)} intensities from 0 to 10, a bar and a message"
                )
            found.append((text, dict(zip(heading, numbers, strict=True))))
    labels = np.array([[values.get(name, np.nan) for name in names] for _, values in found])
    return tuple(names), [text for text, _ in found], labels


def taught_by(reader: Reader) -> tuple[Heads, Floats]:
    """Heads from the examples, and what was read of those. The same everywhere but for the rounding of matrices."""
    emotions, texts, labels = read_examples()
    pooled = read_all(reader, texts)
    names = np.stack([reader.name(emotion) for emotion in emotions])
    return fit(emotions, pooled, _everywhere_zero(labels), names, reader.zero(), Teaching()), pooled


def read_all(reader: Reader, texts: Sequence[str]) -> Floats:
    """As Reader.read, in batches."""
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))  # little padding in a batch
    read: list[Floats] = [reader.read([texts[i] for i in order[a : a + _BATCH]]) for a in range(0, len(order), _BATCH)]
    pooled: Floats = np.concatenate(read)[np.argsort(order)]
    return pooled


def _everywhere_zero(labels: Reals) -> Reals:
    """A message without any feeling that its file asks about, such as a plain request, is taken to have none at all."""
    nothing = np.nanmax(labels, axis=1) == 0.0
    return np.where(nothing[:, None], 0.0, labels)


def heads_bytes(heads: Heads, encoder_digest: str) -> bytes:
    """As a file, with what it was made from."""
    about = {
        "emotions": json.dumps(heads.emotions),
        "layers": json.dumps(heads.layers),
        "encoder_sha256": encoder_digest,
        "examples_sha256": examples_digest(),
    }
    arrays = {name: np.ascontiguousarray(getattr(heads, name)) for name in _ARRAYS}
    return save(arrays, metadata=about)


def examples_digest(folder: Path = EXAMPLES) -> str:
    """SHA-256 over the examples' files."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob("*.txt")))).hexdigest()


def read_heads(path: Path) -> tuple[Heads, dict[str, str], str]:
    """Heads, what stands beside them in the file, and its SHA-256."""
    data = path.read_bytes()
    about = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    arrays = load(data)
    heads = Heads(emotions=tuple(json.loads(about["emotions"])), layers=tuple(json.loads(about["layers"])), **arrays)
    return heads, dict(about), hashlib.sha256(data).hexdigest()

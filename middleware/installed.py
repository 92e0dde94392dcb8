"""How this installation runs the relay: compiled by hatch_build.py while its wheel was built, or interpreted."""

import importlib.util
from importlib.machinery import EXTENSION_SUFFIXES

__all__ = ["relay_code"]


def relay_code() -> str:
    """``compiled`` or ``interpreted``; nothing of the relay is imported to find out."""
    found = importlib.util.find_spec("middleware.proxy.upstream")
    compiled = found is not None and str(found.origin).endswith(tuple(EXTENSION_SUFFIXES))
    return "compiled" if compiled else "interpreted"

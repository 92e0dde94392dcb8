"""The item sets that the status page may show: those of the configuration, and those that have a name of their own.

Official sets are shown from the user's fetched file only. A name from an address never becomes a path.
"""

from collections.abc import Sequence
from pathlib import Path

from middleware.benchmark import item_sets
from middleware.benchmark.catalogue import BUNDLED, OFFICIAL, STARTER
from middleware.errors import ItemSetError
from scorer.items import ItemSet

__all__ = ["ShownItems"]


_KNOWN = frozenset({BUNDLED, STARTER, *item_sets.pack_names(), *OFFICIAL})


class ShownItems:
    """Owns the sets that were loaded. configured: names or files, as in [benchmark] items."""

    def __init__(self, data_dir: Path, configured: Sequence[str]) -> None:
        self._data_dir = data_dir
        self._configured = tuple(configured)
        self._loaded: dict[str, ItemSet] = {}

    def named(self, name: str) -> ItemSet | None:
        """The set of this name, or None where it is unknown or not here. Reads files: in a thread."""
        if name not in self._loaded:
            for source in self._sources(name):
                if (found := self._load(source)) is not None and found.name == name:
                    self._loaded[name] = found
        return self._loaded.get(name)

    def _sources(self, name: str) -> list[str]:
        if name in _KNOWN or name in self._configured:
            return [name]
        return [source for source in self._configured if source not in _KNOWN]

    def _load(self, source: str) -> ItemSet | None:
        try:
            return item_sets.load(source, self._data_dir)
        except ItemSetError:
            return None

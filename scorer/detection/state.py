"""What a detector remembers between batches: small, plain JSON, bound to the baseline that it compares with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scorer.detection.panel import Statistics

__all__ = ["DetectorState"]

Floats = npt.NDArray[np.float64]
_SCHEMA = 3


@dataclass(frozen=True, slots=True)
class DetectorState:
    """Logarithms are natural and capped, sums in item units.

    onsets: the CUSUMs of answer distances. falls, answers: per item the sum of (baseline - score) and its number, first
    since each onset left 0, then since the first score CUSUM left 0.
    latest: baseline minus newest score of each item; same: whether its newest answer is the baseline's. Both are None
    for an item that was not asked since the last restart.
    """

    baseline_digest: str
    cusums: tuple[float, ...]
    log_evidence: tuple[float, ...]
    log_change: tuple[float, ...]
    onsets: tuple[float, ...]
    falls: tuple[tuple[float, ...], ...]
    answers: tuple[tuple[int, ...], ...]
    latest: tuple[float | None, ...]
    same: tuple[bool | None, ...]

    @classmethod
    def of(
        cls, digest: str, statistics: Statistics, latest: Sequence[float | None], same: Sequence[bool | None]
    ) -> "DetectorState":
        """From the first row of statistics."""
        return cls(
            baseline_digest=digest,
            cusums=tuple(statistics.cusums[0].tolist()),
            log_evidence=tuple(statistics.log_evidence[0].tolist()),
            log_change=tuple(statistics.log_change[0].tolist()),
            onsets=tuple(statistics.onsets[0].tolist()),
            falls=tuple(tuple(window.tolist()) for window in statistics.falls[0]),
            answers=tuple(tuple(window.astype(np.int64).tolist()) for window in statistics.answers[0]),
            latest=tuple(latest),
            same=tuple(same),
        )

    def statistics(self) -> Statistics:
        """As one row."""
        return Statistics(
            cusums=_row(self.cusums),
            log_evidence=_row(self.log_evidence),
            log_change=_row(self.log_change),
            onsets=_row(self.onsets),
            falls=np.array([self.falls], dtype=np.float64),
            answers=np.array([self.answers], dtype=np.float64),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"schema": _SCHEMA, **{name: _plain(getattr(self, name)) for name in self.__dataclass_fields__}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "DetectorState":
        """The inverse of to_dict. ValueError: another schema, or fields that are missing."""
        missing = [name for name in cls.__dataclass_fields__ if name not in data]
        if data.get("schema") != _SCHEMA or missing:
            raise ValueError(f"not a detector state of schema {_SCHEMA}: {data.get('schema')!r}, without {missing}")
        return cls(
            baseline_digest=str(data["baseline_digest"]),
            cusums=tuple(data["cusums"]),
            log_evidence=tuple(data["log_evidence"]),
            log_change=tuple(data["log_change"]),
            onsets=tuple(data["onsets"]),
            falls=tuple(tuple(window) for window in data["falls"]),
            answers=tuple(tuple(window) for window in data["answers"]),
            latest=tuple(data["latest"]),
            same=tuple(data["same"]),
        )


def _plain(value: Any) -> Any:
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _row(values: Sequence[float]) -> Floats:
    return np.array([values], dtype=np.float64)

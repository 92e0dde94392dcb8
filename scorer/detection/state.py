"""What a detector remembers between batches: small, plain JSON, bound to the baseline that it compares with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from scorer.detection.panel import Statistics

__all__ = ["DetectorState"]

Floats = npt.NDArray[np.float64]
_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class DetectorState:
    """Logarithms are natural and capped, sums in item units.

    onset: the CUSUM of answer distances; while it is above 0, fall_sums and fall_counts hold what every item fell since.
    latest: baseline minus newest score of each item; same: whether its newest answer is the baseline's. Both are None
    for an item that was not asked since the last restart.
    """

    baseline_digest: str
    cusums: tuple[float, ...]
    log_evidence: tuple[float, ...]
    log_change: tuple[float, ...]
    onset: float
    fall_sums: tuple[float, ...]
    fall_counts: tuple[int, ...]
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
            onset=float(statistics.onset[0]),
            fall_sums=tuple(statistics.fall_sums[0].tolist()),
            fall_counts=tuple(int(count) for count in statistics.fall_counts[0]),
            latest=tuple(latest),
            same=tuple(same),
        )

    def statistics(self) -> Statistics:
        """As one row."""
        return Statistics(
            cusums=_row(self.cusums),
            log_evidence=_row(self.log_evidence),
            log_change=_row(self.log_change),
            onset=np.array([self.onset]),
            fall_sums=_row(self.fall_sums),
            fall_counts=_row(self.fall_counts),
        )

    def restarted(self, fresh: "DetectorState") -> "DetectorState":
        """Everything as in fresh, but the evidence on "different?": that goes on."""
        return replace(fresh, log_change=self.log_change, onset=self.onset, same=self.same)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        values = {name: getattr(self, name) for name in type(self).__dataclass_fields__}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {"schema": _SCHEMA, **plain}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "DetectorState":
        """The inverse of to_dict. ValueError: another schema."""
        if data.get("schema") != _SCHEMA:
            raise ValueError(f"detector state schema {data.get('schema')!r} is not {_SCHEMA}")
        values = {name: data[name] for name in cls.__dataclass_fields__}
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _row(values: Sequence[float]) -> Floats:
    return np.array([values], dtype=np.float64)

"""Which requests go wrong, and how. Decides only; the app carries it out."""

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from middleware.errors import ConfigurationError

__all__ = ["FaultKind", "FaultPlan", "FaultSpec", "parse_fault"]

FaultKind: TypeAlias = Literal[
    "429", "500", "503", "reset", "hang", "slow", "malformed-sse", "truncated", "empty", "refusal", "cut-off"
]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
_FORM = "write KIND, KIND:SHARE or KIND:every=N,first=N,share=X,seconds=S"


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """When a fault strikes. share: of requests, 0..1; every: each N-th; first: of the first N only; 0 is no limit.

    seconds: what ``slow`` adds, and what ``429`` and ``503`` ask to wait.
    """

    kind: FaultKind
    share: float = 1.0
    every: int = 0
    first: int = 0
    seconds: float = 1.0


def parse_fault(text: str) -> FaultSpec:
    """``429``, ``429:0.1``, ``hang:every=7``, ``503:first=20,seconds=2``; raises ConfigurationError."""
    kind, _, rest = text.partition(":")
    if kind not in KINDS:
        raise ConfigurationError(f"--fault {text}: {kind!r} is no fault; choose from {', '.join(KINDS)}")
    values: dict[str, float] = {}
    try:
        for part in filter(None, rest.split(",")):
            name, separator, value = part.partition("=")
            name, value = (name, value) if separator else ("share", name)
            if name not in {"share", "every", "first", "seconds"}:
                raise ValueError(name)
            values[name] = int(value) if name in {"every", "first"} else float(value)
        spec = FaultSpec(
            kind,
            share=values.get("share", 1.0),
            every=int(values.get("every", 0)),
            first=int(values.get("first", 0)),
            seconds=values.get("seconds", 1.0),
        )
        if not 0 <= spec.share <= 1 or spec.every < 0 or spec.first < 0 or not 0 <= spec.seconds < 86400:
            raise ValueError(rest)
    except ValueError:
        raise ConfigurationError(f"--fault {text}: {rest!r} can't be read; {_FORM}") from None
    return spec


class FaultPlan:
    """Says for each request in turn what goes wrong with it; the first spec that strikes wins. Seeded."""

    def __init__(self, specs: tuple[FaultSpec, ...], *, seed: int) -> None:
        self.specs = specs
        self._seed = seed
        self._requests = 0

    def next(self) -> FaultSpec | None:
        """The fault of the next request, or None."""
        self._requests += 1
        return next((spec for position, spec in enumerate(self.specs) if self._strikes(spec, position)), None)

    def _strikes(self, spec: FaultSpec, position: int) -> bool:
        if spec.first and self._requests > spec.first:
            return False
        if spec.every and self._requests % spec.every:
            return False
        draw = hashlib.sha256(f"{self._seed}|{position}|{self._requests}".encode()).digest()
        return int.from_bytes(draw[:8]) / 2**64 < spec.share

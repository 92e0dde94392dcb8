"""Everything that one run of the bench found, as plain data that goes to and comes from JSON."""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench.proxy.figures import Change
from bench.proxy.measure import Sample
from bench.proxy.streams import Cancellation

__all__ = ["FaultResult", "Machine", "Report", "load_report", "save_report"]


@dataclass(frozen=True, slots=True)
class Machine:
    """What a reader needs to know of the machine; no names or addresses of it."""

    cpu: str
    cpus: int
    memory_gib: float
    kernel: str
    python: str
    nginx: str


@dataclass(frozen=True, slots=True)
class FaultResult:
    """The relay under one fault of control, beside itself with control healthy, in paired rounds."""

    fault: str
    cpu_change: Change | None
    p99_change: Change | None
    requests: int
    errors: int
    stalled: int


@dataclass(slots=True)
class Report:
    """One run. memory: KiB per open stream, by target; cancellations: by target, streamed and not yet answered."""

    date: str
    command: str
    seed: int
    rounds: int
    machine: Machine
    targets: list[str]
    skipped: list[str]
    samples: list[Sample] = field(default_factory=list)
    memory: dict[str, list[float]] = field(default_factory=dict)
    streamed: dict[str, list[Cancellation]] = field(default_factory=dict)
    waiting: dict[str, list[Cancellation]] = field(default_factory=dict)
    faults: list[FaultResult] = field(default_factory=list)


def save_report(report: Report, path: Path) -> None:
    """Write the report as JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))


def load_report(path: Path) -> Report:
    """Read a report; raises msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=Report)

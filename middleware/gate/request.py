"""What a gate is asked to decide, and where an unfinished one is found again."""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

from middleware.benchmark.contamination import protocol_of_variant
from middleware.benchmark.manual import held
from middleware.errors import ConfigurationError
from middleware.records.benchmark import Protocol, Run
from middleware.store import Store
from scorer.comparison import GateRules
from scorer.items import ItemSet

__all__ = ["GATE", "GateRequest", "GateRuns", "Role", "Subject", "gate_to_carry_out"]

# The deployment under which the runs of gates are kept, apart from all others.
GATE = "gate"
# A model behind a name may be another one by then.
_RESUME_WITHIN_SECONDS = 24 * 3600.0

Role: TypeAlias = Literal["baseline", "candidate"]


@dataclass(frozen=True, slots=True)
class Subject:
    """One side: a model behind an upstream (normalised URL)."""

    upstream: str
    model: str


@dataclass(frozen=True, slots=True)
class GateRequest:
    """Two subjects, one protocol for both, the rules fixed before anything is asked. seed: of the order of calls.

    variant: of the item set, to be asked after the decision, to see whether the items are known by heart.
    Raises ConfigurationError where there is nothing to compare.
    """

    baseline: Subject
    candidate: Subject
    item_set: ItemSet
    protocol: Protocol
    rules: GateRules
    seed: int = 0
    variant: ItemSet | None = None

    def __post_init__(self) -> None:
        if self.baseline == self.candidate:
            raise ConfigurationError(
                f"--baseline and --candidate are both {self.baseline.model!r} at {self.baseline.upstream}: "
                "name another model, or --candidate-upstream"
            )

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The items, in the order of the set."""
        return tuple(item.id for item in self.item_set.items)

    @property
    def fingerprint(self) -> str:
        """Equal for equal requests. Rules belong to it: they may not be changed over answers that were seen."""
        variant = self.variant.sha256 if self.variant is not None else ""
        parts = (
            asdict(self.baseline),
            asdict(self.candidate),
            self.protocol.key,
            asdict(self.rules),
            self.seed,
            variant,
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class GateRuns:
    """The two runs of one gate, held by this process. variants: of baseline and candidate, where they are wanted."""

    gate_id: str
    started_at: float
    baseline: Run
    candidate: Run
    variants: tuple[Run, ...] = ()

    @property
    def all(self) -> tuple[Run, ...]:
        """Every run of the gate."""
        return (self.baseline, self.candidate, *self.variants)


@contextmanager
def gate_to_carry_out(
    request: GateRequest, store: Store, data_dir: Path, *, at: float, fresh: bool
) -> Iterator[GateRuns]:
    """The unfinished gate that the request means, else a new one, held for the block by this process alone.

    at: now, Unix seconds. The hold ends with the process, however it ends.
    """
    name = f"gate:{request.fingerprint}"
    known = None if fresh else _unfinished(store, name, request, at)
    if known is not None:
        with held(data_dir, known.gate_id) as ours:
            if ours and known == _unfinished(store, name, request, at):  # whoever had it may have finished it
                yield known
                return
    new = _runs(request, f"gate-{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}", at)
    with held(data_dir, new.gate_id):  # before others can find it
        for run in new.all:
            store.begin_run(run)
        store.save_state(name, {"gate_id": new.gate_id, "started_at": at})
        yield new


def _unfinished(store: Store, name: str, request: GateRequest, at: float) -> GateRuns | None:
    state = store.load_state(name)
    if state is None or not 0 <= at - float(state["started_at"]) <= _RESUME_WITHIN_SECONDS:
        return None
    runs = _runs(request, str(state["gate_id"]), float(state["started_at"]))
    saved = [store.run(run.id) for run in runs.all]
    return runs if any(run is not None and run.status != "finished" for run in saved) else None


def _runs(request: GateRequest, gate_id: str, at: float) -> GateRuns:
    def run(role: Role, subject: Subject) -> Run:
        return Run(
            id=f"{gate_id}-{role}",
            deployment=GATE,
            purpose="gate",
            protocol=request.protocol,
            model=subject.model,
            upstream=subject.upstream,
            item_ids=request.item_ids,
            passes=request.rules.max_passes,
            started_at=at,
        )

    def variant(original: Run, item_set: ItemSet) -> Run:
        protocol = protocol_of_variant(original.protocol, item_set)
        return replace(original, id=f"{original.id}-variant", protocol=protocol, passes=1)

    sides = (run("baseline", request.baseline), run("candidate", request.candidate))
    asked = request.variant
    return GateRuns(gate_id, at, *sides, () if asked is None else tuple(variant(side, asked) for side in sides))

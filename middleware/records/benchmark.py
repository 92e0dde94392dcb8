"""Records of a benchmark: the protocol, a run, and the result of each item."""

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["ItemOutcome", "ItemResult", "Protocol", "Run", "RunPurpose", "RunStatus"]

ItemOutcome = Literal["scored", "unparseable", "refused", "truncated", "api_error", "timeout"]
RunPurpose = Literal["batch", "commissioning", "manual", "gate"]
RunStatus = Literal["running", "finished", "stopped"]


@dataclass(frozen=True, slots=True)
class Protocol:
    """What has to be equal before two scores may be compared. Model and upstream are the subject, not in here."""

    item_set: str
    item_set_sha256: str
    prompt_version: str
    scoring_profile: str
    temperature: float
    max_tokens: int
    seed: int | None
    answer_format: Literal["text", "json_schema"]
    revise: bool
    system_prompt_sha256: str = ""

    @property
    def key(self) -> str:
        """A readable, stable key: equal protocols have equal keys."""
        parts = (getattr(self, name) for name in type(self).__dataclass_fields__)
        return "|".join(str(part) for part in parts)

    def differences(self, other: "Protocol") -> tuple[str, ...]:
        """The fields in which the other one differs, each in words with both values; empty if they can be compared."""
        return tuple(
            f"{name} is {getattr(self, name)!r} and {getattr(other, name)!r}"
            for name in type(self).__dataclass_fields__
            if getattr(self, name) != getattr(other, name)
        )


@dataclass(frozen=True, slots=True)
class Run:
    """A benchmark run or batch. Times are Unix seconds, UTC. item_ids are in the order in which they are asked.

    flags: why its answers are degenerate, in words; such a run has no score.
    """

    id: str
    deployment: str
    purpose: RunPurpose
    protocol: Protocol
    model: str
    upstream: str
    item_ids: tuple[str, ...]
    passes: int
    started_at: float
    status: RunStatus = "running"
    finished_at: float | None = None
    score_points: float | None = None
    parseable: int | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ItemResult:
    """The outcome of one call. score is in item units (10 = perfect) and None unless outcome is ``scored``.

    reason: a closed set per outcome (for ``unparseable`` the scorer's reasons). answer: emotion -> intensity 0..10.
    reasoning_tokens: those of completion_tokens that the server says were reasoning.
    """

    run_id: str
    item_id: str
    repetition: int
    outcome: ItemOutcome
    reason: str = ""
    score: float | None = None
    answer: dict[str, float] = field(default_factory=dict)
    text: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    latency_seconds: float = 0.0
    answered_model: str = ""
    system_fingerprint: str = ""
    at: float = 0.0

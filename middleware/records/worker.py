"""How often a background worker had to be started again, and why."""

from dataclasses import dataclass

__all__ = ["WorkerFailures"]


@dataclass(frozen=True, slots=True)
class WorkerFailures:
    """Since the process started. kind: the type of the newest error, never its message. last_at: Unix seconds."""

    restarts: int = 0
    kind: str = ""
    last_at: float | None = None

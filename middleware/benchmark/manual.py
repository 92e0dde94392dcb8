"""A run that a person starts: which one it is (an unfinished one or a new one), and that nobody else carries it out."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from middleware.benchmark.rotation import spread
from middleware.records.benchmark import Protocol, Run
from middleware.store import Store
from scorer.items import ItemSet

__all__ = ["MANUAL", "RunRequest", "held", "run_to_carry_out"]

# The deployment under which runs of the command line are kept, apart from the schedule's.
MANUAL = "manual"
# A model behind a name may be another one by then.
_RESUME_WITHIN_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What was asked for. upstream: normalised. limit: items at most, or None for all."""

    upstream: str
    model: str
    item_set: ItemSet
    protocol: Protocol
    passes: int
    limit: int | None = None

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The items to ask."""
        ids = tuple(item.id for item in self.item_set.items)
        return ids if self.limit is None else spread(ids, self.limit)


@contextmanager
def run_to_carry_out(request: RunRequest, store: Store, data_dir: Path, *, at: float, fresh: bool) -> Iterator[Run]:
    """The unfinished run that the request means, else a new one, held for the block by this process alone.

    at: now, Unix seconds. The hold ends with the process, however it ends.
    """
    unfinished = None if fresh else store.unfinished_run(MANUAL, request.protocol.key, request.model)
    if unfinished is not None and _same(unfinished, request, at):
        with held(data_dir, unfinished.id) as ours:
            if ours and _open(store, unfinished):  # whoever had it may have finished it just before
                yield unfinished
                return
    new = _new_run(request, at)
    with held(data_dir, new.id):
        yield new


def _same(run: Run, request: RunRequest, at: float) -> bool:
    asked = (run.upstream, run.item_ids, run.passes)
    return asked == (request.upstream, request.item_ids, request.passes) and (
        0 <= at - run.started_at <= _RESUME_WITHIN_SECONDS
    )


def _open(store: Store, run: Run) -> bool:
    found = store.run(run.id)
    return found is not None and found.status != "finished"


def _new_run(request: RunRequest, at: float) -> Run:
    begun = datetime.fromtimestamp(at, UTC)
    return Run(
        id=f"{begun:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}",
        deployment=MANUAL,
        purpose="manual",
        protocol=request.protocol,
        model=request.model,
        upstream=request.upstream,
        item_ids=request.item_ids,
        passes=request.passes,
        started_at=at,
    )


@contextmanager
def held(data_dir: Path, run_id: str) -> Iterator[bool]:
    """Whether this process holds the run; the kernel gives the lock back when the process ends."""
    folder = data_dir / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"run-{run_id}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        if not _lies_at(path, descriptor):  # its hold ended between our two steps, and another one may have begun
            yield False
            return
        yield True
        path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _lies_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False

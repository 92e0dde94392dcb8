"""`Store`: the one handle on durable state. Synchronous and thread-safe; async callers use ``asyncio.to_thread``.

Each method is one transaction: when it returns, the write is on disk. It raises StoreUnavailable and nothing else for
failures of the store; integrity and data errors are defects of the caller and pass through.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, make_url, text

from middleware.records.baseline import BaselineRecord
from middleware.records.benchmark import ItemResult, Run, RunStatus
from middleware.records.conversation import ProbeResult
from middleware.records.event import Event
from middleware.store import baselines, journal, ledger, probes, runs, slots, sqlite_file
from middleware.store.contents import Contents
from middleware.store.door import Door
from middleware.store.engine import WRITE, WriterLock, limited, make_engine, sqlite_path
from middleware.store.erasures import Erasures
from middleware.store.failures import mapped
from middleware.store.health import Health
from middleware.store.ledger import Amount, Refusal, Take
from middleware.store.outbox import Outbox
from middleware.store.places import Places
from middleware.store.slots import Fence

__all__ = ["OpenReport", "Progress", "Store"]

_MIGRATION_LOCK = 0x65717761746368  # any constant: one fleet member migrates at a time


@dataclass(frozen=True, slots=True)
class Progress:
    """What saving gave: ids of the events in their order, and of the baseline."""

    event_ids: tuple[int, ...]
    baseline_id: int | None


@dataclass(frozen=True, slots=True)
class OpenReport:
    """What opening found. revision: of the schema, now. set_aside: where a corrupt file was moved to, or None."""

    revision: str
    set_aside: Path | None = None


class Store(Outbox, Places, Contents):
    """Runs, results, probes, slots, events, states and baselines in SQLite (a file) or PostgreSQL."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.time) -> None:
        self._engine: Engine = make_engine(url)
        self._path = sqlite_path(make_url(url))
        self._writer = WriterLock(self._path.with_name(self._path.name + ".lock")) if self._path else None
        self._clock = clock
        self._door = Door()
        self._health = Health()
        self.erasures = Erasures()

    @property
    def failing(self) -> str:
        """Why the newest transaction failed, or empty; known without asking."""
        return self._health.failing

    # -- life cycle

    def open(self) -> OpenReport:
        """Create or migrate the schema. A corrupt SQLite file is set aside, reported here and as an event."""
        try:
            with mapped(), self._exclusive():
                moved = self._set_aside_if_corrupt()
                revision = self._migrate()
        except BaseException:
            self._engine.dispose()
            raise
        self._door.open()
        if moved is not None:
            self.save_event(
                Event(kind="store_set_aside", deployment="", at=self._clock(), details={"file": moved.name})
            )
        return OpenReport(revision=revision, set_aside=moved)

    def close(self) -> None:
        """Wait for what is being read and written, then close every connection; a second call does nothing.

        The last connection of a SQLite file checkpoints.
        """
        self._door.close()
        with mapped(), self._exclusive():
            self._engine.dispose()

    def __enter__(self) -> Self:
        """Open it, for a block that closes it; raises as `open`."""
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _set_aside_if_corrupt(self) -> Path | None:
        if self._path is None:
            return None
        sqlite_file.prepare(self._path)
        if not sqlite_file.is_corrupt(self._path):
            return None
        moved = sqlite_file.set_aside(self._path, self._clock())
        sqlite_file.prepare(self._path)
        return moved

    def _migrate(self) -> str:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self._engine.connect().execution_options(**{WRITE: True}) as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            return MigrationContext.configure(connection).get_current_revision() or ""

    def _checkpoint(self) -> bool:
        """Empty SQLite's log, which may still hold what was removed; in the file it was overwritten (secure_delete).

        False where somebody read for so long that it could not be emptied.
        """
        if self._path is None:
            return True
        with self._door.inside(), mapped(), self._exclusive():
            connection = self._engine.raw_connection()
            try:
                (busy, *_) = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                return not busy
            finally:
                connection.close()

    def _exclusive(self) -> AbstractContextManager[None]:
        return self._writer.held() if self._writer is not None else nullcontext()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        connecting = self._engine.connect
        with (
            self._door.inside(),
            self._health.noted("reading"),
            mapped(),
            connecting() as connection,
            limited(connection),
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._door.inside(), self._health.noted("writing"), mapped(), self._exclusive():  # noqa: SIM117  under it
            with self._engine.connect().execution_options(**{WRITE: True}) as connection:
                with limited(connection), connection.begin():
                    yield connection

    @contextmanager
    def _naming(self, conversation: str, ended_at: float) -> Iterator[Connection | None]:
        """To write what ended then (Unix seconds) in a conversation; None where that was erased."""
        with self.erasures.writing:
            if self.erasures.covers(conversation, ended_at):
                yield None
                return
            with self._writing() as connection:
                yield connection

    # -- benchmark

    def begin_run(self, run: Run) -> None:
        """Save the run; one that is there already stays as it is."""
        with self._writing() as connection:
            runs.begin_run(connection, run)

    def mark_attempted(
        self, run_id: str, item_id: str, repetition: int, at: float, *, fence: Fence | None = None
    ) -> bool:
        """Count a call before it is made; False (and nothing is written) if the fence is no longer held."""
        with self._writing() as connection:
            if fence is not None and not slots.holds(connection, fence):
                return False
            runs.mark_attempted(connection, run_id, item_id, repetition, at)
            return True

    def save_item(self, result: ItemResult, *, fence: Fence | None = None) -> bool:
        """Write an outcome. False: an answer was there already and stays, or the fence is no longer held."""
        with self._writing() as connection:
            if fence is not None and not slots.holds(connection, fence):
                return False
            return runs.save_item(connection, result)

    def finish_run(
        self,
        run_id: str,
        status: RunStatus,
        score_points: float | None,
        parseable: int | None,
        finished_at: float,
        *,
        flags: Sequence[str] = (),
        fence: Fence | None = None,
    ) -> bool:
        """Close the run; False if the fence is no longer held.

        flags: what makes its answers degenerate, in words. score_points is None where it has none.
        """
        with self._writing() as connection:
            if fence is not None and not slots.holds(connection, fence):
                return False
            runs.finish_run(connection, run_id, status, score_points, parseable, finished_at, flags)
            return True

    def run(self, run_id: str) -> Run | None:
        """The run, or None."""
        with self._reading() as connection:
            return runs.run_by_id(connection, run_id)

    def runs(self, deployment: str | None = None, limit: int = 100) -> list[Run]:
        """Runs, newest first."""
        with self._reading() as connection:
            return runs.runs_of(connection, deployment, limit)

    def unfinished_run(self, deployment: str, protocol_key: str, model: str) -> Run | None:
        """The newest run that can be resumed under the same protocol, or None."""
        with self._reading() as connection:
            return runs.unfinished_run(connection, deployment, protocol_key, model)

    def item_results(self, run_id: str) -> list[ItemResult]:
        """Every outcome of the run, by repetition, then item id."""
        with self._reading() as connection:
            return runs.results_of(connection, run_id)

    def item_history(self, deployment: str, item_id: str, limit: int = 100) -> list[ItemResult]:
        """Outcomes of one item over all runs of a deployment, newest first."""
        with self._reading() as connection:
            return runs.item_history(connection, deployment, item_id, limit)

    def item_answers(self, item_set: str, item_id: str, limit: int = 200) -> list[tuple[Run, ItemResult]]:
        """Outcomes of one item of a set over all deployments, with the runs that asked, newest first."""
        with self._reading() as connection:
            return runs.item_answers(connection, item_set, item_id, limit)

    # -- slots

    def claim_slot(self, name: str, slot_at: float, owner: str, ttl_seconds: float, now: float) -> int | None:
        """A fencing token (see `Fence`), or None while another lease runs or when the slot's work is done."""
        with self._writing() as connection:
            return slots.claim(connection, name, slot_at, owner, ttl_seconds, now)

    def renew_slot(self, fence: Fence, ttl_seconds: float, now: float) -> bool:
        """Extend the lease; False if it was lost."""
        with self._writing() as connection:
            return slots.renew(connection, fence, ttl_seconds, now)

    def release_slot(self, fence: Fence, now: float, *, done: bool = True) -> bool:
        """End the lease: a done slot is never claimed again, another one at once. False if it was lost."""
        with self._writing() as connection:
            return slots.release(connection, fence, now, done=done)

    # -- probes

    def save_probe(self, result: ProbeResult) -> bool:
        """Write a result; False if this judge's score of this turn is there already, which stays, or was erased."""
        with self._naming(result.conversation, result.ended_at) as connection:
            return connection is not None and probes.save_probe(connection, result)

    def probes(
        self, deployment: str | None = None, since: float = 0.0, limit: int = 1000, *, until: float | None = None
    ) -> list[ProbeResult]:
        """Results saved at or after ``since`` and before ``until`` (Unix seconds), newest first."""
        with self._reading() as connection:
            return probes.probes_of(connection, deployment, since, limit, until)

    def emotions_of(self, conversation: str) -> list[ProbeResult]:
        """Every result of a conversation (its salted id), by turn."""
        with self._reading() as connection:
            return probes.emotions_of(connection, conversation)

    # -- journal

    def save_state(self, name: str, value: Mapping[str, Any], events: Sequence[Event] = ()) -> tuple[int, ...]:
        """Replace a named state: JSON values, no NaN or infinity (ValueError or StatementError).

        events: what happened on the way to it, all of it kept with the state or nothing; their ids are returned.
        """
        with self._writing() as connection:
            ids = tuple(journal.save_event(connection, event) for event in events)
            journal.save_state(connection, name, value, self._clock())
            return ids

    def load_state(self, name: str) -> dict[str, Any] | None:
        """The named state, or None."""
        with self._reading() as connection:
            return journal.load_state(connection, name)

    def save_event(self, event: Event) -> int:
        """Append the event and return its id, a growing cursor."""
        with self._writing() as connection:
            return journal.save_event(connection, event)

    def events(self, since_id: int = 0, limit: int = 100) -> list[Event]:
        """Events after a cursor, oldest first."""
        with self._reading() as connection:
            return journal.events_since(connection, since_id, limit)

    def latest_event_id(self) -> int:
        """The id of the newest event, 0 for none."""
        with self._reading() as connection:
            return journal.latest_event_id(connection)

    def save_progress(
        self,
        name: str,
        value: Callable[[Sequence[int], int | None], Mapping[str, Any]],
        *,
        after: int,
        events: Sequence[Event] = (),
        baseline: BaselineRecord | None = None,
        fence: Fence | None = None,
    ) -> Progress | None:
        """A state together with what happened on the way to it: all of it, or nothing.

        value: makes the state from the ids that the events got and the id of the baseline, if there is one. after: the
        revision that it follows, 0 for none. None, and nothing is written, where another process moved the state on
        meanwhile or the fence is no longer held.
        """
        with self._writing() as connection:
            if fence is not None and not slots.holds(connection, fence):
                return None
            if not journal.is_at(connection, name, after):
                return None
            ids = tuple(journal.save_event(connection, event) for event in events)
            baseline_id = baselines.add(connection, baseline) if baseline is not None else None
            journal.save_state(connection, name, value(ids, baseline_id), self._clock())
            return Progress(ids, baseline_id)

    def set_state_aside(self, name: str, kept: str, event: Event) -> int | None:
        """Keep a state under another name, where nothing reads it, and say so; the event's id, or None without one."""
        with self._writing() as connection:
            return journal.save_event(connection, event) if journal.rename_state(connection, name, kept) else None

    # -- baselines

    def add_baseline(self, record: BaselineRecord) -> int:
        """Append a baseline and return its id; the same content is there only once. A first accepted one becomes the
        reference of record."""
        with self._writing() as connection:
            return baselines.add(connection, record)

    def accept_baseline(self, baseline_id: int, at: float, *, as_reference: bool = False) -> BaselineRecord | None:
        """Put a baseline in force; None where none has this id."""
        with self._writing() as connection:
            return baselines.accept(connection, baseline_id, at, as_reference=as_reference)

    def baseline(self, baseline_id: int) -> BaselineRecord | None:
        """The baseline of this id, or None."""
        with self._reading() as connection:
            return baselines.baseline_by_id(connection, baseline_id)

    def baselines(self, deployment: str | None = None) -> list[BaselineRecord]:
        """Baselines, oldest first."""
        with self._reading() as connection:
            return baselines.baselines_of(connection, deployment)

    def baseline_in_force(self, deployment: str, protocol_key: str) -> BaselineRecord | None:
        """The newest accepted baseline, or None."""
        with self._reading() as connection:
            return baselines.in_force(connection, deployment, protocol_key)

    def baseline_ids(self, deployment: str, protocol_key: str) -> tuple[int | None, int | None]:
        """The ids of the baseline in force and of the reference of record: cheap, for every tick."""
        with self._reading() as connection:
            found = baselines.id_in_force(connection, deployment, protocol_key)
            return found, baselines.reference_id(connection, deployment, protocol_key)

    def add_tokens(self, purpose: str, type_: str, tokens: int, at: float) -> None:
        """Add spent tokens; type_ is ``prompt`` or ``completion``. May over-count after a failure, never under."""
        with self._writing() as connection:
            journal.add_tokens(connection, purpose, type_, tokens, at)

    def tokens_used(self, purpose: str | None, since: float) -> int:
        """Tokens of all types since the start of the minute of ``since``; of every purpose where that is None."""
        with self._reading() as connection:
            return journal.tokens_used(connection, purpose, since)

    def token_usage(self, since: float) -> dict[tuple[str, str], int]:
        """Purpose and type -> tokens since the start of the minute of ``since``."""
        with self._reading() as connection:
            return journal.token_usage_since(connection, since)

    # -- budget

    def take_budget(self, takes: Sequence[Take]) -> list[Amount] | Refusal:
        """Set amounts aside in every window, or in none where one of them has too little left."""
        with self._writing() as connection:
            return ledger.take(connection, takes, self._clock())

    def settle_budget(self, changes: Mapping[str, Amount], usage: Mapping[tuple[str, str], int]) -> None:
        """Add changes to what windows have given out, and tokens used to their purpose and type; all or nothing."""
        now = self._clock()
        with self._writing() as connection:
            for window, change in sorted(changes.items()):
                ledger.adjust(connection, window, change, now)
            for (purpose, type_), tokens in usage.items():
                journal.add_tokens(connection, purpose, type_, tokens, now)

    def budget_taken(self, window: str) -> Amount:
        """What a window has given out so far: spent, or set aside."""
        with self._reading() as connection:
            return ledger.taken(connection, window)

"""The tables, once for SQLite and PostgreSQL. Times are Unix seconds, UTC.

Conversations are salted hashes and scores. No column holds what a user or a model said but ``contents.sealed``, which
is encrypted and empty unless the operator switched that on.
``item_results.answer_text`` is the model's answer to a benchmark item, which no user wrote.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)

__all__ = [
    "baselines",
    "budget_windows",
    "contents",
    "deliveries",
    "events",
    "informed_calls",
    "item_results",
    "metadata",
    "places",
    "probes",
    "runs",
    "slots",
    "states",
    "token_usage",
]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("deployment", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("protocol_key", Text, nullable=False),
    Column("protocol", JSON, nullable=False),
    Column("model", Text, nullable=False),
    Column("upstream", Text, nullable=False),
    Column("item_ids", JSON, nullable=False),
    Column("passes", Integer, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("status", Text, nullable=False),
    Column("finished_at", Double),
    Column("score_points", Double),
    Column("parseable", Integer),
    Column("flags", JSON, nullable=False),
    Index(None, "deployment", "started_at"),
)

item_results = Table(
    "item_results",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id"), nullable=False),
    Column("item_id", Text, nullable=False),
    Column("repetition", Integer, nullable=False),
    # A row without an outcome is a call that was started: its cost may have been incurred.
    Column("attempts", Integer, nullable=False),
    Column("attempted_at", Double, nullable=False),
    Column("outcome", Text),
    Column("reason", Text, nullable=False),
    Column("score", Double),
    Column("answer", JSON, nullable=False),
    Column("answer_text", Text, nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("reasoning_tokens", Integer, nullable=False),
    Column("latency_seconds", Double, nullable=False),
    Column("answered_model", Text, nullable=False),
    Column("system_fingerprint", Text, nullable=False),
    Column("at", Double, nullable=False),
    PrimaryKeyConstraint("run_id", "item_id", "repetition"),
    Index(None, "item_id", "at"),
)

slots = Table(
    "slots",
    metadata,
    Column("name", Text, nullable=False),
    Column("slot_at", Double, nullable=False),
    Column("owner", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("done_at", Double),
    PrimaryKeyConstraint("name", "slot_at"),
)

probes = Table(
    "probes",
    metadata,
    Column("deployment", Text, nullable=False),
    Column("conversation", Text, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("judge", Text, nullable=False),
    Column("judge_version", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("emotions", JSON, nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("latency_seconds", Double, nullable=False),
    Column("at", Double, nullable=False),
    Column("turn_ended_at", Double, nullable=False),
    Column("flags", JSON, nullable=False),
    PrimaryKeyConstraint("conversation", "turn", "kind", "judge", "deployment"),
    Index(None, "deployment", "at"),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("deployment", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("details", JSON, nullable=False),
    # Ids are cursors of the events API: SQLite may not hand out a removed one again.
    sqlite_autoincrement=True,
)

states = Table(
    "states",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", JSON, nullable=False),
    Column("saved_at", Double, nullable=False),
)

baselines = Table(
    "baselines",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("deployment", Text, nullable=False),
    Column("item_set", Text, nullable=False),
    Column("protocol_key", Text, nullable=False),
    Column("protocol", JSON, nullable=False),
    Column("version", Integer, nullable=False),
    Column("model", Text, nullable=False),
    Column("identities", JSON, nullable=False),
    Column("source", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("days", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("accepted_at", Double),
    Column("reference", Boolean, nullable=False),
    Column("value", JSON, nullable=False),
    Index(None, "deployment", "protocol_key", "version", unique=True),
    # People name baselines by id: SQLite may not hand out a removed one again.
    sqlite_autoincrement=True,
)

token_usage = Table(
    "token_usage",
    metadata,
    Column("purpose", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("minute", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    PrimaryKeyConstraint("purpose", "type", "minute"),
)

# What a window of the budget (a day, a run) has given out: used, or set aside for calls that are under way.
budget_windows = Table(
    "budget_windows",
    metadata,
    Column("name", Text, primary_key=True),
    Column("tokens", BigInteger, nullable=False),
    # Millionths of the currency's unit: sums of integers stay exact.
    Column("micros", BigInteger, nullable=False),
    Column("touched_at", Double, nullable=False),
)

# Messages to webhooks. What they tell is the event; text of a conversation is in neither.
# Conversations that are going on: hashes under which an exchange is found by the next one. Kept for a while only.
places = Table(
    "places",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("conversation", Text, nullable=False),
    Column("deployment", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("system", LargeBinary, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("keys", LargeBinary, nullable=False),
    Column("exchange", LargeBinary, nullable=False),
    Column("at", Double, nullable=False),
    Index(None, "at"),
    sqlite_autoincrement=True,
)

# What was said in sampled turns, only where the operator switched that on: redacted, then encrypted, then put here.
contents = Table(
    "contents",
    metadata,
    Column("deployment", Text, nullable=False),
    Column("conversation", Text, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("sealed", Text, nullable=False),
    PrimaryKeyConstraint("conversation", "turn", "deployment"),
    Index(None, "at"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("webhook", Text, nullable=False),
    Column("event", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("next_at", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("http_status", Integer),
    Column("done_at", Double),
    Index(None, "status", "webhook", "next_at"),
)

# Calls of the application that an estimate was there for, and how it had read one before, or `none`.
informed_calls = Table(
    "informed_calls",
    metadata,
    Column("conversation", Text, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("deployment", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("age_seconds", Double, nullable=False),
    Column("at", Double, nullable=False),
    PrimaryKeyConstraint("conversation", "turn", "deployment"),
    Index(None, "deployment", "at"),
)

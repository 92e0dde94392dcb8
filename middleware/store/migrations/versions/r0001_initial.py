"""The first schema: runs, item results, slots, probes, events, states, baselines, token usage."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def _seconds(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=False)


def upgrade() -> None:
    """Create every table of the first release."""
    _benchmark_tables()
    _probe_tables()
    _baseline_tables()
    _journal_tables()


def _benchmark_tables() -> None:
    op.create_table(
        "runs",
        _text("id"),
        _text("deployment"),
        _text("purpose"),
        _text("protocol_key"),
        sa.Column("protocol", sa.JSON, nullable=False),
        _text("model"),
        _text("upstream"),
        sa.Column("item_ids", sa.JSON, nullable=False),
        _count("passes"),
        _seconds("started_at"),
        _text("status"),
        sa.Column("finished_at", sa.Double),
        sa.Column("score_points", sa.Double),
        sa.Column("parseable", sa.Integer),
        sa.Column("flags", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_deployment_started_at", "runs", ["deployment", "started_at"])
    op.create_table(
        "item_results",
        _text("run_id"),
        _text("item_id"),
        _count("repetition"),
        _count("attempts"),
        _seconds("attempted_at"),
        sa.Column("outcome", sa.Text),
        _text("reason"),
        sa.Column("score", sa.Double),
        sa.Column("answer", sa.JSON, nullable=False),
        _text("answer_text"),
        _count("prompt_tokens"),
        _count("completion_tokens"),
        _count("reasoning_tokens"),
        _seconds("latency_seconds"),
        _text("answered_model"),
        _text("system_fingerprint"),
        _seconds("at"),
        sa.PrimaryKeyConstraint("run_id", "item_id", "repetition", name="pk_item_results"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_item_results_run_id"),
    )
    op.create_index("ix_item_results_item_id_at", "item_results", ["item_id", "at"])
    op.create_table(
        "slots",
        _text("name"),
        _seconds("slot_at"),
        _text("owner"),
        sa.Column("token", sa.BigInteger, nullable=False),
        _seconds("expires_at"),
        sa.Column("done_at", sa.Double),
        sa.PrimaryKeyConstraint("name", "slot_at", name="pk_slots"),
    )


def _probe_tables() -> None:
    op.create_table(
        "probes",
        _text("deployment"),
        _text("conversation"),
        _count("turn"),
        _text("kind"),
        _text("judge"),
        _text("judge_version"),
        _text("outcome"),
        _text("reason"),
        sa.Column("emotions", sa.JSON, nullable=False),
        _count("prompt_tokens"),
        _count("completion_tokens"),
        _seconds("latency_seconds"),
        _seconds("at"),
        _seconds("turn_ended_at"),
        sa.Column("flags", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("conversation", "turn", "kind", "judge", "deployment", name="pk_probes"),
    )
    op.create_index("ix_probes_deployment_at", "probes", ["deployment", "at"])


def _baseline_tables() -> None:
    op.create_table(
        "baselines",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        _text("deployment"),
        _text("item_set"),
        _text("protocol_key"),
        sa.Column("protocol", sa.JSON, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        _text("model"),
        sa.Column("identities", sa.JSON, nullable=False),
        _text("source"),
        _text("digest"),
        _seconds("days"),
        _seconds("created_at"),
        sa.Column("accepted_at", sa.Double),
        sa.Column("reference", sa.Boolean, nullable=False),
        sa.Column("value", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_baselines"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_baselines_deployment_protocol_key_version",
        "baselines",
        ["deployment", "protocol_key", "version"],
        unique=True,
    )


def _journal_tables() -> None:
    op.create_table(
        "budget_windows",
        _text("name"),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("micros", sa.BigInteger, nullable=False),
        _seconds("touched_at"),
        sa.PrimaryKeyConstraint("name", name="pk_budget_windows"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        _text("kind"),
        _text("deployment"),
        _seconds("at"),
        sa.Column("details", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "states",
        _text("name"),
        sa.Column("value", sa.JSON, nullable=False),
        _seconds("saved_at"),
        sa.PrimaryKeyConstraint("name", name="pk_states"),
    )
    op.create_table(
        "token_usage",
        _text("purpose"),
        _text("type"),
        sa.Column("minute", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("purpose", "type", "minute", name="pk_token_usage"),
    )

"""The first schema: sessions, turns, transcripts, tool calls and the audit."""

import sqlalchemy as sa
from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

CHILDREN = ("turns", "transcripts", "tool_calls")
TOTALS = (
    "turns", "client_messages", "client_bytes", "upstream_messages", "upstream_bytes",
    "input_tokens", "output_tokens", "total_tokens",
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(256), nullable=False),
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("origin", sa.Text()),
        sa.Column("dialect", sa.Text()),
        sa.Column("model", sa.Text()),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.Column("ended_event", sa.String(64)),
        sa.Column("close_code", sa.Integer()),
        sa.Column("reason", sa.Text()),
        sa.Column("seconds", sa.Double(), nullable=False, server_default="0"),
        *(sa.Column(name, sa.BigInteger(), nullable=False, server_default="0") for name in TOTALS),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
    )
    op.create_index("ix_sessions_subject_started_at_id", "sessions", ["subject", "started_at", "id"])
    op.create_index("ix_sessions_started_at_id", "sessions", ["started_at", "id"])
    _create_child(
        "turns",
        sa.Column("turn", sa.BigInteger()),
        sa.Column("response_id", sa.Text()),
        sa.Column("status", sa.Text()),
        sa.Column("milliseconds", sa.BigInteger()),
        sa.Column("input_tokens", sa.BigInteger()),
        sa.Column("output_tokens", sa.BigInteger()),
        sa.Column("total_tokens", sa.BigInteger()),
    )
    _create_child(
        "transcripts",
        sa.Column("turn", sa.BigInteger()),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("text", sa.Text()),
        sa.Column("redacted", sa.Boolean(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
    )
    _create_child(
        "tool_calls",
        sa.Column("call_id", sa.Text()),
        sa.Column("name", sa.Text()),
        sa.Column("arguments", sa.Text()),
        sa.Column("redacted", sa.Boolean(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("who", sa.String(256), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("target", sa.String(256), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("sessions", *CHILDREN)),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_target", "audit", ["target"])


def downgrade() -> None:
    for table in ("audit", *CHILDREN, "sessions"):
        op.drop_table(table)


def _create_child(table: str, *columns: sa.Column[object]) -> None:
    op.create_table(
        table,
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("session_id", sa.String(256), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("event_id", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name=f"fk_{table}_sessions", ondelete="CASCADE"),
    )
    op.create_index(f"ix_{table}_session_id_at_event_id", table, ["session_id", "at", "event_id"])

"""Runs know their parent, what they were forked from and how they are kept; deleting runs; results used again."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("parent_run_id", sa.String(64)))
        runs.add_column(sa.Column("parent_node_id", sa.String(200)))
        runs.add_column(sa.Column("forked_from", sa.String(64)))
        runs.add_column(sa.Column("idempotency_key", sa.String(200)))
        runs.add_column(sa.Column("durability", sa.String(16), nullable=False, server_default="strict"))
    for name, table, column, having, unique in (
        ("runs_by_parent", "runs", "parent_run_id", "parent_run_id", False),
        ("runs_by_origin", "runs", "forked_from", "forked_from", False),
        ("runs_by_key", "runs", "idempotency_key", "idempotency_key", True),
        ("events_with_values", "events", "seq", "stored", False),
    ):
        condition = sa.text(f"{having} IS NOT NULL")
        op.create_index(
            name, table, [column], unique=unique, sqlite_where=condition, postgresql_where=condition
        )
    op.create_table("doomed_runs", sa.Column("id", sa.String(64), primary_key=True))
    op.create_table(
        "marks",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "cached_results",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("tool", sa.String(200), nullable=False),
        sa.Column("result", sa.LargeBinary, nullable=False),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("cached_results_by_time", "cached_results", ["created_at"])

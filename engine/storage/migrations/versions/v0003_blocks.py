"""Where the events of a run are is known by blocks of the journal, no longer event by event."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "run_blocks",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("block", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "block"),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO run_blocks (run_id, block) SELECT DISTINCT run_id, seq / 64 FROM events")
    op.drop_index("events_by_run", "events")

"""Operations as their own outbox, lanes, dead letters; objects that no row owns; versions of subjects."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recon_service.storage.tables import EPOCH, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Columns are added in place: on SQLite a table made anew would take the rows that refer to it."""
    op.add_column("subjects", sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
    op.add_column(
        "operations", sa.Column("lane", sa.String(16), nullable=False, server_default="interactive")
    )
    op.add_column("operations", sa.Column("queued_at", UtcDateTime(), nullable=False, server_default=EPOCH))
    op.add_column("operations", sa.Column("published_at", UtcDateTime(), nullable=True))
    op.add_column("operations", sa.Column("dead_at", UtcDateTime(), nullable=True))
    op.execute("UPDATE operations SET queued_at = created_at")
    op.drop_index("ix_operations_state_created_at", "operations")
    op.create_index("ix_operations_state_queued_at", "operations", ["state", "queued_at"])
    op.create_index("ix_operations_dead_at", "operations", ["dead_at"])
    op.create_table(
        "loose_objects",
        sa.Column("object_key", sa.String(200), nullable=False),
        sa.Column("doomed", sa.Boolean(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("object_key", name="pk_loose_objects"),
    )
    op.create_index("ix_loose_objects_doomed_since", "loose_objects", ["doomed", "since"])


def downgrade() -> None:
    """Loose objects are forgotten: the older version finds them by listing the store at its start."""
    op.drop_table("loose_objects")
    op.drop_index("ix_operations_dead_at", "operations")
    op.drop_index("ix_operations_state_queued_at", "operations")
    for column in ("dead_at", "published_at", "queued_at", "lane"):
        op.drop_column("operations", column)
    op.create_index("ix_operations_state_created_at", "operations", ["state", "created_at"])
    op.drop_column("subjects", "version")

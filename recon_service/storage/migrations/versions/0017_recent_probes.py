"""Recent probes, by consent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recon_service.storage.tables import UtcDateTime

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """No consent of before allows them."""
    op.create_table(
        "recent_probes",
        sa.Column("probe_id", sa.String(64), nullable=False),
        sa.Column("subject_id", sa.String(64), nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subjects.subject_id"], name="fk_recent_probes_subject_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("probe_id", name="pk_recent_probes"),
    )
    op.create_index("ix_recent_probes_subject_id", "recent_probes", ["subject_id"])
    op.create_index("ix_recent_probes_seen_at", "recent_probes", ["seen_at"])
    for table in ("consents", "capture_sessions"):
        op.add_column(
            table, sa.Column("keep_probes", sa.Boolean(), nullable=False, server_default=sa.false())
        )


def downgrade() -> None:
    """What was kept is destroyed."""
    for table in ("capture_sessions", "consents"):
        op.drop_column(table, "keep_probes")
    op.drop_table("recent_probes")

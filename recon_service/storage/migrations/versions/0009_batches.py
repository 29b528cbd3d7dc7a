"""Batches of re-enrollment with their items, kept evidence, and the workers that report."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recon_service.storage.tables import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Enrollments of before kept no evidence."""
    op.create_table(
        "batches",
        sa.Column("batch_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("selection", sa.JSON(), nullable=False),
        sa.Column("target", sa.JSON(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(100), nullable=False),
        sa.Column("moment", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.String(64), nullable=False),
        sa.Column("listed_at", UtcDateTime(), nullable=True),
        sa.Column("begun_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("batch_id", name="pk_batches"),
    )
    op.create_index("ix_batches_state", "batches", ["state"])
    op.create_index("ix_batches_moment", "batches", ["moment"])
    op.create_table(
        "batch_items",
        sa.Column("batch_id", sa.String(64), nullable=False),
        sa.Column("subject_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claim_token", sa.String(64), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("material", sa.String(16), nullable=True),
        sa.Column("template_id", sa.String(64), nullable=True),
        sa.Column("former_id", sa.String(64), nullable=True),
        sa.Column("standing", sa.String(16), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.batch_id"], name="fk_batch_items_batch_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subjects.subject_id"], name="fk_batch_items_subject_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("batch_id", "subject_id", name="pk_batch_items"),
    )
    op.create_index("ix_batch_items_subject_id", "batch_items", ["subject_id"])
    op.create_index(
        "ix_batch_items_tally", "batch_items", ["batch_id", "state", "standing", "reason", "material"]
    )
    op.create_index("ix_batch_items_ended", "batch_items", ["batch_id", "ended_at"])
    op.create_table(
        "kept_evidence",
        sa.Column("subject_id", sa.String(64), nullable=False),
        sa.Column("template_id", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subjects.subject_id"], name="fk_kept_evidence_subject_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("subject_id", name="pk_kept_evidence"),
    )
    op.create_table(
        "workers",
        sa.Column("worker_id", sa.String(100), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("reported_at", UtcDateTime(), nullable=False),
        sa.Column("models", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("problem", sa.String(64), nullable=False),
        sa.Column("next_step", sa.String(500), nullable=False),
        sa.Column("resident_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("worker_id", name="pk_workers"),
    )
    op.add_column(
        "operations", sa.Column("keep_evidence", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    """Candidates of batches stay candidates; kept evidence goes."""
    op.drop_column("operations", "keep_evidence")
    for table in ("workers", "kept_evidence", "batch_items", "batches"):
        op.drop_table(table)

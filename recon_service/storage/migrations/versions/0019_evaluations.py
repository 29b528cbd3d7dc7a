"""Evaluations of batches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recon_service.storage.tables import UtcDateTime

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """New tables alone."""
    op.create_table(
        "batch_evaluations",
        sa.Column("batch_id", sa.String(64), nullable=False),
        sa.Column("evaluation_set", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("former", sa.JSON(), nullable=False),
        sa.Column("candidate", sa.JSON(), nullable=False),
        sa.Column("asked_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("claim_token", sa.String(64), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("next_step", sa.String(500), nullable=False),
        sa.Column("outcome", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.batch_id"], name="fk_batch_evaluations_batch_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("batch_id", "evaluation_set", name="pk_batch_evaluations"),
    )
    op.create_index("ix_batch_evaluations_state", "batch_evaluations", ["state"])
    op.create_table(
        "evaluation_observations",
        sa.Column("set_key", sa.String(64), nullable=False),
        sa.Column("way_key", sa.String(64), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("person", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("made_at", UtcDateTime, nullable=False),
        sa.Column("used_at", UtcDateTime, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("set_key", "way_key", "code", "person", name="pk_evaluation_observations"),
    )
    op.create_index("ix_evaluation_observations_used_at", "evaluation_observations", ["used_at"])


def downgrade() -> None:
    """Results are forgotten; they can be had again."""
    op.drop_table("evaluation_observations")
    op.drop_table("batch_evaluations")

"""Consents with an end, and the time of the last sweep."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recon_service.storage.tables import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Enrollments of before named no end."""
    op.create_table(
        "consents",
        sa.Column("consent_row", sa.String(64), nullable=False),
        sa.Column("subject_id", sa.String(64), nullable=False),
        sa.Column("operation_id", sa.String(64), nullable=True),
        sa.Column("consent_id", sa.String(200), nullable=False),
        sa.Column("given_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("swept", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subjects.subject_id"], name="fk_consents_subject_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operations.operation_id"], name="fk_consents_operation_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("consent_row", name="pk_consents"),
    )
    op.create_index("ix_consents_subject_id", "consents", ["subject_id"])
    op.create_index("ix_consents_swept_expires_at", "consents", ["swept", "expires_at"])
    op.create_index("ix_consents_swept_given_at", "consents", ["swept", "given_at"])
    op.execute(
        "INSERT INTO consents "
        "(consent_row, subject_id, operation_id, consent_id, given_at, expires_at, swept) "
        "SELECT 'cns' || substr(operation_id, 3), subject_id, operation_id, consent_id, created_at, "
        "NULL, FALSE FROM operations"
    )
    op.create_table(
        "clock_marks",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_clock_marks"),
    )


def downgrade() -> None:
    """Ends are forgotten: note them before (GET /v1/consents)."""
    op.drop_table("clock_marks")
    op.drop_table("consents")

"""Deletions are looked up by the digest of the subject."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """An import asks for each of its subjects."""
    op.create_index("ix_deletion_receipts_subject_digest", "deletion_receipts", ["subject_digest"])


def downgrade() -> None:
    """Only the index goes."""
    op.drop_index("ix_deletion_receipts_subject_digest", "deletion_receipts")

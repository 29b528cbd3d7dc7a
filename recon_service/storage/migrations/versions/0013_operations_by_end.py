"""Operations are counted by when they ended."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The console shows the outcomes of a day."""
    op.create_index("ix_operations_ended_at", "operations", ["ended_at"])


def downgrade() -> None:
    """Only the index goes."""
    op.drop_index("ix_operations_ended_at", "operations")

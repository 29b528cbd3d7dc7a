"""What was answered is kept with the Idempotency-Key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Answers of before are made anew from their operation."""
    op.add_column("idempotency_records", sa.Column("answer", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """They are made anew again."""
    op.drop_column("idempotency_records", "answer")

"""The operations of a subject are numbered in the order in which they were put on record."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Those of before as their clocks have it."""
    op.add_column("operations", sa.Column("number", sa.Integer(), nullable=False, server_default="0"))
    op.execute(
        "UPDATE operations SET number = (SELECT count(*) FROM operations o "
        "WHERE o.subject_id = operations.subject_id AND (o.created_at < operations.created_at "
        "OR (o.created_at = operations.created_at AND o.operation_id <= operations.operation_id)))"
    )


def downgrade() -> None:
    """Versions of before put in force what ends last."""
    op.drop_column("operations", "number")

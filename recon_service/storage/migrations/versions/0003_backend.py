"""The reconstruction backend that an enrollment asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Enrollments of before used none."""
    op.add_column(
        "operations", sa.Column("backend", sa.String(32), nullable=False, server_default="facemesh")
    )


def downgrade() -> None:
    """The wish is forgotten; what it led to is in the templates."""
    op.drop_column("operations", "backend")

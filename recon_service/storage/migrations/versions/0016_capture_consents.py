"""A capture session carries what the consent says: its end, and whether evidence may be kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recon_service.storage.tables import UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Sessions under way keep no evidence."""
    op.add_column(
        "capture_sessions",
        sa.Column("keep_evidence", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column("capture_sessions", sa.Column("consent_expires_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    """Sessions under way lose both."""
    op.drop_column("capture_sessions", "consent_expires_at")
    op.drop_column("capture_sessions", "keep_evidence")

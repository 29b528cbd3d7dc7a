"""Ended batches lose their items after a while, and keep the counts of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recon_service.storage.tables import UtcDateTime

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """All batches of before have their items."""
    op.add_column("batches", sa.Column("items_gone_at", UtcDateTime(), nullable=True))
    op.add_column("batches", sa.Column("counts", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Batches without items look as if they had never had any."""
    op.drop_column("batches", "counts")
    op.drop_column("batches", "items_gone_at")

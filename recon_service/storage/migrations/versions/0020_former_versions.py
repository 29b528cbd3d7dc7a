"""The destruction of a former version is a change for the search among all references."""

from __future__ import annotations

from alembic import op

from recon_service.storage.reference_tables import unwatch_former_versions, watch_former_versions

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A trigger alone."""
    watch_former_versions(op.execute, op.get_bind().dialect.name)


def downgrade() -> None:
    """Versions of before search what is in force alone."""
    unwatch_former_versions(op.execute, op.get_bind().dialect.name)

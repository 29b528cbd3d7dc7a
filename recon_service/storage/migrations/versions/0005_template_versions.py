"""Versions of a subject's template, one of them active; templates that no enrollment made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recon_service.storage.tables import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The newest template of each subject was the one in use: it is active, those before it retired."""
    with op.batch_alter_table("templates") as table:
        table.alter_column("operation_id", existing_type=sa.String(64), nullable=True)
        table.add_column(sa.Column("state", sa.String(16), nullable=False, server_default="candidate"))
        table.add_column(sa.Column("origin", sa.String(16), nullable=False, server_default="enrollment"))
        table.add_column(sa.Column("parent_id", sa.String(64), nullable=True))
        table.add_column(sa.Column("activated_at", UtcDateTime(), nullable=True))
        table.add_column(sa.Column("retired_at", UtcDateTime(), nullable=True))
    op.execute("UPDATE templates SET state = 'active', activated_at = created_at")
    # Retired by the moment of the upgrade, not of their successor: retention starts anew.
    op.execute(
        "UPDATE templates SET state = 'retired', retired_at = CURRENT_TIMESTAMP WHERE EXISTS ("
        "SELECT 1 FROM templates newer WHERE newer.subject_id = templates.subject_id AND ("
        "newer.created_at > templates.created_at OR (newer.created_at = templates.created_at "
        "AND newer.template_id < templates.template_id)))"
    )
    op.create_index(
        "uq_templates_active",
        "templates",
        ["subject_id"],
        unique=True,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_index("ix_templates_state_retired_at", "templates", ["state", "retired_at"])


def downgrade() -> None:
    """The newest was in use then: what is active becomes the newest, and what no enrollment made goes."""
    op.drop_index("ix_templates_state_retired_at", "templates")
    op.drop_index("uq_templates_active", "templates")
    op.execute("DELETE FROM templates WHERE operation_id IS NULL OR state = 'candidate'")
    op.execute("UPDATE templates SET created_at = activated_at WHERE state = 'active'")
    with op.batch_alter_table("templates") as table:
        for column in ("retired_at", "activated_at", "parent_id", "origin", "state"):
            table.drop_column(column)
        table.alter_column("operation_id", existing_type=sa.String(64), nullable=False)

"""Subjects of whom a crash kept everything but a key are gone; so are names that batches of before 0022
remember after they are listed; and Idempotency-Keys are forgotten by an index. What is withdrawn is listed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

from recon_service.storage.tables import UtcDateTime

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

SERVED_FOR = timedelta(minutes=10)
"""So long a request may store its selfies; the version before this one made the subject first."""


def upgrade() -> None:
    """Nothing was stored of such subjects: there is nothing to be receipted."""
    op.create_index("ix_idempotency_records_created_at", "idempotency_records", ["created_at"])
    op.create_table(
        "withdrawals",
        sa.Column("withdrawal_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("about", sa.String(64), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("detail", sa.String(200), nullable=False),
        sa.Column("exported_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("withdrawal_id", name="pk_withdrawals"),
    )
    op.create_index("ix_withdrawals_exported_at", "withdrawals", ["exported_at"])
    op.execute(
        "INSERT INTO withdrawals (withdrawal_id, kind, about, at, detail) "
        "SELECT 'wd_' || kiosk_id, 'kiosk', kiosk_id, revoked_at, '' FROM edge_kiosks "
        "WHERE revoked_at IS NOT NULL"
    )
    op.execute("UPDATE batches SET cursor = '' WHERE listed_at IS NOT NULL")
    subjects = sa.table(
        "subjects", sa.column("subject_id"), sa.column("created_at", sa.DateTime(timezone=True))
    )
    left = sa.delete(subjects)
    for name in ("operations", "templates", "consents"):
        of_subject = sa.table(name, sa.column("subject_id"))
        left = left.where(
            ~sa.exists().where(of_subject.c.subject_id == subjects.c.subject_id).correlate(subjects)
        )
    before = datetime.now(UTC) - SERVED_FOR
    if op.get_bind().dialect.name == "sqlite":
        before = before.replace(tzinfo=None)
    op.execute(left.where(subjects.c.created_at < before))


def downgrade() -> None:
    """What is gone was of no use."""
    op.drop_table("withdrawals")
    op.drop_index("ix_idempotency_records_created_at", "idempotency_records")

"""Kiosk sessions, and digests of the captures that were seen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recon_service.storage.tables import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """No visit of before is known."""
    op.create_table(
        "kiosk_sessions",
        sa.Column("session_id", sa.String(64), nullable=False),
        sa.Column("api_key_id", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("client", sa.String(64), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("issued", sa.Integer(), nullable=False),
        sa.Column("spent", sa.Integer(), nullable=False),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_kiosk_sessions"),
    )
    op.create_index("ix_kiosk_sessions_expires_at", "kiosk_sessions", ["expires_at"])
    op.create_table(
        "seen_captures",
        sa.Column("capture", sa.String(64), nullable=False),
        sa.Column("session_id", sa.String(64), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("capture", name="pk_seen_captures"),
    )
    op.create_index("ix_seen_captures_seen_at", "seen_captures", ["seen_at"])


def downgrade() -> None:
    """Open visits end."""
    op.drop_table("seen_captures")
    op.drop_table("kiosk_sessions")

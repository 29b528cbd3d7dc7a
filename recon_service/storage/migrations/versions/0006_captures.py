"""Capture sessions, and the frames that wait in them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recon_service.storage.tables import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two tables."""
    op.create_table(
        "capture_sessions",
        sa.Column("session_id", sa.String(64), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("subject_id", sa.String(64), nullable=False),
        sa.Column("consent_id", sa.String(200), nullable=False),
        sa.Column("keep_selfies", sa.Boolean(), nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("return_url", sa.String(1000), nullable=False),
        sa.Column("api_key_id", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("operation_id", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("session_id", name="pk_capture_sessions"),
    )
    op.create_index("ix_capture_sessions_subject_id", "capture_sessions", ["subject_id"])
    op.create_index("ix_capture_sessions_expires_at", "capture_sessions", ["expires_at"])
    op.create_table(
        "capture_frames",
        sa.Column("session_id", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "number", name="pk_capture_frames"),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["capture_sessions.session_id"],
            name="fk_capture_frames_session_id",
            ondelete="CASCADE",
        ),
    )


def downgrade() -> None:
    """Sessions under way end."""
    op.drop_table("capture_frames")
    op.drop_index("ix_capture_sessions_expires_at", "capture_sessions")
    op.drop_index("ix_capture_sessions_subject_id", "capture_sessions")
    op.drop_table("capture_sessions")

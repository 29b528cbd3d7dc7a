"""The tables of capture sessions."""

from __future__ import annotations

import sqlalchemy as sa

from recon_service.storage.tables import ID, SUBJECT_ID, UtcDateTime, metadata

capture_sessions = sa.Table(
    "capture_sessions",
    metadata,
    sa.Column("session_id", ID, primary_key=True),
    sa.Column("secret_sha256", sa.LargeBinary, nullable=False),
    # No foreign key: the subject comes to be with the first enrollment.
    sa.Column("subject_id", SUBJECT_ID, nullable=False, index=True),
    sa.Column("consent_id", sa.String(200), nullable=False),
    sa.Column("keep_selfies", sa.Boolean, nullable=False),
    sa.Column("language", sa.String(8), nullable=False),
    sa.Column("return_url", sa.String(1000), nullable=False),
    sa.Column("api_key_id", ID, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("operation_id", ID, nullable=True),
    sa.Column("keep_evidence", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("consent_expires_at", UtcDateTime, nullable=True),
    sa.Column("keep_probes", sa.Boolean, nullable=False, server_default=sa.false()),
)

# Sealed by a key that comes from the session's secret, which is stored nowhere.
capture_frames = sa.Table(
    "capture_frames",
    metadata,
    sa.Column(
        "session_id", ID, sa.ForeignKey("capture_sessions.session_id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

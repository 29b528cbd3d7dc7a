"""The table of recent probes."""

from __future__ import annotations

import sqlalchemy as sa

from recon_service.storage.tables import ID, SUBJECT_ID, UtcDateTime, metadata

recent_probes = sa.Table(
    "recent_probes",
    metadata,
    sa.Column("probe_id", ID, primary_key=True),
    sa.Column(
        "subject_id",
        SUBJECT_ID,
        sa.ForeignKey("subjects.subject_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("seen_at", UtcDateTime, nullable=False, index=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

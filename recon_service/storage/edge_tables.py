"""The tables of edge mode: a site's kiosks and subjects, and which bundles are in the world."""

from __future__ import annotations

import sqlalchemy as sa

from recon_service.storage.tables import ID, SUBJECT_ID, UtcDateTime, metadata

edge_kiosks = sa.Table(
    "edge_kiosks",
    metadata,
    sa.Column("kiosk_id", ID, primary_key=True),
    sa.Column("site", sa.String(64), nullable=False, index=True),
    sa.Column("recipient", sa.String(100), nullable=False),
    sa.Column("signing", sa.String(100), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("revoked_at", UtcDateTime, nullable=True),
    sa.Column("serial", sa.Integer, nullable=False),  # of its last bundle
    sa.Column("reported", sa.Integer, nullable=False),  # number of its last report
    sa.Column("last_report", sa.String(64), nullable=False),
)

edge_members = sa.Table(
    "edge_members",
    metadata,
    sa.Column("site", sa.String(64), primary_key=True),
    sa.Column(
        "subject_id", SUBJECT_ID, sa.ForeignKey("subjects.subject_id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("added_at", UtcDateTime, nullable=False),
    sa.Index("ix_edge_members_subject_id", "subject_id"),
)

edge_bundles = sa.Table(
    "edge_bundles",
    metadata,
    sa.Column("bundle_id", ID, primary_key=True),
    sa.Column(
        "kiosk_id", ID, sa.ForeignKey("edge_kiosks.kiosk_id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("site", sa.String(64), nullable=False, index=True),
    sa.Column("serial", sa.Integer, nullable=False),
    sa.Column("made_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False, index=True),
)

# The id of a template alone, and no reference to it: after a deletion it names nobody, and must be revoked.
edge_bundle_templates = sa.Table(
    "edge_bundle_templates",
    metadata,
    sa.Column("bundle_id", ID, sa.ForeignKey("edge_bundles.bundle_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("template_id", ID, primary_key=True),
)

# What a kiosk saw, encrypted with the key of the subject.
edge_evidence = sa.Table(
    "edge_evidence",
    metadata,
    sa.Column("kiosk_id", ID, primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column(
        "subject_id",
        SUBJECT_ID,
        sa.ForeignKey("subjects.subject_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("at", UtcDateTime, nullable=False, index=True),
    sa.Column("decision", sa.String(32), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

"""Edge mode: kiosks and members of sites, the bundles that are out, what kiosks saw."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recon_service.storage.tables import UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Five tables."""
    op.create_table(
        "edge_kiosks",
        sa.Column("kiosk_id", sa.String(64), nullable=False),
        sa.Column("site", sa.String(64), nullable=False),
        sa.Column("recipient", sa.String(100), nullable=False),
        sa.Column("signing", sa.String(100), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("reported", sa.Integer(), nullable=False),
        sa.Column("last_report", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("kiosk_id", name="pk_edge_kiosks"),
    )
    op.create_index("ix_edge_kiosks_site", "edge_kiosks", ["site"])
    op.create_table(
        "edge_members",
        sa.Column("site", sa.String(64), nullable=False),
        sa.Column("subject_id", sa.String(64), nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("site", "subject_id", name="pk_edge_members"),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subjects.subject_id"], name="fk_edge_members_subject_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_edge_members_subject_id", "edge_members", ["subject_id"])
    op.create_table(
        "edge_bundles",
        sa.Column("bundle_id", sa.String(64), nullable=False),
        sa.Column("kiosk_id", sa.String(64), nullable=False),
        sa.Column("site", sa.String(64), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("bundle_id", name="pk_edge_bundles"),
        sa.ForeignKeyConstraint(
            ["kiosk_id"], ["edge_kiosks.kiosk_id"], name="fk_edge_bundles_kiosk_id", ondelete="CASCADE"
        ),
    )
    for column in ("kiosk_id", "site", "expires_at"):
        op.create_index(f"ix_edge_bundles_{column}", "edge_bundles", [column])
    op.create_table(
        "edge_bundle_templates",
        sa.Column("bundle_id", sa.String(64), nullable=False),
        sa.Column("template_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("bundle_id", "template_id", name="pk_edge_bundle_templates"),
        sa.ForeignKeyConstraint(
            ["bundle_id"],
            ["edge_bundles.bundle_id"],
            name="fk_edge_bundle_templates_bundle_id",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "edge_evidence",
        sa.Column("kiosk_id", sa.String(64), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("subject_id", sa.String(64), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("decision", sa.String(32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kiosk_id", "sequence", name="pk_edge_evidence"),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subjects.subject_id"], name="fk_edge_evidence_subject_id", ondelete="CASCADE"
        ),
    )
    for column in ("subject_id", "at"):
        op.create_index(f"ix_edge_evidence_{column}", "edge_evidence", [column])


def downgrade() -> None:
    """Kiosks have to be registered again after the next upgrade."""
    for column in ("at", "subject_id"):
        op.drop_index(f"ix_edge_evidence_{column}", "edge_evidence")
    op.drop_table("edge_evidence")
    op.drop_table("edge_bundle_templates")
    for column in ("expires_at", "site", "kiosk_id"):
        op.drop_index(f"ix_edge_bundles_{column}", "edge_bundles")
    op.drop_table("edge_bundles")
    op.drop_index("ix_edge_members_subject_id", "edge_members")
    op.drop_table("edge_members")
    op.drop_index("ix_edge_kiosks_site", "edge_kiosks")
    op.drop_table("edge_kiosks")

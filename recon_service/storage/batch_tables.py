"""SQL tables of re-enrollment: batches, their items, kept evidence, and the workers that report."""

from __future__ import annotations

import sqlalchemy as sa

from recon_service.storage.tables import ID, SUBJECT_ID, UtcDateTime, metadata

batches = sa.Table(
    "batches",
    metadata,
    sa.Column("batch_id", ID, primary_key=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("selection", sa.JSON, nullable=False),
    sa.Column("target", sa.JSON, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("created_by", sa.String(100), nullable=False),
    sa.Column("moment", UtcDateTime, nullable=False, index=True),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("expected", sa.Integer, nullable=False),
    # The last subject for whom an item was made: a page is a row per subject, the whole never in memory.
    sa.Column("cursor", SUBJECT_ID, nullable=False),
    sa.Column("listed_at", UtcDateTime, nullable=True),
    sa.Column("begun_at", UtcDateTime, nullable=True),
    sa.Column("ended_at", UtcDateTime, nullable=True),
    # Retention destroys the items of an ended batch; the counts of them stay here.
    sa.Column("items_gone_at", UtcDateTime, nullable=True),
    sa.Column("counts", sa.JSON(none_as_null=True), nullable=True),
)

batch_items = sa.Table(
    "batch_items",
    metadata,
    # Unique: however often and wherever a batch is worked on, a subject has one item of it.
    sa.Column("batch_id", ID, sa.ForeignKey("batches.batch_id", ondelete="CASCADE"), primary_key=True),
    sa.Column(
        "subject_id",
        SUBJECT_ID,
        sa.ForeignKey("subjects.subject_id", ondelete="CASCADE"),
        primary_key=True,
        index=True,
    ),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("claim_token", ID, nullable=True),
    # When it was taken, or its runner last gave a sign of life; while it waits: when it is due.
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("reason", sa.String(64), nullable=False),
    sa.Column("material", sa.String(16), nullable=True),
    sa.Column("template_id", ID, nullable=True),
    sa.Column("former_id", ID, nullable=True),
    sa.Column("standing", sa.String(16), nullable=True),
    sa.Column("ended_at", UtcDateTime, nullable=True),
    # For whoever takes items, switches candidates, or counts: from the index alone.
    sa.Index("ix_batch_items_tally", "batch_id", "state", "standing", "reason", "material"),
    sa.Index("ix_batch_items_ended", "batch_id", "ended_at"),
)

kept_evidence = sa.Table(
    "kept_evidence",
    metadata,
    sa.Column(
        "subject_id", SUBJECT_ID, sa.ForeignKey("subjects.subject_id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("template_id", ID, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    # The operation that saw it.
    sa.Column("enrolled_by", ID, nullable=True),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("worker_id", sa.String(100), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("reported_at", UtcDateTime, nullable=False),
    sa.Column("models", sa.JSON(none_as_null=True), nullable=True),
    sa.Column("problem", sa.String(64), nullable=False),
    sa.Column("next_step", sa.String(500), nullable=False),
    sa.Column("resident_bytes", sa.BigInteger, nullable=False),
)

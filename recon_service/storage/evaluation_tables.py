"""SQL tables of evaluations: of batches, and what was seen of the people of evaluation sets."""

from __future__ import annotations

import sqlalchemy as sa

from recon_service.storage.tables import ID, UtcDateTime, metadata

DIGEST = sa.String(64)

batch_evaluations = sa.Table(
    "batch_evaluations",
    metadata,
    sa.Column("batch_id", ID, sa.ForeignKey("batches.batch_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("evaluation_set", sa.String(16), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("former", sa.JSON, nullable=False),
    sa.Column("candidate", sa.JSON, nullable=False),
    sa.Column("asked_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    # Null: nobody works on it.
    sa.Column("claim_token", ID, nullable=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("done", sa.Integer, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("reason", sa.String(64), nullable=False),
    sa.Column("next_step", sa.String(500), nullable=False),
    sa.Column("outcome", sa.JSON(none_as_null=True), nullable=True),
)

evaluation_observations = sa.Table(
    "evaluation_observations",
    metadata,
    sa.Column("set_key", DIGEST, primary_key=True),
    sa.Column("way_key", DIGEST, primary_key=True),
    sa.Column("code", DIGEST, primary_key=True),
    sa.Column("person", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("made_at", UtcDateTime, nullable=False),
    sa.Column("used_at", UtcDateTime, nullable=False, index=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

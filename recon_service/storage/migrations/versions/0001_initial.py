"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recon_service.storage.tables import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "subjects",
        sa.Column("subject_id", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", name="pk_subjects"),
    )
    op.create_table(
        "subject_keys",
        sa.Column("subject_id", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("master_key_id", sa.String(64), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", name="pk_subject_keys"),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subjects.subject_id"], name="fk_subject_keys_subject_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("key_id", name="uq_subject_keys_key_id"),
    )
    op.create_table(
        "operations",
        sa.Column("operation_id", sa.String(64), nullable=False),
        sa.Column("subject_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("stage", sa.String(32), nullable=False),
        sa.Column("progress", sa.Float(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("consent_id", sa.String(200), nullable=False),
        sa.Column("keep_selfies", sa.Boolean(), nullable=False),
        sa.Column("claim_token", sa.String(64), nullable=True),
        sa.Column("selfies", sa.JSON(), nullable=False),
        sa.Column("template_id", sa.String(64), nullable=True),
        sa.Column("problem", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("operation_id", name="pk_operations"),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subjects.subject_id"], name="fk_operations_subject_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_operations_subject_id", "operations", ["subject_id"])
    op.create_index("ix_operations_state_created_at", "operations", ["state", "created_at"])
    op.create_table(
        "selfies",
        sa.Column("operation_id", sa.String(64), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("object_key", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("operation_id", "ordinal", name="pk_selfies"),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operations.operation_id"], name="fk_selfies_operation_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("object_key", name="uq_selfies_object_key"),
    )
    op.create_table(
        "templates",
        sa.Column("template_id", sa.String(64), nullable=False),
        sa.Column("subject_id", sa.String(64), nullable=False),
        sa.Column("operation_id", sa.String(64), nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("source", sa.String(100), nullable=False),
        sa.Column("calibration", sa.String(100), nullable=False),
        sa.Column("quality", sa.Float(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("template_id", name="pk_templates"),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subjects.subject_id"], name="fk_templates_subject_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["operation_id"],
            ["operations.operation_id"],
            name="fk_templates_operation_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("operation_id", name="uq_templates_operation_id"),
    )
    op.create_index("ix_templates_subject_id", "templates", ["subject_id"])
    op.create_table(
        "idempotency_records",
        sa.Column("api_key_id", sa.String(64), nullable=False),
        sa.Column("idempotency_key", sa.String(200), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("subject_id", sa.String(64), nullable=False),
        sa.Column("operation_id", sa.String(64), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("api_key_id", "idempotency_key", name="pk_idempotency_records"),
    )
    op.create_index("ix_idempotency_records_subject_id", "idempotency_records", ["subject_id"])
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("development", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("key_id", name="pk_api_keys"),
    )
    op.create_table(
        "deletion_receipts",
        sa.Column("receipt_id", sa.String(64), nullable=False),
        sa.Column("subject_digest", sa.String(64), nullable=False),
        sa.Column("deleted_at", UtcDateTime(), nullable=False),
        sa.Column("templates", sa.Integer(), nullable=False),
        sa.Column("operations", sa.Integer(), nullable=False),
        sa.Column("objects", sa.Integer(), nullable=False),
        sa.Column("keys", sa.Integer(), nullable=False),
        sa.Column("authentication", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("receipt_id", name="pk_deletion_receipts"),
    )


def downgrade() -> None:
    """Drop them all, those that refer to others first."""
    for table in (
        "deletion_receipts",
        "api_keys",
        "idempotency_records",
        "templates",
        "selfies",
        "operations",
        "subject_keys",
        "subjects",
    ):
        op.drop_table(table)

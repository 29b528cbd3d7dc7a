"""Counters of requests and failed verifications, the audit log, keys of the service, tombstones to export."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recon_service.storage.append_only import protect, unprotect
from recon_service.storage.tables import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Receipts of before get their tombstone from the first sweep."""
    op.create_table(
        "request_counters",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_request_counters"),
    )
    op.create_table(
        "failure_counters",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("locked_until", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_failure_counters"),
    )
    op.create_table(
        "audit_log",
        sa.Column("sequence", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor", sa.String(100), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("object_id", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(200), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_subject", "audit_log", ["subject"])
    op.create_table(
        "audit_head",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_audit_head"),
    )
    op.execute("INSERT INTO audit_head (name, sequence, digest) VALUES ('head', 0, '')")
    op.create_table(
        "service_keys",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("master_key_id", sa.String(64), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_service_keys"),
    )
    op.add_column("deletion_receipts", sa.Column("exported_at", UtcDateTime(), nullable=True))
    op.create_index("ix_deletion_receipts_exported_at", "deletion_receipts", ["exported_at"])
    protect("audit_log", op.execute, op.get_bind().dialect.name)


def downgrade() -> None:
    """The log goes with its table: keep `recon audit show --json` of it first."""
    unprotect("audit_log", op.execute, op.get_bind().dialect.name)
    op.drop_index("ix_deletion_receipts_exported_at", "deletion_receipts")
    op.drop_column("deletion_receipts", "exported_at")
    for table in ("service_keys", "audit_head", "audit_log", "failure_counters", "request_counters"):
        op.drop_table(table)

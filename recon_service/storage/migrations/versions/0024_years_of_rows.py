"""Indices for what grows over years, and numbers of audit entries that do not end at two billion."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

INDICES = (
    # Without it the deletion of an operation looks at every consent that there is.
    ("ix_consents_operation_id", "consents", ["operation_id"]),
    ("ix_webhook_deliveries_ended_at", "webhook_deliveries", ["ended_at"]),
    ("ix_failure_counters_locked_until", "failure_counters", ["locked_until"]),
    ("ix_failure_counters_since", "failure_counters", ["since"]),
    # A page of one subject's, or of one action's entries, is read in order.
    ("ix_audit_log_subject_sequence", "audit_log", ["subject", "sequence"]),
    ("ix_audit_log_action_sequence", "audit_log", ["action", "sequence"]),
    ("ix_templates_state_template_id", "templates", ["state", "template_id"]),
    ("ix_templates_kind", "templates", ["model", "calibration", "source", "state"]),
)
NUMBERED = ("audit_log", "audit_head")


def upgrade() -> None:
    """PostgreSQL writes the audit log anew once, for the longer numbers."""
    if op.get_bind().dialect.name == "postgresql":  # SQLite's are long enough
        for table in NUMBERED:
            op.alter_column(table, "sequence", type_=sa.BigInteger(), existing_nullable=False)
    op.drop_index("ix_audit_log_subject", "audit_log")
    for name, table, columns in INDICES:
        op.create_index(name, table, columns)


def downgrade() -> None:
    """A log with more entries than the shorter numbers count stays as it is: the database refuses."""
    for name, table, _ in reversed(INDICES):
        op.drop_index(name, table)
    op.create_index("ix_audit_log_subject", "audit_log", ["subject"])
    if op.get_bind().dialect.name == "postgresql":
        for table in NUMBERED:
            op.alter_column(table, "sequence", type_=sa.Integer(), existing_nullable=False)

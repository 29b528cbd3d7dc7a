"""The log of what becomes active, for the search among all references, and findings of duplicates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recon_service.storage.reference_tables import unwatch_templates, watch_templates
from recon_service.storage.tables import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Templates of before are in no log: whoever searches loads all of them first."""
    op.create_table(
        "reference_head",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_reference_head"),
    )
    op.execute("INSERT INTO reference_head (name, sequence) VALUES ('head', 0)")
    op.create_table(
        "reference_changes",
        sa.Column("sequence", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("template_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_reference_changes"),
    )
    op.create_table(
        "duplicate_findings",
        sa.Column("operation_id", sa.String(64), nullable=False),
        sa.Column("template_id", sa.String(64), nullable=False),
        sa.Column("subject_id", sa.String(64), nullable=False),
        sa.Column("other_subject_id", sa.String(64), nullable=False),
        sa.Column("llr", sa.Float(), nullable=False),
        sa.Column("found_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("operation_id", "template_id", name="pk_duplicate_findings"),
        *(
            sa.ForeignKeyConstraint(
                [column], [target], name=f"fk_duplicate_findings_{column}", ondelete="CASCADE"
            )
            for column, target in (
                ("operation_id", "operations.operation_id"),
                ("subject_id", "subjects.subject_id"),
                ("other_subject_id", "subjects.subject_id"),
            )
        ),
    )
    for column in ("subject_id", "other_subject_id", "found_at"):
        op.create_index(f"ix_duplicate_findings_{column}", "duplicate_findings", [column])
    watch_templates(op.execute, op.get_bind().dialect.name)


def downgrade() -> None:
    """Indices in memory are rebuilt after the next upgrade."""
    unwatch_templates(op.execute, op.get_bind().dialect.name)
    for column in ("found_at", "other_subject_id", "subject_id"):
        op.drop_index(f"ix_duplicate_findings_{column}", "duplicate_findings")
    for table in ("duplicate_findings", "reference_changes", "reference_head"):
        op.drop_table(table)

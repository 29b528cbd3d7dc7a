"""Every template, and what was kept beside it, names the enrollment that it stands on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_FROM_PARENT = sa.text(
    "UPDATE templates SET enrolled_by = (SELECT p.enrolled_by FROM templates p "
    "WHERE p.template_id = templates.parent_id) WHERE enrolled_by IS NULL AND EXISTS (SELECT 1 "
    "FROM templates p WHERE p.template_id = templates.parent_id AND p.enrolled_by IS NOT NULL)"
)
# Where the version that it was derived from is destroyed: the newest enrollment before it whose template is
# not held back.
_LIKELIEST = sa.text(
    "UPDATE templates SET enrolled_by = (SELECT o.operation_id FROM operations o "
    "WHERE o.subject_id = templates.subject_id AND o.state = 'succeeded' "
    "AND o.ended_at <= templates.created_at AND NOT EXISTS (SELECT 1 FROM templates h "
    "WHERE h.operation_id = o.operation_id AND h.state = 'candidate') ORDER BY o.number DESC LIMIT 1) "
    "WHERE enrolled_by IS NULL AND origin IN ('strengthening', 're-enrollment') AND NOT EXISTS (SELECT 1 "
    "FROM templates p WHERE p.template_id = templates.parent_id)"
)


def upgrade() -> None:
    """Along the chain of derivations."""
    op.add_column("templates", sa.Column("enrolled_by", sa.String(64), nullable=True))
    op.add_column("kept_evidence", sa.Column("enrolled_by", sa.String(64), nullable=True))
    connection = op.get_bind()
    connection.execute(sa.text("UPDATE templates SET enrolled_by = operation_id"))
    connection.execute(_LIKELIEST)
    while connection.execute(_FROM_PARENT).rowcount:
        pass
    # Evidence goes with the next enrollment that comes into force: it is of the one that made its template,
    # or, where that is destroyed, of the one in force.
    connection.execute(
        sa.text(
            "UPDATE kept_evidence SET enrolled_by = coalesce("
            "(SELECT m.enrolled_by FROM templates m WHERE m.template_id = kept_evidence.template_id), "
            "(SELECT m.enrolled_by FROM templates m WHERE m.subject_id = kept_evidence.subject_id "
            "AND m.state = 'active'))"
        )
    )
    if connection.dialect.name == "postgresql":
        # The triggers of the templates wait for the commit, and nobody may alter a table for which one waits.
        connection.execute(sa.text("SET CONSTRAINTS ALL IMMEDIATE"))


def downgrade() -> None:
    """Versions of before take the newest selfies that there are."""
    op.drop_column("kept_evidence", "enrolled_by")
    op.drop_column("templates", "enrolled_by")

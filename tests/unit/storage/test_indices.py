"""Indices that years of rows need."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

import recon_service.storage.database  # every table
from recon_service.storage.tables import metadata

assert recon_service.storage.database


def leading(table: sa.Table) -> set[str]:
    """Columns that an index, or a constraint that is kept as one, begins with."""
    kept = [c for c in table.constraints if isinstance(c, sa.PrimaryKeyConstraint | sa.UniqueConstraint)]
    partial = {i for i in table.indexes if i.dialect_options["postgresql"]["where"] is not None}
    found = {next(iter(one.columns)).name for one in (*kept, *(table.indexes - partial))}
    return found | {column.name for column in table.columns if column.unique}


REFERENCES = [
    (table, key)
    for table in metadata.sorted_tables
    for key in table.foreign_keys
    if key.ondelete == "CASCADE"
]


@pytest.mark.parametrize(("table", "key"), REFERENCES, ids=lambda v: getattr(v, "name", v))
def test_what_goes_with_another_row_is_found_by_an_index(table: sa.Table, key: sa.ForeignKey) -> None:
    # Else the deletion of one row of the other table reads all of this one.
    assert key.parent.name in leading(table)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("capture_sessions", "expires_at"),
        ("edge_bundles", "expires_at"),
        ("evaluation_observations", "used_at"),
        ("failure_counters", "since"),
        ("idempotency_records", "created_at"),
        ("kiosk_sessions", "expires_at"),
        ("recent_probes", "seen_at"),
        ("seen_captures", "seen_at"),
        ("webhook_deliveries", "ended_at"),
    ],
)
def test_what_is_kept_for_a_while_is_forgotten_by_an_index(table: str, column: str) -> None:
    assert column in leading(metadata.tables[table])

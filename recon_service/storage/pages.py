"""Deleting in pages: however much has piled up, no statement of it runs into a time limit, and nobody waits
long for a row.
"""

from __future__ import annotations

import sqlalchemy as sa


def delete_page(
    connection: sa.Connection, table: sa.Table, condition: sa.ColumnElement[bool], limit: int
) -> int:
    """Delete up to ``limit`` rows; how many. Rows that another transaction has locked are passed over."""
    key = list(table.primary_key.columns)
    page = sa.select(*key).where(condition).limit(limit).with_for_update(skip_locked=True)
    chosen = sa.tuple_(*key) if len(key) > 1 else key[0]
    return connection.execute(sa.delete(table).where(chosen.in_(page))).rowcount

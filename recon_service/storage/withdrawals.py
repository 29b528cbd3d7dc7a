"""Withdrawals in SQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from recon_service.application.records.withdrawals import Withdrawal, WithdrawalKind
from recon_service.storage import tables as t

withdrawals = sa.Table(
    "withdrawals",
    t.metadata,
    sa.Column("withdrawal_id", t.ID, primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("about", sa.String(64), nullable=False),
    sa.Column("at", t.UtcDateTime, nullable=False),
    sa.Column("detail", sa.String(200), nullable=False),
    # When its note was written to the object store.
    sa.Column("exported_at", t.UtcDateTime, nullable=True),
    sa.Index("ix_withdrawals_exported_at", "exported_at"),
)
_w = withdrawals.c


class SqlWithdrawals:
    """See ``ports.Withdrawals``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, withdrawal: Withdrawal, *, exported_at: datetime | None = None) -> None:
        """Insert."""
        self._connection.execute(
            sa.insert(withdrawals).values(
                withdrawal_id=withdrawal.withdrawal_id,
                kind=withdrawal.kind.value,
                about=withdrawal.about,
                at=withdrawal.at,
                detail=withdrawal.detail,
                exported_at=exported_at,
            )
        )

    def ids(self) -> set[str]:
        """Of all."""
        return set(self._connection.scalars(sa.select(_w.withdrawal_id)))

    def unexported(self, *, limit: int) -> list[Withdrawal]:
        """Oldest first."""
        query = sa.select(withdrawals).where(_w.exported_at.is_(None)).order_by(_w.at).limit(limit)
        return [_withdrawal(row._mapping) for row in self._connection.execute(query)]

    def mark_exported(self, withdrawal_id: str, *, now: datetime) -> None:
        """Its note is written."""
        ours = _w.withdrawal_id == withdrawal_id
        self._connection.execute(sa.update(withdrawals).where(ours).values(exported_at=now))


def _withdrawal(row: Any) -> Withdrawal:
    values = {name: value for name, value in row.items() if name != "exported_at"}
    return Withdrawal(**{**values, "kind": WithdrawalKind(values["kind"])})

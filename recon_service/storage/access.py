"""Who may do what, and what was done: API keys, Idempotency-Keys and receipts of deletions in SQL."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from recon_service.application.ports.requests import IdempotencyState, Reservation
from recon_service.application.records.access import ApiKey, Scope
from recon_service.application.records.subjects import DeletionReceipt
from recon_service.storage import tables as t
from recon_service.storage.pages import delete_page

REMEMBERED_FOR: Final = timedelta(hours=24)
IN_FLIGHT_FOR: Final = timedelta(minutes=2)
"""A reservation older than that was left behind by a process that died, or its request is so slow that
another may take its place: of the two, only the newer can complete it.
"""


class SqlIdempotency:
    """See ``ports.Idempotency``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def reserve(
        self, *, api_key_id: str, key: str, digest: str, subject_id: str, now: datetime
    ) -> Reservation:
        """Insert the record of this request, or say what the earlier one with this key was."""
        ours = _ours(api_key_id, key)
        row = self._connection.execute(
            sa.select(t.idempotency_records).where(ours).with_for_update()
        ).one_or_none()
        if row is not None:
            age = abs(now - row.created_at)  # a clock that was put back must not lock a key for days
            if age > REMEMBERED_FOR or (row.operation_id is None and age > IN_FLIGHT_FOR):
                self._connection.execute(sa.delete(t.idempotency_records).where(ours))
            elif row.digest != digest:
                return Reservation(IdempotencyState.OTHER_CONTENT)
            elif row.operation_id is None:
                return Reservation(IdempotencyState.IN_FLIGHT)
            else:
                return Reservation(IdempotencyState.REPLAY, row.operation_id, row.answer)
        self._connection.execute(
            sa.insert(t.idempotency_records).values(
                api_key_id=api_key_id,
                idempotency_key=key,
                digest=digest,
                subject_id=subject_id,
                created_at=now,
            )
        )
        return Reservation(IdempotencyState.NEW, since=now)

    def complete(
        self,
        *,
        api_key_id: str,
        key: str,
        since: datetime | None,
        operation_id: str,
        answer: bytes | None = None,
    ) -> bool:
        """From now on the key stands for this operation, and this answer to it."""
        change = sa.update(t.idempotency_records).where(_held(api_key_id, key, since))
        return self._connection.execute(change.values(operation_id=operation_id, answer=answer)).rowcount == 1

    def release(self, *, api_key_id: str, key: str, since: datetime | None) -> None:
        """Only what this request holds."""
        self._connection.execute(sa.delete(t.idempotency_records).where(_held(api_key_id, key, since)))

    def expire(self, *, now: datetime, limit: int) -> int:
        """Left to the sweeper: requests that drop each other's rows could wait for each other forever."""
        old = t.idempotency_records.c.created_at < now - REMEMBERED_FOR
        return delete_page(self._connection, t.idempotency_records, old, limit)

    def release_in_flight(self) -> int:
        """Drop all reservations without an operation."""
        left_behind = t.idempotency_records.c.operation_id.is_(None)
        return self._connection.execute(sa.delete(t.idempotency_records).where(left_behind)).rowcount


class SqlApiKeys:
    """See ``ports.ApiKeys``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, key: ApiKey) -> None:
        """Insert."""
        values = {**asdict(key), "scopes": sorted(s.value for s in key.scopes)}
        self._connection.execute(sa.insert(t.api_keys).values(**values))

    def get(self, key_id: str) -> ApiKey | None:
        """The key, revoked or not."""
        row = self._connection.execute(
            sa.select(t.api_keys).where(t.api_keys.c.key_id == key_id)
        ).one_or_none()
        return _api_key(row._mapping) if row else None

    def all(self) -> list[ApiKey]:
        """Oldest first."""
        rows = self._connection.execute(sa.select(t.api_keys).order_by(t.api_keys.c.created_at))
        return [_api_key(row._mapping) for row in rows]

    def revoke(self, key_id: str, *, now: datetime) -> bool:
        """False: no active key of that id."""
        active = (t.api_keys.c.key_id == key_id) & t.api_keys.c.revoked_at.is_(None)
        return (
            self._connection.execute(sa.update(t.api_keys).where(active).values(revoked_at=now)).rowcount == 1
        )


class SqlReceipts:
    """See ``ports.Receipts``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, receipt: DeletionReceipt) -> None:
        """Insert."""
        self._connection.execute(sa.insert(t.deletion_receipts).values(**asdict(receipt)))

    def get(self, receipt_id: str) -> DeletionReceipt | None:
        """The receipt of that id."""
        query = sa.select(t.deletion_receipts).where(t.deletion_receipts.c.receipt_id == receipt_id)
        row = self._connection.execute(query).one_or_none()
        return _receipt(row._mapping) if row else None

    def unexported(self, *, limit: int) -> list[DeletionReceipt]:
        """Without a tombstone, oldest first."""
        c = t.deletion_receipts.c
        query = sa.select(t.deletion_receipts).where(c.exported_at.is_(None)).order_by(c.deleted_at)
        return [_receipt(row._mapping) for row in self._connection.execute(query.limit(limit))]

    def last_deletion(self, subject_digest: str) -> datetime | None:
        """Of the subject with that digest."""
        c = t.deletion_receipts.c
        query = sa.select(c.deleted_at).where(c.subject_digest == subject_digest)
        return self._connection.scalar(query.order_by(c.deleted_at.desc()).limit(1))

    def ids(self) -> set[str]:
        """Of every receipt."""
        return set(self._connection.scalars(sa.select(t.deletion_receipts.c.receipt_id)))

    def mark_exported(self, receipt_id: str, *, now: datetime) -> None:
        """Its tombstone is written."""
        ours = t.deletion_receipts.c.receipt_id == receipt_id
        self._connection.execute(sa.update(t.deletion_receipts).where(ours).values(exported_at=now))


def _ours(api_key_id: str, key: str) -> sa.ColumnElement[bool]:
    c = t.idempotency_records.c
    return (c.api_key_id == api_key_id) & (c.idempotency_key == key)


def _held(api_key_id: str, key: str, since: datetime | None) -> sa.ColumnElement[bool]:
    """The reservation of that moment, if it is still being served."""
    c = t.idempotency_records.c
    return _ours(api_key_id, key) & c.operation_id.is_(None) & (c.created_at == since)


def _receipt(row: Any) -> DeletionReceipt:
    return DeletionReceipt(**{name: value for name, value in row.items() if name != "exported_at"})


def _api_key(row: Any) -> ApiKey:
    return ApiKey(**{**row, "scopes": frozenset(Scope(s) for s in row["scopes"])})

"""Subjects with their keys, and selfies, in SQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa

from recon_service.application.records.operations import StoredSelfies
from recon_service.application.records.subjects import Erasure, WrappedKey
from recon_service.storage import tables as t
from recon_service.storage.captures import erase_captures


class SqlSubjects:
    """See ``ports.Subjects``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, key: WrappedKey, *, now: datetime) -> None:
        """Insert the subject and its key."""
        self._connection.execute(sa.insert(t.subjects).values(subject_id=key.subject_id, created_at=now))
        self._connection.execute(
            sa.insert(t.subject_keys).values(
                subject_id=key.subject_id,
                key_id=key.key_id,
                master_key_id=key.master_key_id,
                wrapped=key.wrapped,
            )
        )

    def key(self, subject_id: str, *, lock: bool = False) -> WrappedKey | None:
        """The subject's data key."""
        query = sa.select(t.subject_keys).where(t.subject_keys.c.subject_id == subject_id)
        row = self._connection.execute(query.with_for_update() if lock else query).one_or_none()
        return WrappedKey(row.key_id, row.subject_id, row.master_key_id, row.wrapped) if row else None

    def enrolled_since(self) -> Iterator[tuple[str, datetime]]:
        """In the order of their ids."""
        last = ""
        while rows := self.page(after=last, limit=1000):
            yield from rows
            last = rows[-1][0]

    def page(self, *, after: str, limit: int) -> list[tuple[str, datetime]]:
        """In the order of their ids."""
        c = t.subjects.c
        query = sa.select(c.subject_id, c.created_at).where(c.subject_id > after).order_by(c.subject_id)
        return [(row.subject_id, row.created_at) for row in self._connection.execute(query.limit(limit))]

    def version(self, subject_id: str) -> int | None:
        """Of the subject's templates."""
        query = sa.select(t.subjects.c.version).where(t.subjects.c.subject_id == subject_id)
        version: int | None = self._connection.scalar(query)
        return version

    def erase(self, subject_id: str) -> Erasure | None:
        """Remove every row of the subject."""
        if self.key(subject_id, lock=True) is None:
            return None
        c = self._connection
        c.execute(sa.delete(t.subject_keys).where(t.subject_keys.c.subject_id == subject_id))
        of_subject = sa.select(t.operations.c.operation_id).where(t.operations.c.subject_id == subject_id)
        objects = c.scalars(
            sa.select(t.selfies.c.object_key).where(t.selfies.c.operation_id.in_(of_subject))
        ).all()
        c.execute(sa.delete(t.selfies).where(t.selfies.c.operation_id.in_(of_subject)))
        templates = c.execute(sa.delete(t.templates).where(t.templates.c.subject_id == subject_id)).rowcount
        operations = c.execute(
            sa.delete(t.operations).where(t.operations.c.subject_id == subject_id)
        ).rowcount
        erase_captures(c, subject_id)
        c.execute(sa.delete(t.idempotency_records).where(t.idempotency_records.c.subject_id == subject_id))
        gone = sa.delete(t.subjects).where(t.subjects.c.subject_id == subject_id)
        enrolled_at = c.execute(gone.returning(t.subjects.c.created_at)).scalar_one()
        return Erasure(templates, operations, tuple(objects), enrolled_at)


class SqlSelfies:
    """See ``ports.Selfies``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def of(self, operation_id: str) -> list[StoredSelfies]:
        """In the order of the request."""
        query = (
            sa.select(t.selfies).where(t.selfies.c.operation_id == operation_id).order_by(t.selfies.c.ordinal)
        )
        return [
            StoredSelfies(r.operation_id, r.ordinal, r.object_key) for r in self._connection.execute(query)
        ]

    def forget(self, operation_id: str) -> None:
        """Drop the rows; the objects are the caller's part."""
        self._connection.execute(sa.delete(t.selfies).where(t.selfies.c.operation_id == operation_id))

    def object_keys(self) -> set[str]:
        """Every object that a row speaks of."""
        return set(self._connection.scalars(sa.select(t.selfies.c.object_key)))

"""The audit log in SQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

import sqlalchemy as sa

from recon_service.application.records.audit import AuditEntry, AuditHead
from recon_service.storage import tables as t

AT_ONCE: Final = 1000


class SqlAuditLog:
    """See ``ports.AuditLog``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def head(self, *, lock: bool = False) -> AuditHead | None:
        """The one row of ``audit_head``."""
        query = sa.select(t.audit_head.c.sequence, t.audit_head.c.digest)
        row = self._connection.execute(query.with_for_update() if lock else query).one_or_none()
        return AuditHead(row.sequence, row.digest) if row else None

    def add(self, *entries: AuditEntry) -> None:
        """Insert, and move the head."""
        self._connection.execute(sa.insert(t.audit_log), [asdict(entry) for entry in entries])
        end = entries[-1]
        self._connection.execute(sa.update(t.audit_head).values(sequence=end.sequence, digest=end.digest))

    def outcomes(self, action: str, *, within: int) -> dict[str, int]:
        """Counts by outcome."""
        c = t.audit_log.c
        # Asked for first: the planner takes a number that it does not know for one that may be far back.
        head = self._connection.scalar(sa.select(t.audit_head.c.sequence)) or 0
        query = sa.select(c.outcome, sa.func.count().label("number")).where(
            c.sequence > head - within, c.action == action
        )
        return {row.outcome: row.number for row in self._connection.execute(query.group_by(c.outcome))}

    def newest(self, subject: str, *, limit: int) -> list[AuditEntry]:
        """By the index."""
        c = t.audit_log.c
        query = sa.select(t.audit_log).where(c.subject == subject).order_by(c.sequence.desc()).limit(limit)
        return [AuditEntry(**row._mapping) for row in self._connection.execute(query)]

    def entries(
        self, *, after: int = 0, subject: str | None = None, action: str | None = None
    ) -> Iterator[AuditEntry]:
        """In order, read in pages."""
        c = t.audit_log.c
        while True:
            query = sa.select(t.audit_log).where(c.sequence > after)
            if subject is not None:
                query = query.where(c.subject == subject)
            if action is not None:
                query = query.where(c.action == action)
            rows = self._connection.execute(query.order_by(c.sequence).limit(AT_ONCE)).all()
            for row in rows:
                yield AuditEntry(**row._mapping)
            if len(rows) < AT_ONCE:
                return
            after = rows[-1].sequence

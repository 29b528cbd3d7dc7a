"""Counters in SQL: requests of an API key, and failed verifications."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from recon_service.application.records.access import FailureCounter, FailureKind
from recon_service.storage import tables as t
from recon_service.storage.pages import delete_page


class SqlLimits:
    """See ``ports.Limits``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def take_requests(
        self, name: str, count: int, *, limit: int, window: timedelta, now: datetime
    ) -> tuple[int, datetime]:
        """Lock the row, count."""
        counters, ours = t.request_counters, t.request_counters.c.name == name
        self._insert_if_missing(counters, {"name": name, "since": now, "used": 0})
        row = self._connection.execute(sa.select(counters).where(ours).with_for_update()).one()
        since, used = row.since, row.used
        if abs(now - since) >= window:  # over, or a clock was put back
            since, used = now, 0
        granted = max(0, min(count, limit - used))
        if granted or since != row.since:
            values = {"since": since, "used": used + granted}
            self._connection.execute(sa.update(counters).where(ours).values(**values))
        return granted, since + window

    def failures(self, kind: FailureKind, name: str, *, now: datetime) -> FailureCounter:
        """Locked until the transaction ends; made when it is not there."""
        query = sa.select(t.failure_counters).where(_this(kind, name)).with_for_update()
        row = self._connection.execute(query).one_or_none()
        if row is None:
            new = {"kind": kind.value, "name": name, "failures": 0, "since": now}
            self._insert_if_missing(t.failure_counters, new)
            row = self._connection.execute(query).one()
        return _counter(row._mapping)

    def set_failures(self, counter: FailureCounter) -> None:
        """Update the row."""
        values = {**asdict(counter), "kind": counter.kind.value}
        ours = _this(counter.kind, counter.name)
        self._connection.execute(sa.update(t.failure_counters).where(ours).values(**values))

    def locked(self, *, now: datetime) -> list[FailureCounter]:
        """Those that end last first."""
        c = t.failure_counters.c
        query = sa.select(t.failure_counters).where(c.locked_until > now).order_by(c.locked_until.desc())
        return [_counter(row._mapping) for row in self._connection.execute(query)]

    def forget(self, *, before: datetime, limit: int) -> int:
        """Delete counters that nobody has touched since, and whose lock is over."""
        c = t.failure_counters.c
        old = (c.since < before) & (c.locked_until.is_(None) | (c.locked_until < before))
        self._connection.execute(sa.delete(t.request_counters).where(t.request_counters.c.since < before))
        return delete_page(self._connection, t.failure_counters, old, limit)

    def _insert_if_missing(self, table: sa.Table, values: dict[str, Any]) -> None:
        dialect = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        self._connection.execute(dialect.insert(table).values(**values).on_conflict_do_nothing())


def _this(kind: FailureKind, name: str) -> sa.ColumnElement[bool]:
    c = t.failure_counters.c
    return (c.kind == kind.value) & (c.name == name)


def _counter(row: Any) -> FailureCounter:
    return FailureCounter(**{**row, "kind": FailureKind(row["kind"])})

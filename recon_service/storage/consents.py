"""Consents in SQL, and the time of the last sweep."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from recon_service.application.records.consents import Consent
from recon_service.application.records.operations import OperationState
from recon_service.application.records.templates import TemplateState
from recon_service.storage import tables as t
from recon_service.storage.database_clock import time_of
from recon_service.storage.templates import count_changes

consents = sa.Table(
    "consents",
    t.metadata,
    sa.Column("consent_row", t.ID, primary_key=True),
    sa.Column(
        "subject_id",
        t.SUBJECT_ID,
        sa.ForeignKey("subjects.subject_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    # Null: given later, for all that is stored of the subject.
    sa.Column(
        "operation_id",
        t.ID,
        sa.ForeignKey("operations.operation_id", ondelete="CASCADE"),
        nullable=True,
        index=True,
    ),
    sa.Column("consent_id", sa.String(200), nullable=False),
    sa.Column("given_at", t.UtcDateTime, nullable=False),
    sa.Column("expires_at", t.UtcDateTime, nullable=True),
    sa.Column("swept", sa.Boolean, nullable=False),
    sa.Column("keep_probes", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("ix_consents_swept_expires_at", "swept", "expires_at"),
    sa.Index("ix_consents_swept_given_at", "swept", "given_at"),
)

# When any process last swept, by its own clock.
clock_marks = sa.Table(
    "clock_marks",
    t.metadata,
    sa.Column("name", sa.String(16), primary_key=True),
    sa.Column("at", t.UtcDateTime, nullable=False),
)
_SWEEP = "sweep"
_c = consents.c


class SqlConsents:
    """See ``ports.Consents``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, consent: Consent) -> None:
        """Insert."""
        values = {name: value for name, value in asdict(consent).items() if name != "state"}
        self._connection.execute(sa.insert(consents).values(**values))

    def of_subject(self, subject_id: str) -> list[Consent]:
        """Oldest first."""
        query = (
            sa.select(consents, t.operations.c.state, t.operations.c.dead_at)
            .outerjoin(t.operations, t.operations.c.operation_id == _c.operation_id)
            .where(_c.subject_id == subject_id)
            .order_by(_c.given_at, _c.consent_row)
        )
        return [_consent(row._mapping) for row in self._connection.execute(query)]

    def ended(
        self, *, expired_before: datetime, given_before: datetime | None, limit: int, after: str = ""
    ) -> list[str]:
        """In order of their ids."""
        over = _c.expires_at < expired_before
        if given_before is not None:
            over = over | (_c.given_at < given_before)
        query = sa.select(_c.subject_id).where(_c.swept.is_(False), over, _c.subject_id > after)
        return list(self._connection.scalars(query.distinct().order_by(_c.subject_id).limit(limit)))

    def mark_swept(self, consent_row: str) -> None:
        """Nothing is left that belonged to it alone."""
        self._connection.execute(sa.update(consents).where(_c.consent_row == consent_row).values(swept=True))

    def destroy_templates(self, operation_id: str) -> list[str]:
        """All but the active one."""
        c = t.templates.c
        gone = sa.delete(t.templates).where(c.operation_id == operation_id, c.state != TemplateState.ACTIVE)
        rows = self._connection.execute(gone.returning(c.template_id, c.subject_id)).all()
        count_changes(self._connection, [row.subject_id for row in rows])
        return sorted(row.template_id for row in rows)

    def now(self) -> datetime:
        """By its clock, asked at this moment."""
        return time_of(self._connection)

    def note_time(self, wall: datetime) -> datetime | None:
        """Replace it."""
        ours = clock_marks.c.name == _SWEEP
        before: datetime | None = self._connection.scalar(
            sa.select(clock_marks.c.at).where(ours).with_for_update()
        )
        dialect = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        insert = dialect.insert(clock_marks).values(name=_SWEEP, at=wall)
        self._connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"at": wall}))
        return before


def _consent(row: Any) -> Consent:
    values = dict(row)
    state, dead_at = values.pop("state"), values.pop("dead_at")
    if dead_at is not None:  # given up for a fault of ours, and may be tried again
        state = OperationState.QUEUED
    return Consent(**values, state=OperationState(state) if state is not None else None)

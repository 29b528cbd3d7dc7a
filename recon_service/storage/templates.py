"""Templates in SQL. The database itself holds that a subject has one active template at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from recon_service.application.records.templates import SealedTemplate, TemplateOrigin, TemplateState
from recon_service.storage import tables as t

_c = t.templates.c


class SqlTemplates:
    """See ``ports.enrollments.Templates``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, template: SealedTemplate) -> None:
        """Insert; the unique indices raise Conflict through the transaction."""
        self._connection.execute(sa.insert(t.templates).values(**asdict(template)))
        self._count_change(template.subject_id)

    def activate(self, subject_id: str, template_id: str, *, now: datetime) -> bool:
        """Retire first, for at no moment may there be two."""
        chosen = self.get(subject_id, template_id)
        if chosen is None or chosen.state is TemplateState.ACTIVE:
            return chosen is not None
        ours = _c.subject_id == subject_id
        self._connection.execute(
            sa.update(t.templates)
            .where(ours, _c.state == TemplateState.ACTIVE)
            .values(state=TemplateState.RETIRED, retired_at=now)
        )
        self._connection.execute(
            sa.update(t.templates)
            .where(ours, _c.template_id == template_id)
            .values(state=TemplateState.ACTIVE, activated_at=now, retired_at=None)
        )
        self._count_change(subject_id)
        return True

    def active(self, subject_id: str) -> SealedTemplate | None:
        """The one that verifications use."""
        query = sa.select(t.templates).where(_c.subject_id == subject_id, _c.state == TemplateState.ACTIVE)
        row = self._connection.execute(query).one_or_none()
        return template_of(row._asdict()) if row else None

    def of_subject(self, subject_id: str) -> list[SealedTemplate]:
        """Newest first."""
        query = (
            sa.select(t.templates)
            .where(_c.subject_id == subject_id)
            .order_by(_c.created_at.desc(), _c.template_id)
        )
        return [template_of(row._asdict()) for row in self._connection.execute(query)]

    def get(self, subject_id: str, template_id: str) -> SealedTemplate | None:
        """Only if it is this subject's."""
        query = sa.select(t.templates).where(_c.template_id == template_id, _c.subject_id == subject_id)
        row = self._connection.execute(query).one_or_none()
        return template_of(row._asdict()) if row else None

    def destroy_retired(self, *, retired_before: datetime, limit: int) -> list[tuple[str, str]]:
        """Remove what retired before that moment."""
        old = sa.and_(_c.state == TemplateState.RETIRED, _c.retired_at < retired_before)
        few = sa.select(_c.template_id).where(old).order_by(_c.retired_at).limit(limit)
        # The condition once more: somebody may activate one of them in between.
        gone = sa.delete(t.templates).where(_c.template_id.in_(few), old)
        rows = self._connection.execute(gone.returning(_c.subject_id, _c.template_id)).all()
        found = sorted((row.subject_id, row.template_id) for row in rows)
        for subject_id in sorted({subject_id for subject_id, _ in found}):
            self._count_change(subject_id)
        return found

    def _count_change(self, subject_id: str) -> None:
        ours = t.subjects.c.subject_id == subject_id
        self._connection.execute(sa.update(t.subjects).where(ours).values(version=t.subjects.c.version + 1))


def template_of(row: Mapping[str, Any]) -> SealedTemplate:
    """The columns are the fields."""
    values = dict(row)
    values["state"] = TemplateState(values["state"])
    values["origin"] = TemplateOrigin(values["origin"])
    return SealedTemplate(**values)

"""Templates in SQL. The database itself holds that a subject has one active template at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from recon_service.application.records.templates import SealedTemplate, TemplateOrigin, TemplateState
from recon_service.storage import tables as t

_c = t.templates.c
_FIELDS: Final = tuple(one.name for one in fields(SealedTemplate))


class SqlTemplates:
    """See ``ports.enrollments.Templates``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, template: SealedTemplate) -> None:
        """Insert; the unique indices raise Conflict through the transaction."""
        insert_templates(self._connection, [template])

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
        count_changes(self._connection, [subject_id])
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
        """Remove what retired before that moment, but nothing of subjects that somebody has locked: who
        exchanges two versions must find both.
        """
        old = sa.and_(_c.state == TemplateState.RETIRED, _c.retired_at < retired_before)
        few = sa.select(_c.template_id, _c.subject_id).where(old).order_by(_c.retired_at).limit(limit)
        chosen = self._connection.execute(few).all()
        if not chosen:
            return []
        k = t.subject_keys.c
        ours = k.subject_id.in_({row.subject_id for row in chosen})
        keys = sa.select(k.subject_id).where(ours).order_by(k.subject_id)
        locked = list(self._connection.scalars(keys.with_for_update(skip_locked=True)))
        # The condition once more: somebody may have activated one of them in between.
        gone = sa.delete(t.templates).where(
            _c.template_id.in_([row.template_id for row in chosen]), _c.subject_id.in_(locked), old
        )
        rows = self._connection.execute(gone.returning(_c.subject_id, _c.template_id)).all()
        count_changes(self._connection, [row.subject_id for row in rows])
        return sorted((row.subject_id, row.template_id) for row in rows)


def count_changes(connection: sa.Connection, subject_ids: Sequence[str]) -> None:
    """What a caller has seen of these subjects' templates is not what is there any more (If-Match)."""
    if subject_ids:
        s = t.subjects.c
        change = sa.update(t.subjects).where(s.subject_id.in_(set(subject_ids)))
        connection.execute(change.values(version=s.version + 1))


def insert_templates(connection: sa.Connection, templates: Sequence[SealedTemplate]) -> None:
    """Each stands on the enrollment that made it, or on that of the version that it was derived from."""
    parents = {one.parent_id for one in templates if one.parent_id is not None}
    query = sa.select(_c.template_id, _c.enrolled_by).where(_c.template_id.in_(parents))
    of_parent = {row.template_id: row.enrolled_by for row in connection.execute(query)} if parents else {}
    connection.execute(
        sa.insert(t.templates),
        [
            {
                **{name: getattr(one, name) for name in _FIELDS},  # not asdict: it would copy every template
                "enrolled_by": one.operation_id or of_parent.get(one.parent_id or ""),
            }
            for one in templates
        ],
    )
    count_changes(connection, [one.subject_id for one in templates])


def template_of(row: Mapping[str, Any]) -> SealedTemplate:
    """The columns are the fields, but for the enrollment that it stands on, which SQL alone asks for."""
    values = dict(row)
    del values["enrolled_by"]
    values["state"] = TemplateState(values["state"])
    values["origin"] = TemplateOrigin(values["origin"])
    return SealedTemplate(**values)

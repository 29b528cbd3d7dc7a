"""The active templates of everybody, their changes, and findings of duplicates in SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from recon_service.application.records.references import DuplicateFinding, SealedReference
from recon_service.application.records.subjects import WrappedKey
from recon_service.application.records.templates import TemplateOrigin, TemplateState, VersionHead
from recon_service.storage import tables as t
from recon_service.storage.reference_tables import duplicate_findings, reference_changes, reference_head

_t, _k, _f = t.templates.c, t.subject_keys.c, duplicate_findings.c
SEALED = sa.select(
    _t.template_id, _t.sealed, _k.subject_id, _k.key_id, _k.master_key_id, _k.wrapped
).join_from(t.templates, t.subject_keys, _t.subject_id == _k.subject_id)
_ACTIVE = _t.state == TemplateState.ACTIVE
_HEADS = sa.select(_t.template_id, _t.subject_id, _t.model, _t.calibration, _t.state, _t.origin, _t.parent_id)
AT_ONCE = 500
"""Ids in one statement."""


class SqlReferences:
    """See ``ports.references.References``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def head(self) -> int:
        """Number of the last change."""
        return self._connection.scalar(sa.select(reference_head.c.sequence)) or 0

    def changes(self, *, after: int, limit: int) -> list[tuple[int, str]]:
        """In order."""
        c = reference_changes.c
        query = sa.select(c.sequence, c.template_id).where(c.sequence > after).order_by(c.sequence)
        return [(row.sequence, row.template_id) for row in self._connection.execute(query.limit(limit))]

    def oldest_change(self) -> int:
        """The first that is kept."""
        oldest = self._connection.scalar(sa.select(sa.func.min(reference_changes.c.sequence)))
        return oldest if oldest is not None else self.head() + 1

    def forget_changes(self, *, before: int, limit: int) -> int:
        """Who has not read them loads everything anew."""
        c = reference_changes.c
        oldest = self._connection.scalar(sa.select(sa.func.min(c.sequence)))
        if oldest is None or oldest >= before:
            return 0
        # From the oldest on: whoever reads meanwhile must not find a hole behind which there is more.
        gone = sa.delete(reference_changes).where(c.sequence < min(before, oldest + limit))
        return self._connection.execute(gone).rowcount

    def page(self, *, after: str, limit: int) -> list[SealedReference]:
        """By the primary key."""
        query = SEALED.where(_ACTIVE, _t.template_id > after).order_by(_t.template_id).limit(limit)
        return [sealed_reference(row) for row in self._connection.execute(query)]

    def of(self, template_ids: Sequence[str]) -> list[SealedReference]:
        """In no order."""
        return [
            sealed_reference(row) for row in self._among(SEALED.where(_ACTIVE), _t.template_id, template_ids)
        ]

    def versions(self, subject_ids: Sequence[str]) -> list[VersionHead]:
        """Without their contents."""
        return [
            VersionHead(
                **{**row._mapping, "state": TemplateState(row.state), "origin": TemplateOrigin(row.origin)}
            )
            for row in self._among(_HEADS, _t.subject_id, subject_ids)
        ]

    def former(self, template_ids: Sequence[str]) -> list[SealedReference]:
        """Retired ones."""
        query = SEALED.where(_t.state == TemplateState.RETIRED)
        return [sealed_reference(row) for row in self._among(query, _t.template_id, template_ids)]

    def _among(
        self, query: sa.Select[Any], column: sa.ColumnElement[str], values: Sequence[str]
    ) -> Iterator[Any]:
        for start in range(0, len(values), AT_ONCE):
            yield from self._connection.execute(query.where(column.in_(values[start : start + AT_ONCE])))

    def count(self) -> int:
        """Of the active templates."""
        return (
            self._connection.scalar(sa.select(sa.func.count()).select_from(t.templates).where(_ACTIVE)) or 0
        )

    def take_turns(self) -> None:
        """SQLite has one writer at a time anyway."""
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(
                sa.text("SELECT pg_advisory_xact_lock(491260473197)")
            )  # any fixed number

    def add_finding(self, finding: DuplicateFinding) -> None:
        """Insert."""
        self._connection.execute(sa.insert(duplicate_findings).values(**asdict(finding)))

    def findings(
        self, *, operation_id: str | None = None, after: str = "", limit: int
    ) -> list[DuplicateFinding]:
        """The likeliest first within an operation."""
        chosen = _f.operation_id > after if operation_id is None else _f.operation_id == operation_id
        query = sa.select(duplicate_findings).where(chosen).order_by(_f.operation_id, _f.llr.desc())
        rows = self._connection.execute(query.limit(limit))
        return [DuplicateFinding(**row._mapping) for row in rows]


def sealed_reference(row: Any) -> SealedReference:
    """A row of ``SEALED``."""
    key = WrappedKey(row.key_id, row.subject_id, row.master_key_id, row.wrapped)
    return SealedReference(row.template_id, key, row.sealed)

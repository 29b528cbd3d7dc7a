"""Kept evidence, and the workers that report, in SQL."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import datetime

import sqlalchemy as sa

from recon_service.application.records.evidence import SealedEvidence
from recon_service.application.records.models import (
    BackendStanding,
    ModelsInForce,
    OtherModel,
    TemplateCount,
    WorkerReport,
)
from recon_service.application.records.operations import StoredSelfies
from recon_service.application.records.templates import TemplateState
from recon_service.storage import tables as t
from recon_service.storage.batch_rows import IN_FORCE, in_force
from recon_service.storage.batch_tables import kept_evidence, workers

_e, _w = kept_evidence.c, workers.c


class SqlKeptEvidence:
    """See ``ports.batches.KeptEvidence``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def put(self, evidence: SealedEvidence) -> None:
        """The subject's key is locked by whoever calls: nobody puts another one at the same time."""
        self.forget(evidence.subject_id)
        made = t.templates.c.template_id == evidence.template_id
        enrolled_by = sa.select(t.templates.c.enrolled_by).where(made).scalar_subquery()
        row = {**asdict(evidence), "enrolled_by": enrolled_by}
        self._connection.execute(sa.insert(kept_evidence).values(**row))

    def forget(self, subject_id: str) -> None:
        """Remove what is kept of the subject."""
        self._connection.execute(sa.delete(kept_evidence).where(_e.subject_id == subject_id))

    def of(self, subject_id: str) -> SealedEvidence | None:
        """The one that is kept, if it is of the enrollment in force."""
        columns = [_e[one.name] for one in fields(SealedEvidence)]
        ours = (_e.subject_id == subject_id) & (_e.enrolled_by == IN_FORCE.c.enrolled_by)
        query = sa.select(*columns).where(ours, *in_force(subject_id))
        row = self._connection.execute(query).one_or_none()
        return SealedEvidence(**row._mapping) if row else None

    def selfies_of(self, subject_id: str) -> list[StoredSelfies]:
        """In the order of the request."""
        s = t.selfies.c
        ours = s.operation_id == IN_FORCE.c.enrolled_by
        query = sa.select(t.selfies).where(ours, *in_force(subject_id)).order_by(s.ordinal)
        return [StoredSelfies(**row._mapping) for row in self._connection.execute(query)]


class SqlWorkers:
    """See ``ports.batches.Workers``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def report(self, report: WorkerReport) -> None:
        """In place of its last one; two processes never have one id."""
        values = asdict(report)
        ours = _w.worker_id == report.worker_id
        if not self._connection.execute(sa.update(workers).where(ours).values(**values)).rowcount:
            self._connection.execute(sa.insert(workers).values(**values))

    def alive(self, *, since: datetime) -> list[WorkerReport]:
        """In the order of their ids."""
        query = sa.select(workers).where(_w.reported_at >= since).order_by(_w.worker_id)
        found = []
        for row in self._connection.execute(query):
            values = dict(row._mapping)
            models = values["models"]
            if models is not None:
                backends = tuple(BackendStanding(**b) for b in models["backends"])
                others = tuple(OtherModel(**o) for o in models.get("others", ()))
                values["models"] = ModelsInForce(**{**models, "backends": backends, "others": others})
            found.append(WorkerReport(**values))
        return found

    def forget(self, *, before: datetime) -> None:
        """Those of workers that are no more."""
        self._connection.execute(sa.delete(workers).where(_w.reported_at < before))

    def template_counts(self) -> list[TemplateCount]:
        """Counted by the database."""
        c = t.templates.c
        columns = (c.model, c.calibration, c.source, c.state)
        query = sa.select(*columns, sa.func.count().label("n")).group_by(*columns).order_by(*columns)
        return [
            TemplateCount(r.model, r.calibration, r.source, TemplateState(r.state), r.n)
            for r in self._connection.execute(query)
        ]

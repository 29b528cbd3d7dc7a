"""Operations in SQL: every change of state is one conditional UPDATE, so that two workers cannot both make
it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from recon_service.application.records import (
    Claim,
    Operation,
    OperationState,
    Problem,
    SelfieReport,
    StoredSelfie,
)
from recon_service.domain.quality import QualityMeasure, QualityReport, Verdict
from recon_service.storage import tables as t


class SqlOperations:
    """See ``ports.Operations``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, operation: Operation, selfies: Sequence[StoredSelfie]) -> None:
        """Insert a queued operation and where its selfies lie."""
        self._connection.execute(
            sa.insert(t.operations).values(
                operation_id=operation.operation_id,
                subject_id=operation.subject_id,
                state=operation.state.value,
                stage=operation.stage,
                progress=operation.progress,
                attempts=operation.attempts,
                version=operation.version,
                consent_id=operation.consent_id,
                keep_selfies=operation.keep_selfies,
                selfies=[],
                created_at=operation.created_at,
                updated_at=operation.updated_at,
            )
        )
        if selfies:
            self._connection.execute(sa.insert(t.selfies), [asdict(s) for s in selfies])

    def get(self, operation_id: str) -> Operation | None:
        """The operation as it stands."""
        query = sa.select(t.operations).where(t.operations.c.operation_id == operation_id)
        row = self._connection.execute(query).one_or_none()
        return _operation(dict(row._mapping)) if row else None

    def claim(self, operation_id: str, *, token: str, now: datetime, stale_before: datetime) -> Claim | None:
        """Take it if it waits, or if its worker fell silent."""
        c = t.operations.c
        abandoned = (c.state == OperationState.RUNNING.value) & (c.updated_at < stale_before)
        free = (c.state == OperationState.QUEUED.value) | abandoned
        taken = self._change(
            (c.operation_id == operation_id) & free,
            now=now,
            state=OperationState.RUNNING.value,
            stage="started",
            attempts=c.attempts + 1,
            claim_token=token,
            progress=0.0,
        )
        operation = self.get(operation_id) if taken else None
        return Claim(operation, token) if operation else None

    def report(self, claim: Claim, *, stage: str, progress: float, now: datetime) -> bool:
        """Write progress while the claim holds."""
        return self._change(_held(claim), now=now, stage=stage, progress=progress) == 1

    def holds(self, claim: Claim) -> bool:
        """Whether the claim is still the newest; locks the row."""
        query = sa.select(t.operations.c.operation_id).where(_held(claim)).with_for_update()
        return self._connection.execute(query).one_or_none() is not None

    def finish(
        self,
        claim: Claim,
        *,
        state: OperationState,
        now: datetime,
        selfies: Sequence[SelfieReport] = (),
        template_id: str | None = None,
        problem: Problem | None = None,
    ) -> None:
        """End it. An end is final: no other method changes an operation that has one."""
        self._change(
            _held(claim),
            now=now,
            state=state.value,
            stage="done",
            progress=1.0,
            ended_at=now,
            claim_token=None,
            selfies=[_selfie_to_json(s) for s in selfies],
            template_id=template_id,
            problem=asdict(problem) if problem else None,
        )

    def requeue(self, claim: Claim, *, now: datetime) -> None:
        """Give it back."""
        self._change(
            _held(claim),
            now=now,
            state=OperationState.QUEUED.value,
            stage="queued",
            progress=0.0,
            claim_token=None,
        )

    def requeue_running(self, *, now: datetime, stale_before: datetime | None) -> int:
        """Take running operations away from workers that fell silent."""
        condition = t.operations.c.state == OperationState.RUNNING.value
        if stale_before is not None:
            condition &= t.operations.c.updated_at < stale_before
        return self._change(
            condition,
            now=now,
            state=OperationState.QUEUED.value,
            stage="queued",
            progress=0.0,
            claim_token=None,
        )

    def queued(self) -> list[str]:
        """Oldest first."""
        query = (
            sa.select(t.operations.c.operation_id)
            .where(t.operations.c.state == OperationState.QUEUED.value)
            .order_by(t.operations.c.created_at)
        )
        return list(self._connection.scalars(query))

    def _change(self, condition: sa.ColumnElement[bool], *, now: datetime, **values: object) -> int:
        change = sa.update(t.operations).where(condition)
        return self._connection.execute(
            change.values(version=t.operations.c.version + 1, updated_at=now, **values)
        ).rowcount


def _held(claim: Claim) -> sa.ColumnElement[bool]:
    c = t.operations.c
    return (
        (c.operation_id == claim.operation.operation_id)
        & (c.state == OperationState.RUNNING.value)
        & (c.claim_token == claim.token)
    )


def _operation(row: Mapping[str, Any]) -> Operation:
    fields = {name: value for name, value in row.items() if name != "claim_token"}
    fields["state"] = OperationState(fields["state"])
    fields["selfies"] = tuple(_selfie_from_json(s) for s in fields["selfies"])
    fields["problem"] = Problem(**fields["problem"]) if fields["problem"] else None
    return Operation(**fields)


def _selfie_to_json(report: SelfieReport) -> dict[str, Any]:
    return {
        "accepted": report.accepted,
        "quality": [asdict(m) for m in report.quality.measures] if report.quality else None,
        "problem": asdict(report.problem) if report.problem else None,
    }


def _selfie_from_json(value: dict[str, Any]) -> SelfieReport:
    measures = value["quality"]
    quality = None
    if measures is not None:
        quality = QualityReport(
            tuple(QualityMeasure(**{**m, "verdict": Verdict(m["verdict"])}) for m in measures)
        )
    problem = Problem(**value["problem"]) if value["problem"] else None
    return SelfieReport(value["accepted"], quality, problem)

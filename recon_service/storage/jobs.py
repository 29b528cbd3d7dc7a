"""Operations in SQL: every change of state is one conditional UPDATE, so that two workers cannot both make
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from recon_service.application.records.operations import (
    Claim,
    Lane,
    Operation,
    OperationState,
    Problem,
    QueueState,
    SelfieReport,
    StoredSelfies,
)
from recon_service.application.records.templates import TemplateState
from recon_service.storage import tables as t
from recon_service.storage.moments import long_past
from recon_service.storage.operation_rows import operation_of, selfie_to_json

AT_ONCE: Final = 1000


class SqlOperations:
    """See ``ports.Operations``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, operation: Operation, selfies: Sequence[StoredSelfies]) -> None:
        """Insert a queued operation and where its selfies lie."""
        earlier = sa.select(sa.func.max(t.operations.c.number)).where(
            t.operations.c.subject_id == operation.subject_id
        )
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
                keep_evidence=operation.keep_evidence,
                selfies=[],
                created_at=operation.created_at,
                updated_at=operation.updated_at,
                lane=operation.lane.value,
                queued_at=operation.created_at,
                backend=operation.backend,
                traceparent=operation.traceparent,
                number=sa.func.coalesce(earlier.scalar_subquery(), 0) + 1,
            )
        )
        if selfies:
            self._connection.execute(sa.insert(t.selfies), [asdict(s) for s in selfies])

    def get(self, operation_id: str) -> Operation | None:
        """The operation as it stands."""
        query = sa.select(t.operations).where(t.operations.c.operation_id == operation_id)
        row = self._connection.execute(query).one_or_none()
        return operation_of(dict(row._mapping)) if row else None

    def versions(self, operation_ids: Sequence[str]) -> dict[str, int]:
        """In pieces: a statement has only so many parameters."""
        c = t.operations.c
        found: dict[str, int] = {}
        for start in range(0, len(operation_ids), AT_ONCE):
            some = operation_ids[start : start + AT_ONCE]
            query = sa.select(c.operation_id, c.version).where(c.operation_id.in_(some))
            found |= {row.operation_id: row.version for row in self._connection.execute(query)}
        return found

    def claim(self, operation_id: str, *, token: str, now: datetime, stale_before: datetime) -> Claim | None:
        """Take it if it waits, or if its worker fell silent."""
        c = t.operations.c
        abandoned = (c.state == OperationState.RUNNING.value) & long_past(
            t.operations.c.updated_at, stale_before, now=now
        )
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

    def beat(self, claim: Claim, *, now: datetime) -> bool:
        """Not a change that anybody need hear of: the version stays."""
        change = sa.update(t.operations).where(_held(claim)).values(updated_at=now)
        return self._connection.execute(change).rowcount == 1

    def holds(self, claim: Claim) -> bool:
        """Whether the claim is still the newest; locks the row."""
        query = sa.select(t.operations.c.operation_id).where(_held(claim)).with_for_update()
        return self._connection.execute(query).one_or_none() is not None

    def overtaken(self, operation_id: str) -> bool:
        """By the numbers of a subject's operations, which no clock has a say in."""
        ours, later = t.operations.alias("ours"), t.operations.alias("later")
        query = (
            sa.select(sa.literal(1))
            .select_from(
                ours.join(later, later.c.subject_id == ours.c.subject_id).join(
                    t.templates, t.templates.c.operation_id == later.c.operation_id
                )
            )
            .where(ours.c.operation_id == operation_id, later.c.number > ours.c.number)
            .where(t.templates.c.state != TemplateState.CANDIDATE.value)
        )
        return self._connection.scalar(query.limit(1)) is not None

    def finish(
        self,
        claim: Claim,
        *,
        state: OperationState,
        now: datetime,
        selfies: Sequence[SelfieReport] = (),
        template_id: str | None = None,
        problem: Problem | None = None,
        dead: bool = False,
    ) -> None:
        """End it. An end is final: only ``revive`` changes an operation that has one, and only a dead one."""
        self._change(
            _held(claim),
            now=now,
            state=state.value,
            stage="done",
            progress=1.0,
            ended_at=now,
            claim_token=None,
            selfies=[selfie_to_json(s) for s in selfies],
            template_id=template_id,
            problem=asdict(problem) if problem else None,
            dead_at=now if dead else None,
        )

    def requeue(
        self, claim: Claim, *, now: datetime, due: datetime | None = None, refund: bool = False
    ) -> None:
        """Give it back."""
        attempts = t.operations.c.attempts - (1 if refund else 0)
        self._change(_held(claim), now=now, attempts=attempts, **_waiting(due or now))

    def requeue_running(self, *, now: datetime, stale_before: datetime | None) -> int:
        """Take running operations away from workers that fell silent."""
        condition = t.operations.c.state == OperationState.RUNNING.value
        if stale_before is not None:
            condition &= long_past(t.operations.c.updated_at, stale_before, now=now)
        return self._change(condition, now=now, **_waiting(now))

    def bring_forward(self, *, now: datetime, latest: datetime) -> int:
        """Their place in the queue is that of what comes now."""
        return self._change(_queued() & (t.operations.c.queued_at > latest), now=now, queued_at=now)

    def queued(self) -> list[str]:
        """Oldest first."""
        query = (
            sa.select(t.operations.c.operation_id)
            .where(t.operations.c.state == OperationState.QUEUED.value)
            .order_by(t.operations.c.created_at)
        )
        return list(self._connection.scalars(query))

    def unpublished(self, *, now: datetime, limit: int, lock: bool = True) -> list[tuple[str, Lane]]:
        """The outbox, oldest first; two relays that lock do not see the same rows."""
        c = t.operations.c
        query = (
            sa.select(c.operation_id, c.lane)
            .where(_queued() & c.published_at.is_(None) & (c.queued_at <= now))
            .order_by(c.queued_at)
            .limit(limit)
        )
        if lock:
            query = query.with_for_update(skip_locked=True)
        return [(row.operation_id, Lane(row.lane)) for row in self._connection.execute(query)]

    def mark_published(self, operation_ids: Sequence[str], *, now: datetime) -> None:
        """Of those that still wait."""
        ours = _queued() & t.operations.c.operation_id.in_(operation_ids)
        self._connection.execute(sa.update(t.operations).where(ours).values(published_at=now))

    def unpublish(self, *, published_before: datetime | None, now: datetime) -> int:
        """Back into the outbox. A message from the future was published before the clock went back."""
        published = t.operations.c.published_at
        lost = _queued() & published.is_not(None)
        if published_before is not None:
            lost &= (published < published_before) | (published > now)
        return self._connection.execute(
            sa.update(t.operations).where(lost).values(published_at=None)
        ).rowcount

    def queue_state(self, lane: Lane, *, now: datetime) -> QueueState:
        """Counts of one lane."""
        c = t.operations.c
        open_ = (
            sa.select(c.state, c.published_at, c.queued_at)
            .where(
                (c.lane == lane.value)
                & c.state.in_((OperationState.QUEUED.value, OperationState.RUNNING.value))
            )
            .subquery()
        )
        waits = open_.c.state == OperationState.QUEUED.value
        row = self._connection.execute(
            sa.select(
                sa.func.count().filter(waits).label("waiting"),
                sa.func.count().filter(~waits).label("running"),
                # What waits for its next attempt is not the broker's to have.
                sa.func.count()
                .filter(waits & open_.c.published_at.is_(None) & (open_.c.queued_at <= now))
                .label("unpublished"),
            ).select_from(open_)
        ).one()
        return QueueState(lane, row.waiting, row.running, row.unpublished, self.oldest_queued(lane))

    def oldest_queued(self, lane: Lane) -> datetime | None:
        """Read from the index."""
        c = t.operations.c
        query = (
            sa.select(c.queued_at).where(_queued() & (c.lane == lane.value)).order_by(c.queued_at).limit(1)
        )
        oldest: datetime | None = self._connection.scalar(query)
        return oldest

    def outcomes(self, *, since: datetime) -> dict[OperationState, int]:
        """Counts by state."""
        c = t.operations.c
        # Not by the column itself: SQLite would read all operations by the index that begins with it.
        state = sa.func.lower(c.state).label("state")
        query = sa.select(state, sa.func.count()).where(c.ended_at > since).group_by(state)
        return {OperationState(state): count for state, count in self._connection.execute(query)}

    def of_subject(self, subject_id: str, *, limit: int) -> list[Operation]:
        """Newest first."""
        c = t.operations.c
        query = sa.select(t.operations).where(c.subject_id == subject_id)
        rows = self._connection.execute(query.order_by(c.created_at.desc()).limit(limit))
        return [operation_of(dict(row._mapping)) for row in rows]

    def dead(self, *, limit: int) -> list[Operation]:
        """Newest first."""
        c = t.operations.c
        query = sa.select(t.operations).where(c.dead_at.is_not(None)).order_by(c.dead_at.desc()).limit(limit)
        return [operation_of(dict(row._mapping)) for row in self._connection.execute(query)]

    def revive(self, operation_id: str, *, now: datetime) -> bool:
        """Queue a dead operation as if it were new."""
        c = t.operations.c
        dead = (c.operation_id == operation_id) & c.dead_at.is_not(None)
        fresh = {**_waiting(now), "attempts": 0, "problem": None, "ended_at": None, "dead_at": None}
        return self._change(dead, now=now, **fresh) == 1

    def bury(self, *, dead_before: datetime, limit: int) -> list[str]:
        """No longer dead, failed for good."""
        c = t.operations.c
        query = sa.select(c.operation_id).where(c.dead_at < dead_before).limit(limit)
        ids = list(self._connection.scalars(query.with_for_update(skip_locked=True)))
        change = sa.update(t.operations).where(c.operation_id.in_(ids)).values(dead_at=None)
        self._connection.execute(change)
        return ids

    def _change(self, condition: sa.ColumnElement[bool], *, now: datetime, **values: object) -> int:
        change = sa.update(t.operations).where(condition)
        return self._connection.execute(
            change.values(version=t.operations.c.version + 1, updated_at=now, **values)
        ).rowcount


def _queued() -> sa.ColumnElement[bool]:
    return t.operations.c.state == OperationState.QUEUED.value


def _waiting(due: datetime) -> dict[str, Any]:
    """What a row says that waits in the outbox."""
    return {
        "state": OperationState.QUEUED.value,
        "stage": "queued",
        "progress": 0.0,
        "claim_token": None,
        "queued_at": due,
        "published_at": None,
    }


def _held(claim: Claim) -> sa.ColumnElement[bool]:
    c = t.operations.c
    return (
        (c.operation_id == claim.operation.operation_id)
        & (c.state == OperationState.RUNNING.value)
        & (c.claim_token == claim.token)
    )

"""Evaluations in SQL."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from recon_service.application.records.evaluations import (
    BatchEvaluation,
    EvaluationOutcome,
    EvaluationSet,
    EvaluationState,
    ObservationKey,
    Way,
)
from recon_service.storage.evaluation_tables import batch_evaluations, evaluation_observations
from recon_service.storage.moments import long_past
from recon_service.storage.pages import delete_page

_e, _o = batch_evaluations.c, evaluation_observations.c
_COLUMNS = tuple(name for name in _e.keys() if name != "claim_token")  # noqa: SIM118


class SqlEvaluations:
    """See ``ports.evaluations.Evaluations``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def put(self, evaluation: BatchEvaluation) -> None:
        """Whoever works on an earlier one writes nothing any more."""
        which = _e.evaluation_set == evaluation.evaluation_set.value
        ours = (_e.batch_id == evaluation.batch_id) & which
        self._connection.execute(sa.delete(batch_evaluations).where(ours))
        self._connection.execute(sa.insert(batch_evaluations).values(**_values(evaluation)))

    def of_batch(self, batch_id: str) -> list[BatchEvaluation]:
        """In the order of their sets."""
        query = sa.select(batch_evaluations).where(_e.batch_id == batch_id).order_by(_e.evaluation_set.desc())
        return [_evaluation(row) for row in self._connection.execute(query)]

    def waits(self, *, now: datetime, stale_before: datetime) -> bool:
        """By the index on the state."""
        query = sa.select(_e.batch_id).where(_open(now, stale_before)).limit(1)
        return self._connection.scalar(query) is not None

    def take(self, *, token: str, now: datetime, stale_before: datetime) -> BatchEvaluation | None:
        """Locked rows belong to somebody who is taking them."""
        query = sa.select(batch_evaluations).where(_open(now, stale_before)).order_by(_e.asked_at).limit(1)
        row = self._connection.execute(query.with_for_update(skip_locked=True)).one_or_none()
        if row is None:
            return None
        self._connection.execute(
            sa.update(batch_evaluations)
            .where(_e.batch_id == row.batch_id, _e.evaluation_set == row.evaluation_set)
            .values(claim_token=token, updated_at=now)
        )
        return _evaluation(row)

    def save(self, evaluation: BatchEvaluation, *, token: str) -> bool:
        """By the holder alone."""
        changed = self._connection.execute(
            sa.update(batch_evaluations)
            .where(
                _e.batch_id == evaluation.batch_id,
                _e.evaluation_set == evaluation.evaluation_set.value,
                _e.claim_token == token,
            )
            .values(**_values(evaluation), claim_token=None)
        )
        return changed.rowcount == 1

    def observation(self, key: ObservationKey, person: int) -> bytes | None:
        """Sealed."""
        sealed: bytes | None = self._connection.scalar(
            sa.select(_o.sealed).where(_under(key), _o.person == person)
        )
        return sealed

    def observed(self, key: ObservationKey) -> set[int]:
        """From the primary key alone."""
        return set(self._connection.scalars(sa.select(_o.person).where(_under(key))))

    def keep_observation(self, key: ObservationKey, person: int, sealed: bytes, *, now: datetime) -> None:
        """One that is there already stays."""
        dialect = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        row = dialect.insert(evaluation_observations).values(
            **asdict(key), person=person, made_at=now, used_at=now, sealed=sealed
        )
        self._connection.execute(row.on_conflict_do_nothing())

    def other_code(self, key: ObservationKey, *, people: int, before: datetime) -> str | None:
        """The newest that is complete."""
        last = sa.func.max(_o.made_at)
        query = (
            sa.select(_o.code)
            .where(_o.set_key == key.set_key, _o.way_key == key.way_key, _o.code != key.code)
            .group_by(_o.code)
            .having(sa.func.count() == people, last < before)
            .order_by(last.desc())
            .limit(1)
        )
        code: str | None = self._connection.scalar(query)
        return code

    def use_observations(self, key: ObservationKey, *, now: datetime) -> None:
        """Of all its people."""
        self._connection.execute(sa.update(evaluation_observations).where(_under(key)).values(used_at=now))

    def expire_observations(self, *, before: datetime, limit: int) -> int:
        """Whosever they are."""
        return delete_page(self._connection, evaluation_observations, _o.used_at < before, limit)


def _under(key: ObservationKey) -> sa.ColumnElement[bool]:
    return (_o.set_key == key.set_key) & (_o.way_key == key.way_key) & (_o.code == key.code)


def _open(now: datetime, stale_before: datetime) -> sa.ColumnElement[bool]:
    pending = _e.state == EvaluationState.PENDING.value
    return pending & (_e.claim_token.is_(None) | long_past(_e.updated_at, stale_before, now=now))


def _values(evaluation: BatchEvaluation) -> dict[str, Any]:
    return {
        **{name: getattr(evaluation, name) for name in _COLUMNS},
        "evaluation_set": evaluation.evaluation_set.value,
        "state": evaluation.state.value,
        "former": asdict(evaluation.former),
        "candidate": asdict(evaluation.candidate),
        "outcome": asdict(evaluation.outcome) if evaluation.outcome is not None else None,
    }


def _evaluation(row: Any) -> BatchEvaluation:
    values = {name: getattr(row, name) for name in _COLUMNS}
    outcome = values["outcome"]
    return BatchEvaluation(
        **{
            **values,
            "evaluation_set": EvaluationSet(values["evaluation_set"]),
            "state": EvaluationState(values["state"]),
            "former": Way.of(values["former"]),
            "candidate": Way.of(values["candidate"]),
            "outcome": EvaluationOutcome.of(outcome) if outcome is not None else None,
        }
    )

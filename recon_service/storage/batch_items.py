"""Items of batches in SQL. They are taken and finished in groups, so that many share one transaction.

Rows are locked in the order batch, subjects, items; a group's subjects in the order of their ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from recon_service.application.keeping.backoff import LONGEST
from recon_service.application.ports.batches import Switched
from recon_service.application.records.batches import (
    BatchItem,
    BatchState,
    Group,
    ItemEnd,
    ItemState,
    Standing,
    Taken,
    Tally,
)
from recon_service.application.records.subjects import WrappedKey
from recon_service.application.records.templates import TemplateState
from recon_service.storage import batch_retention, batch_switches
from recon_service.storage import tables as t
from recon_service.storage.batch_rows import batch_of, is_held, item_of, keeps_evidence, keeps_selfies
from recon_service.storage.batch_tables import batch_items, batches
from recon_service.storage.moments import long_past
from recon_service.storage.templates import insert_templates, template_of

_b, _i = batches.c, batch_items.c


class SqlBatchItems:
    """See ``ports.batches.BatchItems``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def take(
        self, batch_id: str, *, token: str, limit: int, now: datetime, stale_before: datetime
    ) -> Group | None:
        """Rows that another runner has locked are passed over."""
        row = self._connection.execute(
            sa.select(batches).where(_b.batch_id == batch_id, _b.state == BatchState.RUNNING.value)
        ).one_or_none()
        if row is None:
            return None
        # No item is put off for so long: what is due later was due by a clock that has been put back.
        due = (_i.at <= now) | (_i.at > now + 2 * LONGEST)
        chosen = self._free(batch_id, (_i.state == ItemState.WAITING.value) & due, limit)
        if not chosen:
            silent = long_past(_i.at, stale_before, now=now)
            chosen = self._free(batch_id, (_i.state == ItemState.RUNNING.value) & silent, limit)
        if not chosen:
            return None
        self._connection.execute(
            sa.update(batch_items)
            .where(_i.batch_id == batch_id, _i.subject_id.in_(chosen))
            .values(
                state=ItemState.RUNNING.value, claim_token=token, at=now, attempts=_i.attempts + 1, reason=""
            )
        )
        return Group(batch_of(row), token, self._taken(batch_id, token))

    def _free(self, batch_id: str, condition: sa.ColumnElement[bool], limit: int) -> list[str]:
        query = sa.select(_i.subject_id).where(_i.batch_id == batch_id, condition).limit(limit)
        return list(self._connection.scalars(query.with_for_update(skip_locked=True)))

    def _taken(self, batch_id: str, token: str) -> tuple[Taken, ...]:
        k, m = t.subject_keys, t.templates
        active = (m.c.subject_id == k.c.subject_id) & (m.c.state == TemplateState.ACTIVE.value)
        query = (
            sa.select(
                _i.attempts,
                k.c.key_id,
                k.c.master_key_id,
                k.c.wrapped,
                keeps_selfies(k.c.subject_id).label("pictures"),
                keeps_evidence(k.c.subject_id).label("evidence"),
                k.c.subject_id.label("owner"),
                *m.c,
            )
            .select_from(batch_items.join(k, k.c.subject_id == _i.subject_id).outerjoin(m, active))
            .where(_i.batch_id == batch_id, _i.state == ItemState.RUNNING.value, _i.claim_token == token)
            .order_by(_i.subject_id)
        )
        found = []
        for row in self._connection.execute(query):
            values = row._mapping
            columns = {column.name: values[column] for column in m.c}
            found.append(
                Taken(
                    subject_id=row.owner,
                    attempts=row.attempts,
                    key=WrappedKey(row.key_id, row.owner, row.master_key_id, row.wrapped),
                    active=template_of(columns) if columns["template_id"] is not None else None,
                    keeps_selfies=bool(row.pictures),
                    keeps_evidence=bool(row.evidence),
                )
            )
        return tuple(found)

    def beat(self, group: Group, *, now: datetime) -> BatchState | None:
        """Nothing but the time changes."""
        held = is_held(group.batch.batch_id, group.token)
        self._connection.execute(sa.update(batch_items).where(held).values(at=now))
        batch_id = group.batch.batch_id
        state = self._connection.scalar(sa.select(_b.state).where(_b.batch_id == batch_id))
        return BatchState(state) if state is not None else None

    def finish(self, group: Group, ends: Sequence[ItemEnd], *, now: datetime) -> list[str]:
        """Candidates and ends in one transaction, of items whose claim is still the newest and whose subject
        still has the key that the candidate is sealed with.
        """
        batch_id, k = group.batch.batch_id, t.subject_keys.c
        wanted = {end.subject_id: end for end in ends}
        keys = sa.select(k.subject_id, k.key_id).where(k.subject_id.in_(wanted))
        owners = {
            row.subject_id: row.key_id
            for row in self._connection.execute(keys.order_by(k.subject_id).with_for_update())
        }
        held = sa.select(_i.subject_id).where(is_held(batch_id, group.token), _i.subject_id.in_(wanted))
        kept = [
            wanted[subject]
            for subject in self._connection.scalars(held.with_for_update())
            if owners.get(subject) == wanted[subject].key_id
        ]
        candidates = [end.candidate for end in kept if end.candidate is not None]
        if candidates:
            insert_templates(self._connection, candidates)
        alike: dict[tuple[Any, ...], list[ItemEnd]] = {}
        for end in kept:
            kind = (end.state, end.reason, end.material, end.due, end.refund, end.candidate is None)
            alike.setdefault(kind, []).append(end)
        for some in alike.values():
            self._end(batch_id, some, now)
        return [end.subject_id for end in kept]

    def _end(self, batch_id: str, ends: Sequence[ItemEnd], now: datetime) -> None:
        """Ends that differ in nothing but the candidate, in one statement."""
        first = ends[0]
        candidates = {end.subject_id: end.candidate.template_id for end in ends if end.candidate is not None}
        self._connection.execute(
            sa.update(batch_items)
            .where(_i.batch_id == batch_id, _i.subject_id.in_([end.subject_id for end in ends]))
            .values(
                state=first.state.value,
                claim_token=None,
                attempts=_i.attempts - (1 if first.refund else 0),
                at=first.due or now,
                reason=first.reason,
                material=first.material.value if first.material else None,
                template_id=sa.case(candidates, value=_i.subject_id) if candidates else None,
                standing=Standing.CANDIDATE.value if candidates else None,
                ended_at=None if first.state is ItemState.WAITING else now,
            )
        )

    def give_back(self, group: Group, subjects: Sequence[str], *, now: datetime) -> None:
        """As if they had not been taken."""
        state = self._connection.scalar(sa.select(_b.state).where(_b.batch_id == group.batch.batch_id))
        # A cancelled batch may be activated before its runners have noticed either.
        over = state not in (BatchState.RUNNING.value, BatchState.PAUSED.value)
        self._connection.execute(
            sa.update(batch_items)
            .where(is_held(group.batch.batch_id, group.token), _i.subject_id.in_(subjects))
            .values(
                state=(ItemState.CANCELLED if over else ItemState.WAITING).value,
                claim_token=None,
                attempts=_i.attempts - 1,
                at=now,
                ended_at=now if over else None,
            )
        )

    def close_open(self, batch_id: str, *, stale_before: datetime | None, now: datetime, limit: int) -> int:
        """What somebody works on is left to him while he lives."""
        state = self._connection.scalar(sa.select(_b.state).where(_b.batch_id == batch_id).with_for_update())
        if state in (BatchState.RUNNING.value, BatchState.PAUSED.value):
            return 0  # somebody let it go on meanwhile
        unheld = _i.state == ItemState.WAITING.value
        if stale_before is not None:
            silent = long_past(_i.at, stale_before, now=now)
            unheld |= (_i.state == ItemState.RUNNING.value) & silent
        page = self._free(batch_id, unheld, limit)
        return self._connection.execute(
            sa.update(batch_items)
            .where(_i.batch_id == batch_id, _i.subject_id.in_(page))
            .values(state=ItemState.CANCELLED.value, claim_token=None, at=now, ended_at=now)
        ).rowcount

    def retry_failed(self, batch_id: str, *, now: datetime, limit: int) -> int:
        """With all their attempts; a superseded candidate is derived from the template in force now."""
        again = (_i.state == ItemState.FAILED.value) | (
            (_i.state == ItemState.SUCCEEDED.value) & (_i.standing == Standing.SUPERSEDED.value)
        )
        fresh = {
            "state": ItemState.WAITING.value,
            "attempts": 0,
            "at": now,
            "reason": "",
            "material": None,
            "template_id": None,
            "former_id": None,
            "standing": None,
            "ended_at": None,
        }
        columns = (_i.subject_id, _i.template_id, _i.standing)
        query = sa.select(*columns).where(_i.batch_id == batch_id, again).limit(limit)
        page = self._connection.execute(query.with_for_update()).all()
        superseded = [row.template_id for row in page if row.standing == Standing.SUPERSEDED.value]
        batch_switches.destroy_superseded(self._connection, superseded)
        ours = (_i.batch_id == batch_id) & _i.subject_id.in_([row.subject_id for row in page])
        return self._connection.execute(sa.update(batch_items).where(ours).values(**fresh)).rowcount

    def tally(self, batch_id: str) -> Tally:
        """Read from one index; of items that retention destroyed, as they were counted before."""
        kept = self._connection.scalar(sa.select(_b.counts).where(_b.batch_id == batch_id))
        if kept is not None:
            return batch_retention.tally_of(kept)
        columns = (_i.state, _i.standing, _i.reason, _i.material)
        query = sa.select(*columns, sa.func.count().label("n")).where(_i.batch_id == batch_id)
        states: Counter[ItemState] = Counter()
        standings: Counter[Standing] = Counter()
        reasons: Counter[str] = Counter()
        materials: Counter[str] = Counter()
        for row in self._connection.execute(query.group_by(*columns)):
            states[ItemState(row.state)] += row.n
            if row.standing is not None:
                standings[Standing(row.standing)] += row.n
            if row.reason and row.state not in (ItemState.WAITING.value, ItemState.RUNNING.value):
                reasons[row.reason] += row.n
            if row.material is not None:
                materials[row.material] += row.n
        return Tally(states, standings, reasons, materials)

    def ended_since(self, batch_id: str, moment: datetime) -> int:
        """Read from an index."""
        query = sa.select(sa.func.count()).where(_i.batch_id == batch_id, _i.ended_at > moment)
        return int(self._connection.scalar(query) or 0)

    def items(
        self, batch_id: str, *, state: ItemState | None, standing: Standing | None, after: str, limit: int
    ) -> list[BatchItem]:
        """One page."""
        query = sa.select(batch_items).where(_i.batch_id == batch_id, _i.subject_id > after)
        if state is not None:
            query = query.where(_i.state == state.value)
        if standing is not None:
            query = query.where(_i.standing == standing.value)
        return [item_of(row) for row in self._connection.execute(query.order_by(_i.subject_id).limit(limit))]

    def sample(self, batch_id: str, *, limit: int) -> list[BatchItem]:
        """By the ids of their candidates, which are random."""
        made = (
            (_i.batch_id == batch_id) & (_i.state == ItemState.SUCCEEDED.value) & _i.template_id.is_not(None)
        )
        query = sa.select(batch_items).where(made).order_by(_i.template_id).limit(limit)
        return [item_of(row) for row in self._connection.execute(query)]

    def begin_switch(self, batch_id: str, *, into: Standing, limit: int) -> int:
        """See ``batch_switches``."""
        return batch_switches.begin(self._connection, batch_id, into, limit)

    def switch(self, batch_id: str, *, into: Standing, limit: int, now: datetime) -> Switched:
        """See ``batch_switches``."""
        change = batch_switches.activate if into is Standing.ACTIVATED else batch_switches.roll_back
        return change(self._connection, batch_id, limit, now)

    def destroy_candidates(self, *, ended_before: datetime, limit: int) -> list[tuple[str, str]]:
        """See ``batch_switches``."""
        return batch_switches.destroy_candidates(self._connection, ended_before, limit)

    def closable(self, *, ended_before: datetime, limit: int) -> list[str]:
        """See ``batch_retention``."""
        return batch_retention.closable(self._connection, ended_before, limit)

    def close(self, batch_id: str, *, ended_before: datetime, now: datetime) -> Tally | None:
        """See ``batch_retention``."""
        if not batch_retention.closable(self._connection, ended_before, 1, only=batch_id):
            return None
        return batch_retention.close(self._connection, batch_id, self.tally(batch_id), now)

    def destroy_items(self, *, limit: int) -> int:
        """See ``batch_retention``."""
        return batch_retention.destroy_items(self._connection, limit)

    def destroy_closed(self, *, closed_before: datetime, limit: int) -> list[str]:
        """See ``batch_retention``."""
        return batch_retention.destroy_closed(self._connection, closed_before, limit)

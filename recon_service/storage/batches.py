"""Batches in SQL: what was asked for, how it stands, and the pages in which its items are made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from recon_service.application.records.batches import (
    WORKING,
    Batch,
    BatchState,
    ItemState,
    Preview,
    Selection,
)
from recon_service.storage import tables as t
from recon_service.storage.batch_rows import (
    Selected,
    batch_of,
    batch_row,
    evidence_of_template,
    is_open,
    selected_by,
    selfies_of_template,
)
from recon_service.storage.batch_tables import batch_items, batches
from recon_service.storage.tables import UtcDateTime

_b, _i = batches.c, batch_items.c


class SqlBatches:
    """See ``ports.batches.Batches``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, batch: Batch, *, subjects: Sequence[str] | None = None) -> None:
        """Insert, with the items of a list of subjects."""
        self._connection.execute(sa.insert(batches).values(**batch_row(batch)))
        if subjects is not None:
            self._insert_items(batch.batch_id, selected_by(batch), batch.moment)

    def get(self, batch_id: str, *, lock: bool = False) -> Batch | None:
        """The batch of that id."""
        query = sa.select(batches).where(_b.batch_id == batch_id)
        row = self._connection.execute(query.with_for_update() if lock else query).one_or_none()
        return batch_of(row) if row else None

    def newest(self, *, limit: int, before: datetime | None = None) -> list[Batch]:
        """Newest first."""
        query = sa.select(batches).order_by(_b.moment.desc(), _b.batch_id).limit(limit)
        if before is not None:
            query = query.where(_b.moment < before)
        return [batch_of(row) for row in self._connection.execute(query)]

    def working(self) -> list[Batch]:
        """Most urgent first, the older one of two."""
        query = sa.select(batches).where(_b.state.in_([s.value for s in WORKING]))
        rows = self._connection.execute(query.order_by(_b.priority.desc(), _b.moment))
        return [batch_of(row) for row in rows]

    def unended(self) -> list[Batch]:
        """Cancelled ones, and those that were switched after it, with open items."""
        open_ = sa.exists().where(_i.batch_id == _b.batch_id, is_open())
        in_work = (BatchState.RUNNING.value, BatchState.PAUSED.value)
        query = sa.select(batches).where(_b.state.not_in(in_work), open_)
        return [batch_of(row) for row in self._connection.execute(query)]

    def change(self, batch_id: str, *, into: BatchState, out_of: Sequence[BatchState], now: datetime) -> bool:
        """One conditional UPDATE."""
        there = (_b.batch_id == batch_id) & _b.items_gone_at.is_(None)
        condition = there & _b.state.in_([s.value for s in out_of])
        values: dict[str, Any] = {"state": into.value, "updated_at": now}
        if into is BatchState.CANCELLED:
            values["ended_at"] = now
        if into is BatchState.RUNNING:
            values |= {"begun_at": now, "ended_at": None}
        return self._connection.execute(sa.update(batches).where(condition).values(**values)).rowcount == 1

    def complete(self, batch_id: str, *, now: datetime) -> bool:
        """Under the batch's lock, so that nobody makes or revives an item meanwhile."""
        batch = self.get(batch_id, lock=True)
        if batch is None or batch.state is not BatchState.RUNNING or batch.listed_at is None:
            return False
        still_open = sa.select(sa.literal(1)).where(_i.batch_id == batch_id, is_open()).limit(1)
        if self._connection.scalar(still_open) is not None:
            return False
        values = {"state": BatchState.READY.value, "updated_at": now, "ended_at": now}
        self._connection.execute(sa.update(batches).where(_b.batch_id == batch_id).values(**values))
        return True

    def preview(self, selection: Selection, *, moment: datetime) -> Preview:
        """Counted by the database."""
        of = Selected(selection, moment)
        chosen = sa.select(t.subjects.c.subject_id, *of.columns).select_from(of.source).where(*of.conditions)
        found = chosen.add_columns(
            selfies_of_template().label("pictures"), evidence_of_template().label("evidence")
        ).subquery()
        c = found.c
        # Grouped by what it is, so that nobody is looked up twice.
        kinds = (c.model, c.calibration, c.pictures, c.evidence)
        rows = self._connection.execute(sa.select(*kinds, sa.func.count().label("n")).group_by(*kinds)).all()
        selected = sum(row.n for row in rows)
        models: Counter[tuple[str, str]] = Counter()
        for row in rows:
            models[row.model, row.calibration] += row.n
        unknown = 0
        if selection.subjects is not None:
            unknown = len(set(selection.subjects)) - selected
        return Preview(
            selected=selected,
            selfies=sum(row.n for row in rows if row.pictures),
            evidence=sum(row.n for row in rows if row.evidence),
            nothing=sum(row.n for row in rows if not (row.pictures or row.evidence)),
            unknown=unknown,
            models=dict(models),
        )

    def list_page(self, batch_id: str, *, limit: int, now: datetime) -> int | None:
        """The batch's row is the lock; whoever finds it taken has nothing to do here."""
        locked = sa.select(batches).where(_b.batch_id == batch_id).with_for_update(skip_locked=True)
        row = self._connection.execute(locked).one_or_none()
        if row is None:
            return None
        batch = batch_of(row)
        if batch.state is not BatchState.RUNNING or batch.listed_at is not None:
            return None
        query = selected_by(batch).where(t.subjects.c.subject_id > batch.cursor)
        made = self._insert_items(batch_id, query.order_by(t.subjects.c.subject_id).limit(limit), now)
        values: dict[str, Any] = {}
        if made:
            # By the database, whose order of names is not Python's.
            last = sa.select(sa.func.max(_i.subject_id)).where(_i.batch_id == batch_id)
            values["cursor"] = self._connection.scalar(last)
        if made < limit:
            # The name of a subject: with its row at the latest it has to go, and nobody reads it any more.
            values |= {"listed_at": now, "cursor": ""}
        self._connection.execute(sa.update(batches).where(_b.batch_id == batch_id).values(**values))
        return made

    def _insert_items(self, batch_id: str, subjects: sa.Select[str], now: datetime) -> int:
        """One statement, however many they are."""
        chosen = subjects.subquery()
        fields = {
            "batch_id": sa.literal(batch_id),
            "subject_id": chosen.c.subject_id,
            "state": sa.literal(ItemState.WAITING.value),
            "attempts": sa.literal(0),
            "at": sa.literal(now, UtcDateTime),
            "reason": sa.literal(""),
        }
        made = sa.insert(batch_items).from_select(list(fields), sa.select(*fields.values()))
        return self._connection.execute(made.execution_options(preserve_rowcount=True)).rowcount

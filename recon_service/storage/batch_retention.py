"""The end of ended batches: first their counts are put into the batch's own row, then their items go, in
pages.

A batch is closed under its row's lock, so that nobody activates it or rolls it back meanwhile; after that
both are refused. It is not closed while one of its templates could still change places with another.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from recon_service.application.records.batches import BatchState, ItemState, Standing, Tally
from recon_service.application.records.templates import TemplateState
from recon_service.storage import tables as t
from recon_service.storage.batch_rows import is_open
from recon_service.storage.batch_tables import batch_items, batches

_b, _i, _t = batches.c, batch_items.c, t.templates.c
ENDED = (BatchState.CANCELLED.value, BatchState.ACTIVE.value, BatchState.ROLLED_BACK.value)


def closable(
    connection: sa.Connection, ended_before: datetime, limit: int, *, only: str | None = None
) -> list[str]:
    """Batches that may be closed. A batch that is ready is no ended one: it waits for somebody to judge it.
    only: this one, its row locked. Without, it is a look that keeps nobody waiting: all items of a batch may
    have to be read for it.
    """
    old = (
        sa.select(_b.batch_id)
        .where(_b.state.in_(ENDED), _b.updated_at < ended_before, _b.items_gone_at.is_(None))
        .order_by(_b.updated_at)
        .limit(limit)
    )
    if only is not None:
        old = old.where(_b.batch_id == only).with_for_update(skip_locked=True)
    # One by one, each by its own index: usually there is none, and nothing is read then.
    return [one for one in connection.scalars(old).all() if not _may_change(connection, one)]


def _may_change(connection: sa.Connection, batch_id: str) -> bool:
    """Whether an item is open, or a candidate or a former template could still come into force."""
    retired = _t.state == TemplateState.RETIRED.value
    # One that is about to be activated again has the standing of a candidate.
    again = _i.standing.in_((Standing.ROLLED_BACK.value, Standing.CANDIDATE.value)) & retired
    way_on = (_t.template_id == _i.template_id) & ((_t.state == TemplateState.CANDIDATE.value) | again)
    way_back = (_t.template_id == _i.former_id) & retired
    return any(
        connection.scalar(sa.select(sa.literal(1)).where(_i.batch_id == batch_id, one).limit(1)) is not None
        for one in (is_open(), sa.exists().where(way_on), sa.exists().where(way_back))
    )


def close(connection: sa.Connection, batch_id: str, tally: Tally, now: datetime) -> Tally:
    """Keep the counts. Returns them."""
    counts = {name: dict(getattr(tally, name)) for name in Tally.__slots__}
    closed = {"items_gone_at": now, "counts": counts}
    connection.execute(sa.update(batches).where(_b.batch_id == batch_id).values(**closed))
    return tally


def tally_of(counts: Mapping[str, Mapping[str, int]]) -> Tally:
    """As it was kept."""
    return Tally(
        {ItemState(name): n for name, n in counts["states"].items()},
        {Standing(name): n for name, n in counts["standings"].items()},
        dict(counts["reasons"]),
        dict(counts["materials"]),
    )


def destroy_items(connection: sa.Connection, limit: int) -> int:
    """A page of them, of one batch."""
    # First the batch, by an index: a page of whatever belongs to closed batches might be looked for in vain
    # among all items of all others.
    left = sa.exists().where(_i.batch_id == _b.batch_id)
    closed = sa.select(_b.batch_id).where(_b.items_gone_at.is_not(None), left).limit(1)
    batch_id = connection.scalar(closed)
    if batch_id is None:
        return 0
    mine = _i.batch_id == batch_id
    page = sa.select(_i.subject_id).where(mine).limit(limit)
    return connection.execute(sa.delete(batch_items).where(mine, _i.subject_id.in_(page))).rowcount


def destroy_closed(connection: sa.Connection, closed_before: datetime, limit: int) -> list[str]:
    """Without a trace but the audit log's."""
    left = sa.exists().where(_i.batch_id == _b.batch_id)
    old = sa.select(_b.batch_id).where(_b.items_gone_at < closed_before, ~left).limit(limit)
    gone = list(connection.scalars(old))
    connection.execute(sa.delete(batches).where(_b.batch_id.in_(gone)))
    return gone

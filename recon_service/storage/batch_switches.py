"""Exchanging the templates of many subjects: each subject's in one step, a page of subjects per transaction.

The batch's row is the lock, so that one runner at a time does it; then keys, in the order of their subjects.
A subject who got another template meanwhile, by an enrollment or an operator, keeps that one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from recon_service.application.ports.batches import Switched
from recon_service.application.records.batches import BatchState, ItemState, Standing
from recon_service.application.records.templates import TemplateOrigin, TemplateState
from recon_service.storage import tables as t
from recon_service.storage.batch_tables import batch_items, batches
from recon_service.storage.templates import count_changes

_b, _i, _t = batches.c, batch_items.c, t.templates.c
NOTHING = Switched((), 0)
_NEVER_IN_FORCE = (Standing.CANDIDATE.value, Standing.SUPERSEDED.value)


class _Version(NamedTuple):
    subject_id: str
    template_id: str
    parent_id: str | None
    origin: str
    state: str


class _Item(NamedTuple):
    subject_id: str
    template_id: str
    former_id: str | None


_Rule = Callable[[_Item, Mapping[str, _Version]], tuple[str, str] | None]


def begin(connection: sa.Connection, batch_id: str, into: Standing, limit: int) -> int:
    """What an earlier attempt had to leave is looked at again: a page of it; how many."""
    if into is Standing.ACTIVATED:
        left: sa.ColumnElement[bool] = _i.standing.in_(
            (Standing.SUPERSEDED.value, Standing.ROLLED_BACK.value)
        )
        again = Standing.CANDIDATE
    else:
        left = (_i.standing == Standing.SUPERSEDED.value) & _i.former_id.is_not(None)
        again = Standing.ACTIVATED
    ours = (_i.batch_id == batch_id) & (_i.state == ItemState.SUCCEEDED.value)
    page = connection.scalars(sa.select(_i.subject_id).where(ours, left).limit(limit).with_for_update()).all()
    change = sa.update(batch_items).where(ours, _i.subject_id.in_(page))
    return connection.execute(change.values(standing=again.value)).rowcount


def activate(connection: sa.Connection, batch_id: str, limit: int, now: datetime) -> Switched:
    """Candidates take the place of the templates that they were derived from."""
    page = _page(connection, batch_id, BatchState.ACTIVATING, Standing.CANDIDATE, limit)
    if not page:
        return NOTHING
    exchanged, left = _pairs(connection, page, _replaceable)
    _exchange(connection, exchanged, now)
    parent = sa.select(_t.parent_id).where(_t.template_id == _i.template_id).scalar_subquery()
    _mark(connection, batch_id, exchanged, Standing.ACTIVATED, former_id=parent)
    _leave(connection, batch_id, left)
    return Switched(tuple(exchanged), len(page))


def roll_back(connection: sa.Connection, batch_id: str, limit: int, now: datetime) -> Switched:
    """The former templates take the place of the candidates, and of what was strengthened upon them."""
    page = _page(connection, batch_id, BatchState.ROLLING_BACK, Standing.ACTIVATED, limit)
    if not page:
        return NOTHING
    exchanged, left = _pairs(connection, page, _returnable)
    _exchange(connection, exchanged, now)
    _mark(connection, batch_id, exchanged, Standing.ROLLED_BACK, former_id=None)
    _leave(connection, batch_id, left)
    return Switched(tuple(exchanged), len(page))


def destroy_candidates(
    connection: sa.Connection, ended_before: datetime, limit: int
) -> list[tuple[str, str]]:
    """Of batches that were cancelled, or activated without them; subject and template of each."""
    over = (BatchState.CANCELLED.value, BatchState.ACTIVE.value, BatchState.ROLLED_BACK.value)
    query = (
        sa.select(_i.batch_id, _i.subject_id, _i.template_id)
        .select_from(
            batch_items.join(batches, _b.batch_id == _i.batch_id).join(
                t.templates, _t.template_id == _i.template_id
            )
        )
        .where(_b.state.in_(over), _b.updated_at < ended_before)
        # By the index: of all others no template is a candidate.
        .where(_i.state == ItemState.SUCCEEDED.value, _i.standing.in_(_NEVER_IN_FORCE))
        .where(_t.state == TemplateState.CANDIDATE.value)
        .limit(limit)
    )
    found = connection.execute(query).all()
    if not found:
        return []
    gone = _destroy(connection, [row.template_id for row in found])
    connection.execute(
        sa.update(batch_items)
        .where(_i.batch_id.in_({row.batch_id for row in found}))
        .where(_i.subject_id.in_([subject_id for subject_id, _ in gone]))
        .where(_i.template_id.in_([template_id for _, template_id in gone]))
        .values(template_id=None, standing=None)
    )
    return gone


def destroy_superseded(connection: sa.Connection, superseded: Sequence[str]) -> None:
    """Candidates that nothing speaks of any more once their items are derived anew."""
    if superseded:
        _destroy(connection, superseded)


def _destroy(connection: sa.Connection, candidates: Sequence[str]) -> list[tuple[str, str]]:
    """Those that are candidates to this moment: somebody may have activated one of them, and its item still
    speaks of it then.
    """
    still = (_t.state == TemplateState.CANDIDATE.value) & _t.template_id.in_(candidates)
    gone = connection.execute(
        sa.delete(t.templates).where(still).returning(_t.subject_id, _t.template_id)
    ).all()
    count_changes(connection, [row.subject_id for row in gone])
    return [(row.subject_id, row.template_id) for row in gone]


def _page(
    connection: sa.Connection, batch_id: str, state: BatchState, standing: Standing, limit: int
) -> list[_Item]:
    """The next items, with the batch's row and the subjects' keys locked."""
    ours = (_b.batch_id == batch_id) & (_b.state == state.value)
    if connection.scalar(sa.select(_b.batch_id).where(ours).with_for_update()) is None:
        return []
    chosen = (_i.batch_id == batch_id) & (_i.state == ItemState.SUCCEEDED.value)
    query = sa.select(_i.subject_id).where(chosen, _i.standing == standing.value).limit(limit)
    subjects = list(connection.scalars(query))
    k = t.subject_keys.c
    keys = sa.select(k.subject_id).where(k.subject_id.in_(subjects)).order_by(k.subject_id)
    connection.execute(keys.with_for_update()).all()
    # Deleted subjects have no items any more.
    items = sa.select(_i.subject_id, _i.template_id, _i.former_id).where(chosen, _i.subject_id.in_(subjects))
    return [_Item(*row) for row in connection.execute(items.with_for_update())]


def _pairs(
    connection: sa.Connection, page: Sequence[_Item], rule: _Rule
) -> tuple[list[tuple[str, str, str]], list[str]]:
    """What to exchange (subject, template before, template after), and the subjects to leave as they are."""
    versions = _versions(connection, [item.subject_id for item in page])
    exchanged, left = [], []
    for item in page:
        pair = rule(item, versions.get(item.subject_id, {}))
        if pair is None:
            left.append(item.subject_id)
        else:
            exchanged.append((item.subject_id, *pair))
    return exchanged, left


def _versions(connection: sa.Connection, subjects: Sequence[str]) -> dict[str, dict[str, _Version]]:
    columns = (_t.subject_id, _t.template_id, _t.parent_id, _t.origin, _t.state)
    found: dict[str, dict[str, _Version]] = {}
    for row in connection.execute(sa.select(*columns).where(_t.subject_id.in_(subjects))):
        found.setdefault(row.subject_id, {})[row.template_id] = _Version(*row)
    return found


def _active(versions: Mapping[str, _Version]) -> _Version | None:
    return next((v for v in versions.values() if v.state == TemplateState.ACTIVE.value), None)


def _replaceable(item: _Item, versions: Mapping[str, _Version]) -> tuple[str, str] | None:
    """(in force, candidate), where the candidate was derived from what is in force."""
    candidate, active = versions.get(item.template_id), _active(versions)
    if candidate is None or active is None or candidate.parent_id != active.template_id:
        return None
    return active.template_id, candidate.template_id


def _returnable(item: _Item, versions: Mapping[str, _Version]) -> tuple[str, str] | None:
    """(in force, former), where what is in force is the batch's own or stands upon it."""
    active, former = _active(versions), versions.get(item.former_id or "")
    if active is None or former is None or not _stands_on(active, item.template_id, versions):
        return None
    return active.template_id, former.template_id


def _stands_on(active: _Version, candidate: str, versions: Mapping[str, _Version]) -> bool:
    """Whether it is the candidate, or was strengthened from it."""
    seen: set[str] = set()
    while active.template_id != candidate:
        parent = versions.get(active.parent_id or "")
        if (
            active.origin != TemplateOrigin.STRENGTHENING.value
            or parent is None
            or active.template_id in seen
        ):
            return False
        seen.add(active.template_id)
        active = parent
    return True


def _exchange(connection: sa.Connection, exchanged: Sequence[tuple[str, str, str]], now: datetime) -> None:
    """Retire first: at no moment may a subject have two. Nothing else of a template changes."""
    if not exchanged:
        return
    connection.execute(
        sa.update(t.templates)
        .where(_t.template_id.in_([before for _, before, _ in exchanged]))
        .values(state=TemplateState.RETIRED.value, retired_at=now)
    )
    connection.execute(
        sa.update(t.templates)
        .where(_t.template_id.in_([after for _, _, after in exchanged]))
        .values(state=TemplateState.ACTIVE.value, activated_at=now, retired_at=None)
    )
    count_changes(connection, [subject for subject, _, _ in exchanged])


def _mark(
    connection: sa.Connection,
    batch_id: str,
    exchanged: Sequence[tuple[str, str, str]],
    standing: Standing,
    *,
    former_id: sa.ScalarSelect[str | None] | None,
) -> None:
    subjects = [subject for subject, _, _ in exchanged]
    connection.execute(
        sa.update(batch_items)
        .where(_i.batch_id == batch_id, _i.subject_id.in_(subjects))
        .values(standing=standing.value, former_id=former_id)
    )


def _leave(connection: sa.Connection, batch_id: str, subjects: Sequence[str]) -> None:
    connection.execute(
        sa.update(batch_items)
        .where(_i.batch_id == batch_id, _i.subject_id.in_(subjects))
        .values(standing=Standing.SUPERSEDED.value)
    )

"""Re-enrolling many: asking for a batch, looking at it, and steering it. Working on it is in
``batch_runs.py``.

A batch is a row; its items are made in pages while it is worked on. Nothing that it makes is in force
before it is activated, and what it replaced can be put in force again as it was, until retention destroys
it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from recon_service.application.keeping.audit import record
from recon_service.application.keeping.pages import PAGES, ROWS, in_pages
from recon_service.application.notifying.webhooks import batch_ended, emit
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores
from recon_service.application.records.batches import (
    Batch,
    BatchItem,
    BatchState,
    BatchTarget,
    ItemState,
    Material,
    Preview,
    Selection,
    Standing,
    Tally,
)
from recon_service.application.records.identifiers import check_subject_id, new_id
from recon_service.application.reenrolling.models import ALIVE_FOR, serves
from recon_service.domain.errors import Conflict, InvalidValue, NotFound, StorageFault

MAX_PAGE: Final = 1000
RATE_WINDOW: Final = timedelta(seconds=60)
CLOSED_AT_ONCE: Final = 5
"""Pages of items that whoever cancels waits for."""

_OUT_OF: Final[Mapping[BatchState, tuple[BatchState, ...]]] = {
    BatchState.PAUSED: (BatchState.RUNNING,),
    BatchState.RUNNING: (BatchState.PAUSED,),
    BatchState.CANCELLED: (BatchState.RUNNING, BatchState.PAUSED),
    BatchState.ACTIVATING: (
        BatchState.READY,
        BatchState.CANCELLED,
        BatchState.ACTIVE,
        BatchState.ROLLED_BACK,
    ),
    BatchState.ROLLING_BACK: (BatchState.ACTIVATING, BatchState.ACTIVE),
}
"""From which states an operator may bring a batch into another."""
_SWITCHES: Final = {
    BatchState.ACTIVATING: Standing.ACTIVATED,
    BatchState.ROLLING_BACK: Standing.ROLLED_BACK,
}
_RETRIED_FROM: Final = (
    BatchState.RUNNING,
    BatchState.PAUSED,
    BatchState.READY,
    BatchState.ACTIVE,
    BatchState.ROLLED_BACK,
)


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """A batch with its counts. per_second: items ended within the last minute; None: it does not run.
    seconds_left: at that rate; None: cannot be told. blocked: it runs, and no worker that is alive can
    serve it.
    """

    batch: Batch
    tally: Tally
    per_second: float | None = None
    seconds_left: float | None = None
    blocked: bool = False


def preview_batch(selection: Selection, target: BatchTarget, *, on: Stores) -> Preview:
    """What a batch would find now; nothing is kept. Raises InvalidValue."""
    _check(selection)
    with on.database.snapshot() as tx:
        return _fitting(tx.batches.preview(selection, moment=on.clock()), target)


def submit_batch(
    selection: Selection, target: BatchTarget, *, priority: int, actor: str, on: Stores
) -> tuple[Batch, Preview]:
    """Put a batch on record; workers begin by themselves. Raises InvalidValue: nobody is selected, or a
    subject id is none.
    """
    _check(selection)
    now = on.clock()
    with on.database.transaction() as tx:
        found = tx.batches.preview(selection, moment=now)
        if not found.selected:
            raise InvalidValue(
                "the selection has no subject with a template in force",
                next_step='Look first what it has: the same request with "dry_run": true.',
            )
        listed = selection.subjects is not None
        batch = Batch(
            batch_id=new_id("batch"),
            state=BatchState.RUNNING,
            selection=selection,
            target=target,
            priority=priority,
            created_by=actor,
            moment=now,
            updated_at=now,
            expected=found.selected,
            listed_at=now if listed else None,
            begun_at=now,
        )
        tx.batches.add(batch, subjects=selection.subjects)
        said = (f"expected={found.selected}", f"backend={target.backend}")
        record(tx, on=on, action="batch.submitted", actor=actor, object_id=batch.batch_id, outcome=said)
    return batch, _fitting(found, target)


def look_at_batch(batch_id: str, *, on: Stores) -> BatchProgress:
    """The batch with its counts. Raises NotFound."""
    with on.database.snapshot() as tx:
        return _progress(_existing(batch_id, tx), tx, on.clock())


def list_batches(*, on: Stores, limit: int = 50, before: datetime | None = None) -> list[BatchProgress]:
    """Newest first."""
    with on.database.snapshot() as tx:
        found = tx.batches.newest(limit=min(max(limit, 1), MAX_PAGE), before=before)
        return [_progress(batch, tx, on.clock()) for batch in found]


def list_items(
    batch_id: str,
    *,
    on: Stores,
    state: ItemState | None = None,
    standing: Standing | None = None,
    after: str = "",
    limit: int = 100,
) -> Sequence[BatchItem]:
    """A page of items, in the order of their subjects. Raises NotFound."""
    with on.database.snapshot() as tx:
        _existing(batch_id, tx)
        size = min(max(limit, 1), MAX_PAGE)
        return tx.batch_items.items(batch_id, state=state, standing=standing, after=after, limit=size)


def pause_batch(batch_id: str, *, actor: str, on: Stores) -> Batch:
    """Nothing more is begun; what is under way ends. Raises NotFound, Conflict."""
    return _changed(batch_id, BatchState.PAUSED, "batch.paused", actor, on)


def resume_batch(batch_id: str, *, actor: str, on: Stores) -> Batch:
    """It goes on where it was. Raises NotFound, Conflict."""
    return _changed(batch_id, BatchState.RUNNING, "batch.resumed", actor, on)


def cancel_batch(batch_id: str, *, actor: str, on: Stores) -> Batch:
    """Nothing more is begun, for good; what succeeded may be activated. Raises NotFound, Conflict."""
    return _changed(batch_id, BatchState.CANCELLED, "batch.cancelled", actor, on)


def activate_batch(batch_id: str, *, actor: str, on: Stores) -> Batch:
    """Its candidates take the place of the templates in force, subject by subject. Raises NotFound,
    Conflict.
    """
    return _changed(batch_id, BatchState.ACTIVATING, "batch.activated", actor, on)


def roll_back_batch(batch_id: str, *, actor: str, on: Stores) -> Batch:
    """The former templates take their place again, as they were. Raises NotFound, Conflict."""
    return _changed(batch_id, BatchState.ROLLING_BACK, "batch.rolled-back", actor, on)


def retry_failed_items(batch_id: str, *, actor: str, on: Stores) -> tuple[Batch, int]:
    """Items that failed, and those whose subject got another template meanwhile, wait again; how many. Raises
    NotFound, Conflict.
    """
    with on.database.transaction() as tx:
        batch = _existing(batch_id, tx, lock=True)
        if batch.state not in _RETRIED_FROM or batch.items_gone_at is not None:
            raise _not_now(batch)
        tally = tx.batch_items.tally(batch_id)
        count = tally.states.get(ItemState.FAILED, 0) + tally.standings.get(Standing.SUPERSEDED, 0)
        _retry_page(batch, tx, min(count, ROWS), on)
        said = (f"items={count}",)
        record(tx, on=on, action="batch.retried", actor=actor, object_id=batch_id, outcome=said)
    # No more than there were: what fails again meanwhile does not come a second time.
    left = count - ROWS
    while left > 0:
        with on.database.transaction() as tx:
            batch = _existing(batch_id, tx, lock=True)
            if batch.state not in _RETRIED_FROM or not _retry_page(batch, tx, min(left, ROWS), on):
                break
        left -= ROWS
    with on.database.snapshot() as tx:
        return _existing(batch_id, tx), count


def _retry_page(batch: Batch, tx: Transaction, limit: int, on: Stores) -> int:
    """They wait, and the batch runs, in one transaction."""
    now = on.clock()
    count = tx.batch_items.retry_failed(batch.batch_id, now=now, limit=limit)
    if count and batch.state not in (BatchState.RUNNING, BatchState.PAUSED):
        tx.batches.change(batch.batch_id, into=BatchState.RUNNING, out_of=_RETRIED_FROM, now=now)
    return count


def _changed(batch_id: str, into: BatchState, action: str, actor: str, on: Stores) -> Batch:
    now = on.clock()
    if into in _SWITCHES:
        _begin_switch(batch_id, into, on)
    with on.database.transaction() as tx:
        batch = _existing(batch_id, tx, lock=True)
        if batch.state is into:
            return batch
        if not tx.batches.change(batch_id, into=into, out_of=_OUT_OF[into], now=now):
            raise _not_now(batch)
        if into is BatchState.CANCELLED:
            emit(tx, batch_ended(batch, into, _without_waiting(tx.batch_items.tally(batch_id))), now=now)
        elif into is BatchState.ACTIVATING:
            tally = tx.batch_items.tally(batch_id)
            if not (tally.states.get(ItemState.SUCCEEDED) or tally.open):
                raise Conflict(
                    "the batch made no template", next_step="Look at its items: why did they fail?"
                )
        record(tx, on=on, action=action, actor=actor, object_id=batch_id)
        changed = _existing(batch_id, tx)
    if into is BatchState.CANCELLED:
        with suppress(StorageFault):  # the sweeper of a runner does what is left
            in_pages(_closing(batch_id, now), on=on, pages=CLOSED_AT_ONCE)
    return changed


def _begin_switch(batch_id: str, into: BatchState, on: Stores) -> None:
    """What an earlier switch had to leave is looked at again. Before the state says that there is a switch:
    runners would not wait for the last page.
    """

    def page(tx: Transaction, limit: int) -> int:
        batch = _existing(batch_id, tx, lock=True)
        if batch.state not in _OUT_OF[into]:
            return 0
        return tx.batch_items.begin_switch(batch_id, into=_SWITCHES[into], limit=limit)

    while in_pages(page, on=on) >= ROWS * PAGES:
        pass


def _closing(batch_id: str, now: datetime) -> Callable[[Transaction, int], int]:
    return lambda tx, limit: tx.batch_items.close_open(batch_id, stale_before=None, now=now, limit=limit)


def _without_waiting(tally: Tally) -> Tally:
    """As it will be when all that waits is cancelled, which may take more than one transaction."""
    states = Counter(tally.states)
    states[ItemState.CANCELLED] += states.pop(ItemState.WAITING, 0)
    return replace(tally, states=states)


def _existing(batch_id: str, tx: Transaction, *, lock: bool = False) -> Batch:
    batch = tx.batches.get(batch_id, lock=lock)
    if batch is None:
        raise NotFound("there is no such batch", next_step="List them: GET /v1/batches.")
    return batch


def _not_now(batch: Batch) -> Conflict:
    if batch.items_gone_at is not None:
        return Conflict(
            "the batch's items were destroyed by retention, there is no way on or back",
            next_step="Submit another batch; RECON_BATCH_DAYS says how long items are kept.",
        )
    return Conflict(
        f"the batch is {batch.state.value}, which does not allow that",
        next_step="Look at it, and wait for its end, pause it or cancel it first.",
    )


def _check(selection: Selection) -> None:
    for subject_id in selection.subjects or ():
        check_subject_id(subject_id)


def _fitting(found: Preview, target: BatchTarget) -> Preview:
    """``nothing`` as the target's materials have it."""
    if Material.POSTERIOR in target.materials:
        return _with_nothing(found, 0)
    if Material.EVIDENCE not in target.materials:
        return _with_nothing(found, found.selected - found.selfies)
    if Material.SELFIES not in target.materials:
        return _with_nothing(found, found.selected - found.evidence)
    return found


def _with_nothing(found: Preview, nothing: int) -> Preview:
    return Preview(found.selected, found.selfies, found.evidence, nothing, found.unknown, found.models)


def _progress(batch: Batch, tx: Transaction, now: datetime) -> BatchProgress:
    tally = tx.batch_items.tally(batch.batch_id)
    if batch.state is not BatchState.RUNNING or batch.begun_at is None:
        return BatchProgress(batch, tally)
    window = min(RATE_WINDOW, max(now - batch.begun_at, timedelta(seconds=1)))
    ended = tx.batch_items.ended_since(batch.batch_id, now - window)
    rate = ended / window.total_seconds()
    total = tally.listed if batch.listed_at is not None else max(batch.expected, tally.listed)
    left = (total - tally.done) / rate if rate > 0 else None
    workers = tx.workers.alive(since=now - ALIVE_FOR)
    return BatchProgress(
        batch,
        tally,
        per_second=round(rate, 3),
        seconds_left=None if left is None else round(left, 1),
        # A worker that has not yet said what it runs may well be able to.
        blocked=not any(w.models is None or serves(batch, w.models) for w in workers if not w.problem),
    )

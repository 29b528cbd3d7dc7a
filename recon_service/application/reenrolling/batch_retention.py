"""What stays of batches that came to their end: for a while everything, then the counts, then, where that is
asked for, nothing but the audit log.

While a candidate can be activated or a former template be put in force again, everything stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from recon_service.application.keeping.audit import SERVICE, record, record_many
from recon_service.application.keeping.pages import in_pages
from recon_service.application.ports.stores import Stores

CLOSED_AT_ONCE: Final = 20


@dataclass(frozen=True, slots=True)
class BatchRetention:
    """items: how long items are kept after a batch's end. counts: how long its line with the counts is kept
    after that, None: for ever.
    """

    items: timedelta = timedelta(days=90)
    counts: timedelta | None = None


@dataclass(frozen=True, slots=True)
class ForgottenOfBatches:
    """closed: batches whose items are not needed any more. items: destroyed. batches: destroyed."""

    closed: tuple[str, ...]
    items: int
    batches: tuple[str, ...]


def forget_ended_batches(*, on: Stores, retention: BatchRetention) -> ForgottenOfBatches:
    """So much of what is due; the next call does more. Raises StorageFault."""
    now = on.clock()
    ended_before = now - retention.items
    with on.database.snapshot() as tx:
        due = tx.batch_items.closable(ended_before=ended_before, limit=CLOSED_AT_ONCE)
    closed = []
    for batch_id in due:
        with on.database.transaction() as tx:
            tally = tx.batch_items.close(batch_id, ended_before=ended_before, now=now)
            if tally is None:
                continue
            closed.append(batch_id)
            said = tuple(f"{state.value}={n}" for state, n in tally.states.items() if n)
            record(tx, on=on, action="batch.items-expired", actor=SERVICE, object_id=batch_id, outcome=said)
    items = in_pages(lambda tx, limit: tx.batch_items.destroy_items(limit=limit), on=on)
    gone: list[str] = []
    if retention.counts is not None:
        with on.database.transaction() as tx:
            gone = tx.batch_items.destroy_closed(closed_before=now - retention.counts, limit=CLOSED_AT_ONCE)
            record_many(tx, [("", one, "") for one in gone], on=on, action="batch.expired", actor=SERVICE)
    return ForgottenOfBatches(tuple(closed), items, tuple(gone))

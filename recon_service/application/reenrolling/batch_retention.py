"""What stays of batches that came to their end: for a while everything, then the counts, then, where that is
asked for, nothing but the audit log.

While a candidate can be activated or a former template be put in force again, everything stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from recon_service.application.keeping.audit import SERVICE, record_many
from recon_service.application.ports.stores import Stores

CLOSED_AT_ONCE: Final = 20
ITEMS_AT_ONCE: Final = 2000


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
    """One page of everything that is due; the next call does the next one. Raises StorageFault."""
    now = on.clock()
    with on.database.transaction() as tx:
        ended_before = now - retention.items
        closed = tx.batch_items.close(ended_before=ended_before, limit=CLOSED_AT_ONCE, now=now)
        said = [
            ("", batch_id, " ".join(f"{state.value}={n}" for state, n in tally.states.items() if n))
            for batch_id, tally in closed.items()
        ]
        record_many(tx, said, on=on, action="batch.items-expired", actor=SERVICE)
    with on.database.transaction() as tx:
        items = tx.batch_items.destroy_items(limit=ITEMS_AT_ONCE)
    gone: list[str] = []
    if retention.counts is not None:
        with on.database.transaction() as tx:
            gone = tx.batch_items.destroy_closed(closed_before=now - retention.counts, limit=CLOSED_AT_ONCE)
            record_many(tx, [("", one, "") for one in gone], on=on, action="batch.expired", actor=SERVICE)
    return ForgottenOfBatches(tuple(closed), items, tuple(gone))

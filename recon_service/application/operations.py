"""Operations: looking one up, reporting its progress, and taking up after a crash what was open."""

from __future__ import annotations

import time
from datetime import datetime

from recon_service.application.ports import JobQueue, Progress, Stores
from recon_service.application.records import Claim, Operation
from recon_service.domain.errors import NotFound

PROGRESS_INTERVAL_S = 0.1


def get_operation(operation_id: str, *, on: Stores) -> Operation:
    """The operation as it stands. Raises NotFound."""
    with on.database.snapshot() as tx:
        operation = tx.operations.get(operation_id)
    if operation is None:
        raise NotFound(
            "there is no such operation",
            next_step="It ends with its subject: a deleted subject has no operations any more.",
        )
    return operation


def recover_open_operations(queue: JobQueue, *, on: Stores, stale_before: datetime | None) -> int:
    """Publish again every operation that waits or whose worker is gone; how many.

    stale_before: workers silent since then are taken for dead. None: every worker is dead, because this
    process is the only one and has just started. Publishing twice does no harm: an operation is claimed
    once.
    """
    with on.database.transaction() as tx:
        tx.operations.requeue_running(now=on.clock(), stale_before=stale_before)
        waiting = tx.operations.queued()
    for operation_id in waiting:
        queue.publish_enrollment(operation_id)
    return len(waiting)


def clean_up_after_crash(*, on: Stores) -> int:
    """Remove what a killed process left half done: reservations and objects that no row speaks of; how many
    objects.

    Only for a process that is alone with its stores.
    """
    with on.database.transaction() as tx:
        tx.idempotency.release_in_flight()
        known = tx.selfies.object_keys()
    orphans = [key for key in on.objects.list_keys() if key not in known]
    for key in orphans:
        on.objects.delete(key)
    return len(orphans)


def progress_to_database(claim: Claim, *, on: Stores) -> Progress:
    """Writes progress when the stage changes or the last time is long enough ago: each write is a commit."""
    last_stage, last_time = "", 0.0

    def report(stage: str, share: float) -> None:
        nonlocal last_stage, last_time
        now = time.monotonic()
        if stage == last_stage and now - last_time < PROGRESS_INTERVAL_S:
            return
        last_stage, last_time = stage, now
        with on.database.transaction() as tx:
            tx.operations.report(claim, stage=stage, progress=min(max(share, 0.0), 1.0), now=on.clock())

    return report

"""Operations: looking one up, reporting its progress, looking at the queue, and raising the dead."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from recon_service.application.keeping.audit import SERVICE, operation_digest, record
from recon_service.application.ports.compute import Progress
from recon_service.application.ports.queue import JobQueue
from recon_service.application.ports.stores import Stores
from recon_service.application.records.operations import Claim, Lane, Operation, QueueState
from recon_service.domain.errors import Conflict, NotFound, StorageFault

PROGRESS_INTERVAL_S: Final = 0.5
MAX_LISTED: Final = 500


def operation_versions(operation_ids: Sequence[str], *, on: Stores) -> Mapping[str, int]:
    """Of those that are there; each change of an operation is another version."""
    with on.database.snapshot() as tx:
        return tx.operations.versions(operation_ids)


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


@contextmanager
def signs_of_life(claim: Claim, *, every: timedelta, on: Stores) -> Iterator[Progress]:
    """While the block runs, a thread tells the database that the worker lives, and how far it is by what was
    last said to the yielded function. Not at once: each is a commit, and of an enrollment that is over in a
    moment nobody reads them.

    Progress is news, not truth: when the database does not answer, the work goes on.
    """
    done = threading.Event()
    latest: tuple[str, float] | None = None

    def report(stage: str, share: float) -> None:
        nonlocal latest
        latest = (stage, min(max(share, 0.0), 1.0))

    def tell() -> None:
        told, last = None, time.monotonic()
        while not done.wait(PROGRESS_INTERVAL_S):
            news = latest
            if news == told and time.monotonic() - last < every.total_seconds():
                continue
            try:
                with on.database.transaction() as tx:
                    if news is None or news == told:
                        holds = tx.operations.beat(claim, now=on.clock())
                    else:
                        stage, share = news
                        holds = tx.operations.report(claim, stage=stage, progress=share, now=on.clock())
            except StorageFault:
                continue
            if not holds:
                return  # taken over: the last transaction will find out
            told, last = news, time.monotonic()

    thread = threading.Thread(target=tell, name="recon-heartbeat", daemon=True)
    thread.start()
    try:
        yield report
    finally:
        done.set()
        thread.join()


def queue_states(*, on: Stores) -> list[QueueState]:
    """What waits and works, lane by lane."""
    with on.database.snapshot() as tx:
        return [tx.operations.queue_state(lane, now=on.clock()) for lane in Lane]


def list_dead(*, on: Stores, limit: int = 100) -> list[Operation]:
    """Operations that were given up for a fault of ours, newest first."""
    with on.database.snapshot() as tx:
        return tx.operations.dead(limit=min(max(limit, 1), MAX_LISTED))


def retry_dead(operation_id: str, *, on: Stores, queue: JobQueue, actor: str = SERVICE) -> Operation:
    """A dead operation waits again, with all its attempts. Raises NotFound, Conflict (it is not dead)."""
    with on.database.transaction() as tx:
        revived = tx.operations.revive(operation_id, now=on.clock())
        if revived:
            name = operation_digest(operation_id, on=on)
            record(tx, on=on, action="enrollment.retried", actor=actor, object_id=name)
    operation = get_operation(operation_id, on=on)
    if not revived:
        raise Conflict(
            f"the operation is {operation.state.value} and not dead",
            next_step="Only an operation that was given up for a fault of ours can be tried again, and only "
            "while its selfies are kept; else enroll the subject again.",
        )
    queue.ring()
    return operation

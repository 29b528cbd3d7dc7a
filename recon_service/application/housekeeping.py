"""What keeps jobs moving whatever was lost on the way: the relay of the outbox and the sweeper.

Both may run in any number of processes at once, at any time, and be killed at any point.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from recon_service.application.enrolling.consents import ConsentPolicy
from recon_service.application.enrolling.enrollment_runs import JobPolicy, forget_selfies
from recon_service.application.keeping.audit import SERVICE, record
from recon_service.application.keeping.backoff import CLOCKS_DIFFER
from recon_service.application.keeping.objects import delete_doomed
from recon_service.application.keeping.pages import in_pages
from recon_service.application.keeping.selfies import SELFIE_PLACE
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.queue import JobQueue
from recon_service.application.ports.stores import Stores
from recon_service.application.reenrolling.batch_retention import BatchRetention, forget_ended_batches
from recon_service.application.searching.reference_feed import KEPT_CHANGES
from recon_service.application.templates.tombstones import export_tombstones
from recon_service.application.verifying.kiosk_sessions import SESSION_REMEMBERED
from recon_service.application.verifying.lockouts import REMEMBERED
from recon_service.domain.errors import StorageFault

RELAYED_AT_ONCE: Final = 50
SWEPT_AT_ONCE: Final = 500
EMPTY_BROKER_PATIENCE: Final = timedelta(seconds=5)
"""When the broker holds no message at all, what was published longer ago is lost, or about to be claimed."""
BUSY_BROKER_PATIENCE: Final = timedelta(minutes=10)
"""When it holds messages, nobody knows whose: publishing again does no harm but work."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what nobody uses is kept. dead: selfies of a given-up enrollment, for another try. retired:
    former versions of templates, to be activated again. replay: digests of captures. consent: what ends
    with the consent to it. probes: what recent verifications saw. batches: what is left of ended ones.
    """

    dead: timedelta = timedelta(hours=72)
    retired: timedelta = timedelta(days=30)
    replay: timedelta = timedelta(hours=24)
    consent: ConsentPolicy = field(default_factory=ConsentPolicy)
    probes: timedelta = timedelta(days=30)
    batches: BatchRetention = field(default_factory=BatchRetention)


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found. requeued: operations of workers that fell silent, or put back to a moment that only
    a wrong clock can have named; lost: messages that are published
    again; buried: dead operations whose selfies went; objects: deleted; stale: uploads that nobody finished;
    retired: versions of templates that nobody can take back any more.
    """

    requeued: int = 0
    lost: int = 0
    buried: int = 0
    objects: int = 0
    stale: int = 0
    retired: int = 0

    @property
    def anything(self) -> bool:
        """Whether it is worth a line in the log."""
        return any((self.requeued, self.lost, self.buried, self.objects, self.stale, self.retired))


def relay_outbox(queue: JobQueue, *, on: Stores) -> int:
    """Publish what waits in the outbox; how many.

    A message is published before its row says so: dying in between publishes it twice, which does no harm,
    and never not at all. Raises StorageFault; what was published before it is marked.
    """
    total = 0
    while True:
        published: list[str] = []
        fault: StorageFault | None = None
        with on.database.transaction() as tx:
            waiting = tx.operations.unpublished(now=on.clock(), limit=RELAYED_AT_ONCE)
            try:
                for operation_id, lane in waiting:
                    queue.publish_enrollment(operation_id, lane)
                    published.append(operation_id)
            except StorageFault as failed:
                fault = failed
            if published:
                tx.operations.mark_published(published, now=on.clock())
        total += len(published)
        if fault is not None:
            raise fault
        if len(waiting) < RELAYED_AT_ONCE:
            return total


def outbox_waits(*, on: Stores) -> bool:
    """Whether there is anything to relay, without a lock."""
    with on.database.snapshot() as tx:
        return bool(tx.operations.unpublished(now=on.clock(), limit=1, lock=False))


def sweep(
    queue: JobQueue,
    *,
    on: Stores,
    policy: JobPolicy,
    retention: Retention,
    clock_believed: bool = True,
    batches: bool = True,
) -> Swept:
    """Take up what was dropped, then forget what nobody needs any more: whatever keeps the second from
    happening must not keep jobs from going on. Raises StorageFault; the next sweep does the rest.

    clock_believed: False: nothing is destroyed that nobody could bring back (``steady_clock``). batches: look
    at ended ones too, which may mean to read all their items.
    """
    now = on.clock()
    with on.database.transaction() as tx:
        requeued = tx.operations.requeue_running(now=now, stale_before=now - policy.silence)
        requeued += tx.operations.bring_forward(now=now, latest=now + policy.longest_wait + CLOCKS_DIFFER)
        stale = tx.loose_objects.doom_stale(begun_before=now - policy.upload, now=now)
    lost = _republish_lost(queue, now, on=on)
    if requeued or lost:
        queue.ring()
    _forget_requests(now, on=on, retention=retention)
    buried = retired = 0
    if clock_believed:
        buried, retired = _forget_people(now, on=on, retention=retention)
    with on.database.snapshot() as tx:
        doomed = tx.loose_objects.doomed(limit=SWEPT_AT_ONCE)
    objects = delete_doomed(doomed, on=on)
    with suppress(StorageFault):  # the next sweep does it
        export_tombstones(on=on)
    if clock_believed and batches:
        forget_ended_batches(on=on, retention=retention.batches)
    return Swept(requeued, lost, buried, objects, stale, retired)


def _forget_requests(now: datetime, *, on: Stores, retention: Retention) -> None:
    """What requests have left behind, and means nothing any more."""

    def changes(tx: Transaction, limit: int) -> int:
        return tx.references.forget_changes(before=tx.references.head() - KEPT_CHANGES, limit=limit)

    def captures(tx: Transaction, limit: int) -> int:
        return tx.kiosk_sessions.expire(
            sessions_before=now - SESSION_REMEMBERED, captures_before=now - retention.replay, limit=limit
        )

    in_pages(lambda tx, limit: tx.idempotency.expire(now=now, limit=limit), on=on)
    in_pages(lambda tx, limit: tx.limits.forget(before=now - REMEMBERED, limit=limit), on=on)
    in_pages(captures, on=on)
    in_pages(changes, on=on)
    with on.database.transaction() as tx:
        tx.captures.expire(now=now, limit=SWEPT_AT_ONCE)


def _forget_people(now: datetime, *, on: Stores, retention: Retention) -> tuple[int, int]:
    """What was kept of people for a while; how many dead operations and former templates went."""
    probes_before = now - retention.probes
    in_pages(lambda tx, limit: tx.recent_probes.expire(before=probes_before, limit=limit), on=on)
    with on.database.transaction() as tx:
        buried = tx.operations.bury(dead_before=now - retention.dead, limit=SWEPT_AT_ONCE)
        for operation_id in buried:
            operation = tx.operations.get(operation_id)
            if operation is not None:
                forget_selfies(operation, tx, on)
        retired = tx.templates.destroy_retired(retired_before=now - retention.retired, limit=SWEPT_AT_ONCE)
        for subject_id, template_id in retired:
            record(
                tx,
                on=on,
                action="template.expired",
                actor=SERVICE,
                subject_id=subject_id,
                object_id=template_id,
            )
    return len(buried), len(retired)


def _republish_lost(queue: JobQueue, now: datetime, *, on: Stores) -> int:
    try:
        waiting = queue.waiting()
    except StorageFault:
        return 0  # a broker that does not answer has lost nothing yet
    if waiting is None:
        return 0
    patience = BUSY_BROKER_PATIENCE if waiting else EMPTY_BROKER_PATIENCE
    with on.database.transaction() as tx:
        return tx.operations.unpublish(published_before=now - patience, now=now)


def recover_alone(queue: JobQueue, *, on: Stores) -> tuple[int, int]:
    """For a process that is alone with its stores and has just started: nobody else works, no message is
    left. How many operations wait now, and how many objects that no row speaks of were deleted.
    """
    now = on.clock()
    with on.database.transaction() as tx:
        tx.idempotency.release_in_flight()
        tx.operations.requeue_running(now=now, stale_before=None)
        tx.operations.unpublish(published_before=None, now=now)
        tx.loose_objects.doom_stale(begun_before=now, now=now)
        waiting = len(tx.operations.queued())
        known = tx.selfies.object_keys()
    try:
        orphans = [key for key in on.objects.list_keys(f"{SELFIE_PLACE}/") if key not in known]
    except StorageFault:
        orphans = []  # a start must not fail for that; the next one looks again
    with on.database.transaction() as tx:
        tx.loose_objects.doom(orphans, now=now)
        # What stands there already may be no orphan of this listing, which may have failed.
        doomed = tx.loose_objects.doomed(limit=SWEPT_AT_ONCE)
    delete_doomed(sorted({*orphans, *doomed}), on=on)
    queue.ring()
    return waiting, len(orphans)

"""Relay and sweeper in two threads of a process that lives as long as the service or a worker."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from recon_service.application.enrolling.consents import sweep_consents
from recon_service.application.enrolling.enrollment_runs import JobPolicy
from recon_service.application.errors import StorageUnavailable
from recon_service.application.housekeeping import Retention, outbox_waits, relay_outbox, sweep
from recon_service.application.keeping.audit import SERVICE
from recon_service.application.keeping.audit_ends import note_end
from recon_service.application.keeping.revocations import reapply_revocations
from recon_service.application.keeping.steady_clock import ClockWatch
from recon_service.application.keeping.withdrawals import reapply_withdrawals
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.templates.restores import reapply_deletions, stored_receipts
from recon_service.domain.errors import ReconError
from worker.queue import CeleryQueue

RELAY_INTERVAL_S: Final = 1.0
"""How soon the relay notices what another process left in the outbox; its own are announced by the bell."""
SHUTDOWN_S: Final = 10.0
BATCHES_S: Final = 600.0
"""How often batches that ended long ago are looked at."""
NOTES_S: Final = 3600.0
"""How often the end of the audit log is noted, and what was revoked or withdrawn and could not be at its
time.
"""


class Housekeeper:
    """Start it once; ``stop`` waits for what is under way."""

    def __init__(
        self,
        stores: Stores,
        queue: CeleryQueue,
        policy: JobPolicy,
        *,
        sweep_s: float,
        retention: Retention,
        swept: Callable[[str, int], None] = lambda what, count: None,
    ) -> None:
        """swept: hears what a sweep took up, and how much of it."""
        self._swept = swept
        self._stores, self._queue, self._policy = stores, queue, policy
        self._sweep_s, self._retention = sweep_s, retention
        self._stopping = threading.Event()
        self._reapplied = False
        self._noted_at, self._batches_at = -NOTES_S, -BATCHES_S
        self._clock_watch = ClockWatch(retention.consent.hold, 24 * retention.consent.hold)
        self._clock_believed = self._clock_doubted = False
        self._threads = [
            threading.Thread(target=self._relay, name="recon-relay", daemon=True),
            threading.Thread(target=self._sweep, name="recon-sweeper", daemon=True),
        ]

    def start(self) -> None:
        """Delete and revoke again what a restore has brought back, then begin."""
        self._attempt("restore", self._reapply_deletions, False)
        self._attempt("notes", self._note, False)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; what is not done now, another process or the next start does."""
        self._stopping.set()
        self._queue.ring()
        for thread in self._threads:
            thread.join(SHUTDOWN_S)

    @property
    def alive(self) -> bool:
        """Whether both threads run."""
        return all(thread.is_alive() for thread in self._threads)

    def _relay(self) -> None:
        failing = False
        while not self._stopping.is_set():
            self._queue.bell.wait(RELAY_INTERVAL_S)
            self._queue.bell.clear()
            failing = self._attempt("relay", self._relay_once, failing)
            if failing:
                self._stopping.wait(RELAY_INTERVAL_S)

    def _relay_once(self) -> None:
        if not self._stopping.is_set() and outbox_waits(on=self._stores):
            relay_outbox(self._queue, on=self._stores)

    def _sweep(self) -> None:
        failing = restoring = keeping = noting = False
        # Processes that started together shall not sweep together.
        while not self._stopping.wait(self._sweep_s * random.uniform(0.5, 1.5)):
            # The object store did not answer at the start, or perhaps when a key was revoked. Nor may it be
            # listed everywhere: jobs go on without.
            if not self._reapplied:
                restoring = self._attempt("restore", self._reapply_deletions, restoring)
            if time.monotonic() - self._noted_at > NOTES_S:
                noting = self._attempt("notes", self._note, noting)
            failing = self._attempt("sweeper", self._sweep_once, failing)
            keeping = self._attempt("sweeper of consents", self._sweep_consents, keeping)

    def _reapply_deletions(self) -> None:
        done = reapply_deletions(stored_receipts(on=self._stores), actor=SERVICE, on=self._stores)
        self._reapplied = True
        if done.receipts:
            structlog.get_logger().warning(
                "deletions reapplied", receipts=done.receipts, refused=done.refused, deleted=done.deleted
            )

    def _note(self) -> None:
        revoked = reapply_revocations(on=self._stores)
        if revoked:
            structlog.get_logger().warning("revocations reapplied", api_keys=revoked)
        withdrawn = reapply_withdrawals(on=self._stores)
        if withdrawn:
            structlog.get_logger().warning("withdrawals reapplied", withdrawals=withdrawn)
        missing = note_end(on=self._stores)
        self._noted_at = time.monotonic()
        if missing is not None:
            structlog.get_logger().error("audit entries are missing that were there", noted=missing.sequence)

    def _sweep_once(self) -> None:
        batches = time.monotonic() - self._batches_at > BATCHES_S
        swept = sweep(
            self._queue,
            on=self._stores,
            policy=self._policy,
            retention=self._retention,
            clock_believed=self._clock_believed,
            batches=batches,
        )
        if batches and self._clock_believed:
            self._batches_at = time.monotonic()
        for what in ("requeued", "lost", "buried", "objects", "stale"):
            self._swept(what, getattr(swept, what))
        if swept.anything:
            structlog.get_logger().info(
                "swept",
                requeued=swept.requeued,
                lost_messages=swept.lost,
                buried=swept.buried,
                objects=swept.objects,
                stale_uploads=swept.stale,
                retired_templates=swept.retired,
            )

    def _sweep_consents(self) -> None:
        self._clock_believed = False
        try:
            done = sweep_consents(
                policy=self._retention.consent,
                watch=self._clock_watch,
                monotonic_s=time.monotonic(),
                on=self._stores,
                own_clock=utc_now,
            )
        except StorageUnavailable:
            raise
        except ReconError:
            # Of one subject, after all others: what was found out about the clock holds.
            self._clock_believed = not self._clock_watch.doubt
            raise
        if done.subjects or done.consents:
            structlog.get_logger().info("consents ended", subjects=done.subjects, consents=done.consents)
        self._clock_believed = not done.doubt
        doubted = bool(done.held)
        if doubted and not self._clock_doubted:
            structlog.get_logger().warning(
                "consents ended, and the clock is not believed yet", held=done.held, why=done.doubt
            )
        self._clock_doubted = doubted

    def _attempt(self, name: str, work: Callable[[], None], failing: bool) -> bool:
        """Never let a thread die; say once that it cannot work and once that it can again."""
        try:
            work()
        except Exception as fault:
            if not failing:
                code = fault.code if isinstance(fault, ReconError) else "internal-fault"
                structlog.get_logger().warning(f"{name} cannot work", code=code, exc_info=fault)
            return True
        if failing:
            structlog.get_logger().info(f"{name} works again")
        return False

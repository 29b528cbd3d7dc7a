"""Runners of batches: threads that take groups of items, in a process that lives as long as the service or a
worker. ``python -m worker.batches`` is such a process; it ends with the one that started it.

No message is needed: the database is the queue (docs/adr/0142).
"""

from __future__ import annotations

import os
import random
import secrets
import socket
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog

from recon_service.application.ports.stores import Stores
from recon_service.application.records.models import ModelsInForce, WorkerReport
from recon_service.application.reenrolling.batch_runs import (
    RunnerPolicy,
    close_cancelled,
    destroy_old_candidates,
    work_on_batches,
)
from recon_service.application.reenrolling.evaluation_runs import forget_observations, work_on_evaluations
from recon_service.application.reenrolling.models import report_worker
from recon_service.domain.errors import ReconError, StorageFault
from worker.batch_compute import BatchChildCompute
from worker.beside_parent import begin_beside_parent, stores_beside_parent

IDLE_S: Final = 1.0
GAP_S: Final = 0.005
"""Between two groups: SQLite has one writer at a time and does not queue those who wait, so let them in."""
REPORT_S: Final = 10.0
SWEEP_S: Final = 60.0
REST_S: Final = 60.0
"""Without work for so long, the processes that compute end, and their memory is free."""
GRACE_S: Final = 4.0
SHUTDOWN_S: Final = 8.0


class BatchRunners:
    """So many threads that work, and one that reports and sweeps. Any number of processes may have them."""

    def __init__(
        self,
        stores: Stores,
        compute: BatchChildCompute,
        policy: RunnerPolicy,
        *,
        count: int,
        keep_candidates: timedelta = timedelta(days=30),
    ) -> None:
        self._stores, self._compute = stores, compute
        self._policy = replace(policy, item=replace(policy.item, tell=_tell))
        self._keep_candidates = keep_candidates
        self._stopping = threading.Event()
        self._models: ModelsInForce | None = None
        self._worked_at = time.monotonic()
        self._name = f"{socket.gethostname()[:60]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._threads = [
            threading.Thread(target=self._work, name=f"recon-batch-{n}", daemon=True) for n in range(count)
        ]
        self._threads.append(threading.Thread(target=self._report, name="recon-batch-report", daemon=True))

    def start(self) -> None:
        """Begin, without waiting for anything."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """What was taken and not begun is given back; so is what does not end within a few seconds, by ending
        the process that computes it.
        """
        self._stopping.set()
        for limit_s in (GRACE_S, SHUTDOWN_S):
            deadline = time.monotonic() + limit_s
            for thread in self._threads:
                thread.join(max(0.0, deadline - time.monotonic()))
            self._compute.close()

    def _work(self) -> None:
        failing = False
        while not self._stopping.is_set():
            worked = False
            try:
                worked = self._turn()
                failing = False
            except Exception as fault:
                if not failing:
                    code = fault.code if isinstance(fault, ReconError) else "internal-fault"
                    structlog.get_logger().warning("batches cannot be worked on", code=code, exc_info=fault)
                failing = True
            if worked:
                self._worked_at = time.monotonic()
                self._stopping.wait(GAP_S)
            else:
                self._stopping.wait(random.uniform(0.5, 1.0) * IDLE_S)

    def _turn(self) -> bool:
        stores = self._stores
        with stores.database.snapshot() as tx:
            working = bool(tx.batches.working())
        # Nothing is loaded before there is work.
        if working and work_on_batches(
            on=stores,
            compute=self._compute,
            models=self._in_force(),
            policy=self._policy,
            stopping=self._stopping.is_set,
        ):
            return True
        # Batches had nothing to do.
        return work_on_evaluations(on=stores, compute=self._compute, yields_after=self._policy.yields_after)

    def _in_force(self) -> ModelsInForce:
        if self._models is None:
            self._models = self._compute.models()
        return self._models

    def _report(self) -> None:
        swept, ask = 0.0, False
        while not self._stopping.is_set():
            try:
                # Not the first time: a process that lives for a moment need not load models to say so.
                self._report_once(ask=ask)
                if time.monotonic() - swept > SWEEP_S:
                    swept = time.monotonic()
                    close_cancelled(on=self._stores, policy=self._policy)
                    destroy_old_candidates(on=self._stores, older_than=self._keep_candidates)
                    forget_observations(on=self._stores, older_than=self._keep_candidates)
            except StorageFault:
                pass  # the runners say so
            if time.monotonic() - self._worked_at > REST_S:
                self._compute.rest()
            ask = True
            self._stopping.wait(REPORT_S)

    def _report_once(self, *, ask: bool) -> None:
        problem, next_step = "", ""
        if self._models is None and ask:
            try:
                self._models = self._compute.models()
            except ReconError as fault:
                problem, next_step = fault.code, fault.next_step
        report = WorkerReport(
            worker_id=self._name,
            role="batches",
            reported_at=self._stores.clock(),
            models=self._models,
            problem=problem,
            next_step=next_step[:500],
            resident_bytes=resident_bytes(),
        )
        report_worker(report, on=self._stores)


def resident_bytes() -> int:
    """Memory of this process, without what it shares with files that are not loaded; 0 where nobody says."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _tell(fault: Exception) -> None:
    code = fault.code if isinstance(fault, ReconError) else "internal-fault"
    structlog.get_logger().warning("an item of a batch failed", code=code, exc_info=fault)


def main() -> None:
    """Work until the standard input ends."""
    from recon_service.service_policies import batch_policy
    from recon_service.telemetry.metrics import FOLDER, Metrics
    from recon_service.telemetry.observed import BATCH

    settings, parent = begin_beside_parent()
    opened = stores_beside_parent(settings, parent)
    if opened is None:
        return
    count = settings.batch_processes
    folder = os.environ.get(FOLDER)
    metrics = Metrics(folder=Path(folder) if folder else None)  # counted with the rest of the worker
    compute = BatchChildCompute(
        settings,
        processes=count,
        limit_s=settings.enrollment_seconds,
        nice=settings.batch_niceness,
        happened=lambda event: metrics.child(BATCH, event),
        versions=lambda versions: metrics.versions(BATCH, versions),
    )
    runners = BatchRunners(
        opened.stores,
        compute,
        batch_policy(settings),
        count=count,
        keep_candidates=timedelta(days=settings.retired_days),
    )
    runners.start()
    parent.join()
    runners.stop()
    opened.close()


if __name__ == "__main__":
    main()

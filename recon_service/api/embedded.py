"""The service's life in one process: open the stores, take up what was open, serve, stop cleanly."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from recon_service.api.app import create_app
from recon_service.api.service import Service
from recon_service.application.housekeeping import recover_alone
from recon_service.application.keeping.keys import ensure_development_key, has_real_key
from recon_service.application.ports.compute import Compute
from recon_service.bootstrap import (
    OpenStores,
    build_compute,
    open_duplicate_check,
    open_edge,
    open_identifier,
    open_stores,
    webhook_sender,
)
from recon_service.domain.errors import InsecureConfiguration, ServiceFault
from recon_service.service_policies import batch_policy, job_policy, retention, webhook_policy
from recon_service.settings import Settings
from recon_service.storage.master_key import Origin
from recon_service.storage.state_lock import StateLock
from recon_service.telemetry.bundle import open_telemetry
from recon_service.telemetry.exposition import open_metrics
from recon_service.telemetry.observed import BATCH, ENROLLMENT, VERIFICATION
from recon_service.telemetry.standing import Standing
from worker.app import make_app
from worker.batch_compute import BatchChildCompute
from worker.batches import BatchRunners
from worker.children import ChildCompute
from worker.embedded import EmbeddedWorkers
from worker.housekeeper import Housekeeper
from worker.network_process import NetworkProcess
from worker.queue import CeleryQueue
from worker.tasks import WorkerContext, add_tasks
from worker.webhook_relay import WebhookRelay


@dataclass(frozen=True, slots=True)
class Prepared:
    """An application ready to be served. new_key: the development key, if this start made one."""

    app: FastAPI
    new_key: str | None


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach an address; unknown names are taken for reachable."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def prepare(settings: Settings) -> Prepared:
    """Open everything that can fail before a socket is opened.

    Raises InsecureConfiguration, StorageFault, Conflict (another service has the state folder).
    """
    lock = StateLock(settings.state_dir)
    opened = open_stores(settings)
    local = is_loopback(settings.host)
    if not local:
        refuse_insecure_start(settings.host, opened)
    if settings.embedded:
        lock.acquire()
    new_key = ensure_development_key(on=opened.stores) if local else None
    parts = _Parts(settings, opened, lock)
    service = Service(
        settings=settings,
        stores=opened.stores,
        compute=parts.compute,
        queue=parts.queue,
        development_keys=local,
        checks=parts.checks(),
        telemetry=parts.telemetry,
        identifier=parts.identifier,
        edge=open_edge(settings),
    )
    return Prepared(create_app(service, lifespan=parts.lifespan), new_key.token if new_key else None)


def refuse_insecure_start(host: str, opened: OpenStores) -> None:
    """Raises InsecureConfiguration unless somebody made real keys: others than this machine can reach
    ``host``.
    """
    if opened.master_key_origin is not Origin.CONFIGURED:
        raise InsecureConfiguration(
            f"listening on {host} needs a master key of your own; there is only the development key",
            next_step="Make one with: openssl rand -base64 32, and set RECON_MASTER_KEY_FILE.",
        )
    if not has_real_key(on=opened.stores):
        raise InsecureConfiguration(
            f"listening on {host} needs API keys of your own; there is none but the development key",
            next_step="Run: recon keys create NAME --scope enroll --scope verify",
        )


class _Parts:
    """Queue, worker and compute processes of one service, and their start and stop."""

    def __init__(self, settings: Settings, opened: OpenStores, lock: StateLock) -> None:
        self._settings, self._opened, self._lock = settings, opened, lock
        self.telemetry = telemetry = open_telemetry(settings, role="api")
        standing = Standing(opened.stores)
        self._metrics = open_metrics(settings, lambda: telemetry.metrics.text([standing]))
        self._children: list[ChildCompute] = []
        self._networks: NetworkProcess | None = None
        if settings.embedded and settings.network_process:
            self._networks = NetworkProcess(settings)
            self._settings = settings = self._networks.settings
        self.compute = self._compute(VERIFICATION, settings.compute_processes, settings.verification_seconds)
        self._celery = make_app(settings)
        self.queue = CeleryQueue(self._celery)
        self._housekeeper = Housekeeper(
            opened.stores,
            self.queue,
            job_policy(settings),
            sweep_s=settings.sweep_seconds,
            retention=retention(settings),
            swept=telemetry.metrics.swept,
        )
        self._webhooks: WebhookRelay | None = None
        if settings.webhook_sending:
            self._webhooks = WebhookRelay(
                opened.stores,
                webhook_sender(settings),
                webhook_policy(settings),
                sent=telemetry.metrics.delivered,
            )
        self.identifier = telemetry.searching(open_identifier(settings, opened))
        self._workers: EmbeddedWorkers | None = None
        if settings.embedded:
            duplicates = open_duplicate_check(settings, self.identifier)
            enrolling = self._compute(ENROLLMENT, settings.enrollment_processes, settings.enrollment_seconds)
            context = WorkerContext(
                opened.stores, enrolling, self.queue, job_policy(settings), telemetry, duplicates
            )
            add_tasks(self._celery, lambda: context)
            self._workers = EmbeddedWorkers(self._celery, count=max(1, settings.enrollment_processes))
        self._batches: BatchRunners | None = None
        if settings.embedded and settings.batch_processes:
            computing = BatchChildCompute(
                settings,
                processes=settings.batch_processes,
                limit_s=settings.enrollment_seconds,
                nice=settings.batch_niceness,
                happened=lambda event: telemetry.metrics.child(BATCH, event),
                versions=lambda versions: telemetry.metrics.versions(BATCH, versions),
            )
            self._batches = BatchRunners(
                opened.stores,
                computing,
                batch_policy(settings),
                count=settings.batch_processes,
                keep_candidates=timedelta(days=settings.retired_days),
            )

    def _compute(self, work: str, processes: int, limit_s: float) -> Compute:
        metrics = self.telemetry.metrics
        if processes == 0:
            local = build_compute(self._settings)
            metrics.versions(work, local.versions)
            return self.telemetry.observed(local)
        children = ChildCompute(
            self._settings,
            processes=processes,
            limit_s=limit_s,
            nice=self._settings.enrollment_niceness if work == ENROLLMENT else 0,
            happened=lambda event: metrics.child(work, event),
            versions=lambda versions: metrics.versions(work, versions),
        )
        self._children.append(children)
        return self.telemetry.observed(children)

    def checks(self) -> dict[str, Callable[[], None]]:
        """For ``/readyz``."""
        checks = {
            "database": self._opened.stores.database.check,
            "objects": self._opened.stores.objects.check,
        }
        checks["compute"] = self._check_compute
        if self._workers is not None:
            checks["worker"] = self._check_worker
        if self.identifier is not None:
            checks["references"] = self.identifier.index.check
        if self._networks is not None:
            checks["recon_models_loaded"] = self._networks.check
        # Not the broker: without it enrollments are taken all the same, and published later.
        return checks

    def _check_compute(self) -> None:
        for children in self._children:
            children.check()

    def _check_worker(self) -> None:
        if self._workers is None or not self._workers.alive or not self._housekeeper.alive:
            raise ServiceFault("the worker does not run", next_step="Restart the service.")

    @asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """Start before the first request, stop after the last."""
        await run_in_threadpool(self._start)
        try:
            yield
        finally:
            await run_in_threadpool(self._stop)

    def _start(self) -> None:
        if self._networks is not None:
            self._networks.start()
        for children in self._children:
            children.start()
        taken_up = orphans = 0
        if self._workers is not None:
            taken_up, orphans = recover_alone(self.queue, on=self._opened.stores)
            self._workers.start()
        if self.identifier is not None:
            self.identifier.index.start()
        self._housekeeper.start()
        if self._webhooks is not None:
            self._webhooks.start()
        if self._batches is not None:
            self._batches.start()
        if self._metrics is not None:
            self._metrics.start()
        structlog.get_logger().info(
            "service started",
            taken_up=taken_up,
            orphans_removed=orphans,
            kiosk_sessions="required" if self._settings.kiosk_sessions_required else "optional",
        )

    def _stop(self) -> None:
        if self._batches is not None:
            self._batches.stop()
        if self._webhooks is not None:
            self._webhooks.stop()
        self._housekeeper.stop()
        if self._workers is not None and not self._workers.stop():
            structlog.get_logger().warning(
                "the worker was still busy; its enrollment is taken up at the next start"
            )
        for children in self._children:
            children.close()
        if self._networks is not None:
            self._networks.stop()
        if self.identifier is not None:
            self.identifier.index.close()
        if self._metrics is not None:
            self._metrics.stop()
        self.telemetry.traces.close()
        self._opened.close()
        self._lock.release()
        structlog.get_logger().info("service stopped")

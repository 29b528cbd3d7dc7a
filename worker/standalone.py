"""A worker in a process of its own, for a broker that several machines share."""

from __future__ import annotations

import os

import structlog
from celery import Celery
from celery.signals import worker_process_shutdown, worker_ready, worker_shutdown

from recon_service.bootstrap import (
    build_compute,
    open_duplicate_check,
    open_identifier,
    open_stores,
)
from recon_service.domain.errors import InsecureConfiguration
from recon_service.service_policies import job_policy
from recon_service.settings import Settings
from recon_service.storage.master_key import Origin
from recon_service.telemetry import configure_logging
from recon_service.telemetry.bundle import Telemetry, open_telemetry
from recon_service.telemetry.exposition import metrics_token, refuse_open_metrics
from recon_service.telemetry.metrics import FOLDER
from recon_service.telemetry.observed import ENROLLMENT, ObservedCompute
from worker.app import make_app
from worker.children import ChildCompute
from worker.housekeeping import Beside
from worker.network_process import NetworkProcess
from worker.own_folder import OwnFolder
from worker.queue import CeleryQueue
from worker.tasks import WorkerContext, add_tasks


def make_worker_app(settings: Settings | None = None) -> Celery:
    """The application that ``celery -A worker.app worker`` runs."""
    settings = settings or Settings.from_environment()
    if settings.embedded:
        raise InsecureConfiguration(
            "a worker of its own needs a broker that it shares with the service",
            next_step="Set RECON_BROKER_URL for both, for example redis://localhost:6379/0.",
        )
    configure_logging(level=settings.log_level, format=settings.log_format)
    networks: NetworkProcess | None = None
    if settings.network_process:
        networks = NetworkProcess(settings)
        settings = networks.settings
    numbers = shared_numbers(settings)
    app = make_app(settings, consumes=True)
    queue = CeleryQueue(app)
    opened: list[ChildCompute] = []
    opened_telemetry: list[Telemetry] = []
    beside = [Beside()]
    if settings.batch_processes:
        beside.append(Beside("worker.batches"))

    def make_context() -> WorkerContext:
        stores = open_stores(settings)
        if stores.master_key_origin is not Origin.CONFIGURED:
            raise InsecureConfiguration(
                "a worker of its own needs the service's master key", next_step="Set RECON_MASTER_KEY_FILE."
            )
        telemetry = open_telemetry(settings, role="worker", folder=numbers.path if numbers else None)
        opened_telemetry.append(telemetry)
        compute = make_enrollment_compute(settings, opened, telemetry)
        searching = telemetry.searching(open_identifier(settings, stores))
        duplicates = open_duplicate_check(settings, searching)
        if searching is not None and duplicates is not None:
            searching.index.start()  # within a task it might take longer than a task may
        return WorkerContext(stores.stores, compute, queue, job_policy(settings), telemetry, duplicates)

    add_tasks(app, make_context)

    @worker_ready.connect(weak=False)
    def begin(**_kwargs: object) -> None:
        for process in beside:
            process.start()
        if networks is not None:
            networks.start()
        structlog.get_logger().info("worker ready")

    @worker_shutdown.connect(weak=False)
    def end(**_kwargs: object) -> None:
        for process in beside:
            process.stop()
        if networks is not None:
            networks.stop()
        if numbers is not None:
            numbers.remove()

    def close_children(**_kwargs: object) -> None:
        for compute in opened:
            compute.close()
        for telemetry in opened_telemetry:
            telemetry.traces.close()

    worker_shutdown.connect(close_children, weak=False)
    worker_process_shutdown.connect(close_children, weak=False)
    return app


def shared_numbers(settings: Settings) -> OwnFolder | None:
    """A folder in which the processes of this worker count together, and that those it starts know of; None
    where nobody will ask.
    """
    if not settings.metrics_port:
        os.environ.pop(FOLDER, None)
        return None
    refuse_open_metrics(settings.metrics_host, metrics_token(settings))
    folder = OwnFolder("recon-counters-")
    os.environ[FOLDER] = str(folder.path)
    return folder


def make_enrollment_compute(
    settings: Settings, opened: list[ChildCompute], telemetry: Telemetry
) -> ObservedCompute:
    """One child for this pool process, noted in ``opened`` so that somebody closes it; or none, by the
    settings.
    """
    metrics = telemetry.metrics
    if settings.enrollment_processes == 0:
        local = build_compute(settings)
        metrics.versions(ENROLLMENT, local.versions)
        return telemetry.observed(local)
    children = ChildCompute(
        settings,
        processes=1,
        limit_s=settings.enrollment_seconds,
        nice=settings.enrollment_niceness,
        happened=lambda event: metrics.child(ENROLLMENT, event),
        versions=lambda versions: metrics.versions(ENROLLMENT, versions),
    )
    opened.append(children)
    return telemetry.observed(children)

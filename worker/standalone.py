"""A worker in a process of its own, for a broker that several machines share."""

from __future__ import annotations

import structlog
from celery import Celery
from celery.signals import worker_process_shutdown, worker_ready, worker_shutdown

from recon_service.application.ports.compute import Compute
from recon_service.bootstrap import build_compute, job_policy, open_stores
from recon_service.domain.errors import InsecureConfiguration
from recon_service.settings import Settings
from recon_service.storage.master_key import Origin
from recon_service.telemetry import configure_logging
from worker.app import make_app
from worker.children import ChildCompute
from worker.housekeeping import Beside
from worker.network_process import NetworkProcess
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
    app = make_app(settings, consumes=True)
    queue = CeleryQueue(app)
    opened: list[ChildCompute] = []
    beside = Beside()

    def make_context() -> WorkerContext:
        stores = open_stores(settings)
        if stores.master_key_origin is not Origin.CONFIGURED:
            raise InsecureConfiguration(
                "a worker of its own needs the service's master key", next_step="Set RECON_MASTER_KEY_FILE."
            )
        return WorkerContext(
            stores.stores, make_enrollment_compute(settings, opened), queue, job_policy(settings)
        )

    add_tasks(app, make_context)

    @worker_ready.connect(weak=False)
    def begin(**_kwargs: object) -> None:
        beside.start()
        if networks is not None:
            networks.start()
        structlog.get_logger().info("worker ready")

    @worker_shutdown.connect(weak=False)
    def end(**_kwargs: object) -> None:
        beside.stop()
        if networks is not None:
            networks.stop()

    def close_children(**_kwargs: object) -> None:
        for compute in opened:
            compute.close()

    worker_shutdown.connect(close_children, weak=False)
    worker_process_shutdown.connect(close_children, weak=False)
    return app


def make_enrollment_compute(settings: Settings, opened: list[ChildCompute]) -> Compute:
    """One child for this pool process, noted in ``opened`` so that somebody closes it; or none, by the
    settings.
    """
    if settings.enrollment_processes == 0:
        return build_compute(settings)
    children = ChildCompute(settings, processes=1, limit_s=settings.enrollment_seconds)
    opened.append(children)
    return children

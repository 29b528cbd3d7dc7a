"""The Celery application: how messages travel. What a message means is in ``tasks.py``.

Messages carry ids; the database holds every job's state. So a lost message costs time, not a job, and a
message that comes twice finds nothing to do. ``celery -A worker.app worker`` finds the application here
by the name ``app``.
"""

from __future__ import annotations

from typing import Any, Final

from celery import Celery
from kombu.entity import Queue

from recon_service.application.records.operations import Lane
from recon_service.settings import Settings

INTERACTIVE: Final = Lane.INTERACTIVE.value
BATCH: Final = Lane.BATCH.value
MEMORY_POLLING_S: Final = 0.02
REDELIVERY_MARGIN_S: Final = 60.0
CONNECT_S: Final = 3.0


def make_app(settings: Settings, *, consumes: bool = False) -> Celery:
    """A Celery application for these settings, without tasks yet. consumes: it will run a worker."""
    # With a host in it, Celery does not warn that there is none.
    broker = "memory://localhost//" if settings.embedded else settings.broker_url
    app = Celery("recon", broker=broker, set_as_current=False)
    transport_options: dict[str, Any]
    if settings.embedded:
        transport_options = {"polling_interval": MEMORY_POLLING_S}
    else:
        transport_options = redis_options(settings, consumes=consumes)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=True,
        # A poisonous job would go round and round; the database counts attempts instead.
        task_reject_on_worker_lost=False,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_create_missing_queues=False,
        task_queues=[Queue(INTERACTIVE), Queue(BATCH)],
        task_default_queue=INTERACTIVE,
        worker_prefetch_multiplier=1,
        # In the service each worker is a thread that does one thing at a time. The pool of threads would
        # not do: its acknowledgments wait until the consumer looks up, which it does every two seconds.
        worker_pool="solo" if settings.embedded else "prefork",
        worker_concurrency=max(1, settings.enrollment_processes),
        worker_proc_alive_timeout=120,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        # Asked to stop, it first lets what runs end, then gives back what it had taken.
        worker_soft_shutdown_timeout=settings.enrollment_seconds,
        worker_enable_soft_shutdown_on_idle=True,
        # The job's end is in the database, not in the acknowledgment: it goes on without the broker.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # Only where there is a process to kill; the work has a shorter limit of its own.
        task_time_limit=None if settings.embedded else settings.enrollment_seconds + REDELIVERY_MARGIN_S,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=CONNECT_S,
        broker_transport_options=transport_options,
        task_publish_retry=False,  # the outbox tries again
        enable_utc=True,
    )
    return app


def redis_options(settings: Settings, *, consumes: bool) -> dict[str, Any]:
    """Options of the Redis transport, with a time limit on everything."""
    options: dict[str, Any] = {
        # Longer than the longest attempt with its wait: Redis would otherwise hand a running job to a second
        # worker.
        "visibility_timeout": 2 * (settings.enrollment_seconds + REDELIVERY_MARGIN_S),
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        # People who wait go first; a worker for batches alone keeps those moving.
        "queue_order_strategy": "priority",
        "socket_connect_timeout": CONNECT_S,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }
    if not consumes:  # a worker waits on its socket: there the health check is the limit
        options["socket_timeout"] = CONNECT_S
    return options


def __getattr__(name: str) -> object:
    # Only asked for by the celery command; importing this module must neither read settings nor open
    # anything.
    if name == "app":
        from worker.standalone import make_worker_app

        globals()["app"] = application = make_worker_app()
        return application
    raise AttributeError(name)

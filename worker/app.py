"""The Celery application: how messages travel. What a message means is in ``tasks.py``.

Messages carry ids; the database holds every job's state. So a lost message costs time, not a job, and a
message that comes twice finds nothing to do. ``celery -A worker.app worker`` finds the application here
by the name ``app``.
"""

from __future__ import annotations

from typing import Any, Final

from celery import Celery
from kombu.entity import Queue

from recon_service.settings import Settings

INTERACTIVE: Final = "interactive"
BATCH: Final = "batch"
MEMORY_POLLING_S: Final = 0.02
REDELIVERY_MARGIN_S: Final = 60.0


def make_app(settings: Settings) -> Celery:
    """A Celery application for these settings, without tasks yet."""
    # With a host in it, Celery does not warn that there is none.
    broker = "memory://localhost//" if settings.embedded else settings.broker_url
    app = Celery("recon", broker=broker, set_as_current=False)
    transport_options: dict[str, Any]
    if settings.embedded:
        transport_options = {"polling_interval": MEMORY_POLLING_S}
    else:
        # Longer than the longest attempt: Redis would otherwise hand a running job to a second worker.
        visibility = (settings.enrollment_seconds + REDELIVERY_MARGIN_S) * 2
        transport_options = {"visibility_timeout": visibility, "unacked_restore_interval": 10}
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
        worker_soft_shutdown_timeout=settings.enrollment_seconds,
        broker_connection_retry_on_startup=True,
        broker_transport_options=transport_options,
        task_publish_retry_policy={
            "max_retries": 3,
            "interval_start": 0.0,
            "interval_step": 0.2,
            "interval_max": 1.0,
        },
        enable_utc=True,
    )
    return app


def __getattr__(name: str) -> object:
    # Only asked for by the celery command; importing this module must neither read settings nor open
    # anything.
    if name == "app":
        from worker.standalone import make_worker_app

        globals()["app"] = application = make_worker_app()
        return application
    raise AttributeError(name)

"""A Celery worker in a thread of the service, for one machine: no signal handlers, a clean start and stop."""

from __future__ import annotations

import os
import socket
import threading

from celery import Celery
from celery.worker import WorkController
from celery.worker import state as celery_state

from recon_service.domain.errors import ServiceFault
from worker.app import BATCH, INTERACTIVE
from worker.queue import WAKE

START_LIMIT_S = 10.0


class EmbeddedWorker:
    """At most one per process: Celery keeps the wish to stop in a global."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recon-worker", daemon=True)

    def start(self) -> None:
        """Start, and wait until it takes messages."""
        celery_state.should_stop = None
        celery_state.should_terminate = None
        self._thread.start()
        if not self._ready.wait(START_LIMIT_S):
            raise ServiceFault("the worker did not start", next_step="Look at the log.")

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def stop(self, *, limit_s: float = 30.0) -> bool:
        """Take no more messages, let running work end, stop. False: it still runs after ``limit_s``."""
        if not self._thread.is_alive():
            return True
        celery_state.should_stop = os.EX_OK
        self._app.send_task(WAKE, queue=INTERACTIVE)
        self._thread.join(limit_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        worker = _QuietWorker(
            app=self._app,
            hostname=f"embedded@{socket.gethostname()}",
            queues=[INTERACTIVE, BATCH],
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
            ready=self._ready,
        )
        try:
            worker.start()
        except SystemExit:
            pass  # Celery's way of ending a worker that was asked to stop
        finally:
            celery_state.should_stop = None


class _QuietWorker(WorkController):  # type: ignore[misc]
    """Unlike the command's worker it installs no signal handlers and prints no banner."""

    def __init__(self, *args: object, ready: threading.Event, **kwargs: object) -> None:
        self._ready = ready
        super().__init__(*args, **kwargs)

    def on_consumer_ready(self, consumer: object) -> None:
        """Called by Celery when messages are taken."""
        self._ready.set()

"""Celery workers in threads of the service, for one machine: no signal handlers, a clean start and stop."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time

from celery import Celery
from celery.worker import WorkController
from celery.worker import state as celery_state

from recon_service.domain.errors import ServiceFault
from worker.app import BATCH, INTERACTIVE
from worker.queue import WAKE

START_LIMIT_S = 10.0


class EmbeddedWorkers:
    """Some workers that each do one thing at a time. At most one such group per process: Celery keeps the
    wish to stop in a global.
    """

    def __init__(self, app: Celery, *, count: int) -> None:
        self._app = app
        self._ready = [threading.Event() for _ in range(count)]
        self._threads = [
            threading.Thread(target=self._run, args=(n, ready), name=f"recon-worker-{n}", daemon=True)
            for n, ready in enumerate(self._ready)
        ]

    def start(self) -> None:
        """Start, and wait until messages are taken."""
        celery_state.should_stop = None
        celery_state.should_terminate = None
        for thread in self._threads:
            thread.start()
        if not all(ready.wait(START_LIMIT_S) for ready in self._ready):
            raise ServiceFault("the worker did not start", next_step="Look at the log.")

    @property
    def alive(self) -> bool:
        """Whether all threads run."""
        return all(thread.is_alive() for thread in self._threads)

    def stop(self, *, limit_s: float = 30.0) -> bool:
        """Take no more messages, let running work end, stop. False: some still run after ``limit_s``."""
        celery_state.should_stop = os.EX_OK
        # One message ends the wait of two seconds that a worker is in; with the wish to stop set, Celery
        # waits once more before it heeds it.
        for _ in range(2 * len(self._threads)):
            self._app.send_task(WAKE, queue=INTERACTIVE)
        deadline = time.monotonic() + limit_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        stopped = not any(thread.is_alive() for thread in self._threads)
        if stopped:
            celery_state.should_stop = None
        return stopped

    def _run(self, number: int, ready: threading.Event) -> None:
        worker = _QuietWorker(
            app=self._app,
            hostname=f"embedded-{number}@{socket.gethostname()}",
            queues=[INTERACTIVE, BATCH],
            concurrency=1,
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
            ready=ready,
        )
        # SystemExit is Celery's way of ending a worker that was asked to stop.
        with contextlib.suppress(SystemExit):
            worker.start()


class _QuietWorker(WorkController):
    """Unlike the command's worker it installs no signal handlers and prints no banner."""

    def __init__(self, *args: object, ready: threading.Event, **kwargs: object) -> None:
        self._ready = ready
        super().__init__(*args, **kwargs)

    def on_consumer_ready(self, consumer: object) -> None:
        """Called by Celery when messages are taken."""
        self._ready.set()

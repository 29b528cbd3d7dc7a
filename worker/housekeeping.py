"""``python -m worker.housekeeping``: relay and sweeper beside a worker, in a process of their own.

Not in threads of the worker's parent: that one forks its pool, and a fork beside open connections is asking
for trouble. Ends with the process that started it, whose end of the standard input it watches.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import structlog

from worker.beside_parent import RESTART_S, begin_beside_parent, stores_beside_parent

SHUTDOWN_S: Final = 15.0


class Beside:
    """Keeps a process of ours running beside this one, and starts another when it dies."""

    def __init__(self, module: str = "worker.housekeeping") -> None:
        self._module = module
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name=f"recon-beside-{module}", daemon=True)

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Let it end what it does."""
        self._stopping.set()
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(SHUTDOWN_S)

    def _keep(self) -> None:
        log = structlog.get_logger()
        while not self._stopping.is_set():
            try:
                self._process = subprocess.Popen([sys.executable, "-m", self._module], stdin=subprocess.PIPE)
            except OSError as fault:  # no memory or no process to be had: there will be
                log.warning("a process beside the worker does not start", module=self._module, exc_info=fault)
            else:
                code = self._process.wait()
                if self._process.stdin is not None:
                    with contextlib.suppress(OSError):
                        self._process.stdin.close()
                if not self._stopping.is_set():
                    log.warning("a process beside the worker ended", module=self._module, code=code)
            self._stopping.wait(RESTART_S)


def main() -> None:
    """Work until the standard input ends."""
    from recon_service.bootstrap import webhook_sender
    from recon_service.service_policies import job_policy, retention, webhook_policy
    from recon_service.telemetry.bundle import open_telemetry
    from recon_service.telemetry.exposition import open_metrics
    from recon_service.telemetry.metrics import FOLDER
    from recon_service.telemetry.standing import Standing
    from worker.app import make_app
    from worker.housekeeper import Housekeeper
    from worker.queue import CeleryQueue
    from worker.webhook_relay import WebhookRelay

    settings, parent = begin_beside_parent()
    folder = os.environ.get(FOLDER)
    telemetry = open_telemetry(settings, role="housekeeping", folder=Path(folder) if folder else None)
    opened = stores_beside_parent(settings, parent)
    if opened is None:
        return
    housekeeper = Housekeeper(
        opened.stores,
        CeleryQueue(make_app(settings)),
        job_policy(settings),
        sweep_s=settings.sweep_seconds,
        retention=retention(settings),
        swept=telemetry.metrics.swept,
    )
    webhooks: WebhookRelay | None = None
    if settings.webhook_sending:
        webhooks = WebhookRelay(
            opened.stores,
            webhook_sender(settings),
            webhook_policy(settings),
            sent=telemetry.metrics.delivered,
        )
    # This process answers for the whole worker: its pool forks, and must have no threads of that kind.
    standing = Standing(opened.stores, head=os.getppid())
    metrics = open_metrics(settings, lambda: telemetry.metrics.text([standing]))
    housekeeper.start()
    if webhooks is not None:
        webhooks.start()
    if metrics is not None:
        metrics.start()
    parent.join()
    if webhooks is not None:
        webhooks.stop()
    housekeeper.stop()
    if metrics is not None:
        metrics.stop()
    opened.close()


if __name__ == "__main__":
    main()

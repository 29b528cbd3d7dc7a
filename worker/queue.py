"""The port ``JobQueue`` on Celery: the only place that publishes."""

from __future__ import annotations

from typing import Final

from celery import Celery
from kombu.exceptions import OperationalError

from recon_service.domain.errors import StorageFault

ENROLL: Final = "recon.enroll"
WAKE: Final = "recon.wake"


class CeleryQueue:
    """See ``ports.JobQueue``."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def publish_enrollment(self, operation_id: str, *, batch: bool = False) -> None:
        """Raises StorageFault when the broker does not answer; the operation stays queued in the database."""
        try:
            self._app.send_task(ENROLL, args=[operation_id], queue="batch" if batch else "interactive")
        except OperationalError as fault:
            raise StorageFault("the queue does not answer", next_step="Look at the broker.") from fault

"""The job queue."""

from __future__ import annotations

from typing import Protocol

from recon_service.application.records.operations import Lane


class JobQueue(Protocol):
    """Publishes ids; the state of the job is in the database."""

    def ring(self) -> None:
        """Something waits in the outbox. Called after the commit; never waits, never fails."""
        ...

    def publish_enrollment(self, operation_id: str, lane: Lane) -> None:
        """For the relay of the outbox. Raises StorageUnavailable."""
        ...

    def waiting(self) -> int | None:
        """Messages that no worker has taken; None: cannot be known. Raises StorageUnavailable."""
        ...

"""The tasks, thin: an id comes in, a use case runs, the database knows how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import structlog
from celery import Celery

from recon_service.application.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.ports.compute import Compute
from recon_service.application.ports.queue import JobQueue
from recon_service.application.ports.stores import Stores
from recon_service.domain.errors import ReconError
from worker.queue import ENROLL, WAKE


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What the tasks work with."""

    stores: Stores
    compute: Compute
    queue: JobQueue
    policy: JobPolicy


def add_tasks(app: Celery, make_context: Callable[[], WorkerContext]) -> None:
    """Register the tasks; the context is made when the first one runs, in the process that runs it."""
    context = lru_cache(maxsize=1)(make_context)

    @app.task(name=ENROLL)
    def enroll(operation_id: str) -> None:
        log = structlog.get_logger().bind(operation_id=operation_id)
        try:
            part = context()
            operation = run_enrollment(
                operation_id, on=part.stores, compute=part.compute, queue=part.queue, policy=part.policy
            )
        except ReconError as fault:
            log.error("enrollment attempt failed", code=fault.code, exc_info=fault)
        except Exception as fault:
            log.error("enrollment attempt failed", code="internal-fault", exc_info=fault)
        else:
            if operation is not None:
                log.info("enrollment ended", state=operation.state.value, attempts=operation.attempts)

    @app.task(name=WAKE)
    def wake() -> None:
        """Nothing: its message makes a waiting worker look up, and see that it is to stop."""

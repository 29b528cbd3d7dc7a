"""The tasks, thin: an id comes in, a use case runs, the database knows how it ended."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import structlog
from celery import Celery

from recon_service.application.enrolling.enrollment_runs import (
    WORKER_LOST,
    JobPolicy,
    get_operation_or_none,
    run_enrollment,
)
from recon_service.application.ports.compute import Compute
from recon_service.application.ports.queue import JobQueue
from recon_service.application.ports.stores import Stores
from recon_service.application.records.operations import Operation
from recon_service.domain.errors import ReconError, StorageFault
from recon_service.telemetry.bundle import Telemetry
from recon_service.telemetry.context import TraceContext, bound
from worker.queue import ENROLL, WAKE

if TYPE_CHECKING:
    from recon_service.application.enrolling.duplicates import DuplicateCheck


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What the tasks work with."""

    stores: Stores
    compute: Compute
    queue: JobQueue
    policy: JobPolicy
    telemetry: Telemetry = field(default_factory=Telemetry)
    duplicates: DuplicateCheck | None = None


def add_tasks(app: Celery, make_context: Callable[[], WorkerContext]) -> None:
    """Register the tasks; the context is made when the first one runs, in the process that runs it."""
    context = lru_cache(maxsize=1)(make_context)

    @app.task(name=ENROLL)
    def enroll(operation_id: str) -> None:
        structlog.contextvars.clear_contextvars()
        with bound(operation_id=operation_id):
            try:
                part = context()
            except Exception as fault:
                code = fault.code if isinstance(fault, ReconError) else "internal-fault"
                structlog.get_logger().error("the worker cannot work", code=code, exc_info=fault)
                return
            attempt(operation_id, part)

    @app.task(name=WAKE)
    def wake() -> None:
        """Nothing: its message makes a waiting worker look up, and see that it is to stop."""


def attempt(operation_id: str, part: WorkerContext) -> None:
    """One attempt at an enrollment, within the trace of the request that asked for it; never raises."""
    metrics, log = part.telemetry.metrics, structlog.get_logger()
    before = _look_up(operation_id, part)
    above = TraceContext.parse(before.traceparent) if before is not None else None
    with (
        suppress(Exception),
        part.telemetry.traces.span("enrollment", parent=above, kind="consumer") as span,
    ):
        try:
            operation = run_enrollment(
                operation_id,
                on=part.stores,
                compute=part.compute,
                queue=part.queue,
                policy=part.policy,
                duplicates=part.duplicates,
            )
        except Exception as fault:
            code = fault.code if isinstance(fault, ReconError) else "internal-fault"
            log.error("enrollment attempt failed", code=code, exc_info=fault)
            metrics.attempt(code)
            _tell_end(_look_up(operation_id, part), part)  # it may have been the last
            raise
        if operation is None:
            span.set(nothing_to_do=True)
            metrics.attempt("nothing-to-do")
            if before is not None and not before.state.ended:
                after = _look_up(operation_id, part)
                if after is not None and after.problem is not None and after.problem.code == WORKER_LOST:
                    _tell_end(after, part)  # given up, for the workers that it cost
            return
        span.set(state=operation.state.value, attempts=operation.attempts, lane=operation.lane.value)
        log.info("enrollment ended", state=operation.state.value, attempts=operation.attempts)
        metrics.attempt("done")
        _tell_end(operation, part)


def _tell_end(operation: Operation | None, part: WorkerContext) -> None:
    if operation is not None and operation.state.ended:  # else somebody else took it over
        part.telemetry.metrics.enrollment_ended(operation)


def _look_up(operation_id: str, part: WorkerContext) -> Operation | None:
    try:
        return get_operation_or_none(operation_id, part.stores)
    except StorageFault:
        return None  # the attempt finds out by itself

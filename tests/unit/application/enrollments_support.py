"""Asks for enrollments and runs them, with a compute that gives what a test wants of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.housekeeping import Retention, sweep
from recon_service.application.ports.stores import Stores, utc_now
from tests.unit.application.stores import (
    ListQueue,
    ScriptedCompute,
)

POLICY = JobPolicy(attempts=3, silence=timedelta(seconds=60), backoff=timedelta(0))
KEEP_DEAD = timedelta(hours=1)


def request(subject: str = "ada", **changes: object) -> EnrollmentRequest:
    return replace(EnrollmentRequest(subject, (b"one", b"two"), "consent-1"), **changes)


def ask(stores: Stores, **changes: object) -> str:
    acknowledged = request_enrollment(request(**changes), on=stores, queue=ListQueue())
    return acknowledged.operation.operation_id


def run(
    stores: Stores, operation_id: str, compute: ScriptedCompute | None = None, queue: ListQueue | None = None
) -> object:
    return run_enrollment(
        operation_id,
        on=stores,
        compute=compute or ScriptedCompute(),
        queue=queue or ListQueue(),
        policy=POLICY,
    )


def bury(stores: Stores) -> None:
    later = replace(stores, clock=lambda: utc_now() + 2 * KEEP_DEAD)
    sweep(ListQueue(), on=later, policy=POLICY, retention=Retention(dead=KEEP_DEAD))


class Killed(BaseException):
    """The process dies: nothing after it runs."""

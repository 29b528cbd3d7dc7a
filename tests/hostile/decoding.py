"""A service that reads uploads for real, limits nobody, and knows one subject."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recon_service.api.service import Service
from recon_service.application.computing.visit_decoding import decode_visit
from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.records.operations import Problem, SelfieReport
from recon_service.application.records.visits import KioskVisit, VerificationOutcome
from recon_service.bootstrap import open_stores
from recon_service.domain.errors import ImageRejected
from recon_service.domain.template import Decision, Template, VerificationResult
from recon_service.imaging import ImageLimits, decode_image
from recon_service.settings import Settings
from tests.unit.application.stores import ListQueue, ScriptedCompute


class Decoding(ScriptedCompute):
    """Reads uploads for real, and decides nothing."""

    def check_quality(self, selfies: Sequence[bytes]) -> tuple[SelfieReport, ...]:
        return tuple(self._report(s) for s in selfies)

    def _report(self, content: bytes) -> SelfieReport:
        try:
            decode_image(content, limits=ImageLimits())
        except ImageRejected as refused:
            return SelfieReport(False, None, Problem(refused.code, refused.detail, refused.next_step))
        return SelfieReport(True)

    def verify(self, reference: Template, visit: KioskVisit) -> VerificationOutcome:
        decode_visit(visit, limits=ImageLimits())
        return VerificationOutcome(VerificationResult(Decision.INCONCLUSIVE, None, (), "p"), "c", {})

    def mesh(self, template: Template) -> bytes:
        return b"glTF"


@contextmanager
def decoding_service(state_dir: Path, *, subject: str, **settings: Any) -> Iterator[Service]:
    wanted = Settings(
        state_dir=state_dir,
        lockout_subject_failures=0,
        lockout_key_failures=0,
        requests_per_minute=0,
        queue_budget_seconds=1e6,
        **settings,
    )
    opened = open_stores(wanted)
    compute, queue = Decoding(), ListQueue()
    made = request_enrollment(EnrollmentRequest(subject, (b"x",), "c"), on=opened.stores, queue=queue)
    run_enrollment(
        made.operation.operation_id, on=opened.stores, compute=compute, queue=queue, policy=JobPolicy()
    )
    yield Service(wanted, opened.stores, compute, queue, development_keys=True, checks={})
    opened.close()

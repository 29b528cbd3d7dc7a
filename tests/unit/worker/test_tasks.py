"""What a worker counts, attempt by attempt."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from recon_service.application.enrolling.enrollment_runs import JobPolicy
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.records.operations import EnrollmentOutcome
from recon_service.telemetry.bundle import Telemetry
from tests.stacks import Embedded
from tests.unit.application.stores import OUTCOME, ListQueue, ScriptedCompute, open_in
from worker.tasks import WorkerContext, attempt


class Died(BaseException):
    pass


def test_each_attempt_and_each_end_is_counted_once(tmp_path: Path) -> None:
    opened = open_in(tmp_path, Embedded())
    stores, queue, telemetry = opened.stores, ListQueue(), Telemetry()
    doings = {b"good": None, b"poor": None, b"fault": ValueError, b"kills": Died}

    def script(selfies: object) -> EnrollmentOutcome:
        (content,) = selfies  # type: ignore[misc]
        if (wrong := doings[content]) is not None:
            raise wrong
        return OUTCOME if content == b"good" else EnrollmentOutcome((), None)

    compute = telemetry.observed(ScriptedCompute(script))
    policy = JobPolicy(attempts=2)
    part = WorkerContext(stores, compute, queue, policy, telemetry)
    for content in doings:
        made = request_enrollment(
            EnrollmentRequest(content.decode(), (content,), "c"), on=stores, queue=queue
        ).operation
        for _ in range(5):
            try:
                attempt(made.operation_id, part)
            except Died:
                with stores.database.transaction() as tx:  # its silence is noticed
                    tx.operations.requeue_running(now=stores.clock(), stale_before=None)
    found = {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(telemetry.metrics.text().decode())
        for s in family.samples
    }
    ends = {dict(has)["reason"] or dict(has)["state"]: v for (name, has), v in found.items()
            if name == "recon_enrollments_total"}  # fmt: skip
    assert ends == {"succeeded": 1, "rejected": 1, "internal-fault": 1, "worker-lost": 1}
    attempts = {dict(has)["outcome"]: v for (name, has), v in found.items()
                if name == "recon_enrollment_attempts_total"}  # fmt: skip
    assert attempts["done"] == 2
    assert attempts["internal-fault"] == 2
    assert attempts["nothing-to-do"] == 4 + 4 + 3 + 3
    opened.close()


def test_a_compute_that_is_observed_gives_the_same_answers() -> None:
    telemetry, inner = Telemetry(), ScriptedCompute()
    seen: list[tuple[str, float]] = []
    outcome = telemetry.observed(inner).reconstruct(
        [b"x"], lambda stage, share: seen.append((stage, share)), backend="deca"
    )
    assert outcome is OUTCOME
    assert (seen, inner.backends) == ([("fitting", 0.5)], ["deca"])
    assert telemetry.observed(inner).seen == inner.seen, "what else it offers passes through"
    with pytest.raises(AttributeError):
        _ = telemetry.observed(inner).nothing

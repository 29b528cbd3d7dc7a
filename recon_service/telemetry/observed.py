"""``ports.Compute`` seen from outside: the same calls, counted, timed and traced. What is computed knows
nothing of it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from recon_service.application.ports.compute import Compute, Progress
from recon_service.application.records.operations import EnrollmentOutcome, SelfieReport
from recon_service.telemetry.metrics import Metrics
from recon_service.telemetry.traces import Traces

if TYPE_CHECKING:
    from recon_service.application.records.visits import KioskVisit, VerificationOutcome
    from recon_service.domain.template import Template

ENROLLMENT = "enrollment"
VERIFICATION = "verification"
BATCH = "batch"
WHOLE = "total"


class ObservedCompute:
    """Stands before the compute of a service or worker."""

    def __init__(self, compute: Compute, metrics: Metrics, traces: Traces) -> None:
        self._compute, self._metrics, self._traces = compute, metrics, traces

    def __getattr__(self, name: str) -> Any:
        # What else a compute offers passes through unseen.
        return getattr(self._compute, name)

    def reconstruct(self, selfies: Sequence[bytes], progress: Progress, **options: Any) -> EnrollmentOutcome:
        """The stages are those that the progress names."""
        marks = _Marks("waiting")

        def passed_on(stage: str, share: float) -> None:
            marks.reach(stage)
            progress(stage, share)

        with self._traces.span("reconstruct") as span:
            span.set(selfies=len(selfies))
            try:
                outcome = self._compute.reconstruct(selfies, passed_on, **options)
            finally:
                self._tell(ENROLLMENT, marks.ended())
            span.set(
                accepted=sum(s.accepted for s in outcome.selfies), enrolled=outcome.posterior is not None
            )
        self._metrics.selfies_seen(outcome)
        return outcome

    def verify(
        self, reference: Template, visit: KioskVisit, *more: Any, **options: Any
    ) -> VerificationOutcome:
        """The stages are those that the outcome names; each is the sum over the frames, so their spans are
        laid one after the other and say so.
        """
        with self._traces.span("compute.verify") as span:
            span.set(frames=len(visit.depth))
            begun, watch = time.time_ns(), time.perf_counter()
            outcome = self._compute.verify(reference, visit, *more, **options)
            self._metrics.stage(VERIFICATION, WHOLE, time.perf_counter() - watch)
            span.set(decision=outcome.result.decision.value, calibration=outcome.calibration[:100])
            for stage, milliseconds in outcome.milliseconds.items():
                if stage == WHOLE:
                    continue
                ended = begun + round(1e6 * milliseconds)
                self._traces.add(stage, begun, ended, summed_over_frames=True)
                self._metrics.stage(VERIFICATION, stage, milliseconds / 1000)
                begun = ended
        self._metrics.verified(outcome)
        return outcome

    def check_quality(self, selfies: Sequence[bytes]) -> tuple[SelfieReport, ...]:
        """One stage."""
        with self._traces.span("check_quality"):
            watch = time.perf_counter()
            reports = self._compute.check_quality(selfies)
            self._metrics.stage("quality-check", WHOLE, time.perf_counter() - watch)
        return reports

    def picture(self, template: Template) -> bytes:
        """As ``compute`` does it."""
        return self._compute.picture(template)

    def mesh(self, template: Template) -> bytes:
        """One stage."""
        with self._traces.span("mesh"):
            watch = time.perf_counter()
            content = self._compute.mesh(template)
            self._metrics.stage("mesh", WHOLE, time.perf_counter() - watch)
        return content

    def _tell(self, work: str, stages: list[tuple[str, int, int]]) -> None:
        for stage, begun, ended in stages:
            self._metrics.stage(work, stage, (ended - begun) / 1e9)
            self._traces.add(stage, begun, ended)
        if stages:
            self._metrics.stage(work, WHOLE, (stages[-1][2] - stages[0][1]) / 1e9)


class _Marks:
    """When each stage began. A stage that comes again goes on."""

    def __init__(self, first: str) -> None:
        self._marks = [(first, time.time_ns())]

    def reach(self, stage: str) -> None:
        if stage != self._marks[-1][0]:
            self._marks.append((stage, time.time_ns()))

    def ended(self) -> list[tuple[str, int, int]]:
        """Name, begin and end of each, in nanoseconds since 1970."""
        ends = [begun for _, begun in self._marks[1:]] + [time.time_ns()]
        return [(name, begun, max(begun, end)) for (name, begun), end in zip(self._marks, ends, strict=True)]

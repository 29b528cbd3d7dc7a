"""``ports.Compute`` and ``ports.ReferenceIndex`` seen from outside: the same calls, counted, timed and
traced. What is computed and searched knows nothing of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from recon_service.application.ports.compute import Compute, Progress
from recon_service.application.records.operations import EnrollmentOutcome, SelfieReport
from recon_service.telemetry.metrics import Metrics
from recon_service.telemetry.traces import Traces

if TYPE_CHECKING:
    from recon_service.application.ports.references import ReferenceIndex
    from recon_service.application.records.identifications import ObservedVisit
    from recon_service.application.records.inspections import Inspection
    from recon_service.application.records.references import SearchProbe, SearchResult
    from recon_service.application.records.visits import KioskVisit, VerificationOutcome
    from recon_service.domain.template import Template

ENROLLMENT = "enrollment"
VERIFICATION = "verification"
IDENTIFICATION = "identification"
SEARCH = "search"
BATCH = "batch"
WHOLE = "total"
_Value = TypeVar("_Value")


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
        """The decision is counted, and why."""
        with self._traces.span("compute.verify") as span:
            span.set(frames=len(visit.depth))
            begun, watch = time.time_ns(), time.perf_counter()
            outcome = self._compute.verify(reference, visit, *more, **options)
            self._visit(VERIFICATION, begun, time.perf_counter() - watch, outcome.milliseconds)
            span.set(decision=outcome.result.decision.value, calibration=outcome.calibration[:100])
        self._metrics.verified(outcome)
        self._metrics.presented(VERIFICATION, outcome.result.presentation)
        return outcome

    def observe(self, visit: KioskVisit) -> ObservedVisit:
        """Of an identification, whose decision is not made here."""
        with self._traces.span("compute.observe") as span:
            span.set(frames=len(visit.depth))
            begun, watch = time.time_ns(), time.perf_counter()
            seen = self._compute.observe(visit)
            self._visit(IDENTIFICATION, begun, time.perf_counter() - watch, seen.milliseconds)
            span.set(frames_used=seen.frames_used, attack=seen.presentation.attack)
        self._metrics.presented(IDENTIFICATION, seen.presentation)
        return seen

    def check_quality(self, selfies: Sequence[bytes]) -> tuple[SelfieReport, ...]:
        """One stage."""
        return self._timed("quality-check", lambda: self._compute.check_quality(selfies))

    def picture(self, template: Template) -> bytes:
        """One stage."""
        return self._timed("picture", lambda: self._compute.picture(template))

    def mesh(self, template: Template) -> bytes:
        """One stage."""
        return self._timed("mesh", lambda: self._compute.mesh(template))

    def inspect(self, template: Template, selfies: Sequence[bytes], visit: KioskVisit | None) -> Inspection:
        """One stage."""
        return self._timed("inspection", lambda: self._compute.inspect(template, selfies, visit))

    def _timed(self, work: str, call: Callable[[], _Value]) -> _Value:
        with self._traces.span(work):
            watch = time.perf_counter()
            value = call()
            self._metrics.stage(work, WHOLE, time.perf_counter() - watch)
        return value

    def _visit(self, work: str, begun: int, seconds: float, milliseconds: Mapping[str, float]) -> None:
        """Each stage is the sum over the frames, so their spans are laid one after the other and say so."""
        self._metrics.stage(work, WHOLE, seconds)
        for stage, duration in milliseconds.items():
            if stage == WHOLE:
                continue
            ended = begun + round(1e6 * duration)
            self._traces.add(stage, begun, ended, summed_over_frames=True)
            self._metrics.stage(work, stage, duration / 1000)
            begun = ended

    def _tell(self, work: str, stages: list[tuple[str, int, int]]) -> None:
        for stage, begun, ended in stages:
            self._metrics.stage(work, stage, (ended - begun) / 1e9)
            self._traces.add(stage, begun, ended)
        if stages:
            self._metrics.stage(work, WHOLE, (stages[-1][2] - stages[0][1]) / 1e9)


class ObservedIndex:
    """Stands before the index of a service or worker."""

    def __init__(self, index: ReferenceIndex, metrics: Metrics, traces: Traces) -> None:
        self._index, self._metrics, self._traces = index, metrics, traces
        self._unreadable = 0

    def start(self) -> None:
        """As the index does it."""
        self._index.start()

    def check(self) -> None:
        """As the index does it."""
        self._index.check()

    def close(self) -> None:
        """As the index does it."""
        self._index.close()

    def search(self, probe: SearchProbe, *, count: int, least_llr: float) -> SearchResult:
        """One stage; and how many there are."""
        with self._traces.span(SEARCH) as span:
            watch = time.perf_counter()
            found = self._index.search(probe, count=count, least_llr=least_llr)
            self._metrics.stage(SEARCH, WHOLE, time.perf_counter() - watch)
            span.set(searched=found.searched, scored=found.scored)
        self._metrics.searched(found)
        if found.unreadable != self._unreadable:
            structlog.get_logger().warning("references cannot be opened", count=found.unreadable)
            self._unreadable = found.unreadable
        return found


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

"""The heavy part of the use cases, in this process and thread: decoding, detection, fits, comparison."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from recon_service.application.computing.enroll import Selfie, chosen, enroll, examine
from recon_service.application.computing.evidence_refits import refitted
from recon_service.application.computing.inspection import Overlay, inspected, no_overlay
from recon_service.application.computing.kept_evidence import to_bytes
from recon_service.application.computing.model_carrying import carried_over
from recon_service.application.computing.observation import observed_visit
from recon_service.application.computing.pipeline import FaceDetector, FaceLandmarker, FacePipeline
from recon_service.application.computing.streaming import Probe, StoppingRule
from recon_service.application.computing.strengthening import proposed
from recon_service.application.computing.verify import verified_probe
from recon_service.application.computing.version_comparison import versions_compared
from recon_service.application.computing.visit_decoding import decode_visit
from recon_service.application.ports.compute import Progress
from recon_service.application.records.evaluations import (
    EvaluationOutcome,
    EvaluationSet,
    PersonObserved,
    SetFacts,
    SideObserved,
    Way,
)
from recon_service.application.records.identifications import ObservedVisit
from recon_service.application.records.inspections import Inspection
from recon_service.application.records.models import ModelsInForce
from recon_service.application.records.operations import (
    LANDMARKS_ALONE,
    EnrollmentOutcome,
    Problem,
    SelfieReport,
)
from recon_service.application.records.probes import ProbeSeen, RecentProbe
from recon_service.application.records.versions import VersionsCompared
from recon_service.application.records.visits import KioskVisit, VerificationOutcome
from recon_service.comparison.policy import Policy
from recon_service.domain.errors import InvalidValue, ModelMismatch, WeightsUnavailable
from recon_service.domain.faces import DetectedFace, FaceLandmarks
from recon_service.domain.images import Image
from recon_service.domain.mesh import Mesh
from recon_service.domain.template import Decision, Template, VerificationResult


class Evaluations(Protocol):
    """Evaluation sets, and what tries a way of making templates on them. compute: with the models in force.
    Errors: as ``ports.evaluations.Evaluating`` has them.
    """

    def facts(self, which: EvaluationSet) -> SetFacts: ...

    def person(
        self, which: EvaluationSet, number: int, way: Way, compute: LocalCompute
    ) -> PersonObserved: ...

    def outcome(
        self, facts: SetFacts, former: SideObserved, candidate: SideObserved, compute: LocalCompute
    ) -> EvaluationOutcome: ...


@dataclass(frozen=True, slots=True)
class LocalCompute:
    """See ``ports.Compute``. mesh_bytes: writes a mesh as binary glTF, mesh_picture draws
    it as PNG. stopping: when the rest of a visit's
    frames need not be looked at. in_force: says what the pipeline was loaded from. evaluations: that batches
    are judged by; None: it has none.
    """

    pipeline: FacePipeline
    policy: Policy
    mesh_bytes: Callable[[Mesh], bytes]
    mesh_picture: Callable[[Mesh], bytes]
    overlay: Overlay = no_overlay
    stopping: StoppingRule | None = field(default_factory=StoppingRule)
    in_force: Callable[[FacePipeline], ModelsInForce] | None = None
    evaluations: Evaluations | None = None

    @property
    def versions(self) -> dict[str, str]:
        """What it computes with, by name and digest where there is one."""
        return {
            "model": self.pipeline.model.name,
            "calibration": self.pipeline.calibration.identity,
            "policy": self.policy.name,
            "detector": self.pipeline.detector.name,
        }

    def reconstruct(
        self, selfies: Sequence[bytes], progress: Progress, *, backend: str = LANDMARKS_ALONE
    ) -> EnrollmentOutcome:
        """Selfie bytes to posterior. Raises UnknownBackend, BackendUnavailable with the next step."""
        result = enroll(
            selfies,
            self.pipeline,
            backend=backend,
            progress=lambda stage, share: progress(stage.value, share),
        )
        reports = tuple(selfie_report(s) for s in result.selfies)
        if result.fit is None:
            doubt = next(
                (Problem(code, "The fit is not to be trusted.", hint) for code, hint in result.doubts), None
            )
            return EnrollmentOutcome(reports, None, doubt)
        name = "+".join([self.pipeline.landmarker.name, *([backend] if result.surfaces else [])])
        return EnrollmentOutcome(
            reports,
            result.fit.posterior,
            source=result.source,
            backend=name,
            evidence=to_bytes(replace(result.kept, backend=name)) if result.kept else b"",
            model=self.pipeline.model.name,
            calibration=self.pipeline.calibration.identity,
            appearance=result.appearance,
        )

    def reconstruct_with(
        self, backend: str, selfies: Sequence[bytes], progress: Progress
    ) -> EnrollmentOutcome:
        """``reconstruct`` for a caller who can only give arguments by their place."""
        return self.reconstruct(selfies, progress, backend=backend)

    def check_quality(self, selfies: Sequence[bytes]) -> tuple[SelfieReport, ...]:
        """What ``reconstruct`` would say about them."""
        examined = [examine(content, self.pipeline) for content in selfies]
        return tuple(map(selfie_report, chosen(examined, selfies, self.pipeline.most_selfies)))

    def verify(self, reference: Template, visit: KioskVisit) -> VerificationOutcome:
        """Decode the visit, fit it, compare and decide; with the time each part took."""
        watch = Stopwatch()
        with watch.measure("total"):
            with watch.measure("decode"):
                frames = decode_visit(visit, limits=self.pipeline.image_limits)
            timed = replace(
                self.pipeline,
                detector=_TimedDetector(self.pipeline.detector, watch),
                landmarker=_TimedLandmarker(self.pipeline.landmarker, watch),
            )
            may_strengthen = visit.may_strengthen and self.policy.strengthening is not None
            # What is kept rests on all that was seen.
            stopping = None if may_strengthen else self.stopping
            probe, result = verified_probe(frames, reference, timed, self.policy, stopping=stopping)
            proposal = (
                proposed(probe, result, reference, self.pipeline, self.policy, confirmed=visit.confirmed)
                if may_strengthen
                else None
            )
        spent = watch.milliseconds
        spent["fit_and_compare"] = spent["total"] - sum(ms for stage, ms in spent.items() if stage != "total")
        return VerificationOutcome(
            result,
            self.pipeline.calibration.identity,
            {k: round(v, 2) for k, v in spent.items()},
            proposal,
            seen=_seen(probe, result) if visit.keep_probe else None,
        )

    def compare_versions(
        self,
        pairs: Sequence[tuple[Template, Template]],
        probes: Sequence[Sequence[RecentProbe]] = (),
    ) -> VersionsCompared:
        """Under the calibration and the policy in force."""
        calibration, maps = self.pipeline.calibration, self.pipeline.appearance_maps
        return versions_compared(pairs, calibration, probes, policy=self.policy, maps=maps)

    def models(self) -> ModelsInForce:
        """What templates are derived with. Raises WeightsUnavailable."""
        if self.in_force is None:
            raise WeightsUnavailable("nobody said what this pipeline was loaded from")
        return self.in_force(self.pipeline)

    def refit(self, content: bytes, *, backend: str = LANDMARKS_ALONE) -> EnrollmentOutcome:
        """Kept evidence to posterior. Raises StorageFault, ModelMismatch."""
        return refitted(content, self.pipeline, backend=backend)

    def refit_with(self, backend: str, content: bytes) -> EnrollmentOutcome:
        """``refit`` for a caller who can only give arguments by their place."""
        return self.refit(content, backend=backend)

    def carry_over(self, templates: Sequence[Template]) -> tuple[Template | str, ...]:
        """Each as the models in force would hold it, or the code of why it cannot be."""
        return tuple(carried_over(template, self.pipeline) for template in templates)

    def observe(self, visit: KioskVisit) -> ObservedVisit:
        """Decode and fit the visit. Raises DepthRejected, ImageRejected."""
        return observed_visit(visit, self.pipeline)

    def evaluation_facts(self, which: EvaluationSet) -> SetFacts:
        """See ``ports.evaluations.Evaluating``."""
        return self._evaluations().facts(which)

    def evaluation_person(self, which: EvaluationSet, person: int, way: Way) -> PersonObserved:
        """See ``ports.evaluations.Evaluating``."""
        return self._evaluations().person(which, person, way, self)

    def evaluation_outcome(
        self, facts: SetFacts, former: SideObserved, candidate: SideObserved
    ) -> EvaluationOutcome:
        """See ``ports.evaluations.Evaluating``."""
        return self._evaluations().outcome(facts, former, candidate, self)

    def _evaluations(self) -> Evaluations:
        if self.evaluations is None:
            raise InvalidValue("this process has no evaluation sets")
        return self.evaluations

    def mesh(self, template: Template) -> bytes:
        """The neutral face. Raises ModelMismatch when the template's coefficients are not this model's."""
        return self.mesh_bytes(self._neutral(template))

    def picture(self, template: Template) -> bytes:
        """The neutral face from three sides. Raises ModelMismatch as ``mesh``."""
        return self.mesh_picture(self._neutral(template))

    def inspect(self, template: Template, selfies: Sequence[bytes], visit: KioskVisit | None) -> Inspection:
        """See ``inspection.py``. Raises ModelMismatch as ``mesh``, DepthRejected, ImageRejected."""
        self._neutral(template)
        outcome = self.verify(template, visit) if visit is not None else None
        return inspected(template, selfies, visit, outcome, self.pipeline, self.overlay)

    def _neutral(self, template: Template) -> Mesh:
        model, posterior = self.pipeline.model, template.posterior
        if posterior.space != model.space or len(posterior.mean) != model.identity_modes:
            raise ModelMismatch(
                f"the template was made with {posterior.space} ({len(posterior.mean)}), the service runs "
                f"{model.space} ({model.identity_modes})",
                next_step="Enroll the subject again.",
            )
        return model.mesh(posterior.mean)


def _seen(probe: Probe, result: VerificationResult) -> ProbeSeen | None:
    """What was compared; None: nothing was, or it was no face."""
    if probe.posterior is None or result.score is None or result.decision is Decision.PRESENTATION_ATTACK:
        return None
    return ProbeSeen(probe.posterior, probe.source, len(probe.fits), probe.appearance)


def selfie_report(selfie: Selfie) -> SelfieReport:
    """What is said about a selfie, without the selfie."""
    problem = selfie.problem
    return SelfieReport(
        accepted=selfie.accepted,
        quality=selfie.quality,
        problem=Problem(problem.code, problem.detail, problem.next_step) if problem else None,
        spare=selfie.spare,
    )


@dataclass(slots=True)
class Stopwatch:
    """Milliseconds per stage, added up."""

    milliseconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Count the block's time toward ``stage``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = 1000 * (time.perf_counter() - start)
            self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + spent


class _TimedDetector:
    def __init__(self, detector: FaceDetector, watch: Stopwatch) -> None:
        self.name, self._detector, self._watch = detector.name, detector, watch

    def detect(self, image: Image) -> tuple[DetectedFace, ...]:
        with self._watch.measure("detect"):
            return self._detector.detect(image)


class _TimedLandmarker:
    def __init__(self, landmarker: FaceLandmarker, watch: Stopwatch) -> None:
        self.name, self._landmarker, self._watch = landmarker.name, landmarker, watch

    def landmarks(self, image: Image, face: DetectedFace) -> FaceLandmarks:
        with self._watch.measure("landmarks"):
            return self._landmarker.landmarks(image, face)

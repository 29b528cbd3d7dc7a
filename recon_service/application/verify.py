"""Verify: depth frame -> point cloud -> presentation-attack check -> evidence -> identity posterior
-> comparison score -> decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

from recon_service.application.appearances import appearance_of
from recon_service.application.pipeline import FacePipeline
from recon_service.application.presentations import expected_landmarks, presentation
from recon_service.comparison.appearance import compare_appearance, with_appearance
from recon_service.comparison.evidence_kind import GENERIC, EvidenceKind
from recon_service.comparison.likelihood_ratio import compare
from recon_service.comparison.policy import Policy, decide
from recon_service.depth import depth_capture
from recon_service.domain.appearance import Appearance
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import DepthRejected, FitFailed
from recon_service.domain.evidence import Capture
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.fit import Fit
from recon_service.domain.images import Image
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.presentation import PresentationResult
from recon_service.domain.template import Decision, Template, VerificationResult
from recon_service.fitting import fit_identity
from recon_service.fitting.plausibility import doubts

NOTHING_MEASURED = PresentationResult(())


@dataclass(frozen=True, slots=True)
class Probe:
    """What a visit to the kiosk gave.

    posterior: of all usable frames together, or None when there is none. fits: of each usable frame.
    faults: code and hint for each thing that kept a frame from being used. appearance: on the pictures of
    usable frames. presentation: whether it was a face at all.
    """

    posterior: IdentityPosterior | None
    fits: tuple[Fit, ...]
    source: str
    faults: tuple[tuple[str, str], ...] = ()
    appearance: Appearance | None = None
    presentation: PresentationResult = NOTHING_MEASURED


def verify(
    frames: Sequence[DepthFrame], reference: Template, pipeline: FacePipeline, policy: Policy
) -> VerificationResult:
    """Is the person before the depth camera the one of the template?"""
    probe = observe(frames, pipeline)
    if probe.presentation.attack:
        return attacked(probe.presentation, policy)
    if probe.posterior is None:
        return replace(decide(None, policy=policy, faults=probe.faults), presentation=probe.presentation)
    score = compare(
        reference.posterior,
        probe.posterior,
        reference_kind=EvidenceKind.of(reference.source, max(1, len(reference.provenance))),
        probe_kind=EvidenceKind.depth(probe.source, len(probe.fits)),
        calibration=pipeline.calibration,
        template_calibration=reference.calibration,
    )
    seen = compare_appearance(reference.appearance, probe.appearance, pipeline.appearance_maps)
    score = with_appearance(score, seen)
    decided = decide(score, policy=policy, faults=probe.faults, frames=len(probe.fits))
    return replace(decided, presentation=probe.presentation)


def attacked(found: PresentationResult, policy: Policy) -> VerificationResult:
    """The decision about an artefact: nothing was compared, and the reasons say what gave it away."""
    return VerificationResult(Decision.PRESENTATION_ATTACK, None, found.reasons, policy.name, found)


def observe(frames: Sequence[DepthFrame], pipeline: FacePipeline) -> Probe:
    """The identity posterior of the person on these depth frames (one visit).

    Every frame is fitted on its own and their evidence is added: a spoiled frame does not pull the others,
    and the answer after each frame is there as it comes.
    """
    fits: list[Fit] = []
    pictures: list[tuple[Image, FaceLandmarks]] = []
    seen: list[tuple[DepthFrame, FaceLandmarks]] = []
    faults: list[tuple[str, str]] = []
    for frame in frames:
        landmarks = frame_landmarks(frame, pipeline)
        if landmarks is not None:
            seen.append((frame, landmarks))
        try:
            capture = frame_capture(frame, landmarks, pipeline)
            if landmarks is None and capture.start is not None:
                expected = expected_landmarks(capture.start, frame.camera, pipeline)
                seen += [(frame, expected)] if expected is not None else []
            fit = fit_identity(pipeline.model, [capture], landmark_model=pipeline.landmark_model)
        except (DepthRejected, FitFailed) as problem:
            faults.append((problem.code, problem.next_step or problem.detail))
            continue
        if found := doubts(fit, [capture], model=pipeline.model, landmark_model=pipeline.landmark_model):
            faults.extend(found)
            continue
        fits.append(fit)
        if frame.image is not None and landmarks is not None:
            pictures.append((frame.image, landmarks))
    posterior = reduce(IdentityPosterior.fused_with, (fit.posterior for fit in fits)) if fits else None
    return Probe(
        posterior,
        tuple(fits),
        frames[0].camera_name if frames else GENERIC,
        tuple(dict.fromkeys(faults)),
        appearance_of(pictures, pipeline.embedder),
        presentation(seen, pipeline),
    )


def frame_capture(frame: DepthFrame, landmarks: FaceLandmarks | None, pipeline: FacePipeline) -> Capture:
    """The evidence in one depth frame. Raises DepthRejected."""
    return depth_capture(
        frame,
        landmarks=landmarks,
        model=pipeline.model,
        landmark_model=pipeline.landmark_model,
    )


def frame_landmarks(frame: DepthFrame, pipeline: FacePipeline) -> FaceLandmarks | None:
    """Landmarks in the picture of a frame; None where there is no picture or no face in it."""
    if frame.image is None:
        return None
    faces = pipeline.detector.detect(frame.image)
    # Bystanders look over the shoulder: the person at the kiosk is the one nearest, so the largest.
    nearest = max(faces, key=lambda face: face.width * face.height, default=None)
    return pipeline.landmarker.landmarks(frame.image, nearest) if nearest else None

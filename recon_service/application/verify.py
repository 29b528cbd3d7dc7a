"""Verify: depth frame -> point cloud -> evidence -> identity posterior -> comparison score -> decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recon_service.application.pipeline import FacePipeline
from recon_service.comparison.likelihood_ratio import compare
from recon_service.comparison.policy import Policy, decide
from recon_service.depth import depth_capture
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import DepthRejected
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.fit import Fit
from recon_service.domain.template import Template, VerificationResult
from recon_service.fitting.solver import fit_identity


@dataclass(frozen=True, slots=True)
class Probe:
    """What a kiosk's visit gave: the fit, or why there is none. faults: code and hint per frame that could
    not be used.
    """

    fit: Fit | None
    source: str
    faults: tuple[tuple[str, str], ...] = ()


def verify(
    frames: Sequence[DepthFrame], reference: Template, pipeline: FacePipeline, policy: Policy
) -> VerificationResult:
    """Is the person before the depth camera the one of the template?"""
    probe = observe(frames, pipeline)
    score = None
    if probe.fit is not None:
        score = compare(
            reference.posterior,
            probe.fit.posterior,
            reference_source=reference.source,
            probe_source=probe.source,
            noise=pipeline.noise,
        )
    return decide(score, policy=policy, faults=probe.faults)


def observe(frames: Sequence[DepthFrame], pipeline: FacePipeline) -> Probe:
    """The identity posterior of the person on these depth frames (one visit)."""
    captures, faults = [], []
    for frame in frames:
        try:
            captures.append(
                depth_capture(
                    frame,
                    landmarks=_landmarks(frame, pipeline),
                    model=pipeline.model,
                    landmark_model=pipeline.landmark_model,
                )
            )
        except DepthRejected as problem:
            faults.append((problem.code, problem.next_step or problem.detail))
    source = frames[0].camera_name if frames else "generic"
    fit = fit_identity(pipeline.model, captures, landmark_model=pipeline.landmark_model) if captures else None
    return Probe(fit, source, tuple(faults))


def _landmarks(frame: DepthFrame, pipeline: FacePipeline) -> FaceLandmarks | None:
    if frame.image is None:
        return None
    faces = pipeline.detector.detect(frame.image)
    return pipeline.landmarker.landmarks(frame.image, faces[0]) if faces else None

"""Verify: depth frame -> point cloud -> presentation-attack check -> evidence -> identity posterior
-> comparison score -> decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.rescoring import scored
from recon_service.application.computing.streaming import (
    Probe,
    StoppingRule,
    Visit,
    frame_capture,
    frame_landmarks,
)
from recon_service.application.records.probes import ProbeSeen
from recon_service.comparison.policy import Policy, decide
from recon_service.comparison.strengthening_parts import require_comparable
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.presentation import PresentationResult
from recon_service.domain.template import ComparisonScore, Decision, Template, VerificationResult

__all__ = ["Probe", "attacked", "frame_capture", "frame_landmarks", "observe", "verify"]


def verify(
    frames: Sequence[DepthFrame],
    reference: Template,
    pipeline: FacePipeline,
    policy: Policy,
    *,
    stopping: StoppingRule | None = None,
) -> VerificationResult:
    """Is the person before the depth camera the one of the template?

    stopping: when frames that are left need not be looked at; None: all are.
    """
    return verified_probe(frames, reference, pipeline, policy, stopping=stopping)[1]


def verified_probe(
    frames: Sequence[DepthFrame],
    reference: Template,
    pipeline: FacePipeline,
    policy: Policy,
    *,
    stopping: StoppingRule | None = None,
) -> tuple[Probe, VerificationResult]:
    """``verify``, with what the frames gave. Raises ModelMismatch before it looks at any."""
    require_comparable(reference, pipeline.calibration)
    visit = Visit(pipeline)
    for number, frame in enumerate(frames, start=1):
        visit.add(frame)
        if stopping is None or number == len(frames):
            continue
        score = compared(visit.probe(presentation_too=False), reference, pipeline)
        if score is None:
            continue
        llr = policy.considered(score).llr
        if not stopping.clear(llr, len(visit.agreement().together), policy):
            continue
        # What looks like an artefact so far is looked at to the end.
        if not (probe := visit.probe()).presentation.attack:
            return probe, decided(probe, score, policy)
    probe = visit.probe()
    return probe, decided(probe, compared(probe, reference, pipeline), policy)


def compared(probe: Probe, reference: Template, pipeline: FacePipeline) -> ComparisonScore | None:
    """The calibrated score of a probe, or None where it has no usable frame."""
    if probe.posterior is None:
        return None
    seen = ProbeSeen(probe.posterior, probe.source, len(probe.fits), probe.appearance)
    return scored(reference, seen, pipeline.calibration, pipeline.appearance_maps)


def decided(probe: Probe, score: ComparisonScore | None, policy: Policy) -> VerificationResult:
    """The decision about a probe with its score."""
    used = len(probe.fits)
    if probe.presentation.attack:
        return replace(attacked(probe.presentation, policy), frames_used=used)
    result = decide(score, policy=policy, faults=probe.faults, frames=used if score is not None else None)
    return replace(result, presentation=probe.presentation, frames_used=used)


def attacked(found: PresentationResult, policy: Policy) -> VerificationResult:
    """The decision about an artefact: nothing was compared, and the reasons say what gave it away."""
    return VerificationResult(Decision.PRESENTATION_ATTACK, None, found.reasons, policy.name, found)


def observe(frames: Sequence[DepthFrame], pipeline: FacePipeline) -> Probe:
    """All that the frames of one visit say of the person on them."""
    visit = Visit(pipeline)
    for frame in frames:
        visit.add(frame)
    return visit.probe()

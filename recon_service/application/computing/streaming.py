"""A visit frame by frame: what is known after each frame, and when it is enough.

Every frame is fitted on its own and their evidence is added (docs/adr/0031): a spoiled frame does not pull
the others, and the posterior after each frame is there as it comes. Frames of one visit show one person: a
frame that, by the calibrated score, is somebody else's than all others' is left out. Once two frames agree
about where the head is, depth frames without a picture look for it near where it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Final

from recon_service.application.computing.appearances import appearance_of, joined
from recon_service.application.computing.consistency import Grouping, grouping
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.presentations import SeenFace, expected_landmarks, presentation
from recon_service.comparison.evidence_kind import GENERIC, EvidenceKind
from recon_service.comparison.policy import Policy
from recon_service.depth import depth_capture
from recon_service.depth.cleaning import clean_depth
from recon_service.domain.appearance import Appearance
from recon_service.domain.arrays import Array
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import DepthRejected, FitFailed, ModelMismatch
from recon_service.domain.evidence import Capture
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.fit import Fit
from recon_service.domain.images import Image
from recon_service.domain.pose import HeadPose
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.presentation import PresentationResult
from recon_service.fitting import fit_identity
from recon_service.fitting.plausibility import doubts

NOTHING_MEASURED = PresentationResult(())
LEAST_AGREEMENT: Final = -3.0
"""Log-likelihood ratio below which two frames of a visit are taken for two people's."""
ONE_FRAME_DISAGREES: Final = (
    "frame-disagrees",
    "One of the frames shows another face than the others: stand alone before the camera.",
)
FRAMES_DISAGREE: Final = (
    "frames-disagree",
    "The frames do not show one face: stand alone before the camera, look at it and try again.",
)


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """When a decision is clear before the last frame of a visit.

    match_margin, no_match_margin: how far beyond the policy's thresholds the score must lie (natural
    log-likelihood ratio). least_frames: usable frames that any decision needs. docs/calibration.md has what
    stopping early does to the error rates.
    """

    match_margin: float = 0.5
    no_match_margin: float = 2.0
    least_frames: int = 2

    def clear(self, llr: float, frames: int, policy: Policy) -> bool:
        """Whether more frames need not be looked at. frames: usable ones so far."""
        if frames < self.least_frames:
            return False
        matched = frames >= policy.least_frames and llr >= policy.match_above + self.match_margin
        return matched or llr < policy.no_match_below - self.no_match_margin


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


class Visit:
    """The frames of one visit, one after the other. Belongs to one thread."""

    def __init__(self, pipeline: FacePipeline) -> None:
        self._pipeline = pipeline
        self._source = GENERIC
        self._fits: list[Fit] = []
        self._pictures: list[tuple[Image, FaceLandmarks] | None] = []
        self._looks: dict[int, Appearance | None] = {}
        self._seen: list[SeenFace] = []
        self._faults: list[tuple[str, str]] = []

    def add(self, frame: DepthFrame) -> None:
        """Look at one more frame; what keeps it from being used becomes a fault."""
        pipeline = self._pipeline
        if not self._seen and not self._fits and not self._faults:
            self._source = frame.camera_name
        landmarks = frame_landmarks(frame, pipeline)
        clean = clean_depth(frame.depth)
        if landmarks is not None:
            self._seen.append(SeenFace(frame, clean, landmarks))
        last = self._last()
        try:
            capture = frame_capture(frame, landmarks, pipeline, last=last, clean=clean)
            fit, found = self._fitted(capture)
            if last is not None and (found or fit is None or not self._fits_in(fit)):
                # What follows the last pose astray must not be held against the frame.
                capture = frame_capture(frame, landmarks, pipeline, clean=clean)
                fit, found = self._fitted(capture)
        except DepthRejected as problem:
            self._faults.append((problem.code, problem.next_step or problem.detail))
            return
        if landmarks is None and capture.start is not None:
            expected = expected_landmarks(capture.start, frame.camera, pipeline)
            self._seen += [SeenFace(frame, clean, expected)] if expected is not None else []
        if found or fit is None:
            self._faults.extend(found)
            return
        self._fits.append(fit)
        pictured = None if frame.image is None or landmarks is None else (frame.image, landmarks)
        self._pictures.append(pictured)

    def posterior(self) -> IdentityPosterior | None:
        """Of the frames so far that agree with each other."""
        fits = [self._fits[k] for k in self.agreement().together]
        return reduce(IdentityPosterior.fused_with, (fit.posterior for fit in fits)) if fits else None

    def agreement(self) -> Grouping:
        """Which of the fitted frames show one person; none where no majority does."""
        count = len(self._fits)
        found = grouping(count, self._agree) if count > 1 else Grouping(tuple(range(count)))
        return found if not found.apart or found.majority else Grouping((), tuple(range(count)))

    def probe(self, *, presentation_too: bool = True) -> Probe:
        """All that the frames so far say. presentation_too: also whether it was a face at all."""
        found = self.agreement()
        faults = list(self._faults)
        if found.apart:
            faults.append(ONE_FRAME_DISAGREES if found.together else FRAMES_DISAGREE)
        return Probe(
            self.posterior(),
            tuple(self._fits[k] for k in found.together),
            self._source,
            tuple(dict.fromkeys(faults)),
            joined([self._look(k) for k in found.together]),
            presentation(self._seen, self._pipeline) if presentation_too else NOTHING_MEASURED,
        )

    def _fitted(self, capture: Capture) -> tuple[Fit | None, tuple[tuple[str, str], ...]]:
        """The fit, or None, and what speaks against it."""
        model, landmark_model = self._pipeline.model, self._pipeline.landmark_model
        try:
            fit = fit_identity(model, [capture], landmark_model=landmark_model)
        except FitFailed as problem:
            return None, ((problem.code, problem.next_step or problem.detail),)
        return fit, doubts(fit, [capture], model=model, landmark_model=landmark_model)

    def _look(self, k: int) -> Appearance | None:
        """The appearance on the picture of a fitted frame, computed once."""
        picture = self._pictures[k]
        if k not in self._looks:
            self._looks[k] = appearance_of([picture], self._pipeline.embedder) if picture else None
        return self._looks[k]

    def _last(self) -> HeadPose | None:
        """Where the head was, once two frames agree: one start that went wrong must not lead the others."""
        agreed = self.agreement().together
        return self._fits[agreed[-1]].captures[0].pose if len(agreed) > 1 else None

    def _fits_in(self, fit: Fit) -> bool:
        """Whether a new fit is of the person on the frames that agree so far."""
        return any(self._one_person(fit, self._fits[k]) is not False for k in self.agreement().together)

    def _agree(self, one: int, other: int) -> bool | None:
        return self._one_person(self._fits[one], self._fits[other])

    def _one_person(self, one: Fit, other: Fit) -> bool | None:
        """None where the calibration cannot tell."""
        kind = EvidenceKind.depth(self._source, 1)
        means = one.posterior.mean[None], other.posterior.mean[None]
        try:
            ratios, _ = self._pipeline.calibration.llr(kind, kind, *means)
        except ModelMismatch:
            return None
        return bool(ratios[0] >= LEAST_AGREEMENT)


def frame_capture(
    frame: DepthFrame,
    landmarks: FaceLandmarks | None,
    pipeline: FacePipeline,
    *,
    last: HeadPose | None = None,
    clean: Array | None = None,
) -> Capture:
    """The evidence in one depth frame. last: where the head was before. clean: its depth, where that was
    cleaned already. Raises DepthRejected.
    """
    return depth_capture(
        frame,
        landmarks=landmarks,
        model=pipeline.model,
        landmark_model=pipeline.landmark_model,
        last=last,
        clean=clean,
    )


def frame_landmarks(frame: DepthFrame, pipeline: FacePipeline) -> FaceLandmarks | None:
    """Landmarks in the picture of a frame; None where there is no picture or no face in it."""
    if frame.image is None:
        return None
    faces = pipeline.detector.detect(frame.image)
    # Bystanders look over the shoulder: the person at the kiosk is the one nearest, so the largest.
    nearest = max(faces, key=lambda face: face.width * face.height, default=None)
    return pipeline.landmarker.landmarks(frame.image, nearest) if nearest else None

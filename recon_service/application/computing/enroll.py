"""Enroll: selfie bytes -> image -> face -> quality -> landmarks -> evidence -> identity posterior.

The result goes into a template; keeping it is the caller's part (``application/enrolling/enrollments.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Final

from recon_service.application.computing.appearances import appearance_of, joined, light_of
from recon_service.application.computing.consistency import Grouping, StrangerInSet, by_appearance, by_skin
from recon_service.application.computing.evidence_refits import RememberingMatcher
from recon_service.application.computing.kept_evidence import KeptCaptures
from recon_service.application.computing.photometric import PHOTOMETRIC, LandmarkFit, refined
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.reconstructions import backend_of, surfaces_of
from recon_service.application.computing.views import tell_the_shape, with_advice
from recon_service.application.ports.compute import FaceReconstructor
from recon_service.application.records.operations import LANDMARKS_ALONE
from recon_service.domain.appearance import Appearance
from recon_service.domain.errors import FitFailed, ImageRejected, InvalidValue
from recon_service.domain.evidence import Capture, LandmarkEvidence, SurfacePoints
from recon_service.domain.faces import DetectedFace, FaceLandmarks
from recon_service.domain.fit import Fit
from recon_service.domain.images import Image
from recon_service.domain.quality import QualityReport
from recon_service.fitting import fit_identity
from recon_service.fitting.plausibility import doubts
from recon_service.imaging import decode_image
from recon_service.quality import assess, best_frames


class Stage(StrEnum):
    """Where an enrollment stands; reported to the person who waits."""

    DECODING = "decoding"
    ASSESSING = "assessing"
    FITTING = "fitting"
    STORING = "storing"


START_STEPS: Final = 6
"""Steps of the landmark fit that matching starts from: it takes the fit farther than the last steps would."""

Progress = Callable[[Stage, float], None]
"""Called with the stage and the share of the whole that is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Selfie:
    """One picture on its way: what was found in it so far. problem: why it could not be read at all, or that
    it shows somebody else. spare: good, but others of its view are better and are used instead.
    """

    image: Image | None = None
    face: DetectedFace | None = None
    landmarks: FaceLandmarks | None = None
    quality: QualityReport | None = None
    problem: ImageRejected | None = None
    spare: bool = False

    @property
    def accepted(self) -> bool:
        good = self.landmarks is not None and self.quality is not None and self.quality.accepted
        return good and self.problem is None

    @property
    def used(self) -> bool:
        return self.accepted and not self.spare


@dataclass(frozen=True, slots=True)
class EnrollmentResult:
    """What became of an enrollment.

    fit: None when no selfie was accepted or the fit is not plausible (a failure to enroll). doubts: code
    and hint for each thing that speaks against the fit; the reasons of rejected selfies are in the selfies.
    source: what the fit rests on and the light of the pictures ("selfies-photometric/visible"). appearance:
    of the selfies that were used. surfaces: how many meshes of a reconstruction backend took part. kept:
    what the fit rests on, without the pictures.
    """

    selfies: tuple[Selfie, ...]
    fit: Fit | None
    doubts: tuple[tuple[str, str], ...] = ()
    source: str = ""
    appearance: Appearance | None = None
    surfaces: int = 0
    kept: KeptCaptures | None = None

    @property
    def used(self) -> tuple[Selfie, ...]:
        return tuple(s for s in self.selfies if s.used)


def enroll(
    contents: Sequence[bytes],
    pipeline: FacePipeline,
    *,
    backend: str = LANDMARKS_ALONE,
    progress: Progress = lambda stage, share: None,
) -> EnrollmentResult:
    """The identity posterior of the person on these selfies, and what is to be said about each of them.

    A selfie that cannot be read or that the quality gate rejects does not stop the others. backend: the
    reconstruction model whose meshes of the accepted selfies are evidence too. Raises UnknownBackend,
    BackendUnavailable with the next step.
    """
    reconstructor = backend_of(pipeline, backend)
    selfies: list[Selfie] = []
    for number, content in enumerate(contents):
        progress(Stage.DECODING if number == 0 else Stage.ASSESSING, 0.7 * number / len(contents))
        selfies.append(examine(content, pipeline))
    progress(Stage.FITTING, 0.7)
    result = _fitted(chosen(selfies, contents, pipeline.most_selfies), pipeline, reconstructor)
    progress(Stage.STORING, 0.9)
    return result


def chosen(selfies: Sequence[Selfie], contents: Sequence[bytes], most: int) -> tuple[Selfie, ...]:
    """The selfies with those marked that are not needed beside better ones, and with what the others lack
    together. The same file again is none: it would count as another view of the skin, and make a template
    surer than one picture is.
    """
    usable = [k for k, s in enumerate(selfies) if s.accepted and contents.index(contents[k]) == k]
    reports = [q for k in usable if (q := selfies[k].quality) is not None]
    kept = {usable[place] for place in best_frames(reports, most=most)}
    marked = [replace(s, spare=True) if s.accepted and k not in kept else s for k, s in enumerate(selfies)]
    together = [s.quality for s in marked if s.used and s.quality is not None]
    return tuple(
        replace(s, quality=with_advice(s.quality, together)) if s.used and s.quality is not None else s
        for s in marked
    )


def _fitted(
    selfies: tuple[Selfie, ...], pipeline: FacePipeline, reconstructor: FaceReconstructor | None
) -> EnrollmentResult:
    seen = {k: _appearance(s, pipeline) for k, s in enumerate(selfies) if s.used}
    if not seen:
        return EnrollmentResult(selfies, None)
    numbers = tuple(seen)
    found = by_appearance([seen[k] for k in numbers], pipeline.appearance_maps)
    if found.apart:
        selfies, doubt = _left_out(selfies, numbers, found)
        if doubt is not None:
            return EnrollmentResult(selfies, None, (doubt,))
    result, found = _fitted_once(selfies, pipeline, reconstructor)
    if found.apart:
        numbers = tuple(k for k, s in enumerate(selfies) if s.used)
        selfies, doubt = _left_out(selfies, numbers, found)
        if doubt is not None:
            return EnrollmentResult(selfies, None, (doubt,), result.source)
        result, _ = _fitted_once(selfies, pipeline, reconstructor)
    if result.fit is None:
        return result
    appearance = joined([one for k, one in seen.items() if selfies[k].used])
    return replace(result, appearance=appearance)


def _fitted_once(
    selfies: tuple[Selfie, ...], pipeline: FacePipeline, reconstructor: FaceReconstructor | None
) -> tuple[EnrollmentResult, Grouping]:
    """The fit of the accepted selfies, and which of them show one skin."""
    accepted = [s for s in selfies if s.used]
    captures = [selfie_capture(s) for s in accepted]
    one = Grouping(tuple(range(len(accepted))))
    try:
        surfaces = surfaces_of(accepted, reconstructor, pipeline.model)
        matcher = RememberingMatcher(pipeline.matcher) if pipeline.matcher is not None else None
        fit_them = partial(
            fit_identity, pipeline.model, landmark_model=pipeline.landmark_model, surfaces=surfaces
        )
        if matcher is not None and len(accepted) > 1:
            fit = fit_them(captures, iterations=START_STEPS, provisional=True)
            seeing = replace(pipeline, matcher=matcher)
            turned = tell_the_shape([capture.pose for capture in fit.captures])
            sharpened = _sharpened(fit, captures, accepted, seeing, surfaces) if turned else None
            best = sharpened or fit_them(captures)
        else:
            best, sharpened = fit_them(captures), None
    except FitFailed as problem:
        return EnrollmentResult(selfies, None, ((problem.code, problem.next_step),)), one
    images = [s.image for s in accepted if s.image is not None]
    if len(images) > 1 and pipeline.matcher is not None:
        one = by_skin(best, images, pipeline.matcher, matcher.viewed if matcher is not None else ())
    found = doubts(best, captures, model=pipeline.model, landmark_model=pipeline.landmark_model)
    lights = Counter(light_of(image) for image in images)
    source = f"{PHOTOMETRIC if sharpened else captures[0].source}/{lights.most_common(1)[0][0]}"
    if found:
        return EnrollmentResult(selfies, None, found, source), one
    kept = KeptCaptures(
        model=pipeline.model.name,
        space=pipeline.model.space,
        captures=tuple(captures),
        fit=best,
        matches=matcher.matched if matcher is not None and sharpened is not None else (),
        surfaces=tuple(surfaces),
        resolved=matcher.resolved if matcher is not None else 1.0,
        source=source,
        backend="",
    )
    return EnrollmentResult(selfies, best, (), source, surfaces=len(surfaces), kept=kept), one


def _left_out(
    selfies: tuple[Selfie, ...], numbers: Sequence[int], found: Grouping
) -> tuple[tuple[Selfie, ...], tuple[str, str] | None]:
    """The selfies with those marked that show somebody else, and why the enrollment ends if too few remain.

    numbers: of the selfies that were grouped.
    """
    found = Grouping(tuple(numbers[k] for k in found.together), tuple(numbers[k] for k in found.apart))
    if not found.majority:
        return selfies, found.doubt()
    marked = tuple(
        replace(s, problem=StrangerInSet.of(found)) if k in found.apart else s for k, s in enumerate(selfies)
    )
    return marked, None if found.mendable else found.doubt()


def _appearance(selfie: Selfie, pipeline: FacePipeline) -> Appearance | None:
    if selfie.image is None or selfie.landmarks is None:
        return None
    return appearance_of([(selfie.image, selfie.landmarks)], pipeline.embedder)


def _sharpened(
    fit: Fit,
    captures: Sequence[Capture],
    selfies: Sequence[Selfie],
    pipeline: FacePipeline,
    surfaces: Sequence[SurfacePoints],
) -> Fit | None:
    if pipeline.matcher is None:
        return None
    images = [s.image for s in selfies if s.image is not None]
    return refined(
        LandmarkFit(fit, captures, images, surfaces),
        model=pipeline.model,
        landmark_model=pipeline.landmark_model,
        matcher=pipeline.matcher,
    )


def examine(content: bytes, pipeline: FacePipeline) -> Selfie:
    """Decode one selfie, find the face and its landmarks, and assess the quality."""
    try:
        image = decode_image(content, limits=pipeline.image_limits)
    except ImageRejected as problem:
        return Selfie(problem=problem)
    faces = pipeline.detector.detect(image)
    face = faces[0] if faces else None
    landmarks = pipeline.landmarker.landmarks(image, face) if face else None
    return Selfie(image, face, landmarks, assess(image, faces, landmarks, limits=pipeline.quality_limits))


def selfie_capture(selfie: Selfie) -> Capture:
    """The evidence in an accepted selfie."""
    if selfie.image is None or selfie.landmarks is None:
        raise InvalidValue("only an accepted selfie gives evidence")
    return Capture(
        source=selfie.landmarks.scheme,
        camera=selfie.image.camera(),
        evidence=(LandmarkEvidence(selfie.landmarks),),
        log_focal_sd=selfie.image.log_focal_sd,
    )

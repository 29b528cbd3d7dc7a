"""All measures of one picture."""

from __future__ import annotations

from collections.abc import Sequence

from recon_service.domain.faces import DetectedFace, FaceLandmarks
from recon_service.domain.images import Image
from recon_service.domain.quality import QualityReport
from recon_service.quality.cheeks import cheeks
from recon_service.quality.crop import crops
from recon_service.quality.exposure import exposure
from recon_service.quality.eyes import eyes_glare, eyes_open
from recon_service.quality.face_count import face_count
from recon_service.quality.face_in_frame import face_in_frame
from recon_service.quality.face_patch import face_patch
from recon_service.quality.face_presence import face_presence
from recon_service.quality.face_size import face_size
from recon_service.quality.illumination import illumination_uniformity
from recon_service.quality.limits import QualityLimits
from recon_service.quality.luminance import dynamic_range, luminance_variance, over_exposure, under_exposure
from recon_service.quality.mouth import expression_neutrality, mouth_closed
from recon_service.quality.natural_color import natural_color
from recon_service.quality.pose import head_angles, pitch, roll, yaw
from recon_service.quality.sharpness import sharpness

DEFAULT_LIMITS = QualityLimits()


def assess(
    image: Image,
    faces: Sequence[DetectedFace],
    landmarks: FaceLandmarks | None,
    *,
    limits: QualityLimits = DEFAULT_LIMITS,
) -> QualityReport:
    """What is to be said about a picture whose ``faces`` (best first) and ``landmarks`` (of the first face)
    were found.

    First what may reject the picture, then what is only advice. Without a face there is only the measure
    that says so; without landmarks only those that need none.
    """
    count = face_count(faces, limits=limits)
    if not faces:
        return QualityReport((count,))
    presence = face_presence(landmarks, limits=limits)
    if landmarks is None or presence.score == 0.0:
        return QualityReport((count, presence))
    patch, angles = face_patch(image, landmarks), head_angles(landmarks)
    skin = cheeks(image, landmarks)
    advice = (
        luminance_variance(patch),
        dynamic_range(patch),
        under_exposure(patch),
        over_exposure(patch),
        illumination_uniformity(*skin),
        natural_color(*skin),
        eyes_open(landmarks),
        eyes_glare(image, landmarks),
        mouth_closed(landmarks),
        expression_neutrality(landmarks),
        *crops(image, landmarks),
    )
    return QualityReport(
        (
            count,
            presence,
            face_in_frame(image, landmarks, limits=limits),
            face_size(landmarks, limits=limits),
            sharpness(patch, limits=limits),
            exposure(patch, limits=limits),
            yaw(angles, limits=limits),
            pitch(angles, limits=limits),
            roll(angles, limits=limits),
            *(one for one in advice if one is not None),
        )
    )

"""Exactly one person. Small faces far behind are only worth a warning."""

from __future__ import annotations

from collections.abc import Sequence

from recon_service.domain.faces import DetectedFace
from recon_service.domain.quality import QualityMeasure
from recon_service.quality.limits import QualityLimits
from recon_service.quality.scale import GOOD_SCORE, LIMIT_SCORE, measure


def face_count(faces: Sequence[DetectedFace], *, limits: QualityLimits) -> QualityMeasure:
    """raw: faces found.

    The main face is the first (highest score); the others count by their height over its height.
    """
    count = float(len(faces))
    if not faces:
        return measure(
            "face_count",
            count,
            "faces",
            0.0,
            "No face was found. Look straight at the camera, in good light.",
            code="no-face",
        )
    if len(faces) == 1:
        return measure("face_count", count, "faces", 100.0, "")
    largest = max(face.height for face in faces[1:]) / faces[0].height
    if largest >= limits.max_second_face:
        hint = "Only one person may be in the picture."
        return measure("face_count", count, "faces", 0.0, hint, code="several-faces")
    score = GOOD_SCORE - (GOOD_SCORE - LIMIT_SCORE) * largest / limits.max_second_face
    return measure(
        "face_count",
        count,
        "faces",
        min(score, GOOD_SCORE - 1),
        "Make sure that nobody stands behind you.",
        code="face-behind",
    )

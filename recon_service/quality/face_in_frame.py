"""Whether the border of the picture cuts the face off."""

from __future__ import annotations

import numpy as np

from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.images import Image
from recon_service.domain.quality import QualityMeasure
from recon_service.quality.limits import QualityLimits
from recon_service.quality.scale import Scale, measure


def face_in_frame(image: Image, landmarks: FaceLandmarks, *, limits: QualityLimits) -> QualityMeasure:
    """raw: share of the landmarks that lie inside the picture."""
    size = np.array([image.width, image.height])
    inside = ((landmarks.points >= -0.5) & (landmarks.points <= size - 0.5)).all(axis=1)
    raw = float(inside.mean())
    score = 100.0 if raw == 1.0 else Scale(0.0, limits.min_in_frame, limits.good_in_frame, 1.0).score(raw)
    hint = "Move so that your whole face is inside the picture."
    return measure("face_in_frame", raw, "share", score, hint, code="face-cut-off")

"""Whether the mouth is closed, and the expression neutral as far as the mouth and the brows show it."""

from __future__ import annotations

from typing import Final

import numpy as np

from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.quality import QualityMeasure
from recon_service.quality.facemesh_points import INNER_LIPS, MOUTH_CORNERS, eye_to_mouth, spatial_points
from recon_service.quality.facemesh_points import eye_width as width_of_eyes
from recon_service.quality.scale import Scale, measure

OPENING: Final = Scale(0.6, 0.25, 0.1, 0.02)
STRETCH: Final = Scale(0.6, 0.35, 0.2, 0.05)
USUAL_MOUTH: Final = 0.8
"""Width of a mouth at rest over the distance between the centers of the eyes, as the network places it."""


def mouth_opening(landmarks: FaceLandmarks) -> float:
    """Widest opening between the lips over the distance from the eyes to the mouth."""
    points = spatial_points(landmarks)
    upper, lower = INNER_LIPS
    opened = np.linalg.norm(points[list(upper)] - points[list(lower)], axis=1).max()
    return float(opened) / eye_to_mouth(landmarks)


def mouth_closed(landmarks: FaceLandmarks) -> QualityMeasure:
    """raw: see ``mouth_opening``."""
    raw = mouth_opening(landmarks)
    return measure(
        "mouth_closed", raw, "ratio", OPENING.score(raw), "Close your mouth.", code="mouth-open", advice=True
    )


def expression_neutrality(landmarks: FaceLandmarks) -> QualityMeasure:
    """raw: how far the mouth is from rest: the larger of its opening and of the share by which it is wider or
    narrower than usual. A wide mouth at rest counts as a small smile.
    """
    points = spatial_points(landmarks)
    right, left = MOUTH_CORNERS
    width = float(np.linalg.norm(points[left] - points[right])) / width_of_eyes(landmarks)
    raw = max(abs(width / USUAL_MOUTH - 1.0), mouth_opening(landmarks))
    return measure(
        "expression_neutrality",
        raw,
        "ratio",
        STRETCH.score(raw),
        "Look relaxed, without smiling.",
        code="not-neutral",
        advice=True,
    )

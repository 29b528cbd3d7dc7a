"""Whether the eyes are open, and free of glare."""

from __future__ import annotations

from typing import Final

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.images import Image
from recon_service.domain.quality import QualityMeasure
from recon_service.quality.facemesh_points import (
    LEFT_EYE_CORNERS,
    LEFT_LIDS,
    RIGHT_EYE_CORNERS,
    RIGHT_LIDS,
    eye_to_mouth,
    spatial_points,
)
from recon_service.quality.scale import Scale, measure

OPENING: Final = Scale(0.01, 0.05, 0.08, 0.13)
GLARE: Final = Scale(0.8, 0.4, 0.15, 0.0)
GLARE_LUMA: Final = 247
BOX: Final = (0.7, 0.45)
"""Half width and half height of what is looked at, of the width of the eye: eye and glass around it."""


def eyes_open(landmarks: FaceLandmarks) -> QualityMeasure:
    """raw: the widest opening between the lids, of the less open eye, over the distance from the eyes to the
    mouth (both in space, so that a turned head changes neither).
    """
    points = spatial_points(landmarks)
    widths = [
        float(np.linalg.norm(points[list(upper)] - points[list(lower)], axis=1).max())
        for upper, lower in (RIGHT_LIDS, LEFT_LIDS)
    ]
    raw = min(widths) / eye_to_mouth(landmarks)
    return measure(
        "eyes_open", raw, "ratio", OPENING.score(raw), "Open your eyes.", code="eyes-closed", advice=True
    )


def eyes_glare(image: Image, landmarks: FaceLandmarks) -> QualityMeasure | None:
    """raw: share of nearly white pixels in a box around the eye that has more of them.

    Reflections on glasses. None where the eyes are outside the picture.
    """
    shares = [_white(image, landmarks.points[list(c)]) for c in (RIGHT_EYE_CORNERS, LEFT_EYE_CORNERS)]
    known = [share for share in shares if share is not None]
    if not known:
        return None
    raw = max(known)
    return measure(
        "eyes_glare",
        raw,
        "share",
        GLARE.score(raw),
        "Something shines on your eyes; take off your glasses or turn from the lamp.",
        code="glare-on-eyes",
        advice=True,
    )


def _white(image: Image, corners: Array) -> float | None:
    middle, width = corners.mean(axis=0), float(np.linalg.norm(corners[0] - corners[1]))
    reach = np.maximum(np.array(BOX) * width, 1.0)
    low = np.maximum(np.floor(middle - reach).astype(int), 0)
    high = np.minimum(np.ceil(middle + reach).astype(int) + 1, [image.width, image.height])
    if (high <= low).any():
        return None
    box = image.pixels[low[1] : high[1], low[0] : high[0]]
    return float((box.min(axis=2) >= GLARE_LUMA).mean())

"""How much picture there is around the face, to all four sides."""

from __future__ import annotations

from typing import Final

import numpy as np

from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.images import Image
from recon_service.domain.quality import QualityMeasure
from recon_service.quality.facemesh_points import eye_centers, eye_to_mouth, eye_width
from recon_service.quality.scale import Scale, measure

SIDE: Final = Scale(0.5, 1.0, 1.3, 1.6)
"""Distances between the eyes; a face is 1.1 to 1.2 wide to either side of the middle of the eyes."""
ABOVE: Final = Scale(0.3, 0.8, 1.2, 1.7)
BELOW: Final = Scale(0.8, 1.4, 1.8, 2.2)
"""Distances from the eyes to the mouth; the hairline is about 1 above, the chin about 1.6 below the eyes."""


def crops(image: Image, landmarks: FaceLandmarks) -> tuple[QualityMeasure, ...]:
    """From the middle of the eyes to each border of the picture; left and right are the picture's.

    Lengths on the head are taken in space: a turned head is as large as one that looks into the camera.
    """
    x, y = np.mean(eye_centers(landmarks), axis=0)
    across, down = eye_width(landmarks), eye_to_mouth(landmarks)
    found = (
        ("leftward_crop", (x + 0.5) / across, SIDE, "Leave more room beside your face."),
        ("rightward_crop", (image.width - 0.5 - x) / across, SIDE, "Leave more room beside your face."),
        ("margin_above", (y + 0.5) / down, ABOVE, "Hold the phone higher or farther away."),
        ("margin_below", (image.height - 0.5 - y) / down, BELOW, "Hold the phone lower or farther away."),
    )
    return tuple(
        measure(name, float(raw), "ratio", scale.score(float(raw)), hint, code="cropped", advice=True)
        for name, raw, scale, hint in found
    )

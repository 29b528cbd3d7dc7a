"""The picture of a face as the networks for appearance want it, from its landmarks."""

from __future__ import annotations

from typing import Final

import numpy as np

from recon_service.alignment.five_points import align
from recon_service.appearance.embedder import SIDE, Aligned
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.images import Image

FACEMESH: Final = "facemesh468"
FIVE: Final = ((33, 133), (263, 362), (1,), (61,), (291,))
"""FaceMesh landmarks whose means are the five points: the corners of each eye (outer, inner), the tip of the
nose, the corners of the mouth; the subject's right before the left.
"""


def five_points_of(landmarks: FaceLandmarks) -> Array:
    """(5, 2) pixels. Raises InvalidValue for landmarks of another scheme."""
    if landmarks.scheme != FACEMESH:
        raise InvalidValue(f"five points are taken from {FACEMESH} landmarks, not from {landmarks.scheme}")
    return np.stack([landmarks.points[list(indices)].mean(axis=0) for indices in FIVE])


def aligned_face(image: Image, landmarks: FaceLandmarks) -> Aligned:
    """(112, 112, 3) uint8. Raises InvalidValue for landmarks that have no extent."""
    return align(image, five_points_of(landmarks), SIDE).pixels

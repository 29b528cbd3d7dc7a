"""Which of FaceMesh's 468 landmarks the measures look at. Right and left are the subject's."""

from __future__ import annotations

from typing import Final

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.domain.faces import FaceLandmarks

RIGHT_EYE_CORNERS: Final = (33, 133)
LEFT_EYE_CORNERS: Final = (263, 362)
MIRRORED_PAIRS: Final = ((33, 263), (133, 362), (234, 454), (127, 356), (61, 291), (58, 288))
"""(right, left) points of the eyes, temples, mouth and jaw: their differences run along the head's left-right
axis.
"""
TOP_OF_FACE: Final = 10
CHIN: Final = 152


def eye_centers(landmarks: FaceLandmarks) -> tuple[Array, Array]:
    """Centers (2,) of the subject's right and left eye, pixels."""
    _require_facemesh(landmarks)
    right = landmarks.points[list(RIGHT_EYE_CORNERS)].mean(axis=0)
    left = landmarks.points[list(LEFT_EYE_CORNERS)].mean(axis=0)
    return right, left


def spatial_points(landmarks: FaceLandmarks) -> Array:
    """(468, 3) pixels: x right, y down, z away from the viewer."""
    _require_facemesh(landmarks)
    depth = np.zeros(len(landmarks.points)) if landmarks.depth is None else landmarks.depth
    return np.column_stack([landmarks.points, depth])


def _require_facemesh(landmarks: FaceLandmarks) -> None:
    if landmarks.scheme != "facemesh468":
        raise InvalidValue(f"the quality measures read facemesh468 landmarks, not {landmarks.scheme}")

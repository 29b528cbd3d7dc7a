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
RIGHT_LIDS: Final = ((158, 159, 160), (153, 145, 144))
LEFT_LIDS: Final = ((385, 386, 387), (380, 374, 373))
"""Upper and lower lid, point by point."""
INNER_LIPS: Final = ((82, 13, 312), (87, 14, 317))
MOUTH_CORNERS: Final = (61, 291)


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


def eye_width(landmarks: FaceLandmarks) -> float:
    """Pixels between the centers of the eyes, in space: a turned head keeps it."""
    points = spatial_points(landmarks)
    right, left = (points[list(corners)].mean(axis=0) for corners in (RIGHT_EYE_CORNERS, LEFT_EYE_CORNERS))
    return max(float(np.linalg.norm(left - right)), 1.0)


def eye_to_mouth(landmarks: FaceLandmarks) -> float:
    """Pixels from the middle of the eyes to the middle of the mouth's corners, in space."""
    points = spatial_points(landmarks)
    eyes = points[[*RIGHT_EYE_CORNERS, *LEFT_EYE_CORNERS]].mean(axis=0)
    return max(float(np.linalg.norm(points[list(MOUTH_CORNERS)].mean(axis=0) - eyes)), 1.0)


def _require_facemesh(landmarks: FaceLandmarks) -> None:
    if landmarks.scheme != "facemesh468":
        raise InvalidValue(f"the quality measures read facemesh468 landmarks, not {landmarks.scheme}")

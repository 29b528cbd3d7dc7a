"""Skin that every face shows: a disk on each cheek, for measures of light and color."""

from __future__ import annotations

from typing import Final

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.images import Image
from recon_service.quality.facemesh_points import eye_centers

RIGHT_CHEEK: Final = (50, 101, 118, 205)
LEFT_CHEEK: Final = (280, 330, 347, 425)
RADIUS: Final = 0.12
"""Of the distance between the eyes."""


def cheeks(image: Image, landmarks: FaceLandmarks) -> tuple[Array, Array]:
    """(n, 3) and (m, 3) RGB, 0 to 255, of the subject's right and left cheek; empty outside the picture."""
    right, left = eye_centers(landmarks)
    reach = max(1.0, RADIUS * float(np.linalg.norm(left - right)))
    return (
        _disk(image, landmarks.points[list(RIGHT_CHEEK)].mean(axis=0), reach),
        _disk(image, landmarks.points[list(LEFT_CHEEK)].mean(axis=0), reach),
    )


def _disk(image: Image, middle: Array, reach: float) -> Array:
    low = np.maximum(np.floor(middle - reach).astype(int), 0)
    high = np.minimum(np.ceil(middle + reach).astype(int) + 1, [image.width, image.height])
    if (high <= low).any():
        return np.zeros((0, 3))
    y, x = np.mgrid[low[1] : high[1], low[0] : high[0]]
    inside = (x - middle[0]) ** 2 + (y - middle[1]) ** 2 <= reach**2
    return np.asarray(image.pixels[low[1] : high[1], low[0] : high[0]][inside], dtype=np.float64)

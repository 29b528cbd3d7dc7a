"""The face at a fixed size: upright, a fixed number of pixels between the eyes, gray."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.images import Image
from recon_service.quality.facemesh_points import eye_centers

EYE_DISTANCE: Final = 32
WIDTH: Final = 64
HEIGHT: Final = 80
EYE_LINE: Final = 24
"""Row of the eyes; the patch reaches from the brows to below the mouth, and stays within the cheeks."""


def face_patch(image: Image, landmarks: FaceLandmarks) -> Array:
    """(80, 64) luma, 0 to 255; the border's pixels are repeated where the picture ends."""
    right, left = eye_centers(landmarks)
    middle, along = (right + left) / 2, left - right
    step = max(float(np.linalg.norm(along)), 1.0) / EYE_DISTANCE
    # Blur before shrinking: without it the fine texture of a large face would alias and pass for sharpness.
    reach = int(np.ceil(step * np.hypot(WIDTH / 2, HEIGHT - EYE_LINE))) + 2
    x, y = (round(float(v)) for v in middle)
    x0, y0 = max(x - reach, 0), max(y - reach, 0)
    part = image.pixels[y0 : max(y + reach, y0 + 1), x0 : max(x + reach, x0 + 1)]
    if part.size == 0:
        return np.zeros((HEIGHT, WIDTH))
    gray = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, 1.0 / step)
    if scale < 1.0:
        size = (max(round(gray.shape[1] * scale), 1), max(round(gray.shape[0] * scale), 1))
        factors = np.array([size[0] / gray.shape[1], size[1] / gray.shape[0]])
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    else:
        factors = np.ones(2)
    middle = (middle - [x0, y0] + 0.5) * factors - 0.5
    along = along * factors / EYE_DISTANCE
    a, b = float(along[0]), float(along[1])
    to_part = np.array(
        [
            [a, -b, middle[0] - a * (WIDTH - 1) / 2 + b * EYE_LINE],
            [b, a, middle[1] - b * (WIDTH - 1) / 2 - a * EYE_LINE],
        ]
    )
    patch = cv2.warpAffine(
        gray,
        to_part,
        (WIDTH, HEIGHT),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(patch, dtype=np.float64)

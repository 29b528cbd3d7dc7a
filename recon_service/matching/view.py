"""One picture, prepared for matching: the face cut out, brought to a common size, and its light evened
out.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.images import Image

MEAN_BLUR_PX = 12.0
SPREAD_BLUR_PX = 16.0
SPREAD_FLOOR = 4.0
CONTRAST = 40.0


@dataclass(frozen=True, slots=True)
class FaceView:
    """A face at working size.

    pixels: (h, w) uint8, local mean 128 and even contrast. left, top: corner of the cut in pixels of the
    picture. scale: working pixels per pixel of the picture.
    """

    pixels: NDArray[np.uint8]
    left: int
    top: int
    scale: float

    @classmethod
    def of(cls, image: Image, face_points: Array, *, face_px: float, largest_scale: float) -> FaceView:
        """Cut out the box around projected points of the face (N, 2), scaled so that it is ``face_px``
        high.
        """
        low, high = face_points.min(axis=0), face_points.max(axis=0)
        scale = float(min(face_px / max(high[1] - low[1], 1.0), largest_scale))
        margin = 0.06 * float(high[1] - low[1]) + 4
        left, top = (int(v) for v in np.maximum(np.floor(low - margin), 0))
        right = int(min(np.ceil(high[0] + margin), image.width))
        bottom = int(min(np.ceil(high[1] + margin), image.height))
        gray = cv2.cvtColor(np.ascontiguousarray(image.pixels[top:bottom, left:right]), cv2.COLOR_RGB2GRAY)
        size = (max(round((right - left) * scale), 8), max(round((bottom - top) * scale), 8))
        sized = cv2.resize(gray, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        return cls(evened(np.asarray(sized, dtype=np.uint8)), left, top, scale)

    def to_working(self, pixels: Array) -> Array:
        """Working pixels (N, 2) of pixels of the picture (centers of pixels are whole numbers in both)."""
        return (pixels - [self.left, self.top] + 0.5) * self.scale - 0.5

    def to_picture(self, pixels: Array) -> Array:
        """The inverse of ``to_working``."""
        return np.asarray((pixels + 0.5) / self.scale - 0.5 + [self.left, self.top])


def evened(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture with its local mean taken out and its local contrast made even: light that differs
    between the views must not look like motion.
    """
    values = gray.astype(np.float32)
    detail = values - cv2.GaussianBlur(values, (0, 0), MEAN_BLUR_PX)
    spread = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), SPREAD_BLUR_PX)) + SPREAD_FLOOR
    return np.asarray(np.clip(128 + CONTRAST * detail / spread, 0, 255), dtype=np.uint8)

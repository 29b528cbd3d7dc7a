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
from recon_service.matching.neighborhood import blurred_half, doubled

SPREAD_FLOOR = 4.0
SMALLEST_CUT = 32
CONTRAST = 40.0
MIDDLE = 128
"""The local mean of an evened picture, and its value outside the mask."""


@dataclass(frozen=True, slots=True)
class FaceView:
    """A face at working size.

    gray: (h, w) float32, brightness at working size. left, top: corner of the cut in pixels of the picture.
    scale: (across, down) working pixels per pixel of the picture; they differ by what rounding to whole
    pixels makes of them. face_px: height of the face in pixels of the picture; working_face_px: height that
    was wanted at working size.
    """

    gray: NDArray[np.float32]
    left: int
    top: int
    scale: tuple[float, float]
    face_px: float
    working_face_px: float

    @classmethod
    def of(cls, image: Image, face_points: Array, *, face_px: float, largest_scale: float) -> FaceView:
        """Cut out the box around projected points of the face (N, 2), scaled so that it is ``face_px``
        high.
        """
        low, high = face_points.min(axis=0), face_points.max(axis=0)
        scale = float(min(face_px / max(high[1] - low[1], 1.0), largest_scale))
        margin = 0.06 * float(high[1] - low[1]) + 4
        # A fit may put the face partly outside; the cut stays inside and has at least SMALLEST_CUT pixels.
        room = np.array([image.width, image.height])
        left, top = (int(v) for v in np.clip(np.floor(low - margin), 0, room - SMALLEST_CUT))
        right, bottom = (
            int(v) for v in np.clip(np.ceil(high + margin), [left + SMALLEST_CUT, top + SMALLEST_CUT], room)
        )
        gray = cv2.cvtColor(np.ascontiguousarray(image.pixels[top:bottom, left:right]), cv2.COLOR_RGB2GRAY)
        size = (max(round((right - left) * scale), 8), max(round((bottom - top) * scale), 8))
        sized = cv2.resize(gray, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        exact = (size[0] / (right - left), size[1] / (bottom - top))
        return cls(np.asarray(sized, dtype=np.float32), left, top, exact, float(high[1] - low[1]), face_px)

    @property
    def mean_scale(self) -> float:
        return 0.5 * (self.scale[0] + self.scale[1])

    @property
    def resolved(self) -> float:
        """Share of the working pixels that the picture really has: 1 unless the face was enlarged."""
        return min(1.0, self.face_px / self.working_face_px) ** 2

    def to_working(self, pixels: Array) -> Array:
        """Working pixels (N, 2) of pixels of the picture (centers of pixels are whole numbers in both)."""
        return np.asarray((pixels - [self.left, self.top] + 0.5) * self.scale - 0.5)

    def to_picture(self, pixels: Array) -> Array:
        """The inverse of ``to_working``."""
        return np.asarray((pixels + 0.5) / self.scale - 0.5 + [self.left, self.top])


def evened(gray: NDArray[np.float32], mask: NDArray[np.uint8], *, blur: float) -> NDArray[np.uint8]:
    """(h, w) uint8: the picture inside the mask with its local mean moved to MIDDLE and its local contrast
    made even.

    blur: standard deviation in pixels of the neighborhood. Only pixels of the mask count; MIDDLE outside.
    """
    inside = mask.astype(np.float32)
    mean = blurred_half(gray * inside, blur) / (blurred_half(inside, blur) + 1e-3)
    detail = (gray - doubled(mean, gray.shape)) * inside
    wider = 1.33 * blur
    square = blurred_half(detail * detail, wider) / (blurred_half(inside, wider) + 1e-3)
    detail *= doubled(CONTRAST / (np.sqrt(square) + SPREAD_FLOOR), gray.shape)
    detail += MIDDLE
    return np.asarray(np.clip(detail, 0, 255, out=detail), dtype=np.uint8)

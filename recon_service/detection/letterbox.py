"""A picture brought into a network's frame, and coordinates brought back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array


@dataclass(frozen=True, slots=True)
class Fitted:
    """pixels: (side, side, 3) uint8. scale: frame over picture, (x, y). offset: of the picture in the
    frame.
    """

    pixels: NDArray[np.uint8]
    scale: tuple[float, float]
    offset: tuple[float, float]

    def to_picture(self, points: Array) -> Array:
        """(..., 2) from pixels of the frame to pixels of the picture, by scale and offset alone: so the
        labels were scaled that these networks learned from.
        """
        return (points - np.array(self.offset)) / np.array(self.scale)


def letterboxed(pixels: NDArray[np.uint8], side: int, *, fill: int = 114) -> Fitted:
    """The whole picture as large as it fits, in the middle of the frame, the rest filled."""
    height, width = pixels.shape[:2]
    scale = side / max(width, height)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    left, top = (side - size[0]) // 2, (side - size[1]) // 2
    frame = np.full((side, side, 3), fill, np.uint8)
    frame[top : top + size[1], left : left + size[0]] = _resized(pixels, size)
    return Fitted(frame, (size[0] / width, size[1] / height), (float(left), float(top)))


def _resized(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    how = cv2.INTER_AREA if size[0] < pixels.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=how), dtype=np.uint8)

"""The picture that the encoder sees: a box around the face, 256 x 256, RGB in [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

INPUT_SIDE: Final = 256
SIDEWAYS: Final = 0.65
UP: Final = 0.7
DOWN: Final = 0.6

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class CropBox:
    """Whole pixels of the picture, right and bottom exclusive; may reach beyond the picture."""

    left: int
    top: int
    right: int
    bottom: int

    def moved(self, right: float, down: float, size: float) -> CropBox:
        """Displaced by shares of its side, and of another size about its center, in whole pixels."""
        width, height = self.right - self.left, self.bottom - self.top
        x, y = (self.left + self.right) / 2 + right * width, (self.top + self.bottom) / 2 + down * height
        half_width, half_height = max(1, round(width * size / 2)), max(1, round(height * size / 2))
        left, top = round(x - half_width), round(y - half_height)
        if (right, down, size) == (0.0, 0.0, 1.0):
            return self
        return CropBox(left, top, left + 2 * half_width, top + 2 * half_height)

    def to_image(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) input pixels in pixels of the picture: sides are divided in proportion."""
        size = np.array([self.right - self.left, self.bottom - self.top])
        return points / INPUT_SIDE * size + np.array([self.left, self.top])


def box_of_landmarks(points: NDArray[np.float64]) -> Box:
    """(left, top, right, bottom) of dense landmarks (N, 2)."""
    low, high = points.min(axis=0), points.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def crop_of(box: Box) -> CropBox:
    """The crop around a box of dense landmarks."""
    left, top, right, bottom = box
    side = max(int(max(right - left, bottom - top)), 1)
    x, y = (left + right) / 2, (top + bottom) / 2
    return CropBox(
        int(x - SIDEWAYS * side), int(y - UP * side), int(x + SIDEWAYS * side), int(y + DOWN * side)
    )


def sampled(pixels: NDArray[np.uint8], crop: CropBox) -> NDArray[np.float32]:
    """The network's input (3, 256, 256): bilinear, black outside the picture."""
    height, width = pixels.shape[:2]
    size = max(crop.bottom - crop.top, 1), max(crop.right - crop.left, 1)
    square = np.zeros((*size, 3), np.uint8)
    left, top = max(crop.left, 0), max(crop.top, 0)
    right, bottom = min(crop.right, width), min(crop.bottom, height)
    if right > left and bottom > top:
        square[top - crop.top : bottom - crop.top, left - crop.left : right - crop.left] = pixels[
            top:bottom, left:right
        ]
    small = cv2.resize(square, (INPUT_SIDE, INPUT_SIDE), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(small.transpose(2, 0, 1).astype(np.float32) / np.float32(255))

"""The picture that the encoder sees: a square around the face, 224 x 224, RGB in [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

INPUT_SIDE: Final = 224
ENLARGEMENT: Final = 1.25
LANDMARK_BOX_FACTOR: Final = 1.1
DETECTOR_BOX_DROP: Final = 0.12
"""A detector's box lacks the chin: its center is moved down by this part of its size."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class SquareCrop:
    """left, top: pixels of the picture, of the first sample. step: picture pixels per input pixel."""

    left: float
    top: float
    step: float

    def moved(self, right: float, down: float, size: float) -> SquareCrop:
        """Displaced by shares of its side, and of another size about its center."""
        side = self.step * (INPUT_SIDE - 1)
        grown = side * (size - 1) / 2
        return SquareCrop(self.left + right * side - grown, self.top + down * side - grown, self.step * size)

    def to_image(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) input pixels in pixels of the picture."""
        return points * self.step + np.array([self.left, self.top])

    def to_input(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of ``to_image``."""
        return (points - np.array([self.left, self.top])) / self.step


def crop_of_landmarks(points: NDArray[np.float64]) -> SquareCrop:
    """The crop around 68 landmarks (68, 2) pixels."""
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    size = (right - left + bottom - top) / 2 * LANDMARK_BOX_FACTOR
    return _square((left + right) / 2, (top + bottom) / 2, size)


def crop_of_detection(box: Box) -> SquareCrop:
    """The crop around a detector's box (left, top, right, bottom)."""
    left, top, right, bottom = box
    size = (right - left + bottom - top) / 2
    return _square((left + right) / 2, (top + bottom) / 2 + DETECTOR_BOX_DROP * size, size)


def _square(x: float, y: float, size: float) -> SquareCrop:
    side = max(int(size * ENLARGEMENT), 1)
    return SquareCrop(float(x - side / 2), float(y - side / 2), side / (INPUT_SIDE - 1))


def sampled(pixels: NDArray[np.uint8], crop: SquareCrop) -> NDArray[np.float32]:
    """The network's input (3, 224, 224): bilinear, pixels outside the picture are black.

    The square is not turned, so rows and columns are interpolated one after the other.
    """
    rows, row_weights = _taps(crop.top, crop.step, pixels.shape[0])
    columns, column_weights = _taps(crop.left, crop.step, pixels.shape[1])
    low, high = int(rows.min()), int(rows.max()) + 1
    left, right = int(columns.min()), int(columns.max()) + 1
    part = pixels[low:high, left:right].astype(np.float32)
    lines = np.einsum("rt,rtwc->rwc", row_weights, part[rows - low])
    square = np.einsum("ct,rctk->krc", column_weights, lines[:, columns - left])
    return np.ascontiguousarray(square / np.float32(255))


def _taps(start: float, step: float, length: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The two neighbors (224, 2) of each sample along one side, and their weights: zero beyond the edge."""
    at = start + step * np.arange(INPUT_SIDE)
    first = np.floor(at).astype(np.int64)
    neighbors = np.stack([first, first + 1], axis=1)
    weights = np.stack([first + 1 - at, at - first], axis=1)
    weights[(neighbors < 0) | (neighbors >= length)] = 0.0
    return np.clip(neighbors, 0, length - 1), weights.astype(np.float32)

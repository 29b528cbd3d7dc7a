"""The square around a face that the regressor sees. numpy and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

SIDE = 120
ENLARGED = 1.58
LOWERED = 0.14


def region_of(box: np.ndarray) -> np.ndarray:
    """(4,) float64 left, top, right, bottom of the square around a detector's box."""
    left, top, right, bottom = (float(v) for v in box[:4])
    mean = (right - left + bottom - top) / 2
    x, y = right - (right - left) / 2, bottom - (bottom - top) / 2 + LOWERED * mean
    size = int(mean * ENLARGED)
    return np.array([x - size / 2, y - size / 2, x + size / 2, y + size / 2])


def cropped(picture: np.ndarray, region: np.ndarray) -> np.ndarray:
    """(120, 120, 3) uint8: the region of a picture (H, W, 3), black beyond its edges."""
    left, top, right, bottom = (round(float(v)) for v in region)
    height, width = picture.shape[:2]
    square = np.zeros((max(1, bottom - top), max(1, right - left), 3), dtype=np.uint8)
    seen_left, seen_top = max(left, 0), max(top, 0)
    seen = picture[
        seen_top : max(min(bottom, height), seen_top), seen_left : max(min(right, width), seen_left)
    ]
    square[seen_top - top :, seen_left - left :][: seen.shape[0], : seen.shape[1]] = seen
    return np.asarray(cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR))


def network_input(crops_bgr: np.ndarray) -> np.ndarray:
    """(N, 3, 120, 120) float32 of crops (N, 120, 120, 3) uint8 BGR."""
    return np.ascontiguousarray(((crops_bgr.astype(np.float32) - 127.5) / 128.0).transpose(0, 3, 1, 2))

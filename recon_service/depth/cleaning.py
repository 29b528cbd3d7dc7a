"""A measured depth map -> one whose remaining pixels can be trusted.

Depth cameras invent points between foreground and background (flying pixels) and drop out on hair, edges
and mirrors. A pixel stays if its neighborhood has no jump and it agrees with its median; the noise is then
smoothed over valid neighbors only.
"""

from __future__ import annotations

import cv2
import numpy as np

from recon_service.domain.arrays import Array

JUMP_MM = 12.0
SMOOTHING_PX = 5
MIN_SUPPORT = 0.5
"""Smallest share of the smoothing window, by weight, that must be valid."""


def clean_depth(depth: Array, *, jump_mm: float = JUMP_MM) -> Array:
    """(H, W) mm, 0 where nothing trustworthy is left. depth: (H, W) mm, 0 where nothing was measured."""
    raw = depth.astype(np.float32)
    measured = raw > 0
    window = np.ones((3, 3), np.uint8)
    nearest = cv2.erode(np.where(measured, raw, np.float32(1e9)), window)
    farthest = cv2.dilate(np.where(measured, raw, np.float32(-1e9)), window)
    median = cv2.medianBlur(raw, 3)
    kept = measured & (farthest - nearest < jump_mm) & (np.abs(median - raw) < jump_mm / 2)
    kernel = (SMOOTHING_PX, SMOOTHING_PX)
    total = cv2.GaussianBlur(np.where(kept, raw, np.float32(0)), kernel, 0)
    support = cv2.GaussianBlur(kept.astype(np.float32), kernel, 0)
    smooth = np.where(kept & (support > MIN_SUPPORT), total / np.maximum(support, np.float32(1e-6)), 0)
    return np.asarray(smooth, dtype=np.float64)
